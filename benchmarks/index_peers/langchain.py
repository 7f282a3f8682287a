"""LangChain: the FAISS store (exact, flat) and BM25Retriever (rank-bm25) of langchain-community, EnsembleRetriever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss  # noqa: F401 (as langchain would, but before memory is read)
import rank_bm25  # noqa: F401
from langchain_classic.retrievers import EnsembleRetriever  # type: ignore[import-not-found,unused-ignore]
from langchain_community.retrievers import BM25Retriever  # type: ignore[import-not-found,unused-ignore]
from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found,unused-ignore]
from langchain_core.documents import Document  # type: ignore[import-not-found,unused-ignore]
from langchain_core.embeddings import Embeddings  # type: ignore[import-not-found,unused-ignore]

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, K, Mode, main


class GivenVectors(Embeddings):  # type: ignore[misc,unused-ignore]
    def __init__(self, vector_of: VectorOf) -> None:
        self._vector_of = vector_of

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return list(map(float, self._vector_of(text)))


class LangChain:
    about = About(
        name="langchain",
        packages=("langchain-community", "langchain-classic", "langchain-core", "faiss-cpu", "rank-bm25"),
        update="delete and add_embeddings of the FAISS store; BM25Retriever is built anew, having no other way",
        durable="memory only",
        note="BM25Retriever splits at blanks, its default",
    )

    def __init__(self, vector_of: VectorOf) -> None:
        self._embedder = GivenVectors(vector_of)

    def load(self, texts: list[str], vectors: Vectors) -> None:
        ids = [str(number) for number in range(len(texts))]
        # Rows as they are: a million vectors as lists of floats would take 12 GB.
        self._store: Any = FAISS.from_embeddings(zip(texts, vectors, strict=True), self._embedder, ids=ids)
        self._documents = [Document(page_content=text, id=number) for number, text in zip(ids, texts, strict=True)]
        self._build_retrievers()

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._store.delete([str(number)])
        self._store.add_embeddings([(text, vector.tolist())], ids=[str(number)])
        self._documents[number] = Document(page_content=text, id=str(number))
        self._build_retrievers()

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        if mode == "dense":
            found = self._store.similarity_search_by_vector(vector.tolist(), k=k)
        else:
            found = (self._hybrid if mode == "hybrid" else self._lexical).invoke(query)
        return [document.page_content for document in found[:k]]

    def _build_retrievers(self) -> None:
        self._lexical = BM25Retriever.from_documents(self._documents, k=K)
        dense = self._store.as_retriever(search_kwargs={"k": K})
        self._hybrid = EnsembleRetriever(retrievers=[self._lexical, dense], weights=[0.5, 0.5])


def open_peer(folder: Path, vector_of: VectorOf) -> LangChain:
    return LangChain(vector_of)


if __name__ == "__main__":
    main(open_peer)
