"""One page of a PDF as paragraphs in reading order, with what is hidden on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.loaders.pdf_drawn import Drawn, drawn_on
from ingest.loaders.pdf_hidden import Hiding, is_recognised
from ingest.loaders.pdf_layout import laid_out
from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.loaders.pdf_replaced import take_replaced
from ingest.loaders.pdf_words import Box, Word, Words

_LITTLE_TEXT = 60  # letters and digits: a page with fewer and a picture all over is a scan
_ALL_OVER = 0.5  # of the page


@dataclass(frozen=True, slots=True)
class ReadPage:
    """`hidden`: (how, text) in the order of the file. `is_scan`: what it shows is a picture, or drawn.

    `megapixels`: of its largest picture.
    """

    paragraphs: list[Paragraph]
    hidden: list[tuple[str, str]] = field(default_factory=list)
    is_scan: bool = False
    megapixels: float = 0.0


def read_page(page: Any, again: Callable[[], Any]) -> ReadPage:
    """Reads a page of PDFium's. Text that may be hidden is taken off it, so that it is of no use afterwards.

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
    found = laid_out(seen, drawn.rules)
    is_scan = _is_scan(found, drawn, box) and not is_recognised(words, drawn, box)
    told = [*_told(words, hidden), *(("layer", text) for text in replaced)]
    return ReadPage(found, told, is_scan, drawn.megapixels)


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


def _is_scan(found: Sequence[Paragraph], drawn: Drawn, page_box: Box) -> bool:
    text = sum(character.isalnum() for paragraph in found for character in paragraph.text)
    if text == 0:
        return drawn.things > len(drawn.order)  # more than hidden text
    area = max(1.0, (page_box[2] - page_box[0]) * (page_box[3] - page_box[1]))
    pictured = max(((box[2] - box[0]) * (box[3] - box[1]) for box in drawn.pictures), default=0.0)
    return text < _LITTLE_TEXT and pictured >= _ALL_OVER * area
