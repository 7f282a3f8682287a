"""What BM25 counts over the visible chunks: how many there are, how long, and how many contain a term.

Counted for each set of visible chunks, so that no number leaks from chunks that the caller can't see. Counting starts
from the statistics of a similar set if there is one, such as the head before the last commit, and costs what the change
costs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval import bm25_kernels as kernels
from retrieval.bm25_kernels import Hashes, Table
from retrieval.postings import Numbers, Postings
from retrieval.visibility import Visible

Variant = Literal["lucene", "okapi"]

MAX_CHANGES = 256  # beyond, document frequencies are counted anew
MAX_TERMS = 8192  # whose document frequencies are kept
_WORTH = 128  # postings that are counted in the time that looking a term up in one chunk takes, about


@dataclass(frozen=True, eq=False)
class Weighing:
    """How an idf is made of a document frequency.

    `lucene`: ln(1 + (N - df + 0.5) / (df + 0.5)). `okapi`: ln(N - df + 0.5) - ln(df + 0.5), where that is negative
    `epsilon` times the mean of it over the vocabulary, all times k1 + 1: BM25Okapi of the package rank-bm25.
    """

    variant: Variant
    epsilon: float
    k1: float

    def weight(self, frequency: int, count: int, floor: float) -> float:
        """`floor` is what a negative idf is replaced by, for `okapi`."""
        if self.variant == "lucene":
            return math.log(1 + (count - frequency + 0.5) / (frequency + 0.5))
        idf = _plain_idf(frequency, count)
        return (self.k1 + 1) * (floor if idf < 0 else idf)


@dataclass(frozen=True, eq=False)
class View:
    """The segments in use at a time, in order, and the kernels' table of them."""

    parts: tuple[Postings, ...]
    table: Table
    averages: NDArray[np.float64]

    @property
    def last(self) -> int:
        return self.parts[-1].last if self.parts else 0

    def part_of(self, number: int) -> Postings | None:
        return next((part for part in self.parts if part.first <= number <= part.last), None)


