"""Columns, tables, headings and turned text of PDF pages."""

from __future__ import annotations

import pytest
from documents import pdf
from scans import drawn, shown

from ingest.loaders.registry import extract
from ingest.types import Heading

SENTENCE = "newts swim in ponds and eat small worms"


def column(name: str, x: float) -> list[str]:
    return [shown(f"{name}{number} {SENTENCE}", x, 700 - 14 * number) for number in range(8)]


def in_order(text: str, *parts: str) -> bool:
    places = [text.index(part) for part in parts]
    return places == sorted(places)


@pytest.mark.parametrize("row_by_row", [False, True])
def test_columns_are_read_one_after_the_other_however_the_file_writes_them(row_by_row: bool) -> None:
    left, right = column("left", 50), column("right", 330)
    body = [part for pair in zip(left, right, strict=True) for part in pair] if row_by_row else left + right
    title = shown("All about newts in one long line that crosses both of the columns of the page", 50, 740)
    foot = shown("A footer that crosses both of the columns, too, from the left edge to the right one", 50, 500)
    text = extract(drawn(title + "".join(body) + foot), "a.pdf").text
    assert in_order(text, "All about", "left0", "left7", "right0", "right7", "A footer")


def test_brackets_whose_font_is_very_high_do_not_join_lines() -> None:
    widths = " ".join(["500"] * 96)
    font = (
        "<< /Type /Font /Subtype /TrueType /BaseFont /Signs /FirstChar 32 /LastChar 127 "
        f"/Widths [{widths}] /FontDescriptor 8 0 R >>"
    )
    high = (
        "<< /Type /FontDescriptor /FontName /Signs /Flags 32 /FontBBox [0 -960 1000 775] /ItalicAngle 0 "
        "/Ascent 775 /Descent -960 /CapHeight 700 /StemV 80 >>"
    )
    content = "BT 72 700 Td /F3 9 Tf ({) Tj /F1 9 Tf (newts,toads) Tj /F3 9 Tf (}) Tj /F1 9 Tf (@pond.org) Tj ET "
    content += shown("4", 80, 693, size=6) + shown("University of Newts", 90, 689, size=9)
    data = drawn(content, objects=[font, high]).replace(b"/F2 6 0 R", b"/F2 6 0 R /F3 7 0 R")
    assert extract(data, "a.pdf").text.split() == ["{newts,toads}@pond.org", "4", "University", "of", "Newts"]


def test_a_running_head_that_reaches_over_the_gutter_does_not_make_the_columns_a_table() -> None:
    # Lines at the same heights, which the file writes row by row, and short enough for cells.
    left = [shown(f"left{number} newts swim in ponds and eat", 50, 700 - 14 * number) for number in range(8)]
    right = [shown(f"right{number} newts swim in ponds and eat", 260, 700 - 14 * number) for number in range(8)]
    head = shown("Bureau of Newts, Toads and other animals", 26, 730) + shown("Part 12", 420, 730)
    for parts in (left + right, [part for pair in zip(left, right, strict=True) for part in pair]):
        text = extract(drawn(head + "".join(parts)), "a.pdf").text
        assert "|" not in text
        assert in_order(text, "Bureau", "Part 12", "left0", "left7", "right0", "right7")


def test_a_word_hyphenated_at_the_end_of_a_line_of_two_columns_is_joined_in_its_own_column() -> None:
    left = [shown("left newts are amphibious sala-", 50, 700), shown("manders that live in the water", 50, 686)]
    left += [shown("and on the land around the water", 50, 672), shown("for all of their long lives here", 50, 658)]
    text = extract(drawn("".join(left) + "".join(column("right", 330))), "a.pdf").text
    assert "amphibious salamanders that live in the water and on the land" in text


def test_lines_of_a_paragraph_are_joined_and_a_gap_parts_paragraphs() -> None:
    lines = ["Newts are small salamanders that live in", "ponds and in wet places all over Europe"]
    lines += ["and in Asia and in North America too, and", "some do elsewhere."]
    content = "".join(shown(text, 72, 700 - 14 * number) for number, text in enumerate(lines))
    text = extract(drawn(content + shown("Toads are larger.", 72, 600)), "a.pdf").text
    assert text == " ".join(lines) + "\n\nToads are larger."


