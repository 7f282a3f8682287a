"""Metrics of binary judgements. Each returns a score, or `NotScored` with the reason; never a NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evals.types import NotScored


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | NotScored:
    """The area under the ROC curve: how often a positive scores above a negative, ties counting one half.

    From rank sums (Mann and Whitney 1947; Hanley and McNeil 1982), equal scores sharing their mean rank.
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    if missing := _missing_class(positive, len(values)):
        return missing
    if not np.isfinite(values).all():
        return NotScored("a score is not a finite number")
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    rank_sum = float(mean_ranks[group][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def balanced_accuracy(predictions: Sequence[bool], labels: Sequence[bool]) -> float | NotScored:
    """The mean of the shares of positives and of negatives that were told right; 0.5 is chance."""
    predicted, positive = np.asarray(predictions, dtype=bool), np.asarray(labels, dtype=bool)
    if missing := _missing_class(positive, len(predicted)):
        return missing
    return (float(predicted[positive].mean()) + float((~predicted[~positive]).mean())) / 2


def _missing_class(positive: NDArray[np.bool_], n: int) -> NotScored | None:
    if len(positive) != n:
        raise ValueError(f"{n} scores for {len(positive)} labels")
    if n == 0:
        return NotScored("there are no cases")
    if positive.all() or not positive.any():
        return NotScored(f"all {n} cases have the same label ({int(positive[0])}): both classes are needed")
    return None
