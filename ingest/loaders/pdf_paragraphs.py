"""Lines of a region to paragraphs: joined where the line end is the page's, kept where it is the writer's."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.loaders.pdf_hyphens import BREAK
from ingest.loaders.pdf_lines import Line, rows
from ingest.loaders.pdf_words import Box, union

_ITEM = re.compile(r"[-\u2013\u2022\u25aa\u25cf\u25e6\u2023\uf0b7*\u00b7](?:\s|$)|\(?\d{1,3}[.)](?:\s|$)|\(?[a-z]\)\s")
_SENTENCE_ENDS = (".", "!", "?", ":", ";", "\u3002", "\u061f")
_NO_SPACE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")  # scripts that write without spaces
_PARAGRAPH_GAP = 1.3  # of the usual step from line to line, and so many font sizes at least
_OWN_EDGE = 3  # lines of a group that has a right edge of its own
_SAME_SIZE = 0.12
_INDENT = 1.0  # font sizes by which a first line is set in


@dataclass(slots=True)
class Paragraph:
    """Text without blank lines, with BREAK where a word is broken. `box` is in the frame of its lines.

    `tight`: no blank line stands before it.
    """

    text: str
    size: float
    bold: bool
    lines: int
    box: Box
    tight: bool = False
    is_table: bool = False
    aside: bool = False  # turned otherwise than most of the page
    turn: int = 0  # quarter turns of its words
    edge: tuple[str, float] | None = None  # "top" or "bottom" of the page, and the distance, where it is near
    picture: Box | None = None  # on the page: what OCR reads there belongs here


@dataclass(slots=True)
class _Row:
    text: str
    box: Box
    size: float
    bold: bool
    hyphen: bool
    first_width: float  # of the first word
    cells: int


def paragraphs(
    lines: Iterable[Line], tables_in: Callable[[list[list[Line]]], list[Paragraph | list[Line]]]
) -> list[Paragraph]:
    """The paragraphs of one region, from above. `tables_in` replaces rows that make a table by what that reads."""
    result: list[Paragraph] = []
    pending: list[_Row] = []
    for item in tables_in(rows(lines)):
        if isinstance(item, Paragraph):
            result += _joined(pending)
            pending = []
            result.append(item)
        else:
            pending.append(_row(item))
    return result + _joined(pending)


def _row(members: Sequence[Line]) -> _Row:
    first = members[0].words[0]
    left, bottom, right, top = first.box
    width = top - bottom if first.style.turn in (1, 3) else right - left
    main = max(members, key=lambda line: len(line.text))
    box = members[0].box
    for line in members[1:]:
        box = union(box, line.box)
    text = " ".join(line.text for line in members)
    return _Row(text, box, main.size, all(line.bold for line in members), members[-1].hyphen, width, len(members))


def _joined(found: Sequence[_Row]) -> list[Paragraph]:
    """Rows between tables as paragraphs."""
    if not found:
        return []
    step = _usual_step(found)
    right = max(row.box[2] for row in found)
    result: list[Paragraph] = []
    start = 0
    for end in range(1, len(found) + 1):
        if end == len(found) or _parted(found[end - 1], found[end], step):
            result += _of_group(found[start:end], right)
            start = end
    return result


def _of_group(group: Sequence[_Row], right: float) -> list[Paragraph]:
    """Rows without a gap between. `right`: the edge of the region, which is that of small groups."""
    if len(group) >= _OWN_EDGE:
        right = max(row.box[2] for row in group)
    fullness = sum(right - row.box[2] < 2 * row.size for row in group)
    result = [Paragraph(group[0].text, group[0].size, group[0].bold, 1, group[0].box)]
    for index, (above, row) in enumerate(pairwise(group), start=1):
        current = result[-1]
        if not _flows(above, row, group[index + 1] if index + 1 < len(group) else None, right, fullness):
            if current.bold != row.bold:
                result.append(Paragraph(row.text, row.size, row.bold, 1, row.box, tight=True))
                continue
            current.text += "\n" + row.text
        elif above.hyphen:
            current.text += BREAK + row.text
        else:
            spaced = not (_NO_SPACE.match(current.text[-1:]) and _NO_SPACE.match(row.text[:1]))
            current.text += (" " if spaced else "") + row.text
        current.lines += 1
        current.bold = current.bold and row.bold
        current.box = union(current.box, row.box)
    return result


def _usual_step(found: Sequence[_Row]) -> float:
    """From the middle of a line to that of the next, in font sizes, as most lines of the region have it."""
    steps = [
        (below.box[3] - above.box[3]) / max(above.size, below.size)
        for above, below in pairwise(found)
        if max(above.size, below.size) > 0
    ]
    usual = [step for step in steps if 0.8 <= step <= 2.2]
    return statistics.median_low(usual) if usual else 1.2


def _parted(above: _Row, below: _Row, step: float) -> bool:
    """Whether a blank line stands between: a wider gap, or another size."""
    size = max(above.size, below.size, 1.0)
    if abs(above.size - below.size) > _SAME_SIZE * size:
        return True
    return (below.box[3] - above.box[3]) / size > max(_PARAGRAPH_GAP * step, 1.3)


def _flows(above: _Row, below: _Row, after: _Row | None, right: float, fullness: int) -> bool:
    """Whether the line below goes on with the sentence above: its first word would not have fitted there.

    `right`: the region's right edge; `fullness`: how many of its lines reach it. The only one may just be the longest.
    """
    if above.hyphen:
        return True
    if below.cells > 1 or above.cells > 1 or _ITEM.match(below.text) or above.bold != below.bold:
        return False
    indented = below.box[0] - above.box[0] > _INDENT * below.size
    if indented and not _ITEM.match(above.text) and (after is None or after.box[0] < below.box[0] - 1):
        return False
    room = right - above.box[2]
    if room > below.first_width + 0.3 * above.size:
        return False
    if above.text.endswith(_SENTENCE_ENDS) and below.text[:1].isupper() and room > above.size:
        return False
    return fullness > 1 or below.text[:1].islower()
