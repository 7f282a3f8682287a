"""How the cells of an XLSX look, as far as it decides what a reader sees: number format, colour, size."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from typing import Any

from ingest.errors import RefusedDocument
from ingest.loaders.number_formats import BUILT_IN, GENERAL, hides_text
from ingest.loaders.ooxml import Relationship, local
from ingest.loaders.packages import parse_xml, part

WHITE = "FFFFFF"
_BLACK = "000000"
SMALLEST_READABLE_PT = 2.0
_NEAR = 10  # of 255, between colours that can't be told apart
_THEME = ("lt1", "dk1", "lt2", "dk2", *(f"accent{number}" for number in range(1, 7)), "hlink", "folHlink")
# The colours 8 to 63 that a file may name by number (ECMA-376 part 1, 18.8.27); 0 to 7 are the same as 8 to 15.
# fmt: off
_PALETTE = (
    "000000", "FFFFFF", "FF0000", "00FF00", "0000FF", "FFFF00", "FF00FF", "00FFFF", "800000", "008000",
    "000080", "808000", "800080", "008080", "C0C0C0", "808080", "9999FF", "993366", "FFFFCC", "CCFFFF",
    "660066", "FF8080", "0066CC", "CCCCFF", "000080", "FF00FF", "FFFF00", "00FFFF", "800080", "800000",
    "008080", "0000FF", "00CCFF", "CCFFFF", "CCFFCC", "FFFF99", "99CCFF", "FF99CC", "CC99FF", "FFCC99",
    "3366FF", "33CCCC", "99CC00", "FFCC00", "FF9900", "FF6600", "666699", "969696", "003366", "339966",
    "003300", "333300", "993300", "993366", "333399", "333333",
)
# fmt: on
_INDEXED = {
    **{str(number): colour for number, colour in enumerate(_PALETTE[:8])},
    **{str(number): colour for number, colour in enumerate(_PALETTE, start=8)},
    **{"64": _BLACK, "65": WHITE},
}


@dataclass(frozen=True, slots=True)
class Look:
    """The number format, and how (`Hidden.how`) the text of the cell is hidden, "" where it is seen.

    `background`: the colour of the cell, None where it is not known.
    """

    number_format: str = GENERAL
    hidden: str = ""
    background: str | None = WHITE


_USUAL = Look()


@dataclass(frozen=True, slots=True)
class Colours:
    """The theme's colours by name, and those that the file names by number."""

    theme: dict[str, str] = field(default_factory=lambda: {"lt1": WHITE, "dk1": _BLACK})
    indexed: dict[str, str] = field(default_factory=lambda: _INDEXED)

    def colour(self, element: Any) -> str | None:
        """RRGGBB, None where it is not known."""
        found: str | None
        if element.get("rgb"):
            found = str(element.get("rgb"))[-6:].upper()
        elif element.get("theme"):
            number = _index(element, "theme")
            found = self.theme.get(_THEME[number]) if number < len(_THEME) else None
        else:
            found = self.indexed.get(element.get("indexed") or "64")
        return _tinted(found, element.get("tint")) if found else None


@dataclass(frozen=True, slots=True)
class Styles:
    """The looks that cells name by number, and those that conditional formats do (None: they change no colour)."""

    looks: tuple[Look, ...] = ()
    conditional: tuple[tuple[str | None, str | None, str], ...] = ()  # colour of text, of the cell, number format
    colours: Colours = field(default_factory=Colours)

    def look(self, index: str | None) -> Look:
        number = int(index) if index and index.isdecimal() and len(index) < 9 else 0
        return self.looks[number] if number < len(self.looks) else _USUAL

    def hides(self, index: str | None) -> str:
        """How (`Hidden.how`) the conditional format of this number hides what is in a cell, "" where it does not."""
        number = int(index) if index and index.isdecimal() and len(index) < 9 else -1
        if not 0 <= number < len(self.conditional):
            return ""
        text, cell, code = self.conditional[number]
        if code and hides_text(code):
            return "part"
        return "colour" if text is not None and same(text, cell or WHITE) else ""


