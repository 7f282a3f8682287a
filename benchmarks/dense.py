"""Ways to search vectors side by side, where scanning all stops to pay, and what the dense index costs.

    python benchmarks/dense.py --vectors FILE.npy --queries FILE.npy [--sizes N ...] [--only NAME ...] [--slow-up-to N]
                               [--tables ways crossover index] [--json]

The files hold float32 of shape (n, dimension). Sizes above what FILE holds are filled with its vectors plus noise, of
length 1, at a cosine of 0.9 to their source. `ways`: the best 10 by FAISS's indexes and by ours, on one thread, among
all, half and 1 % of the vectors (as `IDSelectorBitmap` and as `Visible`); recall is against float32. `crossover`: our
two ways at growing sizes. `index`: the dense index on disk, with its updates. FAISS's own kernels use what the
processor has; `FAISS_OPT_LEVEL` does not bind all of them, `NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=` binds ours.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.dense_index import EXACT_UP_TO, DenseIndex
from retrieval.idle_cores import IdleCores
from retrieval.segments import SegmentStore
from retrieval.visibility import Visible

faiss: Any = importlib.import_module("faiss")  # its own types know nothing of what its Python layer adds

K = 10
CANDIDATES = 100  # what a hybrid search asks each half for
SHARES = (1.0, 0.5, 0.01)
CROSSOVER = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
BATCH = 4_096  # rows of one `add`

Found = NDArray[np.int64]
Search = Callable[[Vectors], Found]  # positions of the best K for one query


@dataclass(frozen=True, slots=True)
class Way:
    """`build` takes vectors; what it returns takes which of them are visible, and returns the search of one query."""

    name: str
    bytes_a_row: float
    build: Callable[[Vectors], Callable[[NDArray[np.bool_]], Search]]
    slow: bool = False


def ours(name: str, exact: bool) -> Way:
    def build(vectors: Vectors) -> Callable[[NDArray[np.bool_]], Search]:
        index = DenseIndex(None, vectors.shape[1], exact_up_to=sys.maxsize if exact else 0)
        add(index, vectors, 0)

        def among(shown: NDArray[np.bool_]) -> Search:
            visible = Visible(np.packbits(shown, bitorder="little"))
            return lambda query: index.search(query, K, visible)[0]

        return among

    return Way(name, 384 + 48 + 12 if not exact else 384 + 8, build)


def add(index: DenseIndex, vectors: Vectors, start: int, then: Callable[[], object] = lambda: None) -> None:
    """Adds the vectors from position `start` on, which are the chunks' numbers, calling `then` after each batch."""
    for first in range(start, len(vectors), BATCH):
        numbers = np.arange(first, min(first + BATCH, len(vectors)))
        index.add(numbers + 1, numbers, vectors[numbers], first + 1, int(numbers[-1]) + 1)
        then()


