"""One page of a PDF as paragraphs in reading order, with what is hidden on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.loaders.pdf_columns import reading_order
from ingest.loaders.pdf_drawn import Drawn, drawn_on
from ingest.loaders.pdf_hidden import Hiding
from ingest.loaders.pdf_lines import framed, is_right_to_left, lines
from ingest.loaders.pdf_paragraphs import Paragraph, paragraphs
from ingest.loaders.pdf_tables import Grid, grids, ruled_table, unruled_tables
from ingest.loaders.pdf_words import Box, Word, Words

_LITTLE_TEXT = 60  # letters and digits: a page with fewer and a picture all over is a scan
_ALL_OVER = 0.5  # of the page


@dataclass(frozen=True, slots=True)
class ReadPage:
    """`hidden`: (how, text) in the order of the file. `is_scan`: what it shows is a picture, or drawn."""

    paragraphs: list[Paragraph]
    hidden: list[tuple[str, str]] = field(default_factory=list)
    is_scan: bool = False


def read_page(page: Any) -> ReadPage:
    """Reads a page of PDFium's. Text that may be hidden is taken off it, so that it is of no use afterwards.

    Raises PdfiumError where the page is damaged.
    """
    layer = page.get_textpage()
    try:
        reader = Words(layer)
        words = reader.read()
        drawn = drawn_on(page)
        box = _page_box(page)
        hidden: dict[int, str] = {}
        if Hiding(words, drawn, box):
            words = reader.read(careful=True)  # of a word, one half may be hidden
            hidden = Hiding(words, drawn, box).find(page, reader.things)
    finally:
        layer.close()
    seen = [word for index, word in enumerate(words) if index not in hidden]
    found = _laid_out(seen, drawn)
    return ReadPage(found, _told(words, hidden), _is_scan(found, drawn, box))


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


def _laid_out(words: Sequence[Word], drawn: Drawn) -> list[Paragraph]:
    """Paragraphs of upright words, or however most words are turned, then those of words turned otherwise."""
    turns = Counter[int | None]()
    for word in words:
        turns[word.style.turn] += len(word.text)
    found: list[Paragraph] = []
    for turn, _ in turns.most_common():
        members = [word for word in words if word.style.turn == turn]
        if turn is None:
            made = [Paragraph(line.text, line.size, line.bold, 1, line.box) for line in lines(members, 0, False)]
        else:
            made = _turned(members, turn, drawn.rules)
        for paragraph in made if found else ():
            paragraph.aside = True
        found += made
    return found


def _turned(words: Sequence[Word], turn: int, rules: Sequence[Box]) -> list[Paragraph]:
    """Paragraphs of words that are all turned alike: tables stand where they begin."""
    mirrored = is_right_to_left(words)
    inside: list[list[tuple[Word, Box]]] = []
    found_grids: list[Grid] = grids([framed(rule, turn, mirrored) for rule in rules]) if rules else []
    rest: list[Word] = []
    inside = [[] for _ in found_grids]
    for word in words:
        box = framed(word.box, turn, mirrored)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        at = next((at for at, grid in enumerate(found_grids) if _holds(grid.box, x, y)), None)
        if at is None:
            rest.append(word)
        else:
            inside[at].append((word, box))
    tables = []
    for grid, members in zip(found_grids, inside, strict=True):
        made = ruled_table(grid, members, turn, mirrored)
        if made is None:
            rest += [word for word, _ in members]
        else:
            tables.append(made)
    if tables and len(rest) < len(words):
        kept = {id(word) for word in rest}
        rest = [word for word in words if id(word) in kept]
    return _placed(rest, tables, turn, mirrored)


def _placed(words: Sequence[Word], tables: list[Paragraph], turn: int, mirrored: bool) -> list[Paragraph]:
    found: list[Paragraph] = []
    waiting = sorted(tables, key=lambda table: table.box[1])
    for region in reading_order(lines(words, turn, mirrored)):
        left, right = min(line.box[0] for line in region), max(line.box[2] for line in region)
        for paragraph in paragraphs(region, unruled_tables):
            above = [
                its for its in waiting if its.box[1] < paragraph.box[1] and its.box[0] < right and its.box[2] > left
            ]
            found += above
            waiting = [its for its in waiting if its not in above]
            found.append(paragraph)
    return found + waiting


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _is_scan(found: Sequence[Paragraph], drawn: Drawn, page_box: Box) -> bool:
    text = sum(character.isalnum() for paragraph in found for character in paragraph.text)
    if text == 0:
        return drawn.things > 0
    area = max(1.0, (page_box[2] - page_box[0]) * (page_box[3] - page_box[1]))
    pictured = max(((box[2] - box[0]) * (box[3] - box[1]) for box in drawn.pictures), default=0.0)
    return text < _LITTLE_TEXT and pictured >= _ALL_OVER * area
