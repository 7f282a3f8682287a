"""The structures of a DOC file: where its text stands, and how paragraphs and characters look ([MS-DOC] 2.4 to 2.9)."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

_STORIES = ("text", "footnotes", "headers", "macros", "comments", "endnotes", "textboxes")
_FIRST_COUNT = 0x4C  # ccpText, in the order of the stories
_PAIRS = 0x9A  # FibRgFcLcb97: offset and size of each structure in the table stream
_STYLES, _CHARACTER_PAGES, _PARAGRAPH_PAGES, _PIECES = 1, 12, 13, 33
_NOTES = {"footnotes": (2, 3), "comments": (4, 5), "endnotes": (46, 47)}  # references, texts
_COMMENT_REFERENCE = 30  # bytes beside each reference
_PAGE = 512
_COMPRESSED = 0x40000000
_TITLE = 62  # sti of the style of that name
_WHITE_INDEX, _WHITE = 8, 0x00FFFFFF
_SMALLEST_READABLE = 4  # half-points
_OPERAND = (1, 1, 2, 4, 2, 2, 0, 3)  # bytes by kind; 0: it says so itself
_LONG_OPERANDS = (0xD608,)
Look = TypeVar("Look")


@dataclass(frozen=True, slots=True)
class ParagraphLook:
    """`level` is that of a heading, 0 for the title."""

    level: int | None = None
    in_table: bool = False
    ends_row: bool = False
    in_list: bool = False
    list_level: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters from `start` to `end`, in the main stream from `offset` on, of one byte or two."""

    start: int
    end: int
    offset: int
    width: int


