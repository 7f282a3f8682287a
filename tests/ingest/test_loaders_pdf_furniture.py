"""Running heads and feet of PDF pages are no text; titles, data and what is said nowhere else stay."""

from __future__ import annotations

from collections.abc import Sequence

from documents import pdf

from ingest.loaders.registry import extract

ANIMALS = ["otter", "badger", "weasel", "marten", "ermine", "polecat", "stoat"]


def page(*edges: tuple[str, float], body: str = "", size: int = 9) -> list[str]:
    """Lines with what stands at these heights, of this size, and four lines of a paragraph."""
    lines = [f"The {body} lives beside the water and eats what it finds there in its own", "way, and sleeps."]
    placed = "".join(f") Tj ET BT /F1 {size} Tf 72 {y} Td ({text}" for text, y in edges)
    return [f"{placed}) Tj ET BT /F1 12 Tf 14 TL 72 650 Td (", *lines, "", *lines]


def text_of(pages: Sequence[Sequence[str]]) -> str:
    return extract(pdf(pages), "a.pdf").text


def test_page_numbers_go_and_a_running_head_is_kept_where_it_stands_first() -> None:
    pages = [
        page(("ACME Handbook of animals", 760), (f"Page {at} of 7", 40), body=animal)
        for at, animal in enumerate(ANIMALS, start=1)
    ]
    text = text_of(pages)
    assert "Page" not in text
    assert (text.count("ACME Handbook of animals"), text.index("ACME")) == (1, 0)
    assert [animal for animal in ANIMALS if f"The {animal} lives" not in text] == []
    assert len(extract(pdf(pages), "a.pdf").pages) == 7


def test_bare_page_numbers_go_whatever_their_size() -> None:
    text = text_of([page((f"{at}", 40), body=animal, size=16) for at, animal in enumerate(ANIMALS, start=79)])
    assert not any(character.isdigit() for character in text)


def test_a_running_head_that_the_text_says_too_goes_everywhere() -> None:
    pages = [page(("Animals of the ACME pond", 760), body=animal) for animal in ANIMALS]
    pages[0] = page(body="title of this book is Animals of the ACME pond, which")
    assert text_of(pages).count("Animals of the ACME pond") == 2  # the two of the first page


def test_left_and_right_pages_may_have_heads_of_their_own() -> None:
    heads = ["ACME Handbook", "Chapter on animals"]
    text = text_of([page((heads[at % 2], 760), body=animal) for at, animal in enumerate(ANIMALS)])
    assert [text.count(head) for head in heads] == [1, 1]


def test_lines_whose_numbers_do_not_count_with_the_pages_are_data() -> None:
    numbers = [4711, 12, 900, 77, 2024, 3, 51]
    text = text_of(
        [page((f"Invoice {number}", 760), body=animal) for number, animal in zip(numbers, ANIMALS, strict=True)]
    )
    assert all(f"Invoice {number}\n" in text for number in numbers)


def test_titles_of_pages_lines_at_different_places_and_few_pages_stay() -> None:
    titles = text_of([page(("Animals", 740), body=animal, size=20) for animal in ANIMALS])
    assert titles.count("Animals") == 7
    moving = text_of([page(("Animals", 690 + 10 * at), body=animal) for at, animal in enumerate(ANIMALS)])
    assert moving.count("Animals") == 7
    few = text_of([page((f"Page {at}", 40), body=animal) for at, animal in enumerate(ANIMALS[:2])])
    assert few.count("Page") == 2
    some = text_of([page(*([("Animals", 760)] if at < 2 else []), body=animal) for at, animal in enumerate(ANIMALS)])
    assert some.count("Animals") == 2


def test_the_first_lines_of_short_pages_and_pages_with_nothing_else_stay() -> None:
    notices = [[f"Notice {at}.", f"The {animal} weighs {10 + at} kg."] for at, animal in enumerate(ANIMALS)]
    text = text_of(notices)
    assert all(f"Notice {at}." in text and f"weighs {10 + at} kg" in text for at in range(7))
    assert text_of([["Newts"]] * 4) == "\n\n".join(["Newts"] * 4)


def test_a_line_with_the_time_of_printing_and_the_page_is_no_heading() -> None:
    text = page(("Mai 30, 18 13:27 pond.txt Page 1/1", 760), ("Newts of the pond", 720), body="newt", size=20)
    assert [heading.title for heading in extract(pdf([text]), "a.pdf").headings] == ["Newts of the pond"]
