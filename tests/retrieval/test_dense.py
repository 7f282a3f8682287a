from __future__ import annotations

import sys
import threading

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.types import Vectors
from retrieval.dense import FaissIndex
from retrieval.errors import MissingExtra
from retrieval.ranking import Ranking, Visible


def index_of(vectors: Vectors) -> FaissIndex:
    index = FaissIndex(vectors.shape[1], threads=1)
    index.add(vectors)
    return index


def oracle(vectors: Vectors, query: Vectors, k: int, visible: Visible) -> tuple[list[int], list[float]]:
    """By sorting all visible rows."""
    scores = vectors @ query
    rows = [row for row in np.lexsort((np.arange(len(scores)), -scores)).tolist() if visible[row]][:k]
    return rows, scores[rows].tolist()


def as_lists(ranking: Ranking) -> tuple[list[int], list[float]]:
    return ranking[0].tolist(), ranking[1].tolist()


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 300),
    values=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    k=st.one_of(st.integers(1, 20), st.integers(95, 320)),
)
def test_search_finds_what_sorting_all_visible_rows_finds(
    seed: int, rows: int, values: int, share: float, k: int
) -> None:
    # Small whole numbers are exact in float32 however they are summed, and give many ties. From k = 100 on FAISS keeps
    # its candidates in another structure, which breaks ties the other way.
    random = np.random.default_rng(seed)
    vectors = random.integers(-values, values + 1, (rows, 3)).astype(np.float32)
    query = random.integers(-values, values + 1, 3).astype(np.float32)
    visible = random.random(rows) < share
    assert as_lists(index_of(vectors).search(query, k, visible)) == oracle(vectors, query, k, visible)


def test_scores_are_cosines_of_normalised_vectors() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    rows, scores = index_of(vectors).search(np.array([1, 0], dtype=np.float32), 3, np.ones(3, dtype=np.bool_))
    assert rows.tolist() == [0, 1, 2]
    assert scores == pytest.approx([1.0, 0.6, -1.0])


def test_hidden_rows_take_no_place_from_visible_ones() -> None:
    vectors = np.array([[9], [8], [7], [2], [1]], dtype=np.float32)
    visible = np.array([False, False, False, True, True])
    assert as_lists(index_of(vectors).search(np.ones(1, dtype=np.float32), 2, visible)) == ([3, 4], [2.0, 1.0])


def test_fewer_visible_rows_than_asked_for_are_all_returned() -> None:
    vectors = np.arange(5, dtype=np.float32)[:, None]
    visible = np.array([True, False, True, False, False])
    assert as_lists(index_of(vectors).search(np.ones(1, dtype=np.float32), 50, visible)) == ([2, 0], [2.0, 0.0])


def test_nothing_visible_gives_nothing() -> None:
    query = np.ones(1, dtype=np.float32)
    index = index_of(np.ones((3, 1), dtype=np.float32))
    assert as_lists(index.search(query, 5, np.zeros(3, dtype=np.bool_))) == ([], [])
    assert as_lists(index.search(query, 5, np.zeros(0, dtype=np.bool_))) == ([], [])
    assert as_lists(FaissIndex(1, threads=1).search(query, 5, np.zeros(0, dtype=np.bool_))) == ([], [])


def test_rows_beyond_the_end_of_visible_are_hidden() -> None:
    index = index_of(np.arange(20, dtype=np.float32)[:, None])
    rows, _ = index.search(np.ones(1, dtype=np.float32), 5, np.ones(3, dtype=np.bool_))
    assert rows.tolist() == [2, 1, 0]


def test_rows_number_on_over_several_adds() -> None:
    index = FaissIndex(1, threads=1)
    index.add(np.array([[1], [3]], dtype=np.float32))
    index.add(np.array([[2]], dtype=np.float32))
    assert len(index) == 3
    rows, _ = index.search(np.ones(1, dtype=np.float32), 3, np.ones(3, dtype=np.bool_))
    assert rows.tolist() == [1, 2, 0]


def test_many_searches_keep_their_own_visibility() -> None:
    vectors = np.arange(1000, dtype=np.float32)[:, None]
    index = index_of(vectors)
    for row in range(0, 1000, 7):
        visible = np.zeros(1000, dtype=np.bool_)
        visible[row] = True
        assert as_lists(index.search(np.ones(1, dtype=np.float32), 3, visible)) == ([row], [float(row)])


def test_wrong_shapes_are_refused() -> None:
    index = index_of(np.ones((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        index.search(np.ones(3, dtype=np.float32), 1, np.ones(3, dtype=np.bool_))
    with pytest.raises(ValueError, match="4 rows, the index holds 3"):
        index.search(np.ones(2, dtype=np.float32), 1, np.ones(4, dtype=np.bool_))
    with pytest.raises(ValueError, match=r"shape \(3, 5\)"):
        index.add(np.ones((3, 5), dtype=np.float32))


def test_numbers_that_cannot_be_ranked_are_refused() -> None:
    index = index_of(np.ones((3, 2), dtype=np.float32))
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinity"):
            index.add(np.array([[1, number]], dtype=np.float32))
        with pytest.raises(ValueError, match="NaN or infinity"):
            index.search(np.array([1, number], dtype=np.float32), 1, np.ones(3, dtype=np.bool_))
    assert len(index) == 3


def test_threads_are_set_in_the_thread_that_searches() -> None:
    index = FaissIndex(1, threads=3)
    index.add(np.ones((1, 1), dtype=np.float32))
    seen: list[int] = []

    def search() -> None:
        index.search(np.ones(1, dtype=np.float32), 1, np.ones(1, dtype=np.bool_))
        seen.append(faiss.omp_get_max_threads())

    faiss.omp_set_num_threads(1)
    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert seen == [3]
    assert faiss.omp_get_max_threads() == 1


def test_missing_faiss_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"ragstone\[cpu\].*ragstone\[gpu\]"):
        FaissIndex(3, threads=1)
