"""What each half of a search returns: rows of the index with their scores, best first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Visible = NDArray[np.bool_]
# Rows and their scores, both of shape (n,), best first, equal scores by the smaller row. A row occurs once.
Ranking = tuple[Rows, NDArray[np.float64]]


def best(rows: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], k: int) -> Ranking:
    """The `k` best of `rows`, or all of them if there are fewer; of equal scores the smaller row comes first."""
    if 0 < k < len(scores):
        kth_score = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = scores >= kth_score  # with all that are equal to the k-th: the sort decides between them
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[: max(k, 0)]
    return rows[order].astype(np.int64), scores[order].astype(np.float64)


def nothing() -> Ranking:
    """The ranking of no rows."""
    return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
