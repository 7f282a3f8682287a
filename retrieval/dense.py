"""Dense retrieval: an exact inner-product scan with FAISS over the rows that the caller may see."""

from __future__ import annotations

from typing import Any

import numpy as np

from ingest.types import Vectors
from retrieval.errors import MissingExtra
from retrieval.ranking import Ranking, Rows, Visible, best, nothing


class FaissIndex:
    """Vectors by row; rows are dense from 0, in the order of `add`. Of normalised vectors the scores are cosines.

    Visibility is given to the scan as a bitmap, so the k best *visible* rows are found whatever else the index holds.
    Searches may run at the same time, but none during an `add` (FAISS moves its memory): the caller holds a lock.

    `threads` is set for each search, in the thread that runs it: OpenMP keeps this number per calling thread, and what
    one thread of a server sets does not hold for the others. A flat scan is parallel over queries only, so the one
    query of a search runs on one thread whatever the number (measured: 50,000 rows take as long with 1 as with 2).
    """

    def __init__(self, dimension: int, threads: int) -> None:
        """Raises `MissingExtra` without FAISS."""
        try:
            import faiss
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "dense retrieval needs FAISS: pip install 'ragstone[cpu]' (or 'ragstone[gpu]'; never both)"
            ) from error
        self._faiss: Any = faiss
        self._index: Any = faiss.IndexFlatIP(dimension)
        self._dimension = dimension
        self._threads = threads

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: Vectors) -> None:
        """Appends rows: `vectors` is float32 of shape (n, dimension), of finite numbers (else ValueError)."""
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            raise ValueError(f"vectors have shape {vectors.shape}, the index holds rows of {self._dimension} numbers")
        if not np.isfinite(vectors).all():  # a row whose score is NaN can't be ranked, and FAISS would lose it
            raise ValueError("a vector holds NaN or infinity")
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(self, query: Vectors, k: int, visible: Visible) -> Ranking:
        """The `k` visible rows of highest inner product with `query`, or all visible ones if they are fewer.

        `query` has shape (dimension,); `visible` is bool of shape (rows,), and rows beyond its end are not visible. The
        scores are the inner products. Equal scores go by the smaller row, at the cut as well.
        """
        if query.shape != (self._dimension,):
            raise ValueError(f"the query has shape {query.shape}, the index holds rows of {self._dimension} numbers")
        if not np.isfinite(query).all():
            raise ValueError("the query holds NaN or infinity")
        if len(visible) > len(self):
            raise ValueError(f"visibility is given for {len(visible)} rows, the index holds {len(self)}")
        count = int(np.count_nonzero(visible))
        if k < 1 or count == 0:
            return nothing()
        # FAISS breaks ties at the cut now one way, now the other (heap or reservoir, by the size of k). So one more is
        # fetched than asked for: a last one below the k-th shows that all that are equal to the k-th were fetched.
        wanted = k + 1
        while True:
            rows, scores = self._scan(query, min(wanted, count), visible)
            if wanted >= count or scores[-1] < scores[k - 1]:
                return best(rows, scores, k)
            wanted *= 2

    def _scan(self, query: Vectors, k: int, visible: Visible) -> tuple[Rows, Vectors]:
        """Any `k` best; `k` is not above the number of visible rows, beyond which FAISS would pad with -1."""
        # The selector holds a bare pointer into `bitmap`, which therefore must live until the search is over.
        bitmap = np.packbits(visible, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(len(bitmap), self._faiss.swig_ptr(bitmap))
        parameters = self._faiss.SearchParameters(sel=selector)
        queries = np.ascontiguousarray(query[None, :], dtype=np.float32)
        self._faiss.omp_set_num_threads(self._threads)
        scores, rows = self._index.search(queries, k, params=parameters)
        return rows[0], scores[0]
