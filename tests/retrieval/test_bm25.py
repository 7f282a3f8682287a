from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from retrieval.bm25 import Bm25Index, warm_up
from retrieval.bm25_statistics import MAX_CHANGES, Variant
from retrieval.ranking import Ranking
from retrieval.segments import SegmentStore
from retrieval.visibility import Visible

Row = list[str]
Chunks = dict[int, Row]

PARTITION = 16
K1, B, EPSILON = 1.4, 0.6, 0.3
terms = st.sampled_from(["apple", "bread", "cheese", "date", "egg", "fig", "ginger", "h\udcff"])
rows = st.one_of(st.lists(terms, max_size=8), st.just(["apple"] * 300 + ["bread"]))
queries = st.lists(st.one_of(terms, st.just("never seen")), max_size=6)


def numbered(*chunk_numbers: int) -> NDArray[np.int64]:
    return np.array(chunk_numbers, dtype=np.int64)


def visible_of(numbers: Sequence[int] | set[int], last: int) -> Visible:
    return Visible.of(np.array(sorted(numbers), dtype=np.int64), last + 1)


def everything(index: Bm25Index) -> Visible:
    return visible_of(range(1, index.last + 1), index.last)


def as_dict(ranking: Ranking) -> dict[int, float]:
    return dict(zip(ranking[0].tolist(), ranking[1].tolist(), strict=True))


def in_memory(chunks: Sequence[Row], variant: Variant = "lucene") -> Bm25Index:
    index = Bm25Index(None, variant=variant)
    index.add(numbered(*range(1, len(chunks) + 1)), chunks, index.last + 1, len(chunks))
    return index


def on_disk(folder: Path, variant: Variant = "lucene", sealed_at: int = 6, k1: float = K1) -> Bm25Index:
    store = SegmentStore(folder, {"catalog": "one"})
    return Bm25Index(store, k1=k1, b=B, epsilon=EPSILON, variant=variant, partition=PARTITION, sealed_at=sealed_at)


def reference_scores(variant: Variant, corpus: Sequence[Row], query: Row) -> list[float]:
    """Scores of all of `corpus` by the package that has the variant, built from nothing."""
    known = {term for row in corpus for term in row}
    asked = [term for term in query if term in known]
    if not asked:
        return [0.0] * len(corpus)
    if variant == "okapi":
        return list(BM25Okapi(corpus, k1=K1, b=B, epsilon=EPSILON).get_scores(asked))
    package = bm25s.BM25(method="lucene", k1=K1, b=B, dtype="float64")
    package.index(corpus, show_progress=False)
    scores: list[float] = package.get_scores(asked).tolist()
    return scores


