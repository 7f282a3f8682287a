"""Headings of a PDF: its bookmarks; where it has none, short lines that are larger than the text or bold and alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.types import Heading, Page

Bookmark = tuple[int, str, int]  # level from 1, title, index of the page

_LARGER = 1.15  # than the text, in size
_MAX_WORDS, _MAX_CHARACTERS, _MAX_LINES = 16, 120, 3
_MAX_LEVEL = 4
_MAX_BOLD_SHARE = 0.3  # of the characters in the text's size: with more, bold is no distinction
_MAX_SHARE = 0.25  # of all paragraphs: with more, these are no headings but the text
_REPEATED = 3  # pages that have it: a running head
_LETTERS = re.compile(r"[^\W\d_]{2}|[\u0590-\uffff]")
_SENTENCE_ENDS = (".", ",", ";", ":", "\u3002")


@dataclass(frozen=True, slots=True)
class Placed:
    """A paragraph at its offset in the document's text, on the page with this index."""

    start: int
    page: int
    paragraph: Paragraph


def by_bookmarks(bookmarks: Iterable[Bookmark], texts: Sequence[str], pages: Sequence[Page]) -> tuple[Heading, ...]:
    """Bookmarks as headings where their title stands on their page, else where the page starts."""
    found = [
        Heading(start=pages[index].start + _place(title, texts[index]), level=level, title=title)
        for level, title, index in bookmarks
    ]
    return tuple(sorted(found, key=lambda heading: heading.start))


def _place(title: str, page: str) -> int:
    """The offset of `title` on its page: as lines of its own (after a number) if possible, else anywhere, else 0."""
    words = r"\s+".join(re.escape(word) for word in title.split())
    match = re.search(rf"^[\d.]*[ \t]*{words}[ \t]*$", page, re.M | re.I) or re.search(words, page)
    return match.start() if match else 0


def by_looks(placed: Sequence[Placed]) -> tuple[Heading, ...]:
    """Paragraphs that look like headings: level 1 for the largest size. Doubtful ones are none."""
    sizes: Counter[float] = Counter()
    bold: Counter[float] = Counter()
    for its in placed:
        sizes[_rounded(its.paragraph.size)] += len(its.paragraph.text)
        bold[_rounded(its.paragraph.size)] += len(its.paragraph.text) if its.paragraph.bold else 0
    if not sizes:
        return ()
    body = max(sizes, key=lambda size: (sizes[size], -size))
    bold_tells = bold[body] <= _MAX_BOLD_SHARE * sizes[body]
    seen = Counter((its.paragraph.text, its.page) for its in placed)
    repeated = Counter(text for text, _ in seen)
    found: list[tuple[Placed, float]] = []
    for index, its in enumerate(placed):
        rank = _rank(its.paragraph, body, bold_tells)
        alone = index + 1 < len(placed) and not placed[index + 1].paragraph.is_table
        if rank is not None and repeated[its.paragraph.text] < _REPEATED and (alone or rank > body):
            found.append((its, rank))
    found = _before_text(found, placed)
    if len(found) > max(1, _MAX_SHARE * len(placed)) and len(found) > 0.5 * len(placed):
        return ()
    ranks = sorted({rank for _, rank in found}, reverse=True)
    levels = {rank: min(level, _MAX_LEVEL) for level, rank in enumerate(ranks, start=1)}
    return tuple(
        Heading(start=its.start, level=levels[rank], title=" ".join(its.paragraph.text.split())) for its, rank in found
    )


def _rank(paragraph: Paragraph, body: float, bold_tells: bool) -> float | None:
    """How prominent a heading is: its size, for a bold one in the text's size that size; None for no heading."""
    text = paragraph.text
    if paragraph.is_table or paragraph.lines > _MAX_LINES or len(text) > _MAX_CHARACTERS:
        return None
    if not _LETTERS.search(text) or len(text.split()) > _MAX_WORDS or text.endswith(_SENTENCE_ENDS):
        return None
    size = _rounded(paragraph.size)
    if size >= _LARGER * body:
        return size
    starts_well = text[:1].isupper() or text[:1].isdigit() or not text[:1].isascii()
    if bold_tells and paragraph.bold and paragraph.lines == 1 and size >= body - 0.5 and starts_well:
        return body
    return None


def _before_text(found: list[tuple[Placed, float]], placed: Sequence[Placed]) -> list[tuple[Placed, float]]:
    """Without headings that nothing follows: what is large at the very end is no heading of anything."""
    if placed and found and found[-1][0] is placed[-1]:
        return found[:-1]
    return found


def _rounded(size: float) -> float:
    return round(2 * size) / 2
