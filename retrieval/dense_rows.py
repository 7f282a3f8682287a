"""Rows of the dense index: quantised vectors with the numbers of their chunks, on disk or growing in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.coverage import Ranges
from retrieval.quantisation import Codes, quantise, words
from retrieval.segments import Segment

_LARGEST_CHUNK = 2**32 - 1
_LEAST_CAPACITY = 64


@dataclass(frozen=True, slots=True)
class Rows:
    """The first `count` rows of the arrays, which may have room for more. Nothing here may be changed."""

    count: int
    chunks: NDArray[np.uint32]  # (capacity,)
    codes: Codes

    @classmethod
    def of(cls, chunks: NDArray[np.int64], vectors: Vectors, centre: Vectors) -> Rows:
        """`vectors` is float32 of shape (n, dimension), one for each of `chunks`; see `quantise`."""
        if len(chunks) and not 0 <= chunks.min() <= chunks.max() <= _LARGEST_CHUNK:
            raise ValueError(f"chunk numbers go from 0 to {_LARGEST_CHUNK}, not {chunks.min()} to {chunks.max()}")
        return cls(len(chunks), chunks.astype(np.uint32), quantise(vectors, centre))

    @classmethod
    def of_segment(cls, segment: Segment, dimension: int) -> Rows:
        """Raises ValueError when the segment holds vectors of another dimension."""
        arrays = {name: array.view(np.ndarray) for name, array in segment.arrays.items()}
        chunks = arrays.pop("chunks")
        if arrays["codes"].shape != (len(chunks), dimension):
            raise ValueError(f"segment {segment.name} holds {arrays['codes'].shape[1]} numbers a row, not {dimension}")
        return cls(len(chunks), chunks, Codes(**arrays))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of all `parts`, of which there is at least one."""
        trimmed = [part.trimmed() for part in parts]
        codes = Codes(
            np.concatenate([part.codes.codes for part in trimmed]),
            np.concatenate([part.codes.scales for part in trimmed]),
            np.concatenate([part.codes.signs for part in trimmed], axis=1),
            np.concatenate([part.codes.factors for part in trimmed]),
        )
        return cls(sum(part.count for part in parts), np.concatenate([part.chunks for part in trimmed]), codes)

    def trimmed(self) -> Rows:
        """The same rows, without room for more."""
        return self.taken(slice(0, self.count))

    def taken(self, places: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Rows:
        """The rows at these places."""
        codes = self.codes
        chunks = self.chunks[places]
        its = Codes(codes.codes[places], codes.scales[places], codes.signs[:, places], codes.factors[places])
        return Rows(len(chunks), chunks, its)

    def differing(self, other: Rows) -> NDArray[np.bool_]:
        """Which rows are not those of `other`, of as many."""
        mine, its = self.trimmed().codes, other.trimmed().codes
        differ: NDArray[np.bool_] = (
            (mine.codes != its.codes).any(axis=1)
            | (mine.scales != its.scales)
            | (mine.signs != its.signs).any(axis=0)
            | (mine.factors != its.factors)
        )
        return differ

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `of_segment` takes."""
        rows = self.trimmed()
        codes = rows.codes
        return {
            "chunks": rows.chunks,
            "codes": codes.codes,
            "scales": codes.scales,
            "signs": codes.signs,
            "factors": codes.factors,
        }

    @property
    def nbytes(self) -> int:
        codes = self.codes
        return sum(array.nbytes for array in (self.chunks, codes.codes, codes.scales, codes.signs, codes.factors))


@dataclass(frozen=True, slots=True)
class Tail:
    """Rows in memory with their arrivals. A longer tail shares the arrays of the shorter one where there is room.

    So appending costs what is appended, and who still reads the shorter tail is not disturbed. Only the latest tail may
    be appended to.
    """

    rows: Rows  # read-only, as those of segments are: kernels are compiled for one kind of array
    arrivals: NDArray[np.int64]  # (capacity,)
    covered: Ranges
    _room: Rows  # the same arrays, for writing behind the rows

    @classmethod
    def empty(cls, dimension: int, covered: Ranges = ()) -> Tail:
        room = _room_for(0, dimension)
        return cls(_views(room, 0), np.empty(0, dtype=np.int64), covered, room)

    def with_rows(self, rows: Rows, arrivals: NDArray[np.int64], covered: Ranges) -> Tail:
        """Appends these rows; `covered` is what all of them cover then."""
        count = self.rows.count + rows.count
        room, known = self._room, self.arrivals
        if count > len(known):
            capacity = max(count, len(known) + len(known) // 2, _LEAST_CAPACITY)
            room, known = _room_for(capacity, rows.codes.codes.shape[1]), np.empty(capacity, dtype=np.int64)
            _copy(self.rows, room, 0)
            known[: self.rows.count] = self.arrivals[: self.rows.count]
        _copy(rows, room, self.rows.count)
        known[self.rows.count : count] = arrivals
        return Tail(_views(room, count), known, covered, room)

    def without(self, places: NDArray[np.bool_], covered: Ranges) -> Tail:
        """A tail of its own, without the rows at `places`; `covered` is what it covers."""
        left = np.flatnonzero(~places)
        dimension = self.rows.codes.codes.shape[1]
        return Tail.empty(dimension).with_rows(self.rows.taken(left), self.arrivals[left], covered)


def _room_for(capacity: int, dimension: int) -> Rows:
    codes = np.empty((capacity, dimension), dtype=np.int8)
    signs = np.empty((words(dimension), capacity), dtype=np.uint64)
    scales, factors = np.empty(capacity, dtype=np.float32), np.empty(capacity, dtype=np.float32)
    return Rows(0, np.empty(capacity, dtype=np.uint32), Codes(codes, scales, signs, factors))


def _views(room: Rows, count: int) -> Rows:
    chunks, codes = room.chunks.view(), room.codes
    views = Codes(codes.codes.view(), codes.scales.view(), codes.signs.view(), codes.factors.view())
    for array in (chunks, views.codes, views.scales, views.signs, views.factors):
        array.flags.writeable = False
    return Rows(count, chunks, views)


def _copy(rows: Rows, room: Rows, start: int) -> None:
    places = slice(start, start + rows.count)
    source, target = rows.trimmed(), room.codes
    room.chunks[places] = source.chunks
    target.codes[places] = source.codes.codes
    target.scales[places] = source.codes.scales
    target.signs[:, places] = source.codes.signs
    target.factors[places] = source.codes.factors
