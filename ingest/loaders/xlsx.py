"""XLSX, streamed by lxml: values as their cells show them, hidden rows, columns and sheets set apart.

No library is used: openpyxl makes an object of each cell or, reading only, says nothing of hidden rows, and gives up at
styles that it does not know; calamine has no number formats and makes room for each empty cell.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO, Any

import lxml.etree

from ingest.errors import CorruptDocument, UnsupportedFormat
from ingest.loaders.blocks import join, under_title
from ingest.loaders.number_formats import plain, shown, whitens
from ingest.loaders.ooxml import Relationship, embedded_files, local, main_part, relationships, stated_title
from ingest.loaders.packages import PART_ERRORS, open_package, parse_xml, part
from ingest.loaders.reading import Reading
from ingest.loaders.sheets import Area, Sheet, blocks, hidden
from ingest.loaders.text import clean, stem
from ingest.loaders.xlsx_styles import SMALLEST_READABLE_PT, WHITE, Colours, Look, Styles, font_of, read_styles, same
from ingest.types import Extracted

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_KEY = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_KEY = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_LAST_ROW, _LAST_COLUMN = 1_048_575, 16_383  # of any sheet; numbers beyond are no cells
_MAX_LETTERS = 3
_MAX_RANGES = 1000  # of hidden columns
_MAX_TABLES = 100
_MAX_CONDITIONS = 200_000  # cells of one sheet that conditional formats are looked at for
_LOWEST_ROW = 1.0  # points
_NARROWEST_COLUMN = 0.01  # characters: from others, text runs over into the next
# Conditions that hold for each cell with text in it; others are not worked out.
_ALWAYS = re.compile(r"\s*(?:TRUE(?:\(\))?|[1-9]\d{0,8}|(\d{1,9})\s*=\s*\1)\s*", re.I)
_KINDS = ("sheetFormatPr", "col", "row", "mergeCell", "conditionalFormatting")
_TRUTH = {"0": "FALSE", "1": "TRUE"}


@dataclass(slots=True)
class _Workbook:
    """What the sheets of a workbook share."""

    package: zipfile.ZipFile
    name: str
    strings: list[str]
    styles: Styles
    since_1904: bool
    uncalculated: int = 0  # formulas without a stored result


@dataclass(slots=True)
class _Lines:
    """Which columns are hidden, whether the row that is read now is, and the tables, whose style may colour cells."""

    tables: list[Area]
    columns: bytearray = field(default_factory=lambda: bytearray(_LAST_COLUMN + 1))
    row: bool = False

    def hide(self, column: int) -> bool:
        return self.row or bool(self.columns[column])

    def colour(self, row: int, column: int) -> bool:
        return any(top <= row <= bottom and left <= column <= right for top, bottom, left, right in self.tables)


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Each sheet as a section with its tables; comments in a section at the end. Raises CorruptDocument,
    UnsupportedFormat for XLSB, LimitExceeded.
    """
    package = open_package(data, name, reading)
    main = main_part(package, name) or "xl/workbook.xml"
    if main.endswith(".bin"):
        raise UnsupportedFormat(f"{name}: is a binary workbook (XLSB). Save it as .xlsx and upload it again.")
    root = parse_xml(part(package, main, name), name)
    links = relationships(package, main, name)
    styles = read_styles(package, links, name)
    strings = _strings(package, links, styles.colours, name)
    workbook = _Workbook(package, name, strings, styles, _since_1904(root))
    by_key = {its.key: its for its in links}
    sheets = []
    for element in root.iter("{*}sheet"):
        link = by_key.pop(element.get(_KEY) or element.get(_STRICT_KEY) or "", None)
        if link is not None:
            sheets.append(_sheet(workbook, element, link))
    if not sheets:
        raise CorruptDocument(f"{name}: is no workbook that can be read: it has no sheets. Save it again as .xlsx.")
    title = stated_title(package, name)
    text, headings = join(blocks(sheets, level=2 if title else 1))
    attachments, notes = embedded_files(package, name)
    if workbook.uncalculated:
        notes.append(f"{workbook.uncalculated} formulas have no stored result: open and save the file to have them")
    return Extracted(
        text=text,
        title=title or stem(name),
        media_type=MEDIA_TYPE,
        headings=under_title(headings, title),
        hidden=tuple(hidden(sheets)),
        notes=tuple(notes),
        attachments=tuple(attachments),
    )


def _since_1904(root: Any) -> bool:
    return any(its.get("date1904") in ("1", "true") for its in root.iterchildren("{*}workbookPr"))


def _strings(package: zipfile.ZipFile, links: list[Relationship], colours: Colours, name: str) -> list[str]:
    """The shared strings, without the phonetic readings that stand beside some."""
    path = next((its.target for its in links if its.kind == "sharedStrings"), None)
    if path is None:
        return []
    return [_text_of(element, colours) for element in _elements(package, path, "si", name)]


class _Rich(str):
    """A text with runs of which some are not seen on white: these, and the others."""

    unseen: str
    seen: str


