from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from retrieval.rank_bm25_index import RankBm25Index
from retrieval.ranking import Ranking
from retrieval.visibility import Visible

terms = st.sampled_from(["apple", "bread", "cheese", "date", "egg", "fig"])
corpora = st.lists(st.lists(terms, max_size=8), min_size=1, max_size=15)
queries = st.lists(st.one_of(terms, st.just("never seen")), max_size=6)


def filled(rows: list[list[str]]) -> RankBm25Index:
    index = RankBm25Index(k1=1.2, b=0.6, epsilon=0.3)
    index.add(np.arange(1, len(rows) + 1), rows, index.last + 1, len(rows))
    return index


def as_dict(ranking: Ranking) -> dict[int, float]:
    return dict(zip(ranking[0].tolist(), ranking[1].tolist(), strict=True))


def visible_of(numbers: list[int]) -> Visible:
    return Visible.of(np.array(numbers, dtype=np.int64), 100)


@given(corpora, queries, st.data())
def test_scores_are_those_of_the_package_over_the_visible_chunks(
    rows: list[list[str]], query: list[str], data: st.DataObject
) -> None:
    index = filled(rows)
    for _ in range(2):  # the second with other visible chunks
        shown = sorted(data.draw(st.sets(st.integers(1, len(rows)))))
        corpus = [rows[number - 1] for number in shown]
        scores = BM25Okapi(corpus, k1=1.2, b=0.6, epsilon=0.3).get_scores(query) if any(corpus) else [0.0] * len(shown)
        expected = {
            number: score for number, score, row in zip(shown, scores, corpus, strict=True) if set(row) & set(query)
        }
        assert as_dict(index.search(query, 20, visible_of(shown))) == pytest.approx(expected)


def test_all_that_tie_with_the_last_are_given_best_first() -> None:
    index = filled([["fig"], ["apple"], ["apple"], ["apple", "apple"], ["date"], ["egg"], ["bread"], ["cheese"]])
    assert index.search(["apple"], 2, visible_of(list(range(1, 9))))[0].tolist() == [4, 2, 3]


def test_chunks_added_or_forgotten_count_in_the_same_set() -> None:
    index = filled([["apple", "fig"], ["bread"], ["cheese"]])
    visible = visible_of([1, 2, 3, 4])
    assert list(as_dict(index.search(["apple"], 5, visible))) == [1]
    index.add(np.array([4]), [["apple"]], index.last + 1, 5)
    assert sorted(as_dict(index.search(["apple"], 5, visible))) == [1, 4]
    assert (index.last, len(index)) == (5, 4)
    index.forget(np.array([1]))
    assert sorted(as_dict(index.search(["apple"], 5, visible))) == [4]


def test_nothing_to_find_gives_nothing() -> None:
    empty = RankBm25Index()
    assert as_dict(empty.search(["apple"], 5, visible_of([]))) == {}
    index = filled([[], ["apple"]])
    assert as_dict(index.search(["apple"], 5, visible_of([1]))) == {}
    assert as_dict(index.search(["apple"], 0, visible_of([1, 2]))) == {}
    assert as_dict(index.search([], 5, visible_of([1, 2]))) == {}
