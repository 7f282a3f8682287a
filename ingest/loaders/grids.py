"""Tables of markup whose cells go over rows and columns, as rows of equally many cells: HTML, and XML of articles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ingest.loaders.blocks import repeated

MAX_COLUMNS_SPANNED = 50
_MOST_HEADER_ROWS = 5
_BETWEEN_HEADERS = " / "
# What cells that go over rows may add to a table: a hostile one has a thousand of them, and a million short rows.
_ADDED_CHARACTERS = 100_000
_ADDED_TIMES = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that goes over `wide` columns and `high` rows; `high` 0: to the end of its group of rows."""

    text: str
    wide: int = 1
    high: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of one row, of the group `group` (a table's head, each of its bodies), which cells do not leave."""

    cells: Sequence[Cell]
    group: int = 0
    is_header: bool = False


def span(text: str | None, default: int = 1) -> int:
    """A number of columns or rows as markup states it."""
    text = (text or "").strip()
    return int(text) if text.isdecimal() and len(text) < 6 else default


def filled(rows: Iterable[Row]) -> list[list[str]]:
    """The text of each cell of each row. A cell over several rows has its text in each, one over columns in the first.

    Where several rows are the header, they are one: "Net / 2023", and cells over columns have their text in each.
    """
    rows = list(rows)
    headers = sum(1 for _ in takewhile(lambda row: row.is_header, rows[:_MOST_HEADER_ROWS]))
    headers = headers if 1 < headers < len(rows) else 0
    budget = _ADDED_CHARACTERS + _ADDED_TIMES * sum(len(cell.text) + 1 for row in rows for cell in row.cells)
    below: dict[int, tuple[str, int]] = {}  # by column: a text that goes on, and for how many rows (-1: all)
    written: list[list[str]] = []
    for number, row in enumerate(rows):
        if number and row.group != rows[number - 1].group:
            below = {}
        line: list[str] = []
        for cell in row.cells:
            budget -= _go_on(line, below) if budget > 0 else 0
            _add(line, cell, below, in_header=number < headers)
        budget -= _go_on(line, below) if budget > 0 else 0
        written.append(line)
    return [_joined(written[:headers]), *written[headers:]] if headers else written


def _add(line: list[str], cell: Cell, below: dict[int, tuple[str, int]], *, in_header: bool) -> None:
    wide = max(1, min(cell.wide, MAX_COLUMNS_SPANNED))
    for offset in range(wide):
        text = cell.text if not offset else repeated(cell.text) if in_header else ""
        if cell.high != 1:
            below[len(line)] = repeated(text), cell.high - 1
        line.append(text)


def _go_on(line: list[str], below: dict[int, tuple[str, int]]) -> int:
    """Adds the cells that go on from the rows above where the next cell would stand; how many characters that is."""
    added = 0
    while (its := below.get(len(line))) is not None:
        text, more = its
        if more == 1:
            del below[len(line)]
        else:
            below[len(line)] = text, more - 1
        line.append(text)
        added += len(text) + 3
    return added


def _joined(headers: Sequence[Sequence[str]]) -> list[str]:
    """One header of several. A title across the whole table stands once."""
    width = max(map(len, headers))
    across = [len(row) == width > 1 and len(set(row)) == 1 for row in headers]
    columns = []
    for column in range(width):
        texts = (
            row[column]
            for row, is_title in zip(headers, across, strict=True)
            if column < len(row) and not (is_title and column)
        )
        columns.append(_BETWEEN_HEADERS.join(dict.fromkeys(text for text in texts if text)))
    return columns
