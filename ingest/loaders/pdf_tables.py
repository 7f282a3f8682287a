"""Tables of a PDF page: ruled ones from the grid of their rules, others from rows whose cells stand in columns."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.loaders.blocks import table
from ingest.loaders.pdf_hyphens import BREAK
from ingest.loaders.pdf_lines import Line, lines, rows
from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.loaders.pdf_words import Box, Word

_MAX_RULES = 1500
_NEAR = 3.0  # points between rules that are one, or that meet
_MAX_ROWS, _MAX_COLUMNS = 300, 60
_MIN_ROWS, _MIN_COLUMNS = 3, 2  # of a table without rules
_MAX_CELL = 60  # characters of a middling cell of such a table: longer ones are columns of prose
_FRAME = 0.7  # of the words in one cell: the rules frame the page


@dataclass(frozen=True, slots=True)
class _Rule:
    at: float  # y of a level rule, x of an upright one
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Rules that meet: the places of upright and level rules, and which of the cells' borders are drawn."""

    xs: list[float]
    ys: list[float]
    upright: list[_Rule]
    level: list[_Rule]

    @property
    def box(self) -> Box:
        return self.xs[0], self.ys[0], self.xs[-1], self.ys[-1]


def grids(rules: Sequence[Box]) -> list[Grid]:
    """Grids of at least two columns and two rows, from rules in a frame. None where there are too many rules."""
    level = _merged([_Rule((y0 + y1) / 2, x0, x1) for x0, y0, x1, y1 in rules if x1 - x0 >= y1 - y0])
    upright = _merged([_Rule((x0 + x1) / 2, y0, y1) for x0, y0, x1, y1 in rules if x1 - x0 < y1 - y0])
    if len(level) + len(upright) > _MAX_RULES:
        return []
    found = []
    for levels, uprights in _connected(level, upright):
        xs = _with_open_ends(_places(uprights), levels)
        ys = _with_open_ends(_places(levels), uprights)
        if 3 <= len(xs) <= _MAX_COLUMNS + 1 and 3 <= len(ys) <= _MAX_ROWS + 1:
            found.append(Grid(xs, ys, uprights, levels))
    return found


def _merged(rules: list[_Rule]) -> list[_Rule]:
    """Rules with those in one line that touch or overlap made one."""
    result: list[_Rule] = []
    open_: list[_Rule] = []
    for rule in sorted(rules, key=lambda rule: (rule.at, rule.start)):
        open_ = [other for other in open_ if rule.at - other.at <= _NEAR / 2]
        match = next((o for o in open_ if o.start - _NEAR <= rule.end and rule.start <= o.end + _NEAR), None)
        if match is None:
            open_.append(rule)
            result.append(rule)
            continue
        joined = _Rule(match.at, min(match.start, rule.start), max(match.end, rule.end))
        open_[open_.index(match)] = joined
        result[result.index(match, max(0, len(result) - 200))] = joined
        if len(result) > _MAX_RULES:
            break
    return result


