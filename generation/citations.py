"""Citations: markers taken out of a draft, checked against the verdict on each claim, and set again where they hold.

The model's markers are proposals. A claim keeps a marker only for the passage in which the verifier found its
evidence; a marker that points elsewhere is moved there, and a claim without support keeps none. Notes say what changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from generation.prompt import Excerpt
from generation.types import Citation, Claim, Evidence, Verification

_MARKER = re.compile(r"[ \t]*\[(?:passages?\s+)?(\d{1,3}(?:\s*,\s*\d{1,3})*)\](?![\w(])", re.IGNORECASE)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker that stood at `offset` of the text without markers, pointing to passage `number`."""

    offset: int
    number: int


@dataclass(frozen=True, slots=True)
class CitedText:
    text: str
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    notes: tuple[str, ...]


def strip_markers(draft: str) -> tuple[str, tuple[Marker, ...]]:
    """The draft without its citation markers, and the markers; brackets inside code are left alone."""
    code = [match.span() for match in _CODE.finditer(draft)]
    parts: list[str] = []
    markers: list[Marker] = []
    position = length = 0
    for match in _MARKER.finditer(draft):
        if any(start <= match.start(1) < end for start, end in code):
            continue
        parts.append(draft[position : match.start()])
        length += match.start() - position
        position = match.end()
        markers += [Marker(length, int(number)) for number in match.group(1).split(",")]
    parts.append(draft[position:])
    return "".join(parts), tuple(markers)


def cite(text: str, verification: Verification, markers: Sequence[Marker], excerpts: Sequence[Excerpt]) -> CitedText:
    """Sets a checked marker behind each supported claim of `text` (which has none) and shifts the claims to match."""
    claims = verification.claims
    pieces: list[str] = []
    shifted: list[Claim] = []
    citations: list[Citation] = []
    notes: list[str] = []
    position = shift = 0
    for index, claim in enumerate(claims):
        shifted.append(claim.model_copy(update={"start": claim.start + shift, "end": claim.end + shift}))
        following = claims[index + 1].start if index + 1 < len(claims) else len(text) + 1
        proposed = [marker.number for marker in markers if claim.start < marker.offset <= following]
        excerpt = _holding(claim.evidence, excerpts) if claim.verdict == "supported" else None
        notes += _notes(claim, proposed, excerpt, len(excerpts))
        if excerpt is None or claim.evidence is None:
            continue
        marker = f"[{excerpt.number}]"
        citations.append(_citation(marker, claim.evidence, excerpt, by_model=excerpt.number in proposed))
        pieces.append(f"{text[position : claim.end]} {marker}")
        position, shift = claim.end, shift + len(marker) + 1
    pieces.append(text[position:])
    return CitedText("".join(pieces), tuple(shifted), tuple(citations), tuple(notes))


def _holding(evidence: Evidence | None, excerpts: Sequence[Excerpt]) -> Excerpt | None:
    if evidence is None:
        return None
    for excerpt in excerpts:
        passage = excerpt.passage
        same_version = (passage.document_id, passage.version) == (evidence.document_id, evidence.version)
        if same_version and passage.start <= evidence.start and evidence.end <= passage.end:
            return excerpt
    return None


def _citation(marker: str, evidence: Evidence, excerpt: Excerpt, *, by_model: bool) -> Citation:
    passage = excerpt.passage
    return Citation(
        marker=marker,
        document_id=evidence.document_id,
        version=evidence.version,
        start=evidence.start,
        end=evidence.end,
        page=passage.page_at(evidence.start),
        quote=passage.text[evidence.start - passage.start : evidence.end - passage.start],
        origin="model" if by_model else "verifier",
    )


def _notes(claim: Claim, proposed: Sequence[int], excerpt: Excerpt | None, n_excerpts: int) -> list[str]:
    about = f"“{claim.text if len(claim.text) <= 60 else claim.text[:57] + '…'}”"
    notes = [f"[{number}] dropped: there is no such passage" for number in proposed if not 1 <= number <= n_excerpts]
    known = [number for number in proposed if 1 <= number <= n_excerpts]
    wrong = [number for number in known if excerpt is None or number != excerpt.number]
    if excerpt is None:
        return notes + [f"[{number}] dropped: the passages do not support {about}" for number in wrong]
    if wrong and excerpt.number not in known:
        moved = ", ".join(f"[{number}]" for number in wrong)
        return [*notes, f"{moved} moved to [{excerpt.number}], which supports {about}"]
    return notes + [f"[{number}] dropped: the evidence for {about} is in [{excerpt.number}]" for number in wrong]
