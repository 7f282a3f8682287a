"""Running heads and feet of PDF pages: lines that stand at one place of most pages, equal but for page numbers."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.loaders.pdf_lines import framed
from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.loaders.pdf_words import Box

_MARGIN = 0.2  # of the page's height
_MAX_LINES, _MAX_CHARACTERS = 2, 200
_AT_AN_EDGE = 3  # paragraphs that are looked at, above and below
_MIN_PAGES = 3
_MOST = 0.4  # of the pages: left and right ones may have their own
_SAME_PLACE = 4.0  # points
_LARGER = 1.1  # than the text: a title of each page, such as a slide's
_COUNTING = 0.8  # of the lines whose numbers count with the pages: others are data
_FEW_WORDS = 2  # beside the number, such as "Page 3 of 5": nothing is lost with it
_SENTENCE_ENDS = (".", "!", "?", "\u3002")
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class _Line:
    page: int
    place: float  # from the edge
    paragraph: Paragraph


def mark_edges(paragraphs: Sequence[Paragraph], page_box: Box) -> None:
    """Tells the short paragraphs in the upper and lower margin of one page how far they are from its edge."""
    main = [its for its in paragraphs if not its.aside]
    if not main:
        return
    _, top, _, bottom = framed(page_box, main[0].turn)
    attached = {id(above) for above, below in pairwise(main) if below.tight}
    for is_top in (True, False):
        ordered = sorted(main, key=lambda its: its.box[1] if is_top else -its.box[3])
        for paragraph in ordered[:_AT_AN_EDGE]:
            place = paragraph.box[1] - top if is_top else bottom - paragraph.box[3]
            is_long = paragraph.lines > _MAX_LINES or len(paragraph.text) > _MAX_CHARACTERS
            joined = paragraph.tight or id(paragraph) in attached
            is_text = paragraph.is_table or (is_top and paragraph.text.endswith(_SENTENCE_ENDS))
            if place > _MARGIN * (bottom - top) or is_long or joined or is_text or not paragraph.text:
                break
            paragraph.edge = ("top" if is_top else "bottom", place)


def without_furniture(pages: Sequence[list[Paragraph]]) -> list[list[Paragraph]]:
    """`pages` without their running heads and feet. What is said nowhere else is kept where it stands first."""
    if len(pages) < _MIN_PAGES:
        return list(pages)
    groups: dict[tuple[str, str], list[_Line]] = defaultdict(list)
    sizes: Counter[float] = Counter()
    for page, paragraphs in enumerate(pages):
        for paragraph in paragraphs:
            sizes[paragraph.size] += len(paragraph.text)
            if paragraph.edge:
                side, place = paragraph.edge
                groups[side, _pattern(paragraph.text)].append(_Line(page, place, paragraph))
    body = max(sizes, key=lambda size: (sizes[size], -size), default=0.0)
    needed = max(_MIN_PAGES, _MOST * sum(any(its.text for its in page) for page in pages))
    left_out: set[int] = set()
    for (_, pattern), lines in groups.items():
        running = _running(lines, needed, body)
        if not running:
            continue
        few = len({line.paragraph.text for line in running}) > 1 and len(_LETTERS.findall(pattern)) <= _FEW_WORDS
        kept = 0 if few or _is_said(pattern, pages, {id(line.paragraph) for line in running}) else 1
        left_out.update(id(line.paragraph) for line in running[kept:])
    remaining = [[its for its in page if id(its) not in left_out] for page in pages]
    return [left if any(its.text for its in left) else page for left, page in zip(remaining, pages, strict=True)]


def _running(lines: Sequence[_Line], needed: float, body: float) -> list[_Line]:
    """Those of the lines with one pattern that make a running head; none where they are data or titles."""
    if len(lines) < needed:
        return []
    usual = statistics.median(line.place for line in lines)
    found = [line for line in lines if abs(line.place - usual) <= _SAME_PLACE]
    found = [
        line for line in found if line.paragraph.size <= _LARGER * body or not _LETTERS.search(line.paragraph.text)
    ]
    if len({line.page for line in found}) < needed:
        return []
    numbers = [[int(digits[-9:]) for digits in _DIGITS.findall(line.paragraph.text)] for line in found]
    for column in zip(*numbers, strict=True):
        if len(set(column)) == 1:
            continue
        steps = Counter(number - line.page for number, line in zip(column, found, strict=True))
        if steps.most_common(1)[0][1] < _COUNTING * len(found):
            return []
    return found


def _is_said(pattern: str, pages: Sequence[list[Paragraph]], but: set[int]) -> bool:
    """Whether another paragraph says the same."""
    return any(pattern in _pattern(paragraph.text) for page in pages for paragraph in page if id(paragraph) not in but)


def _pattern(text: str) -> str:
    return _DIGITS.sub("0", " ".join(text.split()).casefold())