class AnyHistory(RuleBasedStateMachine):
    """Whatever was done to the index, it answers as the packages do that are built over the visible chunks alone."""

    variant: Variant = "lucene"

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.chunks: Chunks = {}
        self.shown: set[int] = set()
        self.kept: set[int] = set()
        self.through = 0
        self.index = self.opened()

    def opened(self) -> Bm25Index:
        return on_disk(Path(self.folder.name), self.variant)

    @rule(new=st.lists(rows, max_size=12), skipped=st.integers(0, 3), trailing=st.integers(0, 2))
    def add(self, new: list[Row], skipped: int, trailing: int) -> None:
        numbers = [self.through + 1 + skipped + i for i in range(len(new))]
        self.through += skipped + len(new) + trailing
        self.index.add(numbered(*numbers), new, self.index.last + 1, self.through)
        self.chunks.update(zip(numbers, new, strict=True))
        self.shown.update(numbers)
        self.kept.update(numbers)

    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        old = data.draw(st.sets(st.sampled_from(sorted(self.shown)), max_size=3)) if self.shown else set()
        self.shown -= old
        self.add(data.draw(st.lists(rows, min_size=len(old), max_size=len(old))), 0, 0)

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        if self.kept:
            self.shown = data.draw(st.sets(st.sampled_from(sorted(self.kept))))

    @rule(purge=st.booleans())
    def maintain(self, purge: bool) -> None:
        if purge:
            self.kept = set(self.shown)
        self.index.maintain(visible_of(self.kept, self.through))

    @rule()
    def reopen(self) -> None:
        last = self.index.last
        self.index.seal()
        self.index = self.opened()
        assert self.index.last == last
        assert self.index.gaps() == []

    @rule()
    def crash(self) -> None:
        self.index = self.opened()
        missing = [number for number in self.kept if number > self.index.last]
        new = [self.chunks[number] for number in sorted(missing)]
        self.index.add(numbered(*sorted(missing)), new, self.index.last + 1, self.through)

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        if self.kept:
            erased = data.draw(st.sets(st.sampled_from(sorted(self.kept)), max_size=3))
            self.shown -= erased
            self.kept -= erased
            self.index.forget(numbered(*sorted(erased)))

    @rule(query=queries, k=st.integers(1, 12), data=st.data())
    def search(self, query: Row, k: int, data: st.DataObject) -> None:
        some = data.draw(st.sets(st.sampled_from(sorted(self.kept)))) if self.kept else set()
        for shown in (self.shown, some):
            self.compare(query, k, shown)

    def compare(self, query: Row, k: int, shown: set[int]) -> None:
        numbers = sorted(shown)
        corpus = [self.chunks[number] for number in numbers]
        scores = reference_scores(self.variant, corpus, query)
        pairs = zip(numbers, corpus, scores, strict=True)
        matches = {number: score for number, row, score in pairs if set(row) & set(query)}
        visible = visible_of(shown, self.through)
        everything_found = as_dict(self.index.search(query, len(corpus) + 1, visible))
        assert everything_found == pytest.approx(matches, rel=1e-6, abs=1e-6)
        ranking = self.index.search(query, k, visible)
        cut = sorted(everything_found.values(), reverse=True)[k - 1 : k]
        best = {number: score for number, score in everything_found.items() if not cut or score >= cut[0]}
        assert as_dict(ranking) == best  # bit for bit, ties complete
        assert ranking[0].tolist() == sorted(best, key=lambda number: (-best[number], number))
        turned = query[::-1]
        asked = [query, [], turned, query]
        for found, wanted in zip(self.index.search_each(asked, k, visible), asked, strict=True):
            assert [its.tolist() for its in found] == [
                its.tolist() for its in self.index.search(wanted, k, visible)
            ]  # bit for bit
        fresh = Bm25Index(None, k1=K1, b=B, epsilon=EPSILON, variant=self.variant)
        fresh.add(numbered(*numbers), corpus, fresh.last + 1, self.through)
        assert as_dict(fresh.search(query, k, visible)) == best

    @invariant()
    def covers_what_was_added(self) -> None:
        if hasattr(self, "index"):
            assert self.index.last == self.through
            assert self.index.gaps() == []
            assert len(self.index) >= len(self.kept)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


class AnyOkapiHistory(AnyHistory):
    variant: Variant = "okapi"


quick = settings(max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = quick
TestAnyOkapiHistory = AnyOkapiHistory.TestCase
TestAnyOkapiHistory.settings = quick


def test_score_is_the_one_of_the_formula() -> None:
    index = in_memory([["apple", "apple", "bread"], ["bread"]])
    expected = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5)) * 2 / (2 + 1.5 * (1 - 0.75 + 0.75 * 3 / 2))
    assert as_dict(index.search(["apple"], 5, everything(index))) == pytest.approx({1: expected})


def test_a_term_asked_for_twice_counts_twice() -> None:
    index = in_memory([["apple", "bread"], ["cheese"]])
    once, twice = (as_dict(index.search(["apple"] * times, 5, everything(index))) for times in (1, 2))
    assert twice == pytest.approx({1: 2 * once[1]})


def test_all_that_tie_with_the_last_are_given() -> None:
    index = in_memory([["fig"], ["apple"], ["apple"], ["apple"], ["apple", "apple"]])
    assert index.search(["apple"], 2, everything(index))[0].tolist() == [5, 2, 3, 4]