class DocFile:
    """Reads the main stream and the table stream of one document.

    Offsets come from the file and are only followed within it: what is damaged reads as nothing, raises ValueError
    (where there is no text to find), or IndexError.
    """

    def __init__(self, main: bytes, tables: bytes) -> None:
        self._main, self._tables = main, tables
        self._pieces = list(_pieces(self._structure(_PIECES)))
        if not self._pieces:
            raise ValueError("no pieces")
        if sum(piece.end - piece.start for piece in self._pieces) > len(main):
            raise ValueError("pieces that overlap")
        self._piece_starts = [piece.start for piece in self._pieces]
        self._levels = _heading_levels(self._structure(_STYLES))
        self._paragraphs = _Runs(main, self._structure(_PARAGRAPH_PAGES), _paragraph_properties)
        self._characters = _Runs(main, self._structure(_CHARACTER_PAGES), _character_properties)
        self._counts = [_number(main, _FIRST_COUNT + 4 * index, 4) for index in range(len(_STORIES))]

    def story(self, name: str) -> tuple[int, int]:
        """The first character of a story, and the one behind its last."""
        index = _STORIES.index(name)
        start = sum(self._counts[:index])
        return start, min(start + self._counts[index], self._pieces[-1].end)

    def notes(self, name: str) -> dict[int, tuple[int, int]]:
        """The texts of notes or comments, by the character that refers to them."""
        references, texts = (self._structure(index) for index in _NOTES[name])
        beside = _COMMENT_REFERENCE if name == "comments" else 2
        count = max(0, (len(references) - 4) // (4 + beside))
        start, end = self.story(name)
        last = start
        found = {}
        for index in range(count):
            first, behind = (start + _number(texts, 4 * place, 4) for place in (index, index + 1))
            if last <= first < behind <= end:
                last = behind
                found[_number(references, 4 * index, 4)] = (first, behind)
        return found

    def characters(self, start: int, end: int) -> Iterator[tuple[int, str, str | None]]:
        """The characters of a story (halves of those beyond 65,535 one by one) with their places, and how each is
        hidden: as in `Hidden.how`, or "deleted"; None where it is seen.
        """
        first = max(0, bisect_right(self._piece_starts, start) - 1)
        for piece in self._pieces[first:]:
            if piece.start >= end:
                return
            begin, behind = max(start, piece.start), min(end, piece.end)
            offset = piece.offset + (begin - piece.start) * piece.width
            data = self._main[offset : offset + max(0, behind - begin) * piece.width]
            if piece.width == 1:
                text: Iterable[str] = data.decode("cp1252", "replace")
            else:
                text = map(chr, memoryview(data[: len(data) // 2 * 2]).cast("H"))
            until, how = offset, None
            for index, character in enumerate(text):
                if offset >= until:
                    how, until = self._characters.at(offset)
                yield begin + index, character, how
                offset += piece.width

    def paragraph_look(self, place: int) -> ParagraphLook:
        """The look of the paragraph that ends at `place`."""
        found, _ = self._paragraphs.at(self._offset(place))
        style, look = found or (0, ParagraphLook())
        return look if look.level is not None else replace(look, level=self._levels.get(style))

    def _offset(self, place: int) -> int:
        piece = self._pieces[max(0, bisect_right(self._piece_starts, place) - 1)]
        return piece.offset + (place - piece.start) * piece.width

    def _structure(self, index: int) -> bytes:
        offset, size = (_number(self._main, _PAIRS + 8 * index + 4 * half, 4) for half in (0, 1))
        return self._tables[offset : offset + size]


class _Runs(Generic[Look]):
    """Looks by offset in the main stream, from the pages that a structure lists."""

    def __init__(self, main: bytes, pages: bytes, read: Callable[[bytes, int, int], Look | None]) -> None:
        self._starts: list[int] = []
        self._runs: list[tuple[int, Look | None]] = []  # where it ends, and how it looks
        count = max(0, (len(pages) - 4) // 8)
        for index in range(count):
            number = _number(pages, 4 * (count + 1 + index), 4) & 0x3FFFFF
            page = main[number * _PAGE : (number + 1) * _PAGE]
            if len(page) < _PAGE:
                continue
            for run in range(page[-1]):
                start, end = _number(page, 4 * run, 4), _number(page, 4 * run + 4, 4)
                if start < end and (not self._runs or start >= self._runs[-1][0]):
                    self._starts.append(start)
                    self._runs.append((end, read(page, page[-1], run)))

    def at(self, offset: int) -> tuple[Look | None, int]:
        """The look at `offset`, and the offset where another may begin."""
        index = bisect_right(self._starts, offset) - 1
        if index >= 0 and offset < self._runs[index][0]:
            return self._runs[index][1], self._runs[index][0]
        return None, self._starts[index + 1] if index + 1 < len(self._starts) else sys.maxsize


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")


def _pieces(clx: bytes) -> Iterator[_Piece]:
    position = 0
    while position < len(clx) and clx[position] == 1:  # properties that pieces share
        position += 3 + _number(clx, position + 1, 2)
    if position >= len(clx) or clx[position] != 2:
        return
    table = clx[position + 5 : position + 5 + _number(clx, position + 1, 4)]
    count = max(0, (len(table) - 4) // 12)
    last = 0
    for index in range(count):
        start, end = _number(table, 4 * index, 4), _number(table, 4 * index + 4, 4)
        offset = _number(table, 4 * (count + 1) + 8 * index + 2, 4)
        if start < last or end <= start:
            continue
        last = end
        if offset & _COMPRESSED:
            yield _Piece(start, end, (offset & ~_COMPRESSED) // 2, 1)
        else:
            yield _Piece(start, end, offset, 2)


def _heading_levels(sheet: bytes) -> dict[int, int]:
    """Levels of the styles that are headings or based on one, 0 for the title."""
    levels: dict[int, int] = {}
    bases: dict[int, int] = {}
    position = 2 + _number(sheet, 0, 2)
    style = 0
    while position + 2 <= len(sheet):
        size = _number(sheet, position, 2)
        if size >= 4:
            built_in = _number(sheet, position + 2, 2) & 0xFFF
            if built_in == _TITLE:
                levels[style] = 0
            elif 1 <= built_in <= 9:
                levels[style] = built_in
            bases[style] = _number(sheet, position + 4, 2) >> 4
        position += 2 + size + size % 2
        style += 1
    for its in bases:
        seen, base = {its}, its
        while base not in levels and base in bases and bases[base] not in seen:
            base = bases[base]
            seen.add(base)
        if base in levels:
            levels[its] = levels[base]
    return levels


def _paragraph_properties(page: bytes, count: int, index: int) -> tuple[int, ParagraphLook] | None:
    """The style of a paragraph, and its look as far as it is its own."""
    position = 2 * page[4 * (count + 1) + 13 * index]
    if position == 0:
        return None
    if page[position] == 0:
        start, size = position + 2, 2 * page[position + 1]
    else:
        start, size = position + 1, 2 * page[position] - 1
    properties = dict(_modifiers(page[start + 2 : start + size]))
    outline = properties.get(0x2640, b"\x09")[0]
    look = ParagraphLook(
        level=outline + 1 if outline < 9 else None,
        in_table=properties.get(0x2416, b"\0") != b"\0" or _number(properties.get(0x6649, b""), 0, 4) > 0,
        ends_row=properties.get(0x2417, b"\0") != b"\0" or properties.get(0x244C, b"\0") != b"\0",
        in_list=_number(properties.get(0x460B, b""), 0, 2) not in (0, 0xF801),
        list_level=properties.get(0x260A, b"\0")[0],
    )
    return _number(page, start, 2), look


def _character_properties(page: bytes, count: int, index: int) -> str | None:
    """How a run of characters is hidden."""
    position = 2 * page[4 * (count + 1) + index]
    if position == 0:
        return None
    properties = dict(_modifiers(page[position + 1 : position + 1 + page[position]]))
    if properties.get(0x0800, b"\0") == b"\x01":
        return "deleted"
    if properties.get(0x083C, b"\0") == b"\x01":
        return "part"
    if _number(properties.get(0x4A43, b"\x18\0"), 0, 2) < _SMALLEST_READABLE:
        return "size"
    shaded = 0xCA71 in properties or 0x4866 in properties or 0x2A0C in properties  # by colour, pattern, highlight
    white = _number(properties.get(0x6870, b""), 0, 4) == _WHITE or properties.get(0x2A42) == bytes([_WHITE_INDEX])
    return "colour" if white and not shaded else None


def _modifiers(properties: bytes) -> Iterator[tuple[int, bytes]]:
    """Single property modifiers with their operands ([MS-DOC] 2.6)."""
    position = 0
    while position + 2 < len(properties):
        code = _number(properties, position, 2)
        position += 2
        size = _OPERAND[code >> 13]
        if code in _LONG_OPERANDS:
            size, position = max(0, _number(properties, position, 2) - 1), position + 2
        elif size == 0:
            size, position = properties[position], position + 1
        yield code, properties[position : position + size]
        position += size
