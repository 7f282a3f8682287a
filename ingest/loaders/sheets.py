"""Sheets of any spreadsheet as text: each a heading, and below it the tables that stand on it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ingest.loaders.blocks import Block, table
from ingest.types import Hidden

Row = dict[int, str]  # the filled cells by column, from 0
Area = tuple[int, int, int, int]  # first and last row, first and last column
_MOST_REPEATED = 1_000_000  # characters with which merged areas fill the cells of one sheet
_SPARSEST = 20  # cells of a table for each filled one; what is sparser is written row by row


class _Repeated(str):
    """The text of a merged area in a cell other than its first."""


@dataclass(slots=True)
class Sheet:
    """What a sheet shows: its filled cells, by row and column from 0. Only these take memory, wherever they stand."""

    name: str
    rows: dict[int, Row] = field(default_factory=dict)
    merged: list[Area] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # of what floats above the cells
    comments: list[str] = field(default_factory=list)
    hidden: dict[str, list[str]] = field(default_factory=dict)  # texts of cells by how they are hidden
    visible: bool = True

    def put(self, row: int, column: int, text: str) -> None:
        if text.strip():
            self.rows.setdefault(row, {})[column] = text

    def hide(self, how: str, text: str) -> None:
        if text.strip():
            self.hidden.setdefault(how, []).append(text)


def blocks(sheets: Iterable[Sheet], level: int = 1) -> Iterator[Block]:
    """Each sheet that shows something: its name as a heading, tables and texts. Comments are a section at the end."""
    comments: list[str] = []
    for sheet in sheets:
        if not sheet.visible or not (sheet.rows or sheet.texts):
            continue
        yield Block(sheet.name, level=level)
        _repeat_merged(sheet)
        for island in _islands(sheet.rows):
            yield from _island_blocks(island)
        yield from (Block(text) for text in sheet.texts)
        comments += [f"- {sheet.name}!{comment}" for comment in sheet.comments]
    if comments:
        yield Block("Comments", level=level)
        yield from (Block(comment, tight=True) for comment in comments)


def hidden(sheets: Iterable[Sheet]) -> Iterator[Hidden]:
    """What is on hidden sheets, rows and columns, and what can't be seen where it stands."""
    for sheet in sheets:
        if not sheet.visible:
            cells = [sheet.name, *(text for row in sorted(sheet.rows) for text in sheet.rows[row].values())]
            yield Hidden("part", "\n".join([*cells, *sheet.texts]))
        for how, texts in sheet.hidden.items():
            yield Hidden(how, "\n".join(texts))


def _repeat_merged(sheet: Sheet) -> None:
    """A merged area shows its text for all of its rows and columns, so each row and column in use there gets it."""
    left = _MOST_REPEATED
    used = sorted({column for row in sheet.rows.values() for column in row})
    for first, last, left_column, right_column in sheet.merged:
        text = sheet.rows.get(first, {}).get(left_column)
        if text is None:
            continue
        columns = used[bisect_left(used, left_column) : bisect_right(used, right_column)]
        for number in range(first, last + 1):
            row = sheet.rows.get(number, {})
            left -= 1 + len(text) * len(columns) * bool(row)
            if left <= 0:
                return
            for column in columns if row else ():
                row.setdefault(column, _Repeated(text))


def _islands(rows: dict[int, Row]) -> Iterator[list[Row]]:
    """The parts of a sheet that empty rows and columns set apart, each as rows of filled cells."""
    for band in _bands(rows):
        parts: dict[int, dict[int, Row]] = {}
        group_of = _column_groups(band)
        for number, row in band:
            for column, text in row.items():
                parts.setdefault(group_of[column], {}).setdefault(number, {})[column] = text
        for _, part in sorted(parts.items()):
            for island in _bands(part):
                yield from _apart([row for _, row in island])


def _bands(rows: dict[int, Row]) -> list[list[tuple[int, Row]]]:
    """Rows without an empty row between them, but for one below which the same table goes on without a new header."""
    bands: list[list[tuple[int, Row]]] = []
    for number in sorted(rows):
        row = rows[number]
        if bands:
            last = bands[-1][-1][0]
            if number == last + 1 or (number == last + 2 and _goes_on(bands[-1], row)):
                bands[-1].append((number, row))
                continue
        bands.append([(number, row)])
    return bands


def _goes_on(band: Sequence[tuple[int, Row]], row: Row) -> bool:
    """Whether `row`, after an empty one, is more of the same: as wide as the last, with numbers as no header has."""
    above = band[-1][1]
    same = len(row) > 1 and len(band) > 1 and min(row) == min(above) and max(row) == max(above)
    return same and any(text[:1].isdigit() for text in row.values())


def _apart(rows: list[Row]) -> Iterator[list[Row]]:
    """`rows`, cut where all below stands to the left or to the right of all above."""
    below: list[tuple[int, int]] = []  # first and last column of each row and those below it, from the last row up
    first, last = min(rows[-1]), max(rows[-1])
    for row in reversed(rows):
        first, last = min(first, *row), max(last, *row)
        below.append((first, last))
    below.reverse()
    start, first, last = 0, min(rows[0]), max(rows[0])
    for index in range(1, len(rows)):
        if below[index][0] > last or below[index][1] < first:
            yield rows[start:index]
            start, first, last = index, min(rows[index]), max(rows[index])
        else:
            first, last = min(first, *rows[index]), max(last, *rows[index])
    yield rows[start:]


def _column_groups(band: Sequence[tuple[int, Row]]) -> dict[int, int]:
    """For each column in use the first of those that it stands side by side with."""
    first_of: dict[int, int] = {}
    for column in sorted({column for _, row in band for column in row}):
        first_of[column] = first_of.get(column - 1, column)
    return first_of


def _island_blocks(rows: list[Row]) -> Iterator[Block]:
    """Titles above the table as paragraphs, then the table; a single column is no table."""
    columns = sorted({column for row in rows for column in row})
    start = 0
    if len(columns) > 1:
        while start < len(rows) and _is_title(rows[start]):
            yield Block(next(iter(rows[start].values())))
            start += 1
    body = rows[start:]
    place = {column: index for index, column in enumerate(columns)}
    if sum(place[max(row)] for row in body) > _SPARSEST * sum(len(row) for row in body):
        yield Block("\n".join(" | ".join(row[column] for column in sorted(row)) for row in body))
    elif len({column for row in body for column in row}) > 1:
        yield Block(table(_filled(row, place) for row in body))
    else:
        yield Block("\n".join(next(iter(row.values())) for row in body))


def _is_title(row: Row) -> bool:
    """Whether the row holds a single text, be it across all columns."""
    return sum(not isinstance(text, _Repeated) for text in row.values()) <= 1 and len(set(row.values())) == 1


def _filled(row: Row, place: dict[int, int]) -> list[str]:
    cells = [""] * (place[max(row)] + 1)
    for column, text in row.items():
        cells[place[column]] = text
    return cells