def test_a_table_with_rules_becomes_markdown_and_a_cell_over_two_columns_stands_in_the_first() -> None:
    rules = "".join(f"72 {y} m 372 {y} l S " for y in (700, 680, 660, 640))
    rules += "".join(f"{x} 640 m {x} 700 l S " for x in (72, 172, 372)) + "272 640 m 272 680 l S "
    cells = [("Name", 80, 685), ("Size and weight", 235, 685), ("Smooth newt", 80, 665), ("9 cm", 180, 665)]
    cells += [("3 g", 280, 665), ("Olm", 80, 645), ("30 cm", 180, 645), ("20 g", 280, 645)]
    content = shown("Before.", 72, 720) + rules + "".join(shown(*cell) for cell in cells) + shown("After.", 72, 600)
    assert extract(drawn(content), "a.pdf").text == (
        "Before.\n\n"
        "| Name | Size and weight |  |\n| --- | --- | --- |\n| Smooth newt | 9 cm | 3 g |\n| Olm | 30 cm | 20 g |\n\n"
        "After."
    )


def test_cells_in_columns_make_a_table_without_rules_and_a_missing_one_stays_empty() -> None:
    rows = [("Newt", "Pond", "Count"), ("Smooth", "North", "12"), ("Crested", "", "7"), ("Alpine", "South", "3")]
    content = "".join(
        shown(cell, 72 + 150 * column, 700 - 20 * row)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
        if cell
    )
    assert extract(drawn(content), "a.pdf").text == (
        "| Newt | Pond | Count |\n| --- | --- | --- |\n"
        "| Smooth | North | 12 |\n| Crested |  | 7 |\n| Alpine | South | 3 |"
    )


def test_a_frame_around_a_page_is_no_table() -> None:
    frame = "40 40 532 712 re S 300 40 m 300 60 l S 40 60 m 572 60 l S "
    lines = "".join(shown(f"{number} {SENTENCE} {SENTENCE}", 72, 700 - 14 * number) for number in range(20))
    lines += shown("Newts", 50, 46) + shown("Page 1", 310, 46)
    assert "|" not in extract(drawn(frame + lines), "a.pdf").text


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("matrix", ["1 0 0 1 100 600", "0 1 -1 0 300 300", "-1 0 0 -1 400 300", "0 -1 1 0 300 500"])
def test_turned_text_on_turned_pages_comes_in_its_own_order(rotate: int, matrix: str) -> None:
    words = ("three", "two", "one")  # the file writes the last line first
    lines = "".join(f"1 0 0 1 0 {14 * number} Tm ({word} newts) Tj " for number, word in enumerate(words))
    extracted = extract(drawn(f"q {matrix} cm BT /F1 12 Tf {lines} ET Q", page=f"/Rotate {rotate}"), "a.pdf")
    assert extracted.text.split() == ["one", "newts", "two", "newts", "three", "newts"]


def test_text_along_the_margin_follows_the_page_and_is_no_heading() -> None:
    margin = "BT /F1 20 Tf 0 1 -1 0 30 200 Tm (arXiv stamp) Tj ET "
    margin += "BT /F1 20 Tf 0 -1 1 0 590 600 Tm (Shelf mark) Tj ET "
    text = "".join(shown(f"{number} {SENTENCE}", 72, 700 - 14 * number) for number in range(6))
    extracted = extract(drawn(margin + text), "a.pdf")
    assert set(extracted.text.split("\n\n")[1:]) == {"arXiv stamp", "Shelf mark"}
    assert extracted.headings == ()


@pytest.mark.parametrize(
    ("base", "raised", "rest", "text"),
    [
        ("6.02 x 10", "23", " per mole", "6.02 x 10^23 per mole"),
        ("10", "-9", " m", "10^-9 m"),
        ("5,400", "2", " newts", "5,400^2 newts"),
        ("\\(x + 1\\)", "2", " newts", "(x + 1)^2 newts"),
        ("the pond", "2", " is deep", "the pond[2] is deep"),
        ("the end.", "12", " Then", "the end.[12] Then"),
        ("the pond", "1,2", " is deep", "the pond[1,2] is deep"),
        ("10 km", "2", " of ponds", "10 km^2 of ponds"),
        ("in O\\(n", "3", "\\) steps", "in O(n^3) steps"),
        ("10 s", "-1", " more", "10 s^-1 more"),
        ("the 1", "st", " newt", "the 1st newt"),
        ("the pond", "*", " is deep", "the pond* is deep"),
        ("3 ", "1", "/2 newts", "3 1/2 newts"),
        ("3", "1", "/2 newts", "3 1/2 newts"),
    ],
)
def test_raised_numbers_do_not_run_into_what_they_stand_at(base: str, raised: str, rest: str, text: str) -> None:
    shown_so = f"({base}) Tj 5 Ts /F1 7 Tf ({raised}) Tj 0 Ts /F1 12 Tf ({rest}) Tj"
    assert extract(drawn(f"BT /F1 12 Tf 72 700 Td {shown_so} ET"), "a.pdf").text == text
    assert extract(drawn(f"BT /F1 12 Tf 0 1 -1 0 300 300 Tm {shown_so} ET"), "a.pdf").text == text


