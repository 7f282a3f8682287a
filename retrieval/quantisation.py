"""Vectors in 8 bits a number, each with a sketch of 1 bit a number that says what its score can be at most.

Codes: row x is kept as whole numbers c, -127 to 127, and one scale s of its own, x = s c nearly. Nothing is learnt from
other rows: a row's code is the same whenever and beside whatever it came.

Sketches: Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for Approximate
Nearest Neighbor Search" (SIGMOD 2024), with one centre for all rows. Let y be what a code stands for, less the centre.
After a random rotation, the same for all, the signs of y are kept. With f = |y|^2 / |y|_1, the product f <sign(y), q>
estimates <y, q> without bias, and its standard deviation over rotations is below f |q|. So f (<sign(y), q> + m |q|) is
a bound that rarely fails, by a margin m that is measured. The query's numbers are cut to 4 bits, which makes
<sign(y), q> a count of common bits; the length of what was cut away is added to |q| as an independent error.

The centre may be anything. Near the mean of a space it makes y short and bounds close, which matters where all vectors
of a space point about the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.dense_kernels import HIGHEST_CODE, SMALLEST, encode, rotate

LARGEST = 1e15  # numbers of vectors and queries, so that bounds fit into float32

# In standard deviations of the estimate, rather above them: measured in `benchmarks/dense.py`, one row in a thousand or
# less scores above its bound, whatever the number of rows. At 1.75 it is three times as many for a tenth of the time.
MARGIN = 2.0

_SEED = 20240609
_WORD = 64
_HIGHEST_VALUE = 32767
_HIGHEST_LEVEL = 7  # of the 4 bits of a query's number in the sketch


@dataclass(frozen=True, slots=True)
class Codes:
    """n rows. The numbers of a row are read one after the other, the words of all sketches column by column."""

    codes: NDArray[np.int8]  # (n, dimension)
    scales: NDArray[np.float32]  # (n,)
    signs: NDArray[np.uint64]  # (words, n), words = dimension / 64 rounded up
    factors: NDArray[np.float32]  # (n,), f of the module's docstring


@dataclass(frozen=True, slots=True)
class Query:
    """What a query's vector is for the codes, and for the sketches."""

    values: NDArray[np.int16]  # (dimension,)
    step: float  # the vector is `values * step`, to about 15 bits
    planes: NDArray[np.uint64]  # (4, words)
    slope: float
    offset: float
    base: float  # a row's bound is (slope * sum of common bits + offset) * factor + base


def words(dimension: int) -> int:
    """uint64 words of a sketch."""
    return -(-dimension // _WORD)


def quantise(vectors: Vectors, centre: Vectors) -> Codes:
    """`vectors` is float32 of shape (n, dimension), of finite numbers up to `LARGEST`, `centre` of (dimension,)."""
    rows, dimension = vectors.shape
    codes = np.empty((rows, dimension), dtype=np.int8)
    scales = np.empty(rows, dtype=np.float32)
    signs = np.zeros((words(dimension), rows), dtype=np.uint64)
    factors = np.empty(rows, dtype=np.float32)
    encode(np.ascontiguousarray(vectors), centre, _flips(dimension), codes, scales, signs, factors)
    return Codes(codes, scales, signs, factors)


def dequantise(codes: NDArray[np.int8], scales: NDArray[np.float32]) -> Vectors:
    """float32 of shape (n, dimension): the vectors that the codes stand for."""
    return codes * scales[:, None]


def quantise_query(vector: Vectors, centre: Vectors) -> Query:
    """`vector` is float32 of shape (dimension,), of finite numbers up to `LARGEST`; `centre` is that of the rows."""
    wide = vector.astype(np.float64)
    values, step = _whole_numbers(wide)
    flips = _flips(len(vector))
    rotated = np.zeros(flips.shape[1], dtype=np.float32)
    rotated[: len(values)] = values
    rotate(rotated, flips)
    size = step * 2.0 ** (-0.5 * len(flips))
    level = float(np.abs(rotated).max(initial=0.0)) / _HIGHEST_LEVEL or 1.0
    levels = np.rint(rotated / level).astype(np.int64)
    planes = (levels >> np.arange(4)[:, None] & 1).astype(np.uint8)
    cut_away = np.linalg.norm(rotated - levels * level)
    error = float(np.hypot(np.linalg.norm(rotated), cut_away))
    return Query(
        values=values,
        step=step,
        planes=np.packbits(planes, axis=1, bitorder="little").view(np.uint64),
        slope=2 * level * size,
        offset=(MARGIN * error - float(levels.sum()) * level) * size,
        base=float(np.nextafter(np.float32(values @ centre.astype(np.float64) * step), np.float32(np.inf))),
    )


def _whole_numbers(wide: NDArray[np.float64]) -> tuple[NDArray[np.int16], float]:
    """As fine as int16 takes, and as an int32 takes the sum of the products with any code."""
    most = (2**31 - 1) / HIGHEST_CODE - len(wide)
    step = max(float(np.abs(wide).max()) / _HIGHEST_VALUE, float(np.abs(wide).sum()) / most)
    if np.abs(wide).max() < SMALLEST:
        return np.zeros(len(wide), dtype=np.int16), 1.0
    return np.rint(wide / step).astype(np.int16), step


@lru_cache(maxsize=8)
def _flips(dimension: int) -> NDArray[np.float32]:
    """The signs of a rotation, of shape (steps, 64 * words); three times as many steps as bring each value to all."""
    size = _WORD * words(dimension)
    steps = 3 * (size - 1).bit_length()
    draws = np.random.PCG64(_SEED).random_raw((steps, size))  # raw output is the same in every version of numpy
    return np.where(draws >> np.uint64(63), 1, -1).astype(np.float32)
