"""Tables of reStructuredText as tables of Markdown: grid and simple tables, `csv-table` and `list-table`.

What is not drawn as a table has to be stays as it is. Cells keep their markup.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ingest.loaders.blocks import repeated, table
from ingest.loaders.grids import Cell, Row, filled
from ingest.loaders.unseen_markup import LITERAL, block_end, indent_of

_GRID_BORDER = re.compile(r"\+(?:-+\+)+$")
_GRID_LINE = re.compile(r"[+|].*[+|]$")
_HEADER_BORDER = re.compile(r"\+(?:=+\+)+$")
_SOME_BORDER = re.compile(r"\+-+\+|\+=+\+")
_SIMPLE_BORDER = re.compile(r"=+(?: +=+)+$")
_SPAN_BORDER = re.compile(r"-+(?: +-+)*$")
_DIRECTIVE = re.compile(r"\.\.[ \t]+(csv-table|list-table)::[ \t]*(.*)$")
_OPTION = re.compile(r":([\w-]{1,40}):(?:[ \t]+(.*))?$")
_LONGEST_HEADER = 5  # rows
_MOST_COLUMNS = 1000
_WIDE = "\ufdd2"  # a noncharacter, beside each sign that takes two columns

_Found = tuple[list[str], int]  # the lines of a table, and the line behind it


def with_tables(lines: Sequence[str]) -> list[str]:
    """The lines with each table as one of Markdown, between blank lines. Literal blocks stay as they are."""
    written: list[str] = []
    number = 0
    while number < len(lines):
        found = _found(lines, number)
        if found is not None:
            written += ([""] if written and written[-1].strip() else []) + found[0]
            number = found[1]
            written += [""] if number < len(lines) and lines[number].strip() else []
            continue
        end = block_end(lines, number) if LITERAL.match(lines[number]) else number + 1
        written += lines[number:end]
        number = end
    return written


def _found(lines: Sequence[str], number: int) -> _Found | None:
    line = lines[number].strip()
    reader: Callable[[Sequence[str], int], _Found | None]
    if line.startswith("+-") and _GRID_BORDER.match(line):
        reader = _grid
    elif line.startswith("=") and _SIMPLE_BORDER.match(line):
        reader = _simple
    elif line.startswith("..") and _DIRECTIVE.match(line):
        reader = _directive
    else:
        return None
    return reader(lines, number)


def _as_lines(rows: Sequence[Row]) -> list[str]:
    return table(filled(rows)).split("\n")


# -- Grid tables


def _grid(lines: Sequence[str], number: int) -> _Found | None:
    """Cells end at the borders below them: where a border does not go across, the cells beside it go on."""
    end = number
    while end < len(lines) and _GRID_LINE.match(lines[end].strip()):
        end += 1
    drawn = [_widened(line.strip()) for line in lines[number:end]]
    bounds = sorted({place for line in drawn if _is_border(line) for place, sign in enumerate(line) if sign == "+"})
    is_closed = len(drawn) > 2 and _GRID_BORDER.match(drawn[-1]) is not None
    if not is_closed or len(bounds) > _MOST_COLUMNS or any(len(line) <= bounds[-1] for line in drawn):
        return list(lines[number:end]), end
    rows: list[Row] = []
    cells: list[list[str]] = [[] for _ in bounds[1:]]
    wide = [1] * len(cells)
    for line in drawn[1:]:
        if not _is_border(line):
            _read(line, bounds, cells, wide)
            continue
        rows.append(Row(list(_cells(cells, wide))))
        wide = [1] * len(cells)
        if _HEADER_BORDER.match(line):
            rows = [Row(row.cells, is_header=True) for row in rows]
        for column, (left, right) in enumerate(pairwise(bounds)):
            if not line[left + 1 : right].strip("-=+"):
                cells[column] = []
            else:
                cells[column] = [repeated(" ".join(cells[column])), line[left + 1 : right].strip("+|")]
    return _as_lines(rows), end


def _is_border(line: str) -> bool:
    """Whether a line ends some cells."""
    return _SOME_BORDER.search(line) is not None


def _cells(texts: Sequence[Sequence[str]], wide: Sequence[int]) -> Iterator[Cell]:
    column = 0
    while column < len(texts):
        yield Cell(" ".join(" ".join(texts[column]).split()), wide[column])
        column += wide[column]


def _read(line: str, bounds: Sequence[int], cells: list[list[str]], wide: list[int]) -> None:
    """Adds a line of a table to its cells; what goes over columns is added to the first."""
    first = 0
    for column, right in enumerate(bounds[1:]):
        if line[right : right + 1] in ("|", "+", ""):
            cells[first].append(line[bounds[first] + 1 : right].replace(_WIDE, ""))
            wide[first] = max(wide[first], column - first + 1)
            first = column + 1


def _widened(line: str) -> str:
    if line.isascii():
        return line
    return "".join(sign + _WIDE if unicodedata.east_asian_width(sign) in "WF" else sign for sign in line)


# -- Simple tables


def _simple(lines: Sequence[str], number: int) -> _Found | None:
    """Columns begin where the signs of the border do; a row whose first cell is blank goes on with the one before."""
    indent = indent_of(lines[number])
    columns = [match.span() for match in re.finditer("=+", lines[number][indent:])]
    borders = [number]
    end = number + 1
    while end < len(lines) and (not lines[end].strip() or indent_of(lines[end]) >= indent):
        line = lines[end].strip()
        end += 1
        if line.startswith("=") and _SIMPLE_BORDER.match(line):
            borders.append(end - 1)
            if len(borders) == 3 or end == len(lines) or not lines[end].strip():
                break
    if len(borders) < 2 or borders[-1] != end - 1 or len(columns) > _MOST_COLUMNS:
        return None
    rows: list[Sequence[Cell]] = []
    headers = 0
    for place in range(number + 1, end):
        line = _widened(lines[place][indent:])
        if place in borders:
            headers = len(rows) if place != end - 1 else headers
        elif line.strip() and not _SPAN_BORDER.match(line.strip()):
            cells = _cut(line, columns)
            if len(cells) < len(columns) and not _SPAN_BORDER.match(lines[place + 1].strip()):
                return None
            goes_on = not line[: columns[0][1]].strip() and len(rows) != headers and len(rows[-1]) == len(cells)
            if goes_on:
                cells = [Cell(f"{its.text} {more.text}".strip()) for its, more in zip(rows.pop(), cells, strict=True)]
            rows.append(cells)
    if headers > _LONGEST_HEADER:
        headers = 0
    return _as_lines([Row(row, is_header=place < headers) for place, row in enumerate(rows)]), end


def _cut(line: str, columns: Sequence[tuple[int, int]]) -> list[Cell]:
    """The cells of a line. Text that goes over the end of its column is that of a cell over several."""
    cells = []
    first = 0
    for number in range(1, len(columns) + 1):
        if number == len(columns) or not line[columns[number - 1][1] : columns[number][0]].strip():
            end = len(line) if number == len(columns) else columns[number][0]
            text = line[columns[first][0] : end].replace(_WIDE, "").strip()
            cells.append(Cell("" if text == "\\" else text, number - first))
            first = number
    return cells


# -- Directives


def _directive(lines: Sequence[str], number: int) -> _Found | None:
    match = _DIRECTIVE.match(lines[number].strip())
    if match is None:
        return None
    indent = indent_of(lines[number])
    end = number + 1
    last = end
    while end < len(lines) and (not lines[end].strip() or indent_of(lines[end]) > indent):
        end += 1
        last = end if lines[end - 1].strip() else last
    body = [line.strip("\n") for line in lines[number + 1 : last]]
    options: dict[str, str] = {}
    while body and (option := _OPTION.match(body[0].strip())):
        options[option[1].lower()] = option[2] or ""
        del body[0]
    if "file" in options or "url" in options:
        return None  # never read
    rows = _records(body, options) if match[1] == "csv-table" else _listed(body)
    stated = options.get("header-rows", "0").strip()
    headers = min(int(stated), _LONGEST_HEADER) if stated.isdecimal() and len(stated) < 3 else 0
    if not any(map(any, rows)):
        return None
    cells = [Row([Cell(cell) for cell in row], is_header=place < headers) for place, row in enumerate(rows)]
    return [*([match[2], ""] if match[2] else []), *_as_lines(cells)], last


def _records(body: Sequence[str], options: dict[str, str]) -> list[list[str]]:
    stated = options.get("delim", ",").strip()
    delimiter = {"tab": "\t", "space": " ", "": ","}.get(stated, stated)[:1]
    header = [options["header"]] if options.get("header") else []
    lines = [line.strip() + "\n" for line in [*header, *body] if line.strip()]
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return []


def _listed(body: Sequence[str]) -> list[list[str]]:
    """A list of lists: each outer item is a row, each inner one a cell."""
    rows: list[list[list[str]]] = []
    inner = 0  # where the text of the first cell begins
    for line in body:
        text = line.strip()
        if re.match(r"[*+-][ \t]+[*+-](?:[ \t]|$)", text):
            rows.append([[re.sub(r"^[*+-][ \t]+[*+-][ \t]*", "", text)]])
            inner = len(line) - len(line.lstrip("*+- \t"))
        elif rows and re.match(r"[*+-](?:[ \t]|$)", text) and indent_of(line) < inner:
            rows[-1].append([text[1:].strip()])
        elif rows and text:
            rows[-1][-1].append(text)
    return [[" ".join(cell) for cell in row] for row in rows]
