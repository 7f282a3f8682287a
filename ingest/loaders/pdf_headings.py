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
_MAX_SHARE = 0.6  # of all paragraphs: with more, these are no headings but the text
_REPEATED = 3  # pages that have it: a running head
_FEW_WORDS = 6  # that a heading with a colon at its end may have
_PRINTED = re.compile(r"\d:\d\d\b.*(?:\bpage \d|\d ?/ ?\d)", re.I)  # the time, and the number of pages
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]{2}|[\u0590-\uffff]")
_SENTENCE_ENDS = (".", ",", ";", ":", "\u3002")


@dataclass(frozen=True, slots=True)
class Placed:
    """A paragraph at its offset in the document's text, on the page with this index."""

    start: int
    page: int
    paragraph: Paragraph


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    rank: float
    title: str


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
        if not its.paragraph.is_table and its.paragraph.size:  # OCR knows none
            sizes[_rounded(its.paragraph.size)] += len(its.paragraph.text)
            bold[_rounded(its.paragraph.size)] += len(its.paragraph.text) if its.paragraph.bold else 0
    if not sizes:
        return ()
    body = max(sizes, key=lambda size: (sizes[size], -size))
    bold_tells = bold[body] <= _MAX_BOLD_SHARE * sizes[body]
    running = _running(placed)
    found: list[_Found] = []
    last = -1
    for index, its in enumerate(placed[:-1]):  # the last has nothing below it
        rank = _rank(its.paragraph, body, bold_tells)
        if rank is None or _pattern(its) in running or (rank == body and placed[index + 1].paragraph.tight):
            continue
        title = " ".join(its.paragraph.text.split())
        above = found[-1] if found and last == index - 1 and found[-1].rank == rank > body else None
        last = index
        if above is not None and len(above.title) + len(title) < _MAX_CHARACTERS:  # a title of two lines
            found[-1] = _Found(above.start, rank, f"{above.title} {title}")
        else:
            found.append(_Found(its.start, rank, title))
    if len(found) > _MAX_SHARE * len(placed):
        return ()
    ranks = sorted({its.rank for its in found}, reverse=True)
    levels = {rank: min(level, _MAX_LEVEL) for level, rank in enumerate(ranks, start=1)}
    return tuple(Heading(start=its.start, level=levels[its.rank], title=its.title) for its in found)


def below_title(headings: Sequence[Heading], title: str) -> tuple[Heading, ...]:
    """`headings` one level lower, so that the title that the file states heads them all; as they are if one is it."""
    if not title or any(heading.title.casefold() == title.casefold() for heading in headings):
        return tuple(headings)
    return tuple(Heading(heading.start, heading.level + 1, heading.title) for heading in headings)


def _running(placed: Iterable[Placed]) -> set[str]:
    """What stands on several pages with at most other numbers: running heads and feet."""
    counts = Counter(text for text, _ in {(_pattern(its), its.page) for its in placed})
    return {text for text, count in counts.items() if count >= _REPEATED}


def _pattern(its: Placed) -> str:
    return _DIGITS.sub("0", its.paragraph.text[: _MAX_CHARACTERS + 1])


def _rank(paragraph: Paragraph, body: float, bold_tells: bool) -> float | None:
    """How prominent a heading is: its size, for a bold one in the text's size that size; None for no heading."""
    text = paragraph.text
    if paragraph.is_table or paragraph.aside or paragraph.lines > _MAX_LINES or len(text) > _MAX_CHARACTERS:
        return None
    words = len(text.split())
    if not _LETTERS.search(text) or words > _MAX_WORDS or _PRINTED.search(text):
        return None
    if text.endswith(_SENTENCE_ENDS) and not (text.endswith(":") and words <= _FEW_WORDS):
        return None
    size = _rounded(paragraph.size)
    if not size:  # of what OCR read
        return None
    if size >= _LARGER * body:
        return size
    starts_well = text[:1].isupper() or text[:1].isdigit() or not text[:1].isascii()
    if bold_tells and paragraph.bold and paragraph.lines == 1 and size >= body - 0.5 and starts_well:
        return body
    return None


def _rounded(size: float) -> float:
    return round(2 * size) / 2
