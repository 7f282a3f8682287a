"""Passages that are shown once though they were found several times, and those that must never be."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.near_duplicates import THRESHOLD, Grouping, near_duplicates, same_facts

PAGE = (
    "The pump is switched off before the filter is taken out. Open the lid, press the lever on its left side, and pull "
    "the filter towards you. Rinse it under warm water until the water runs clear, and let it dry for 24 hours. A "
    "filter that is torn must be replaced by one of the same type. Close the lid and start the pump again; the lamp of "
    "the FilterGuard turns green when the pressure is right."
)


def changed(old: str, new: str) -> str:
    assert PAGE.count(old) == 1
    return PAGE.replace(old, new)


@pytest.mark.parametrize(
    "copy",
    [
        PAGE,
        PAGE.replace(" ", "\n"),
        PAGE.replace("FilterGuard", "**FilterGuard**").replace("the lever", "the *lever*"),
        changed("the pump again;", "the pump again ---"),
        changed("on its left side", "on the left side"),
        changed("warm water until", "warm waters until"),
        changed("Rinse it under warm water", "Rinse it thoroughly under warm water"),
        PAGE + " See also the chapter about cleaning.".lower(),
    ],
)
def test_copies_that_say_the_same_are_grouped_under_the_best(copy: str) -> None:
    assert near_duplicates(["About newts.", copy, PAGE, "About frogs."]) == [(0,), (1, 2), (3,)]


@pytest.mark.parametrize(
    "other",
    [
        changed("24 hours", "2 hours"),
        changed("24 hours", "24 days"),
        changed("must be replaced", "must not be replaced"),
        changed("must be replaced", "may be replaced"),
        changed("is switched off", "is not switched off"),
        changed("on its left side", "on its right side"),
        changed("FilterGuard", "FilterMate"),
        changed("turns green", "turns red"),
        changed("before the filter", "after the filter"),
        changed("A filter that is torn", "Only a filter that is torn").replace("Only a", "only a"),
        changed("start the pump again", "start the pump again unless it leaks"),
        changed("Open the lid, press the lever on its left side", "Press the lever on its left side, open the lid"),
    ],
)
def test_passages_that_differ_in_a_fact_are_both_kept(other: str) -> None:
    assert near_duplicates([PAGE, other]) == [(0,), (1,)]
    assert near_duplicates([other, PAGE]) == [(0,), (1,)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("`limit` (int): at most so many rows, 100.", "`limit` (int): at most so many rows, 1000."),
        ("The limit is 100 rows.", "The limit is 100 % rows."),
        ("It holds at -5 degrees.", "It holds at 5 degrees."),
        ("if a == b: stop the pump", "if a != b: stop the pump"),
        ("if a < b: stop the pump", "if a > b: stop the pump"),
        ("Alice pays Bob.", "Bob pays Alice."),
        ("the client calls the server", "the server calls the client"),
        ("from 5 to 10", "from 10 to 5"),
        ("use get_user here", "use set_user here"),
        ("It is possible.", "It isn\u2019t possible."),
        ("Der Filter wird gereinigt.", "Der Filter wird nicht gereinigt."),
    ],
)
def test_one_word_decides(left: str, right: str) -> None:
    assert not same_facts(left, right)
    head = "In the second year of its service " * 20
    assert near_duplicates([head + left, head + right]) == [(0,), (1,)]


def test_pages_from_one_template_are_kept() -> None:
    pages = [
        f"The route `/{name}` returns all {name} of a user as JSON. It takes `limit` and `offset`. A user who may not "
        f"read {name} gets status 403."
        for name in ("orders", "invoices", "returns", "addresses")
    ]
    assert near_duplicates(pages) == [(0,), (1,), (2,), (3,)]


def test_a_paraphrase_and_a_short_beginning_are_kept() -> None:
    paraphrase = "Switch the pump off first. Then take out the filter, wash it in warm water and dry it for 24 hours."
    assert near_duplicates([PAGE, paraphrase, PAGE[:60]]) == [(0,), (1,), (2,)]


def test_short_passages_are_grouped_only_if_they_have_the_same_words() -> None:
    assert near_duplicates(["Yes.", "yes.", "Yes.", "No.", "", "", "Yes, it does.", "...", "...", "Yes?"]) == [
        (0, 1, 2),
        (3,),
        (4,),
        (5,),
        (6,),
        (7, 8),
        (9,),
    ]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The pump is off, and the filter is out.", "The pump is off and the filter is out!"),
        ("Before you start: open the lid.", "before you start, open the Lid"),
        ("WARNING: switch it off", "Warning! Switch it off."),
        ("She said: \u201cOpen it.\u201d", 'She said "open it"'),
        ("Open the lid \u2014 then wait.", "Open the lid; then wait..."),
        ("A pump hums.", "a pump hums"),
        ("- Step 5: open.", "Step 5. Open!"),
    ],
)
def test_short_passages_that_differ_in_punctuation_and_case_are_one(left: str, right: str) -> None:
    assert near_duplicates([left, "About newts.", right]) == [(0, 2), (1,)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("It costs 1,000 euros.", "It costs 1.000 euros."),
        ("It holds at -5 degrees.", "It holds at 5 degrees."),
        ("It is 5 % more.", "It is 5 more."),
        ("if a = b stop", "if a != b stop"),
        ("if a == b stop", "if a = b stop"),
        ("if !ready stop", "if ready stop"),
        ("Give -v to the program.", "Give -V to the program."),
        ("Call getUser here.", "Call getuser here."),
        ("Use `List` here.", "Use `list` here."),
        ("items: List[str]", "items: list[str]"),
        ("def pump():", "def pump()"),
        ("$ pump install 'lid[all]'", "$ pump install lid[all]"),
        ('"Hello": "World"', "Hello World"),
        ("my_lid, pump", "my_lid pump"),
        ("Tell US of it.", "Tell us of it."),
        ("It works.", "It works?"),
        ("The range is [0, 1)", "The range is (0, 1]"),
        ("Pass *args to it.", "Pass args to it."),
        ("Step 1: open.", "Step 2: open."),
        ("It is on.", "It is not on."),
        ("Open the lid.", "Close the lid."),
        ("There are 5! ways.", "There are 5 ways."),
        ('Take the pipe of 5".', "Take the pipe of 5."),
        ("It is n! ways", "It is n ways"),
        ("Then x - y holds.", "Then x y holds."),
        ("From 5 - 3 on.", "From 5 3 on."),
    ],
)
def test_short_passages_that_differ_in_a_sign_are_both_kept(left: str, right: str) -> None:
    assert near_duplicates([left, right]) == [(0,), (1,)]


def test_a_copy_of_a_short_passage_follows_it_into_its_group() -> None:
    short = " ".join(PAGE.split()[:28])
    assert near_duplicates([short, "About frogs.", short.replace("pump is", "pump, is"), short + " also"]) == [
        (0, 2, 3),
        (1,),
    ]


def test_every_member_is_alike_to_the_first_not_only_to_a_neighbour() -> None:
    added = [f"{first}{second}o" for first in "bdfgklmnpr" for second in "aeiouy"]
    drifting = [" ".join([PAGE, *added[:count]]) for count in range(0, 60, 12)]
    groups = near_duplicates(drifting)
    assert all(near_duplicates([a, b]) == [(0, 1)] for a, b in pairwise(drifting))
    assert groups == [(0, 1, 2), (3, 4)]


@given(st.lists(st.text(alphabet="ab no1A.-\n", max_size=30), max_size=12))
def test_each_passage_is_in_one_group_and_best_come_first(texts: list[str]) -> None:
    groups = near_duplicates(texts)
    assert sorted(index for group in groups for index in group) == list(range(len(texts)))
    assert all(list(group) == sorted(group) for group in groups)
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)


def test_a_hundred_passages_take_a_few_milliseconds() -> None:
    distinct = [f"{PAGE} It is pump number {number}." for number in range(50)]
    texts = [*distinct, *(text.replace("Rinse it", "Rinse it well") for text in distinct)]
    seconds = []
    for _ in range(5):
        began = time.process_time()
        assert len(near_duplicates(texts)) == 50
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.05  # a quiet machine needs a tenth of it


def test_texts_that_come_one_by_one_are_grouped_as_all_at_once() -> None:
    texts = [PAGE, "About newts.", PAGE + " ---", changed("24 hours", "2 hours"), "So: " + PAGE, PAGE, "About newts."]
    grouping = Grouping()
    for number, text in enumerate(texts, 1):
        grouping.add(text)
        assert grouping.groups() == near_duplicates(texts[:number])
    assert grouping.groups() == [(0, 2, 5), (1, 6), (3,), (4,)]


@given(st.data())
def test_what_is_told_by_the_difference_alone_is_told_by_the_whole_too(data: st.DataObject) -> None:
    words = PAGE.split()
    at = data.draw(st.integers(0, len(words)))
    until = data.draw(st.integers(at, min(len(words), at + 12)))
    new = data.draw(
        st.lists(st.sampled_from(["not", "the", "filter", "24", "GREEN", "so", "---", "e.g."]), max_size=12)
    )
    other = " ".join([*words[:at], *new, *words[until:]])
    threes, others = (set(zip(its, its[1:], its[2:], strict=False)) for its in (words, other.split()))
    is_copy = len(threes & others) >= THRESHOLD * len(threes | others) and same_facts(PAGE, other)
    assert near_duplicates([PAGE, other]) == ([(0, 1)] if is_copy else [(0,), (1,)])


def test_a_hundred_copies_of_few_passages_take_a_millisecond_or_two() -> None:
    copies = [f"{PAGE} {name} is {' '.join(['so'] * (n % 3))}." for name in ("It", "Ada", "Bob") for n in range(33)]
    seconds = []
    for _ in range(10):
        began = time.process_time()
        assert len(near_duplicates(copies)) == 3
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.006  # a quiet machine needs a fifth of it, and ten times that where all is compared


@pytest.mark.parametrize("piece", ["a", "A", "a ", "1 ", "not ", "a1", "'a"])
def test_hostile_passages_take_time_in_proportion(piece: str) -> None:
    text = piece * 100_000
    began = time.process_time()
    near_duplicates([text, text + "b", text + " b"])
    assert time.process_time() - began < 3
