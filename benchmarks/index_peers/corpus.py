"""The benchmark's corpus as a folder of plain files, read alike in every environment; needs numpy only.

`texts-NAME.txt` has one text a line, `vectors-NAME.npy` their vectors, float32 of shape (lines, dimension), rows of
length 1; NAME is `50k` (real), `1M` (the same 50k, then variations), `queries` or `updates`. A smaller corpus is the
head of a larger one. While vectors are being made, `vectors-NAME.npy` is complete up to the row that
`vectors-NAME.rows` tells; without that file it is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

SIZES = {"5k": 5_000, "50k": 50_000, "200k": 200_000, "1M": 1_000_000}
REAL = 50_000


@dataclass(frozen=True)
class Corpus:
    """Texts by position and where their vectors are; `vectors` is mapped, not read."""

    texts_file: Path
    vectors: Vectors
    size: int

    def texts(self, start: int = 0, end: int | None = None) -> list[str]:
        """Texts `start` to `end` (exclusive; None: the last)."""
        with self.texts_file.open(encoding="utf-8") as lines:
            return [line.rstrip("\n") for line in islice(lines, start, self.size if end is None else end)]

    def text_of(self, rows: Collection[int]) -> dict[int, str]:
        """Texts of some rows, by row."""
        wanted = set(rows)
        with self.texts_file.open(encoding="utf-8") as lines:
            return {row: line.rstrip("\n") for row, line in enumerate(islice(lines, self.size)) if row in wanted}


@dataclass(frozen=True)
class Probes:
    """Questions or new contents, with vectors of shape (len(texts), dimension)."""

    texts: list[str]
    vectors: Vectors


def open_corpus(folder: Path, size: int) -> Corpus:
    """The first `size` texts. Raises FileNotFoundError when they, or their vectors, are not made yet."""
    name = "50k" if size <= REAL else "1M"
    vectors, texts = folder / f"vectors-{name}.npy", folder / f"texts-{name}.txt"
    if not texts.is_file() or rows_made(vectors) < size:
        raise FileNotFoundError(
            f"{folder} has no corpus of {size:,} texts with vectors: run benchmarks/index_corpus.py"
        )
    return Corpus(texts, np.load(vectors, mmap_mode="r")[:size], size)


def open_probes(folder: Path, name: str) -> Probes:
    """`queries` or `updates`."""
    texts = (folder / f"texts-{name}.txt").read_text("utf-8").splitlines()
    return Probes(texts, np.load(folder / f"vectors-{name}.npy"))


def rows_made(vectors: Path) -> int:
    """Rows of a file of vectors that are complete; 0 without the file."""
    if not vectors.is_file():
        return 0
    progress = vectors.with_suffix(".rows")
    return int(progress.read_text()) if progress.is_file() else int(np.load(vectors, mmap_mode="r").shape[0])


class VectorOf:
    """Vectors looked up by text: the embedder of those peers that want to call one.

    Holds 16 bytes a text, and the texts not at all, so that it does not blur what a peer's memory grows by.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, dtype=np.uint64)
        self._places = np.empty(0, dtype=np.int64)
        self._vectors: Vectors = np.empty((0, 0), dtype=np.float32)
        self._extra: dict[int, Vectors] = {}

    def remember_corpus(self, texts: Sequence[str], vectors: Vectors) -> None:
        """`vectors` may be mapped; it is kept as it is."""
        keys = np.fromiter((_key(text) for text in texts), dtype=np.uint64, count=len(texts))
        self._places = np.argsort(keys, kind="stable")
        self._keys = keys[self._places]
        self._vectors = vectors

    def remember(self, text: str, vector: Vectors) -> None:
        self._extra[_key(text)] = vector

    @property
    def dimension(self) -> int:
        """Of the vectors. Raises StopIteration when none was remembered."""
        return len(next(iter(self._extra.values())))

    def __call__(self, text: str) -> Vectors:
        """float32 of shape (dimension,). Raises KeyError for a text that was never remembered."""
        key = _key(text)
        if key in self._extra:
            return self._extra[key]
        position = int(np.searchsorted(self._keys, np.uint64(key)))
        if position == len(self._keys) or int(self._keys[position]) != key:
            raise KeyError(f"no vector was given for the text {text[:80]!r}")
        return np.array(self._vectors[self._places[position]], dtype=np.float32)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
