"""Ragstone itself: at its index, with chunks and vectors given as to the peers, and through its ingestion of uploads.

The functions that touch the product's interfaces stand together, in `Product`. One chunk a document.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, Mode, batches, main
from ingest.catalog.statements import PreparedVersion
from ingest.identity import document_id_of
from ingest.jobs.queue import FINISHED
from ingest.pipeline import IncomingFile
from ingest.types import ChunkSpan, Embedder, Extracted, Space
from ragstone.settings import Settings
from ragstone.wiring import Application
from ragstone.worker_process import Jobs
from retrieval.search import SearchRequest

COLLECTION = "default"
POLL_S = 0.1  # between looks whether a job is done; the worker says when it was
LOADED_TOGETHER = 1000  # documents in one commit
PACKAGES = ("ragstone", "faiss-cpu", "numpy")
DURABLE = "by fsync (SQLite, synchronous=FULL)"


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

    def __init__(self, folder: Path, embedder: Embedder, jobs: Jobs | None = None) -> None:
        """`jobs` does the jobs, such as a process of its own; None: a thread of this one."""
        self._application = Application(Settings(data=folder), embedder=embedder, jobs=jobs)
        self._space = embedder.space
        self._worked = threading.Event()
        self._application.jobs.listeners.add(lambda job_id: self._worked.set())
        self._application.start()

    def commit(self, texts: dict[str, str], vectors: Vectors) -> None:
        """Shows one-chunk documents by their URI, from one new revision on."""
        prepared = [_prepared(uri, text, vector) for (uri, text), vector in zip(texts.items(), vectors, strict=True)]
        self._application.history.commit_versions(prepared, self._space)

    def upload(self, texts: dict[str, str]) -> None:
        """Uploads files by their URI and returns when they are ingested."""
        files = [IncomingFile(name=uri, uri=uri, data=text.encode()) for uri, text in texts.items()]
        ingestion, jobs = self._application.ingestion, self._application.jobs
        self._worked.clear()
        job_id = ingestion.submit(files, COLLECTION, None)
        jobs.wake()
        self._worked.wait(POLL_S)
        while ingestion.queue.get(job_id).state not in FINISHED:
            if jobs.problem is not None:
                raise RuntimeError(jobs.problem)
            self._worked.clear()
            self._worked.wait(POLL_S)

    def search(self, query: str, k: int, mode: Mode) -> list[str]:
        request = SearchRequest(query=query, collections=frozenset({COLLECTION}), k=k, mode=mode)
        return [passage.text for passage in self._application.searcher.search(request).passages]

    def open(self) -> None:
        """Reads the index, so that the first search does not."""
        self._application.searcher.follow()

    def settle(self) -> None:
        """Writes the index's segments, and waits until none is to be merged."""
        self.open()
        while self._application.live.maintain():
            pass

    def close(self) -> None:
        self._application.stop()
        self._application.close()


class Ragstone:
    about = About(
        name="ragstone",
        packages=PACKAGES,
        update="a commit of the document's new text and vector, which are given as to the peers",
        durable=DURABLE,
        note="its default settings",
    )

    def __init__(self, product: Product, vector_of: VectorOf) -> None:
        self._product, self._vector_of = product, vector_of
        product.open()

    def load(self, texts: list[str], vectors: Vectors) -> None:
        for start, end in batches(len(texts), LOADED_TOGETHER):
            self._product.commit({_uri(number): texts[number] for number in range(start, end)}, vectors[start:end])
        self._product.settle()

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._product.commit({_uri(number): text}, vector[None, :])

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        self._vector_of.remember(query, vector)
        return self._product.search(query, k, mode)


class Uploading(Ragstone):
    about = About(
        name="ragstone, uploads",
        packages=PACKAGES,
        update="an upload of the new text as a file: stored, queued, read, cut into chunks and committed by the worker",
        durable=f"the file and its job as well, {DURABLE}",
        note="loaded by commits",
    )

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._product.upload({_uri(number): text})


def _prepared(uri: str, text: str, vector: Vectors) -> PreparedVersion:
    span = ChunkSpan(ordinal=0, start=0, end=len(text), heading=(), page=None, input=text)
    return PreparedVersion(
        document_id=document_id_of(COLLECTION, uri),
        collection=COLLECTION,
        uri=uri,
        metadata=None,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        prepared_with="given",
        size_bytes=len(text.encode()),
        extracted=Extracted(text=text, title=uri, media_type="text/plain"),
        spans=[span],
        vectors={span.chunk_id: vector},
    )


def _uri(number: int) -> str:
    return f"{number}.txt"


def open_peer(folder: Path, vector_of: VectorOf) -> Ragstone:
    return Ragstone(Product(folder, GivenVectors(vector_of)), vector_of)


if __name__ == "__main__":
    main(open_peer)
