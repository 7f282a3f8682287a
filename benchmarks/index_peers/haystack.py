"""Haystack: InMemoryDocumentStore with its BM25 and embedding retrievers, joined by DocumentJoiner in a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haystack import Document, Pipeline  # type: ignore[import-not-found,unused-ignore]
from haystack.components.joiners import DocumentJoiner  # type: ignore[import-not-found,unused-ignore]
from haystack.components.retrievers.in_memory import (  # type: ignore[import-not-found,unused-ignore]
    InMemoryBM25Retriever,
    InMemoryEmbeddingRetriever,
)
from haystack.document_stores.in_memory import (  # type: ignore[import-not-found,unused-ignore]
    InMemoryDocumentStore,
)
from haystack.document_stores.types import DuplicatePolicy  # type: ignore[import-not-found,unused-ignore]

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, K, Mode, main


class Haystack:
    about = About(
        name="haystack",
        packages=("haystack-ai",),
        update="write_documents with DuplicatePolicy.OVERWRITE; both halves are incremental",
        durable="memory only",
        note="BM25L, its default",
    )

    def __init__(self) -> None:
        self._store: Any = InMemoryDocumentStore()
        self._lexical: Any = InMemoryBM25Retriever(self._store, top_k=K)
        self._dense: Any = InMemoryEmbeddingRetriever(self._store, top_k=K)
        self._pipeline = Pipeline()
        self._pipeline.add_component("lexical", InMemoryBM25Retriever(self._store, top_k=K))
        self._pipeline.add_component("dense", InMemoryEmbeddingRetriever(self._store, top_k=K))
        self._pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=K))
        self._pipeline.connect("lexical", "joiner")
        self._pipeline.connect("dense", "joiner")
        self._pipeline.warm_up()

    def load(self, texts: list[str], vectors: Vectors) -> None:
        self._store.write_documents(
            [self._document(number, text, vectors[number]) for number, text in enumerate(texts)]
        )

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._store.write_documents([self._document(number, text, vector)], policy=DuplicatePolicy.OVERWRITE)

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        embedding = vector.tolist()
        if mode == "dense":
            found = self._dense.run(query_embedding=embedding)
        elif mode == "lexical":
            found = self._lexical.run(query=query)
        else:
            asked = {"lexical": {"query": query}, "dense": {"query_embedding": embedding}}
            found = self._pipeline.run(asked)["joiner"]
        return [document.content for document in found["documents"]]

    @staticmethod
    def _document(number: int, text: str, vector: Vectors) -> Any:
        return Document(id=str(number), content=text, embedding=vector.tolist())


def open_peer(folder: Path, vector_of: VectorOf) -> Haystack:
    return Haystack()


if __name__ == "__main__":
    main(open_peer)
