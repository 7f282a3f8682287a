"""XLS (Excel 97 to 2003) by xlrd: values as their cells show them, hidden rows, columns and sheets set apart."""

from __future__ import annotations

import io
from typing import Any

import xlrd

from ingest.errors import CorruptDocument
from ingest.loaders.blocks import join, under_title
from ingest.loaders.compound import open_compound, stated_title, stream
from ingest.loaders.number_formats import GENERAL, hides_text, plain, shown
from ingest.loaders.reading import Reading
from ingest.loaders.sheets import Sheet, blocks, hidden
from ingest.loaders.text import clean, stem
from ingest.loaders.xlsx_styles import SMALLEST_READABLE_PT
from ingest.types import Extracted

MEDIA_TYPE = "application/vnd.ms-excel"
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
_TWIPS = 20
_SOLID = 1
_SYSTEM_COLOURS = {64: _BLACK, 65: _WHITE, 0x7FFF: _BLACK}


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Each sheet as a section with its tables. Raises CorruptDocument."""
    with open_compound(data, name) as compound:
        title = stated_title(compound)
        # xlrd would follow damaged chains of sectors until memory ends.
        content = stream(compound, "Workbook" if compound.exists("Workbook") else "Book", name)
    try:
        book = xlrd.open_workbook(
            file_contents=content, formatting_info=True, ragged_rows=True, logfile=io.StringIO(), on_demand=True
        )
        sheets = []
        for index in range(book.nsheets):
            sheets.append(_sheet(book, book.sheet_by_index(index)))
            book.unload_sheet(index)
    except Exception as error:  # xlrd checks little: broken records surface as any of a dozen built-in errors
        if isinstance(error, MemoryError):
            raise
        raise CorruptDocument(
            f"{name}: is no workbook that can be read ({type(error).__name__}). Save it as .xlsx and upload it again."
        ) from error
    text, headings = join(blocks(sheets, level=2 if title else 1))
    return Extracted(
        text=text,
        title=title or stem(name),
        media_type=MEDIA_TYPE,
        headings=under_title(headings, title),
        hidden=tuple(hidden(sheets)),
    )


def _sheet(book: Any, source: Any) -> Sheet:
    sheet = Sheet(clean(source.name), visible=source.visibility == 0)
    hidden_rows = {row for row, its in source.rowinfo_map.items() if its.hidden or its.height == 0}
    hidden_columns = {column for column, its in source.colinfo_map.items() if its.hidden or its.width == 0}
    for row in range(source.nrows):
        for column, cell in enumerate(source.row(row)):
            text, code = _value(book, cell)
            if row in hidden_rows or column in hidden_columns:
                sheet.hide("part", text)
                continue
            how = _hidden(book, cell, code) if text else ""
            if how:
                sheet.hide(how, text)
            else:
                sheet.put(row, column, text)
    sheet.merged += [(first, last - 1, left, right - 1) for first, last, left, right in source.merged_cells]
    for (row, column), note in sorted(source.cell_note_map.items()):
        comment = " ".join(clean(note.text or "").split())
        if comment:
            sheet.comments.append(f"{xlrd.cellname(row, column)}: {comment}")
    return sheet


def _value(book: Any, cell: Any) -> tuple[str, str]:
    """What the cell holds, in its number format, and that format."""
    code = _format(book, cell)
    if cell.ctype == xlrd.XL_CELL_TEXT:
        return clean(cell.value), code
    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        number = float(cell.value)
        return shown(number, code, book.datemode == 1) or plain(number), code
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return ("TRUE" if cell.value else "FALSE"), code
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#ERROR"), code
    return "", code


def _format(book: Any, cell: Any) -> str:
    if cell.xf_index is None or cell.xf_index >= len(book.xf_list):
        return GENERAL
    its = book.format_map.get(book.xf_list[cell.xf_index].format_key)
    return its.format_str if its is not None else GENERAL


def _hidden(book: Any, cell: Any, code: str) -> str:
    """How the cell's text is hidden, "" where it is seen."""
    if cell.xf_index is None or cell.xf_index >= len(book.xf_list):
        return ""
    look = book.xf_list[cell.xf_index]
    font = book.font_list[look.font_index] if look.font_index < len(book.font_list) else None
    if font is not None:
        if _colour(book, font.colour_index) == _background(book, look.background) is not None:
            return "colour"
        if 0 < font.height < SMALLEST_READABLE_PT * _TWIPS:
            return "size"
    numeric = cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE)
    seen = shown(float(cell.value), code) if numeric else not hides_text(code)
    return "" if seen else "part"


def _background(book: Any, background: Any) -> tuple[int, int, int] | None:
    """White where there is no fill, None for patterns."""
    if background.fill_pattern == 0:
        return _WHITE
    return _colour(book, background.pattern_colour_index) if background.fill_pattern == _SOLID else None


def _colour(book: Any, index: int) -> tuple[int, int, int] | None:
    found: tuple[int, int, int] | None = book.colour_map.get(index)
    return _SYSTEM_COLOURS.get(index) if found is None else found
