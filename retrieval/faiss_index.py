"""The dense half by FAISS: an exact scan of float32 vectors in memory, and the reference that ours is measured against.

It is chosen by `retrieval.dense_engine = "faiss"`. Nothing of it is kept on disk: a start reads all vectors again.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from ingest.types import Vectors
from retrieval.coverage import clipped, gaps, union
from retrieval.errors import MissingExtra
from retrieval.halves import Numbers, VectorsOf
from retrieval.ranking import Ranking, nothing
from retrieval.visibility import Visible


class FaissIndex:
    """See `halves.DenseHalf`, whose methods these are. Any of them may be called from any thread.

    Visibility is given to the scan as a bitmap, so the k best *visible* chunks are found whatever else is held.

    `threads` is set for each search, in the thread that runs it: OpenMP keeps this number per calling thread, and what
    one thread of a server sets does not hold for the others. A flat scan is parallel over queries only, so the one
    query of a search runs on one thread whatever the number (measured: 50,000 rows take as long with 1 as with 2).
    OpenMP does not survive a fork: a child that uses what its parent made is refused.
    """

    def __init__(self, dimension: int, threads: int) -> None:
        """Raises `MissingExtra` without FAISS."""
        try:
            import faiss
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "dense retrieval by FAISS needs it: pip install 'ragstone[cpu]' (or 'ragstone[gpu]'; never both)"
            ) from error
        self._faiss: Any = faiss
        self._index: Any = faiss.IndexFlatIP(dimension)
        self._dimension = dimension
        self._threads = threads
        self._process = os.getpid()
        self._lock = threading.Lock()  # FAISS moves its memory when it grows
        self._chunks = np.empty(0, dtype=np.int64)  # the chunk behind each row
        self._covered: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def last(self) -> int:
        return max((end for _, end in self._covered), default=0)

    @property
    def nbytes(self) -> int:
        return len(self) * self._dimension * 4 + self._chunks.nbytes

    def numbers(self) -> Numbers:
        return np.sort(self._chunks)

    @property
    def unwritten(self) -> int:
        return 0

    @property
    def segments(self) -> int:
        return 1

    def recall(self, visible: Visible) -> float | None:
        """Each visible chunk is scored: nothing is missed."""
        return 1.0 if visible.count else None

    def unlike(self, vectors_of: VectorsOf) -> Numbers:
        """None: it is built from the catalog at each start."""
        return np.empty(0, dtype=np.int64)

    def gaps(self) -> list[tuple[int, int]]:
        return gaps(self._covered)

    def add(self, arrivals: Numbers, chunks: Numbers, vectors: Vectors, first: int, last: int) -> None:
        """See `DenseHalf.add`. Raises ValueError for other shapes, numbers that are not finite, and a range twice."""
        if vectors.shape != (len(chunks), self._dimension):
            raise ValueError(f"vectors have shape {vectors.shape}, the index holds rows of {self._dimension} numbers")
        if not np.isfinite(vectors).all():  # a row whose score is NaN can't be ranked, and FAISS would lose it
            raise ValueError("a vector holds NaN or infinity")
        with self._lock:
            if clipped(self._covered, first, last):
                raise ValueError(f"arrivals {first} to {last} are covered, or some of them")
            self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))
            self._chunks = np.concatenate([self._chunks, chunks])
            self._covered = union([*self._covered, (first, last)])

    def search(self, query: Vectors, k: int, visible: Visible) -> Ranking:
        """See `DenseHalf.search`; the scores are inner products in float32."""
        if query.shape != (self._dimension,):
            raise ValueError(f"the query has shape {query.shape}, the index holds rows of {self._dimension} numbers")
        if not np.isfinite(query).all():
            raise ValueError("the query holds NaN or infinity")
        if os.getpid() != self._process:
            raise RuntimeError("FAISS can't be used in a process that was forked: start a new one instead")
        with self._lock:
            shown = visible.holds(self._chunks)
            count = int(np.count_nonzero(shown))
            if k < 1 or count == 0:
                return nothing()
            # So many more are fetched until the last one scores below the k-th: then all that tie with it are there.
            wanted = k + 1
            while True:
                rows, scores = self._scan(query, min(wanted, count), np.packbits(shown, bitorder="little"))
                if wanted >= count or scores[-1] < scores[k - 1]:
                    break
                wanted *= 2
            kept = scores >= scores[min(k, count) - 1]
            chunks, scores = self._chunks[rows[kept]], scores[kept]
        order = np.lexsort((chunks, -scores))
        return chunks[order], scores[order].astype(np.float64)

    def maintain(self, kept: Visible) -> bool:
        """There are no files; what was purged is dropped when it is a fifth of all."""
        with self._lock:
            highest = int(kept.numbers()[-1]) if kept.count else 0
            gone = ~kept.holds(self._chunks) & (self._chunks <= highest)
        due = np.count_nonzero(gone) > len(self) // 5
        if due:
            self.forget(self._chunks[gone])
        return bool(due)

    def seal(self) -> None:
        """There are no files."""

    def forget(self, chunks: Numbers) -> None:
        with self._lock:
            gone = np.isin(self._chunks, chunks)
            if gone.any():
                self._index.remove_ids(np.flatnonzero(gone))
                self._chunks = self._chunks[~gone]

    def _scan(self, query: Vectors, k: int, bitmap: Any) -> tuple[Any, Any]:
        """Any `k` best; `k` is not above the number of visible rows, beyond which FAISS would pad with -1."""
        # The selector holds a bare pointer into `bitmap`, which therefore must live until the search is over.
        selector = self._faiss.IDSelectorBitmap(len(bitmap), self._faiss.swig_ptr(bitmap))
        parameters = self._faiss.SearchParameters(sel=selector)
        queries = np.ascontiguousarray(query[None, :], dtype=np.float32)
        self._faiss.omp_set_num_threads(self._threads)
        scores, rows = self._index.search(queries, k, params=parameters)
        return rows[0], scores[0]
