"""Chunking, mostly with a counter of words in place of the embedder's tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunks.chunking import chunk
from ingest.chunks.cutting import halved, last_sentence, sentences
from ingest.loaders.registry import extract
from ingest.types import ChunkSpan, Extracted, Heading, Page
from retrieval.embedder import OnnxEmbedder
from retrieval.hash_embedder import HashEmbedder

Counter = Callable[[str], int]


def words(text: str) -> int:
    return len(text.split())


def characters(text: str) -> int:
    return len(text)


def utf_8_bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def word_characters(text: str) -> int:
    """Counts as `HashEmbedder` does: signs are no tokens."""
    return HashEmbedder().count_tokens(text)


def fourths(text: str) -> int:
    return len(text) // 4


def coarse(text: str) -> int:
    """Does not add up: the whole is more than its parts."""
    return len(text) // 7 + text.count(" ")


# What tokenizers treat in ways of their own: of many of these they make no token at all, of others several.
ODD = [
    "e\u0301",  # a combining accent
    "a" + "\u0301\u0302\u0303" * 5,
    "\U0001f1e9\U0001f1ea",  # a flag
    "\U0001f469\u200d\U0001f467",  # a family
    "\U0001f98e",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",  # Thai
    "\u0928\u092e\u0938\u094d\u0924\u0947",  # Devanagari
    "\u0c28\u0c2e\u0c38\u0c4d\u0c15\u0c3e\u0c30\u0c02",  # Telugu
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",  # pointed Hebrew
    "\ufdfa",  # one character that stands for four words
    "ab\u00adc",  # a soft hyphen
    "x\ufe0f",
    "\u200b",
    "\u00a0",
    "|",
    "|a",
    ",",
    ",b",
    ".",
    "\u3002",
    "newts",
    " ",
    ". ",
    "\n",
]


def cut(
    text: str, tokens: int, *, overlap: int = 0, count: Counter = words, name: str = "a.md"
) -> tuple[Extracted, list[ChunkSpan]]:
    extracted = extract(text.encode(), name)
    return extracted, chunk(extracted, count_tokens=count, chunk_tokens=tokens, overlap_tokens=overlap)


def texts(extracted: Extracted, spans: list[ChunkSpan]) -> list[str]:
    return [extracted.text[span.start : span.end] for span in spans]


def numbered(prefix: str, count: int) -> str:
    return " ".join(f"{prefix}{number}" for number in range(count))


# --- a canonical example

GUIDE = f"""\
# Newts {{ #newts }}

An introduction.

## Care

{numbered("c", 15)}

{numbered("d", 15)}

## Food

