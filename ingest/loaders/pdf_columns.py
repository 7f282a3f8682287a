"""The order in which the parts of a page are read: columns side by side come one after the other.

A gutter is looked for to the left of where several lines begin. What crosses it (titles, wide figures, footers) cuts
the page into bands; in a band with text on both sides that looks like columns, the first column is read to its end.
Where the file itself writes one column and then the other, that counts as much as the looks: tables are written row by
row.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from ingest.loaders.pdf_lines import Line

_MAX_DEPTH = 8
_MAX_CANDIDATES = 12
_MIN_LINES = 3  # of a column
_MIN_BELOW_HEAD = 5
_EDGE = 3.0  # points between the starts of lines of one column
_MIN_GUTTER = 0.6  # font sizes
_PROSE_FILL = 0.55  # of the column's width that its middling line takes
_PROSE_CHARACTERS = 16
_BESIDE = 0.3  # font sizes between the middles of lines that stand side by side
_ALIGNED = 0.7  # of the lines of the shorter column that have one beside them: a table


def reading_order(lines: Sequence[Line], depth: int = 0) -> list[list[Line]]:
    """`lines` in regions without columns, in the order in which these are read."""
    if depth >= _MAX_DEPTH or len(lines) < 2 * _MIN_LINES:
        return [list(lines)] if lines else []
    ordered = sorted(lines, key=lambda line: line.middle)
    best: tuple[int, list[tuple[list[Line], list[Line], list[Line]]]] = (0, [])
    for edge in _edges(ordered):
        bands = _bands(ordered, edge)
        columned = sum(len(left) + len(right) for left, right, _ in bands if left)
        if columned > best[0]:
            best = (columned, bands)
    if not best[0]:
        return [ordered]
    regions: list[list[Line]] = []
    for left, right, plain in best[1]:
        if left:
            regions += reading_order(left, depth + 1) + reading_order(right, depth + 1)
        else:
            regions += reading_order(plain, depth + 1)
    return regions


def _edges(lines: Sequence[Line]) -> list[float]:
    """Where several lines begin, the most frequent places first, without the leftmost."""
    counts = Counter(round(line.box[0] / _EDGE) for line in lines)
    leftmost = min(counts)
    places = [
        place
        for place, _ in counts.most_common()
        if place > leftmost + 1 and sum(counts[place + by] for by in (-1, 0, 1)) >= _MIN_LINES
    ]
    return [(place - 1) * _EDGE for place in places[:_MAX_CANDIDATES]]


def _bands(lines: Sequence[Line], edge: float) -> list[tuple[list[Line], list[Line], list[Line]]]:
    """(left, right, ()) for each band with columns on both sides of `edge`, ((), (), lines) for what lies between."""
    bands: list[tuple[list[Line], list[Line], list[Line]]] = []
    left: list[Line] = []
    right: list[Line] = []

    def close(crossing: Line | None) -> None:
        nonlocal left, right
        head = [] if _are_columns(left, right) else _head(left, right)
        if head:
            bands.append(([], [], head))
            left, right = [its for its in left if its not in head], [its for its in right if its not in head]
        if head or _are_columns(left, right):
            bands.append((left, right, []))
            left, right = [], []
        pending = [*left, *right, *([crossing] if crossing is not None else [])]
        left, right = [], []
        if not pending:
            return
        if bands and not bands[-1][0]:
            bands[-1][2].extend(pending)
        else:
            bands.append(([], [], pending))

    for line in lines:
        if line.box[0] >= edge:
            right.append(line)
        elif line.box[2] <= edge + _EDGE:
            left.append(line)
        else:
            close(line)
    close(None)
    return bands


def _are_columns(left: Sequence[Line], right: Sequence[Line]) -> bool:
    if len(left) < _MIN_LINES or len(right) < _MIN_LINES:
        return False
    top, bottom = max(_top(left), _top(right)), min(_bottom(left), _bottom(right))
    shorter = min(_bottom(left) - _top(left), _bottom(right) - _top(right))
    if bottom - top < 0.3 * shorter:
        return False
    gutter = min(line.box[0] for line in right) - max(line.box[2] for line in left)
    if gutter < _MIN_GUTTER * statistics.median(line.size for line in (*left, *right)):
        return False
    prose = _is_prose(left) and _is_prose(right)
    if not _alternate(left, right):
        return prose or _aligned(left, right) < _ALIGNED
    return prose and gutter < 6 * statistics.median(line.size for line in left)


def _head(left: Sequence[Line], right: Sequence[Line]) -> list[Line]:
    """The first row, where it alone keeps the others from being columns: a running head that reaches over the gutter.

    Empty if there is none.
    """
    if min(len(left), len(right)) <= _MIN_BELOW_HEAD:
        return []
    first = min(left[0], right[0], key=lambda line: line.middle)
    low = first.middle + _BESIDE * first.size
    above, below = [line for line in left if line.middle <= low], [line for line in left if line.middle > low]
    beside, others = [line for line in right if line.middle <= low], [line for line in right if line.middle > low]
    return [*above, *beside] if above and beside and _are_columns(below, others) else []


def _alternate(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """Whether the file writes a bit of the one and a bit of the other by turns."""
    sides = sorted([(line.order, 0) for line in left] + [(line.order, 1) for line in right])
    switches = sum(one != other for (_, one), (_, other) in pairwise(sides))
    return switches > max(3, 0.3 * min(len(left), len(right)))


def _is_prose(column: Sequence[Line]) -> bool:
    """Whether most lines fill the column."""
    width = max(line.box[2] for line in column) - min(line.box[0] for line in column)
    if width <= 0:
        return False
    fill = statistics.median((line.box[2] - line.box[0]) / width for line in column)
    return fill >= _PROSE_FILL and statistics.median(len(line.text) for line in column) >= _PROSE_CHARACTERS


def _aligned(left: Sequence[Line], right: Sequence[Line]) -> float:
    """The share of the shorter column's lines that have a line of the other beside them."""
    few, many = sorted((left, right), key=len)
    middles = sorted(line.middle for line in many)
    beside = 0
    for line in few:
        at = bisect_left(middles, line.middle)
        nearest = min(abs(middle - line.middle) for middle in middles[max(0, at - 1) : at + 1])
        beside += nearest <= _BESIDE * line.size
    return beside / len(few)


def _top(column: Sequence[Line]) -> float:
    return min(line.box[1] for line in column)


def _bottom(column: Sequence[Line]) -> float:
    return max(line.box[3] for line in column)
