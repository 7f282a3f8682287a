from __future__ import annotations

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.dense_index import DenseIndex
from retrieval.dense_upkeep import Upkeep
from retrieval.halves import DenseHalf
from retrieval.idle_cores import IdleCores
from retrieval.quantisation import LARGEST, quantise, quantise_query
from retrieval.ranking import Ranking
from retrieval.segments import SegmentStore
from retrieval.visibility import Visible

IDENTITY: dict[str, str | int] = {"catalog": "c", "space": "s"}
SMALL = Upkeep(sealed=8, merged=3, full=40)
EXACT = 10**9
BY_SKETCHES = 0


def visible(*numbers: int) -> Visible:
    return Visible.of(np.array(numbers, dtype=np.int64), max(numbers, default=0) + 1)


def upto(size: int) -> Visible:
    """Chunks 1 to `size`."""
    return visible(*range(1, size + 1))


def as_lists(ranking: Ranking) -> tuple[list[int], list[float]]:
    return ranking[0].tolist(), ranking[1].tolist()


def filled(vectors: Vectors, exact_up_to: int = EXACT, store: SegmentStore | None = None) -> DenseIndex:
    """Chunk n is the n-th of `vectors`, and so is its arrival."""
    index = DenseIndex(store, vectors.shape[1], exact_up_to=exact_up_to, upkeep=SMALL)
    numbers = np.arange(1, len(vectors) + 1)
    index.add(numbers, numbers, vectors, 1, len(vectors))
    return index


def clustered(rows: int, dimension: int, seed: int) -> Vectors:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((60, dimension))[random.integers(0, 60, rows)]
    vectors += 0.8 * random.standard_normal((rows, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


class Oracle:
    """What was added, and searches by sorting all of it. It shares with the index how one vector is quantised."""

    def __init__(self, dimension: int, exact: bool) -> None:
        self.arrivals: dict[int, tuple[int, Vectors]] = {}
        self._centre = np.zeros(dimension, dtype=np.float32)
        self._exact = exact

    def search(self, query: Vectors, k: int, shown: Visible) -> tuple[list[int], list[float]]:
        held = [(chunk, vector) for chunk, vector in self.arrivals.values() if chunk in shown]
        if not held or k < 1:
            return [], []
        chunks = np.array([chunk for chunk, _ in held])
        codes = quantise(np.stack([vector for _, vector in held]), self._centre)
        asked = quantise_query(query, self._centre)
        scores = codes.codes.astype(np.int64) @ asked.values.astype(np.int64) * (codes.scales * np.float64(asked.step))
        if not self._exact:
            within = scores <= self._bounds(codes.signs, codes.factors, query)
            chunks, scores = chunks[within], scores[within]
        order = np.lexsort((chunks, -scores))
        chunks, scores = chunks[order], scores[order]
        reaching = scores >= scores[:k][-1:]
        return chunks[reaching].tolist(), scores[reaching].tolist()

    def _bounds(self, signs: NDArray[np.uint64], factors: NDArray[np.float32], query: Vectors) -> NDArray[np.float32]:
        asked = quantise_query(query, self._centre)
        bits = np.unpackbits(np.ascontiguousarray(signs.T).view(np.uint8), axis=1, bitorder="little").astype(np.int64)
        planes = np.unpackbits(asked.planes.view(np.uint8), axis=1, bitorder="little").astype(np.int64)
        common = bits @ (planes[0] + 2 * planes[1] + 4 * planes[2] - 8 * planes[3])
        products = common.astype(np.float32) * np.float32(asked.slope) + np.float32(asked.offset)
        return np.asarray(products * factors + np.float32(asked.base), dtype=np.float32)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 30)),
        st.tuples(st.just("maintain"), st.sampled_from([0.0, 0.3, 0.6])),
        st.tuples(st.just("reopen"), st.just(0)),
        st.tuples(st.just("forget"), st.integers(1, 4)),
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.parametrize("exact", [True, False])
@settings(max_examples=40, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**32 - 1), dimension=st.sampled_from([1, 3, 70]))
def test_any_history_ends_in_what_sorting_all_that_is_there_finds(
    exact: bool, steps: list[tuple[str, float]], seed: int, dimension: int
) -> None:
    random = np.random.default_rng(seed)
    oracle = Oracle(dimension, exact)
    next_arrival, next_chunk = 1, 1
    purged: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        exact_up_to = EXACT if exact else BY_SKETCHES
        index = DenseIndex(SegmentStore(Path(folder), IDENTITY), dimension, exact_up_to=exact_up_to, upkeep=SMALL)
        for step, size in steps:
            if step == "add":
                # Arrivals have holes, and chunks come in any order. Small whole numbers give ties.
                arrivals = next_arrival + np.flatnonzero(random.random(2 * int(size)) < 0.5)
                chunks = next_chunk + random.permutation(len(arrivals))
                vectors = random.integers(-2, 3, (len(arrivals), dimension)).astype(np.float32)
                last = next_arrival + 2 * int(size)
                index.add(arrivals, chunks, vectors, next_arrival, last)
                oracle.arrivals.update(zip(arrivals.tolist(), zip(chunks.tolist(), vectors, strict=True), strict=True))
                next_arrival, next_chunk = last + 1, next_chunk + len(arrivals)
            elif step == "maintain":
                held = [chunk for chunk, _ in oracle.arrivals.values()]
                purged.update(chunk for chunk in held if random.random() < size)
                while index.maintain(visible(*(set(held) - purged))):
                    pass
            elif step == "forget":
                held = [chunk for chunk, _ in oracle.arrivals.values()]
                taken = random.permutation(np.array(held, dtype=np.int64))[: int(size)]
                index.forget(taken)
                oracle.arrivals = {n: its for n, its in oracle.arrivals.items() if its[0] not in taken}
            else:
                store = SegmentStore(Path(folder), IDENTITY)
                index = DenseIndex(store, dimension, exact_up_to=exact_up_to, upkeep=SMALL)
                for first, last in [*index.gaps(), (index.last + 1, next_arrival - 1)]:
                    if first <= last:
                        its = [n for n in sorted(oracle.arrivals) if first <= n <= last]
                        vectors = np.array([oracle.arrivals[n][1] for n in its], np.float32).reshape(-1, dimension)
                        index.add(
                            np.array(its, int),
                            np.array([oracle.arrivals[n][0] for n in its], int),
                            vectors,
                            first,
                            last,
                        )
            assert index.last == next_arrival - 1
            assert index.gaps() == []
            # What was purged is never visible again, and may be gone or not.
            shown = set(np.flatnonzero(random.random(next_chunk) < random.choice([0, 0.1, 0.5, 1])).tolist()) - purged
            query = random.integers(-3, 4, dimension).astype(np.float32)
            k = int(random.choice([1, 3, 10, 1000]))
            assert as_lists(index.search(query, k, visible(*shown))) == oracle.search(query, k, visible(*shown))


