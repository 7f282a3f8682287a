"""The package rank-bm25 itself as the lexical engine, for those who want exactly that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from retrieval.halves import TermsOf
from retrieval.postings import Numbers
from retrieval.ranking import Ranking, nothing
from retrieval.visibility import Visible

# What a term of a row takes, about.
_BYTES_A_TERM = 64


class RankBm25Index:
    """BM25Okapi over the visible chunks, by number; slow, as it knows no updates, and all in memory.

    It is built over the visible chunks, and anew when another set is searched than at the search before. Its idf is
    negative for a term that stands in more than half of the chunks and is then replaced by a fraction of the average
    idf, which can itself be negative: scores below zero are usual in small corpora. It fails on a corpus without terms;
    here such a corpus has no matches. Any method may be called from any thread.
    """

    def __init__(self, *, k1: float = 1.5, b: float = 0.75, epsilon: float = 0.25) -> None:
        self._k1, self._b, self._epsilon = k1, b, epsilon
        self._lock = threading.Lock()
        self._rows: dict[int, list[str]] = {}
        self._last = 0
        self._built: tuple[Visible, int, Numbers, Any] | None = None  # set, chunks known, numbers, BM25Okapi over them

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def last(self) -> int:
        """The highest chunk number covered; 0 when there is none."""
        return self._last

    @property
    def nbytes(self) -> int:
        """An estimate: Python's strings are not counted one by one."""
        return sum(_BYTES_A_TERM * len(row) for row in self._rows.values())

    def numbers(self) -> Numbers:
        """The chunks held, ascending."""
        return np.array(sorted(self._rows), dtype=np.int64)

    @property
    def unwritten(self) -> int:
        return 0

    @property
    def segments(self) -> int:
        return 1

    def unlike(self, terms_of: TermsOf) -> Numbers:
        """None: it is built from the catalog at each start."""
        return np.empty(0, dtype=np.int64)

    def gaps(self) -> list[tuple[int, int]]:
        """None: nothing is kept on disk that could be damaged."""
        return []

    def add(self, numbers: Numbers, rows: Sequence[Sequence[str]], first: int, last: int) -> None:
        """Takes up the chunks `numbers`, ascending, with their terms; all chunks up to `last` are covered then."""
        with self._lock:
            self._rows.update(zip(numbers.tolist(), map(list, rows), strict=True))
            self._last = max(self._last, last)

    def maintain(self, kept: Visible) -> bool:
        """There are no files, and what is purged is never visible: nothing to do."""
        return False

    def seal(self) -> None:
        """There are no files."""

    def forget(self, numbers: Numbers) -> None:
        """Drops these chunks and what was built over them."""
        with self._lock:
            for number in numbers.tolist():
                self._rows.pop(number, None)
            self._built = None

    def search(self, terms: Sequence[str], k: int, visible: Visible) -> Ranking:
        """The `k` best visible chunks that contain a term, and all others that tie with the last of them.

        Chunk numbers and scores, best first, equal scores by the smaller number.
        """
        numbers, scorer = self._scorer_over(visible)
        if scorer is None or k <= 0:
            return nothing()
        wanted = set(terms)
        matched = np.array([not wanted.isdisjoint(frequencies) for frequencies in scorer.doc_freqs], dtype=np.bool_)
        found, scores = numbers[matched], scorer.get_scores(list(terms))[matched]
        if len(scores) > k:
            kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
            found, scores = found[kept], scores[kept]
        order = np.lexsort((found, -scores))
        return found[order], scores[order]

    def _scorer_over(self, visible: Visible) -> tuple[Numbers, Any]:
        """The visible chunks and BM25Okapi over them; None if they hold no term."""
        with self._lock:
            built = self._built
            if built is None or built[0] is not visible or built[1] != len(self._rows):
                from rank_bm25 import BM25Okapi

                numbers = np.array([number for number in visible.numbers().tolist() if number in self._rows], np.int64)
                corpus = [self._rows[number] for number in numbers.tolist()]
                held = any(chain(corpus))
                scorer = BM25Okapi(corpus, k1=self._k1, b=self._b, epsilon=self._epsilon) if held else None
                self._built = built = (visible, len(self._rows), numbers, scorer)
            return built[2], built[3]
