from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.checks import (
    antonym_differs,
    bigrams,
    content_words,
    in_order,
    missing_names,
    names,
    negation_differs,
    recall,
    words,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The pump was built in Linz by Hartmann.", ["Linz", "Hartmann"]),
        ("Michael Vick grew up there.", ["Michael", "Vick"]),
        ("Apples are red.", []),
        ("BPI certified it.", ["BPI"]),
        ("The UK's largest city is old.", ["UK"]),
        ("I like it.", []),
        (
            "Set max_retries in config.toml with getItem() or camelCase.",
            ["max_retries", "config.toml", "getItem()", "camelCase"],
        ),
        ("Call --no-cache on the A330.", ["--no-cache", "A330"]),
        ("Use `foo bar` there.", ["foo bar"]),
        ('It is called "the cook" here.', ["the cook"]),
        ("It is O\u2019Brien's.", ["O'Brien"]),
    ],
)
def test_names_identifiers_and_quotes_are_found(text: str, found: list[str]) -> None:
    assert sorted(names(text)) == sorted(found)


@pytest.mark.parametrize(
    ("claim", "evidence", "missing"),
    [
        ("It is in Graz.", "It is in Linz.", ["Graz"]),
        ("It is in Graz.", "GRAZ is large.", []),
        ("The BPI said so.", "The British Phonographic Industry said so.", []),
        ("Set `max_retries` to 3.", "Set max_attempts to 3.", ["max_retries"]),
        ("Set `max_retries` to 3.", "Set max_retries to 3.", []),
        ("Call `get()` now.", "Call `get` now.", []),
        ("He said 'hello world' there.", "He said hello\nworld there.", []),
        ("He said 'hello world' there.", "He said hello there, world.", []),
        ("It has Pumps inside.", "It has a pump.", []),
    ],
)
def test_names_that_the_evidence_lacks_are_missing(claim: str, evidence: str, missing: list[str]) -> None:
    assert missing_names(claim, evidence) == missing


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("The pump does not need oil.", "The pump needs oil every day."),
        ("The pump needs oil.", "The pump never needs oil."),
        ("It works without electricity.", "It works with electricity."),
        ("Open the lid while it runs.", "Never open the lid while it runs."),
        ("The warranty covers frost.", "The warranty does not cover frost."),
        ("The lid can\u2019t be opened.", "The lid can be opened."),
        ("It cannot be washed.", "It can be washed."),
        ("The clerk fails to see the risk.", "The clerk sees the risk."),
        ("The old model lacks a switch.", "The old model has a switch."),
        ("The clerk refused to sign the form on Monday.", "The clerk signed the form on Monday."),
        ("The coat prevents rust on hinges.", "The coat causes rust on hinges."),
    ],
)
def test_negation_on_one_side_differs(claim: str, evidence: str) -> None:
    assert negation_differs(claim, evidence)
    assert negation_differs(evidence, claim)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("The filter lasts 2,000 hours.", "The filter must not be washed; it lasts 2,000 hours."),
        ("Do not open the lid.", "Never open the lid."),
        ("The pump is very fast.", "The pump is not only fast but cheap."),
        ("The work began in May.", "The work began no later than May."),
        ("The pump needs oil.", "It does not rain in summer."),
        ("Schedule 5.", "They are not stated in Schedule 5."),
        ("It is not an album by Linkin Park.", "It is an album of Metallica, not Linkin Park."),
        ("It was explained in 1864 by him.", "It was not known until 1864."),
        ("The lid is red.", "The lid is red. The lid is not red."),
        ("", "not"),
        ("The clerk fails to see the risk.", "The clerk does not see the risk."),
        ("The clerk never fails to see the risk.", "The clerk sees the risk."),
        ("The coat resists frost in the pipes.", "The coat protects against frost."),
    ],
)
def test_negation_of_something_else_does_not_differ(claim: str, evidence: str) -> None:
    assert not negation_differs(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence", "differs"),
    [
        ("Prices increased.", "Prices decreased.", True),
        ("The minimum is 5.", "The maximum is 5.", True),
        ("Prices increased.", "Prices rose.", False),
        ("Prices increased.", "Prices increased after a decrease.", False),
        ("It is enabled.", "It is disabled.", True),
        ("It is red.", "It is blue.", False),
    ],
)
def test_antonyms_differ_where_only_the_other_side_is_there(claim: str, evidence: str, differs: bool) -> None:
    assert antonym_differs(claim, evidence) is differs


def test_words_are_stems_and_content_words_leave_out_the_ordinary() -> None:
    assert words("Lasts lasted lasting libraries") == ["last", "last", "last", "library"]
    assert content_words("The pump and its 2,000 filters are not here.") == ["pump", "2000", "filter"]
    assert words("stopped permitted adding calling") == ["stop", "permit", "add", "call"]
    assert words("2,000 6 six") == ["2000", "6", "6"]
    assert bigrams("the pumps last") == {("the", "pump"), ("pump", "last")}


def test_recall_is_the_share_that_is_found() -> None:
    assert recall(["a", "b", "c", "c"], {"a", "c"}) == pytest.approx(2 / 3)
    assert recall([], set()) == 1.0


def test_words_in_order_are_a_longest_common_subsequence() -> None:
    # Lin (2004), section 3.1: "police killed the gunman" against two candidates, 3 and 2 of 4 words in sequence.
    assert in_order("police killed the gunman", "police kill the gunman") == 1.0
    assert in_order("police shot the gunman", "police kill the gunman") == 0.75
    assert in_order("police killed the gunman", "the gunman kill police") == 0.5
    assert in_order("", "anything") == 0.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_checks_take_any_text_and_find_no_fault_with_itself(claim: str, evidence: str) -> None:
    assert missing_names(claim, claim) == []
    assert not negation_differs(claim, claim)
    assert not antonym_differs(claim, claim)
    assert 0 <= in_order(claim, evidence) <= 1
    assert in_order(claim, claim) == (1.0 if words(claim) else 0.0)
    assert set(missing_names(claim, evidence)) <= set(names(claim))