{numbered("f", 17)}
"""


def test_a_document_is_cut_at_its_headings() -> None:
    extracted, spans = cut(GUIDE, 24)
    care = numbered("c", 15)
    assert [(span.ordinal, span.heading, span.page, span.input) for span in spans] == [
        (0, ("Newts",), None, "Newts\n# Newts { #newts }\n\nAn introduction."),
        (1, ("Newts", "Care"), None, f"Newts > Care\n## Care\n\n{care}"),
        (2, ("Newts", "Care"), None, f"Newts > Care\n{numbered('d', 15)}"),
        (3, ("Newts", "Food"), None, f"Newts > Food\n## Food\n\n{numbered('f', 17)}"),
    ]
    assert texts(extracted, spans)[2] == numbered("d", 15)


def test_an_unchanged_section_keeps_its_chunk_when_another_one_changes() -> None:
    before = {span.chunk_id for span in cut(GUIDE, 24)[1]}
    after = {span.chunk_id for span in cut(GUIDE.replace("c3", "changed"), 24)[1]}
    assert len(before - after) == len(after - before) == 1


def test_a_text_without_headings_is_its_own_input() -> None:
    assert [span.input for span in cut("Newts swim.\n\nToads hop.", 16, name="a.txt")[1]] == [
        "Newts swim.\n\nToads hop."
    ]


def test_a_stated_title_stands_in_the_input_of_every_chunk() -> None:
    _, spans = cut(f"---\ntitle: All newts\n---\n{numbered('a', 20)}\n\n## Care\n\n{numbered('b', 12)}", 24)
    assert [span.input.split("\n")[0] for span in spans] == ["All newts", "All newts > Care"]


def test_a_text_of_white_space_has_no_chunks() -> None:
    assert chunk(Extracted(" \n", "a", "text/plain"), count_tokens=words, chunk_tokens=16, overlap_tokens=0) == []


@pytest.mark.parametrize(("tokens", "overlap"), [(15, 0), (16, -1), (16, 16)])
def test_settings_out_of_bounds_are_refused(tokens: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=f"chunk_tokens is {tokens} and overlap_tokens {overlap}"):
        cut("Newts swim.", tokens, overlap=overlap)


# --- sections


def test_tiny_sections_join_under_the_path_they_share() -> None:
    text = "# Newts\n\n## One\n\na b c\n\n## Two\n\nd e f\n\n## Three\n\n" + numbered("g", 30)
    extracted, spans = cut(text, 40)
    assert [span.heading for span in spans] == [("Newts",), ("Newts", "Three")]
    assert texts(extracted, spans)[0].endswith("d e f")


def test_sections_of_some_size_stay_apart_though_they_would_fit_together() -> None:
    text = f"# One\n\n{numbered('a', 10)}\n\n# Two\n\n{numbered('b', 10)}\n"
    assert [span.heading for span in cut(text, 40)[1]] == [("One",), ("Two",)]


def test_a_section_that_is_cut_anyway_takes_in_the_heading_above_it() -> None:
    text = f"# Newts\n\n## Care\n\n{numbered('a', 12)}\n\n{numbered('b', 12)}\n\n{numbered('c', 12)}"
    extracted, spans = cut(text, 30)
    assert [span.heading for span in spans] == [("Newts",), ("Newts", "Care")]
    assert texts(extracted, spans)[0].startswith("# Newts\n\n## Care")


def test_sections_do_not_join_where_a_heading_would_be_lost() -> None:
    text = f"# Newts\n\n{numbered('n', 15)}\n\n## Care\n\n{numbered('c', 16)}\n\n### Cold\n\nb c\n\n## Food\n\nd e\n"
    _, spans = cut(text, 24)
    # "Cold" is tiny and so is "Food", but the heading "Care" that governs "Cold" stands in an earlier chunk.
    assert [span.heading for span in spans] == [
        ("Newts",),
        ("Newts", "Care"),
        ("Newts", "Care", "Cold"),
        ("Newts", "Food"),
    ]


def test_headings_of_any_levels_nest_by_level() -> None:
    body = numbered("w", 14)
    text = f"## A\n\n{body}\n\n#### B\n\n{body}\n\n### C\n\n{body}\n\n# D\n\n{body}\n"
    assert [span.heading for span in cut(text, 20)[1]] == [("A",), ("A", "B"), ("A", "C"), ("D",)]


def test_a_heading_stays_with_the_text_below_it() -> None:
    text = f"# A\n\n{numbered('a', 5)}\n\n## B\n\n{numbered('b', 15)}\n\n{numbered('c', 15)}\n"
    extracted, spans = cut(text, 24)
    assert not any(piece.endswith("## B") for piece in texts(extracted, spans))


def test_a_long_heading_path_takes_at_most_half_of_the_input() -> None:
    outer, inner = numbered("outer", 30), numbered("inner", 6)
    _, spans = cut(f"# {outer}\n\n## {inner}\n\n{numbered('a', 40)}\n", 20)
    inside = [span for span in spans if len(span.heading) == 2]
    assert {span.heading for span in inside} == {(outer, inner)}
    assert {span.input.split("\n")[0] for span in inside} == {inner}
    alone = cut(f"# {outer}\n\n{numbered('a', 40)}\n", 20)[1]
    assert {span.input.split("\n")[0] for span in alone} == {numbered("outer", 7)}


# --- blocks

CODE = "```python\ndef swim():\n\n    # not a heading\n    return fast\n```"
TABLE = "| Kind | cm |\n| --- | --- |\n| Smooth | 11 |\n| Crested | 16 |"


@pytest.mark.parametrize("block", [CODE, TABLE, CODE.replace("```", "~~~~")])
def test_code_and_tables_that_fit_are_kept_whole(block: str) -> None:
    for before in range(1, 40):
        text = f"{numbered('a', before)}\n\n{block}\n\n{numbered('b', 20)}"
        extracted, spans = cut(text, 24)
        assert any(block in piece for piece in texts(extracted, spans))


@pytest.mark.parametrize("block", [CODE, TABLE])
def test_what_introduces_code_or_a_table_stays_with_it(block: str) -> None:
    introduced = f"These are the kinds:\n\n{block}"
    for before in range(1, 40):
        text = f"# Newts\n\n{numbered('a', before)}. {introduced}\n\n{numbered('b', 20)}"
        extracted, spans = cut(text, 26)
        assert any(introduced in piece for piece in texts(extracted, spans)), before


def test_a_table_without_room_for_its_introduction_is_kept_whole_without() -> None:
    text = f"{numbered('a', 12)}\n\n{TABLE}"
    assert texts(*cut(text, 24)) == [numbered("a", 12), TABLE]


def a_table(rows: int, header: str = "| Kind | Length |", mark: str = "| --- | --- |") -> str:
    return "\n".join([header, mark, *(f"| newt {number} | {number} cm |" for number in range(rows))])


def test_a_long_table_is_cut_between_rows_and_each_part_is_led_by_its_header() -> None:
    table = a_table(40)
    extracted, spans = cut(f"# Newts\n\nAll of them:\n\n{table}\n\nThat was all.", 40)
    header = "| Kind | Length |\n| --- | --- |"
    pieces = texts(extracted, spans)
    assert len(spans) > 6 and pieces[0].startswith(f"# Newts\n\nAll of them:\n\n{header}\n| newt 0 ")
    assert spans[0].lead is None
    for span, piece in zip(spans[1:], pieces[1:], strict=True):
        assert span.lead is not None and extracted.text[slice(*span.lead)] == header
        assert span.input == f"Newts\n{header}\n{piece}"
        assert piece.startswith("| newt") and words(span.input) <= 40
    rows = [line for piece in pieces for line in piece.split("\n") if line.startswith("| newt")]
    assert rows == table.split("\n")[2:]
    assert pieces[-1].endswith("|\n\nThat was all.")


def test_rows_that_say_the_same_under_other_headers_are_other_chunks() -> None:
    ids = [
        {span.chunk_id for span in cut(a_table(40, header), 40)[1]}
        for header in ("| Kind | Length |", "| Kind | Height |")
    ]
    assert len(ids[0]) > 6 and not ids[0] & ids[1]


def test_the_chunks_of_a_cut_table_are_about_equally_long() -> None:
    sizes = [words(span.input) for span in cut(a_table(40), 60)[1]]
    assert len(sizes) > 3 and max(sizes) - min(sizes) <= 14  # two rows


def test_a_cut_table_has_no_more_chunks_than_it_takes() -> None:
    header = f"| {numbered('column', 16)} |"
    assert len(cut(a_table(40, header, "| --- |"), 60)[1]) == 8


def test_a_header_over_half_a_chunk_is_not_repeated() -> None:
    header = f"| {numbered('column', 20)} |"
    _, spans = cut(a_table(30, header, "| --- |"), 40)
    assert len(spans) > 5 and not any(span.lead for span in spans)


def test_a_row_that_is_longer_than_a_chunk_is_cut_and_each_part_is_led() -> None:
    row = "| crested | " + " ".join(f"Newt number {number} sleeps." for number in range(60)) + " |"
    extracted, spans = cut(f"{a_table(3)}\n{row}\n| last | 1 |", 40)
    within = [span for span in spans if "sleeps" in extracted.text[span.start : span.end]]
    assert len(within) > 5 and all(span.lead for span in within if span.start > 0)
    assert all(extracted.text[span.start : span.end].endswith("sleeps.") for span in within[:-1])
    assert all(words(span.input) <= 40 for span in spans)


def test_a_table_whose_rows_begin_without_a_bar_is_one() -> None:
    rows = [f"newt {number} | {number}" for number in range(40)]
    extracted, spans = cut("\n".join(["Kinds", "", "Kind | cm", "--- | ---", *rows, "", "The end."]), 30)
    assert all(extracted.text[slice(*span.lead)] == "Kind | cm\n--- | ---" for span in spans[1:] if span.lead)
    assert sum(span.lead is not None for span in spans) >= len(spans) - 2 > 3


def test_lines_with_bars_without_a_line_below_the_first_have_no_header() -> None:
    _, spans = cut("\n".join(["| a | b |"] * 60), 24)
    assert len(spans) > 5 and not any(span.lead for span in spans)


def test_what_follows_a_table_is_not_led_by_its_header() -> None:
    _, spans = cut(f"{TABLE}\n\n{numbered('a', 60)}", 24)
    assert len(spans) > 2 and not any(span.lead for span in spans)


def test_code_that_does_not_fit_is_cut_at_blank_lines() -> None:
    functions = ["\n".join(f"    swim(newt_{n}, pond_{m})" for m in range(5)) for n in range(9)]
    extracted, spans = cut("```python\n" + "\n\n".join(functions) + "\n```", 22)
    pieces = texts(extracted, spans)
    assert len(pieces) >= 4
    assert all(any(function.strip() in piece for piece in pieces) for function in functions)


PYTHON = '''\
class Newt:
    """
    | no | table |
    | --- | --- |
    | no | row |

    - no list
    ```
    """

    def swim(self):
        return fast
'''


def test_a_file_of_code_is_code_from_its_first_line_to_its_last() -> None:
    classes = [PYTHON.replace("Newt", f"Newt{number}") for number in range(6)]
    extracted = Extracted("\n".join(classes), "a.py", "text/x-python")
    spans = chunk(extracted, count_tokens=words, chunk_tokens=40, overlap_tokens=0)
    assert texts(extracted, spans) == [its.strip() for its in classes]


def test_code_that_does_not_fit_is_cut_between_lines() -> None:
    lines = [f"    swim(newt_{number}, fast=True, deep=False)" for number in range(40)]
    extracted, spans = cut("```python\n" + "\n".join(lines) + "\n```", 16)
    pieces = texts(extracted, spans)
    assert len(pieces) > 5
    assert pieces[0].startswith("```python\n    swim(newt_0,") and pieces[-1].endswith(")\n```")
    assert [line.strip() for piece in pieces for line in piece.split("\n")][1:-1] == [line.strip() for line in lines]


def test_the_first_line_of_code_is_not_left_behind() -> None:
    code = "```python\n" + "\n".join(f"swim(newt_{number}, fast=True)" for number in range(40)) + "\n```"
    for before in range(1, 16):
        extracted, spans = cut(f"{numbered('a', before)}\n\n{code}", 16)
        assert not any(piece.endswith("```python") for piece in texts(extracted, spans))


