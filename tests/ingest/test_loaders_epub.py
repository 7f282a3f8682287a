from __future__ import annotations

import pytest
from office_documents import packed

from ingest.errors import CorruptDocument, EncryptedDocument
from ingest.loaders.registry import extract
from ingest.types import Heading

CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>'
XHTML = (
    '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://x/xhtml11.dtd">'
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{}</body></html>'
)


def epub(chapters: dict[str, str], *, title: str = "All newts", **more: str) -> dict[str, bytes | str]:
    """The parts of a book; chapters by file name, in the order of the spine."""
    items = "".join(
        f'<item id="c{number}" href="{file.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for number, file in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    nav = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    content = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:title>{title}</dc:title></metadata><manifest>{nav}{items}</manifest><spine><itemref idref="nav"/>{spine}'
        "</spine></package>"
    )
    contents = (
        '<nav><a href="one.xhtml">First</a><a href="two%20b.xhtml">Second</a><a href="one.xhtml#x">Part</a></nav>'
    )
    return {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": content,
        "OEBPS/nav.xhtml": XHTML.format(contents),
        **{f"OEBPS/{file}": XHTML.format(body) for file, body in chapters.items()},
        **more,
    }


def test_a_book_is_its_chapters_in_the_order_of_the_spine() -> None:
    chapters = {
        "two b.xhtml": "<p>They&#160;swim.</p>",
        "one.xhtml": "<h1>Pond</h1><p>Deep.</p><h2>North</h2><p>End.</p>",
    }
    extracted = extract(packed(epub(chapters)), "newts.epub")
    text = "They swim.\n\n# Pond\n\nDeep.\n\n## North\n\nEnd."
    assert extracted.text == text
    assert (extracted.title, extracted.media_type) == ("All newts", "application/epub+zip")
    # A chapter without a heading is headed by its title in the table of contents.
    assert extracted.headings == (
        Heading(0, 1, "All newts"),
        Heading(0, 2, "Second"),
        Heading(text.index("# Pond"), 2, "Pond"),
        Heading(text.index("## North"), 3, "North"),
    )


def test_a_title_that_nobody_chose_is_none() -> None:
    extracted = extract(packed(epub({"one.xhtml": "<p>They swim.</p>"}, title="Unknown Title")), "a.epub")
    assert (extracted.title, extracted.headings) == ("a", (Heading(0, 1, "First"),))


def test_a_missing_or_damaged_chapter_is_told_and_the_others_are_read() -> None:
    parts = epub({"one.xhtml": "<p>They swim.</p>", "gone.xhtml": "", "deep.xhtml": ""})
    del parts["OEBPS/gone.xhtml"]
    parts["OEBPS/deep.xhtml"] = "<div>" * 300
    extracted = extract(packed(parts), "a.epub")
    assert extracted.text == "They swim."
    assert extracted.notes == (
        "The chapter OEBPS/gone.xhtml is missing",
        "The chapter OEBPS/deep.xhtml could not be read (corrupt-document)",
    )


def test_chapters_that_are_no_xml_are_read_as_html() -> None:
    parts = epub({"one.xhtml": ""})
    parts["OEBPS/one.xhtml"] = "<html><body><p>They &nbsp; swim<br>well.</body></html>"
    assert extract(packed(parts), "a.epub").text == "They swim\nwell."


def test_a_book_with_copy_protection_is_refused_but_not_for_its_fonts() -> None:
    encryption = '<encryption><EncryptedData><EncryptionMethod Algorithm="{}"/></EncryptedData></encryption>'
    chapters = {"one.xhtml": "<p>They swim.</p>"}
    fonts = encryption.format("http://www.idpf.org/2008/embedding")
    assert extract(packed({**epub(chapters), "META-INF/encryption.xml": fonts}), "a.epub").text == "They swim."
    pages = encryption.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    with pytest.raises(EncryptedDocument, match=r"^a\.epub: is a book with copy protection"):
        extract(packed({**epub(chapters), "META-INF/encryption.xml": pages}), "a.epub")


def test_a_book_without_content_is_refused() -> None:
    for container in ("<container/>", "<container", CONTAINER):
        with pytest.raises(CorruptDocument, match=r"^a\.epub: "):
            extract(packed({"META-INF/container.xml": container}), "a.epub")
