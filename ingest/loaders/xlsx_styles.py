"""How the cells of an XLSX look, as far as it decides what a reader sees: number format, colour, size."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Any

from ingest.errors import RefusedDocument
from ingest.loaders.number_formats import BUILT_IN, GENERAL, hides_text
from ingest.loaders.ooxml import Relationship, local
from ingest.loaders.packages import parse_xml, part

_WHITE = "FFFFFF"
_BLACK = "000000"
SMALLEST_READABLE_PT = 2.0
_THEME = {"0": _WHITE, "1": _BLACK}  # the window's background and text; other colours of the theme are not compared
_INDEXED = {"1": _WHITE, "9": _WHITE, "65": _WHITE, "0": _BLACK, "8": _BLACK, "64": _BLACK}


@dataclass(frozen=True, slots=True)
class Look:
    """The number format, and how (`Hidden.how`) the text of the cell is hidden, "" where it is seen."""

    number_format: str = GENERAL
    hidden: str = ""


_USUAL = Look()


@dataclass(frozen=True, slots=True)
class Styles:
    """The looks that cells name by number."""

    looks: tuple[Look, ...] = ()

    def look(self, index: str | None) -> Look:
        number = int(index) if index and index.isdecimal() and len(index) < 9 else 0
        return self.looks[number] if number < len(self.looks) else _USUAL


def read_styles(package: zipfile.ZipFile, links: list[Relationship], name: str) -> Styles:
    """The styles of a workbook; the usual look for all cells where they can't be read."""
    path = next((its.target for its in links if its.kind == "styles"), None)
    if path is None:
        return Styles()
    try:
        root = parse_xml(part(package, path, name), name)
    except RefusedDocument:
        return Styles()
    formats = dict(BUILT_IN)
    for element in root.iter("{*}numFmt"):
        number = element.get("numFmtId") or ""
        if number.isdecimal() and len(number) < 9 and local(element.getparent().tag) == "numFmts":
            formats[int(number)] = element.get("formatCode") or GENERAL
    fonts = [_font(element) for element in root.iterfind("{*}fonts/{*}font")]
    fills = [_fill(element) for element in root.iterfind("{*}fills/{*}fill")]
    return Styles(tuple(_look(element, formats, fonts, fills) for element in root.iterfind("{*}cellXfs/{*}xf")))


def _look(
    element: Any, formats: dict[int, str], fonts: list[tuple[str | None, float]], fills: list[str | None]
) -> Look:
    code = formats.get(_index(element, "numFmtId"), GENERAL)
    font, fill = _index(element, "fontId"), _index(element, "fillId")
    colour, size = fonts[font] if font < len(fonts) else (_BLACK, 11.0)
    background = fills[fill] if fill < len(fills) else _WHITE
    if colour is not None and colour == background:
        return Look(code, "colour")
    if size < SMALLEST_READABLE_PT:
        return Look(code, "size")
    return Look(code, "part" if hides_text(code) else "")


def _font(element: Any) -> tuple[str | None, float]:
    """Colour (None: not known) and size in points."""
    colour = element.find("{*}color")
    size = element.find("{*}sz")
    try:
        points = float(size.get("val")) if size is not None else 11.0
    except (TypeError, ValueError):
        points = 11.0
    return (_BLACK if colour is None else _colour(colour)), points


def _fill(element: Any) -> str | None:
    """The colour of a solid fill, white where there is none, None where it is not known."""
    pattern = element.find("{*}patternFill")
    if pattern is None:
        return None  # a gradient
    kind = pattern.get("patternType") or "none"
    if kind == "none":
        return _WHITE
    colour = pattern.find("{*}fgColor")
    return _colour(colour) if kind == "solid" and colour is not None else None


def _colour(element: Any) -> str | None:
    """RRGGBB, or None where it depends on what is not read here (the theme, a tint)."""
    if element.get("tint") not in (None, "0", "0.0"):
        return None
    if element.get("rgb"):
        return str(element.get("rgb"))[-6:].upper()
    if element.get("theme"):
        return _THEME.get(element.get("theme"))
    return _INDEXED.get(element.get("indexed") or "64")


def _index(element: Any, attribute: str) -> int:
    text = element.get(attribute) or "0"
    return int(text) if text.isdecimal() and len(text) < 9 else 0
