"""Text to sentences with offsets: `text[start:end]` is the sentence, blank edges left out.

Made for answers of language models and for text extracted from documents, so lines count: list items, headings, table
rows and fenced code are units of their own, and a short line that is followed by a capital ends its sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "item", "heading", "code", "row"]

# A citation marker of the answerer: [1], [1, 2]; never [1.5] or [a].
MARKER = re.compile(r"\[\d{1,3}(?:\s*,\s*\d{1,3})*\]")

_PLAIN = str.maketrans(
    "\u2018\u2019\u02bc\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212\u00a0\u2009\u202f", "'''\"\"------   "
)
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+\S|\s*\*\*[^*\n]+\*\*:?\s*$")
_ITEM = re.compile(r"\s*(?:[-*+\u2022\u2023]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+(?=\S)")
_ROW = re.compile(r"\s*\|.*\|\s*$")
# A full stop, what closes after it and the markers that cite it; the full stops of Chinese and Japanese need no space.
_STOP = re.compile(
    rf"[.!?\u2026]+[\"')\]*_`]*(?:\s*{MARKER.pattern})*(?=\s|$)"
    rf"|[\u3002\uff01\uff1f][\"\u300d\u300f]*(?:\s*{MARKER.pattern})*"
)
_OPENERS = "([\"'*_`"
_SHORT_LINE = 50  # characters; lines wrapped by an editor are longer than this


def word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NEVER_LAST = word_set(
    "e.g i.e cf vs dr mr mrs ms prof st fig figs eq eqs sec ch vol pp ed eds approx ca resp incl excl gen sen rep"
)
_SELDOM_LAST = word_set("etc inc ltd corp co jr sr al a.m p.m u.s u.k u.n ph.d dept est min max")
_BEFORE_A_NUMBER = word_set("no nos p art ver v rev")
_STARTERS = word_set(
    "a an the this that these those it its he she they we you i there here in on at by for from with if when while as "
    "after before however also but and or so to both each all some most no not"
)


def plain(text: str) -> str:
    """`text` with typographic quotes, dashes and spaces as ASCII, character for character: offsets stay."""
    return text.translate(_PLAIN)


@dataclass(frozen=True, slots=True)
class Sentence:
    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together, before they are cut into sentences."""

    start: int
    end: int
    kind: Kind


def split_sentences(text: str) -> list[Sentence]:
    """All sentences of `text` in order, without overlap. Every character but white space, list markers, code fences
    and the hash signs of headings is in one of them."""
    text = plain(text)
    found: list[Sentence] = []
    for block in _blocks(text):
        if block.kind in ("code", "heading", "row"):
            found.extend(_trimmed(text, block.start, block.end, block.kind))
        else:
            for start, end in _cut(text, block.start, block.end):
                found.extend(_trimmed(text, start, end, block.kind))
    return found


def _blocks(text: str) -> Iterator[_Block]:
    """Paragraphs, list items, headings, rows and code, by lines."""
    start, last, end, kind = 0, 0, 0, None  # the block being gathered, `last` its last line; kind None: there is none
    fenced = False
    for line_start, line_end in _lines(text):
        line = text[line_start:line_end]
        new_kind: Kind | None = "sentence"
        content = line_start
        if _FENCE.match(line):
            fenced, new_kind = not fenced, None
        elif fenced:
            new_kind = "code"
        elif not line.strip():
            new_kind = None
        elif _HEADING.match(line):
            new_kind = "heading"
            content += len(line) - len(line.lstrip(" #"))
        elif _ROW.match(line):
            new_kind = "row"
        elif marker := _ITEM.match(line):
            new_kind = "item"
            content += marker.end()
        goes_on = (new_kind == "code" and kind == "code") or (
            new_kind == "sentence" and kind in ("sentence", "item") and not _ends_by_itself(text[last:end], line)
        )
        if not goes_on:
            if kind is not None:
                yield _Block(start, end, kind)
            start, kind = content, new_kind
        last, end = line_start, line_end
    if kind is not None:
        yield _Block(start, end, kind)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


def _ends_by_itself(line: str, next_line: str) -> bool:
    """Whether a line break ends a sentence that has no full stop, as in a title over its paragraph."""
    return len(line.strip()) < _SHORT_LINE and not next_line.lstrip()[:1].islower()


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for stop in _STOP.finditer(text, start, end):
        if _is_boundary(text, at, stop, end):
            yield at, stop.end()
            at = stop.end()
    yield at, end


def _is_boundary(text: str, sentence_start: int, stop: re.Match[str], end: int) -> bool:
    following = text[stop.end() : min(end, stop.end() + 80)].split(maxsplit=1)
    if not following or following[0][:1].islower():
        return not following
    if stop.group()[0] != "." or stop.group().startswith(".."):
        return True
    before = text[max(sentence_start, stop.start() - 80) : stop.start()].split()
    if not before:
        return False
    word = before[-1].lstrip(_OPENERS)
    low = word.lower()
    next_word = following[0].lstrip(_OPENERS)
    if low in _NEVER_LAST or (low in _BEFORE_A_NUMBER and next_word[:1].isdigit()):
        return False
    if low in _SELDOM_LAST:
        return next_word.lower().rstrip(",") in _STARTERS
    if word.isdigit() and len(word) <= 2 and (len(before) == 1 or before[-2].endswith(":")):
        return False  # "Steps: 1. Open the lid. 2. Close it." in running text
    is_unit = len(before) > 1 and before[-2][-1].isdigit()  # "450 W."
    is_initial = len(word) == 1 and word.isupper() and not is_unit
    return not is_initial or next_word.lower() in _STARTERS


def _trimmed(text: str, start: int, end: int, kind: Kind) -> Iterator[Sentence]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Sentence(start, end, kind)
