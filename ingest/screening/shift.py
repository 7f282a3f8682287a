"""Sudden shifts: a source whose pages were emptied, replaced or taken away, and floods of near copies.

The limits (`ScreeningSettings`) stand well above what 18 pairs of consecutive releases of two real manuals show, years
apart as some are: at most 11 % of the pages replaced, 5 % emptied, 32 % gone (the manual was reorganised), and half as
many added (benchmarks/near_duplicates.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.config import ScreeningSettings
from ingest.screening.findings import Finding
from ingest.screening.minhash import similarity

_EMPTIED = 0.25  # of its old length
_REPLACED = 0.3  # similarity; a page that was edited, however much, keeps more
_MIN_DOCUMENTS = 3  # one page of four is no shift


@dataclass(frozen=True, slots=True)
class Changed:
    """A document before and after: lengths in characters, and the similarity of its signatures (see `minhash`)."""

    old_length: int
    new_length: int
    similarity: float

    @property
    def emptied(self) -> bool:
        return self.new_length < _EMPTIED * self.old_length

    @property
    def replaced(self) -> bool:
        return not self.emptied and self.similarity < _REPLACED


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What one batch did to a source. `total` counts its documents before; `changed` has those with another content."""

    total: int
    added: int
    removed: int
    changed: Sequence[Changed]


def shifts(change: SourceChange, policy: ScreeningSettings) -> tuple[Finding, ...]:
    """A finding for each way in which the source is not what it was; none for a new source."""
    if not change.total:
        return ()
    emptied = sum(its.emptied for its in change.changed)
    replaced = sum(its.replaced for its in change.changed)
    lost = emptied + replaced + change.removed
    found = (
        _finding("were emptied", emptied, change.total, policy.shift_share),
        _finding("have another text", replaced, change.total, policy.shift_share),
        _finding("are gone", change.removed, change.total, policy.shift_removed_share),
        _finding("were emptied, replaced or removed", lost, change.total, policy.shift_removed_share),
        _finding("came new", change.added, change.total, policy.shift_added_share),
    )
    return tuple(finding for finding in found if finding)


def flood(signature: bytes, others: Iterable[bytes], policy: ScreeningSettings) -> Finding | None:
    """A finding where too many of `others`, the signatures of other documents, are near copies of this one.

    `others` are those that share a band with it (see `minhash.bands`): the others can't be near copies.
    """
    copies = sum(similarity(signature, other) >= policy.flood_similarity for other in others)
    if copies < policy.flood_documents:
        return None
    reason = f"{copies} other documents say nearly the same; {policy.flood_documents} are a flood"
    return Finding("flood", reason, "", None, None, 1.0)


def _finding(what: str, count: int, total: int, limit: float) -> Finding | None:
    if count < _MIN_DOCUMENTS or count <= limit * total:
        return None
    reason = f"{count} documents (of {total} that were there) {what}; the limit is {limit:.0%}"
    return Finding("shift", reason, "", None, None, min(1.0, count / total))
