from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from documents import pdf

from ingest.loaders.registry import extract
from ingest.types import Heading, Page

PAGES = [["Newts", "Newts are small", "salamanders."], [], ["1.2 Care of Newts", "Feed them."]]
TEXT = "Newts\nNewts are small salamanders.\n\n\n\n1.2 Care of Newts\nFeed them."


def test_pages_are_joined_and_located() -> None:
    extracted = extract(pdf(PAGES), "pond.pdf")
    assert extracted.text == TEXT
    assert extracted.pages == (
        Page(number=1, start=0),
        Page(number=2, start=TEXT.index("\n\n\n\n") + 2),
        Page(number=3, start=TEXT.index("1.2")),
    )
    assert (extracted.title, extracted.headings) == ("pond", ())


def test_bookmarks_become_headings_where_their_titles_stand() -> None:
    bookmarks = [(1, "Newts", 1), (2, "care  of newts", 3), (2, "Worms", 3), (1, "Nowhere", 2)]
    extracted = extract(pdf(PAGES, bookmarks=bookmarks), "pond.pdf")
    third = TEXT.index("1.2")
    assert extracted.headings == (
        Heading(start=0, level=1, title="Newts"),
        Heading(start=extracted.pages[1].start, level=1, title="Nowhere"),
        Heading(start=third, level=2, title="care of newts"),
        Heading(start=third, level=2, title="Worms"),
    )


def test_a_bookmark_is_found_on_a_line_of_its_own_rather_than_inside_another() -> None:
    extracted = extract(pdf([["All about Newts and toads", "Newts"]], bookmarks=[(1, "Newts", 1)]), "a.pdf")
    assert extracted.headings == (Heading(start=26, level=1, title="Newts"),)


def test_the_title_of_the_metadata_heads_a_document_without_bookmarks() -> None:
    extracted = extract(pdf(PAGES, title="All about newts"), "pond.pdf")
    assert (extracted.title, extracted.headings) == ("All about newts", (Heading(0, 1, "All about newts"),))


def test_titles_that_nobody_chose_are_ignored() -> None:
    for title in ("Untitled", "Microsoft Word - newts.doc", "newts.indd", "\\(anonymous\\)", "Document 1"):
        assert extract(pdf(PAGES, title=title), "pond.pdf").title == "pond"
    assert extract(pdf(PAGES, title="A guide to Node.js"), "pond.pdf").title == "A guide to Node.js"


def test_words_hyphenated_at_line_ends_are_joined() -> None:
    extracted = extract(pdf([["Newts are sala-", "manders of the north-", "west."]]), "a.pdf")
    assert extracted.text == "Newts are salamanders of the northwest."


@pytest.mark.parametrize(
    ("broken", "elsewhere", "whole"),
    [
        (("well-", "known newts"), "", "well-known newts"),
        (("state-of-the-", "art ponds"), "", "state-of-the-art ponds"),
        (("a dual-", "encoder model"), "It is a dual-encoder.", "a dual-encoder model"),
        (("a dual-", "encoder model"), "Two dual-encoders.", "a dual-encoder model"),
        (("a pond-", "water test"), "The water of a pond is tested.", "a pond-water test"),
        (("a pond-", "water test"), "The water of a pond is pondwater.", "a pondwater test"),
        (("the mate-", "rial is"), "A mate of materials.", "the material is"),
        (("the in-", "formation is"), "A formation in the sky.", "the information is"),
        (("what-", "ever newts"), "What do newts ever do?", "whatever newts"),
        (("the SARS-", "related newt"), "", "the SARS-related newt"),
        (("FED-", "ERAL newts"), "", "FEDERAL newts"),
        (("Franco-", "German newts"), "", "Franco-German newts"),
        (("sala-", "manders and lin-", "guists"), "", "salamanders and linguists"),
    ],
)
def test_hyphens_of_compounds_stay_at_line_ends(broken: tuple[str, ...], elsewhere: str, whole: str) -> None:
    pages = [list(broken), [elsewhere]]
    assert extract(pdf(pages), "a.pdf").text.split("\n")[0] == whole


def test_a_document_that_breaks_no_words_keeps_the_hyphens_of_those_that_it_has_but_once() -> None:
    compounds = [
        ["over-", "exuberance"],
        ["self-", "made"],
        ["well-", "read"],
        ["self-", "fed"],
        ["a", "self-", "help"],
    ]
    text = extract(pdf([*compounds, ["well-", "lit"]]), "a.pdf").text
    assert text.startswith("over-exuberance")
    assert extract(pdf([compounds[0], compounds[1]]), "a.pdf").text.startswith("overexuberance")


def test_controls_in_the_text_and_a_title_that_is_no_unicode_are_left_out() -> None:
    extracted = extract(pdf([["Newts\\001\\000 swim"]], title="\\376\\377\\330\\000x"), "pond.pdf")
    assert (extracted.text, extracted.title) == ("Newts swim", "pond")


def test_documents_are_read_by_many_threads_at_once() -> None:
    files = [pdf([[f"Newt {number} on page {page}." for _ in range(40)] for page in range(5)]) for number in range(8)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        texts = list(pool.map(lambda data: extract(data, "a.pdf").text, files * 4))
    assert [text.split(".")[0] for text in texts] == [f"Newt {number} on page 0" for number in range(8)] * 4
