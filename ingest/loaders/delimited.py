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
_MOST_COLUMNS = 16_384  # as many as a spreadsheet has: what is wider is data for programs


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """All rows as a Markdown table; the first one is its header. Rows may be of any length.

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
        text=table(rows),
        title=stem(name),
        media_type="text/tab-separated-values" if delimiter == "\t" else "text/csv",
        notes=undecoded(data, text),
    )


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