def of_faiss(
    name: str,
    bytes_a_row: float,
    factory: str | Callable[[int], Any],
    parameters: Callable[[Any], Any] = lambda selector: faiss.SearchParameters(sel=selector),
    *,
    fetched: int = K,
    slow: bool = False,
    scale: float = 1.0,
) -> Way:
    """`fetched` rows are asked for where the scores are rough; that the best K are among them counts as found."""

    def build(vectors: Vectors) -> Callable[[NDArray[np.bool_]], Search]:
        dimension = vectors.shape[1]
        if isinstance(factory, str):
            index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
        else:
            index = factory(dimension)
        fitted = np.clip(np.rint(vectors * scale), -128, 127).astype(np.float32) if scale != 1 else vectors
        if not index.is_trained:
            index.train(fitted[:: max(1, len(vectors) // 50_000)])
        index.add(fitted)

        def among(shown: NDArray[np.bool_]) -> Search:
            bits = np.packbits(shown, bitorder="little")
            chosen = None if shown.all() else faiss.IDSelectorBitmap(bits)
            settings = parameters(chosen)

            def search(query: Vectors) -> Found:
                asked = np.rint(query * scale) if scale != 1 else query
                _, found = index.search(asked[None], fetched, params=settings)
                assert bits is not None  # the selector points into it
                return np.asarray(found[0][found[0] >= 0], dtype=np.int64)

            return search

        return among

    return Way(name, bytes_a_row, build, slow)


def ways(dimension: int) -> list[Way]:
    quantiser = faiss.ScalarQuantizer

    def scalar(kind: int) -> Callable[[int], Any]:
        return lambda size: faiss.IndexScalarQuantizer(size, kind, faiss.METRIC_INNER_PRODUCT)

    def refined(factor: int) -> Callable[[Any], Any]:
        def parameters(selector: Any) -> Any:
            inner = faiss.SearchParametersPreTransform(index_params=faiss.SearchParameters(sel=selector))
            return faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=inner if selector else None)

        return parameters

    def probing(lists: int) -> Callable[[Any], Any]:
        return lambda selector: faiss.SearchParametersIVF(nprobe=lists, sel=selector)

    def trying(candidates: int) -> Callable[[Any], Any]:
        return lambda selector: faiss.SearchParametersHNSW(efSearch=candidates, sel=selector)

    d = dimension
    return [
        ours("ours, every code (int8, own scale)", exact=True),
        ours("ours, sketches then codes", exact=False),
        of_faiss("IndexFlatIP", 4 * d, faiss.IndexFlatIP),
        of_faiss("SQ fp16", 2 * d, scalar(quantiser.QT_fp16)),
        of_faiss("SQ 8bit", d, scalar(quantiser.QT_8bit)),
        of_faiss("SQ 8bit_uniform", d, scalar(quantiser.QT_8bit_uniform)),
        of_faiss("SQ 8bit_direct_signed, one scale", d, scalar(quantiser.QT_8bit_direct_signed), scale=127 / 0.3),
        of_faiss("SQ 6bit", 0.75 * d, scalar(quantiser.QT_6bit)),
        of_faiss("SQ 4bit", 0.5 * d, scalar(quantiser.QT_4bit)),
        of_faiss(
            "RaBitQ, query of 4 bits, best 500",
            d / 8 + 8,
            lambda size: faiss.IndexRaBitQ(size, faiss.METRIC_INNER_PRODUCT),
            lambda selector: faiss.RaBitQSearchParameters(sel=selector, qb=4),
            fetched=500,
        ),
        of_faiss("RR, RaBitQfs, Refine(SQ8) of 500", d / 8 + 8 + d, "RR,RaBitQfs,Refine(SQ8)", refined(50)),
        of_faiss("OPQ96, PQ96x4fs, Refine(SQ8) of 300", 48 + d, "OPQ96,PQ96x4fs,Refine(SQ8)", refined(30), slow=True),
        of_faiss("binary flat (signs), best 1000", d / 8, SignsOnly, lambda selector: selector, fetched=1000),
        *(of_faiss(f"IVF1024, SQ8, nprobe {n}", d + 8, "IVF1024,SQ8", probing(n), slow=True) for n in (16, 64)),
        *(of_faiss(f"HNSW32, SQ8, ef {n}", d + 270, "HNSW32_SQ8", trying(n), slow=True) for n in (64, 200)),
    ]


class SignsOnly:
    """IndexBinaryFlat over signs, with the methods of an index of floats."""

    is_trained = True

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexBinaryFlat(dimension)

    def add(self, vectors: Vectors) -> None:
        self._index.add(np.packbits(vectors >= 0, axis=1))

    def search(self, queries: Vectors, k: int, params: Any) -> tuple[Any, Any]:
        settings = faiss.SearchParameters(sel=params) if params else None
        found: tuple[Any, Any] = self._index.search(np.packbits(queries >= 0, axis=1), k, params=settings)
        return found


@dataclass(frozen=True, slots=True)
class Measured:
    rows: int
    way: str
    visible: float
    query_ms: float | None  # None: it can't search among some
    recall: float | None
    short: float | None  # share of queries that got fewer than there were
    bytes_a_row: float
    build_s: float


def compare(way: Way, vectors: Vectors, queries: Vectors, truths: dict[float, list[Found]]) -> Iterator[Measured]:
    began = time.perf_counter()
    among = way.build(vectors)
    build_s = time.perf_counter() - began
    for share, truth in truths.items():
        measured: tuple[float, float, float] | None = None
        with contextlib.suppress(RuntimeError):  # FAISS: this index takes no selector
            measured = timed(among(mask(len(vectors), share)), queries, truth)
        query_ms, recall, short = measured or (None, None, None)
        yield Measured(len(vectors), way.name, share, query_ms, recall, short, way.bytes_a_row, round(build_s, 1))


def timed(search: Search, queries: Vectors, truth: list[Found]) -> tuple[float, float, float]:
    shares, short = [], 0
    for query, best in zip(queries, truth, strict=True):
        found = search(query)
        shares.append(len(np.intersect1d(found, best)) / len(best))
        short += len(found) < len(best)
    taken = milliseconds(search, queries)
    return round(float(np.median(taken)), 3), round(float(np.mean(shares)), 4), short / len(truth)


def mask(rows: int, share: float) -> NDArray[np.bool_]:
    return np.random.default_rng(1).random(rows) < share


def best_by_float32(vectors: Vectors, queries: Vectors, share: float) -> list[Found]:
    places = np.flatnonzero(mask(len(vectors), share))
    scores, found = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for start in range(0, len(places), 50_000):
        part = places[start : start + 50_000]
        scores = np.hstack([scores, queries @ vectors[part].T])
        found = np.hstack([found, np.broadcast_to(part, (len(queries), len(part)))])
        kept = np.argsort(-scores, axis=1)[:, :K]
        scores, found = np.take_along_axis(scores, kept, 1), np.take_along_axis(found, kept, 1)
    return list(found)


def with_noise(real: Vectors, rows: int) -> Vectors:
    vectors = np.empty((rows, real.shape[1]), dtype=np.float32)
    vectors[: len(real)] = real[:rows]
    random = np.random.default_rng(2)
    for start in range(len(real), rows, len(real)):
        source = real[: rows - start]
        noise = random.standard_normal(source.shape, dtype=np.float32) / np.float32(np.sqrt(real.shape[1]))
        noisy = source + np.float32(0.484) * noise  # tan(acos(0.9))
        vectors[start : start + len(source)] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return vectors


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the dense index with its files. Times in ms but for `build_s` and `open_s`; bytes a row."""

    rows: int
    build_s: float  # adding all in batches and writing them
    open_s: float  # but for less than 1,024 rows that are not in a segment yet
    segments: int
    query_10: float
    query_10_one_core: float  # without idle cores
    query_100: float
    query_100_p99: float
    two_callers_100: float  # each of the two
    update: float  # one row, until a search can find it
    seal: float  # the longest `maintain` of 2,000 updates
    recall_10: float
    recall_100: float
    recall_10_float32: float
    resident: float  # after the searches, of this process
    mapped: float
    on_disk: float


def cost(vectors: Vectors, queries: Vectors, truth: list[Found]) -> Cost:
    rows, dimension = vectors.shape
    shown = Visible(np.packbits(np.ones(rows + 3_000, dtype=np.bool_), bitorder="little"))
    with tempfile.TemporaryDirectory() as folder:
        identity = {"benchmark": "dense"}
        began = time.perf_counter()
        index = DenseIndex(SegmentStore(Path(folder), identity), dimension)
        add(index, vectors, 0, lambda: index.maintain(shown))
        while index.maintain(shown):
            pass
        build_s = time.perf_counter() - began
        del index
        before = resident_bytes()
        began = time.perf_counter()
        store = SegmentStore(Path(folder), identity)
        index = DenseIndex(store, dimension)
        open_s = time.perf_counter() - began
        add(index, vectors, index.last)
        segments = index.segments
        search_10 = milliseconds(lambda query: index.search(query, K, shown), queries)
        search_100 = milliseconds(lambda query: index.search(query, CANDIDATES, shown), queries)
        resident = resident_bytes() - before
        alone = DenseIndex(SegmentStore(Path(folder), identity), dimension, idle_cores=IdleCores(0))
        search_alone = milliseconds(lambda query: alone.search(query, K, shown), queries)
        mapped, on_disk = index.nbytes, store.size_bytes()
        both = two_callers(lambda query: index.search(query, CANDIDATES, shown), queries)
        found = [index.search(query, K, shown)[0] for query in queries]
        recalls = [index.recall(shown, queries, k) or 0.0 for k in (K, CANDIDATES)]
        updates, upkeeps = [], []
        for number in range(index.last, index.last + 2_000):
            its = np.array([number])
            vector = vectors[number % rows][None]
            began = time.perf_counter()
            index.add(its + 1, its, vector, number + 1, number + 1)
            updates.append(time.perf_counter() - began)
            began = time.perf_counter()
            index.maintain(shown)
            upkeeps.append(time.perf_counter() - began)
        return Cost(
            rows=rows,
            build_s=round(build_s, 1),
            open_s=round(open_s, 2),
            segments=segments,
            query_10=round(float(np.median(search_10)), 3),
            query_10_one_core=round(float(np.median(search_alone)), 3),
            query_100=round(float(np.median(search_100)), 3),
            query_100_p99=round(float(np.percentile(search_100, 99)), 3),
            two_callers_100=round(float(np.median(both)), 3),
            update=round(1e3 * float(np.median(updates)), 3),
            seal=round(1e3 * max(upkeeps), 1),
            recall_10=round(recalls[0], 5),
            recall_100=round(recalls[1], 5),
            recall_10_float32=round(
                float(np.mean([np.isin(b, f).mean() for b, f in zip(truth, found, strict=True)])), 4
            ),
            resident=round(resident / rows),
            mapped=round(mapped / rows),
            on_disk=round(on_disk / rows),
        )


def milliseconds(search: Callable[[Vectors], object], queries: Vectors, runs: int = 3) -> list[float]:
    """For each query, the shortest of some runs, so that other work on the machine shows less."""
    taken = []
    for query in queries:
        seconds = []
        for _ in range(runs):
            began = time.perf_counter()
            search(query)
            seconds.append(time.perf_counter() - began)
        taken.append(1e3 * min(seconds))
    return taken


def two_callers(search: Callable[[Vectors], object], queries: Vectors) -> list[float]:
    taken: list[float] = []
    threads = [threading.Thread(target=lambda: taken.extend(milliseconds(search, queries))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def show(rows: Sequence[Any], as_json: bool) -> None:
    """As Markdown, or one JSON object a line."""
    for place, row in enumerate(rows):
        fields = asdict(row)
        if as_json:
            print(json.dumps(fields), flush=True)
            continue
        if place == 0:
            print(f"\n| {' | '.join(fields)} |\n|{'---|' * len(fields)}")
        print(f"| {' | '.join('-' if value is None else str(value) for value in fields.values())} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000, 200_000])
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of ways")
    parser.add_argument("--slow-up-to", type=int, default=200_000, help="rows for ways that take minutes to build")
    parser.add_argument("--tables", nargs="+", choices=["ways", "crossover", "index"], default=["ways", "index"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    real, queries = np.load(arguments.vectors), np.load(arguments.queries)[:200]
    for size in arguments.sizes if "ways" in arguments.tables else ():
        vectors = with_noise(real, size)
        truths = {share: best_by_float32(vectors, queries, share) for share in SHARES}
        for way in ways(vectors.shape[1]):
            if any(part in way.name for part in arguments.only) and not (way.slow and size > arguments.slow_up_to):
                show(list(compare(way, vectors, queries, truths)), arguments.json)
    for size in CROSSOVER if "crossover" in arguments.tables else ():
        vectors = with_noise(real, size)
        truths = {1.0: best_by_float32(vectors, queries, 1.0)}
        for exact in (True, False):
            way = ours(f"{'codes' if exact else 'sketches'} (in use: codes up to {EXACT_UP_TO})", exact)
            show(list(compare(way, vectors, queries, truths)), arguments.json)
    for size in arguments.sizes if "index" in arguments.tables else ():
        vectors = with_noise(real, size)
        show([cost(vectors, queries, best_by_float32(vectors, queries, 1.0))], arguments.json)


if __name__ == "__main__":
    main()
