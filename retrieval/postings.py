"""The postings of a range of chunk numbers: which terms stand in which chunks, how often, and how long chunks are.

Immutable. A range lies within one partition of the numbers (65,536 of them, unless told otherwise), so that two bytes
name a chunk. Terms are 64-bit hashes; their text is kept nowhere. (Two of a million terms share a hash with a chance of
3 in a hundred million.) Frequencies are raw and nothing depends on what is visible; so postings are never out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval import bm25_kernels as kernels
from retrieval.bm25_kernels import ABSENT, Bits, Hashes, Table
from retrieval.segments import Segment
from retrieval.visibility import Visible

Numbers = NDArray[np.int64]

_NO_BITS: Bits = np.zeros(0, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Formula:
    """The part of BM25 that bounds are made for: a term adds its idf times tf / (tf + floor + slope * length)."""

    k1: float
    b: float

    @property
    def floor(self) -> float:
        return self.k1 * (1 - self.b)

    def slope(self, average: float) -> float:
        """`average` is the average length of chunks."""
        return self.k1 * self.b / average


@dataclass(frozen=True, eq=False)
class Postings:
    """Postings of the chunks numbered `first` to `last`, both ends included. Arrays are read-only, C-ordered.

    hashes       uint64 of shape (terms,), ascending
    offsets      uint32 of shape (terms + 1,): the postings of term i are those from offsets[i] to offsets[i + 1]
    rows         uint16 of shape (postings,): chunk number modulo the partition's size, ascending within a term
    frequencies  uint8 of shape (postings,), or uint32 where one of them is above 255
    lengths      uint32 of shape (last - first + 1,): terms of a chunk, counted with repetitions; ABSENT for a number
                 whose chunk isn't there
    bounds       float32 of shape (terms,): see `bm25_kernels.bounds`; for `average`
    """

    first: int
    last: int
    partition: int  # how many numbers it has, a power of two
    arrays: Mapping[str, NDArray[Any]]
    average: float
    segment: Segment | None = field(default=None, repr=False)  # where it stands on disk

    def __post_init__(self) -> None:
        for array in self.arrays.values():
            array.flags.writeable = False

    @cached_property
    def chunks(self) -> int:
        """How many chunks are there."""
        return int(np.count_nonzero(self.arrays["lengths"] != ABSENT))

    def numbers(self) -> Numbers:
        """The chunks that are there, ascending."""
        return np.flatnonzero(self.arrays["lengths"] != ABSENT) + self.first

    @cached_property
    def length(self) -> int:
        """The sum of the lengths of the chunks."""
        lengths = self.arrays["lengths"]
        return int(lengths.sum(where=lengths != ABSENT, dtype=np.int64))

    @cached_property
    def size(self) -> int:
        """How many postings, and how many numbers: what merging it costs."""
        return len(self.arrays["rows"]) + len(self.arrays["lengths"])

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    @cached_property
    def row(self) -> tuple[int, ...]:
        """Its row of a table for the kernels, which is good as long as this object is there."""
        arrays = self.arrays
        address = {name: array.ctypes.data for name, array in arrays.items()}
        columns = {
            kernels.FIRST: self.first,
            kernels.LAST: self.last,
            kernels.BASE: self.first % self.partition,
            kernels.CHUNKS: self.chunks,
            kernels.LENGTH: self.length,
            kernels.TERMS: len(arrays["hashes"]),
            kernels.HASHES: address["hashes"],
            kernels.OFFSETS: address["offsets"],
            kernels.ROWS: address["rows"],
            kernels.FREQUENCIES: address["frequencies"],
            kernels.WIDE: int(arrays["frequencies"].dtype == np.uint32),
            kernels.LENGTHS: address["lengths"],
            kernels.BOUNDS: address["bounds"],
        }
        return tuple(columns[column] for column in range(kernels.COLUMNS))

    def holds_any(self, numbers: Numbers) -> bool:
        """Whether one of these chunks is there."""
        inside = numbers[(numbers >= self.first) & (numbers <= self.last)]
        return bool((self.arrays["lengths"][inside - self.first] != ABSENT).any())

    def terms_of(self, number: int) -> Hashes:
        """The distinct terms of a chunk. A pass over the rows: there is no list by chunk."""
        positions = np.flatnonzero(self.arrays["rows"] == number % self.partition)
        terms = np.searchsorted(self.arrays["offsets"], positions, side="right") - 1
        hashes: Hashes = self.arrays["hashes"][terms]
        return hashes


class TermHashes(dict[str, int]):
    """64-bit hashes of terms, computed at the first look and kept for a while. Threads may share it."""

    def __init__(self, limit: int = 1 << 16) -> None:
        super().__init__()
        self._limit = limit

    def __missing__(self, term: str) -> int:
        # Not every str can be encoded as UTF-8: half a surrogate pair can come out of a damaged document.
        number = int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        if len(self) >= self._limit:
            self.clear()
        self[term] = number
        return number


def table_of(parts: Iterable[Postings]) -> Table:
    """The kernels' view of `parts`, which must outlive its use."""
    rows = [part.row for part in parts]
    return np.array(rows, dtype=np.int64).reshape(len(rows), kernels.COLUMNS)


