"""Ragstone in service: queries while documents are being ingested, cold opens, and what its files and memory hold.

Measured on one loaded data folder, in this order; each cold open is a process of its own, the second one in a control
group whose memory, page cache included, is limited to what a chunk may take. One JSON line a stage.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from index_peers.corpus import Probes, VectorOf, Vectors, open_corpus, open_probes
from index_peers.measure import K, Reporter, bytes_under, load, percentiles, resident
from index_peers.ragstone import GivenVectors, Product, Ragstone
from ragstone.settings import Settings
from ragstone.wiring import Application
from ragstone.worker_process import WorkerProcess
from retrieval.embedder import OnnxEmbedder

OPENED_S = 10.0  # of queries after a cold open
WINDOW_S = 30.0  # of queries, idle and while ingesting
TOGETHER = 16  # files of an upload
LIMITED_TO = 600  # bytes of memory a chunk, beside what the modules take
LIMITED_FROM = 200_000  # chunks: with fewer it is nothing
NEW = 5000  # texts that are ingested, more than there is time for


class EmbeddingNew(GivenVectors):
    """Texts are embedded, on one core; their vectors go into the space of those that were given."""

    def __init__(self, folder: Path, dimension: int) -> None:
        vector_of = VectorOf()
        vector_of.remember("", np.zeros(dimension, dtype=np.float32))
        super().__init__(vector_of)
        self._embedder = OnnxEmbedder(folder, model=folder.name, max_tokens=256, threads=1)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_documents(texts)


def embedding_new(folder: Path, embedder: Path, dimension: int) -> Application:
    """What does the jobs, on the same data folder."""
    return Application(Settings(data=folder), embedder=EmbeddingNew(embedder, dimension))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the data")
    parser.add_argument("--embedder", type=Path, required=True, help="the embedder's folder, for what is ingested")
    parser.add_argument("--open-only", action="store_true", help="the cold open, of a folder that is there")
    parser.add_argument("--limited", action="store_true", help="with limited memory")
    arguments = parser.parse_args()
    queries = open_probes(arguments.corpus, "queries")
    vector_of = VectorOf()
    for text, vector in zip(queries.texts, queries.vectors, strict=True):
        vector_of.remember(text, vector)
    reporter = Reporter()
    if arguments.open_only:
        limit = LIMITED_TO * arguments.size if arguments.limited else None
        reporter.stage("cold_open", cold_open(arguments.folder, vector_of, queries, limit))
        return
    corpus = open_corpus(arguments.corpus, arguments.size)
    product = Product(arguments.folder, GivenVectors(vector_of))
    reporter.stage("start", {"name": "ragstone", "window_s": WINDOW_S})
    reporter.stage("load", load(Ragstone(product, vector_of), corpus, vector_of, arguments.folder))
    product.close()
    # As `ragstone serve` has it: jobs are done by a process of their own.
    jobs = WorkerProcess(partial(embedding_new, arguments.folder, arguments.embedder, vector_of.dimension))
    product = Product(arguments.folder, GivenVectors(vector_of), jobs)
    product.open()
    reporter.stage("bytes", {**bytes_by_part(arguments.folder), **resident()})
    reporter.stage("idle", asked_for(product, queries, WINDOW_S))
    texts = corpus.texts(0, NEW)
    reporter.stage("ingesting", asked_while_ingesting(product, queries, texts, TOGETHER, WINDOW_S))
    reporter.stage("ingesting_singly", asked_while_ingesting(product, queries, texts, 1, WINDOW_S))
    product.close()
    del product  # else its mapped files stay in the page cache
    gc.collect()
    reporter.stage("cold_open", cold_open_elsewhere(sys.argv[1:]))
    forget_pages(arguments.folder)
    limited = arguments.size >= LIMITED_FROM and can_limit()
    reporter.stage("limited", cold_open_elsewhere([*sys.argv[1:], "--limited"]) if limited else {})


# Tables and indexes of the catalog by what they hold; the others hold settings and jobs.
PARTS = {
    "text": ("documents", "versions", "chunks"),
    "vectors": ("vectors",),
    "history": ("occurrences", "showings", "revisions"),
}


def bytes_by_part(folder: Path) -> dict[str, int]:
    """Bytes on disk of text, vectors, postings and history, in the catalog and the index together, and of the rest.

    The log is moved into the catalog first. Pages are those that SQLite's `dbstat` counts.
    """
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = database.execute(
            "SELECT tbl_name, SUM(pgsize) FROM dbstat JOIN sqlite_schema USING (name) GROUP BY tbl_name"
        ).fetchall()
    found = {f"{part}_on_disk": sum(size for table, size in pages if table in tables) for part, tables in PARTS.items()}
    index = folder / "index"
    found["vectors_on_disk"] += sum(bytes_under(part) for part in index.glob("dense*"))
    found["postings_on_disk"] = bytes_under(index / "lexical")
    found["history_on_disk"] += bytes_under(index / "occurrences")
    return {**found, "bytes_on_disk": bytes_under(folder)}


def asked_for(product: Product, queries: Probes, seconds: float) -> dict[str, Any]:
    """Milliseconds of hybrid queries of one caller, one after the other, for so many seconds."""
    taken: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        product.search(queries.texts[len(taken) % len(queries.texts)], K, "hybrid")
        taken.append(time.perf_counter() - start)
    return {**percentiles(taken), "queries": len(taken)}


def asked_while_ingesting(
    product: Product, queries: Probes, texts: list[str], together: int, seconds: float
) -> dict[str, Any]:
    """The same while new documents are uploaded, one chunk each, so many together, when those before are committed."""
    stop = threading.Event()
    ingested = 0

    def ingest() -> None:
        nonlocal ingested
        for start in range(0, len(texts), together):
            if stop.is_set():
                return
            # Their words in another order: texts that were never embedded.
            part = enumerate(texts[start : start + together], start)
            product.upload({f"new-{together}-{n}.txt": " ".join(reversed(text.split()[together:])) for n, text in part})
            ingested += together

    thread = threading.Thread(target=ingest)
    thread.start()
    asked = asked_for(product, queries, seconds)
    stop.set()
    thread.join()
    return {**asked, "ingested_per_s": ingested / seconds}


def cold_open(folder: Path, vector_of: VectorOf, queries: Probes, limit: int | None) -> dict[str, Any]:
    """Seconds from the data folder to the first answer, modules being imported already; the files may be cached.

    Then queries, and what they have brought into memory. `limit` is in bytes.
    """
    import faiss  # noqa: F401 (what searching imports late)

    before = resident()
    if limit is not None:
        limit_group(limit)
    began = time.perf_counter()
    product = Product(folder, GivenVectors(vector_of))
    product.open()
    product.search(queries.texts[0], K, "hybrid")
    seconds = time.perf_counter() - began
    asked = asked_for(product, queries, OPENED_S)
    grown = {f"{name}_grown": value - before[name] for name, value in resident().items()}
    return {"cold_open_s": seconds, **asked, **resident(), **grown}


MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")  # of control groups, version 1
GROUPS = Path("/sys/fs/cgroup")  # of version 2


def forget_pages(folder: Path) -> None:
    """Takes the files out of the page cache, so that who reads them next is charged for them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def can_limit() -> bool:
    """Whether this process may make control groups with a limit of memory."""
    return os.access(MEMORY_GROUPS, os.W_OK) or os.access(GROUPS / "cgroup.subtree_control", os.W_OK)


def limit_group(limit: int) -> None:
    """Moves this process into a control group of its own, whose memory is limited to so many bytes.

    What was taken before counts for the group before. The group is left behind, empty.
    """
    first = MEMORY_GROUPS.is_dir()
    group = (MEMORY_GROUPS if first else GROUPS) / f"ragstone-benchmark-{os.getpid()}"
    group.mkdir()
    (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit))
    (group / "cgroup.procs").write_text(str(os.getpid()))


def cold_open_elsewhere(arguments: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-P", "-W", "ignore", "-m", "index_peers.ragstone_serving", *arguments, "--open-only"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode < 0:  # by the kernel, for lack of memory
        return {}
    done.check_returncode()
    values: dict[str, Any] = json.loads(done.stdout)
    del values["stage"]
    return values


if __name__ == "__main__":
    main()