def test_a_fence_without_an_end_reaches_to_the_end_of_its_section() -> None:
    extracted, spans = cut("```\na\n\n- b\n\n| c", 16, name="a.txt")
    assert texts(extracted, spans) == ["```\na\n\n- b\n\n| c"]


@pytest.mark.parametrize(
    ("text", "last"),
    [("One. Two.", "Two."), ("一。 二。 ", "二。 "), ("One.", None), ("One. ", None), ("", None), ("One. Two", "Two")],
)
def test_the_last_sentence_is_found_where_there_are_several(text: str, last: str | None) -> None:
    begin = last_sentence(text, 0, len(text))
    assert (None if begin is None else text[begin:]) == last


def test_long_paragraphs_are_cut_between_sentences() -> None:
    sentences = [f"In year {number} the newts, e.g. the small ones, moved to pond {number}." for number in range(30)]
    extracted, spans = cut(" ".join(sentences), 40, name="a.txt")
    assert [s for piece in texts(extracted, spans) for s in piece.replace(". In", ".\nIn").split("\n")] == sentences


def test_chinese_is_cut_between_sentences() -> None:
    sentences = [f"第{number}年蠑螈搬到了新的池塘裡居住。" for number in range(40)]
    extracted, spans = cut("".join(sentences), 60, count=characters, name="a.txt")
    assert all(piece.endswith("。") for piece in texts(extracted, spans))


