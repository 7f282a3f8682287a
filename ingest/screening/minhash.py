"""Signatures by which near copies among any number of documents are found: MinHash with locality-sensitive hashing.

A. Broder, "On the resemblance and containment of documents" (1997); P. Indyk and R. Motwani, "Approximate nearest
neighbors" (1998), for the bands. Signatures are stored, so what they are made of must never change: words are the runs
of letters and digits in lower case, a shingle is five of them in a row, words are hashed by XXH3 and the 128
permutations are multiply-shift hashes whose constants come from XXH3 too. A test pins the numbers.
"""

from __future__ import annotations

import re

import numpy as np
import xxhash
from numpy.typing import NDArray

PERMUTATIONS = 128
# 16 bands of 4: two documents of similarity s meet in one with probability 1 - (1 - s^4)^16, which is .9998 at .8, .64
# at .5 and .02 at .2. Sixteen keys are what a table can bear for each document.
BANDS = 16
ROWS = 4

_SHINGLE = 5
_WORD = re.compile(r"[^\W_]+")
_BLOCK = 1 << 14  # shingles hashed at a time, so that memory stays below 20 MB
_MULTIPLIER = np.uint64(0x9E3779B185EBCA87)


def _constants(name: str) -> NDArray[np.uint64]:
    numbers = [xxhash.xxh3_64_intdigest(f"{name} {number}".encode()) | 1 for number in range(PERMUTATIONS)]
    return np.array(numbers, dtype=np.uint64)


_FACTORS, _TERMS = _constants("minhash factor"), _constants("minhash term")


def signature(text: str) -> bytes:
    """512 bytes by which `similarity` estimates how much two texts share; b"" for a text without words."""
    hashed: dict[str, int] = {}
    numbers = [
        hashed[word] if word in hashed else hashed.setdefault(word, xxhash.xxh3_64_intdigest(word.encode()))
        for word in _WORD.findall(text.lower())
    ]
    if not numbers:
        return b""
    shingles = np.unique(_shingles(np.array(numbers, dtype=np.uint64)))
    smallest = np.full(PERMUTATIONS, np.iinfo(np.uint32).max, dtype=np.uint32)
    for start in range(0, len(shingles), _BLOCK):
        block = shingles[start : start + _BLOCK, None]
        permuted = ((block * _FACTORS + _TERMS) >> np.uint64(32)).astype(np.uint32)
        np.minimum(smallest, permuted.min(axis=0), out=smallest)
    return smallest.astype("<u4").tobytes()


def similarity(left: bytes, right: bytes) -> float:
    """The Jaccard similarity of two texts' shingles, with a standard error of at most .044; 0 beside an empty one."""
    if not left or not right:
        return 0.0
    return float(np.mean(np.frombuffer(left, "<u4") == np.frombuffer(right, "<u4")))


def bands(signature: bytes) -> tuple[int, ...]:
    """Keys, from 0 to 2^63 - 1; near copies almost always have one in common, at the same place of the tuple.

    The place is part of the key, so a table needs only the keys. Of an empty signature there are none.
    """
    if not signature:
        return ()
    size = 4 * ROWS
    parts = [signature[band * size : (band + 1) * size] for band in range(BANDS)]
    return tuple(xxhash.xxh3_64_intdigest(bytes([band]) + part) >> 1 for band, part in enumerate(parts))


def _shingles(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash for each five words in a row, which knows their order; fewer words are one shingle."""
    count = max(1, len(words) - _SHINGLE + 1)
    rows = np.zeros(count, dtype=np.uint64)
    for place in range(min(_SHINGLE, len(words))):
        rows = (rows ^ words[place : place + count]) * _MULTIPLIER
        rows ^= rows >> np.uint64(29)
    return rows
