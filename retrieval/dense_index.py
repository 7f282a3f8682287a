"""The dense half of the index: the chunks whose vectors have the largest inner products with a query's.

Vectors are quantised one by one (`quantisation.py`), and scores are the inner products with what the codes stand for.
So a chunk's score depends on its vector and the query and on nothing else: not on segments, nor on what came before.

A search among few visible chunks scores each of them. Among many it reads their sketches, and scores those chunks that
can be among the best as far as their sketch tells. What it finds is a function of query, `k` and what is visible, too;
against scoring all of them it misses about one in some thousands (`recall`, `benchmarks/dense.py`).

Nothing is trained and there is no graph: adding costs what is added, hiding and removing costs nothing in the index,
segments are written once and are mapped into memory, and merging them is concatenation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.coverage import Ranges, clipped, gaps, union, without
from retrieval.dense_kernels import scan_codes, scan_sketches
from retrieval.dense_rows import Rows, Tail
from retrieval.dense_upkeep import Kept, Sealed, Upkeep, pieces, to_merge
from retrieval.halves import VectorsOf
from retrieval.idle_cores import IdleCores
from retrieval.quantisation import LARGEST, Query, dequantise, quantise_query
from retrieval.ranking import Ranking, nothing
from retrieval.segments import Segment, SegmentStore
from retrieval.visibility import Visible

Numbers = NDArray[np.int64]

# Of what segments hold, `quantisation.py` included. Whoever makes the store puts it into its identity.
FORMAT = 1

# Up to so many visible chunks each is scored. Measured (`benchmarks/dense.py`): about 0.5 ms for 20,000 of 384
# dimensions, where sketches take a third of that; at 200,000 they take a fifteenth.
EXACT_UP_TO = 20_000


_COMPARED_TOGETHER = 4096


@dataclass(frozen=True, slots=True)
class _State:
    """All that a search reads, never changed: whoever changes the index puts another one in its place."""

    sealed: tuple[Sealed, ...]
    tail: Tail


class DenseIndex:
    """See `halves.DenseHalf`, whose methods these are. Any of them may be called from any thread, at any time.

    A search of many rows uses idle cores; a process may be forked all the same. A child that writes needs its own
    lease, as ever.
    """

    def __init__(
        self,
        store: SegmentStore | None,
        dimension: int,
        *,
        centre: Vectors | None = None,
        exact_up_to: int = EXACT_UP_TO,
        upkeep: Upkeep | None = None,
        idle_cores: IdleCores | None = None,
    ) -> None:
        """Opens the segments of `store` (None: all stays in memory), whose `problems` then tell what was left out.

        `centre`, float32 of shape (dimension,), is about the mean of the space's vectors, or nothing. Scores do not
        depend on it, the cost of searches among many chunks does. It must be the same for all that `store` ever holds,
        and so belongs to its identity.

        Raises ValueError when they hold vectors of another dimension, which `store`'s identity should have told apart.
        """
        self._store = store
        self._dimension = dimension
        self._centre = np.zeros(dimension, dtype=np.float32) if centre is None else _checked(centre, "the centre")
        self._exact_up_to = exact_up_to
        self._upkeep = upkeep or Upkeep()
        self._idle_cores = idle_cores or IdleCores()
        opened = store.open() if store else []
        sealed = tuple(_sealed(segment, dimension) for segment in opened)
        self._state = _State(sealed, Tail.empty(dimension))
        self._turn = 0  # of the segments, to be looked at for purged chunks
        self._changing = threading.Lock()  # held while `_state` is replaced
        self._writing = threading.Lock()  # held by whoever replaces segments, and taken first

    def __len__(self) -> int:
        state = self._state
        return state.tail.rows.count + sum(part.rows.count for part in state.sealed)

    @property
    def last(self) -> int:
        return max((end for _, end in _covered(self._state)), default=0)

    @property
    def nbytes(self) -> int:
        state = self._state
        return state.tail.rows.nbytes + state.tail.arrivals.nbytes + sum(part.rows.nbytes for part in state.sealed)

    @property
    def exact_up_to(self) -> int:
        """Up to so many visible chunks a search scores each of them."""
        return self._exact_up_to

    @property
    def unwritten(self) -> int:
        return self._state.tail.rows.count

    @property
    def segments(self) -> int:
        """Segments on disk."""
        return len(self._state.sealed)

    def numbers(self) -> Numbers:
        """All chunks held, ascending, visible or not."""
        state = self._state
        parts = [rows.chunks[: rows.count] for rows in (*(part.rows for part in state.sealed), state.tail.rows)]
        return np.sort(np.concatenate(parts)).astype(np.int64)

    def unlike(self, vectors_of: VectorsOf) -> Numbers:
        state = self._state
        found = [np.empty(0, dtype=np.int64)]
        for rows in (*(part.rows for part in state.sealed), state.tail.rows.trimmed()):
            for start in range(0, rows.count, _COMPARED_TOGETHER):
                part = rows.taken(slice(start, min(start + _COMPARED_TOGETHER, rows.count)))
                chunks, vectors = vectors_of(part.chunks.astype(np.int64))
                wanted = Rows.of(chunks, _checked(vectors, "a vector"), self._centre)
                _, held, given = np.intersect1d(part.chunks, wanted.chunks, return_indices=True)
                found.append(wanted.chunks[given][part.taken(held).differing(wanted.taken(given))].astype(np.int64))
        return np.unique(np.concatenate(found))

    def gaps(self) -> list[tuple[int, int]]:
        return gaps(_covered(self._state))

    def add(self, arrivals: Numbers, chunks: Numbers, vectors: Vectors, first: int, last: int) -> None:
        """Covers `first` to `last`; `vectors` is float32 of shape (n, dimension), one for each of `chunks`.

        Raises ValueError for other shapes, for numbers that are not finite or above `quantisation.LARGEST`, and for
        arrivals outside the range or in one that is covered.
        """
        if vectors.shape != (len(chunks), self._dimension) or arrivals.shape != chunks.shape:
            raise ValueError(
                f"{len(arrivals)} arrivals and {len(chunks)} chunks came with vectors of shape {vectors.shape}; "
                f"the index holds rows of {self._dimension} numbers"
            )
        if last < first or (len(arrivals) and not first <= arrivals.min() <= arrivals.max() <= last):
            raise ValueError(f"arrivals must be within {first} to {last}")
        rows = Rows.of(chunks, _checked(vectors, "a vector"), self._centre)
        with self._changing:
            state = self._state
            if clipped(_covered(state), first, last):
                raise ValueError(f"arrivals {first} to {last} are covered, or some of them")
            tail = state.tail.with_rows(rows, arrivals, union([*state.tail.covered, (first, last)]))
            self._state = replace(state, tail=tail)

    def search(self, query: Vectors, k: int, visible: Visible) -> Ranking:
        """The `k` visible chunks of largest inner product, and all that tie with the last of them; ties by number.

        `query` is float32 of shape (dimension,), of finite numbers up to `quantisation.LARGEST` (else ValueError).
        """
        return self._search(query, k, visible, exact=visible.count <= self._exact_up_to)

    def recall(self, visible: Visible, queries: Vectors | None = None, k: int = 10) -> float | None:
        """The share of the `k` best that `search` finds, of those that scoring every visible chunk finds.

        `queries` is float32 of shape (n, dimension); without them, some 30 of the visible chunks are asked for their
        neighbours. None when there is nothing to ask.
        """
        asked = self._sample(visible, 30) if queries is None else queries
        shares = []
        for query in asked:
            expected, _ = self._search(query, k, visible, exact=True)
            found, _ = self.search(query, k, visible)
            if len(expected):
                shares.append(len(np.intersect1d(expected, found)) / len(expected))
        return float(np.mean(shares)) if shares else None

    def maintain(self, kept: Visible) -> bool:
        """Writes what is worth it, merges, drops chunks not in `kept`: a bounded amount. False: nothing was due.

        Only for the process that may write. What was added since the last call is written as a whole. Chunks above the
        highest in `kept` came after it was made, and stay. A call looks at one segment for purged chunks; where they
        are few they stay until it is merged.
        """
        keeping = Kept.at_least(kept)
        with self._writing:
            state = self._state
            if self._store is None:
                return self._purge_tail(keeping)
            if state.tail.rows.count >= self._upkeep.sealed:
                self._seal(self._store, keeping)
                return True
            due = to_merge(state.sealed, self._upkeep) or self._to_purge(keeping)
            if due:
                self._rewrite(self._store, [due], keeping.holds)
            return bool(due)

    def seal(self) -> None:
        """Writes what is in memory, as when the process ends."""
        with self._writing:
            if self._store is not None and self._state.tail.covered:
                self._seal(self._store, Kept.all())

    def forget(self, chunks: Numbers) -> None:
        """Takes the chunks out of memory and files at once."""
        with self._writing:
            holding = [part for part in self._state.sealed if np.isin(part.rows.chunks, chunks).any()]
            if self._store is not None and holding:
                groups = [[part] for part in holding]
                self._rewrite(self._store, groups, lambda its: ~np.isin(its, chunks))
            with self._changing:
                tail = self._state.tail
                gone = np.isin(tail.rows.trimmed().chunks, chunks)
                if gone.any():
                    self._state = replace(self._state, tail=tail.without(gone, tail.covered))

    def _search(self, query: Vectors, k: int, visible: Visible, *, exact: bool) -> Ranking:
        if query.shape != (self._dimension,):
            raise ValueError(f"the query has shape {query.shape}, the index holds rows of {self._dimension} numbers")
        state = self._state
        parts = [rows for rows in (*(part.rows for part in state.sealed), state.tail.rows) if rows.count]
        k = min(k, visible.count)
        if k < 1 or not parts:
            return nothing()
        parts.sort(key=lambda rows: rows.count, reverse=True)  # the more is known, the less is scored in what follows
        asked = quantise_query(_checked(query, "the query"), self._centre)

        def scanned(share: Sequence[Rows]) -> _Hits:
            return _hits(share, asked, k, visible, exact)

        hits = self._idle_cores.deal(scanned, parts, sum(rows.count for rows in parts))
        least = np.sort(np.concatenate([its.best for its in hits]))[-k]
        return _ranked(
            np.concatenate([its.chunks for its in hits]), np.concatenate([its.scores for its in hits]), least
        )

    def _sample(self, visible: Visible, size: int) -> Vectors:
        """Vectors of up to about `size` visible chunks, evenly spread over the rows."""
        state = self._state
        taken = []
        for rows in (*(part.rows for part in state.sealed), state.tail.rows):
            places = np.flatnonzero(visible.holds(rows.chunks[: rows.count].astype(np.int64)))
            its = rows.taken(places[:: max(1, visible.count // size)])
            taken.append(dequantise(its.codes.codes, its.codes.scales))
        return np.concatenate(taken)

    def _seal(self, store: SegmentStore, kept: Kept) -> None:
        """Writes the tail as it is now; what is added meanwhile stays in memory."""
        tail = self._state.tail
        new = [self._written(store, rows, covered) for rows, covered in pieces(tail, kept, self._upkeep.full)]
        sealed = (*self._state.sealed, *new)
        store.commit([part.segment for part in sealed])
        with self._changing:
            longer = self._state.tail
            written = np.arange(longer.rows.count) < tail.rows.count
            self._state = _State(sealed, longer.without(written, without(longer.covered, tail.covered)))

    def _rewrite(
        self,
        store: SegmentStore,
        groups: Sequence[Sequence[Sealed]],
        keeps: Callable[[NDArray[np.uint32]], NDArray[np.bool_]],
    ) -> None:
        """Each group of segments becomes one, of the chunks that `keeps` holds true for."""
        new = []
        for group in groups:
            rows = Rows.joined([part.rows for part in group])
            new.append(
                self._written(
                    store, rows.taken(keeps(rows.chunks)), union(its for part in group for its in part.covered)
                )
            )
        old = {part.segment.name for group in groups for part in group}
        left_alone = [part for part in self._state.sealed if part.segment.name not in old]
        sealed = tuple(sorted([*left_alone, *new], key=lambda part: part.segment.first))
        store.commit([part.segment for part in sealed])
        with self._changing:
            self._state = replace(self._state, sealed=sealed)

    def _written(self, store: SegmentStore, rows: Rows, covered: Ranges) -> Sealed:
        facts = {"first": covered[0][0], "last": covered[-1][1], "covered": covered}
        return _sealed(store.write(rows.arrays(), facts), self._dimension)

    def _to_purge(self, kept: Kept) -> list[Sealed]:
        """A segment of which enough was purged to be worth rewriting it. Each call looks at one of them, in turn."""
        sealed = self._state.sealed
        if not sealed:
            return []
        self._turn = (self._turn + 1) % len(sealed)
        part = sealed[self._turn]
        return [part] if kept.purged(part.rows) > self._upkeep.purged_share * part.rows.count else []

    def _purge_tail(self, kept: Kept) -> bool:
        with self._changing:
            tail = self._state.tail
            gone = ~kept.holds(tail.rows.trimmed().chunks)
            due = bool(np.count_nonzero(gone) > self._upkeep.purged_share * tail.rows.count)
            if due:
                self._state = replace(self._state, tail=tail.without(gone, tail.covered))
            return due


def _sealed(segment: Segment, dimension: int) -> Sealed:
    return Sealed(segment, Rows.of_segment(segment, dimension), union(map(tuple, segment.facts["covered"])))


def _covered(state: _State) -> Ranges:
    return union([*state.tail.covered, *(its for part in state.sealed for its in part.covered)])


@dataclass(frozen=True, slots=True)
class _Hits:
    """Chunks that reach the least of `best`, the best scores of a share of the rows, with their scores."""

    best: NDArray[np.float64]
    chunks: NDArray[np.uint32]
    scores: NDArray[np.float64]


def _hits(share: Sequence[Rows], query: Query, k: int, visible: Visible, exact: bool) -> _Hits:
    """`share` is ordered by size, the largest first."""
    best = np.full(k, -np.inf)
    found, scores = np.empty(share[0].count, dtype=np.uint32), np.empty(share[0].count)
    taken = []
    for rows in share:
        count = _scan(rows, query, visible, exact, best, found, scores)
        reaching = scores[:count] >= best[0]
        taken.append((found[:count][reaching], scores[:count][reaching]))
    return _Hits(best, np.concatenate([its for its, _ in taken]), np.concatenate([its for _, its in taken]))


def _scan(
    rows: Rows,
    query: Query,
    visible: Visible,
    exact: bool,
    best: NDArray[np.float64],
    found: NDArray[np.uint32],
    scores: NDArray[np.float64],
) -> int:
    codes, count = rows.codes, rows.count
    if exact:
        return scan_codes(
            count, rows.chunks, codes.codes, codes.scales, visible.bits, query.values, query.step, best, found, scores
        )
    return scan_sketches(
        count,
        rows.chunks,
        codes.codes,
        codes.scales,
        codes.signs,
        codes.factors,
        visible.bits,
        query.values,
        query.step,
        query.planes,
        query.slope,
        query.offset,
        query.base,
        best,
        found,
        scores,
    )


def _ranked(chunks: NDArray[np.uint32], scores: NDArray[np.float64], least: float) -> Ranking:
    reaching = scores >= least
    chunks, scores = chunks[reaching], scores[reaching]
    order = np.lexsort((chunks, -scores))
    return chunks[order].astype(np.int64), scores[order]


def _checked(vectors: Vectors, what: str) -> Vectors:
    """As float32. What is not finite can't be ranked, and the bounds of sketches would overflow far above `LARGEST`."""
    narrow = vectors.astype(np.float32, copy=False)
    if not (np.abs(narrow) <= LARGEST).all():
        raise ValueError(f"{what} holds NaN, infinity or a number above {LARGEST:g}")
    return narrow