def build(
    first: int, last: int, partition: int, numbers: Numbers, lengths: Numbers, hashes: Hashes, formula: Formula
) -> Postings:
    """Postings of the chunks `numbers`, ascending, of which chunk i has the next `lengths[i]` of the terms `hashes`."""
    terms, term_of = np.unique(hashes, return_inverse=True)
    keys = np.sort(term_of * partition + np.repeat(numbers % partition, lengths))
    starts = np.flatnonzero(np.diff(keys, prepend=-1))  # one key for each pair of term and chunk
    frequencies = np.diff(starts, append=len(keys))
    pairs = keys[starts]
    offsets = np.searchsorted(pairs, np.arange(len(terms) + 1) * partition)
    row_lengths = np.full(last - first + 1, ABSENT, dtype=np.uint32)
    row_lengths[numbers - first] = lengths
    wide = len(frequencies) > 0 and frequencies.max() > np.iinfo(np.uint8).max
    arrays: dict[str, NDArray[Any]] = {
        "hashes": terms,
        "offsets": offsets.astype(np.uint32),
        "rows": (pairs % partition).astype(np.uint16),
        "frequencies": frequencies.astype(np.uint32 if wide else np.uint8),
        "lengths": row_lengths,
    }
    return _with_bounds(first, last, partition, arrays, formula)


def merged(parts: Sequence[Postings], formula: Formula, kept: Bits | None = None) -> Postings:
    """One for adjacent `parts` of one partition, without the chunks that are not in `kept`, if that is given."""
    table = table_of(parts)
    n_postings = sum(len(part.arrays["rows"]) for part in parts)
    n_terms = sum(len(part.arrays["hashes"]) for part in parts)
    wide = any(part.arrays["frequencies"].dtype == np.uint32 for part in parts)
    hashes, offsets = np.empty(n_terms, dtype=np.uint64), np.empty(n_terms + 1, dtype=np.uint32)
    rows = np.empty(n_postings, dtype=np.uint16)
    frequencies: NDArray[Any] = np.empty(n_postings, dtype=np.uint32 if wide else np.uint8)
    bits = _NO_BITS if kept is None else kept
    terms = kernels.merge(table, bits, kept is None, hashes, offsets, rows, frequencies)
    used = int(offsets[terms])
    lengths = np.concatenate([part.arrays["lengths"] for part in parts])
    first, last = parts[0].first, parts[-1].last
    if kept is not None:
        mask = np.unpackbits(kept[first >> 3 : (last >> 3) + 1], bitorder="little")[first & 7 :][: len(lengths)]
        lengths[: len(mask)][mask == 0] = ABSENT
        lengths[len(mask) :] = ABSENT
    arrays: dict[str, NDArray[Any]] = {
        "hashes": hashes[:terms].copy(),
        "offsets": offsets[: terms + 1].copy(),
        "rows": rows[:used].copy() if used < n_postings else rows,
        "frequencies": frequencies[:used].copy() if used < n_postings else frequencies,
        "lengths": lengths,
    }
    return _with_bounds(first, last, parts[0].partition, arrays, formula)


def differing(part: Postings, numbers: Numbers, rows: Sequence[Sequence[str]]) -> Numbers:
    """Those of the chunks `numbers`, ascending, that `part` has with other terms than `rows`; others are left out."""
    common = np.isin(numbers, part.numbers())
    numbers, kept = numbers[common], [row for row, there in zip(rows, common.tolist(), strict=True) if there]
    if not len(numbers):
        return numbers
    lengths = np.fromiter(map(len, kept), np.int64, len(kept))
    hashes = np.fromiter(map(TermHashes().__getitem__, chain.from_iterable(kept)), np.uint64, int(lengths.sum()))
    formula = Formula(1.5, 0.75)
    wanted = build(part.first, part.last, part.partition, numbers, lengths, hashes, formula)
    held = merged([part], formula, Visible.of(numbers, part.last + 1).bits)
    held_otherwise = np.setxor1d(_triples(held), _triples(wanted))["row"].astype(np.int64)
    of_other_length = np.flatnonzero(held.arrays["lengths"] != wanted.arrays["lengths"])
    return np.union1d(held_otherwise + part.first - part.first % part.partition, of_other_length + part.first)


def _triples(part: Postings) -> NDArray[Any]:
    """Each posting's term, row and frequency."""
    arrays = part.arrays
    found = np.empty(len(arrays["rows"]), dtype=[("term", np.uint64), ("row", np.uint16), ("frequency", np.uint32)])
    offsets = arrays["offsets"].astype(np.int64)
    found["term"] = np.repeat(arrays["hashes"], offsets[1:] - offsets[:-1])
    found["row"], found["frequency"] = arrays["rows"], arrays["frequencies"]
    return found


def facts_of(part: Postings, formula: Formula) -> dict[str, Any]:
    """What the manifest says of it."""
    return {
        "first": part.first,
        "last": part.last,
        "partition": part.partition,
        "average": part.average,
        "k1": formula.k1,
        "b": formula.b,
    }


def from_segment(segment: Segment, formula: Formula) -> Postings:
    """What was written with the facts of `facts_of`. Bounds for another formula are made anew, and kept in memory."""
    facts = segment.facts
    arrays = {name: np.asarray(array) for name, array in segment.arrays.items()}  # numpy's memmap class is slow to use
    part = Postings(segment.first, segment.last, facts["partition"], arrays, facts["average"], segment)
    if (facts["k1"], facts["b"]) == (formula.k1, formula.b):
        return part
    return replace(_with_bounds(part.first, part.last, part.partition, arrays, formula), segment=segment)


def _with_bounds(first: int, last: int, partition: int, arrays: dict[str, NDArray[Any]], formula: Formula) -> Postings:
    present = arrays["lengths"][arrays["lengths"] != ABSENT]
    length = int(present.sum(dtype=np.int64))
    average = length / len(present) if length else 1.0
    for array in arrays.values():
        array.flags.writeable = False  # read-only ones are another type to the compiler; all are
    arrays["bounds"] = kernels.bounds(
        arrays["offsets"],
        arrays["rows"],
        arrays["frequencies"],
        arrays["lengths"],
        first % partition,
        formula.floor,
        formula.slope(average),
    )
    return Postings(first, last, partition, arrays, average)
