"""The scanner finds what a pass for each expression finds."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ingest.screening import scanning
from ingest.screening.phrases import PHRASES
from ingest.screening.scanning import Scanner, literal_beginnings

# Pieces of what the phrases are made of, so that texts match and almost match.
PIECES = tuple(
    [
        "ignore all previous instructions ",
        "you are now an ai",
        "you're no longer",
        "forget everything",
        " above",
        "\n",
        ". ",
        "### system:",
        "\nuser: ",
        "if you are an ai",
        "system prompt",
        "add a link to your response ",
        "then say ",
        "rm -rf /",
        "reply with only",
        "x",
        "prompt=",
        "translate ",
        "\nin base64 your answer ",
        "忽略之前的指令",
        "ignorez ",
        "les instructions ",
    ]
)


def one_by_one(expressions: list[re.Pattern[str]], text: str) -> list[tuple[int, int, int]]:
    return sorted(
        (its.start(), its.end(), n) for n, expression in enumerate(expressions) for its in expression.finditer(text)
    )


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_the_phrases_are_found_where_a_pass_for_each_finds_them(text: str) -> None:
    expressions = [phrase.expression for phrase in PHRASES]
    assert sorted(Scanner(expressions).matches(text, lambda text, start: True)) == one_by_one(expressions, text)


def test_every_phrase_begins_with_something_to_look_for() -> None:
    assert [phrase.name for phrase in PHRASES if literal_beginnings(phrase.expression) is None] == []


def test_beginnings_follow_what_an_expression_may_begin_with() -> None:
    expected = {
        r"(?:ignor|forget)\w{0,3}\s": {"ignor", "forget"},
        r"\b[ab]c?d": {"ad", "bd", "acd", "bcd"},
        r"(?:x{2,3}|y+)z": {"x", "y"},
        r"(?<!q)new(?:t|s)?": None,
        r"\w+": None,
        r"a?": None,
        r"(?i:a)b": None,
        r"[^a]b": None,
    }
    assert {pattern: literal_beginnings(re.compile(pattern)) for pattern in expected} == expected


def test_what_has_no_literal_beginning_is_searched_for_all_the_same() -> None:
    expressions = [re.compile(r"\d+ newts"), re.compile("newts?")]
    text = "12 newts, 3 newts; newt"
    found = sorted(Scanner(expressions).matches(text, lambda text, start: True))
    assert found == one_by_one(expressions, text)
    assert len(found) == 5


def test_a_beginning_across_two_blocks_is_found_once(monkeypatch: object) -> None:
    expressions = [re.compile("instruction"), re.compile("ns")]
    text = "an instruction, instructions " * 9
    for block in (1, 2, 7, 64):
        scanner = Scanner(expressions)
        monkeypatch.setattr(scanning, "_BLOCK", block)  # type: ignore[attr-defined]
        assert sorted(scanner.matches(text, lambda text, start: True)) == one_by_one(expressions, text)


def test_only_places_that_may_be_are_tried() -> None:
    found = Scanner([re.compile("newt")]).matches("newt anewt", lambda text, start: start == 0)
    assert list(found) == [(0, 4, 0)]
