"""One page of a PDF as paragraphs in reading order, with what is hidden on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.loaders.pdf_drawn import drawn_on
from ingest.loaders.pdf_furniture import mark_edges
from ingest.loaders.pdf_hidden import Hiding, is_recognised
from ingest.loaders.pdf_layout import laid_out
from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.loaders.pdf_pictures import are_most, unread
from ingest.loaders.pdf_raised import mark_raised
from ingest.loaders.pdf_replaced import take_replaced
from ingest.loaders.pdf_words import Box, Word, Words


@dataclass(frozen=True, slots=True)
class ReadPage:
    """`hidden`: (how, text) in the order of the file. `is_scan`: what it shows is a picture, or drawn, without text.

    `megapixels`: of its largest picture. `is_mostly_picture`: of the pictures among `paragraphs`.
    """

    paragraphs: list[Paragraph]
    hidden: list[tuple[str, str]] = field(default_factory=list)
    is_scan: bool = False
    megapixels: float = 0.0
    is_mostly_picture: bool = False


def read_page(page: Any, again: Callable[[], Any]) -> ReadPage:
    """Reads a page of PDFium's. Text is taken off it, so that only pictures of text are left afterwards.

    `again` opens the page once more.

    Raises PdfiumError where the page is damaged.
    """
    replaced = take_replaced(page, again)
    layer = page.get_textpage()
    try:
        reader = Words(layer)
        words = reader.read()
        drawn = drawn_on(page)
        drawn.layered |= reader.doubtful
        box = _page_box(page)
        hidden = Hiding(words, drawn, box).find(page, reader.things)
    finally:
        layer.close()
    seen = [word for index, word in enumerate(words) if index not in hidden]
    has_text = any(character.isalnum() for word in seen for character in word.text)
    is_scan = not has_text and drawn.things > len(drawn.order)  # more than hidden text
    pictures = unread(drawn, seen, box) if has_text and not is_recognised(words, drawn, box) else []
    if pictures:
        for thing in reader.things.values():
            pdfium_c.FPDFPageObj_SetIsActive(thing, False)
    mark_raised(seen)
    found = laid_out(seen, drawn.rules, pictures)
    mark_edges(found, box)
    told = [*_told(words, hidden), *(("layer", text) for text in replaced)]
    return ReadPage(found, told, is_scan, max(drawn.pixels, default=0.0), are_most(pictures, box))


def _page_box(page: Any) -> Box:
    """What is shown of the page: its crop box."""
    box = pdfium_c.FS_RECTF()
    if not pdfium_c.FPDF_GetPageBoundingBox(page, box):
        return 0.0, 0.0, 612.0, 792.0
    return box.left, box.bottom, box.right, box.top


def _told(words: Sequence[Word], hidden: dict[int, str]) -> list[tuple[str, str]]:
    """Hidden words that follow each other, as one text."""
    found: list[tuple[str, list[str]]] = []
    before = None
    for index in sorted(hidden):
        how, word = hidden[index], words[index]
        if found and before == index - 1 and found[-1][0] == how:
            glue = word.glued or words[index - 1].hyphen
            found[-1][1].append(word.text if glue else " " + word.text)
        else:
            found.append((how, [word.text]))
        before = index
    return [(how, "".join(parts)) for how, parts in found]
