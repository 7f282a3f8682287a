"""One ranking out of several. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.ranking import Ranking, Rows, best, nothing


def convex(dense: Ranking, lexical: Ranking, weight: float) -> Ranking:
    """The convex combination `weight` * dense + (1 - `weight`) * lexical of the normalised scores, in [0, 1].

    Each half is normalised by its own minimum and maximum over its candidates: BM25 scores are unbounded and cosines
    are not, so in a sum of raw scores the one half would decide alone. Where all scores of a half are equal, each of
    its candidates counts 1; a candidate that a half does not have counts 0 there, like that half's last one. Every
    candidate of either half is returned. `weight` is in [0, 1].

    Source: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM Transactions on
    Information Systems 42(1), 2023 (arXiv:2210.11934), section 3.
    """
    rows = np.union1d(dense[0], lexical[0])
    scores = weight * _spread(rows, dense[0], _min_max(dense[1]))
    scores += (1 - weight) * _spread(rows, lexical[0], _min_max(lexical[1]))
    return best(rows, scores, len(rows))


def rrf(rankings: Sequence[Rows], k: int) -> Ranking:
    """Reciprocal rank fusion: a row scores the sum of 1 / (`k` + its rank) over the rankings that have it.

    `rankings` hold rows, best first; ranks count from 1.

    Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods", SIGIR 2009, where k is 60.
    """
    if not rankings:
        return nothing()
    rows = np.unique(np.concatenate(rankings))
    scores = np.zeros(len(rows))
    for ranking in rankings:
        scores += _spread(rows, ranking, 1 / (k + np.arange(1, len(ranking) + 1)))
    return best(rows, scores, len(rows))


def _min_max(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """`scores` spread over [0, 1]; all 1 if they are equal."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return np.ones_like(scores) if low == high else (scores - low) / (high - low)


def _spread(all_rows: Rows, rows: Rows, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """`scores` of `rows` in the places of `all_rows` (sorted, and holding each of them); 0 elsewhere."""
    spread = np.zeros(len(all_rows))
    spread[np.searchsorted(all_rows, rows)] = scores
    return spread
