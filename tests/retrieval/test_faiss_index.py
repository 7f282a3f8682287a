from __future__ import annotations

import multiprocessing
import sys
import threading

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.types import Vectors
from retrieval.errors import MissingExtra
from retrieval.faiss_index import FaissIndex
from retrieval.ranking import Ranking
from retrieval.visibility import Visible

ONE = np.ones(1, dtype=np.float32)


def index_of(vectors: Vectors) -> FaissIndex:
    """Chunk numbers are 10 more than rows."""
    index = FaissIndex(vectors.shape[1], threads=1)
    rows = np.arange(len(vectors))
    index.add(rows + 1, rows + 10, vectors, 1, len(vectors))
    return index


def seen(*chunks: int) -> Visible:
    return Visible.of(np.array(chunks, dtype=np.int64), 2000)


def as_lists(ranking: Ranking) -> tuple[list[int], list[float]]:
    return ranking[0].tolist(), ranking[1].tolist()


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 300),
    values=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    k=st.one_of(st.integers(1, 20), st.integers(95, 320)),
)
def test_search_finds_the_best_visible_and_all_that_tie_with_the_last(
    seed: int, rows: int, values: int, share: float, k: int
) -> None:
    # Small whole numbers are exact in float32 however they are summed, and give many ties. From k = 100 on FAISS keeps
    # its candidates in another structure, which breaks ties the other way.
    random = np.random.default_rng(seed)
    vectors = random.integers(-values, values + 1, (rows, 3)).astype(np.float32)
    query = random.integers(-values, values + 1, 3).astype(np.float32)
    shown = np.flatnonzero(random.random(rows) < share) + 10
    scores = {int(chunk): float(vectors[chunk - 10] @ query) for chunk in shown}
    ordered = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))
    expected = [chunk for chunk in ordered if scores[chunk] >= scores[ordered[min(k, len(ordered)) - 1]]]
    found = as_lists(index_of(vectors).search(query, k, seen(*shown)))
    assert found == (expected, [scores[chunk] for chunk in expected])


def test_scores_are_cosines_of_normalised_vectors() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    chunks, scores = index_of(vectors).search(np.array([1, 0], dtype=np.float32), 3, seen(10, 11, 12))
    assert chunks.tolist() == [10, 11, 12]
    assert scores == pytest.approx([1.0, 0.6, -1.0])


def test_hidden_chunks_take_no_place_from_visible_ones() -> None:
    vectors = np.array([[9], [8], [7], [2], [1]], dtype=np.float32)
    assert as_lists(index_of(vectors).search(ONE, 2, seen(13, 14))) == ([13, 14], [2.0, 1.0])


def test_nothing_visible_gives_nothing() -> None:
    assert as_lists(index_of(np.ones((3, 1), dtype=np.float32)).search(ONE, 5, seen())) == ([], [])
    assert as_lists(FaissIndex(1, threads=1).search(ONE, 5, seen(1))) == ([], [])


def test_arrivals_are_covered_once_and_gaps_are_told() -> None:
    index = FaissIndex(1, threads=1)
    index.add(np.array([2]), np.array([7]), np.array([[1]], dtype=np.float32), 1, 3)
    index.add(np.array([8]), np.array([5]), np.array([[2]], dtype=np.float32), 6, 9)
    assert (index.last, index.gaps(), len(index)) == (9, [(4, 5)], 2)
    with pytest.raises(ValueError, match="3 to 4 are covered"):
        index.add(np.array([3]), np.array([9]), np.array([[1]], dtype=np.float32), 3, 4)


def test_forgotten_chunks_are_gone() -> None:
    index = index_of(np.arange(5, dtype=np.float32)[:, None])
    index.forget(np.array([14, 12]))
    assert as_lists(index.search(ONE, 5, seen(*range(10, 15)))) == ([13, 11, 10], [3.0, 1.0, 0.0])


def test_purged_chunks_are_dropped_when_they_are_many_and_newer_ones_stay() -> None:
    index = index_of(np.arange(5, dtype=np.float32)[:, None])
    assert not index.maintain(seen(10, 11, 12, 13))
    assert index.maintain(seen(12))
    assert as_lists(index.search(ONE, 5, seen(*range(10, 15))))[0] == [14, 13, 12]


def test_wrong_shapes_and_numbers_are_refused() -> None:
    index = index_of(np.ones((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        index.search(np.ones(3, dtype=np.float32), 1, seen(10))
    with pytest.raises(ValueError, match=r"shape \(1, 5\)"):
        index.add(np.array([4]), np.array([20]), np.ones((1, 5), dtype=np.float32), 4, 4)
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinity"):
            index.add(np.array([4]), np.array([20]), np.array([[1, number]], dtype=np.float32), 4, 4)
        with pytest.raises(ValueError, match="NaN or infinity"):
            index.search(np.array([1, number], dtype=np.float32), 1, seen(10))
    assert len(index) == 3


def test_threads_are_set_in_the_thread_that_searches() -> None:
    index = FaissIndex(1, threads=3)
    index.add(np.array([1]), np.array([1]), np.ones((1, 1), dtype=np.float32), 1, 1)
    found: list[int] = []

    def search() -> None:
        index.search(ONE, 1, seen(1))
        found.append(faiss.omp_get_max_threads())

    faiss.omp_set_num_threads(1)
    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert found == [3]
    assert faiss.omp_get_max_threads() == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_told_to_start_anew() -> None:
    index = index_of(np.ones((3, 1), dtype=np.float32))
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()

    def search() -> None:
        try:
            index.search(ONE, 1, seen(10))
        except RuntimeError as error:
            said.put(str(error))

    process = context.Process(target=search)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert "forked" in said.get()


def test_missing_faiss_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"ragstone\[cpu\].*ragstone\[gpu\]"):
        FaissIndex(3, threads=1)
