"""Measures one peer in its own process: load, memory, hybrid queries, updates. One JSON line a stage on stdout.

The same for every peer: the same texts and vectors in the same order, the same queries, k = 10, warmed up. A peer's
module defines `open_peer(folder, vector_of)` and runs `main(open_peer)`; needs numpy only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import itertools
import json
import mmap
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from index_peers.corpus import Corpus, Probes, VectorOf, Vectors, open_corpus, open_probes

K = 10
WARM_UP = 20  # queries
RECALL_QUERIES = 50
UPDATES_BEFORE = 2  # updates that are made before the clock is looked at
VISIBLE_WITHIN_S = 60.0

Mode = Literal["hybrid", "dense", "lexical"]


@dataclass(frozen=True)
class About:
    """What a reader of the tables must know of a peer."""

    name: str
    packages: Sequence[str]  # distributions whose versions are reported
    update: str  # how it takes an update
    durable: str  # what an update is kept by when the call returns
    note: str = ""


class Peer(Protocol):
    """A hybrid index of a peer. `search` may be called from several threads, the others from one."""

    @property
    def about(self) -> About: ...

    def load(self, texts: list[str], vectors: Vectors) -> None:
        """Takes the corpus, the text at position i as document i; vectors float32 of shape (texts, dimension)."""
        ...

    def update(self, number: int, text: str, vector: Vectors) -> None:
        """Replaces the text of document `number`."""
        ...

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        """Texts of the best `k` documents, best first."""
        ...


OpenPeer = Callable[[Path, VectorOf], Peer]


@dataclass
class Limits:
    """Seconds after which a stage takes no further samples. The parent ends a stage that takes far longer."""

    query_s: float = 30.0
    update_s: float = 60.0
    updates: int = 30
    only: Sequence[str] = field(default_factory=lambda: ("query", "update"))


class Reporter:
    """Writes one JSON line a stage to what was stdout when the process began; libraries print elsewhere."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def stage(self, name: str, values: dict[str, Any]) -> None:
        print(json.dumps({"stage": name, **values}), file=self._out, flush=True)


def main(open_peer: OpenPeer) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the peer's files")
    parser.add_argument("--limits", type=json.loads, default={})
    arguments = parser.parse_args()
    reporter = Reporter()
    limit_memory()
    limits = Limits(**arguments.limits)
    corpus = open_corpus(arguments.corpus, arguments.size)
    queries, updates = open_probes(arguments.corpus, "queries"), open_probes(arguments.corpus, "updates")
    vector_of = VectorOf()
    for probes in (queries, updates):
        for text, vector in zip(probes.texts, probes.vectors, strict=True):
            vector_of.remember(text, vector)
    peer = open_peer(arguments.folder, vector_of)
    reporter.stage("start", {**asdict(peer.about), "versions": versions(peer.about.packages)})
    reporter.stage("load", load(peer, corpus, vector_of, arguments.folder))
    if "query" in limits.only:
        reporter.stage("recall", dense_recall(peer, corpus, queries, limits.query_s))
        for callers in (1, 4):
            reporter.stage(f"query_{callers}", query(peer, queries, callers, limits.query_s))
    if "update" in limits.only:
        reporter.stage("update", update(peer, corpus, updates, limits))
    reporter.stage("end", {"bytes_on_disk": bytes_under(arguments.folder), **resident()})
    # Threads that a library left behind must not keep the process.
    sys.stderr.flush()
    os._exit(0)


def load(peer: Peer, corpus: Corpus, vector_of: VectorOf, folder: Path) -> dict[str, Any]:
    """Seconds to load, and what memory and disk grew by. The texts are gone from here when memory is read again."""
    texts = corpus.texts()
    vector_of.remember_corpus(texts, corpus.vectors)
    del texts
    before = resident()
    texts = corpus.texts()
    began = time.perf_counter()
    peer.load(texts, corpus.vectors)
    seconds = time.perf_counter() - began
    del texts
    forget_pages(corpus.vectors)
    after = resident()
    grown = {f"{name}_grown": after[name] - before[name] for name in after}
    return {"load_s": seconds, **after, **grown, "bytes_on_disk": bytes_under(folder)}


def query(peer: Peer, queries: Probes, callers: int, limit_s: float) -> dict[str, Any]:
    """Milliseconds of a hybrid query as each of `callers` threads sees it, each query asked once unless time is up."""
    pairs = list(zip(queries.texts, queries.vectors, strict=True))
    began = time.perf_counter()
    for text, vector in pairs[:WARM_UP]:
        if time.perf_counter() - began < limit_s:
            peer.search(text, vector, K, "hybrid")
    remaining = itertools.cycle(pairs)
    taken: list[float] = []
    lock = threading.Lock()
    asked = itertools.count()
    began = time.perf_counter()

    def ask() -> None:
        while next(asked) < len(pairs) and time.perf_counter() - began < limit_s:
            with lock:
                text, vector = next(remaining)
            start = time.perf_counter()
            peer.search(text, vector, K, "hybrid")
            taken.append(time.perf_counter() - start)

    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(ask) for _ in range(callers)]:
            done.result()
    seconds = time.perf_counter() - began
    return {**percentiles(taken), "queries_per_s": len(taken) / seconds, "queries": len(taken)}


