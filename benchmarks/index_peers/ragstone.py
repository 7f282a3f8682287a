"""Ragstone itself, through its own ingestion and search: what `POST /documents` and `POST /search` call.

The functions that touch the product's interfaces stand together, in `Product`. One chunk a document.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, Mode, batches, main
from ingest.jobs import FINISHED
from ingest.pipeline import IncomingFile
from ingest.types import Embedder, Space
from ragstone.settings import Settings
from ragstone.wiring import Application
from retrieval.search import SearchRequest

COLLECTION = "default"
POLL_S = 0.001  # between looks whether a job is done, for each of its files
LOADED_TOGETHER = 500  # documents in one upload


class GivenVectors:
    """An `ingest.types.Embedder` that knows its vectors. A text's tokens are counted as its words."""

    def __init__(self, vector_of: VectorOf) -> None:
        self._vector_of = vector_of
        self._space = Space(model="given", fingerprint="given", dimension=vector_of.dimension)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def max_tokens(self) -> int:
        return 8192

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._vector_of(text) for text in texts])

    def embed_query(self, text: str) -> Vectors:
        return self._vector_of(text)


class Product:
    """All that this benchmark asks of the product."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._application = Application(Settings(data=folder), embedder=embedder)
        self._application.worker.start()

    def upload(self, texts: dict[str, str]) -> None:
        """Puts documents by their URI and returns when they are committed."""
        files = [IncomingFile(name=uri, uri=uri, data=text.encode()) for uri, text in texts.items()]
        ingestion, worker = self._application.ingestion, self._application.worker
        job_id = ingestion.submit(files, COLLECTION, None)
        worker.wake()
        while ingestion.queue.get(job_id).state not in FINISHED:
            if worker.problem is not None:
                raise RuntimeError(worker.problem)
            time.sleep(POLL_S * len(files))

    def search(self, query: str, k: int, mode: Mode) -> list[str]:
        request = SearchRequest(query=query, collections=frozenset({COLLECTION}), k=k, mode=mode)
        return [passage.text for passage in self._application.searcher.search(request).passages]

    def open(self) -> None:
        """Reads the index, so that the first search does not."""
        self._application.searcher.follow()


class Ragstone:
    about = About(
        name="ragstone",
        packages=("ragstone", "faiss-cpu", "numpy"),
        update="an upload of the document's new text, by the worker's thread",
        durable="texts, vectors and postings' source by fsync (SQLite, synchronous=FULL)",
        note="its default settings",
    )

    def __init__(self, product: Product, vector_of: VectorOf) -> None:
        self._product, self._vector_of = product, vector_of
        product.open()

    def load(self, texts: list[str], vectors: Vectors) -> None:
        for start, end in batches(len(texts), LOADED_TOGETHER):
            self._product.upload({_uri(number): texts[number] for number in range(start, end)})
        self._product.open()

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._product.upload({_uri(number): text})

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        self._vector_of.remember(query, vector)
        return self._product.search(query, k, mode)


def _uri(number: int) -> str:
    return f"{number}.txt"


def open_peer(folder: Path, vector_of: VectorOf) -> Ragstone:
    return Ragstone(Product(folder, GivenVectors(vector_of)), vector_of)


if __name__ == "__main__":
    main(open_peer)
