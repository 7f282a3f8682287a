from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.sentences import plain, split_sentences


def cut(text: str) -> list[str]:
    return [text[s.start : s.end] for s in split_sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Use a filter, e.g. F-17, at 2.5 bar.",
        "Ask Dr. Smith or J. K. Rowling about it.",
        "See v1.2 of file.py, i.e. The newest one.",
        "The U.S. Army bought it in No. 5 Street.",
        "The value of pi is 3.14 and so on...",
        "Wait for it... then go on.",
        'He said "Stop." and left.',
        "Fig. 3 shows the pump approx. 2 m from Hartmann Inc. headquarters.",
    ],
)
def test_abbreviations_and_decimals_do_not_end_a_sentence(text: str) -> None:
    assert cut(text) == [text]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It lasts [1]. It is old.[2] It is red. [1, 3] End.", None),
        ("It ended in 2019. Then came rain.", ["It ended in 2019.", "Then came rain."]),
        ("Take vitamin C. The rest is easy.", ["Take vitamin C.", "The rest is easy."]),
        ("It draws 450 W. Paris is large.", ["It draws 450 W.", "Paris is large."]),
        ("It opens at 9 a.m. The door is red.", ["It opens at 9 a.m.", "The door is red."]),
        ("日本語です。次の文です。", ["日本語です。", "次の文です。"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Steps: 1. Open the lid. 2. Close it.", ["Steps: 1. Open the lid.", "2. Close it."]),
    ],
)
def test_sentences_end_at_full_stops_and_keep_their_markers(text: str, sentences: list[str] | None) -> None:
    assert cut(text) == (sentences or ["It lasts [1].", "It is old.[2]", "It is red. [1, 3]", "End."])


def test_lines_make_items_headings_rows_and_code() -> None:
    text = (
        "# Title\nA paragraph that was wrapped by an editor goes on and on in its\nnext line.\n"
        "- one\n  continued\n2) two\n\n```py\nx = 1\ny = 2\n```\n| a | b |\n"
    )
    assert [(s.kind, text[s.start : s.end]) for s in split_sentences(text)] == [
        ("heading", "Title"),
        ("sentence", "A paragraph that was wrapped by an editor goes on and on in its\nnext line."),
        ("item", "one\n  continued"),
        ("item", "two"),
        ("code", "x = 1\ny = 2"),
        ("row", "| a | b |"),
    ]


def test_short_line_before_a_capital_is_a_sentence_of_its_own() -> None:
    assert cut("Maintenance\nThe filter lasts long.") == ["Maintenance", "The filter lasts long."]


def test_plain_keeps_every_offset() -> None:
    assert plain("\u201cit\u2019s\u201d 5\u00a0\u2013\u20096") == '"it\'s" 5 - 6'


@given(st.text(alphabet=st.sampled_from("aB1.!?\n -*#`|[]()\u3002\u2019\u00a0"), max_size=80) | st.text(max_size=80))
def test_every_sentence_stands_at_its_offsets_in_order(text: str) -> None:
    end = 0
    for sentence in split_sentences(text):
        assert end <= sentence.start < sentence.end <= len(text)
        assert text[sentence.start : sentence.end].strip() == text[sentence.start : sentence.end]
        end = sentence.end
