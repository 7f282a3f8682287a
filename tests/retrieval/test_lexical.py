from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import bm25s  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from retrieval.lexical import Bm25Index, LexicalIndex, RankBm25Index, lexical_index
from retrieval.ranking import Ranking, Visible

Rows = list[list[str]]

terms = st.sampled_from(["apple", "bread", "cheese", "date", "egg", "fig"])
corpora = st.lists(st.lists(terms, max_size=8), min_size=1, max_size=15)
queries = st.lists(st.one_of(terms, st.just("never seen")), max_size=6)


def all_of(index: LexicalIndex) -> Visible:
    return np.ones(len(index), dtype=np.bool_)


def filled(index: LexicalIndex, rows: Rows) -> LexicalIndex:
    index.add(rows)
    return index


def as_dict(ranking: Ranking) -> dict[int, float]:
    return dict(zip(ranking[0].tolist(), ranking[1].tolist(), strict=True))


def matches(rows: Rows, query: Sequence[str], visible: Visible) -> list[int]:
    return [row for row, words in enumerate(rows) if visible[row] and set(words) & set(query)]


def bm25s_scores(rows: Rows, query: Sequence[str], k1: float, b: float) -> list[float]:
    """Scores of all `rows` by bm25s."""
    known = {word for row in rows for word in row}
    asked = [word for word in query if word in known]
    if not asked:
        return [0.0] * len(rows)
    reference = bm25s.BM25(method="lucene", k1=k1, b=b, dtype="float64")
    reference.index(rows, show_progress=False)
    scores: list[float] = reference.get_scores(asked).tolist()
    return scores


@given(corpora, queries, st.data(), st.floats(0.1, 3), st.floats(0, 1))
def test_scores_equal_those_of_bm25s_over_the_visible_rows(
    rows: Rows, query: list[str], data: st.DataObject, k1: float, b: float
) -> None:
    visible = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    found = as_dict(filled(Bm25Index(k1=k1, b=b), rows).search(query, len(rows), visible))
    shown = np.flatnonzero(visible).tolist()
    expected = dict(zip(shown, bm25s_scores([rows[row] for row in shown], query, k1, b), strict=True))
    assert sorted(found) == matches(rows, query, visible)
    assert found == pytest.approx({row: expected[row] for row in found}, rel=1e-6, abs=1e-6)


@given(corpora, queries, st.integers(1, 16), st.integers(1, 15))
def test_result_does_not_depend_on_how_rows_were_added(rows: Rows, query: list[str], k: int, step: int) -> None:
    whole, piecewise = filled(Bm25Index(), rows), Bm25Index()
    for start in range(0, len(rows), step):
        piecewise.add(rows[start : start + step])
    assert len(piecewise) == len(whole) == len(rows)
    assert as_dict(piecewise.search(query, k, all_of(piecewise))) == as_dict(whole.search(query, k, all_of(whole)))


def test_score_is_the_one_of_the_formula() -> None:
    index = filled(Bm25Index(k1=1.5, b=0.75), [["apple", "apple", "bread"], ["bread"]])
    expected = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5)) * 2 / (2 + 1.5 * (1 - 0.75 + 0.75 * 3 / 2))
    assert as_dict(index.search(["apple"], 5, all_of(index))) == pytest.approx({0: expected})


def test_many_rows_grow_and_keep_their_postings() -> None:
    index = Bm25Index()
    for row in range(500):
        index.add([["common", f"own{row}"]])
    assert index.search(["own123"], 5, all_of(index))[0].tolist() == [123]
    assert index.search(["common"], 1000, all_of(index))[0].tolist() == list(range(500))


def test_a_removed_row_changes_scores_as_if_it_had_never_been() -> None:
    rows = [["apple", "bread"], ["apple"], ["apple", "cheese", "fig"]]
    index = filled(Bm25Index(), rows)
    before = as_dict(index.search(["apple"], 5, all_of(index)))
    after = as_dict(index.search(["apple"], 5, np.array([True, False, True])))
    alone = filled(Bm25Index(), [rows[0], rows[2]])
    expected = as_dict(alone.search(["apple"], 5, all_of(alone)))
    assert after == {0: expected[0], 2: expected[1]}
    assert after[0] != before[0]