def test_okapi_match_below_zero_is_found() -> None:
    index = in_memory([["apple", "bread"]], "okapi")
    (score,) = as_dict(index.search(["apple"], 5, everything(index))).values()
    assert score < 0


@pytest.mark.parametrize("variant", ["lucene", "okapi"])
def test_nothing_to_find_gives_nothing(variant: Variant) -> None:
    index = Bm25Index(None, variant=variant)
    assert as_dict(index.search(["apple"], 5, visible_of([], 0))) == {}
    index.add(numbered(1, 2), [[], []], index.last + 1, 2)
    assert as_dict(index.search(["apple"], 5, everything(index))) == {}
    index.add(numbered(3), [["apple"]], index.last + 1, 3)
    assert as_dict(index.search(["apple"], 5, visible_of([], 3))) == {}
    assert as_dict(index.search(["apple"], 5, visible_of([1, 2], 3))) == {}
    assert as_dict(index.search(["never seen"], 5, everything(index))) == {}
    assert as_dict(index.search([], 5, everything(index))) == {}
    assert as_dict(index.search(["apple"], 0, everything(index))) == {}


def test_chunks_of_an_older_snapshot_score_as_then() -> None:
    index = in_memory([["apple"], ["bread"], ["cheese"]])
    snapshot = everything(index)
    before = as_dict(index.search(["apple"], 5, snapshot))
    index.add(numbered(4), [["apple", "fig"]], index.last + 1, 4)
    assert as_dict(index.search(["apple"], 5, snapshot)) == before
    assert sorted(as_dict(index.search(["apple"], 5, everything(index)))) == [1, 4]


def test_a_set_searched_before_its_chunks_came_is_counted_again() -> None:
    index = in_memory([["apple"], ["bread"]])
    ahead = visible_of([1, 2, 3], 3)
    index.search(["apple"], 5, ahead)
    index.add(numbered(3), [["apple", "fig"]], index.last + 1, 3)
    expected = in_memory([["apple"], ["bread"], ["apple", "fig"]])
    assert as_dict(index.search(["apple"], 5, ahead)) == as_dict(expected.search(["apple"], 5, ahead))


def corpus_of(size: int, seed: int = 0) -> list[Row]:
    """Chunks of Zipf-like words, with some repeated so that scores tie."""
    rng = np.random.default_rng(seed)
    words = np.minimum(rng.zipf(1.3, size=(size, 12)), 400)
    words[rng.integers(0, size, size // 10)] = words[0]
    return [[f"w{word}" for word in row] for row in words.tolist()]


@pytest.mark.parametrize("variant", ["lucene", "okapi"])
def test_many_windows_and_segments_give_the_best_of_all_scores(variant: Variant) -> None:
    corpus = corpus_of(20_000)
    index = in_memory(corpus[:12_000], variant)
    index.add(numbered(*range(12_001, 20_001)), corpus[12_000:], index.last + 1, 20_000)
    for shown in (
        range(1, 20_001),
        range(1, 20_001, 3),
        {*range(1, 20_001)} - {*range(7, 20_001, 50)},
        range(9_000, 9_200),
    ):
        visible = visible_of(shown, 20_000)
        for query in (["w1", "w2"], ["w7", "w30", "w200", "w1"], corpus[0], corpus[5_000], ["w400"]):
            every_number, every_score = index.search(query, 20_000, visible)
            for k in (1, 10, 32, 33, 128, 300):
                cut = every_score[min(k, len(every_score)) - 1]
                expected = every_score >= cut
                numbers, scores = index.search(query, k, visible)
                assert numbers.tolist() == every_number[expected].tolist()
                assert scores.tolist() == every_score[expected].tolist()


@pytest.mark.parametrize("variant", ["lucene", "okapi"])
def test_a_long_history_of_small_commits_counts_as_from_nothing(variant: Variant) -> None:
    corpus = corpus_of(2_000)
    index = in_memory(corpus, variant)
    shown = set(range(1, 2_001))
    query = ["w1", "w5", "w40", "w41", "w399"]
    for commit in range(MAX_CHANGES):
        new = index.last + 1
        index.add(numbered(new), [corpus[commit + 5]], index.last + 1, new)
        shown = (shown - {commit + 1}) | {new}
        visible = visible_of(shown, new)
        found = index.search(query[commit % 3 :], 5, visible)
        if commit % 16 == 0:
            numbers = sorted(shown)
            fresh = Bm25Index(None, variant=variant)
            fresh.add(
                numbered(*numbers), [(corpus + corpus[5:])[number - 1] for number in numbers], fresh.last + 1, new
            )
            assert as_dict(found) == as_dict(fresh.search(query[commit % 3 :], 5, visible))


def damage_by_cutting(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def damage_by_flipping(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_flipping, Path.unlink])
def test_a_damaged_segment_is_a_gap_that_can_be_refilled(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    corpus = corpus_of(100)
    index = on_disk(tmp_path, sealed_at=1)
    for start in range(0, 100, 20):
        index.add(numbered(*range(start + 1, start + 21)), corpus[start : start + 20], index.last + 1, start + 20)
    index.seal()
    expected = as_dict(index.search(corpus[0], 30, everything(index)))
    damage(next(iter(sorted(tmp_path.glob("*0000032-*/rows.npy")))))
    index = on_disk(tmp_path)
    assert index.last == 100
    assert index.gaps() == [(32, 47)]
    index.search(corpus[0], 30, visible_of(range(1, 101), 100))
    for first, through in index.gaps():
        index.add(numbered(*range(first, through + 1)), corpus[first - 1 : through], first, through)
    assert index.gaps() == []
    assert as_dict(index.search(corpus[0], 30, everything(index))) == expected
    while index.maintain(everything(index)):
        pass
    assert on_disk(tmp_path).gaps() == []
    assert as_dict(on_disk(tmp_path).search(corpus[0], 30, everything(index))) == expected


def test_a_folder_that_is_gone_is_an_empty_index(tmp_path: Path) -> None:
    index = on_disk(tmp_path / "index")
    index.add(numbered(1), [["apple"]], index.last + 1, 1)
    index.seal()
    shutil.rmtree(tmp_path / "index")
    index = on_disk(tmp_path / "index")
    assert (index.last, len(index), index.gaps()) == (0, 0, [])


def test_other_parameters_are_served_from_the_same_files(tmp_path: Path) -> None:
    corpus = corpus_of(60)
    index = on_disk(tmp_path)
    index.add(numbered(*range(1, 61)), corpus, index.last + 1, 60)
    index.seal()
    reopened = on_disk(tmp_path, k1=3.0)
    fresh = Bm25Index(None, k1=3.0, b=B)
    fresh.add(numbered(*range(1, 61)), corpus, fresh.last + 1, 60)
    for k in (3, 60):
        assert as_dict(reopened.search(corpus[0], k, everything(index))) == as_dict(
            fresh.search(corpus[0], k, everything(index))
        )


def test_no_file_holds_the_postings_of_a_forgotten_chunk(tmp_path: Path) -> None:
    index = on_disk(tmp_path, sealed_at=1)
    index.add(numbered(*range(1, 21)), [["apple"]] * 19 + [["secret"]], index.last + 1, 20)
    index.seal()
    index.add(numbered(21), [["secret", "bread"]], index.last + 1, 21)
    (secret,) = index.counted(["secret"])
    needle = int(secret).to_bytes(8, "little")
    files = list(tmp_path.rglob("hashes.npy"))
    assert any(needle in file.read_bytes() for file in files)
    index.forget(numbered(20, 21))
    assert not any(needle in file.read_bytes() for file in tmp_path.rglob("*.npy"))
    assert len(index) == 19
    assert as_dict(index.search(["secret"], 5, everything(index))) == {}
    assert on_disk(tmp_path).gaps() == []


def test_statistics_of_forgotten_chunks_are_forgotten() -> None:
    rows = [["common", f"own{number}"] for number in range(400)]
    index = in_memory(rows)
    index.search(["common"], 1, everything(index))
    visible = visible_of(range(2, 401), 400)
    index.search(["own7"], 1, visible)  # counts from those before, which know that chunk 1 went
    index.forget(numbered(1))
    fresh = Bm25Index(None)
    fresh.add(numbered(*range(2, 401)), rows[1:], fresh.last + 1, 400)
    assert as_dict(index.search(["common"], 1, visible)) == as_dict(fresh.search(["common"], 1, visible))


def test_purged_chunks_leave_the_files(tmp_path: Path) -> None:
    index = on_disk(tmp_path, sealed_at=1)
    index.add(numbered(*range(1, 33)), corpus_of(32), index.last + 1, 32)
    kept = visible_of(range(1, 9), 32)
    rounds = 0
    while index.maintain(kept):
        rounds += 1
    assert rounds < 8
    assert (len(index), index.last) == (8, 32)
    assert len(on_disk(tmp_path)) == 8


def test_small_segments_are_merged_to_few(tmp_path: Path) -> None:
    index = Bm25Index(SegmentStore(tmp_path, {}), sealed_at=100)
    corpus = corpus_of(1_500)
    for number, row in enumerate(corpus, start=1):
        index.add(numbered(number), [row], index.last + 1, number)
        index.maintain(everything(index))
    while index.maintain(everything(index)):
        pass
    assert index.segments < 20
    assert len(index) == 1_500


def test_chunks_that_are_there_already_are_refused() -> None:
    index = in_memory([["apple"], ["bread"]])
    with pytest.raises(ValueError, match="covered already"):
        index.add(numbered(2), [["apple"]], 2, 3)
    with pytest.raises(ValueError, match="not ascending"):
        index.add(numbered(4, 3), [["apple"], ["fig"]], index.last + 1, 4)
    with pytest.raises(ValueError, match="1 numbers are given for 2"):
        index.add(numbered(3), [["apple"], ["fig"]], index.last + 1, 4)
    with pytest.raises(ValueError, match="can't be added"):
        index.add(numbered(), [], index.last + 1, 1)
    with pytest.raises(ValueError, match="power of two"):
        Bm25Index(None, partition=100)


def test_searches_while_segments_change_see_one_state(tmp_path: Path) -> None:
    corpus = corpus_of(4_000)
    index = Bm25Index(SegmentStore(tmp_path, {}), partition=256, sealed_at=50)
    index.add(numbered(*range(1, 2_001)), corpus[:2_000], index.last + 1, 2_000)
    visible = everything(index)
    query = corpus[0]
    expected = as_dict(index.search(query, 20, visible))
    done = threading.Event()
    wrong: list[dict[int, float]] = []
    searched = [0] * 3

    def search(worker: int) -> None:
        while not done.is_set() or not searched[worker]:
            own = Visible(visible.bits.copy()) if searched[worker] % 2 else visible
            found = as_dict(index.search(query, 20, own))
            searched[worker] += 1
            if found != expected:
                wrong.append(found)

    threads = [threading.Thread(target=search, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2_001, 2_501):
        index.add(numbered(number), [corpus[number - 1]], index.last + 1, number)
        index.maintain(everything(index))
    index.forget(numbered(2_400))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_statistics_follow_the_visible_chunks_only() -> None:
    rows = [["apple", "bread"], ["apple"], ["apple", "cheese", "fig"]]
    index = in_memory(rows)
    before = as_dict(index.search(["apple"], 5, everything(index)))
    after = as_dict(index.search(["apple"], 5, visible_of([1, 3], 3)))
    alone = in_memory([rows[0], rows[2]])
    expected = as_dict(alone.search(["apple"], 5, everything(alone)))
    assert after == {1: expected[1], 3: expected[2]}
    assert after[1] != before[1]


@given(st.lists(terms, max_size=20))
def test_terms_are_counted_in_the_order_of_the_query(query: Row) -> None:
    index = in_memory([])
    counted = index.counted(query)
    assert list(counted.values()) == [query.count(term) for term in dict.fromkeys(query)]


def test_warming_up_leaves_nothing_behind() -> None:
    warm_up()
    index = Bm25Index(None)
    assert (index.last, index.segments, index.unwritten) == (0, 0, 0)
