"""AsciiDoc as Markdown-like text: headings, lists, tables and code; what it would include is never read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ingest.loaders.asciidoc_tables import ADDED_CHARACTERS, Repeats, TableForm, written
from ingest.loaders.asciidoc_words import DEFINITION, Attributes, Footnotes
from ingest.loaders.blocks import Block, fence, join
from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem, undecoded
from ingest.types import Extracted

_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
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
        self._form = TableForm()  # of the table that follows
        most = ADDED_CHARACTERS + sum(map(len, lines))
        self._repeats = Repeats(most)
        self._attributes = Attributes(most)
        self._footnotes = Footnotes()
        self.notes: list[str] = []

    def blocks(self) -> Iterator[Block]:
        """Footnotes stand below the paragraph, the list or the table that they belong to."""
        for block in self._blocks():
            if not block.tight:
                yield from map(Block, self._footnotes.taken())
            if block.text and not block.text.startswith("```"):
                block = replace(block, text=self._footnotes.marked(block.text))
            yield block
            if not block.tight:
                yield from map(Block, self._footnotes.taken())
        yield from map(Block, self._footnotes.taken())

    def _blocks(self) -> Iterator[Block]:
        paragraph: list[str] = []
        while self._next < len(self._lines):
            line = self._attributes.replaced(self._lines[self._next].rstrip())
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
        if not line or line == "+":
            return []
        if definition := DEFINITION.match(line):
            self._attributes.define(definition)
            return []
        if line.startswith("//") and not line.startswith("///"):
            return []
        if _COMMENT.match(line):
            self._until(line)
            return []
        if _CODE.match(line):
            return [Block(fence("\n".join(self._until(line[:3] if line.startswith("```") else line))))]
        if mark := _TABLE.match(line):
            return [
                Block(
                    written(
                        [self._attributes.replaced(its) for its in self._until(line)],
                        mark[1],
                        self._taken_form(),
                        self._repeats,
                    )
                )
            ]
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
            self._form = self._form.with_attributes(line)
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

    def _taken_form(self) -> TableForm:
        form, self._form = self._form, TableForm()
        return form
