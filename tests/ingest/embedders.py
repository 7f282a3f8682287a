"""Embedders for tests that watch what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.types import Vectors
from retrieval.hash_embedder import HashEmbedder


class CountingEmbedder(HashEmbedder):
    """Remembers every text that it embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return super().embed_documents(texts)
