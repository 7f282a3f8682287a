"""Numbers of headings and list items in DOCX. The file does not hold them: they are counted, as word processors do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ingest.loaders.docx_names import W, integer, value

BULLET = "-"
_DEEPEST = 9
_MAX_LEVEL_TEXT = 60
_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"))
_ROMAN_ONES = ((9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
_LARGEST_WRITTEN = 5000  # in letters or Roman numerals


@dataclass(frozen=True, slots=True)
class _Level:
    kind: str = "decimal"
    text: str = ""
    start: int = 1
    style: str | None = None


@dataclass(slots=True)
class _List:
    levels: dict[int, _Level] = field(default_factory=dict)
    counts: list[int | None] = field(default_factory=lambda: [None] * _DEEPEST)


class Numbering:
    """The lists of a document, and how far each has counted. Built from the numbering part (None: there is none)."""

    def __init__(self, root: Any | None) -> None:
        self._lists: dict[str, _List] = {}
        self._list_of: dict[str, str] = {}
        self._restarts: dict[str, dict[int, int]] = {}
        for element in () if root is None else root.iterchildren(W + "abstractNum"):
            levels = {}
            for level in element.iterchildren(W + "lvl"):
                levels[integer(level.get(W + "ilvl"), 0)] = _level(level)
            self._lists[element.get(W + "abstractNumId") or ""] = _List(levels)
        for element in () if root is None else root.iterchildren(W + "num"):
            key = element.get(W + "numId") or ""
            self._list_of[key] = value(element, "abstractNumId") or ""
            for override in element.iterchildren(W + "lvlOverride"):
                start = value(override, "startOverride")
                if start is not None:
                    self._restarts.setdefault(key, {})[integer(override.get(W + "ilvl"), 0)] = integer(start, 1)

    def level_of_style(self, number: str, style: str) -> int:
        """The level of the list `number` that is meant for paragraphs of `style`."""
        found = self._lists.get(self._list_of.get(number, ""))
        levels = found.levels.items() if found is not None else ()
        return next((level for level, its in levels if its.style == style), 0)

    def next(self, number: str, level: int) -> str:
        """Counts one more item; what stands before it: a number as in "1.2", or BULLET."""
        found = self._lists.get(self._list_of.get(number, ""))
        if found is None or not 0 <= level < _DEEPEST:
            return BULLET
        for restarted, start in self._restarts.pop(number, {}).items():
            if 0 <= restarted < _DEEPEST:
                found.counts[restarted] = start - 1
                found.counts[restarted + 1 :] = [None] * (_DEEPEST - restarted - 1)
        own = found.levels.get(level, _Level())
        before = found.counts[level]
        found.counts[level] = own.start if before is None else before + 1
        found.counts[level + 1 :] = [None] * (_DEEPEST - level - 1)
        if own.kind == "bullet":
            return BULLET
        return "" if own.kind == "none" and "%" not in own.text else self._label(found, own)

    def _label(self, found: _List, own: _Level) -> str:
        label = own.text
        for place in range(_DEEPEST):
            if f"%{place + 1}" in label:
                its = found.levels.get(place, _Level())
                count = found.counts[place]
                if count is None:  # a level that was passed over counts as begun
                    count = found.counts[place] = its.start
                label = label.replace(f"%{place + 1}", written(count, its.kind))
        return " ".join(label.split())


def _level(element: Any) -> _Level:
    return _Level(
        kind=value(element, "numFmt") or "decimal",
        text=(value(element, "lvlText") or "")[:_MAX_LEVEL_TEXT],
        start=integer(value(element, "start"), 1),
        style=value(element, "pStyle"),
    )


def written(count: int, kind: str) -> str:
    """A count in the number format `kind` (ECMA-376, 17.18.59); in digits where that format is not known."""
    if not 0 < count < _LARGEST_WRITTEN:
        return str(count)
    if kind in ("upperRoman", "lowerRoman"):
        roman = _roman(count)
        return roman if kind == "upperRoman" else roman.lower()
    if kind in ("upperLetter", "lowerLetter"):
        letter = chr(65 + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letter if kind == "upperLetter" else letter.lower()
    if kind == "none":
        return ""
    return f"{count:02}" if kind == "decimalZero" else str(count)


def _roman(count: int) -> str:
    parts = []
    for worth, letters in (*_ROMAN, *_ROMAN_ONES):
        times, count = divmod(count, worth)
        parts.append(letters * times)
    return "".join(parts)
