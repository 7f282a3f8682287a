from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import convex, rrf
from retrieval.ranking import Ranking, best


def ranking(scores: dict[int, float]) -> Ranking:
    return best(np.array(list(scores), dtype=np.int64), np.array(list(scores.values()), dtype=np.float64), len(scores))


def as_dict(fused: Ranking) -> dict[int, float]:
    return dict(zip(fused[0].tolist(), fused[1].tolist(), strict=True))


def test_convex_adds_halves_that_are_each_normalised() -> None:
    dense = ranking({1: 0.9, 2: 0.6, 3: 0.3})  # normalised: 1, 1/2, 0
    lexical = ranking({2: 10.0, 4: 6.0, 5: 5.0})  # normalised: 1, 1/5, 0
    fused = convex(dense, lexical, weight=0.5)
    assert as_dict(fused) == pytest.approx({2: 0.75, 1: 0.5, 4: 0.1, 3: 0.0, 5: 0.0})
    assert fused[0].tolist() == [2, 1, 4, 3, 5]


def test_convex_weight_is_the_share_of_the_dense_half() -> None:
    dense, lexical = ranking({1: 0.9, 2: 0.8}), ranking({2: 30.0, 3: 10.0})
    assert as_dict(convex(dense, lexical, weight=0.8)) == pytest.approx({1: 0.8, 2: 0.2, 3: 0.0})
    assert as_dict(convex(dense, lexical, weight=1.0)) == pytest.approx({1: 1.0, 2: 0.0, 3: 0.0})
    assert as_dict(convex(dense, lexical, weight=0.0)) == pytest.approx({1: 0.0, 2: 1.0, 3: 0.0})


def test_convex_does_not_depend_on_the_scale_of_a_half() -> None:
    dense, lexical = ranking({1: 0.9, 2: 0.7, 3: 0.5}), ranking({3: 12.0, 2: 8.0, 4: 2.0})
    scaled = ranking({3: 1200.0, 2: 800.0, 4: 200.0})
    assert as_dict(convex(dense, lexical, 0.5)) == pytest.approx(as_dict(convex(dense, scaled, 0.5)))


def test_convex_counts_equal_scores_of_a_half_as_one() -> None:
    dense, lexical = ranking({1: 0.4, 2: 0.4}), ranking({3: -2.0})
    assert as_dict(convex(dense, lexical, weight=0.6)) == pytest.approx({1: 0.6, 2: 0.6, 3: 0.4})


def test_convex_takes_an_empty_half() -> None:
    half, empty = ranking({1: 0.9, 2: 0.5}), ranking({})
    assert as_dict(convex(half, empty, weight=0.7)) == pytest.approx({1: 0.7, 2: 0.0})
    assert as_dict(convex(empty, half, weight=0.7)) == pytest.approx({1: 0.3, 2: 0.0})
    assert as_dict(convex(empty, empty, weight=0.7)) == {}


def test_rrf_adds_reciprocal_ranks() -> None:
    fused = rrf([np.array([1, 2, 3]), np.array([3, 1])], k=60)
    assert as_dict(fused) == pytest.approx({1: 1 / 61 + 1 / 62, 3: 1 / 63 + 1 / 61, 2: 1 / 62})
    assert fused[0].tolist() == [1, 3, 2]


def test_rrf_ties_go_by_the_smaller_row() -> None:
    assert rrf([np.array([9, 4]), np.array([4, 9])], k=60)[0].tolist() == [4, 9]


def test_rrf_takes_empty_rankings() -> None:
    empty = np.array([], dtype=np.int64)
    assert rrf([empty, np.array([5])], k=60)[0].tolist() == [5]
    assert rrf([empty], k=60)[0].tolist() == []
    assert rrf([], k=60)[0].tolist() == []


halves = st.dictionaries(st.integers(0, 20), st.floats(-100, 100), max_size=12)


@given(halves, halves, st.floats(0, 1))
def test_fusion_returns_each_candidate_once_best_first(
    dense: dict[int, float], lexical: dict[int, float], weight: float
) -> None:
    for rows, scores in (
        convex(ranking(dense), ranking(lexical), weight),
        rrf([ranking(dense)[0], ranking(lexical)[0]], k=60),
    ):
        assert sorted(rows.tolist()) == sorted(dense.keys() | lexical.keys())
        order = list(zip((-scores).tolist(), rows.tolist(), strict=True))
        assert order == sorted(order)
        assert all(0 <= score <= 1 + 1e-12 for score in scores.tolist())