def _text_of(element: Any, colours: Colours) -> str:
    """The text of a string with or without runs."""
    parts: list[tuple[str, bool]] = []
    for child in element:
        if local(child.tag) == "t":
            parts.append((child.text or "", True))
        elif local(child.tag) == "r":
            look = child.find("{*}rPr")
            colour, size = (None, SMALLEST_READABLE_PT) if look is None else font_of(look, colours)
            seen = size >= SMALLEST_READABLE_PT and not (colour is not None and same(colour, WHITE))
            parts.append((child.findtext("{*}t") or "", seen))
    text = clean("".join(part for part, _ in parts))
    if all(seen for _, seen in parts):
        return text
    rich = _Rich(text)
    rich.unseen, rich.seen = (clean("".join(part for part, its in parts if its is seen)) for seen in (False, True))
    return rich


def _elements(package: zipfile.ZipFile, path: str, tag: str, name: str) -> Iterator[Any]:
    """Elements of a part one after the other, each let go of before the next. Raises CorruptDocument."""
    try:
        with package.open(path) as stream:
            yield from _streamed(stream, (f"{{*}}{tag}",))
    except PART_ERRORS as error:
        raise _damaged(path, name) from error


def _streamed(stream: IO[bytes], tags: tuple[str, ...]) -> Iterator[Any]:
    """The elements with these tags when they end, without DTDs or entities."""
    for _, element in lxml.etree.iterparse(
        stream, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    ):
        yield element
        element.clear(keep_tail=False)
        previous = element.getprevious()
        while previous is not None:
            element.getparent().remove(previous)
            previous = element.getprevious()


def _sheet(workbook: _Workbook, element: Any, link: Relationship) -> Sheet:
    sheet = Sheet(clean(element.get("name") or "Sheet"), visible=element.get("state") in (None, "visible"))
    if link.kind != "worksheet":
        return sheet  # of a chart or of macros: no cells
    links = relationships(workbook.package, link.target, workbook.name)
    tables = [_table_area(workbook, its.target) for its in links if its.kind == "table"]
    try:
        with workbook.package.open(link.target) as stream:
            _read_cells(workbook, sheet, stream, _Lines([area for area in tables[:_MAX_TABLES] if area is not None]))
    except PART_ERRORS as error:
        raise _damaged(link.target, workbook.name) from error
    for its in links:
        if its.kind == "drawing":
            sheet.texts += _drawn(workbook, its.target)
        elif its.kind in ("comments", "threadedComment"):
            sheet.comments += _comments(workbook, its)
    if any(its.kind == "threadedComment" for its in links):  # each stands among the comments too, for old programs
        sheet.comments = [comment for comment in sheet.comments if "[Threaded comment]" not in comment]
    return sheet


def _read_cells(workbook: _Workbook, sheet: Sheet, stream: IO[bytes], lines: _Lines) -> None:
    number = -1
    ranges = 0
    low = False  # rows whose height is not stated
    for element in _streamed(stream, tuple(f"{{*}}{kind}" for kind in _KINDS)):
        kind = local(element.tag)
        if kind == "sheetFormatPr":
            low = _below(element.get("defaultRowHeight"), _LOWEST_ROW)
        elif kind == "conditionalFormatting":
            _condition(workbook, sheet, element)
        elif kind == "col" and (_flag(element, "hidden") or _below(element.get("width"), _NARROWEST_COLUMN)):
            first, last = _number(element.get("min"), 1) - 1, min(_number(element.get("max"), 1) - 1, _LAST_COLUMN)
            for column in range(max(0, first), last + 1) if ranges < _MAX_RANGES else ():
                lines.columns[column] = 1
            ranges += 1
        elif kind == "mergeCell":
            area = _area(element.get("ref") or "")
            if area is not None:
                sheet.merged.append(area)
        elif kind == "row":
            number = _number(element.get("r"), number + 2) - 1
            height = element.get("ht")
            lines.row = _flag(element, "hidden") or (low if height is None else _below(height, _LOWEST_ROW))
            if 0 <= number <= _LAST_ROW:
                _put(sheet, number, _cells(workbook, element), lines)


def _put(sheet: Sheet, row: int, cells: Iterator[tuple[int, Look, str]], lines: _Lines) -> None:
    for column, look, text in cells:
        if lines.hide(column):
            sheet.hide("part", text)
        elif look.hidden and not (look.hidden == "colour" and lines.colour(row, column)):
            sheet.hide(look.hidden, text)
        elif isinstance(text, _Rich) and look.background == WHITE and not lines.colour(row, column):
            sheet.hide("colour", text.unseen)
            sheet.put(row, column, text.seen)
        else:
            sheet.put(row, column, text)


