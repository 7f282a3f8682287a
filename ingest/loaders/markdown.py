"""Markdown: the text stays the source itself, without its front matter and what nobody sees of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.loaders.blocks import under_title
from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.loaders.unseen_markdown import unseen_markdown
from ingest.loaders.unseen_markup import places_of, without
from ingest.types import Extracted, Heading, Hidden

_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?P<yaml>(?:[ \t]*\n|#[^\n]*\n)*[\w-]+[ \t]*:.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|$)", re.S
)
_TITLE = re.compile(r"^title[ \t]*:[ \t]*(?P<value>[^\n]+)$", re.M)
# White space is matched from its first character only: a heading with a million spaces would take hours.
_ATTRIBUTES = re.compile(r"(?<![ \t])[ \t]*\{:?[ \t]*[#.][^{}]*\}[ \t]*$")
_LONGEST_HEADING = 2000  # characters: the parser looks for the end of each mark from each of them


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The source with headings at their lines. Raises UnsupportedFormat where the bytes are no text.

    The title is that of the front matter, else the first heading of level 1, else the file's stem.
    """
    text, stated = _split_front_matter(clean(decode(data, name)))
    text, headings, hidden = read(text)
    first = next((heading.title for heading in headings if heading.level == 1 and heading.title), None)
    return Extracted(
        text=text,
        title=stated or first or stem(name),
        media_type="text/markdown",
        headings=under_title(headings, stated),
        hidden=hidden,
    )


def _split_front_matter(text: str) -> tuple[str, str | None]:
    """The text below the YAML front matter, and the `title` in it. A rule followed by prose is no front matter."""
    block = _FRONT_MATTER.match(text)
    if block is None:
        return text, None
    title = _TITLE.search(block["yaml"])
    return text[block.end() :], _scalar(title["value"]) if title else None


def _scalar(value: str) -> str | None:
    value = value.strip()
    if value.startswith((">", "|")):  # a block of several lines: too rare to need a YAML parser
        return None
    for quote in "\"'":
        if len(value) > 1 and value.startswith(quote) and value.endswith(quote):
            value = value[1:-1]
    return value.strip() or None


def read(text: str) -> tuple[str, tuple[Heading, ...], tuple[Hidden, ...]]:
    """What is seen of Markdown source, its top-level headings, and what is hidden in it.

    `#` in code, lists and quotes is no heading. Only block structure is parsed: inlines cost most.
    """
    blocks = _parsed(text)
    places, hidden = places_of(text, unseen_markdown(text, blocks))
    if not places:
        return text, tuple(heading for heading, _ in _headings(text, blocks)), ()
    seen = without(text, places)
    headings = []
    number = gone = 0
    for heading, end in _headings(text, blocks):
        while number < len(places) and places[number][1] <= heading.start:
            gone += places[number][1] - places[number][0]
            number += 1
        if number < len(places) and places[number][0] < end:  # part of the heading goes
            return seen, tuple(heading for heading, _ in _headings(seen, _parsed(seen))), hidden
        headings.append(replace(heading, start=heading.start - gone))
    return seen, tuple(headings), hidden


def _parsed(text: str) -> list[Token]:
    blocks = MarkdownIt("commonmark", {"inline_definitions": True}).enable("table")
    blocks.core.ruler.enableOnly(["block"])
    return blocks.parse(text)


def _headings(text: str, blocks: Sequence[Token]) -> Iterator[tuple[Heading, int]]:
    """Each heading, and where it ends."""
    inlines = MarkdownIt("commonmark")
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    for token, inline in pairwise(blocks):
        if token.type == "heading_open" and token.level == 0 and token.map is not None:
            title = _plain(inlines, _ATTRIBUTES.sub("", inline.content))
            level = int(token.tag[1:])
            yield Heading(start=starts[token.map[0]], level=level, title=title), starts[token.map[1]]


def _plain(inlines: MarkdownIt, source: str) -> str:
    """The words of a heading, without its markup: "Use `Path`" becomes "Use Path". What is too long keeps it."""
    if len(source) > _LONGEST_HEADING:
        return " ".join(source.split())
    parts = []
    for token in inlines.parseInline(source)[0].children or ():
        if token.type in ("text", "text_special", "code_inline", "image"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return " ".join("".join(parts).split())
