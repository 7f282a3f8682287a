"""Tables of AsciiDoc, whose cells stand behind bars (PSV), or are written as CSV, TSV or DSV."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from ingest.loaders.blocks import table

# Before the bar of a cell: how often it is repeated, over how many columns and rows it goes, and how it is shown.
_CELL = re.compile(r"(?<!\\)(?:(?<!\S)(?:(\d{1,3})\*|(\d{1,3})?(?:\.\d{1,3})?\+)?[<^>]?(?:\.[<^>])?[adehlmsv]?)?\|")
_COLUMNS = re.compile(r"cols\s*=\s*(?:\"([^\"]*)\"|(\d+))")
_MAX_COLUMNS = 1000
_FORMAT = re.compile(r"(?:^\[|[,\s])format\s*=\s*[\"']?(csv|tsv|dsv|psv)\b")
_SEPARATOR = re.compile(r"(?:^\[|[,\s])separator\s*=\s*[\"']?(\\t|[^\s\"'\]])")
_DSV_CELL = re.compile(r"(?<!\\):")
# What repeated and wide cells may add to a document: beside its own length, some tables.
ADDED_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table is written, as far as the line of attributes above it says."""

    columns: int | None = None
    format: str | None = None
    separator: str | None = None

    def with_attributes(self, line: str) -> TableForm:
        columns, form, separator = _COLUMNS.search(line), _FORMAT.search(line), _SEPARATOR.search(line)
        stated = self.columns
        if columns:
            stated = min(int(columns[2][:4]) if columns[2] else _stated_columns(columns[1]), _MAX_COLUMNS)
        return TableForm(
            stated,
            form[1] if form else self.format,
            separator[1].replace("\\t", "\t") if separator else self.separator,
        )


def _stated_columns(specification: str) -> int:
    """`1,2,3` and `3*` are three columns."""
    count = 0
    for part in specification.replace(";", ",").split(","):
        times = re.match(r"\s*(\d{1,3})\*", part)
        count += int(times[1]) if times else 1
    return max(count, 1)


class Repeats:
    """What cells may still add to the document by being repeated, or by going over columns."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def granted(self, times: str | None, size: int) -> int:
        """How often a cell of `size` characters stands there that is to stand there `times`."""
        wanted = min(int(times), _MAX_COLUMNS) if times else 1
        granted = max(1, min(wanted, 1 + self._left // (size + 3)))
        self._left -= (granted - 1) * (size + 3)
        return granted


def written(lines: list[str], mark: str, form: TableForm, repeats: Repeats) -> str:
    """The table between lines that begin with `mark` as one of Markdown.

    Rows are the lines where each has all its cells, else cells are counted off.
    """
    kind = form.format or {",": "csv", ":": "dsv"}.get(mark, "psv")
    if kind in ("csv", "tsv"):
        return table(_records(lines, form.separator or ("," if kind == "csv" else "\t")))
    if kind == "dsv":
        return table(
            [cell.strip().replace("\\:", ":") for cell in _DSV_CELL.split(line.replace(form.separator or ":", ":"))]
            for line in lines
            if line.strip()
        )
    bar = form.separator or ("!" if mark == "!" else "|")
    columns = form.columns
    rows = [_cells(line if bar == "|" else line.replace(bar, "|"), repeats) for line in lines if line.strip()]
    first = next((len(cells) for leading, cells in rows if cells), 0)
    columns = columns or first
    if all(not leading and len(cells) >= columns for leading, cells in rows):
        return table(cells for _, cells in rows)
    flat: list[str] = []
    for leading, cells in rows:
        if leading and flat:  # goes on with the last cell
            flat[-1] += " " + leading
        flat += cells
    return table(flat[start : start + columns] for start in range(0, len(flat), max(columns, 1)))


def _records(lines: list[str], separator: str) -> list[list[str]]:
    """Where quotation marks do not pair up, each line is a row."""
    filled = [line + "\n" for line in lines if line.strip()]
    try:
        return list(csv.reader(filled, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return [line.rstrip("\n").split(separator) for line in filled]


def _cells(line: str, repeats: Repeats) -> tuple[str, list[str]]:
    """What stands before the first bar of a line, and its cells. A bar at the end of the line ends the last cell."""
    bars = list(_CELL.finditer(line))
    if not bars:
        return line.strip(), []
    cells: list[str] = []
    ends = [*(bar.start() for bar in bars[1:]), len(line)]
    for bar, end in zip(bars, ends, strict=True):
        text = line[bar.end() : end].strip().replace("\\|", "|")
        times, width = repeats.granted(bar[1], len(text)), repeats.granted(bar[2], 0)
        cells += [text, *[""] * (width - 1)] * times
    return line[: bars[0].start()].strip(), cells