engines = pytest.mark.parametrize("new", [Bm25Index, RankBm25Index])
New = Callable[[], LexicalIndex]


@engines
def test_a_term_asked_for_twice_counts_twice(new: New) -> None:
    index = filled(new(), [["apple", "bread"], ["cheese"], ["bread", "fig"]])
    once, twice = (as_dict(index.search(["apple"] * times, 5, all_of(index))) for times in (1, 2))
    assert twice == pytest.approx({0: 2 * once[0]})


@engines
def test_ties_go_by_the_smaller_row_at_the_cut_too(new: New) -> None:
    index = filled(new(), [["fig"], ["apple"], ["apple"], ["apple"], ["date"], ["egg"], ["bread"]])
    assert index.search(["apple"], 2, all_of(index))[0].tolist() == [1, 2]


@engines
def test_best_rows_come_first(new: New) -> None:
    index = filled(new(), [["apple", "fig"], ["apple", "bread"], ["date"], ["egg"], ["cheese"], ["date", "egg"]])
    assert index.search(["apple", "bread"], 9, all_of(index))[0].tolist() == [1, 0]


@engines
def test_nothing_to_find_gives_nothing(new: New) -> None:
    index = new()
    assert as_dict(index.search(["apple"], 5, all_of(index))) == {}
    index.add([])
    assert as_dict(index.search(["apple"], 5, all_of(index))) == {}
    index.add([[], []])
    assert as_dict(index.search(["apple"], 5, all_of(index))) == {}
    index.add([["apple"]])
    assert as_dict(index.search(["apple"], 5, np.zeros(3, dtype=np.bool_))) == {}
    assert as_dict(index.search(["never seen"], 5, all_of(index))) == {}
    assert as_dict(index.search([], 5, all_of(index))) == {}


@engines
def test_rows_added_later_are_hidden_from_an_older_snapshot(new: New) -> None:
    index = filled(new(), [["apple"], ["bread"], ["cheese"]])
    snapshot = all_of(index)
    before = as_dict(index.search(["apple"], 5, snapshot))
    index.add([["apple", "fig"]])
    assert as_dict(index.search(["apple"], 5, snapshot)) == before
    assert sorted(as_dict(index.search(["apple"], 5, all_of(index)))) == [0, 3]


@engines
def test_visibility_of_more_rows_than_there_are_is_refused(new: New) -> None:
    with pytest.raises(ValueError, match="2 rows, the index holds 1"):
        filled(new(), [["apple"]]).search(["apple"], 1, np.ones(2, dtype=np.bool_))


@engines
@given(rows=corpora, query=queries, k=st.integers(1, 16))
def test_a_match_is_a_row_that_contains_a_term(new: New, rows: Rows, query: list[str], k: int) -> None:
    index = filled(new(), rows)
    found = index.search(query, k, all_of(index))[0].tolist()
    contained = matches(rows, query, all_of(index))
    assert len(found) == len(set(found)) == min(k, len(contained))
    assert set(found) <= set(contained)


@given(corpora, queries, st.data())
def test_rank_bm25_engine_gives_the_scores_of_the_package(rows: Rows, query: list[str], data: st.DataObject) -> None:
    index = filled(RankBm25Index(k1=1.2, b=0.6), rows)
    for _ in range(2):  # the second with other visible rows
        visible = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
        found = as_dict(index.search(query, len(rows), visible))
        assert sorted(found) == matches(rows, query, visible)
        if found:
            shown = np.flatnonzero(visible).tolist()
            scores = BM25Okapi([rows[row] for row in shown], k1=1.2, b=0.6).get_scores(query).tolist()
            expected = dict(zip(shown, scores, strict=True))
            assert found == pytest.approx({row: expected[row] for row in found})


def test_rank_bm25_match_below_zero_is_found() -> None:
    index = filled(RankBm25Index(), [["apple", "bread"]])
    (score,) = as_dict(index.search(["apple"], 5, all_of(index))).values()
    assert score < 0


def test_engine_is_chosen_by_its_setting() -> None:
    assert isinstance(lexical_index("lucene", k1=1.5, b=0.75), Bm25Index)
    assert isinstance(lexical_index("rank-bm25", k1=1.5, b=0.75), RankBm25Index)