def test_it_is_a_dense_half() -> None:
    half: DenseHalf = DenseIndex(None, 3)
    assert (len(half), half.last, half.gaps(), half.nbytes) == (0, 0, [], 0)
    assert as_lists(half.search(np.ones(3, dtype=np.float32), 5, upto(9))) == ([], [])


def test_scores_are_inner_products_of_vectors_of_any_length() -> None:
    vectors = clustered(300, 100, seed=1) * np.logspace(-3, 3, 300, dtype=np.float32)[:, None]
    query = 7 * clustered(1, 100, seed=2)[0]
    for exact_up_to in (EXACT, BY_SKETCHES):
        chunks, scores = filled(vectors, exact_up_to).search(query, 300, upto(300))
        products = vectors[chunks - 1].astype(np.float64) @ query
        assert np.abs(scores - products).max() <= 0.01 * 7 * 1000
        assert scores[:20] == pytest.approx(products[:20], rel=0.05)
        assert sorted(scores, reverse=True) == scores.tolist()


def test_searching_by_sketches_finds_nearly_all() -> None:
    index = filled(clustered(6_000, 128, seed=3), BY_SKETCHES)
    shown = upto(6_000)
    recall = index.recall(shown, clustered(60, 128, seed=3), k=10)
    assert recall is not None
    assert recall > 0.995
    among_neighbours = index.recall(shown)
    assert among_neighbours is not None
    assert among_neighbours > 0.99


def test_recall_is_whole_where_each_chunk_is_scored_and_unknown_where_there_is_none() -> None:
    index = filled(clustered(200, 16, seed=4), exact_up_to=100)
    assert index.recall(upto(100)) == 1.0
    assert index.recall(visible()) is None
    assert index.recall(upto(200), clustered(0, 16, seed=4)) is None


