"""Measures one BM25 engine in its own process, over terms that were made once for all. One JSON line a stage.

An engine's module defines `open_engine` and runs `main(open_engine)`; needs numpy only. Terms are read from
`terms-NAME.txt`, one row a line, terms parted by blanks.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from index_peers.corpus import REAL
from index_peers.measure import K, Reporter, bytes_under, limit_memory, percentiles, resident, versions

WARM_UP = 20
COMPARED = 50  # queries whose rows are reported, to compare engines
PASSES = 3  # over all queries; the middle one counts

Terms = list[str]


class Engine(Protocol):
    """BM25 over rows of terms."""

    packages: Sequence[str]
    note: str

    def build(self, rows: list[Terms]) -> None: ...

    def search(self, query: Terms, k: int) -> list[int]:
        """Rows of the best `k`, best first."""
        ...

    def search_all(self, queries: list[Terms], k: int) -> None:
        """All queries in one call, on one thread. Raises NotImplementedError where an engine has no such call."""
        ...

    def update(self, row: int, terms: Terms) -> None:
        """Replaces a row; from then on searches find the new terms."""
        ...

    def found_rows(self, rows: list[int]) -> list[int]:
        """Rows as given to `build` and `update`, for those that `search` returned."""
        ...


def main(open_engine: Callable[[str, Path], Engine]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the engine's files")
    parser.add_argument("--query-s", type=float, default=30)
    parser.add_argument("--update-s", type=float, default=30)
    arguments = parser.parse_args()
    reporter = Reporter()
    limit_memory()
    engine = open_engine(arguments.engine, arguments.folder)
    about = {"name": arguments.engine, "versions": versions(engine.packages), "note": engine.note}
    reporter.stage("start", about)
    queries = read_terms(arguments.corpus / "terms-queries.txt")
    name = "50k" if arguments.size <= REAL else "1M"
    rows = read_terms(arguments.corpus / f"terms-{name}.txt", arguments.size)
    before = resident()
    began = time.perf_counter()
    engine.build(rows)
    seconds = time.perf_counter() - began
    del rows
    # The rows that an engine keeps are not counted, as they were there before.
    grown = resident()["rss_anon"] - before["rss_anon"]
    reporter.stage("load", {"load_s": seconds, "rss_anon_grown": grown, "bytes_on_disk": bytes_under(arguments.folder)})
    reporter.stage("query", query(engine, queries, arguments.query_s))
    reporter.stage("batch", batch(engine, queries, arguments.query_s))
    updates = read_terms(arguments.corpus / "terms-updates.txt")
    reporter.stage("update", update(engine, arguments.size, updates, arguments.update_s))
    sys.stderr.flush()
    os._exit(0)


def query(engine: Engine, queries: list[Terms], limit_s: float) -> dict[str, Any]:
    """One query a call, one after the other: queries a second and milliseconds."""
    for terms in queries[:WARM_UP]:
        engine.search(terms, K)
    passes: list[list[float]] = []
    began = time.perf_counter()
    while len(passes) < PASSES and (not passes or time.perf_counter() - began < limit_s):
        taken: list[float] = []
        for terms in queries:
            start = time.perf_counter()
            engine.search(terms, K)
            taken.append(time.perf_counter() - start)
            if not passes and time.perf_counter() - began > limit_s:
                break
        passes.append(taken)
    middle = sorted(passes, key=sum)[len(passes) // 2]
    rows = [engine.found_rows(engine.search(terms, K)) for terms in queries[: min(COMPARED, len(middle))]]
    rate = len(middle) / sum(middle)
    return {**percentiles(middle), "queries_per_s": rate, "queries": len(middle), "rows": rows}


def batch(engine: Engine, queries: list[Terms], limit_s: float) -> dict[str, Any]:
    """All queries in one call; nothing where an engine can't, or where a call takes beyond the limit."""
    taken: list[float] = []
    began = time.perf_counter()
    try:
        while len(taken) < PASSES and time.perf_counter() - began < limit_s:
            start = time.perf_counter()
            engine.search_all(queries, K)
            taken.append(time.perf_counter() - start)
    except NotImplementedError:
        return {}
    return {"queries_per_s": len(queries) / sorted(taken)[len(taken) // 2]}


def update(engine: Engine, size: int, updates: list[Terms], limit_s: float) -> dict[str, Any]:
    """Milliseconds from the call until a search finds the new row, for up to 30 rows."""
    taken: list[float] = []
    missed = 0
    began = time.perf_counter()
    for row, terms in zip(np.linspace(0, size - 1, 30, dtype=np.int64).tolist(), updates, strict=False):
        start = time.perf_counter()
        engine.update(row, terms)
        found = engine.found_rows(engine.search(terms[-8:], K))
        taken.append(time.perf_counter() - start)
        missed += row not in found
        if time.perf_counter() - began > limit_s:
            break
    return {**percentiles(taken), "updates": len(taken), "never_shown": missed}


def read_terms(file: Path, end: int | None = None) -> list[Terms]:
    """Rows of terms; equal terms are one object, as they are in a tokenizer's output that is interned."""
    with file.open(encoding="utf-8") as lines:
        return [[sys.intern(term) for term in line.split()] for line in islice(lines, end)]
