"""Which parts of an answer are claims, and which answers are none: abstentions, questions, courtesies, headings, code.

Rules for English, by pattern. They err towards "this is a claim": a courtesy that is judged costs a low score, a claim
that is taken for a courtesy would pass unjudged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from evals.abstention import PASSAGES_OR_DOCUMENTS, abstains
from evals.sentences import MARKER, Sentence, plain, split_sentences

Role = Literal["claim", "abstention", "about_passages", "none"]

# All but `_ATTRIBUTION` are for plain lower-case text.
_ABOUT_PASSAGES = re.compile(
    rf"^(?:(?:however|instead|but|rather),? )*(?:they|it|{PASSAGES_OR_DOCUMENTS})"
    r"(?: (?:only|just|mainly|merely|instead|all|both|do|does))*"
    r" (?:describe|mention|discuss|cover|talk|focus|contain|provide|give|explain|deal|list|refer|relate)(?:e?s)?\b"
)
_COURTESY = re.compile(
    r"(?:(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|question)|great question|thanks?|thank you"
    r"|(?:you're |you are )?welcome|sure|sure thing|certainly|of course|absolutely|great|okay|ok|understood|got it"
    r"|(?:i'm |i am )?sorry|my apologies|i apologi[sz]e|yes|no|correct|right|exactly|true|false|there|everyone"
    r"|so much|very much|for (?:asking|your question|reaching out)|in (?:summary|conclusion|short)|overall|note|answer)"
    r"\b[\s,.!:;-]*)+"
)
_OFFER = re.compile(
    r"^(?:and |so )?(?:please )?(?:let me know|feel free|do not hesitate|don't hesitate|i hope|hope (?:this|that|it)"
    r"|(?:i'm|i am|i'd be|i would be) (?:happy|glad|here) to|happy to help|as an ai\b)"
    r"|^please (?:refer to|consult|provide (?:more|additional|the|some|further)|clarify|rephrase|ask|specify)\b"
    r"|^if you (?:have|need|want|would like|'d like|can)\b.*"
    r"\b(?:let me know|ask|feel free|help|reach out|provide|hesitate)\b"
)
_TURN = re.compile(
    r"(?:[,;]|(?<=\S) -)?\s+(?:but|however|though|although)\b,?\s+|[;,]\s+(?:so|and)\s+(?=i (?:can|do|am)|the passage)",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    rf"^(?:(?:according to|based on|per|as (?:stated|described|mentioned|noted) in|from|in) {PASSAGES_OR_DOCUMENTS}"
    rf"(?: ?\d+(?: and \d+)?)?, |{PASSAGES_OR_DOCUMENTS}(?: ?\d+)?"
    r" (?:say|state|mention|note|explain|indicate|show)s? that )",
    re.IGNORECASE,
)
_LINK = re.compile(r"\[([^\[\]]+)\]\([^()\s]*\)")
_QUESTION = re.compile(r"[?\uff1f][\"')\]_]*$")
_WORD = re.compile(r"[^\W_]")
_BRACKETED = re.compile(r"\[(?:[^\[\]\w]|[\d_])*\]")  # "[-1]": a marker gone wrong; a bare number may be a short answer


@dataclass(frozen=True, slots=True)
class ClaimSpan:
    """A claim where it stands: `text[start:end]`, with the markers that cite it. `judged` is what it says, without
    markers and markup."""

    start: int
    end: int
    judged: str


def split_claims(text: str) -> list[ClaimSpan]:
    """The claims of an answer, in order and without overlap; empty where it claims nothing."""
    return [ClaimSpan(start, end, judged_text(text[start:end])) for start, end, role in _parts(text) if role == "claim"]


def is_abstention(text: str) -> bool:
    """Whether an answer only says that it does not know, or that the passages do not contain it.

    An answer that also claims something is none, and neither is an empty one.
    """
    roles = [role for _, _, role in _parts(text)]
    return "abstention" in roles and "claim" not in roles


def judged_text(text: str) -> str:
    """What a sentence says: no citation markers, no emphasis, no link targets, no "According to the passages,"."""
    text = MARKER.sub(" ", plain(text))
    text = _LINK.sub(r"\1", text).replace("**", "").replace("|", " ")
    text = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(text.split()))
    said = _ATTRIBUTION.sub("", text, count=1)
    return text if said == text else said[:1].upper() + said[1:]


def _parts(text: str) -> Iterator[tuple[int, int, Role]]:
    """The sentences of `text` with their roles; a sentence that abstains and claims is cut where it turns."""
    sentences = split_sentences(text)
    abstained = False  # whether the answer is abstaining, up to here without a claim since
    for i, sentence in enumerate(sentences):
        for start, end in _cut_abstention(text, sentence):
            role = _role(text, start, end, sentences[i : i + 2], abstained)
            abstained = role == "abstention" or (abstained and role == "about_passages")
            yield start, end, role


def _cut_abstention(text: str, sentence: Sentence) -> list[tuple[int, int]]:
    """ "The passages do not say X, but Y": two parts. Any other sentence is one part."""
    whole = [(sentence.start, sentence.end)]
    said = text[sentence.start : sentence.end]
    if not abstains(_said(said)):
        return whole
    parts, at = [], 0
    for turn in _TURN.finditer(plain(said)):
        if turn.start() > at:
            parts.append((sentence.start + at, sentence.start + turn.start()))
        at = turn.end()
    parts.append((sentence.start + at, sentence.end))
    return parts if any(abstains(_said(text[start:end])) for start, end in parts) else whole


def _role(text: str, start: int, end: int, sentences: Sequence[Sentence], abstained: bool) -> Role:
    """`sentences`: the one that the part belongs to, and the next if there is one."""
    part = text[start:end]
    said = _said(part)
    kind = sentences[0].kind
    next_kind = sentences[1].kind if len(sentences) > 1 else None
    if kind == "code" or not _WORD.search(_BRACKETED.sub(" ", said)):
        return "none"
    if abstains(said):
        return "abstention"
    leads_in = said.endswith(":") and next_kind in ("item", "code", "row")
    if kind == "heading" or leads_in or _QUESTION.search(said) or _COURTESY.fullmatch(said):
        return "none"
    if kind == next_kind == "row" and not _WORD.search(text[sentences[1].start : sentences[1].end]):
        return "none"  # the names of a table's columns: a line of dashes follows
    if MARKER.search(part) or any(c.isdigit() for c in said):
        return "claim"
    if _OFFER.search(said):
        return "none"
    return "about_passages" if abstained and _ABOUT_PASSAGES.search(said) else "claim"


def _said(part: str) -> str:
    return " ".join(MARKER.sub(" ", plain(part)).lower().replace("*", "").split())
