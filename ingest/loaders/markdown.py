"""Markdown: the text stays the source itself, without its front matter and what nobody sees of it."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise

from markdown_it import MarkdownIt

from ingest.loaders.blocks import under_title
from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.loaders.unseen_markup import seen_markdown
from ingest.types import Extracted, Heading

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
    text, hidden = seen_markdown(text)
    headings = headings_of(text)
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


def headings_of(text: str) -> tuple[Heading, ...]:
    """Top-level headings; `#` in code, lists and quotes is none. Only block structure is parsed: inlines cost most."""
    blocks = MarkdownIt("commonmark").enable("table")
    blocks.core.ruler.enableOnly(["block"])
    inlines = MarkdownIt("commonmark")
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    tokens = blocks.parse(text)
    found = []
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map is not None:
            title = _plain(inlines, _ATTRIBUTES.sub("", inline.content))
            found.append(Heading(start=starts[token.map[0]], level=int(token.tag[1:]), title=title))
    return tuple(found)


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
