"""The lexical half of the index: BM25 that is exact for any set of visible chunks, and follows additions at their cost.

    add       new chunks become a small segment in memory; small ones are merged by size
    maintain  the tail in memory is written to disk once it is long enough; small segments are merged; chunks that no
              kept revision shows are dropped
    search    statistics over the visible chunks, then the best of them over all segments

A search takes the list of segments once and holds no lock; whatever happens to it meanwhile makes a new list.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise
from weakref import ref

import numpy as np

from retrieval import bm25_kernels as kernels
from retrieval.bm25_statistics import Statistics, Variant, View, Weighing
from retrieval.halves import TermsOf
from retrieval.postings import (
    Formula,
    Numbers,
    Postings,
    TermHashes,
    build,
    differing,
    facts_of,
    from_segment,
    merged,
    table_of,
)
from retrieval.ranking import Ranking, nothing
from retrieval.segments import SegmentStore
from retrieval.visibility import Visible

# Of what segments hold. Whoever makes the store puts it into its identity.
FORMAT = 1

PARTITION = 1 << 16
SEALED_AT = 1024  # chunks in memory that are worth a segment on disk
MOST_PURGED = 0.2  # of a segment's chunks may be purged ones, before it is rewritten
_REMEMBERED = 16  # visible sets whose statistics are kept


class Bm25Index:
    """BM25 over chunks by number. A chunk's terms never change, and a number is never used for another chunk.

    A chunk scores, summed over the terms of the query (n times for a term that occurs n times),

        idf * tf / (tf + k1 * (1 - b + b * length / average length))

    with the idf of `Weighing`, and number of chunks, document frequencies and average length of the visible chunks
    alone. `lucene` is "Lucene (accurate)" of Kamphuis, de Vries, Boytsov and Lin, "Which BM25 Do You Mean?", ECIR 2020,
    and equals the method `lucene` of bm25s; `okapi` equals BM25Okapi of rank-bm25. Scores don't depend on how chunks
    were added, merged or written; bit for bit.

    Any method may be called from any thread. `maintain`, `seal` and `forget` write to the store and are only for the
    process that may.
    """

    def __init__(
        self,
        store: SegmentStore | None,
        *,
        k1: float = 1.5,
        b: float = 0.75,
        variant: Variant = "lucene",
        epsilon: float = 0.25,
        partition: int = PARTITION,
        sealed_at: int = SEALED_AT,
    ) -> None:
        """Opens what is in `store`; None keeps all in memory. `partition` is a power of two of at least 8."""
        if partition < 8 or partition > PARTITION or partition & (partition - 1):
            raise ValueError(f"the partition's size is {partition}: choose a power of two from 8 to {PARTITION}")
        self._store = store
        self._formula = Formula(k1, b)
        self._weighing = Weighing(variant, epsilon, k1)
        self._partition = partition
        self._sealed_at = sealed_at
        self._hashes = TermHashes()
        self._swapping = threading.Lock()  # held for moments, to replace the list of segments
        self._maintaining = threading.Lock()  # held by whoever rewrites segments
        self._frozen_through = 0  # chunks up to this number stand in segments that `add` leaves alone
        segments = [] if store is None else store.open()
        parts = [from_segment(segment, self._formula) for segment in segments]
        self._state = _State(tuple(part for part in parts if part.partition == partition), _Remembered())

    def __len__(self) -> int:
        """Chunks that are there, visible or not."""
        return sum(part.chunks for part in self._state.view.parts)

    @property
    def last(self) -> int:
        """The highest chunk number covered; 0 when there is none."""
        return self._state.view.last

    @property
    def nbytes(self) -> int:
        """What is held in memory, mapped files included."""
        return sum(part.bytes for part in self._state.view.parts)

    @property
    def unwritten(self) -> int:
        return sum(part.chunks for part in self._state.view.parts if part.segment is None)

    @property
    def segments(self) -> int:
        return len(self._state.view.parts)

    def numbers(self) -> Numbers:
        """The chunks held, ascending, visible or not."""
        return np.concatenate([np.empty(0, dtype=np.int64), *(part.numbers() for part in self._state.view.parts)])

    def unlike(self, terms_of: TermsOf) -> Numbers:
        found = [differing(part, *terms_of(part.first, part.last)) for part in self._state.view.parts]
        return np.concatenate([np.empty(0, dtype=np.int64), *found])

    def gaps(self) -> list[tuple[int, int]]:
        """Ranges of chunk numbers up to `last`, both ends included, that no segment covers: one was damaged.

        They are refilled by `add`, and searches are wrong until then.
        """
        ends = [(0, 0), *((part.first, part.last) for part in self._state.view.parts)]
        return [(before + 1, first - 1) for (_, before), (first, _) in pairwise(ends) if first > before + 1]

    def add(self, numbers: Numbers, rows: Sequence[Sequence[str]], first: int, last: int) -> None:
        """Takes up the chunks `numbers`, ascending, with their terms, in order and with repetitions.

        All chunks from `first` to `last` are covered then; those not among `numbers` don't exist. Raises ValueError for
        a range that is covered already.
        """
        _check(numbers, rows, first, last)
        if last < first:
            return
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        terms = chain.from_iterable(rows)
        hashes = np.fromiter(map(self._hashes.__getitem__, terms), np.uint64, int(lengths.sum()))
        ends = np.concatenate([[0], np.cumsum(lengths)])
        new = []
        for low in range(first - first % self._partition, last + 1, self._partition):
            start, end = max(low, first), min(low + self._partition - 1, last)
            i, j = np.searchsorted(numbers, [start, end + 1])
            own = hashes[ends[i] : ends[j]]
            new.append(build(start, end, self._partition, numbers[i:j], lengths[i:j], own, self._formula))
        with self._swapping:
            parts = self._state.view.parts
            if any(part.first <= last and first <= part.last for part in parts):
                raise ValueError(f"chunks {first} to {last} are covered already, at least some of them")
            self._replace((), new)
            self._merge_tail()

    def search(self, terms: Sequence[str], k: int, visible: Visible) -> Ranking:
        """The `k` best visible chunks that contain a term, and all others that tie with the last of them.

        Chunk numbers and scores, best first, equal scores by the smaller number.
        """
        state = self._state
        if k <= 0 or not terms or not state.view.parts:
            return nothing()
        view = state.view
        statistics = state.statistics(visible, self._weighing)
        times = self.counted(terms)
        weights = statistics.weights(view, times)
        if None in weights:
            times = {term: times[term] for term, weight in zip(times, weights, strict=True) if weight is not None}
            if not times:
                return nothing()
            weights = [weight for weight in weights if weight is not None]
        values = np.array(weights, dtype=np.float64)
        if len(times) < len(terms):
            values *= np.fromiter(times.values(), np.float64, len(times))
        average = statistics.length / statistics.count
        ranking: Ranking = kernels.search(
            view.table,
            view.averages,
            statistics.whole(view),
            visible.bits,
            np.fromiter(times, np.uint64, len(times)),
            values,
            self._formula.floor,
            self._formula.slope(average),
            average,
            k,
            bool(values.min() > 0),
        )
        return ranking

    def search_each(self, queries: Sequence[Sequence[str]], k: int, visible: Visible) -> list[Ranking]:
        """What `search` finds for each of the queries, in less time where there are many, as in an evaluation."""
        state = self._state
        if k <= 0 or not state.view.parts:
            return [nothing() for _ in queries]
        view = state.view
        statistics = state.statistics(visible, self._weighing)
        if not statistics.length:  # nor is there a term
            return [nothing() for _ in queries]
        terms = chain.from_iterable(queries)
        ends = np.cumsum(np.fromiter(map(len, queries), np.int64, len(queries)))
        hashes = np.fromiter(map(self._hashes.__getitem__, terms), np.uint64, int(ends[-1]) if len(ends) else 0)
        distinct, places = np.unique(hashes, return_inverse=True)
        weights = np.array(statistics.weights(view, distinct.tolist()), dtype=np.float64)  # None becomes NaN
        average = statistics.length / statistics.count
        numbers, scores, found = kernels.search_each(
            view.table,
            view.averages,
            statistics.whole(view),
            visible.bits,
            hashes,
            weights[places],
            ends,
            self._formula.floor,
            self._formula.slope(average),
            average,
            k,
        )
        bounds = [0, *found.tolist()]
        return [(numbers[start:end], scores[start:end]) for start, end in pairwise(bounds)]

    def maintain(self, kept: Visible) -> bool:
        """Does one piece of the work that is due, of at most one partition; False if there is none.

        `kept` are the chunks that some kept revision shows.
        """
        with self._maintaining:
            parts = self._state.view.parts
            if self._store is not None and (self.unwritten >= self._sealed_at or _fills_gap(parts)):
                self._seal()
                return True
            with self._swapping:
                if self._store is None:
                    self._frozen_through = self.last  # `add` merges what comes after, and nothing that is merged here
                parts = self._state.view.parts
            settled = [part for part in parts if self._store is None or part.segment is not None]
            due = _due(settled) or _mostly_purged(settled, kept)
            if not due:
                return False
            self._rewrite([due], kept)
            return True

    def seal(self) -> None:
        """Writes all that is in memory to disk, as when the process ends."""
        if self._store is not None:
            with self._maintaining:
                self._seal()

    def forget(self, numbers: Numbers) -> None:
        """Rewrites the segments that hold these chunks, so that no file holds their postings any more.

        The caller sees to it that no set it searches from now on contains them.
        """
        with self._maintaining:
            with self._swapping:
                self._frozen_through = self.last
                parts = self._state.view.parts
            due = [[part] for part in parts if part.holds_any(numbers)]
            covered = np.arange(self._frozen_through + 1)
            kept = Visible.of(np.setdiff1d(covered, numbers), self._frozen_through + 1)
            self._rewrite(due, kept)

    def counted(self, terms: Sequence[str]) -> dict[int, int]:
        """How often each term occurs, by the hash that files know it by, in the order of their first occurrence."""
        hashes = [*map(self._hashes.__getitem__, terms)]
        times = dict.fromkeys(hashes, 1)
        if len(times) < len(hashes):
            for term in times:
                times[term] = hashes.count(term)
        return times

    def _merge_tail(self) -> None:
        """Merges what `add` has made by size, so that there are few. Under the lock for swapping."""
        parts = self._state.view.parts
        due = _due([part for part in parts if part.segment is None and part.first > self._frozen_through])
        if due:
            self._replace(due, [merged(due, self._formula)])

    def _seal(self) -> None:
        with self._swapping:
            self._frozen_through = self.last
            tail = [part for part in self._state.view.parts if part.segment is None]
        if tail:
            self._rewrite(_neighbours(tail), None, sealing=True)

    def _rewrite(self, groups: Sequence[Sequence[Postings]], kept: Visible | None, *, sealing: bool = False) -> None:
        """Makes one segment of each group, on disk if the group is there or `sealing`, and takes them into use."""
        bits = None if kept is None else kept.bits
        new = [merged(group, self._formula, bits) for group in groups]
        if self._store is not None:
            on_disk = [sealing or group[0].segment is not None for group in groups]
            new = [
                _written(self._store, part, self._formula) if durable else part
                for part, durable in zip(new, on_disk, strict=True)
            ]
        old = [part for group in groups for part in group]
        dropped = sum(part.chunks for part in old) > sum(part.chunks for part in new)
        with self._swapping:
            self._replace(old, new, forgetting=dropped)
            parts = self._state.view.parts
        if self._store is not None:
            self._store.commit([part.segment for part in parts if part.segment is not None])

    def _replace(self, old: Sequence[Postings], new: Sequence[Postings], *, forgetting: bool = False) -> None:
        """A new list of segments. Statistics that were made of chunks which are gone are forgotten with them."""
        gone = {id(part) for part in old}
        parts = [part for part in self._state.view.parts if id(part) not in gone]
        parts = sorted([*parts, *new], key=lambda part: part.first)
        self._state = _State(tuple(parts), _Remembered() if forgetting else self._state.remembered)


def warm_up() -> None:
    """Compiles all kernels, or loads them from the disk, so that no user waits for it: seconds the first time."""
    index = Bm25Index(None, variant="okapi")
    index.add(np.array([1, 2]), [["a", "b", "b"], ["b", "c"]], 1, 2)
    index.add(np.array([3, 4]), [["b"] * 300, ["c"]], 3, 4)
    for shown in ([1, 2, 3], [1, 2, 3, 4], [1, 3, 4]):
        index.search(["a", "b", "c"], 1, Visible.of(np.array(shown), 5))
        index.search_each([["a", "b", "c"], []], 1, Visible.of(np.array(shown), 5))
    index.maintain(Visible.of(np.array([1]), 5))


class _Remembered:
    """The statistics of the visible sets searched last, by identity."""

    def __init__(self) -> None:
        self.entries: tuple[tuple[ref[Visible], Statistics], ...] = ()  # the last first

    def get(self, visible: Visible) -> Statistics | None:
        if self.entries and self.entries[0][0]() is visible:
            return self.entries[0][1]
        return next((statistics for known, statistics in self.entries if known() is visible), None)

    def put(self, visible: Visible, statistics: Statistics) -> None:
        self.entries = ((ref(visible), statistics), *self.entries)[:_REMEMBERED]


class _State:
    """The segments in use, and the statistics that hold for them."""

    def __init__(self, parts: tuple[Postings, ...], remembered: _Remembered) -> None:
        averages = np.array([part.average for part in parts], dtype=np.float64)
        self.view = View(parts, table_of(parts), averages)
        self.remembered = remembered

    def statistics(self, visible: Visible, weighing: Weighing) -> Statistics:
        found = self.remembered.get(visible)
        if found is not None:
            return found
        for _, similar in self.remembered.entries[:4]:
            statistics = similar.after(self.view, visible)
            if statistics is not None:
                break
        else:
            statistics = Statistics(self.view, visible, weighing)
        if statistics.complete:  # otherwise they change when the rest of the chunks comes in
            self.remembered.put(visible, statistics)
        return statistics


def _check(numbers: Numbers, rows: Sequence[Sequence[str]], first: int, last: int) -> None:
    if len(numbers) != len(rows):
        raise ValueError(f"{len(numbers)} numbers are given for {len(rows)} chunks")
    if first < 1 or last < first - 1:
        raise ValueError(f"chunks can't be added from number {first} to {last}")
    if len(numbers) and (numbers[0] < first or numbers[-1] > last or (np.diff(numbers) <= 0).any()):
        raise ValueError(f"the numbers of the chunks are not ascending within {first} to {last}")


def _neighbours(parts: Sequence[Postings]) -> list[list[Postings]]:
    """Runs of adjacent segments within a partition, which can be merged."""
    runs: list[list[Postings]] = []
    for part in parts:
        if runs and runs[-1][-1].last + 1 == part.first and part.first % part.partition:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _due(parts: Sequence[Postings]) -> list[Postings]:
    """A run to be merged: the newest ones, as long as the next is at most twice as large as all behind it together.

    So a posting is copied about log2 of the partition's size times, and there are about as many segments at most. A
    partition that is full is merged to one in the end.
    """
    runs = _neighbours(parts)
    for position, run in enumerate(runs):
        start, size = len(run) - 1, run[-1].size
        full = position < len(runs) - 1 and run[-1].last % run[-1].partition == run[-1].partition - 1
        while start > 0 and (full or run[start - 1].size <= 2 * size):
            start -= 1
            size += run[start].size
        if start < len(run) - 1:
            return run[start:]
    return []


def _mostly_purged(parts: Sequence[Postings], kept: Visible) -> list[Postings]:
    """A segment of which many chunks are not kept."""
    shown = kernels.shown(table_of(parts), kept.bits)
    for part, count in zip(parts, shown.tolist(), strict=True):
        if part.chunks - count > math.floor(MOST_PURGED * part.chunks):
            return [part]
    return []


def _fills_gap(parts: Sequence[Postings]) -> bool:
    return any(a.segment is None and b.segment is not None for a, b in pairwise(parts))


def _written(store: SegmentStore, part: Postings, formula: Formula) -> Postings:
    segment = store.write(part.arrays, facts_of(part, formula))
    return replace(from_segment(segment, formula), average=part.average)
