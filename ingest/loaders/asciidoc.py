"""AsciiDoc as Markdown-like text: headings, lists, tables and code; what it would include is never read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.loaders.blocks import Block, fence, join, table
from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem, undecoded
from ingest.types import Extracted

_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_ATTRIBUTE = re.compile(r":!?[\w-]{1,60}!?:(?:[ \t].*)?$")
_BLOCK_ATTRIBUTES = re.compile(r"\[(?:[^\]\[]|\[[^\[\]]*\])*\][ \t]*$")
_BLOCK_TITLE = re.compile(r"\.(?![. \t])(.+)")
_LIST_ITEM = re.compile(r"[ \t]*(\*{1,6}|-|\.{1,6}|\d{1,4}\.)[ \t]+(\S.*)")
_MACRO = re.compile(r"(include|image|video|audio|toc|ifdef|ifndef|ifeval|endif)::([^\[\s]*)\[([^\]]*)\]")
_CODE = re.compile(r"(-{4,}|\.{4,}|`{3,}|\+{4,})[^\s`]*[ \t]*$")
_COMMENT = re.compile(r"/{4,}[ \t]*$")
_TABLE = re.compile(r"([|,:!])={3,}[ \t]*$")
_CONTAINER = re.compile(
    r"(?:={4,}|\*{4,}|_{4,}|--)[ \t]*$"
)  # examples, side bars, quotations: only their marks are left out
# Before the bar of a cell: how often it is repeated, over how many columns and rows it goes, and how it is shown.
_CELL = re.compile(r"(?<!\\)(?:(?<!\S)(?:(\d{1,3})\*|(\d{1,3})?(?:\.\d{1,3})?\+)?[<^>]?(?:\.[<^>])?[adehlmsv]?)?\|")
_COLUMNS = re.compile(r"cols\s*=\s*(?:\"([^\"]*)\"|(\d+))")
_MAX_COLUMNS = 1000
# What repeated and wide cells may add to a document: beside its own length, some tables.
_ADDED_CHARACTERS = 100_000


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The document with its title as the first heading. Comments and attributes are left out.

    Raises UnsupportedFormat where the bytes are no text.
    """
    source = clean(decode(data, name))
    reader = _Reader(source.split("\n"))
    text, headings = join(reader.blocks())
    title = next((heading.title for heading in headings if heading.level == 1), None)
    return Extracted(
        text=text,
        title=title or stem(name),
        media_type="text/asciidoc",
        headings=headings,
        notes=(*undecoded(data, source), *reader.notes),
    )


class _Reader:
    """Goes through the lines once; a block that has no end goes to the end of the document."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._next = 0
        self._columns: int | None = None  # of the table that follows
        self._repeats = _Repeats(_ADDED_CHARACTERS + sum(map(len, lines)))
        self.notes: list[str] = []

    def blocks(self) -> Iterator[Block]:
        paragraph: list[str] = []
        while self._next < len(self._lines):
            line = self._lines[self._next].rstrip()
            self._next += 1
            found = self._special(line, at_start=not paragraph)
            if found is None:
                paragraph.append(line)
                continue
            yield Block("\n".join(paragraph))
            paragraph = []
            if found:
                yield from found
        yield Block("\n".join(paragraph))

    def _special(self, line: str, *, at_start: bool) -> list[Block] | None:
        """The blocks that a line begins, none where it only ends a paragraph; None for a line of a paragraph."""
        if not line or line == "+" or _ATTRIBUTE.match(line):
            return []
        if line.startswith("//") and not line.startswith("///"):
            return []
        if _COMMENT.match(line):
            self._until(line)
            return []
        if _CODE.match(line):
            return [Block(fence("\n".join(self._until(line[:3] if line.startswith("```") else line))))]
        if mark := _TABLE.match(line):
            return [Block(_table(self._until(line), mark[1], self._taken_columns(), self._repeats))]
        if _CONTAINER.match(line):
            return []
        if macro := _MACRO.match(line):
            return self._macro(macro)
        if item := _LIST_ITEM.match(line):
            indented = min((len(line) - len(line.lstrip())) // 2, 6)
            depth = max(indented, len(item[1]) - 1 if item[1][0] in "*." else 0)
            mark_of_item = "1." if item[1][0] == "." else "-" if item[1][0] in "*-" else item[1]
            return [Block(f"{'  ' * depth}{mark_of_item} {item[2]}", tight=True)]
        return self._at_start(line) if at_start else None

    def _at_start(self, line: str) -> list[Block] | None:
        """What is special at the beginning of a block only."""
        if heading := _HEADING.match(line):
            return [Block(heading[2], level=len(heading[1]))]
        if len(line) < 1000 and _BLOCK_ATTRIBUTES.match(line):
            if columns := _COLUMNS.search(line):
                self._columns = min(int(columns[2][:4]) if columns[2] else _stated_columns(columns[1]), _MAX_COLUMNS)
            return []
        title = _BLOCK_TITLE.match(line)
        return [Block(title[1])] if title else None

    def _macro(self, macro: re.Match[str]) -> list[Block]:
        kind, target, attributes = macro.groups()
        if kind == "include":
            self.notes.append(f"it includes {target or 'another file'}, which was not read")
        if kind != "image":
            return []
        alternative = attributes.split(",")[0].strip().strip('"')
        return [Block(alternative)] if alternative and "=" not in alternative else []

    def _until(self, mark: str) -> list[str]:
        """The lines up to the one that is `mark`, which is passed over."""
        start = self._next
        while self._next < len(self._lines) and self._lines[self._next].rstrip() != mark:
            self._next += 1
        self._next += 1
        return self._lines[start : self._next - 1]

    def _taken_columns(self) -> int | None:
        columns, self._columns = self._columns, None
        return columns


def _stated_columns(specification: str) -> int:
    """`1,2,3` and `3*` are three columns."""
    count = 0
    for part in specification.replace(";", ",").split(","):
        times = re.match(r"\s*(\d{1,3})\*", part)
        count += int(times[1]) if times else 1
    return max(count, 1)


class _Repeats:
    """What cells may still add to the document by being repeated, or by going over columns."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def granted(self, times: str | None, size: int) -> int:
        """How often a cell of `size` characters stands there that is to stand there `times`."""
        wanted = min(int(times), _MAX_COLUMNS) if times else 1
        granted = max(1, min(wanted, 1 + self._left // (size + 3)))
        self._left -= (granted - 1) * (size + 3)
        return granted


def _table(lines: list[str], mark: str, columns: int | None, repeats: _Repeats) -> str:
    """Rows are the lines where each has all its cells, else cells are counted off."""
    if mark in ",:":
        return table([cell.strip() for cell in line.split(mark)] for line in lines if line.strip())
    rows = [_cells(line.replace("!", "|") if mark == "!" else line, repeats) for line in lines if line.strip()]
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


def _cells(line: str, repeats: _Repeats) -> tuple[str, list[str]]:
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
