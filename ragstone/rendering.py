"""Answers, passages and outcomes as text for a terminal. What comes from documents can't send control codes to it."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from generation.types import Answer, Claim
from ingest.screening.folding import INVISIBLE
from ingest.types import DocumentOutcome
from retrieval.types import Passage

_WIDTH = 100


def printable(text: str) -> str:
    """`text` with every control character but newline and tab made visible (a terminal would obey it)."""
    return "".join(c if c.isprintable() or c in "\n\t" or _is_space(c) else _escaped(c) for c in text)


def one_line(text: str) -> str:
    """`printable` for what must stay on its line: newlines and tabs are made visible too."""
    return "".join(c if c.isprintable() or _is_space(c) else _escaped(c) for c in text)


def laid_open(text: str) -> str:
    """`printable` with what is invisible and yet printable made visible too: fillers, selectors, joiners."""
    return printable(INVISIBLE.sub(lambda found: "".join(map(_escaped, found[0])), text))


def marked_lines(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[str]:
    """`laid_open` in numbered lines, with span number n between `⟦n:` and `⟧`; such brackets of the text are escaped.

    `spans` are offsets into `text`, end exclusive; they may overlap. Linear in the text for few spans.
    """
    cuts = [(end, 0, "⟧") for start, end in spans if start < end]
    cuts += [(start, 1, f"⟦{number}:") for number, (start, end) in enumerate(spans, 1) if start < end]
    pieces, position = [], 0
    for place, _, sign in sorted(cuts):
        pieces += [_without_signs(text[position:place]), sign]
        position = max(position, place)
    pieces.append(_without_signs(text[position:]))
    lines = "".join(pieces).split("\n")
    width = len(str(len(lines)))
    yield from (f"{number:>{width}} | {line}" for number, line in enumerate(lines, 1))


def _without_signs(text: str) -> str:
    return laid_open(text).replace("⟦", "\\u27e6").replace("⟧", "\\u27e7")


def _is_space(character: str) -> bool:
    """A blank of its own width, such as the no-break space: harmless, though Python calls it not printable."""
    return unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def answer_lines(answer: Answer) -> Iterator[str]:
    """The answer with its verdict, citations and evidence."""
    yield from _wrapped(answer.text)
    yield ""
    yield f"  verdict    {_verdict(answer)}"
    for citation in answer.citations:
        source = next(p for p in answer.passages if p.document_id == citation.document_id and p.start <= citation.start)
        where = [f"{source.uri} v{citation.version}", *source.heading[-1:]]
        where += [f"page {citation.page}"] if citation.page else []
        yield f"  {citation.marker:<10} {one_line(', '.join(where))}, characters {citation.start}-{citation.end}"
        yield from _wrapped(f"“{citation.quote}”", " " * 13)
    for claim in answer.claims if answer.abstained else _unsupported(answer):
        yield from _wrapped(f"{claim.verdict}: {claim.text} ({claim.score:.2f}{_because(claim)})", "  claim      ")
    for note in answer.notes:
        yield from _wrapped(note, "  note       ")
    timings = answer.timings_ms
    prompt_tokens = answer.usage.prompt_tokens
    yield f"  made       revision {answer.revision}, release {answer.release}, {prompt_tokens} prompt tokens"
    parts = {"first token": timings.first_token, "verdict": timings.verify, "in all": timings.total}
    yield "  took       " + ", ".join(f"{name} {_seconds(time)}" for name, time in parts.items())


def passage_lines(passage: Passage, number: int) -> Iterator[str]:
    where = " > ".join((passage.uri, *passage.heading)) + _pages(passage)
    scores = ", ".join(
        f"{name} {score:.3f}" for name, score in passage.scores.model_dump().items() if score is not None
    )
    yield f"{number:>2}. {passage.score:.3f}  {one_line(where)}  ({scores})"
    if passage.lead:
        yield from _wrapped(textwrap.shorten(passage.lead.text, 100, placeholder=" …"), "    ")
    yield from _wrapped(textwrap.shorten(passage.text, 300, placeholder=" …"), "    ")


def _pages(passage: Passage) -> str:
    if passage.page is None:
        return ""
    last = next((its.page for its in reversed(passage.later_pages) if its.page is not None), passage.page)
    return f", page {passage.page}" if last == passage.page else f", pages {passage.page}-{last}"


def outcome_line(outcome: DocumentOutcome) -> str:
    version = f" (version {outcome.version})" if outcome.version else ""
    problem = f": {outcome.problem.detail}" if outcome.problem else ""
    return one_line(f"{outcome.state:<10} {outcome.uri}{version}{problem}")


def outcome_lines(outcome: DocumentOutcome) -> Iterator[str]:
    """The outcome, and what of the file could not be read or was left out."""
    yield outcome_line(outcome)
    for note in outcome.notes:
        yield f"           {one_line(note)}"


def _verdict(answer: Answer) -> str:
    faithfulness = answer.faithfulness
    word = "abstained; " if answer.abstained else ""
    if not faithfulness.scored:
        return f"{word}not scored: {faithfulness.reason}"
    return f"{word}{faithfulness.verdict} ({faithfulness.score:.2f} by {faithfulness.verifier})"


def _unsupported(answer: Answer) -> list[Claim]:
    return [claim for claim in answer.claims if claim.verdict != "supported"]


def _because(claim: Claim) -> str:
    return f", {claim.reason}" if claim.reason else ""


def _seconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds / 1000:.1f} s"


def _wrapped(text: str, lead: str = "") -> Iterator[str]:
    indent = " " * len(lead)
    for line in printable(text).splitlines():
        yield from textwrap.wrap(line, _WIDTH, initial_indent=lead, subsequent_indent=indent) or [""]
        lead = indent
