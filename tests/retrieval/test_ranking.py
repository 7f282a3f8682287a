from __future__ import annotations

import numpy as np

from retrieval.ranking import best


def test_best_come_first_and_ties_go_by_the_smaller_row() -> None:
    rows, scores = best(np.array([7, 3, 5, 1]), np.array([2.0, 9.0, 2.0, 2.0]), k=10)
    assert rows.tolist() == [3, 1, 5, 7]
    assert scores.tolist() == [9.0, 2.0, 2.0, 2.0]


def test_ties_at_the_cut_go_by_the_smaller_row() -> None:
    rows, _ = best(np.array([7, 3, 5, 1]), np.array([2.0, 9.0, 2.0, 2.0]), k=2)
    assert rows.tolist() == [3, 1]


def test_negative_scores_are_ranked_like_others() -> None:
    rows, _ = best(np.array([0, 1, 2]), np.array([-3.0, -1.0, -2.0]), k=2)
    assert rows.tolist() == [1, 2]


def test_no_rows_or_none_asked_for_give_none() -> None:
    assert best(np.array([], dtype=np.int64), np.array([]), k=3)[0].tolist() == []
    assert best(np.array([1, 2]), np.array([1.0, 2.0]), k=0)[0].tolist() == []