def test_words_one_a_line_are_not_cut_inside() -> None:
    lines = [f"salamander{number}" for number in range(200)]
    extracted, spans = cut("\n".join(lines), 16, name="a.txt")
    assert " ".join(texts(extracted, spans)).split() == lines


def test_the_chunks_of_a_section_are_about_equally_long() -> None:
    paragraphs = "\n\n".join(numbered(letter, 7) for letter in "abcdefghi")  # 63 words
    sizes = [words(span.input) for span in cut(paragraphs, 60, name="a.txt")[1]]
    assert sizes == [35, 28]


def test_a_word_longer_than_a_chunk_is_cut_by_characters() -> None:
    extracted, spans = cut("a" * 100, 16, count=characters, name="a.txt")
    assert all(len(span.input) <= 16 for span in spans)
    assert "".join(texts(extracted, spans)) == "a" * 100


def test_a_blob_that_a_tokenizer_takes_for_one_word_is_cut() -> None:
    extracted, spans = cut("Newts.\n\n" + "QUJD" * 5000 + "\n\nToads.", 16, name="a.txt")
    assert max(len(span.input) for span in spans) < 16 * 21
    assert "".join("".join(texts(extracted, spans)).split()) == "Newts." + "QUJD" * 5000 + "Toads."


def test_chunks_keep_the_limit_where_tokens_do_not_add_up() -> None:
    def count(text: str) -> int:
        return len(text) // 7  # 1 for each item, but almost 2 for each of several

    items = [f"- {number:010}" for number in range(64)]
    extracted, spans = cut("\n".join(items), 16, count=count, name="a.txt")
    assert max(count(span.input) for span in spans) <= 16
    assert "\n".join(texts(extracted, spans)).split("\n") == items