def update(peer: Peer, corpus: Corpus, updates: Probes, limits: Limits) -> dict[str, Any]:
    """Milliseconds from the call until both halves return the new text, and how often the old one still came."""
    count = min(limits.updates, len(updates.texts))
    numbers = np.linspace(0, corpus.size - 1, count, dtype=np.int64).tolist()
    np.random.default_rng(7).shuffle(numbers)
    old = corpus.text_of(numbers)
    shown: list[float] = []
    returned: list[float] = []
    searched: list[float] = []
    late = stale = 0
    began = time.perf_counter()
    for number, text, vector in zip(numbers, updates.texts, updates.vectors, strict=False):
        if len(shown) >= UPDATES_BEFORE and time.perf_counter() - began > limits.update_s:
            break
        start = time.perf_counter()
        peer.update(number, text, vector)
        returned.append(time.perf_counter() - start)
        seen = _wait_until_shown(peer, text, vector)
        shown.append(time.perf_counter() - start)
        start = time.perf_counter()
        _wait_until_shown(peer, text, vector)
        searched.append(time.perf_counter() - start)
        late += not seen
        old_vector = np.array(corpus.vectors[number])
        stale += any(old[number] in peer.search(old[number], old_vector, K, mode) for mode in ("dense", "lexical"))
    return {
        **percentiles(shown),
        "call_ms": 1000 * statistics.median(returned),
        "searches_ms": 1000 * statistics.median(searched),
        "updates": len(shown),
        "never_shown": late,
        "old_text_still_found": stale,
    }


def _wait_until_shown(peer: Peer, text: str, vector: Vectors) -> bool:
    # The last words are of the new text and hold one that stands nowhere else.
    words = " ".join(text.split()[-8:])
    waiting: list[Mode] = ["dense", "lexical"]
    deadline = time.perf_counter() + VISIBLE_WITHIN_S
    while time.perf_counter() < deadline:
        waiting = [mode for mode in waiting if text not in peer.search(words, vector, K, mode)]
        if not waiting:
            return True
    return False


def dense_recall(peer: Peer, corpus: Corpus, queries: Probes, limit_s: float) -> dict[str, Any]:
    """Share of the exact ten nearest texts that the dense half returns: that peers do the same work."""
    asked = queries.vectors[:RECALL_QUERIES]
    nearest = exact_nearest(corpus.vectors, asked, K)
    text_of = corpus.text_of(nearest.ravel().tolist())
    shares: list[float] = []
    began = time.perf_counter()
    for text, vector, rows in zip(queries.texts, asked, nearest.tolist(), strict=False):
        found = peer.search(text, vector, K, "dense")
        shares.append(len({text_of[row] for row in rows} & set(found)) / K)
        if time.perf_counter() - began > limit_s:
            break
    return {"dense_recall": statistics.mean(shares), "queries": len(shares)}


def exact_nearest(vectors: Vectors, queries: Vectors, k: int) -> NDArray[np.int64]:
    """Rows of largest inner product, int64 of shape (queries, k), in no order."""
    best_rows = np.zeros((len(queries), 0), dtype=np.int64)
    best_scores = np.zeros((len(queries), 0), dtype=np.float32)
    for start in range(0, len(vectors), 50_000):
        scores = queries @ vectors[start : start + 50_000].T
        rows = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
        scores, rows = np.hstack([best_scores, scores]), np.hstack([best_rows, rows])
        kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        best_scores, best_rows = np.take_along_axis(scores, kept, 1), np.take_along_axis(rows, kept, 1)
    return best_rows


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """`p50_ms` and `p99_ms`."""
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99]).tolist()
    return {"p50_ms": p50, "p99_ms": p99}


def resident() -> dict[str, int]:
    """Bytes of this process in memory, `rss_anon` and `rss_file`, after what is unused was given back (Linux)."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # musl has no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Rss")}
    return {"rss_anon": int(values["RssAnon"]) * 1024, "rss_file": int(values["RssFile"]) * 1024}


def limit_memory() -> None:
    """A peer that needs more than three quarters of the machine's memory gets a MemoryError, and the machine lives."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (physical * 3 // 4, physical * 3 // 4))


def forget_pages(vectors: Vectors) -> None:
    """Gives back the pages of the corpus's own mapped file, which are none of a peer's."""
    mapped = vectors
    while mapped is not None and not isinstance(mapped, mmap.mmap):
        mapped = mapped.base  # type: ignore[assignment]  # an array's base is what owns its memory
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def bytes_under(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def versions(packages: Sequence[str]) -> dict[str, str]:
    """What is installed here, by distribution."""
    return {package: metadata.version(package) for package in packages}


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]], k: int) -> list[int]:
    """For peers that bring no fusion: Cormack, Clarke and Buettcher, SIGIR 2009, with the constant 60."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, 1):
            scores[row] = scores.get(row, 0.0) + 1 / (60 + rank)
    return sorted(scores, key=lambda row: -scores[row])[:k]


def batches(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Starts and ends of consecutive parts."""
    for start in range(0, count, size):
        yield start, min(count, start + size)