def _condition(workbook: _Workbook, sheet: Sheet, element: Any) -> None:
    """Hides the cells that a conditional format hides whatever is in them."""
    how = ""
    for rule in element.iterchildren("{*}cfRule"):
        kind, formula = rule.get("type"), rule.findtext("{*}formula") or ""
        if (kind == "expression" and _ALWAYS.fullmatch(formula)) or kind == "notContainsBlanks":
            how = how or workbook.styles.hides(rule.get("dxfId"))
    left = _MAX_CONDITIONS
    for reference in (element.get("sqref") or "").split()[:_MAX_RANGES] if how else ():
        area = _area(reference if ":" in reference else f"{reference}:{reference}")
        if area is None:
            continue
        for row in [row for row in sheet.rows if area[0] <= row <= area[1]]:
            cells = sheet.rows[row]
            left -= 1 + len(cells)
            if left < 0:
                return
            for column in [column for column in cells if area[2] <= column <= area[3]]:
                sheet.hide(how, cells.pop(column))
            if not cells:
                del sheet.rows[row]


def _below(length: str | None, least: float) -> bool:
    try:
        return length is not None and float(length) < least
    except ValueError:
        return False


def _cells(workbook: _Workbook, row: Any) -> Iterator[tuple[int, Look, str]]:
    column = -1
    for cell in row.iterchildren("{*}c"):
        column = _column(cell.get("r"), column + 1)
        if 0 <= column <= _LAST_COLUMN:
            look = workbook.styles.look(cell.get("s"))
            text = _value(workbook, cell, look)
            if look.hidden in ("", "colour") and whitens(_as_number(cell), look.number_format):
                look = replace(look, hidden="colour" if look.background == WHITE else "")
            if text:
                yield column, look, text


def _value(workbook: _Workbook, cell: Any, look: Look) -> str:
    """What the cell shows. What its format hides is returned all the same: the look says that it is hidden."""
    kind = cell.get("t") or "n"
    if kind == "inlineStr":
        inline = cell.find("{*}is")
        return "" if inline is None else _text_of(inline, workbook.styles.colours)
    value: str | None = cell.findtext("{*}v")
    if value is None:
        if cell.find("{*}f") is not None:
            workbook.uncalculated += 1
        return ""
    if kind == "s":
        index = _number(value, -1)
        return workbook.strings[index] if 0 <= index < len(workbook.strings) else ""
    if kind == "b":
        return _TRUTH.get(value.strip(), value)
    if kind != "n":
        return clean(value)  # text of a formula, an error, a date in ISO form
    try:
        number = float(value)
    except ValueError:
        return clean(value)
    return shown(number, look.number_format, workbook.since_1904) or (plain(number) if look.hidden else "")


def _as_number(cell: Any) -> float | None:
    """The number in a cell; None where it has a text."""
    try:
        return float(cell.findtext("{*}v")) if cell.get("t") in (None, "n") else None
    except (TypeError, ValueError):
        return None


def _table_area(workbook: _Workbook, path: str) -> Area | None:
    return _area(parse_xml(part(workbook.package, path, workbook.name), workbook.name).get("ref") or "")


def _drawn(workbook: _Workbook, path: str) -> list[str]:
    """Text boxes and shapes of a drawing."""
    root = parse_xml(part(workbook.package, path, workbook.name), workbook.name)
    boxes = []
    for body in root.iter("{*}txBody"):
        lines = ["".join(text.text or "" for text in line.iter("{*}t")) for line in body.iter("{*}p")]
        boxes.append(clean("\n".join(line for line in lines if line.strip())))
    return [box for box in boxes if box]


def _comments(workbook: _Workbook, link: Relationship) -> Iterator[str]:
    """Comments as `B2: text`."""
    root = parse_xml(part(workbook.package, link.target, workbook.name), workbook.name)
    for element in root.iter("{*}comment", "{*}threadedComment"):
        text = " ".join("".join(its.text or "" for its in element.iter("{*}t", "{*}text") if its.text).split())
        if text:
            yield f"{element.get('ref') or ''}: {clean(text)}"


def _flag(element: Any, attribute: str) -> bool:
    return element.get(attribute) in ("1", "true")


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 9 else default


def _column(reference: str | None, default: int) -> int:
    """The column of a cell like "AB12", from 0."""
    letters = (reference or "").rstrip("0123456789").upper()
    if not 0 < len(letters) <= _MAX_LETTERS or not (letters.isascii() and letters.isalpha()):
        return default
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _area(reference: str) -> Area | None:
    """A reference like "A1:C3" as an area; None where it is none."""
    first, _, last = reference.replace("$", "").partition(":")
    rows = [_number(corner.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 0) - 1 for corner in (first, last)]
    columns = [_column(corner, -1) for corner in (first, last)]
    if not 0 <= rows[0] <= rows[1] <= _LAST_ROW or not 0 <= columns[0] <= columns[1] <= _LAST_COLUMN:
        return None
    return rows[0], rows[1], columns[0], columns[1]


def _damaged(path: str, name: str) -> CorruptDocument:
    return CorruptDocument(f"{name}: its part {path!r} is damaged. Save it again as .xlsx, then upload it.")