@pytest.mark.parametrize("tokens", [16, 200])
@pytest.mark.parametrize("odd", [*ODD, "|a" * 20, "e\u0301 combining \U0001f1e9\U0001f1ea ", "\U0001f1e9 flags "])
@pytest.mark.parametrize("count", [word_characters, fourths])
def test_what_is_no_token_is_kept_once(odd: str, tokens: int, count: Counter) -> None:
    extracted = Extracted("Newts " + odd * 600, "a", "text/plain")
    spans = chunk(extracted, count_tokens=count, chunk_tokens=tokens, overlap_tokens=0)
    check(extracted, spans, count, tokens)


def test_whole_sentences_are_kept_together_then_phrases_then_words() -> None:
    text = " Newts swim. Toads hop, croak and sleep. Asseveration. "

    def parts(most: int) -> list[str]:
        spans = sentences(text, 0, len(text), lambda start, end: len(text[start:end].split()), most)
        return [text[start:end] for start, end in spans]

    assert parts(8) == [text.strip()]
    assert parts(7) == ["Newts swim. Toads hop, croak and sleep.", "Asseveration."]
    assert parts(5) == ["Newts swim.", "Toads hop, croak and sleep.", "Asseveration."]
    assert parts(4) == ["Newts swim. Toads hop,", "croak and sleep. Asseveration."]
    assert parts(2) == ["Newts swim.", "Toads hop,", "croak and", "sleep. Asseveration."]
    assert list(sentences("Asseveration", 0, 12, lambda start, end: end - start, 7)) == [(0, 6), (6, 12)]


@given(st.lists(st.sampled_from(ODD), max_size=60).map("".join), st.integers(1, 40))
def test_halving_leaves_out_nothing_but_white_space(text: str, most: int) -> None:
    covered = 0
    for start, end in halved(text, 0, len(text), lambda start, end: end - start <= most):
        assert end - start <= most and not text[covered:start].strip()
        assert start >= covered
        covered = end
    assert not text[covered:].strip()


# --- overlap and pages


def test_overlap_repeats_the_end_of_the_last_chunk_within_a_section() -> None:
    text = f"# A\n\n{numbered('a', 60)}\n\n# B\n\n{numbered('b', 60)}\n"
    extracted, spans = cut(text, 24, overlap=5)
    assert [span.start for span in spans] == sorted({span.start for span in spans})
    assert all(words(span.input) <= 24 for span in spans)
    for last, span in pairwise(spans):
        shared = extracted.text[span.start : last.end].split() if span.start < last.end else []
        assert len(shared) == (5 if last.heading == span.heading else 0)


def test_an_overlap_leaves_half_of_the_chunk_for_new_text() -> None:
    extracted, spans = cut(numbered("a", 100), 16, overlap=15, name="a.txt")
    new = [max(span.start, last.end) for last, span in pairwise(spans)]
    assert all(words(extracted.text[start : span.end]) >= 4 for start, span in zip(new, spans[1:], strict=True))
    assert all(words(span.input) <= 16 for span in spans)


def test_each_chunk_has_the_page_that_it_begins_on() -> None:
    pages = [numbered("a", 20), "", numbered("b", 20)]
    text = "\n\n".join(pages)
    starts = (Page(1, 0), Page(2, len(pages[0]) + 2), Page(3, len(pages[0]) + 4))
    spans = chunk(
        Extracted(text, "a", "application/pdf", pages=starts), count_tokens=words, chunk_tokens=24, overlap_tokens=0
    )
    assert [(span.page, text[span.start : span.end]) for span in spans] == [(1, pages[0]), (3, pages[2])]
    assert [span.later_pages for span in spans] == [(), ()]


