"""What the dense index does with its segments when it has time: which to write, to merge and to rewrite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.coverage import Ranges, clipped
from retrieval.dense_kernels import count_hidden
from retrieval.dense_rows import Rows, Tail
from retrieval.segments import Segment
from retrieval.visibility import Visible


@dataclass(frozen=True, slots=True)
class Upkeep:
    """When `maintain` has something to do. Sizes in rows."""

    sealed: int = 1_024  # in memory: written as a segment
    merged: int = 8  # so many segments of about a size become one
    full: int = 65_536  # a segment of this size is not merged any more; to rewrite one takes about 0.1 s
    purged_share: float = 0.25  # of a segment's rows: it is rewritten without them


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment on disk, opened."""

    segment: Segment
    rows: Rows
    covered: Ranges


@dataclass(frozen=True, slots=True)
class Kept:
    """The chunks that the catalog had when asked, and all newer ones."""

    known: Visible
    highest: int  # of them; -1 where there is none

    @classmethod
    def at_least(cls, known: Visible) -> Kept:
        filled = np.flatnonzero(known.bits)
        if not len(filled):
            return cls(known, -1)
        return cls(known, 8 * int(filled[-1]) + int(known.bits[filled[-1]]).bit_length() - 1)

    @classmethod
    def all(cls) -> Kept:
        """Whatever there is."""
        return cls(Visible(np.zeros(0, dtype=np.uint8)), -1)

    def holds(self, chunks: NDArray[np.integer]) -> NDArray[np.bool_]:
        return self.known.holds(chunks.astype(np.int64)) | (chunks > self.highest)

    def purged(self, rows: Rows) -> int:
        """How many of the rows it does not hold."""
        return count_hidden(rows.count, rows.chunks, self.known.bits, self.highest)


def pieces(tail: Tail, kept: Kept, size: int) -> list[tuple[Rows, Ranges]]:
    """The kept rows of a tail in the order of arrival, `size` in a piece, with the ranges of each."""
    arrivals = tail.arrivals[: tail.rows.count]
    order = np.argsort(arrivals, kind="stable")
    order = order[kept.holds(tail.rows.chunks[order])]
    found = []
    low, end = 0, tail.covered[-1][1]
    for start in range(0, max(len(order), 1), size):
        places = order[start : start + size]
        high = int(arrivals[places[-1]]) if start + size < len(order) else end
        found.append((tail.rows.taken(places), clipped(tail.covered, low, high)))
        low = high + 1
    return found


def to_merge(sealed: Sequence[Sealed], upkeep: Upkeep) -> list[Sealed]:
    """Segments of about one size that are enough to be merged, the smallest size first; none where nothing is due."""
    smallest_first = sorted(sealed, key=lambda part: part.rows.count)
    for limit in (upkeep.sealed * upkeep.merged, upkeep.full):
        below = [part for part in smallest_first if part.rows.count < limit][: upkeep.merged]
        if len(below) == upkeep.merged:
            totals = np.cumsum([part.rows.count for part in below])
            return below[: max(2, int(np.count_nonzero(totals <= 2 * upkeep.full)))]
    return []
