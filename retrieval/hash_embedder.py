"""An embedder without a model, for tests and for trying things out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from ingest.types import Space, Vectors

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """The in-tree fake of `ingest.types.Embedder`: texts that share words are near, and nothing else is known to it.

    A text is a bag of words: each word, case-folded, adds 1 or -1 to one of `dimension` places, both chosen by its
    SHA-256 (the hashing trick: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009);
    then the sum is normalised. The same in every process, unlike Python's own `hash`. Inputs are never cut.
    """

    def __init__(self, dimension: int = 64) -> None:
        self._space = Space(model="hash", fingerprint="words-sha256-1", dimension=dimension)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def max_tokens(self) -> int:
        return 1_000_000

    def count_tokens(self, text: str) -> int:
        """Words of `text`."""
        return len(_WORD.findall(text))

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (len(texts), dimension), rows of length 1, in the order of `texts`."""
        vectors = np.zeros((len(texts), self._space.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self.embed_query(text)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """float32 of shape (dimension,), of length 1."""
        vector = np.zeros(self._space.dimension, dtype=np.float32)
        for word in _WORD.findall(text.casefold()):
            digest = hashlib.sha256(word.encode("utf-8")).digest()
            place = int.from_bytes(digest[:8], "big") % self._space.dimension
            vector[place] += 1 if digest[8] % 2 else -1
        norm = float(np.linalg.norm(vector))
        if norm == 0:  # no words, or words that cancel out: still a vector of length 1
            vector[0], norm = 1, 1.0
        return vector / np.float32(norm)