def test_a_chunk_of_several_pages_knows_where_they_begin() -> None:
    text = "Newts swim.\n\nFrogs jump.\n\nToads walk."
    starts = (Page(4, 0), Page(5, text.index("Frogs")), Page(None, text.index("Toads")))
    extracted = Extracted(text, "a", "application/pdf", pages=starts)
    (span,) = chunk(extracted, count_tokens=words, chunk_tokens=24, overlap_tokens=0)
    assert (span.page, span.later_pages) == (4, starts[1:])


# --- cost and independence


def test_no_text_is_counted_again_and_again() -> None:
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return len(text.split())

    sentence = "Newts of the northern ponds sleep under stones until the first warm rain of the year. "
    text = "\n\n".join(f"## Part {number}\n\n" + sentence * 5 + "\n\n" + sentence * 60 for number in range(40))
    _, spans = cut(text, 200, count=count)
    assert len(spans) > 200
    assert counted < 6 * len(text)


@pytest.mark.parametrize("hostile", ["|", "| ", "|a", ".", '."', ",", "!", "\U0001f1e9\U0001f1ea", "- |\n", "\u0301"])
@pytest.mark.parametrize("count", [word_characters, characters])
def test_twice_the_hostile_text_costs_no_more_than_about_twice_the_counting(hostile: str, count: Counter) -> None:
    def cost(size: int) -> int:
        counted = 0

        def watched(text: str) -> int:
            nonlocal counted
            counted += len(text)
            return count(text)

        extracted = Extracted("Newts " + hostile * (size // len(hostile)), "a", "text/plain")
        chunk(extracted, count_tokens=watched, chunk_tokens=16, overlap_tokens=4)
        return counted

    assert cost(20_000) < 2.5 * cost(10_000)


def test_a_table_of_thousands_of_rows_is_counted_a_few_times_over() -> None:
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return len(text.split())

    table = a_table(20_000)
    _, spans = cut(table, 200, count=count)
    assert len(spans) > 400 and all(span.lead for span in spans[1:])
    assert counted < 6 * len(table)


def test_hundreds_of_thousands_of_dots_end() -> None:
    extracted = Extracted("Newts" + "." * 300_000, "a", "text/plain")
    spans = chunk(extracted, count_tokens=words, chunk_tokens=200, overlap_tokens=0)
    assert "".join(texts(extracted, spans)) == extracted.text


# --- properties

# The splitter cuts only what is too long for a chunk.
REPEATED = st.builds(
    lambda odd, times: "".join(odd) * times, st.lists(st.sampled_from(ODD), min_size=1, max_size=4), st.integers(1, 300)
)
PIECES = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="ab .,;!?\n", max_size=200),
    st.lists(st.sampled_from(ODD), max_size=40).map("".join),
    REPEATED,
    st.text(alphabet="蠑螈。\uff01 \n", max_size=60),
    st.sampled_from(
        ["\n\n", "\n", "```\n", "~~~", "| a | b |\n", "- ", "1. ", "\n# A\n", "x" * 1500, "\u2028", "\x1f", "😀" * 9]
    ),
    st.sampled_from(
        ["|---|---|\n", "\na | b\n--|--\n1 | 2\n", "\n" + TABLE, "\n" + TABLE + "\n| newt | cm |" * 40 + "\n"]
    ),
)


@st.composite
def documents(draw: st.DrawFn) -> Extracted:
    text = "".join(draw(st.lists(PIECES, max_size=12)))
    offsets = st.lists(st.integers(0, len(text)), max_size=6).map(sorted)
    titles = st.one_of(st.text(max_size=12), st.just("a long heading " * 9))
    headings = [Heading(start, draw(st.integers(1, 4)), draw(titles)) for start in draw(offsets)]
    pages = [Page(number, start) for number, start in enumerate(draw(offsets), start=1)]
    media_type = draw(st.sampled_from(["text/markdown", "text/x-python"]))
    return Extracted(text, "title", media_type, tuple(headings), tuple(pages))


COUNTERS: list[Counter] = [words, word_characters, characters, fourths, utf_8_bytes, coarse]


def plain(text: str) -> Extracted:
    return Extracted(text, "a", "text/plain")


@settings(deadline=None, max_examples=300)
@given(documents(), st.sampled_from(COUNTERS), st.integers(16, 60), st.integers(0, 15))
def test_spans_quote_the_text_in_order_cover_it_and_keep_the_limit(
    extracted: Extracted, count: Counter, tokens: int, overlap: int
) -> None:
    spans = chunk(extracted, count_tokens=count, chunk_tokens=tokens, overlap_tokens=overlap)
    check(extracted, spans, count, tokens, overlap)


