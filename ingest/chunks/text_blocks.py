"""The blocks of a text: paragraphs, list items, tables and code, and where these may be cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ingest.chunks.cutting import Span, trimmed

Kind = Literal["text", "table", "code"]

_FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_LIST_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])\s")
_LINE_END = re.compile("\n")
# Loaders name code `text/x-` and its language, but these are prose.
_PROSE = frozenset({"text/x-rst", "text/x-org", "text/x-tex", "text/x-asciidoc", "text/x-markdown"})


@dataclass(frozen=True, slots=True)
class Block:
    """`text[start:end]`, without white space around it. `body` is where the rows of a table begin below its header.

    A table without a header has its body at `start`, and so has what is no table.
    """

    start: int
    end: int
    kind: Kind
    body: int

    @property
    def has_header(self) -> bool:
        return self.kind == "table" and self.start < self.body < self.end


def is_source_code(media_type: str) -> bool:
    """Whether a document is a file of source code from its first line to its last."""
    return media_type.startswith("text/x-") and media_type not in _PROSE


def code_block(text: str, start: int, end: int) -> Block:
    """All that stands between two offsets of a file of source code; more than white space does."""
    start, end = trimmed(text, start, end)
    return Block(start, end, "code", start)


def blocks(text: str, start: int, end: int) -> Iterator[Block]:
    """Paragraphs, list items, fenced code and tables of Markdown between two offsets, in order.

    A fence without an end reaches to the end of the section, as in CommonMark. The lines of a table begin with a bar,
    or have one, as the line below its header has: GitHub Flavored Markdown, section 4.10.
    """
    kind = ""  # of the block that is open: "", "text", "table", "bare table", or the mark that began a fence
    block_start = line_start = above = start
    while line_start < end:
        found = text.find("\n", line_start, end)
        line_end = end if found < 0 else found + 1
        line = text[line_start:line_end].strip()
        fence = _FENCE.match(line)
        if kind.startswith(("`", "~")):
            if fence and line == fence[0] and line.startswith(kind):
                yield _block(text, block_start, line_end, kind)
                kind = ""
        elif kind == "text" and _is_below_header(line) and "|" in text[above:line_start]:
            if text[block_start:above].strip():
                yield _block(text, block_start, above, kind)
            kind, block_start = "bare table", above
        else:
            line_kind = fence[0] if fence else _kind_of_line(line, kind)
            if kind and (line_kind != kind or (kind == "text" and _LIST_ITEM.match(line))):
                yield _block(text, block_start, line_start, kind)
                kind = ""
            if line_kind and not kind:
                kind, block_start = line_kind, line_start
        above, line_start = line_start, line_end
    if kind:
        yield _block(text, block_start, end, kind)


def rows(text: str, table: Block) -> list[Span]:
    """The header of a table, where it has one, and its rows."""
    ends = [match.end() for match in _LINE_END.finditer(text, table.body, table.end)]
    cuts = [table.body, *ends, table.end]
    header = [trimmed(text, table.start, table.body)] if table.has_header else []
    return header + [trimmed(text, *line) for line in pairwise(cuts) if text[slice(*line)].strip()]


def paragraphs_of_code(text: str, code: Block) -> list[list[Span]]:
    """The lines of code, in groups that blank lines divide. A fence stays with the line behind or before it."""
    cuts = [code.start, *(match.end() for match in _LINE_END.finditer(text, code.start, code.end)), code.end]
    lines = [trimmed(text, *line) for line in pairwise(cuts) if text[slice(*line)].strip()]
    if _FENCE.match(text[slice(*lines[0])]):
        lines = _with_fences(lines)
    groups = [[lines[0]]]
    for before, line in pairwise(lines):
        if text.count("\n", before[1], line[0]) > 1:
            groups.append([])
        groups[-1].append(line)
    return groups


def _with_fences(lines: list[Span]) -> list[Span]:
    if len(lines) < 4:
        return [(lines[0][0], lines[-1][1])]
    return [(lines[0][0], lines[1][1]), *lines[2:-2], (lines[-2][0], lines[-1][1])]


def _block(text: str, start: int, end: int, kind: str) -> Block:
    start, end = trimmed(text, start, end)
    if kind == "text":
        return Block(start, end, "text", start)
    if not kind.endswith("table"):
        return Block(start, end, "code", start)
    header_end = text.find("\n", start, end) + 1
    below_end = text.find("\n", header_end, end) + 1
    has_rows = header_end and below_end and _is_below_header(text[header_end:below_end].strip())
    return Block(start, end, "table", below_end if has_rows else start)


def _kind_of_line(line: str, kind: str) -> str:
    if kind == "bare table" and "|" in line:
        return kind
    return "table" if line.startswith("|") else "text" if line else ""


def _is_below_header(line: str) -> bool:
    """`| --- | :-: |`"""
    return "|" in line and "-" in line and not line.strip("|-: \t")