def test_a_centre_changes_no_score() -> None:
    vectors = clustered(500, 32, seed=5) + 2
    query, numbers = vectors[0], np.arange(1, 501)
    rankings = []
    for centre in (None, vectors.mean(axis=0)):
        index = DenseIndex(None, 32, centre=centre, exact_up_to=BY_SKETCHES)
        index.add(numbers, numbers, vectors, 1, 500)
        rankings.append(as_lists(index.search(query, 5, upto(500))))
    assert rankings[0] == rankings[1]


@pytest.mark.parametrize("exact_up_to", [EXACT, BY_SKETCHES])
def test_all_that_tie_with_the_last_are_returned(exact_up_to: int) -> None:
    vectors = np.array([[3, 1]] * 30 + [[5, 0]] + [[0, 1]] * 9, dtype=np.float32)
    chunks, scores = filled(vectors, exact_up_to).search(np.array([1, 0], dtype=np.float32), 4, upto(40))
    assert chunks.tolist() == [31, *range(1, 31)]
    assert len(set(scores[1:].tolist())) == 1


@pytest.mark.parametrize("exact_up_to", [EXACT, BY_SKETCHES])
def test_hidden_chunks_take_no_place_from_visible_ones(exact_up_to: int) -> None:
    vectors = np.arange(1000, 0, -1, dtype=np.float32)[:, None]
    chunks, _ = filled(vectors, exact_up_to).search(np.ones(1, dtype=np.float32), 3, visible(500, 990, 995, 1000, 2000))
    assert chunks.tolist() == [500, 990, 995]


def test_a_search_among_few_scores_each_of_them_and_one_among_many_may_miss_some() -> None:
    index = filled(clustered(2_001, 64, seed=6), exact_up_to=2_000)
    missed = {2_000: 0, 2_001: 0}
    for query in clustered(20, 64, seed=7):
        for size in missed:
            missed[size] += size - len(index.search(query, size, upto(size))[0])
    assert missed[2_000] == 0
    assert 0 < missed[2_001] < 0.005 * 20 * 2_001


def test_wrong_shapes_numbers_and_ranges_are_refused_and_nothing_is_added() -> None:
    index = filled(np.ones((3, 2), dtype=np.float32))
    one, pair = np.array([4]), np.ones((1, 2), dtype=np.float32)
    with pytest.raises(ValueError, match=r"shape \(3,\), the index holds rows of 2"):
        index.search(np.ones(3, dtype=np.float32), 1, upto(3))
    with pytest.raises(ValueError, match=r"shape \(1, 5\); the index holds rows of 2"):
        index.add(one, one, np.ones((1, 5), dtype=np.float32), 4, 4)
    with pytest.raises(ValueError, match="2 arrivals and 1 chunks"):
        index.add(np.array([4, 5]), one, pair, 4, 5)
    with pytest.raises(ValueError, match="arrivals must be within 5 to 6"):
        index.add(one, one, pair, 5, 6)
    with pytest.raises(ValueError, match="arrivals 3 to 4 are covered"):
        index.add(one, one, pair, 3, 4)
    with pytest.raises(ValueError, match="chunk numbers go from 0 to 4294967295"):
        index.add(one, np.array([2**32]), pair, 4, 4)
    for number in (np.nan, np.inf, -np.inf, 1.1 * LARGEST):
        with pytest.raises(ValueError, match="a vector holds NaN, infinity or a number above"):
            index.add(one, one, np.array([[1, number]], dtype=np.float32), 4, 4)
        with pytest.raises(ValueError, match="the query holds NaN, infinity or a number above"):
            index.search(np.array([1, number], dtype=np.float32), 1, upto(3))
    assert (len(index), index.last) == (3, 3)


@pytest.mark.parametrize("size", [LARGEST, 1e-14, 1e-30])
def test_very_large_and_very_small_numbers_are_ranked_alike_in_both_ways(size: float) -> None:
    vectors = clustered(200, 20, seed=8) * np.float32(size)
    for query in (vectors[0], vectors[0] / np.float32(size)):
        rankings = [as_lists(filled(vectors, how).search(query, 3, upto(200))) for how in (EXACT, BY_SKETCHES)]
        assert rankings[0] == rankings[1]


