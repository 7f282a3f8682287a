"""How the catalog stores a vector: half precision, little-endian.

Half precision keeps 11 bits of each number, far more than the index's codes do, and takes half the room. Vectors of a
normalised space are normalised again when they are read, so that a cosine moves by some 1e-5 of rounding that differs
from number to number, and not by a common factor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.types import Vectors

BYTES_PER_NUMBER = 2


def encoded(vector: Vectors) -> bytes:
    """float32 of shape (dimension,) as stored. Raises ValueError for what half precision can't hold."""
    with np.errstate(over="ignore"):
        half = vector.astype("<f2")
    if not np.isfinite(half).all():
        raise ValueError("a vector holds NaN, infinity, or a number beyond 65,504, which can't be stored")
    return half.tobytes()


def decoded(stored: Sequence[bytes], dimension: int, normalised: bool) -> Vectors:
    """float32 of shape (len(stored), dimension)."""
    halves = np.frombuffer(b"".join(stored), dtype="<f2").reshape(len(stored), dimension)
    vectors = halves.astype(np.float32)
    if normalised:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors
