from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from retrieval.coverage import Ranges, clipped, gaps, union, without

RANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=6)


def numbers(ranges: Ranges | list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES)
def test_a_union_holds_what_any_range_holds_in_ascending_ranges_that_do_not_touch(
    ranges: list[tuple[int, int]],
) -> None:
    joined = union(ranges)
    assert numbers(joined) == numbers(ranges)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(joined))


@given(RANGES, RANGES)
def test_what_is_taken_away_is_gone_and_the_rest_stays(
    ranges: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    left = without(union(ranges), union(taken))
    assert numbers(left) == numbers(ranges) - numbers(taken)
    assert left == union(left)


@given(RANGES, st.integers(0, 50), st.integers(0, 50))
def test_clipping_keeps_what_lies_between(ranges: list[tuple[int, int]], low: int, high: int) -> None:
    assert numbers(clipped(union(ranges), low, high)) == numbers(ranges) & set(range(low, high + 1))


@given(RANGES)
def test_gaps_are_what_is_missing_up_to_the_last(ranges: list[tuple[int, int]]) -> None:
    covered = numbers(ranges)
    assert numbers(gaps(union(ranges))) == set(range(1, max(covered, default=0) + 1)) - covered
