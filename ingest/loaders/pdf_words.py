"""The words of a PDF page with their places and looks, as PDFium finds them in the page's text layer."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium_c

Box = tuple[float, float, float, float]  # left, bottom, right, top in points, y upwards

# PDFium puts one of these for a hyphen at a line's end and leaves out the line end behind it.
_HYPHEN = re.compile("[\x02\ufffe]")
# TeX's bold fonts are named by their make (CMBX10, SFBX1000) and those of URW by weight (NimbusRomNo9L-Medi).
_BOLD_NAME = re.compile(r"bold|black|heavy|medi$|medi(?=ital)|demi|[,-]bd|\b(?:cm|sf|ec|la)(?:ss?)?(?:bx|sbx)", re.I)
_FORCE_BOLD = 1 << 18  # of a font's flags (ISO 32000, 9.8.2)
_QUARTER = math.pi / 2
_LOOSE_HEIGHT = 1.15  # of a line of most fonts, in font sizes
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_GAP = 0.12  # font sizes between words of two text objects that PDFium put no white space between
_EMPTY = 0.02  # font sizes
_NARROWEST = 0.05  # of a letter's usual width
_INVISIBLE_MODES = (3, 7)  # neither filled nor stroked; 7 only clips


@dataclass(frozen=True, slots=True)
class Style:
    """How a text object looks. `turn`: quarter turns anticlockwise from upright, None where it stands askew."""

    turn: int | None
    size: float
    bold: bool = False
    invisible: bool = False
    fill: tuple[int, int, int, int] | None = None  # red, green, blue, alpha; None where it is a pattern


@dataclass(slots=True)
class Word:
    """Characters without white space between. `line`: of PDFium's lines; `thing`: the address of its text object."""

    text: str
    box: Box
    style: Style
    line: int
    thing: int = 0
    hyphen: bool = False  # at the line's end, left out of `text`
    glued: bool = False  # no white space stands between it and the word before


