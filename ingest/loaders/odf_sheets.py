"""Sheets of OpenDocument spreadsheets: what their cells show, with repeated rows and cells written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.loaders.odf_styles import WHITE, OdfStyles
from ingest.loaders.odf_text import TABLE, TEXT, cell_text
from ingest.loaders.sheets import Sheet
from ingest.loaders.text import clean

_MOST_REPEATED = 100_000  # cells of one sheet that stand for others; sheets are filled to their last row by that
_LAST = 1_048_576
_LAST_COLUMN = 16_384
_CELLS = (TABLE + "table-cell", TABLE + "covered-table-cell")
_UNSEEN = ("collapse", "filter")
_VALUE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}value"


def read_sheets(body: Any, styles: OdfStyles) -> list[Sheet]:
    """The sheets of a spreadsheet."""
    return [_Reader(styles, element).read() for element in body.iterchildren(TABLE + "table")]


class _Reader:
    """Reads one sheet."""

    def __init__(self, styles: OdfStyles, element: Any) -> None:
        self._styles = styles
        self._element = element
        self._left = _MOST_REPEATED
        visible = not styles.not_shown("table", element.get(TABLE + "style-name"))
        self._sheet = Sheet(clean(element.get(TABLE + "name") or "Sheet"), visible=visible)
        self._columns = self._hidden_columns()

    def read(self) -> Sheet:
        number = 0
        for row in self._element.iter(TABLE + "table-row"):
            if next(row.iterancestors(TABLE + "table")) is not self._element:
                continue
            repeated = _count(row, "number-rows-repeated")
            cells = list(self._cells(row, number))
            if cells:
                for copy in range(min(repeated, max(1, self._left // len(cells)))):
                    self._put(number + copy, cells, row.get(TABLE + "visibility") in _UNSEEN)
                self._left -= len(cells) * (min(repeated, _MOST_REPEATED) - 1)
            number += repeated
            if number >= _LAST:
                break
        for shape in self._element.iterchildren(TABLE + "shapes"):
            texts = ("".join(its.itertext()) for its in shape.iter(TEXT + "p"))
            self._sheet.texts += [clean(text) for text in texts if text.strip()]
        return self._sheet

    def _cells(self, row: Any, number: int) -> Iterator[tuple[int, str, str | None]]:
        column = 0
        for cell in row.iterchildren(*_CELLS):
            repeated = _count(cell, "number-columns-repeated")
            text = cell_text(cell) or (cell.get(_VALUE) or "" if cell.find(TEXT + "p") is None else "")
            if text:
                how = self._how(cell)
                copies = min(repeated, max(1, self._left))
                self._left -= copies - 1
                for copy in range(copies):
                    yield column + copy, text, how
                if cell.tag == _CELLS[0]:
                    self._merged(cell, number, column)
            for comment in cell.iterchildren("{*}annotation"):
                said = " ".join(" ".join("".join(its.itertext()) for its in comment.iter(TEXT + "p")).split())
                self._sheet.comments += [f"{_name(column)}{number + 1}: {clean(said)}"] if said else []
            column += repeated

    def _put(self, number: int, cells: list[tuple[int, str, str | None]], unseen: bool) -> None:
        for column, text, how in cells:
            if unseen or column in self._columns:
                self._sheet.hide("part", text)
            elif how:
                self._sheet.hide(how, text)
            else:
                self._sheet.put(number, column, text)

    def _how(self, cell: Any) -> str | None:
        style = cell.get(TABLE + "style-name")
        behind = self._styles.background("table-cell", style, "table-cell-properties") or WHITE
        return self._styles.hides("table-cell", style, behind)

    def _merged(self, cell: Any, row: int, column: int) -> None:
        wide, high = _count(cell, "number-columns-spanned"), _count(cell, "number-rows-spanned")
        if wide > 1 or high > 1:
            self._sheet.merged.append((row, row + high - 1, column, column + wide - 1))

    def _hidden_columns(self) -> frozenset[int]:
        found: set[int] = set()
        column = 0
        for element in self._element.iter(TABLE + "table-column"):
            if next(element.iterancestors(TABLE + "table")) is not self._element:
                continue
            repeated = _count(element, "number-columns-repeated")
            if element.get(TABLE + "visibility") in _UNSEEN:
                found.update(range(column, min(column + repeated, _LAST_COLUMN)))
            column += repeated
        return frozenset(found)


def _count(element: Any, attribute: str) -> int:
    text = element.get(TABLE + attribute) or "1"
    return max(1, min(int(text), _LAST)) if text.isdecimal() and len(text) < 9 else 1


def _name(column: int) -> str:
    """The letters of a column, from 0."""
    letters = ""
    column += 1
    while column > 0:
        column, digit = divmod(column - 1, 26)
        letters = chr(65 + digit) + letters
    return letters