class Statistics:
    """The counts over one visible set. Threads may share it: a count that two make at once is the same count.

    Chunks never change; so counts hold for any `view` that covers the set.
    """

    def __init__(self, view: View, visible: Visible, weighing: Weighing) -> None:
        """Counts over the set from nothing; document frequencies when they are asked for."""
        self.bits = visible.bits
        self.count = visible.count
        self._weighing = weighing
        self._whole: tuple[View, NDArray[np.bool_]] | None = None
        self._changes = _NO_CHANGES
        # Document frequency by hash, and how many of the changes it knows of.
        self._frequencies: dict[int, tuple[int, int]] = {}
        self._weights: dict[int, float | None] = {}
        self._histogram: Counter[int] | None = None  # how many terms there are of each document frequency
        whole, covered = self._shown_in(view)
        self.complete = covered == self.count
        self.length = int(kernels.shown_length(view.table, whole, self.bits))
        self._floor: float | None = None

    def after(self, view: View, visible: Visible) -> Statistics | None:
        """The counts over another set, if it differs by few chunks."""
        numbers, signs = kernels.difference(self.bits, visible.bits, MAX_CHANGES // 2)
        if len(numbers) > MAX_CHANGES // 2:
            return None
        other = Statistics.__new__(Statistics)
        other.bits, other.count, other._weighing = visible.bits, visible.count, self._weighing
        other._whole, other._weights, other._floor = None, {}, None
        other._changes, other._frequencies = self._changes, dict(self._frequencies)
        if len(self._changes[0]) + len(numbers) > MAX_CHANGES:
            known = len(self._changes[0])
            other._frequencies = {term: (df, 0) for term, (df, at) in other._frequencies.items() if at == known}
            other._changes = _NO_CHANGES
        other._changes = (
            np.concatenate([other._changes[0], numbers]),
            np.concatenate([other._changes[1], signs]),
        )
        other.complete = other._shown_in(view)[1] == other.count
        other.length = self.length + sum(
            sign * _length_of(view, number) for number, sign in zip(numbers.tolist(), signs.tolist(), strict=True)
        )
        other._histogram = None
        if self._histogram is not None:
            other._histogram = other._changed_histogram(view, self._histogram, numbers, signs)
        return other

    def whole(self, view: View) -> NDArray[np.bool_]:
        """Which segments of the view have all their chunks in the set."""
        return self._shown_in(view)[0] if self._whole is None or self._whole[0] is not view else self._whole[1]

    def weights(self, view: View, terms: Collection[int]) -> list[float | None]:
        """The weight of each of the terms (hashes); None if no chunk of the set contains it."""
        weights = self._weights
        try:
            return list(map(weights.__getitem__, terms))
        except KeyError:  # some are not known yet
            pass
        missing = [term for term in terms if term not in weights]
        if missing:
            floor = self._idf_floor(view) if self._weighing.variant == "okapi" and self.length else 0.0
            for term, frequency in zip(missing, self.frequencies(view, missing), strict=True):
                weights[term] = self._weighing.weight(frequency, self.count, floor) if frequency else None
        if len(weights) > MAX_TERMS:
            self._weights = {}
        return [weights[term] for term in terms]

    def frequencies(self, view: View, terms: Sequence[int]) -> list[int]:
        """The document frequency of each of the terms (hashes), distinct."""
        known = len(self._changes[0])
        found = [self._frequencies.get(term, _UNKNOWN) for term in terms]
        # Going through the changes pays as long as there are few for the postings to be counted.
        outdated = [i for i, (_, at) in enumerate(found) if at < known or at < 0]
        stale = [i for i in outdated if found[i][1] >= 0 and _WORTH * (known - found[i][1]) <= found[i][0]]
        anew = [i for i in outdated if i not in stale]
        result = [df for df, _ in found]
        if stale:
            counts = np.array([found[i][0] for i in stale], dtype=np.int64)
            positions = np.array([found[i][1] for i in stale], dtype=np.int64)
            kernels.add_changes(view.table, *self._changes, _hashes([terms[i] for i in stale]), positions, counts)
            for i, count in zip(stale, counts.tolist(), strict=True):
                result[i] = count
        if anew:
            wanted = _hashes([terms[i] for i in anew])
            counts = kernels.document_frequencies(view.table, self.whole(view), self.bits, wanted)
            for i, count in zip(anew, counts.tolist(), strict=True):
                result[i] = count
        if stale or anew:
            if len(self._frequencies) + len(anew) > MAX_TERMS:
                self._frequencies = {}
            self._frequencies.update((terms[i], (result[i], known)) for i in [*stale, *anew])
        return result

    def _shown_in(self, view: View) -> tuple[NDArray[np.bool_], int]:
        """Which segments are wholly in the set, and how many numbers of the set the view covers."""
        shown = kernels.shown(view.table, self.bits)
        whole: NDArray[np.bool_] = shown == view.table[:, kernels.CHUNKS]
        self._whole = (view, whole)
        return whole, int(shown.sum())

    def _idf_floor(self, view: View) -> float:
        """What replaces a negative idf: a fraction of the mean over the vocabulary."""
        if self._floor is None:
            if self._histogram is None:
                self._histogram = self._counted_histogram(view)
            # In a fixed order, so that the sum is the same whatever the history.
            total = math.fsum(terms * _plain_idf(df, self.count) for df, terms in self._histogram.items())
            self._floor = self._weighing.epsilon * total / self._histogram.total()
        return self._floor

    def _counted_histogram(self, view: View) -> Counter[int]:
        whole = self.whole(view)
        hashes = np.concatenate([part.arrays["hashes"] for part in view.parts])
        counts = np.concatenate(
            [
                kernels.all_document_frequencies(row, shown, self.bits)
                for row, shown in zip(view.table, whole.tolist(), strict=True)
            ]
        )
        order = np.argsort(hashes)
        starts = np.flatnonzero(np.diff(hashes[order], prepend=~hashes[order[:1]]))
        frequencies, terms = np.unique(np.add.reduceat(counts[order], starts), return_counts=True)
        histogram = Counter(dict(zip(frequencies.tolist(), terms.tolist(), strict=True)))
        del histogram[0]  # in no visible chunk
        return histogram

    def _changed_histogram(
        self, view: View, before: Counter[int], numbers: Numbers, signs: Numbers
    ) -> Counter[int] | None:
        gained: Counter[int] = Counter()
        for number, sign in zip(numbers.tolist(), signs.tolist(), strict=True):
            part = view.part_of(number)
            if part is None:
                return None
            for term in part.terms_of(number).tolist():
                gained[term] += sign
        histogram = before.copy()
        changed = [term for term, gain in gained.items() if gain]
        for term, frequency in zip(changed, self.frequencies(view, changed), strict=True):
            histogram[frequency] += 1
            histogram[frequency - gained[term]] -= 1
        return Counter({df: terms for df, terms in histogram.items() if df and terms})


_NO_CHANGES: tuple[Numbers, Numbers] = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
_UNKNOWN = (0, -1)


def _plain_idf(frequency: int, count: int) -> float:
    return math.log(count - frequency + 0.5) - math.log(frequency + 0.5)


def _hashes(terms: Sequence[int]) -> Hashes:
    return np.array(terms, dtype=np.uint64)


def _length_of(view: View, number: int) -> int:
    part = view.part_of(number)
    length = kernels.ABSENT if part is None else int(part.arrays["lengths"][number - part.first])
    return 0 if length == kernels.ABSENT else length