def test_a_damaged_segment_is_a_gap_and_the_rest_is_served(tmp_path: Path) -> None:
    vectors = clustered(60, 8, seed=9)
    index = DenseIndex(SegmentStore(tmp_path, IDENTITY), 8, upkeep=SMALL)
    for first in (1, 21, 41):
        numbers = np.arange(first, first + 20)
        index.add(numbers, numbers, vectors[first - 1 : first + 19], first, first + 19)
        assert index.maintain(upto(60))
    assert index.segments == 3
    before = as_lists(index.search(vectors[30], 5, upto(60)))
    codes = sorted(tmp_path.glob("*/codes.npy"))[1]
    content = bytearray(codes.read_bytes())
    content[-1] ^= 1
    codes.unlink()  # the index that is still open has the file mapped
    codes.write_bytes(content)

    store = SegmentStore(tmp_path, IDENTITY)
    damaged = DenseIndex(store, 8, upkeep=SMALL)
    assert len(store.problems) == 1
    assert (damaged.gaps(), damaged.last, len(damaged)) == ([(21, 40)], 60, 40)
    assert 31 not in damaged.search(vectors[30], 5, upto(60))[0]
    numbers = np.arange(21, 41)
    damaged.add(numbers, numbers, vectors[20:40], 21, 40)
    assert damaged.gaps() == []
    assert as_lists(damaged.search(vectors[30], 5, upto(60))) == before
    assert as_lists(index.search(vectors[30], 5, upto(60))) == before


def test_vectors_of_another_dimension_are_refused_at_the_start(tmp_path: Path) -> None:
    filled(clustered(20, 8, seed=1), store=SegmentStore(tmp_path, IDENTITY)).maintain(upto(20))
    with pytest.raises(ValueError, match="holds 8 numbers a row, not 9"):
        DenseIndex(SegmentStore(tmp_path, IDENTITY), 9)


def test_a_tail_of_many_rows_becomes_segments_of_a_bounded_size(tmp_path: Path) -> None:
    vectors = clustered(150, 8, seed=10)
    index = filled(vectors, store=SegmentStore(tmp_path, IDENTITY))
    before = as_lists(index.search(vectors[0], 20, upto(150)))
    assert index.maintain(upto(150))
    assert index.segments == 4  # of 40, 40, 40 and 30 rows
    assert as_lists(index.search(vectors[0], 20, upto(150))) == before
    assert DenseIndex(SegmentStore(tmp_path, IDENTITY), 8).gaps() == []


def test_segments_stay_few(tmp_path: Path) -> None:
    vectors = clustered(600, 4, seed=11)
    index = DenseIndex(SegmentStore(tmp_path, IDENTITY), 4, upkeep=SMALL)
    for first in range(1, 601, 10):
        numbers = np.arange(first, first + 10)
        index.add(numbers, numbers, vectors[first - 1 : first + 9], first, first + 9)
        while index.maintain(upto(600)):
            pass
        assert index.segments < 3 + first // 40
    assert len(index) == 600
    assert not index.maintain(upto(600))


def test_purged_chunks_leave_memory_and_disk(tmp_path: Path) -> None:
    index = filled(clustered(39, 8, seed=12), store=SegmentStore(tmp_path, IDENTITY))
    assert index.maintain(upto(39))
    assert not index.maintain(visible(*range(1, 31), 39))  # a few are not worth rewriting a segment
    assert len(index) == 39
    left = visible(*range(1, 10), 39)
    assert index.maintain(left)
    assert len(index) == 10
    assert not index.maintain(left)
    assert len(DenseIndex(SegmentStore(tmp_path, IDENTITY), 8)) == 10
    in_memory = filled(clustered(39, 8, seed=12))
    assert in_memory.maintain(left)
    assert (len(in_memory), in_memory.last, in_memory.gaps()) == (10, 39, [])
    assert not in_memory.maintain(left)


def test_every_segment_is_looked_at_for_purged_chunks_in_turn(tmp_path: Path) -> None:
    vectors = clustered(60, 8, seed=16)
    index = DenseIndex(SegmentStore(tmp_path, IDENTITY), 8, upkeep=Upkeep(sealed=8, merged=99))
    for first in (1, 21, 41):
        numbers = np.arange(first, first + 20)
        index.add(numbers, numbers, vectors[first - 1 : first + 19], first, first + 19)
        assert index.maintain(upto(60))
    left = visible(*range(1, 61, 2), 60)
    assert sum(index.maintain(left) for _ in range(3)) == 3
    assert len(index) == 31
    assert not any(index.maintain(left) for _ in range(3))


