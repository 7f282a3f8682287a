"""The lexical half alone: queries a second against bm25s, with and without updates; its scores against two packages.

    python benchmarks/bm25.py [--sizes 5k 50k 1M] [--corpus DIR] [--k 10 100] [--rounds N]
    python benchmarks/bm25.py --check DATA

Texts and questions are those of benchmarks/index_corpus.py; where `texts-1M.txt` isn't made yet, the 50k texts are
repeated with one word in five replaced by another, drawn as often as it occurs. All are tokenised before. Times are of
one thread and one call a query. With updates, a commit of five chunks that replace five others stands between each ten
queries; bm25s can't be updated and has no such row. `--check` compares scores with bm25s
and rank-bm25 for all queries of DATA/scifact and DATA/vaswani_npl.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import bm25s  # type: ignore[import-untyped]
import numpy as np
from index_peers.corpus import REAL, SIZES
from rank_bm25 import BM25Okapi

from retrieval.bm25 import Bm25Index, warm_up
from retrieval.bm25_statistics import Variant
from retrieval.segments import SegmentStore
from retrieval.tokens import Tokenizer
from retrieval.visibility import Visible

Row = list[str]
BATCH = 10_000


def texts_of(folder: Path, size: int) -> list[Row]:
    """The terms of the first `size` texts."""
    tokenizer = Tokenizer("english")
    file = folder / "texts-1M.txt"
    made = size > REAL and file.is_file()
    with (file if made else folder / "texts-50k.txt").open(encoding="utf-8") as lines:
        rows = [tokenizer.tokenize(line) for line in islice(lines, size)]
    return rows if len(rows) == size else rows + _varied(rows, size - len(rows))


def _varied(rows: Sequence[Row], count: int) -> list[Row]:
    rng = np.random.default_rng(7)
    words = np.array(sorted({term for row in rows for term in row}), dtype=object)
    number_of = {term: number for number, term in enumerate(words)}
    flat = np.fromiter((number_of[term] for row in rows for term in row), np.int64)
    ends = np.cumsum([0, *map(len, rows)])
    made: list[Row] = []
    while len(made) < count:
        varied = np.where(rng.random(len(flat)) < 0.2, rng.choice(flat, len(flat)), flat)
        for i in islice(rng.permutation(len(rows)).tolist(), count - len(made)):
            made.append(words[varied[ends[i] : ends[i + 1]]].tolist())
    return made


def timed(queries: Sequence[Row], search: Callable[[Row], object], rounds: int) -> str:
    """Queries a second, median and 99th percentile in microseconds; each query's best of some rounds, as the machine
    is shared."""
    best = np.full(len(queries), np.inf)
    for _ in range(rounds):
        for i, query in enumerate(queries):
            began = time.perf_counter()
            search(query)
            best[i] = min(best[i], time.perf_counter() - began)
    micro = best * 1e6
    return f"{1e6 / micro.mean():8,.0f}/s  p50 {np.median(micro):7.0f} us  p99 {np.percentile(micro, 99):7.0f} us"


def filled(store: SegmentStore, rows: Sequence[Row]) -> Bm25Index:
    index = Bm25Index(store)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        index.add(np.arange(start + 1, start + len(part) + 1), part, index.last + 1, start + len(part))
        while index.maintain(Visible.of(np.arange(index.last + 1), index.last + 1)):
            pass
    index.seal()
    return index


def with_updates(index: Bm25Index, rows: Sequence[Row], queries: Sequence[Row], k: int) -> str:
    """Ten queries after each commit of five chunks that replace five others; each query is timed once or twice."""
    shown = np.arange(index.last + 2_000) <= index.last
    shown[0] = False
    rng = np.random.default_rng(1)
    micro, commits = [], []
    for turn in range(100):
        new = np.arange(index.last + 1, index.last + 6)
        texts = [rows[i] for i in rng.integers(0, len(rows), 5)]
        began = time.perf_counter()
        index.add(new, texts, index.last + 1, int(new[-1]))
        commits.append((time.perf_counter() - began) * 1e6)
        shown[rng.choice(np.flatnonzero(shown), 5, replace=False)] = False
        shown[new] = True
        visible = Visible(np.packbits(shown, bitorder="little"))
        for i in range(10):
            start = time.perf_counter()
            index.search(queries[(10 * turn + i) % len(queries)], k, visible)
            micro.append((time.perf_counter() - start) * 1e6)
    return (
        f"{1e6 / np.mean(micro):8,.0f}/s  p50 {np.median(micro):7.0f} us  p99 {np.percentile(micro, 99):7.0f} us; "
        f"first after a commit p50 {np.median(micro[::10]):.0f} us, addition p50 {np.median(commits):.0f} us"
    )


def measure(size: int, folder: Path, ks: Sequence[int], rounds: int, peers: bool) -> None:
    rows = texts_of(folder, size)
    tokenizer = Tokenizer("english")
    lines = (folder / "texts-queries.txt").read_text("utf-8").splitlines()
    queries = [tokenizer.tokenize(line) for line in lines]
    with tempfile.TemporaryDirectory() as name:
        store = SegmentStore(Path(name), {})
        began = time.perf_counter()
        filled(store, rows)
        built = time.perf_counter() - began
        began = time.perf_counter()
        index = Bm25Index(store)
        visible = Visible.of(np.arange(1, size + 1), size + 1)
        index.search(queries[0], 10, visible)
        opened = time.perf_counter() - began
        print(f"{size:,} chunks: built in {built:.1f} s, opened and searched in {opened:.2f} s,")
        print(f"  {store.size_bytes() / size:.0f} bytes a chunk on disk, {index.segments} segments")
        for k in ks:
            print(f"  k={k:<4} here               {timed(queries, lambda q, k=k: index.search(q, k, visible), rounds)}")
            print(f"  k={k:<4} here, with updates {with_updates(index, rows, queries, k)}", flush=True)
    for backend in ("numba", "numpy") if peers else ():
        peer = bm25s.BM25(method="lucene", backend=backend)
        peer.index(rows, show_progress=False)
        for k in ks:
            search = _search_of(peer, backend, k)
            search(queries[0])
            print(f"  k={k:<4} bm25s {backend}        {timed(queries, search, rounds)}", flush=True)
            if backend == "numba":
                began = time.perf_counter()
                peer.retrieve(queries, k=k, show_progress=False, backend_selection="numba")
                print(f"         all in one call    {len(queries) / (time.perf_counter() - began):8,.0f}/s")


def _search_of(peer: Any, backend: str, k: int) -> Callable[[Row], object]:
    selection = "numba" if backend == "numba" else "numpy"
    return lambda query: peer.retrieve([query], k=k, show_progress=False, backend_selection=selection)


def check(data: Path) -> None:
    tokenizer = Tokenizer("english")
    for name in ("scifact", "vaswani_npl"):
        rows, queries = (
            [tokenizer.tokenize(json.loads(line)["text"]) for line in (data / name / file).open(encoding="utf-8")]
            for file in ("corpus.jsonl", "queries.jsonl")
        )
        reference = bm25s.BM25(method="lucene", k1=1.5, b=0.75, dtype="float64")
        reference.index(rows, show_progress=False)
        okapi = BM25Okapi(rows)
        known = reference.vocab_dict
        lucene_of = [reference.get_scores([term for term in query if term in known]) for query in queries]
        okapi_of = [okapi.get_scores(query) for query in queries]
        variants: tuple[tuple[Variant, Any], ...] = (("lucene", lucene_of), ("okapi", okapi_of))
        for variant, scores in variants:
            worst, matches = compared(variant, rows, queries, scores)
            print(f"{name} {variant}: {len(queries)} queries, {matches:,} scores, largest difference {worst:.1e}")


def compared(variant: Variant, rows: Sequence[Row], queries: Sequence[Row], scores: Sequence[Any]) -> tuple[float, int]:
    """The largest difference to the package's scores, and how many were compared. Raises ValueError for other matches,
    and for a best 10 that are not those of all scores."""
    index = Bm25Index(None, variant=variant)
    index.add(np.arange(1, len(rows) + 1), rows, index.last + 1, len(rows))
    visible = Visible.of(np.arange(1, len(rows) + 1), len(rows) + 1)
    sets = [set(row) for row in rows]
    worst, matches = 0.0, 0
    for query, expected in zip(queries, scores, strict=True):
        numbers, found = index.search(query, len(rows), visible)
        wanted = set(query)
        if sorted(numbers.tolist()) != [n for n, row in enumerate(sets, start=1) if not wanted.isdisjoint(row)]:
            raise ValueError(f"other matches for {query}")
        best_numbers, best = index.search(query, 10, visible)
        if best.tolist() != found[: len(best)].tolist() or best_numbers.tolist() != numbers[: len(best)].tolist():
            raise ValueError(f"other best chunks for {query}")
        worst = max(worst, float(np.abs(found - expected[numbers - 1]).max(initial=0)))
        matches += len(numbers)
    return worst, matches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("~/.cache/ragstone-benchmarks/corpus").expanduser())
    parser.add_argument("--sizes", choices=SIZES, nargs="+", default=["5k", "50k"])
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--check", type=Path, metavar="DATA")
    arguments = parser.parse_args()
    warm_up()
    if arguments.check:
        check(arguments.check)
        return
    for size in arguments.sizes:
        measure(SIZES[size], arguments.corpus, arguments.k, arguments.rounds, not arguments.without_peers)


if __name__ == "__main__":
    main()
