"""The embedder that all systems call: our model, or vectors hashed of the texts; its time is counted apart."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from ingest.types import Space, Vectors
from retrieval.embedder import OnnxEmbedder

DIMENSION = 384
BATCH = 32  # texts of one call, as Ragstone has it by default; the same for those systems that let one choose


class Embedder(Protocol):
    """What `ingest.types.Embedder` asks for."""

    @property
    def space(self) -> Space: ...

    @property
    def max_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...

    def embed_documents(self, texts: Sequence[str]) -> Vectors: ...

    def embed_query(self, text: str) -> Vectors: ...


class HashedVectors:
    """A vector drawn at random for each text, the same for the same text: next to nothing to compute, and equal texts
    find each other, so that a search by a file's whole text can be checked. A token is a word.
    """

    max_tokens = 8192

    def __init__(self) -> None:
        self.space = Space(model="hashed", fingerprint="hashed", dimension=DIMENSION)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> Vectors:
        drawn = hashlib.shake_128(text.encode()).digest(DIMENSION)
        vector = np.frombuffer(drawn, dtype=np.uint8).astype(np.float32) - 127.5
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


class CountedEmbedder:
    """Another embedder, and how long documents were in it, on the clock on the wall.

    Queries are not counted. `texts` holds what was embedded since `forget`.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self.seconds = 0.0
        self.texts: list[str] = []

    @property
    def space(self) -> Space:
        return self._embedder.space

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """In calls of `BATCH` texts, whatever the system hands over."""
        with self._counting(texts):
            parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
            vectors = [self._embedder.embed_documents(part) for part in parts]
        return np.concatenate(vectors) if vectors else np.empty((0, self.space.dimension), dtype=np.float32)

    def embed_query(self, text: str) -> Vectors:
        return self._embedder.embed_query(text)

    def forget(self) -> None:
        self.seconds, self.texts = 0.0, []

    def alone_s(self) -> float:
        """Seconds that the embedder takes for `texts` when nothing else goes on."""
        began = time.perf_counter()
        for start in range(0, len(self.texts), BATCH):
            self._embedder.embed_documents(self.texts[start : start + BATCH])
        return time.perf_counter() - began

    @contextmanager
    def _counting(self, texts: Sequence[str]) -> Iterator[None]:
        began = time.perf_counter()
        yield
        with self._lock:
            self.seconds += time.perf_counter() - began
            self.texts.extend(texts)


def open_embedder(folder: Path | None, max_tokens: int) -> CountedEmbedder:
    """The model in `folder`, one text a core at a time; None: hashed vectors."""
    if folder is None:
        return CountedEmbedder(HashedVectors())
    return CountedEmbedder(OnnxEmbedder(folder, model=folder.name, max_tokens=max_tokens, threads=0))
