"""LlamaIndex: its default in-memory vector store, its BM25 retriever (bm25s), fused by QueryFusionRetriever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, K, Mode, main


class GivenVectors(BaseEmbedding):  # type: ignore[misc]  # its base is untyped here
    vector_of: Any

    def _get_query_embedding(self, query: str) -> list[float]:
        return list(map(float, self.vector_of(query)))

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_query_embedding(text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class LlamaIndex:
    about = About(
        name="llama-index",
        packages=("llama-index-core", "llama-index-retrievers-bm25", "bm25s"),
        update="delete_nodes and insert_nodes; the BM25 retriever is built anew from the docstore, having no other way",
        durable="memory only",
    )

    def __init__(self, vector_of: VectorOf) -> None:
        self._vector_of = vector_of
        self._embedder = GivenVectors(vector_of=vector_of)
        Settings.embed_model = self._embedder

    def load(self, texts: list[str], vectors: Vectors) -> None:
        nodes = [self._node(number, text, vectors[number]) for number, text in enumerate(texts)]
        storage = StorageContext.from_defaults()
        self._index = VectorStoreIndex(nodes, storage_context=storage, embed_model=self._embedder)
        self._build_retrievers()

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._index.delete_nodes([str(number)], delete_from_docstore=True)
        self._index.insert_nodes([self._node(number, text, vector)])
        self._build_retrievers()

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        retriever = {"hybrid": self._hybrid, "dense": self._dense, "lexical": self._lexical}[mode]
        if mode == "dense":  # asked with words that have no vector of their own
            self._vector_of.remember(query, vector)
        return [found.node.get_content() for found in retriever.retrieve(query)]

    def _build_retrievers(self) -> None:
        self._dense = self._index.as_retriever(similarity_top_k=K)
        self._lexical = BM25Retriever.from_defaults(docstore=self._index.docstore, similarity_top_k=K)
        self._hybrid = QueryFusionRetriever(
            [self._dense, self._lexical],
            llm=MockLLM(),
            mode="reciprocal_rerank",
            similarity_top_k=K,
            num_queries=1,
            use_async=False,
        )

    @staticmethod
    def _node(number: int, text: str, vector: Vectors) -> Any:
        return TextNode(id_=str(number), text=text, embedding=vector.tolist())


def open_peer(folder: Path, vector_of: VectorOf) -> LlamaIndex:
    return LlamaIndex(vector_of)


if __name__ == "__main__":
    main(open_peer)
