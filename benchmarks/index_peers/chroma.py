"""Chroma on disk for vectors and texts, bm25s beside it for words, reciprocal rank fusion: a usual pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bm25s  # type: ignore[import-untyped,unused-ignore]
import chromadb  # type: ignore[import-not-found,unused-ignore]
import Stemmer  # type: ignore[import-not-found,unused-ignore]

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, Mode, batches, main, reciprocal_rank_fusion

CANDIDATES = 50  # of each half, before fusion


class Chroma:
    about = About(
        name="chroma + bm25s",
        packages=("chromadb", "bm25s"),
        update="collection.update; bm25s is built anew, having no other way, from tokens that are kept",
        durable="vectors and texts by fsync (8 an update); the words' half is memory only",
    )

    def __init__(self, folder: Path) -> None:
        settings = chromadb.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(str(folder), settings)
        self._client: Any = client
        self._collection: Any = client.create_collection("texts", configuration={"hnsw": {"space": "ip"}})
        self._stemmer = Stemmer.Stemmer("english")

    def load(self, texts: list[str], vectors: Vectors) -> None:
        for start, end in batches(len(texts), min(5000, self._client.get_max_batch_size())):
            ids = [str(number) for number in range(start, end)]
            self._collection.add(ids=ids, documents=texts[start:end], embeddings=vectors[start:end])
        self._tokens: list[list[str]] = self._tokenized(texts)
        self._build()

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._collection.update(ids=[str(number)], documents=[text], embeddings=[vector])
        self._tokens[number] = self._tokenized([text])[0]
        self._build()

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        rankings = []
        if mode != "lexical":
            found = self._collection.query(query_embeddings=[vector], n_results=CANDIDATES, include=[])
            rankings.append([int(number) for number in found["ids"][0]])
        if mode != "dense":
            wanted = min(CANDIDATES, len(self._tokens))
            rows, scores = self._bm25.retrieve(self._tokenized([query]), k=wanted, show_progress=False)
            rankings.append([int(row) for row, score in zip(rows[0], scores[0], strict=True) if score > 0])
        best = reciprocal_rank_fusion(rankings, k)
        fetched = self._collection.get(ids=[str(row) for row in best], include=["documents"])
        text_of = dict(zip(fetched["ids"], fetched["documents"], strict=True))
        return [text_of[str(row)] for row in best]

    def _build(self) -> None:
        self._bm25: Any = bm25s.BM25(method="lucene")
        self._bm25.index(self._tokens, show_progress=False)

    def _tokenized(self, texts: list[str]) -> list[list[str]]:
        tokens: list[list[str]] = bm25s.tokenize(
            texts, stopwords="en", stemmer=self._stemmer, return_ids=False, show_progress=False
        )
        return tokens


def open_peer(folder: Path, vector_of: VectorOf) -> Chroma:
    return Chroma(folder)


if __name__ == "__main__":
    main(open_peer)