@settings(deadline=None, max_examples=300)
@given(REPEATED, st.sampled_from(COUNTERS), st.sampled_from([16, 30, 200]), st.sampled_from([0, 8]))
def test_spans_are_right_for_odd_text_again_and_again(text: str, count: Counter, tokens: int, overlap: int) -> None:
    extracted = plain(text)
    spans = chunk(extracted, count_tokens=count, chunk_tokens=tokens, overlap_tokens=overlap)
    check(extracted, spans, count, tokens, overlap)


@pytest.fixture(scope="module")
def tokenizer(embedder_folder: Path) -> Counter:
    embedder = OnnxEmbedder(embedder_folder, model="minilm", max_tokens=256, threads=1)
    return lru_cache(maxsize=100_000)(embedder.count_tokens)


@pytest.mark.models
@pytest.mark.parametrize("tokens", [16, 30, 200])
@settings(deadline=None, max_examples=100)
@given(st.one_of(documents(), REPEATED.map(plain)), st.sampled_from([0, 8]))
def test_spans_are_right_with_the_real_tokenizer(
    tokenizer: Counter, tokens: int, extracted: Extracted, overlap: int
) -> None:
    spans = chunk(extracted, count_tokens=tokenizer, chunk_tokens=tokens, overlap_tokens=overlap)
    check(extracted, spans, tokenizer, tokens, overlap)


@pytest.mark.models
@pytest.mark.parametrize("tokens", [16, 30, 200])
@pytest.mark.parametrize("odd", ODD)
def test_long_runs_of_odd_text_with_the_real_tokenizer(tokenizer: Counter, odd: str, tokens: int) -> None:
    for text in (odd * 600, f"{odd} " * 300):
        extracted = plain(text)
        spans = chunk(extracted, count_tokens=tokenizer, chunk_tokens=tokens, overlap_tokens=0)
        check(extracted, spans, tokenizer, tokens)


def check(extracted: Extracted, spans: list[ChunkSpan], count: Counter, tokens: int, overlap: int = 0) -> None:
    """What holds of the chunks of every document."""
    text = extracted.text
    covered = 0
    for ordinal, span in enumerate(spans):
        piece = text[span.start : span.end]
        assert span.ordinal == ordinal
        assert piece and piece == piece.strip()
        lead = "" if span.lead is None else text[slice(*span.lead)] + "\n"
        assert span.input.endswith(lead + piece) and "\n" not in span.input.removesuffix(lead + piece)[:-1]
        if span.lead is not None:
            assert covered >= span.lead[1] > span.lead[0] >= 0 and lead == lead.lstrip()
        assert count(span.input) <= tokens
        assert not text[covered : span.start].strip()
        assert span.end > covered and (overlap or span.start >= covered)
        assert span.page == max((page.number for page in extracted.pages if page.start <= span.start), default=None)
        covered = span.end
    assert not text[covered:].strip()
    assert [span.start for span in spans] == sorted({span.start for span in spans})


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=12), st.integers(16, 40))
def test_every_heading_above_a_chunk_is_in_its_path_or_in_its_text(
    sections: list[tuple[int, int]], tokens: int
) -> None:
    text = "".join(f"{'#' * level} h{n}\n\n{numbered('w', size)}\n\n" for n, (level, size) in enumerate(sections))
    extracted = Extracted(text, "title", "text/markdown", _marked(text))
    for span in chunk(extracted, count_tokens=words, chunk_tokens=tokens, overlap_tokens=0):
        inside = [heading for heading in extracted.headings if span.start <= heading.start < span.end]
        for place in [span.start, *(heading.start for heading in inside)]:
            path = _governing(extracted.headings, place)
            assert tuple(heading.title for heading in path[: len(span.heading)]) == span.heading
            assert all(heading in inside for heading in path[len(span.heading) :])


def _marked(text: str) -> tuple[Heading, ...]:
    headings = []
    offset = 0
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            mark, title = line.split()
            headings.append(Heading(offset, len(mark), title))
        offset += len(line)
    return tuple(headings)


def _governing(headings: tuple[Heading, ...], place: int) -> list[Heading]:
    path: list[Heading] = []
    for heading in headings:
        if heading.start <= place:
            path = [above for above in path if above.level < heading.level] + [heading]
    return path
