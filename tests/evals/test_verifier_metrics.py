from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.metrics import auroc, balanced_accuracy
from evals.types import NotScored


@pytest.mark.parametrize(
    ("scores", "labels", "area"),
    [
        ([0.9, 0.8, 0.2, 0.1], [True, True, False, False], 1.0),
        ([0.1, 0.2, 0.8, 0.9], [True, True, False, False], 0.0),
        ([0.5, 0.5, 0.5], [True, False, True], 0.5),
        # Pairs (positive, negative): 0.35 beats 0.1 but not 0.4; 0.8 beats both: 3 of 4. The example of
        # sklearn.metrics.roc_auc_score.
        ([0.1, 0.4, 0.35, 0.8], [False, False, True, True], 0.75),
        # 0.4 ties with 0.4 (one half) and beats 0.1; 0.8 beats both: 3.5 of 4.
        ([0.1, 0.4, 0.4, 0.8], [False, False, True, True], 0.875),
        # 6 pairs: 0.7 beats 0.3 and ties 0.7; 0.3 ties 0.3; 0.9 beats both: 1 + 0.5 + 0.5 + 0 + 2 = 4 of 6.
        ([0.7, 0.3, 0.9, 0.3, 0.7], [True, True, True, False, False], 4 / 6),
    ],
)
def test_auroc_counts_pairs_with_ties_as_halves(scores: list[float], labels: list[bool], area: float) -> None:
    assert auroc(scores, labels) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize(
    ("predictions", "labels", "accuracy"),
    [
        ([True, True, False, False], [True, True, False, False], 1.0),
        ([True, True, True, True], [True, True, True, False], 0.5),
        # 2 of 3 positives and 1 of 2 negatives: (2/3 + 1/2) / 2.
        ([True, True, False, True, False], [True, True, True, False, False], 7 / 12),
    ],
)
def test_balanced_accuracy_is_the_mean_over_the_classes(
    predictions: list[bool], labels: list[bool], accuracy: float
) -> None:
    assert balanced_accuracy(predictions, labels) == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.parametrize("labels", [[], [True], [True, True], [False, False]])
def test_one_class_is_not_scored_and_says_why(labels: list[bool]) -> None:
    for result in (auroc([0.5] * len(labels), labels), balanced_accuracy([True] * len(labels), labels)):
        assert isinstance(result, NotScored)
        assert ("no cases" if not labels else "same label") in result.reason


def test_score_that_is_no_number_is_not_scored() -> None:
    assert auroc([math.nan, 0.5], [True, False]) == NotScored("a score is not a finite number")


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores for 1 labels"):
        auroc([0.1, 0.2], [True])


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_auroc_equals_counting_all_pairs(rows: list[tuple[int, bool]]) -> None:
    positives = [score for score, label in rows if label]
    negatives = [score for score, label in rows if not label]
    result = auroc([float(score) for score, _ in rows], [label for _, label in rows])
    if not positives or not negatives:
        assert isinstance(result, NotScored)
        return
    won = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    assert result == pytest.approx(won / (len(positives) * len(negatives)))
