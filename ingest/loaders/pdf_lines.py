"""Lines of text on a page: words that stand side by side, in a frame in which they are upright.

A frame has x to the right and y downwards, whatever way the words are turned. Where most words are right-to-left, x is
counted from the right, so that smaller always means earlier in reading.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ingest.loaders.pdf_words import Box, Word, union

# Gaps between words of one line, in font sizes: wider ones part columns or cells.
_CELL_GAP = 1.2
_NO_GAP = 0.08
_SAME_LINE = 0.5  # of the lower height
_MIN_SIZE = 1.0
_TALL = 1.6  # font sizes
_ALL_BOLD = 0.9  # of a line's characters, which then counts as bold


@dataclass(slots=True)
class Line:
    """Words side by side without a wide gap; `box` is (x0, y0, x1, y1) in the frame. `order`: that of the file."""

    words: list[Word]
    box: Box
    order: int
    size: float
    bold: bool
    text: str = field(default="")

    @property
    def hyphen(self) -> bool:
        return self.words[-1].hyphen

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


def framed(box: Box, turn: int, mirrored: bool = False) -> Box:
    """A box of the page in the frame of words turned by `turn` quarters; it is its own way back for no other turn."""
    left, bottom, right, top = box
    if turn == 1:
        x0, y0, x1, y1 = bottom, left, top, right
    elif turn == 2:
        x0, y0, x1, y1 = -right, bottom, -left, top
    elif turn == 3:
        x0, y0, x1, y1 = -top, -right, -bottom, -left
    else:
        x0, y0, x1, y1 = left, -top, right, -bottom
    return (-x1, y0, -x0, y1) if mirrored else (x0, y0, x1, y1)


def is_right_to_left(words: Iterable[Word]) -> bool:
    """Whether most words are of a right-to-left script."""
    count = total = 0
    for word in words:
        total += 1
        count += reads_leftwards(word.text)
    return 2 * count > total


def reads_leftwards(text: str) -> bool:
    for character in text:
        if character.isalpha():
            return character >= "\u0590" and unicodedata.bidirectional(character) in ("R", "AL")
    return False


def lines(words: Sequence[Word], turn: int, mirrored: bool) -> list[Line]:
    """The lines that `words` (in the order of the file) make, in that order."""
    found: list[Line] = []
    for members, boxes in _runs(words, turn, mirrored):
        for cluster in _clusters(members, boxes):
            found.append(_line([members[i] for i in cluster], [boxes[i] for i in cluster], len(found)))
    return found


def _runs(words: Sequence[Word], turn: int, mirrored: bool) -> Iterator[tuple[list[Word], list[Box]]]:
    """Words of one of PDFium's lines that stand at one height."""
    members: list[Word] = []
    boxes: list[Box] = []
    low = high = 0.0
    for word in words:
        box = framed(word.box, turn, mirrored)
        if members and (word.line != members[-1].line or _overlap(box, low, high) < _SAME_LINE):
            yield members, boxes
            members, boxes = [], []
        low, high = (min(low, box[1]), max(high, box[3])) if members else (box[1], box[3])
        members.append(word)
        boxes.append(box)
    if members:
        yield members, boxes


def _overlap(box: Box, low: float, high: float) -> float:
    """The share of the lower height that both have."""
    height = min(box[3] - box[1], high - low)
    shared = min(box[3], high) - max(box[1], low)
    return shared / height if height > 0 else float(low <= box[3] and box[1] <= high)


def _clusters(words: Sequence[Word], boxes: Sequence[Box]) -> list[list[int]]:
    """Indexes of the words between wide gaps, each cluster in the order of the file, the clusters from x = 0."""
    by_place = sorted(range(len(words)), key=lambda index: boxes[index][0])
    clusters: list[list[int]] = [[]]
    reach = 0.0
    for index in by_place:
        if clusters[-1] and boxes[index][0] - reach > _CELL_GAP * max(words[index].style.size, _MIN_SIZE):
            clusters.append([])
        reach = max(reach, boxes[index][2]) if clusters[-1] else boxes[index][2]
        clusters[-1].append(index)
    return [sorted(cluster) for cluster in clusters]


def _line(words: list[Word], boxes: list[Box], order: int) -> Line:
    box = _around(words, boxes)
    sizes: dict[float, int] = {}
    bold = total = 0
    for word in words:
        length = len(word.text)
        sizes[word.style.size] = sizes.get(word.style.size, 0) + length
        bold += length if word.style.bold else 0
        total += length
    size = max(sizes, key=lambda size: (sizes[size], size))
    return Line(words, box, order, size, bold >= _ALL_BOLD * total, joined_words(words))


def _around(words: Sequence[Word], boxes: Sequence[Box]) -> Box:
    """The box around the words of a line, as high as its letters: brackets of TeX's fonts reach into the next line."""
    box = boxes[0]
    for other in boxes[1:]:
        box = union(box, other)
    usual = [its for word, its in zip(words, boxes, strict=True) if its[3] - its[1] <= _TALL * word.style.size]
    if not usual or len(usual) == len(boxes):
        return box
    return box[0], min(its[1] for its in usual), box[2], max(its[3] for its in usual)


def joined_words(words: Iterable[Word]) -> str:
    parts: list[str] = []
    for word in words:
        if parts and not word.glued:
            parts.append(" ")
        parts.append(word.text)
    return "".join(parts)


def rows(found: Iterable[Line]) -> list[list[Line]]:
    """Lines that stand at one height together, from above, each row from x = 0."""
    result: list[list[Line]] = []
    low = high = 0.0
    for line in sorted(found, key=lambda line: line.middle):
        if result and _overlap(line.box, low, high) >= _SAME_LINE:
            result[-1].append(line)
            # The row keeps to the height of its largest line: chains of footnote marks must not stretch it.
            if line.box[3] - line.box[1] > high - low:
                low, high = line.box[1], line.box[3]
            continue
        result.append([line])
        low, high = line.box[1], line.box[3]
    return [_as_one(sorted(row, key=lambda line: line.box[0])) for row in result]


def _as_one(row: Sequence[Line]) -> list[Line]:
    """A row's lines, with those that no wide gap parts made one: the file may write a line in several goes."""
    result = [row[0]]
    for line in row[1:]:
        before = result[-1]
        gap = line.box[0] - before.box[2]
        if gap > _CELL_GAP * max(line.size, before.size):
            result.append(line)
            continue
        main = before if len(before.text) >= len(line.text) else line
        text = before.text + (" " if gap > _NO_GAP * main.size else "") + line.text
        words, box = before.words + line.words, union(before.box, line.box)
        result[-1] = Line(words, box, before.order, main.size, before.bold and line.bold, text)
    return result