class Words:
    """Reads the words of one page. Not safe for threads, as all of PDFium."""

    def __init__(self, layer: Any) -> None:
        """`layer`: PDFium's text page, which stays open while words are read."""
        self._layer = layer.raw
        self._bold_fonts: dict[int, bool] = {}
        self._styles: dict[int, Style] = {}
        self._rectangle, self._matrix = pdfium_c.FS_RECTF(), pdfium_c.FS_MATRIX()
        self._colour = tuple(ctypes.c_uint() for _ in range(4))
        self._things: dict[int, Any] = {}
        self._drawn_fonts: dict[int, bool] = {}
        self._sides = tuple(ctypes.c_double() for _ in range(4))
        self.doubtful: set[int] = set()  # text objects, by address, whose letters may be empty

    @property
    def things(self) -> dict[int, Any]:
        """The text objects that words were read from, by address."""
        return self._things

    def read(self) -> list[Word]:
        """In PDFium's order, which is the file's, with right-to-left text in the order in which it is read.

        A word that several text objects make together is split where the object changes: one half may be hidden.
        """
        text = self._text()
        words = []
        line = done = 0
        for match in re.finditer(r"\S+", text):
            line += text.count("\n", done, match.start())
            done = match.start()
            start = done
            for piece in _HYPHEN.split(match[0]):
                end = start + len(piece)
                for first, last in self._split(start, end) if piece else ():
                    words.append(self._word(text, first, last, line))
                    words[-1].glued = first > start
                if end < match.end():  # a hyphen, and a line's end
                    if words and piece:
                        words[-1].hyphen = True
                    line += 1
                start = end + 1
        return words

    def _text(self) -> str:
        """One character for each of PDFium's."""
        count = pdfium_c.FPDFText_CountChars(self._layer)
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        pdfium_c.FPDFText_GetText(self._layer, 0, count, buffer)
        units = bytes(buffer)[: 2 * count]
        text = units.decode("utf-16-le", "surrogatepass")
        if len(text) == count and not text.endswith("\0"):
            return text
        code = pdfium_c.FPDFText_GetUnicode
        return "".join(map(_character, (code(self._layer, index) for index in range(count))))

    def _split(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [start, end) that are each of one text object."""
        if end - start == 1:
            yield start, end
            return
        first = self._address(start)
        if self._address(end - 1) == first:
            yield start, end
            return
        for index in range(start + 1, end):
            address = self._address(index)
            if address != first:
                yield start, index
                start, first = index, address
        yield start, end

    def _address(self, index: int) -> int:
        thing = pdfium_c.FPDFText_GetTextObject(self._layer, index)
        return ctypes.addressof(thing.contents) if thing else 0

    def _word(self, text: str, start: int, end: int, line: int) -> Word:
        box = self._box(start)
        if end - start > 1:
            box = union(box, self._box(end - 1))
        thing = pdfium_c.FPDFText_GetTextObject(self._layer, start)
        address = ctypes.addressof(thing.contents) if thing else 0
        style = self._styles.get(address)
        if style is None:
            style = self._styles[address] = self._style(start, thing, box)
            if thing:
                self._things[address] = thing
                if self._is_drawn(thing):
                    self.doubtful.add(address)
        if address not in self.doubtful and (self._is_empty(start, style) or self._is_empty(end - 1, style)):
            self.doubtful.add(address)
        characters = text[start:end]
        if end - start > 1 and _LEFTWARDS.search(characters):
            characters = self._as_read(characters, start)
        return Word(text=characters, box=box, style=style, line=line, thing=address)

    def _as_read(self, characters: str, start: int) -> str:
        """PDFium turns right-to-left text round by characters: those of one glyph, a ligature, were in order."""
        result: list[str] = []
        before: Box | None = None
        at = 0  # where the characters of the glyph begin
        for index, character in enumerate(characters):
            box = self._box(start + index)
            if box != before or not _LEFTWARDS.match(character):
                at = len(result)
            result.insert(at, character)
            before = box
        return "".join(result)

    def _box(self, index: int) -> Box:
        its = self._rectangle
        if not pdfium_c.FPDFText_GetLooseCharBox(self._layer, index, its):
            x, y = ctypes.c_double(), ctypes.c_double()
            pdfium_c.FPDFText_GetCharOrigin(self._layer, index, x, y)
            return x.value, y.value, x.value, y.value
        return its.left, its.bottom, its.right, its.top

    def _style(self, index: int, thing: Any, box: Box) -> Style:
        angle = pdfium_c.FPDFText_GetCharAngle(self._layer, index)
        turns = -angle / _QUARTER  # PDFium measures clockwise
        turn = round(turns) % 4 if abs(turns - round(turns)) < 0.06 else None
        height = box[2] - box[0] if turn in (1, 3) else box[3] - box[1]
        size = self._size(index, height / _LOOSE_HEIGHT, turn is None)
        if not thing:
            return Style(turn, size)
        red, green, blue, alpha = self._colour
        filled = pdfium_c.FPDFPageObj_GetFillColor(thing, red, green, blue, alpha)
        fill = (red.value, green.value, blue.value, alpha.value) if filled else None
        invisible = pdfium_c.FPDFTextObj_GetTextRenderMode(thing) in _INVISIBLE_MODES
        return Style(turn, size, self._is_bold(thing), invisible, fill)

    def _size(self, index: int, by_box: float, askew: bool) -> float:
        """The font's size on the page. The text's matrix does not know of a form around it: its box then counts."""
        matrix = self._matrix
        if not pdfium_c.FPDFText_GetMatrix(self._layer, index, matrix):
            return by_box
        size = float(pdfium_c.FPDFText_GetFontSize(self._layer, index) * math.hypot(matrix.c, matrix.d))
        fits = askew or 0.6 * size <= by_box <= 1.8 * size
        if matrix.a * matrix.a + matrix.b * matrix.b < (_NARROWEST * math.hypot(matrix.c, matrix.d)) ** 2:
            return 0.0  # squeezed by its matrix
        return size if fits else by_box

    def _is_empty(self, index: int, style: Style) -> bool:
        """Whether the outline of the letter has next to no extent: PDFium then takes its width for that of the box."""
        left, right, bottom, top = self._sides
        if not pdfium_c.FPDFText_GetCharBox(self._layer, index, left, right, bottom, top):
            return True
        return min(right.value - left.value, top.value - bottom.value) < _EMPTY * style.size

    def _is_drawn(self, thing: Any) -> bool:
        """Whether the font is of type 3, whose letters are drawn as pictures are. It alone has no file."""
        font = pdfium_c.FPDFTextObj_GetFont(thing)
        if not font:
            return False
        address = ctypes.addressof(font.contents)
        if address not in self._drawn_fonts:
            size = ctypes.c_size_t()
            has_file = pdfium_c.FPDFFont_GetFontData(font, None, 0, size) and size.value > 0
            self._drawn_fonts[address] = not has_file
        return self._drawn_fonts[address]

    def _is_bold(self, thing: Any) -> bool:
        """By the font's name: PDFium guesses weights from stem widths, which many files state wrongly."""
        font = pdfium_c.FPDFTextObj_GetFont(thing)
        if not font:
            return False
        address = ctypes.addressof(font.contents)
        if address not in self._bold_fonts:
            name = ctypes.create_string_buffer(256)
            pdfium_c.FPDFFont_GetBaseFontName(font, name, 256)
            forced = pdfium_c.FPDFFont_GetFlags(font) & _FORCE_BOLD
            self._bold_fonts[address] = bool(forced or _BOLD_NAME.search(name.value.decode("latin-1")))
        return self._bold_fonts[address]


def union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _character(code: int) -> str:
    return chr(code) if 0 < code <= 0x10FFFF else "\0"
