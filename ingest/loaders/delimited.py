"""Tables as text (CSV, TSV): one Markdown table, however long."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import islice

from ingest.errors import LimitExceeded
from ingest.loaders.blocks import table
from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem, undecoded
from ingest.types import Extracted

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 100
_MOST_ABOVE = 30  # lines above a table
_MOST_COLUMNS = 16_384  # as many as a spreadsheet has: what is wider is data for programs


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """All rows as a Markdown table, whose header is the first one; lines above the table are text above it.

    Raises UnsupportedFormat where the bytes are no text, LimitExceeded for a row of too many cells.
    """
    csv.field_size_limit(max(csv.field_size_limit(), len(data)))  # of the process; a cell may be a whole document
    text = clean(decode(data, name))
    lines = text.split("\n")
    stated = lines[0][4:] if lines[0].lower().startswith("sep=") and len(lines[0]) == 5 else None  # for Excel
    if stated is not None:
        del lines[0]
    delimiter = stated or _delimiter(lines, "\t" if name.lower().endswith((".tsv", ".tab")) else ",")
    rows = _rows(lines, delimiter)
    _refuse_wide(rows, name)
    return Extracted(
        text="\n\n".join(part for part in _parts(rows) if part),
        title=stem(name),
        media_type="text/tab-separated-values" if delimiter == "\t" else "text/csv",
        notes=undecoded(data, text),
    )


def _parts(rows: list[list[str]]) -> tuple[str, str]:
    """What stands above the table, and the table."""
    number = _above(rows)
    lines = (", ".join(cell.strip() for cell in row if cell.strip()) for row in rows[:number])
    return "\n".join(" ".join(line.split()) for line in lines if line), table(rows[number:])


def _above(rows: list[list[str]]) -> int:
    """How many rows stand above the table: those of one cell, and others too where a blank line ends them.

    A header may be shorter than the rows below it, and one column of two may have no name.
    """
    widths = Counter(len(row) for row in rows[:_SNIFFED_ROWS] if sum(map(_is_filled, row)) > 1)
    width = max(widths, key=lambda its: (widths[its], its), default=1)
    places = range(min(len(rows), _MOST_ABOVE))
    number = next((place for place in places if _begins(rows[place], width)), 0)
    head = rows[number : number + _MOST_ABOVE]
    blank = next((place for place, row in enumerate(head) if not any(map(_is_filled, row))), None)
    if blank and width > 2 and all(sum(map(_is_filled, row)) < min(3, width) for row in head[:blank]):
        below = next((place for place in range(blank, len(head)) if any(map(_is_filled, head[place]))), None)
        if below is not None and len(head[below]) == width:
            number += below
    return number if width > 1 else 0


def _begins(row: list[str], width: int) -> bool:
    return sum(map(_is_filled, row)) > 1 or (len(row) == width == 2 and _is_filled(row[0]))


def _is_filled(cell: str) -> bool:
    return bool(cell.strip())


def _delimiter(lines: list[str], usual: str) -> str:
    """The one that cuts the most rows into equally many cells, at least two; the usual one where there is none."""
    best, most = usual, 0
    for delimiter in (usual, *_DELIMITERS):
        widths = Counter(len(row) for row in _rows(list(islice(lines, _SNIFFED_ROWS)), delimiter) if len(row) > 1)
        equal = widths.most_common(1)[0][1] if widths else 0
        if equal > most:
            best, most = delimiter, equal
    return best


def _refuse_wide(rows: list[list[str]], name: str) -> None:
    for number, row in enumerate(rows, start=1):
        if len(row) > _MOST_COLUMNS:
            raise LimitExceeded(
                f"{name}: its row {number} has {len(row)} columns, the limit is {_MOST_COLUMNS}. "
                "Split the table by its columns, or write its columns as rows."
            )


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    """The cells of each row. Where quotation marks do not pair up, each line is a row, so that one mark harms one."""
    try:
        return list(csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True))
    except csv.Error:
        return [row for line in lines for row in csv.reader([line], delimiter=delimiter)]
