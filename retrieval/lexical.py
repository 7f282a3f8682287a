"""Lexical retrieval: BM25 over the rows that the caller may see, with the statistics of just these rows.

A row is a chunk's number, dense from 0 in the order of `add`. A match is a row that contains a term of the query,
whatever its score. Searches may run at the same time, but none during an `add`: the caller holds a lock.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking import Ranking, Rows, Visible, best, nothing


class LexicalIndex(Protocol):
    """Rows of terms, searched by terms."""

    def __len__(self) -> int:
        """Rows."""
        ...

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Appends rows, each a sequence of terms with repetitions."""
        ...

    def search(self, terms: Sequence[str], k: int, visible: Visible) -> Ranking:
        """The `k` best visible rows that contain a term, or all of those if they are fewer; ties by the smaller row.

        `visible` is bool of shape (rows,), and rows beyond its end are not visible. A term that occurs n times in
        `terms` counts n times.
        """
        ...


def lexical_index(engine: Literal["lucene", "rank-bm25"], *, k1: float, b: float) -> LexicalIndex:
    """The index behind the setting `lexical_engine`."""
    return Bm25Index(k1=k1, b=b) if engine == "lucene" else RankBm25Index(k1=k1, b=b)


class Bm25Index:
    """BM25 as Lucene has it, incremental, and exact for any set of visible rows.

    Raw term frequencies are kept, and document frequency, number of rows and average length are counted over the
    visible rows at each search. So an addition costs what it adds, a removal costs nothing, and no number leaks from
    hidden rows. A row scores, summed over the terms,

        ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * length / average length))

    Source: Kamphuis, de Vries, Boytsov and Lin, "Which BM25 Do You Mean? A Large-Scale Reproducibility Study of Scoring
    Variants", ECIR 2020, "Lucene (accurate)"; the method `lucene` of bm25s, which the tests compare with.
    """

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        self._k1, self._b = k1, b
        self._lengths = np.zeros(0)  # terms of each row, as float64
        # Term numbers are given in order of appearance; looked up with `get` when searching, which gives none.
        self._number_of: defaultdict[str, int] = defaultdict()
        self._number_of.default_factory = self._number_of.__len__
        # By term number: int32 of shape (2, capacity), rows (ascending) above frequencies, and how many are in use.
        self._postings: list[NDArray[np.int32]] = []
        self._used: list[int] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """See `LexicalIndex.add`. Costs less a row when many are added at once."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        numbers = np.fromiter((self._number_of[term] for term in chain.from_iterable(rows)), np.int64, lengths.sum())
        new = len(self._number_of) - len(self._postings)
        self._postings += [np.empty((2, 0), dtype=np.int32)] * new
        self._used += [0] * new
        # One key for each pair of term and row, so that sorting groups by term, in it by row, and counts frequencies.
        span = max(1, len(rows))
        keys, frequencies = np.unique(numbers * span + np.repeat(np.arange(len(rows)), lengths), return_counts=True)
        added = np.array([keys % span + len(self), frequencies], dtype=np.int32)
        terms, starts = np.unique(keys // span, return_index=True)
        for term, (start, end) in zip(terms.tolist(), pairwise([*starts.tolist(), len(keys)]), strict=True):
            self._append(term, added[:, start:end])
        self._lengths = np.concatenate([self._lengths, lengths])

    def search(self, terms: Sequence[str], k: int, visible: Visible) -> Ranking:
        """See `LexicalIndex.search`."""
        _check(visible, len(self))
        count = int(np.count_nonzero(visible))
        # Not by `@`: that goes to BLAS, whose threads cost more to wake than the sum takes.
        length = float((self._lengths[: len(visible)] * visible).sum())
        scores = np.zeros(len(visible))
        matched = np.zeros(len(visible), dtype=np.bool_)
        for term, times in Counter(terms).items():
            rows, frequencies = self._visible_postings(term, visible)
            if not len(rows):
                continue
            idf = math.log(1 + (count - len(rows) + 0.5) / (len(rows) + 0.5))
            # frequencies / (frequencies + k1 * (1 - b + b * length / average length)), without temporary arrays
            parts = self._lengths.take(rows)
            parts *= self._k1 * self._b * count / length
            parts += self._k1 * (1 - self._b)
            parts += frequencies
            np.divide(frequencies, parts, out=parts)
            parts *= times * idf
            scores[rows] += parts  # a row occurs once in a term's postings
            matched[rows] = True
        found = np.flatnonzero(matched)
        return best(found, scores[found], k)

    def _append(self, term: int, added: NDArray[np.int32]) -> None:
        postings, used = self._postings[term], self._used[term]
        needed = used + added.shape[1]
        if needed > postings.shape[1]:
            # Exact at first, as most terms are rare; then by half, so that appending row by row stays linear in all.
            grown = np.empty((2, max(needed, used + used // 2)), dtype=np.int32)
            grown[:, :used] = postings[:, :used]
            self._postings[term] = postings = grown
        postings[:, used:needed] = added
        self._used[term] = needed

    def _visible_postings(self, term: str, visible: Visible) -> tuple[Rows, NDArray[np.int32]]:
        number = self._number_of.get(term)
        if number is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
        rows, frequencies = self._postings[number][:, : self._used[number]]
        known = int(np.searchsorted(rows, np.int32(len(visible))))
        rows, frequencies = rows[:known].astype(np.int64), frequencies[:known]  # numpy indexes faster by int64
        shown = np.flatnonzero(visible[rows])
        return (rows, frequencies) if len(shown) == known else (rows.take(shown), frequencies.take(shown))


class RankBm25Index:
    """The same by the package rank-bm25 (`BM25Okapi`), for those who want its scores; slow, as it knows no updates.

    It is built over the visible rows, and anew when other rows are visible than at the search before. Its idf is
    negative for a term that stands in more than half of the rows and is then replaced by a fraction of the average idf,
    which can itself be negative: scores below zero are usual in small corpora. It fails on a corpus without terms.
    """

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        self._k1, self._b = k1, b
        self._rows: list[list[str]] = []
        self._built: tuple[Visible, Any] = (np.zeros(0, dtype=np.bool_), None)  # visible rows, and BM25Okapi over them

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """See `LexicalIndex.add`."""
        self._rows += [list(row) for row in rows]

    def search(self, terms: Sequence[str], k: int, visible: Visible) -> Ranking:
        """See `LexicalIndex.search`."""
        _check(visible, len(self))
        rows = np.flatnonzero(visible)
        scorer = self._scorer_over(visible)
        if scorer is None:
            return nothing()
        wanted = set(terms)
        matched = np.array([not wanted.isdisjoint(frequencies) for frequencies in scorer.doc_freqs], dtype=np.bool_)
        return best(rows[matched], scorer.get_scores(list(terms))[matched], k)

    def _scorer_over(self, visible: Visible) -> Any:
        """BM25Okapi over the visible rows; None if they hold no term."""
        built_over, scorer = self._built
        if not np.array_equal(visible, built_over):  # rows never change, so the same visible rows are the same corpus
            from rank_bm25 import BM25Okapi

            corpus = [self._rows[row] for row in np.flatnonzero(visible)]
            scorer = BM25Okapi(corpus, k1=self._k1, b=self._b) if any(corpus) else None
            self._built = (visible.copy(), scorer)
        return scorer


def _check(visible: Visible, rows: int) -> None:
    if len(visible) > rows:
        raise ValueError(f"visibility is given for {len(visible)} rows, the index holds {rows}")
