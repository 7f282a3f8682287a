"""Reads the control words of RTF and collects what they say."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.loaders.blocks import Block, repeated, table
from ingest.loaders.raised import raised
from ingest.loaders.rtf_looks import FARTHEST, NARROWEST, PAGE_WIDTH, TIGHTEST, Place, State
from ingest.loaders.rtf_words import CHARACTERS, CHARSETS, INSIDE, LEFT_OUT, READ, SIGNS

_TOKEN = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>.)|(?P<brace>[{}])"
    r"|[\r\n]+|(?P<text>[^\\{}\r\n]+)|\\",
    re.S,
)
_DEEPEST_LIST = 8
_LONGEST_NAME = 100
_MOST_BYTES = 1024  # that wait to be decoded together
_RAISING = ("body", "footnote", "annotation")  # destinations whose text is the document's
_MAX_CELLS = 64  # of a row that merges are kept for


def _counts(label: str) -> bool:
    """Whether what stands before a list item is a number or a letter; "o" is a bullet of many word processors."""
    return label != "o" and any(character.isalnum() for character in label)


@dataclass(slots=True)
class _Paragraph:
    """Properties of the paragraph that is read, until `\\pard`."""

    style: int = 0
    outline: int | None = None
    level: int = 0
    in_table: bool = False


@dataclass(slots=True)
class _Style:
    name: str = ""
    outline: int | None = None


@dataclass(slots=True)
class _Table:
    rows: list[list[str]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    goes_on: list[bool] = field(default_factory=list)  # by column: merged with the cell above
    merged: bool = False


class RtfReader:
    """Reads one file. `blocks` returns the text; the other results are there after it.

    Every token is read once, and braces are kept on a list, so that neither size nor nesting can do harm.
    """

    def __init__(self, data: bytes) -> None:
        self.title = ""
        self.comments: list[str] = []
        self.hidden: dict[str, list[str]] = {}
        self.objects: list[str] = []
        self._source = data.decode("latin-1")
        self._blocks: list[Block] = []
        self._state = State()
        self._stack: list[State] = []
        self._paragraph = _Paragraph()
        self._table = _Table()
        self._texts: dict[str, list[str]] = {"body": []}
        self._bytes = bytearray()  # characters of a code page, until something else comes
        self._to_skip = 0
        self._star = False
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._default_font = -1
        self._colours: list[tuple[int, ...] | None] = []
        self._mix: dict[str, int] = {}
        self._styles: dict[int, _Style] = {}
        self._style = 0
        self._label = ""
        self._author = ""
        self._notes: list[str] = []
        self._count = 0
        self._surrogate = 0
        self._width = PAGE_WIDTH

    def blocks(self) -> list[Block]:
        """The document as blocks; a title has level 0."""
        position = 0
        source = self._source
        while position < len(source):
            token = _TOKEN.match(source, position)
            if token is None:
                break
            position = token.end()
            word = token["word"]
            if word == "bin":
                position += max(0, int(token["number"] or 0))
            elif word is not None:
                self._word(word, None if token["number"] is None else int(token["number"]))
            elif token["hex"] is not None:
                self._byte(int(token["hex"], 16))
            elif token["brace"] is not None:
                self._brace(token["brace"])
            elif token["sign"] is not None:
                self._sign(token["sign"])
            elif token["text"] is not None:
                self._run(token["text"])
            if position < len(source) and not self._stack and self._blocks and token["brace"] == "}":
                break  # what follows the document is no part of it
        self._end_paragraph()
        self._end_table()
        return self._blocks

    def _brace(self, brace: str) -> None:
        self._flush()
        self._to_skip = 0
        if brace == "{":
            self._stack.append(replace(self._state))
        elif self._stack:
            before, self._state = self._state, self._stack.pop()
            if before.target != self._state.target:
                self._close(before.target)
        self._star = False

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._star = True
        elif sign in "\r\n":
            self._end_paragraph()
        elif sign in SIGNS:
            self._put(SIGNS[sign])

    def _word(self, word: str, number: int | None) -> None:
        if word == "u":
            self._unicode(number or 0)
            return
        if self._to_skip and word not in _ACTIONS:
            self._to_skip -= 1
            return
        self._flush()
        star, self._star = self._star, False
        if word in LEFT_OUT or (star and word not in READ and word not in INSIDE):
            self._state.target = ""
        elif word in READ:
            self._open(word)
        elif word in CHARACTERS:
            self._put(CHARACTERS[word])
        elif word == "upr":
            self._state.target = "" if self._state.target == "body" else self._state.target
        elif word == "ud":
            self._state.target = "body" if self._state.target == "" else self._state.target
        else:
            action = _ACTIONS.get(word)
            if action is not None:
                action(self, number)

    def _open(self, target: str) -> None:
        if not self._state.target or (target == "title" and "title" in self._texts and self.title):
            self._state.target = ""
            return
        self._state.target = target
        self._texts[target] = []
        if target == "footnote":
            self._count += 1
            self._texts["body"].append(f"[{self._count}]")

    def _close(self, target: str) -> None:
        """The end of a group that had a destination of its own."""
        if not target or target == "body":
            return
        text = "".join(self._texts.pop(target, []))
        if target == "title":
            self.title = self.title or text
        elif target == "footnote":
            self._notes.append(f"[{self._count}] {' '.join(text.split())}")
        elif target == "atnauthor":
            self._author = " ".join(text.split())
        elif target == "annotation":
            said = " ".join(text.split())
            if said:
                self.comments.append(f"{self._author}: {said}" if self._author else said)
            self._author = ""
        elif target in ("listtext", "pntext"):
            self._label = " ".join(text.split())
        elif target == "objdata":
            self.objects.append(text)

    def _run(self, text: str) -> None:
        if self._state.target == "stylesheet":
            self._name_style(text)
        elif self._state.target == "colortbl":
            for _ in range(text.count(";")):
                self._colours.append(
                    (*(self._mix.get(part, 0) for part in ("red", "green", "blue")),) if self._mix else None
                )
                self._mix = {}
        elif self._state.target == "fonttbl":
            return
        elif self._to_skip:
            skipped = min(self._to_skip, len(text))
            self._to_skip -= skipped
            if text[skipped:]:
                self._run(text[skipped:])
        elif self._bytes and self._incomplete():
            self._bytes += text[0].encode("latin-1")
            if text[1:]:
                self._run(text[1:])
        elif text.isascii():
            self._put(text)
        else:
            self._bytes += text.encode("latin-1")
            if len(self._bytes) > _MOST_BYTES:
                self._flush()

    def _byte(self, byte: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        elif self._state.target:
            self._bytes.append(byte)

    def _flush(self) -> None:
        if self._bytes:
            text = self._bytes.decode(self._code(), "replace")
            self._bytes.clear()
            self._put(text)

    def _incomplete(self) -> bool:
        """Whether the last byte is the first of two: some programs write the second one as a character."""
        try:
            self._bytes.decode(self._code())
        except UnicodeDecodeError as error:
            return error.end == len(self._bytes)
        return False

    def _code(self) -> str:
        return self._fonts.get(self._state.font if self._state.font >= 0 else self._default_font, self._codec)

    def _unicode(self, number: int) -> None:
        self._flush()
        self._star = False
        code = number & 0xFFFF if -0x8000 <= number <= 0xFFFF else 0xFFFD
        if 0xD800 <= code < 0xDC00:
            self._surrogate = code
        elif 0xDC00 <= code < 0xE000 and self._surrogate:
            self._put(chr(0x10000 + ((self._surrogate - 0xD800) << 10) + code - 0xDC00))
            self._surrogate = 0
        else:
            self._put(chr(code))
        self._to_skip = self._state.skip

    def _put(self, text: str) -> None:
        """Text of the destination, or of the document as far as it is seen."""
        if self._bytes:
            self._flush()
        state = self._state
        if not state.target or state.deleted or state.target in ("fonttbl", "colortbl", "stylesheet"):
            return
        told = state.target == "body" and text.strip()
        how = state.hides(self._colours, self._width, in_table=self._paragraph.in_table) if told else None
        if how is not None:
            self.hidden.setdefault(how, []).append(text)
        else:
            is_raised = state.raised and state.target in _RAISING
            self._texts.setdefault(state.target, []).append(raised(text) if is_raised else text)

    def _name_style(self, text: str) -> None:
        its = self._styles.setdefault(self._style, _Style())
        its.name = (its.name + text[:_LONGEST_NAME])[:_LONGEST_NAME].rstrip(";").strip().lower()

    def _end_paragraph(self) -> None:
        self._flush()
        paragraph = self._paragraph
        if paragraph.in_table and self._state.target == "body":
            self._texts["body"].append(" ")
            return
        text = "".join(self._texts["body"]).strip()
        self._texts["body"] = []
        label, self._label = self._label, ""
        if text:
            self._end_table()
            self._blocks.append(self._block(text, label))
        if text or not paragraph.in_table:
            self._blocks += [Block(note) for note in self._notes]
            self._notes = []

    def _block(self, text: str, label: str) -> Block:
        style = self._styles.get(self._paragraph.style, _Style())
        outline = self._paragraph.outline if self._paragraph.outline is not None else style.outline
        if style.name == "title":
            return Block(text, 0)
        if style.name.startswith("heading ") and style.name[8:9].isdecimal():
            outline = int(style.name[8]) - 1
        if outline is not None and 0 <= outline < 9:
            return Block(f"{label} {text}" if _counts(label) else text, outline + 1)
        if label:
            label = label if _counts(label) else "-"
            indent = "  " * min(self._paragraph.level, _DEEPEST_LIST)
            return Block(f"{indent}{label} {' '.join(text.split())}", tight=True)
        return Block(text)

    def _end_cell(self) -> None:
        self._flush()
        text = " ".join("".join(self._texts["body"]).split())
        self._texts["body"] = []
        label, self._label = self._label, ""
        text = f"{label} {text}" if _counts(label) else text
        row, column = self._table, len(self._table.cells)
        above = row.rows[-1] if row.rows else []
        if not text and column < len(row.goes_on) and row.goes_on[column] and column < len(above):
            text = repeated(above[column])
        row.cells.append(text)

    def _end_row(self) -> None:
        if self._texts["body"]:
            self._end_cell()
        self._table.rows.append(self._table.cells)
        self._table.cells = []

    def _end_table(self) -> None:
        if self._table.cells:
            self._end_row()
        if self._table.rows:
            self._blocks.append(Block(table(self._table.rows)))
            self._blocks += [Block(note) for note in self._notes]
            self._notes = []
        self._table = _Table()

    # What control words do, each with its number (None: it has none).

    def _par(self, _: int | None) -> None:
        if self._state.target == "body":
            self._end_paragraph()
        elif self._state.target:
            self._put(" ")

    def _pard(self, _: int | None) -> None:
        if self._state.target == "body":
            self._paragraph = _Paragraph()
            self._state.place = Place()

    def _plain(self, _: int | None) -> None:
        self._state = State(self._state.target, self._state.skip, place=self._state.place)

    def _in_table(self, number: int | None) -> None:
        self._paragraph.in_table = number != 0

    def _cell(self, _: int | None) -> None:
        if self._state.target == "body":
            self._end_cell()

    def _row(self, _: int | None) -> None:
        if self._state.target == "body":
            self._end_row()

    def _row_defined(self, _: int | None) -> None:
        self._table.goes_on = []

    def _cell_defined(self, _: int | None) -> None:
        if len(self._table.goes_on) < _MAX_CELLS:
            self._table.goes_on.append(self._table.merged)
        self._table.merged = False

    def _cell_merged(self, _: int | None) -> None:
        self._table.merged = True

    def _style_number(self, number: int | None) -> None:
        if self._state.target == "stylesheet":
            self._style = number or 0
        else:
            self._paragraph.style = number or 0

    def _other_style(self, number: int | None) -> None:
        if self._state.target == "stylesheet":  # of characters or tables: kept apart from those of paragraphs
            self._style = -1 - (number or 0)

    def _outline(self, number: int | None) -> None:
        if self._state.target == "stylesheet":
            self._styles.setdefault(self._style, _Style()).outline = number
        else:
            self._paragraph.outline = number

    def _level(self, number: int | None) -> None:
        self._paragraph.level = max(0, number or 0)

    def _set_font(self, number: int | None) -> None:
        self._state.font = -1 if number is None else number

    def _charset(self, number: int | None) -> None:
        if self._state.target == "fonttbl" and number in CHARSETS:
            self._fonts[self._state.font] = CHARSETS[number]

    def _code_page(self, number: int | None) -> None:
        try:
            self._codec = codecs.lookup("utf-8" if number == 65001 else f"cp{number}").name
        except LookupError:
            self._codec = "cp1252"

    def _mac(self, _: int | None) -> None:
        self._codec = "mac_roman"

    def _set_default_font(self, number: int | None) -> None:
        self._default_font = -1 if number is None else number

    def _set_skip(self, number: int | None) -> None:
        self._state.skip = max(0, min(number or 0, 64))

    def _unseen(self, number: int | None) -> None:
        self._state.unseen = number != 0

    def _deleted(self, number: int | None) -> None:
        self._state.deleted = number != 0

    def _size(self, number: int | None) -> None:
        self._state.size = 24 if number is None else number

    def _colour(self, number: int | None) -> None:
        self._state.colour = number or 0

    def _shade(self, number: int | None) -> None:
        self._state.shade = number or 0

    def _scale(self, number: int | None) -> None:
        self._state.narrow = number is not None and number <= NARROWEST

    def _spacing(self, number: int | None) -> None:
        self._state.narrow = (number or 0) <= TIGHTEST

    def _spacing_in_quarters(self, number: int | None) -> None:
        self._spacing(5 * (number or 0))

    def _superscript(self, number: int | None) -> None:
        self._state.raised = number != 0

    def _on_the_line(self, _: int | None) -> None:
        self._state.raised = False

    def _moved_up(self, number: int | None) -> None:
        self._state.away = (number or 0) >= FARTHEST

    def _page_width(self, number: int | None) -> None:
        self._width = max(self._width, number or 0)

    def _indent(self, number: int | None) -> None:
        self._state.place = replace(self._state.place, left=number or 0)

    def _first_indent(self, number: int | None) -> None:
        self._state.place = replace(self._state.place, first=number or 0)

    def _right_indent(self, number: int | None) -> None:
        self._state.place = replace(self._state.place, right=number or 0)

    def _placed(self, number: int | None) -> None:
        place = self._state.place
        self._state.place = replace(place, frame=max(place.frame, number or 0, key=abs))

    def _line(self, number: int | None) -> None:
        # Positive heights are the least that a line has.
        self._state.place = replace(self._state.place, line=max(0, -(number or 0)))

    def _red(self, number: int | None) -> None:
        self._mix["red"] = number or 0

    def _green(self, number: int | None) -> None:
        self._mix["green"] = number or 0

    def _blue(self, number: int | None) -> None:
        self._mix["blue"] = number or 0


_ACTIONS: dict[str, Callable[[RtfReader, int | None], None]] = {
    "par": RtfReader._par,
    "sect": RtfReader._par,
    "page": RtfReader._par,
    "column": RtfReader._par,
    "pard": RtfReader._pard,
    "plain": RtfReader._plain,
    "intbl": RtfReader._in_table,
    "cell": RtfReader._cell,
    "row": RtfReader._row,
    "trowd": RtfReader._row_defined,
    "cellx": RtfReader._cell_defined,
    "clvmrg": RtfReader._cell_merged,
    "s": RtfReader._style_number,
    "cs": RtfReader._other_style,
    "ts": RtfReader._other_style,
    "ds": RtfReader._other_style,
    "outlinelevel": RtfReader._outline,
    "ilvl": RtfReader._level,
    "f": RtfReader._set_font,
    "fcharset": RtfReader._charset,
    "ansicpg": RtfReader._code_page,
    "mac": RtfReader._mac,
    "deff": RtfReader._set_default_font,
    "uc": RtfReader._set_skip,
    "v": RtfReader._unseen,
    "webhidden": RtfReader._unseen,
    "charscalex": RtfReader._scale,
    "expnd": RtfReader._spacing_in_quarters,
    "expndtw": RtfReader._spacing,
    "super": RtfReader._superscript,
    "sub": RtfReader._on_the_line,
    "nosupersub": RtfReader._on_the_line,
    "up": RtfReader._moved_up,
    "dn": RtfReader._moved_up,
    "paperw": RtfReader._page_width,
    "li": RtfReader._indent,
    "lin": RtfReader._indent,
    "fi": RtfReader._first_indent,
    "ri": RtfReader._right_indent,
    "posx": RtfReader._placed,
    "posnegx": RtfReader._placed,
    "posy": RtfReader._placed,
    "posnegy": RtfReader._placed,
    "sl": RtfReader._line,
    "deleted": RtfReader._deleted,
    "htmlrtf": RtfReader._deleted,
    "fs": RtfReader._size,
    "cf": RtfReader._colour,
    "cb": RtfReader._shade,
    "chcbpat": RtfReader._shade,
    "highlight": RtfReader._shade,
    "red": RtfReader._red,
    "green": RtfReader._green,
    "blue": RtfReader._blue,
}