def read_styles(package: zipfile.ZipFile, links: list[Relationship], name: str) -> Styles:
    """The styles of a workbook; the usual look for all cells where they can't be read."""
    path = next((its.target for its in links if its.kind == "styles"), None)
    if path is None:
        return Styles()
    colours = Colours()
    try:
        root = parse_xml(part(package, path, name), name)
        colours.theme.update(_theme(package, links, name))
    except RefusedDocument:
        return Styles()
    palette = [element.get("rgb") or "" for element in root.iterfind("{*}colors/{*}indexedColors/{*}rgbColor")]
    if palette:
        stated = {str(number): rgb[-6:].upper() for number, rgb in enumerate(palette[:64])}
        colours = Colours(colours.theme, _INDEXED | stated)
    formats = dict(BUILT_IN)
    for element in root.iter("{*}numFmt"):
        number = element.get("numFmtId") or ""
        if number.isdecimal() and len(number) < 9 and local(element.getparent().tag) == "numFmts":
            formats[int(number)] = element.get("formatCode") or GENERAL
    fonts = [font_of(element, colours) for element in root.iterfind("{*}fonts/{*}font")]
    fills = [_fill(element, colours) for element in root.iterfind("{*}fills/{*}fill")]
    return Styles(
        tuple(_look(element, formats, fonts, fills) for element in root.iterfind("{*}cellXfs/{*}xf")),
        tuple(_conditional(element, colours) for element in root.iterfind("{*}dxfs/{*}dxf")),
        colours,
    )


def _theme(package: zipfile.ZipFile, links: list[Relationship], name: str) -> dict[str, str]:
    path = next((its.target for its in links if its.kind == "theme"), None)
    if path is None:
        return {}
    found = {}
    for entry in parse_xml(part(package, path, name), name).iterfind(".//{*}clrScheme/*"):
        for colour in entry[:1]:
            found[local(entry.tag)] = (colour.get("lastClr") or colour.get("val") or "").upper()
    return found


def _conditional(element: Any, colours: Colours) -> tuple[str | None, str | None, str]:
    text, pattern, code = (
        element.find("{*}font/{*}color"),
        element.find("{*}fill/{*}patternFill"),
        element.find("{*}numFmt"),
    )
    fill = None if pattern is None else pattern.find("{*}bgColor")  # of solid fills too, unlike those of cells
    return (
        None if text is None else colours.colour(text),
        None if fill is None else colours.colour(fill),
        "" if code is None else code.get("formatCode") or "",
    )


def _look(
    element: Any, formats: dict[int, str], fonts: list[tuple[str | None, float]], fills: list[str | None]
) -> Look:
    code = formats.get(_index(element, "numFmtId"), GENERAL)
    font, fill = _index(element, "fontId"), _index(element, "fillId")
    colour, size = fonts[font] if font < len(fonts) else (_BLACK, 11.0)
    background = fills[fill] if fill < len(fills) else WHITE
    if colour is not None and background is not None and same(colour, background):
        return Look(code, "colour", background)
    if size < SMALLEST_READABLE_PT:
        return Look(code, "size", background)
    return Look(code, "part" if hides_text(code) else "", background)


def font_of(element: Any, colours: Colours) -> tuple[str | None, float]:
    """Colour (None: not known) and size in points."""
    colour = element.find("{*}color")
    size = element.find("{*}sz")
    try:
        points = float(size.get("val")) if size is not None else 11.0
    except (TypeError, ValueError):
        points = 11.0
    return (_BLACK if colour is None else colours.colour(colour)), points


def _fill(element: Any, colours: Colours) -> str | None:
    """The colour of a solid fill, white where there is none, None where it is not known."""
    pattern = element.find("{*}patternFill")
    if pattern is None:
        return None  # a gradient
    kind = pattern.get("patternType") or "none"
    if kind == "none":
        return WHITE
    colour = pattern.find("{*}fgColor")
    return colours.colour(colour) if kind == "solid" and colour is not None else None


def same(one: str, other: str) -> bool:
    """Whether nobody can tell two colours apart."""
    try:
        pairs = zip(bytes.fromhex(one), bytes.fromhex(other), strict=True)
        return max((abs(a - b) for a, b in pairs), default=0) <= _NEAR
    except ValueError:
        return one == other


def _tinted(colour: str, tint: str | None) -> str | None:
    """The colour made lighter by a tint from 0 to 1, or darker by one down to -1."""
    if tint in (None, "0", "0.0"):
        return colour
    try:
        share, channels = max(-1.0, min(1.0, float(tint or 0))), bytes.fromhex(colour)
    except ValueError:
        return None
    mixed = (its * (1 + share) if share < 0 else its + (255 - its) * share for its in channels)
    return bytes(round(its) for its in mixed).hex().upper()


def _index(element: Any, attribute: str) -> int:
    text = element.get(attribute) or "0"
    return int(text) if text.isdecimal() and len(text) < 9 else 0
