from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.dense_kernels import below, rotate
from retrieval.quantisation import _flips, dequantise, quantise, quantise_query

Kind = Callable[[int, int, int], Vectors]


def clustered(rows: int, dimension: int, seed: int) -> Vectors:
    """Vectors of length 1 around 40 centres that share a direction, which is how those of embedders lie."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((40, dimension)) + 2 * random.standard_normal(dimension)
    vectors = centres[random.integers(0, 40, rows)] + random.standard_normal((rows, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def sparse(rows: int, dimension: int, seed: int) -> Vectors:
    """One number in twenty is not zero, and the first is large in all of them: far from what a sketch is good at."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((rows, dimension)) * (random.random((rows, dimension)) < 0.05)
    vectors[:, 0] += 5
    return vectors.astype(np.float32)


def nowhere(vectors: Vectors) -> Vectors:
    return np.zeros(vectors.shape[1], dtype=np.float32)


def middle(vectors: Vectors) -> Vectors:
    return np.asarray(vectors.mean(axis=0), dtype=np.float32)


def scores_and_bounds(
    vectors: Vectors, query: Vectors, centre: Vectors
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The exact inner products with the codes, and the bounds of the sketches, without the kernels."""
    codes, asked = quantise(vectors, centre), quantise_query(query, centre)
    scores = codes.codes.astype(np.int64) @ asked.values.astype(np.int64) * (codes.scales * asked.step)
    signs = np.unpackbits(np.ascontiguousarray(codes.signs.T).view(np.uint8), axis=1, bitorder="little")
    planes = np.unpackbits(asked.planes.view(np.uint8), axis=1, bitorder="little").astype(np.int64)
    levels = planes[0] + 2 * planes[1] + 4 * planes[2] - 8 * planes[3]
    return scores, (asked.slope * (signs.astype(np.int64) @ levels) + asked.offset) * codes.factors + asked.base


def test_codes_are_within_half_a_step_of_each_vectors_own_scale() -> None:
    vectors = clustered(50, 30, seed=1) * np.logspace(-8, 8, 50, dtype=np.float32)[:, None]
    codes = quantise(vectors, nowhere(vectors))
    error = np.abs(dequantise(codes.codes, codes.scales) - vectors)
    assert (error <= 0.5001 * codes.scales[:, None]).all()
    assert (np.abs(codes.codes).max(axis=1) == 127).all()


def test_a_vector_is_quantised_the_same_beside_any_others() -> None:
    vectors = clustered(20, 100, seed=2)
    together = quantise(vectors, nowhere(vectors))
    for row in range(len(vectors)):
        alone = quantise(vectors[row : row + 1], nowhere(vectors))
        assert (alone.codes[0] == together.codes[row]).all()
        assert alone.scales[0] == together.scales[row]
        assert (alone.signs[:, 0] == together.signs[:, row]).all()
        assert alone.factors[0] == together.factors[row]


@pytest.mark.parametrize("dimension", [1, 3, 64, 100, 384])
def test_a_rotation_keeps_lengths_and_angles(dimension: int) -> None:
    flips = _flips(dimension)
    random = np.random.default_rng(3)
    one, other = random.standard_normal((2, flips.shape[1])).astype(np.float32)
    rotated_one, rotated_other = one.copy(), other.copy()
    rotate(rotated_one, flips)
    rotate(rotated_other, flips)
    growth = 2.0 ** len(flips)
    assert rotated_one @ rotated_one == pytest.approx(growth * (one @ one), rel=1e-4)
    assert rotated_one @ rotated_other == pytest.approx(growth * (one @ other), rel=1e-3)


@given(st.floats(1e-36, 1e36), st.sampled_from([-1, 0, 1]))
def test_a_float32_below_a_score_is_never_above_it(size: float, sign: int) -> None:
    score = sign * size
    assert below(score) <= score
    assert below(score) == pytest.approx(score, rel=2e-6)


def test_a_rotation_spreads_a_single_number_over_all() -> None:
    for place in (0, 100, 383):
        row = np.zeros(384, dtype=np.float32)
        row[place] = 1
        rotate(row, _flips(384))
        row /= np.linalg.norm(row)
        assert np.abs(row).max() < 0.2  # 384 equal numbers would be 0.05 each, and normal ones 0.15 at most
        assert 0.7 < np.abs(row).sum() / np.sqrt(384) < 0.9  # sqrt(2 / pi) = 0.8 for normal ones


@pytest.mark.parametrize("dimension", [8, 100, 384])
@pytest.mark.parametrize("kind", [clustered, sparse])
@pytest.mark.parametrize("where", [nowhere, middle])
def test_hardly_a_row_scores_above_its_bound(kind: Kind, where: Callable[[Vectors], Vectors], dimension: int) -> None:
    vectors, queries = kind(2_000, dimension, 4), kind(30, dimension, 5)
    both = [scores_and_bounds(vectors, query, where(vectors)) for query in queries]
    assert np.mean([np.mean(scores > bounds) for scores, bounds in both]) < 0.004


def test_a_centre_brings_bounds_closer_and_leaves_scores_as_they_are() -> None:
    vectors, query = clustered(500, 384, 8), clustered(1, 384, 9)[0]
    scores, bounds = scores_and_bounds(vectors, query, nowhere(vectors))
    scores_there, bounds_there = scores_and_bounds(vectors, query, middle(vectors))
    assert scores.tolist() == scores_there.tolist()
    assert np.mean(bounds_there - scores_there) < 0.8 * np.mean(bounds - scores) < 0.2


def test_a_score_is_the_inner_product() -> None:
    vectors, queries = clustered(500, 384, seed=6), clustered(5, 384, seed=7)
    for query in queries:
        scores, _ = scores_and_bounds(vectors, query, nowhere(vectors))
        assert scores == pytest.approx(vectors @ query, abs=0.004)


@pytest.mark.parametrize("size", [0.0, 1e-16, 1e-300])
def test_what_cannot_be_told_from_zero_is_zero(size: float) -> None:
    vector = np.full(5, size, dtype=np.float32)
    assert not quantise(vector[None], nowhere(vector[None])).codes.any()
    assert quantise(vector[None], nowhere(vector[None])).factors.tolist() == [0.0]
    assert not quantise_query(vector, nowhere(vector[None])).values.any()


@pytest.mark.parametrize("dimension", [2, 384, 5_000])
def test_no_sum_leaves_32_bits(dimension: int) -> None:
    asked = quantise_query(np.ones(dimension, dtype=np.float32), np.zeros(dimension, dtype=np.float32))
    assert np.abs(asked.values.astype(np.int64)).sum() * 127 < 2**31
    assert asked.values * asked.step == pytest.approx(np.ones(dimension), rel=2e-4)
