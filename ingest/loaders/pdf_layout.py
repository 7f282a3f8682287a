"""Words with their places to paragraphs and tables in reading order, for PDF pages and for what OCR reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ingest.loaders.pdf_columns import reading_order
from ingest.loaders.pdf_lines import framed, is_right_to_left, lines
from ingest.loaders.pdf_paragraphs import Paragraph, paragraphs
from ingest.loaders.pdf_tables import Grid, grids, ruled_table, unruled_tables
from ingest.loaders.pdf_words import Box, Word


def laid_out(words: Sequence[Word], rules: Sequence[Box] = (), pictures: Sequence[Box] = ()) -> list[Paragraph]:
    """Paragraphs of upright words, or however most words are turned, then those of words turned otherwise.

    `pictures` stand among them as paragraphs without text.
    """
    turns = Counter[int | None]()
    for word in words:
        turns[word.style.turn] += len(word.text)
    found: list[Paragraph] = []
    for turn, _ in turns.most_common():
        members = [word for word in words if word.style.turn == turn]
        if turn is None:
            made = [Paragraph(line.text, line.size, line.bold, 1, line.box) for line in lines(members, 0, False)]
        else:
            made = _turned(members, turn, rules, () if found else pictures)
        for paragraph in made:
            paragraph.aside, paragraph.turn = bool(found), turn or 0
        found += made
    if any(paragraph.picture for paragraph in found):
        return found
    return found + [_picture(box, 0, False) for box in pictures]


def _picture(box: Box, turn: int, mirrored: bool) -> Paragraph:
    return Paragraph("", 0.0, False, 0, framed(box, turn, mirrored), picture=box)


def _turned(words: Sequence[Word], turn: int, rules: Sequence[Box], pictures: Sequence[Box]) -> list[Paragraph]:
    """Paragraphs of words that are all turned alike: tables and pictures stand where they begin."""
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
    tables: list[Paragraph] = []
    for grid, members in zip(found_grids, inside, strict=True):
        made = ruled_table(grid, members, turn, mirrored)
        if made is None:
            rest += [word for word, _ in members]
        else:
            tables.append(made)
    if tables and len(rest) < len(words):
        kept = {id(word) for word in rest}
        rest = [word for word in words if id(word) in kept]
    return _placed(rest, tables + [_picture(box, turn, mirrored) for box in pictures], turn, mirrored)


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