def test_chunks_that_came_after_what_is_kept_was_made_stay(tmp_path: Path) -> None:
    for store in (None, SegmentStore(tmp_path, IDENTITY)):
        index = filled(clustered(39, 8, seed=12), store=store)
        while index.maintain(visible(*range(2, 10, 2))):
            pass
        found, _ = index.search(np.ones(8, dtype=np.float32), 50, upto(40))
        assert {2, 4, 6, 8, *range(9, 40)} <= set(found.tolist())


def test_what_is_forgotten_is_in_no_file(tmp_path: Path) -> None:
    vectors = clustered(30, 64, seed=13)
    index = filled(vectors, store=SegmentStore(tmp_path, IDENTITY))
    index.maintain(upto(30))
    arrivals = np.arange(31, 34)
    index.add(arrivals, arrivals, clustered(3, 64, seed=14), 31, 33)
    code = quantise(vectors[9:10], np.zeros(64, dtype=np.float32)).codes.tobytes()
    assert any(code in path.read_bytes() for path in tmp_path.rglob("*.npy"))
    index.forget(np.array([10, 32, 99]))
    assert not any(code in path.read_bytes() for path in tmp_path.rglob("*.npy"))
    assert len(index) == 31
    found, _ = index.search(vectors[9], 50, upto(33))
    assert sorted(found.tolist()) == [n for n in range(1, 34) if n not in (10, 32)]
    store = SegmentStore(tmp_path, IDENTITY)
    reopened = DenseIndex(store, 64)
    assert (len(reopened), reopened.last, reopened.gaps()) == (29, 30, [])


def test_searches_are_not_disturbed_by_what_is_added_and_rewritten_meanwhile(tmp_path: Path) -> None:
    vectors = clustered(2_000, 16, seed=15)
    index = filled(vectors[:100], BY_SKETCHES, SegmentStore(tmp_path, IDENTITY))
    shown = upto(100)
    expected = as_lists(index.search(vectors[0], 20, shown))
    done = threading.Event()
    differing: list[tuple[list[int], list[float]]] = []
    searches = [0, 0]

    def search(which: int) -> None:
        while not done.is_set() or searches[which] < 10:
            found = as_lists(index.search(vectors[0], 20, shown))
            searches[which] += 1
            if found != expected:
                differing.append(found)

    threads = [threading.Thread(target=search, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()

    def upkeep() -> None:
        while not done.is_set():
            index.maintain(upto(2_000))

    threads.append(threading.Thread(target=upkeep))
    threads[-1].start()
    for first in range(101, 2_001, 19):
        numbers = np.arange(first, first + 19)
        index.add(numbers, numbers, vectors[first - 1 : first + 18], first, first + 18)
        index.forget(numbers[:1])
    done.set()
    for thread in threads:
        thread.join()
    assert differing == []
    assert min(searches) >= 10
    assert len(index) == 1_900
    assert index.gaps() == []


@pytest.mark.parametrize("exact_up_to", [EXACT, BY_SKETCHES])
def test_a_scan_shared_by_threads_finds_the_same(exact_up_to: int, tmp_path: Path) -> None:
    vectors = clustered(6_000, 48, seed=3)
    numbers = np.arange(1, len(vectors) + 1)
    alone, shared = (
        DenseIndex(
            SegmentStore(tmp_path / name, IDENTITY),
            48,
            exact_up_to=exact_up_to,
            upkeep=Upkeep(sealed=500, merged=9, full=1_000),
            idle_cores=cores,
        )
        for name, cores in (("alone", IdleCores(0)), ("shared", IdleCores(3, worth=1_000)))
    )
    for index in (alone, shared):
        index.add(numbers, numbers, vectors, 1, len(vectors))
        index.maintain(upto(len(vectors)))
        assert index.segments == 6
    sets = [upto(6_000), visible(*range(1, 6_000, 7)), visible(9)]
    wanted = [(query, k, seen) for query in vectors[:40] for k in (1, 10, 300) for seen in sets]
    with ThreadPoolExecutor(6) as callers:
        found = list(callers.map(lambda asked: as_lists(shared.search(*asked)), wanted))
    assert found == [as_lists(alone.search(*asked)) for asked in wanted]