def test_raised_digits_that_are_written_one_by_one_are_one_number_and_lowered_ones_stay() -> None:
    letters = [("p", 12, 0), ("o", 12, 0), ("n", 12, 0), ("d", 12, 0), ("1", 7, 5), ("7", 7, 5)]
    content = "".join(f"{rise} Ts /F1 {size} Tf ({letter}) Tj " for letter, size, rise in letters)
    assert extract(drawn(f"BT 72 700 Td {content} ET"), "a.pdf").text == "pond[17]"
    water = "/F1 12 Tf (H) Tj -3 Ts /F1 7 Tf (2) Tj 0 Ts /F1 12 Tf (O) Tj"
    assert extract(drawn(f"BT 72 700 Td {water} ET"), "a.pdf").text == "H2O"


def body(top: float) -> str:
    return "".join(shown(f"{SENTENCE} {SENTENCE}.", 72, top - 14 * number) for number in range(4))


def test_larger_and_bold_lines_are_headings_where_there_are_no_bookmarks() -> None:
    content = shown("Care of newts", 72, 740, size=20) + body(710)
    content += shown("Feeding", 72, 630, font="F2") + body(610) + shown("Water", 72, 530, font="F2") + body(510)
    extracted = extract(drawn(content), "a.pdf")
    assert extracted.headings == (
        Heading(0, 1, "Care of newts"),
        Heading(extracted.text.index("Feeding"), 2, "Feeding"),
        Heading(extracted.text.index("Water"), 2, "Water"),
    )


def test_what_is_bold_or_large_within_text_is_no_heading() -> None:
    content = shown("Newts", 72, 740, font="F2") + shown("are small", 112, 740) + body(710)  # the first word of a line
    content += shown("Large sentences end with a full stop.", 72, 640, size=18) + body(610)
    content += shown("42", 72, 540, size=30) + body(500)
    assert extract(drawn(content), "a.pdf").headings == ()


def test_a_text_that_is_bold_throughout_has_no_headings_for_that() -> None:
    parts = "".join(shown(f"Point {at}", 72, 740 - 100 * at, font="F2") + body(720 - 100 * at) for at in range(4))
    assert extract(drawn(parts.replace("/F1", "/F2")), "a.pdf").headings == ()
    assert len(extract(drawn(parts), "a.pdf").headings) == 4


def test_running_heads_are_no_headings() -> None:
    def page(head: str) -> list[str]:
        return [f") Tj /F1 24 Tf ({head}) Tj /F1 12 Tf T* T* (", f"{SENTENCE} {SENTENCE}.", f"{SENTENCE}."]

    heads = [f"Handbook of newts {number}" for number in range(4)]
    assert extract(pdf([page(head) for head in heads]), "a.pdf").headings == ()
    chapters = ["Newts", "Toads", "Olms", "Frogs"]
    found = extract(pdf([page(chapter) for chapter in chapters]), "a.pdf").headings
    assert [heading.title for heading in found] == chapters


def test_right_to_left_lines_read_from_the_right_and_ligatures_keep_their_order() -> None:
    # Alef, lam-alef (one glyph for two letters), meem, as a word written from the left: meem, lam-alef, alef.
    to_unicode = (
        "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> endcodespacerange "
        "4 beginbfchar <61> <0645> <62> <06440627> <63> <0627> <64> <0648> endbfchar endcmap end"
    )
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /ToUnicode 8 0 R >>"
    stream = f"<< /Length {len(to_unicode)} >>\nstream\n{to_unicode}\nendstream"
    content = "BT /F3 12 Tf 300 700 Td (abc) Tj ET BT /F3 12 Tf 320 686 Td (dc) Tj ET"
    data = drawn(content, objects=[font, stream]).replace(b"/F2 6 0 R", b"/F3 7 0 R")
    assert extract(data, "a.pdf").text.split() == ["\u0627\u0644\u0627\u0645", "\u0627\u0648"]