def _connected(level: Sequence[_Rule], upright: Sequence[_Rule]) -> list[tuple[list[_Rule], list[_Rule]]]:
    """Groups of rules that meet each other."""
    parents = list(range(len(level) + len(upright)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for i, across in enumerate(level):
        for j, down in enumerate(upright, start=len(level)):
            meets_across = across.start - _NEAR <= down.at <= across.end + _NEAR
            if meets_across and down.start - _NEAR <= across.at <= down.end + _NEAR:
                parents[root(i)] = root(j)
    groups: dict[int, tuple[list[_Rule], list[_Rule]]] = {}
    for index in range(len(parents)):
        group = groups.setdefault(root(index), ([], []))
        if index < len(level):
            group[0].append(level[index])
        else:
            group[1].append(upright[index - len(level)])
    return list(groups.values())


def _places(rules: Iterable[_Rule]) -> list[float]:
    places: list[float] = []
    for at in sorted(rule.at for rule in rules):
        if not places or at - places[-1] > _NEAR:
            places.append(at)
    return places


def _with_open_ends(places: list[float], across: Sequence[_Rule]) -> list[float]:
    """`places` with the ends of the rules across them, where these reach beyond: tables without outer borders."""
    if len(places) < 2 or len(across) < 2:
        return places
    starts, ends = sorted(rule.start for rule in across), sorted(rule.end for rule in across)
    before = [starts[1]] if starts[1] < places[0] - 3 * _NEAR else []
    behind = [ends[-2]] if ends[-2] > places[-1] + 3 * _NEAR else []
    return [*before, *places, *behind]


def ruled_table(grid: Grid, inside: Sequence[tuple[Word, Box]], turn: int, mirrored: bool) -> Paragraph | None:
    """The table that the words in the grid make (with their boxes in its frame); None for a mere frame."""
    cells: dict[tuple[int, int], list[Word]] = {}
    for word, box in inside:
        row, column = _cell(grid, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        cells.setdefault((row, column), []).append(word)
    longest = max((len(words) for words in cells.values()), default=0)
    if len(cells) < 3 or (longest > 60 and longest > _FRAME * len(inside)):
        return None
    filled = [["" for _ in grid.xs[1:]] for _ in grid.ys[1:]]
    for (row, column), words in cells.items():
        filled[row][column] = _cell_text(words, turn, mirrored)
    used = [column for column in range(len(filled[0])) if any(row[column] for row in filled)]
    if len(used) < 2 or sum(any(row) for row in filled) < 2:
        return None
    size = statistics.median(word.style.size for word, _ in inside)
    return Paragraph(table(filled), size, False, len(filled), grid.box, is_table=True)


def _cell(grid: Grid, x: float, y: float) -> tuple[int, int]:
    """The cell at a point; of cells between which no rule is drawn, the first."""
    column = min(max(bisect_right(grid.xs, x) - 1, 0), len(grid.xs) - 2)
    row = min(max(bisect_right(grid.ys, y) - 1, 0), len(grid.ys) - 2)
    while column > 0 and not _drawn(grid.upright, grid.xs[column], y):
        column -= 1
    middle = (grid.xs[column] + grid.xs[column + 1]) / 2
    while row > 0 and not _drawn(grid.level, grid.ys[row], middle):
        row -= 1
    return row, column


def _drawn(rules: Iterable[_Rule], at: float, across: float) -> bool:
    return any(abs(rule.at - at) <= _NEAR and rule.start - _NEAR <= across <= rule.end + _NEAR for rule in rules)


def _cell_text(words: Sequence[Word], turn: int, mirrored: bool) -> str:
    parts: list[str] = []
    glue = False
    for row in rows(lines(words, turn, mirrored)):
        for line in row:
            text = line.text
            parts[-1:] = [parts[-1] + BREAK + text] if glue else [*parts[-1:], text]
            glue = line.hyphen
    return " ".join(parts)


def unruled_tables(found: Sequence[list[Line]]) -> list[Paragraph | list[Line]]:
    """`found` with rows that make a table without rules replaced by it, where it is safe to say so."""
    result: list[Paragraph | list[Line]] = []
    index = 0
    while index < len(found):
        end = _run(found, index)
        made = _unruled(found[index:end]) if end - index >= _MIN_ROWS else None
        if made is None:
            result.append(found[index])
            index += 1
        else:
            result.append(made)
            index = end
    return result


def _run(found: Sequence[list[Line]], start: int) -> int:
    """The end of the rows from `start` on that have several cells each, in columns that all of them share."""
    if len(found[start]) < _MIN_COLUMNS:
        return start
    columns = _columns(found[start])
    end = start + 1
    while end < len(found):
        row = found[end]
        above, size = found[end - 1][0], max(line.size for line in row)
        if row[0].box[1] - above.box[3] > 2.5 * size:
            break
        merged = _merge(columns, _columns(row))
        if len(row) < _MIN_COLUMNS and not (len(columns) > 2 and end + 1 < len(found) and len(found[end + 1]) > 2):
            break
        if len(merged) < max(_MIN_COLUMNS, len(columns) - 1) or len(merged) < len(row):
            break
        columns = merged
        end += 1
    return end


def _columns(row: Sequence[Line]) -> list[tuple[float, float]]:
    return [(line.box[0], line.box[2]) for line in row]


def _merge(one: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans of both, those that overlap made one."""
    result: list[tuple[float, float]] = []
    for start, end in sorted([*one, *other]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _unruled(found: Sequence[list[Line]]) -> Paragraph | None:
    columns: list[tuple[float, float]] = []
    for row in found:
        columns = _merge(columns, _columns(row))
    if len(columns) < _MIN_COLUMNS or (len(columns) == _MIN_COLUMNS and len(found) <= _MIN_ROWS):
        return None
    starts = [start for start, _ in columns]
    cells = [["" for _ in columns] for _ in found]
    for row, texts in zip(found, cells, strict=True):
        for line in row:
            column = bisect_right(starts, line.box[0]) - 1
            texts[column] += (" " if texts[column] else "") + line.text
    lengths = [len(text) for texts in cells for text in texts if text]
    if statistics.median(lengths) > _MAX_CELL or len(lengths) < 0.5 * len(columns) * len(found):
        return None
    every = [line for row in found for line in row]
    box = (columns[0][0], every[0].box[1], columns[-1][1], every[-1].box[3])
    size = statistics.median(line.size for line in every)
    return Paragraph(table(cells), size, False, len(found), box, is_table=True)
