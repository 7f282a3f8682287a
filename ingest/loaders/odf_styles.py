"""Styles of OpenDocument files: which paragraphs are titles, how lists count, and what can't be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingest.loaders.docx_numbering import written
from ingest.loaders.ooxml import local

WHITE = "#ffffff"
_SMALLEST_READABLE_PT = 2.0
_KINDS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_MOST_LEVELS = 10
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"


@dataclass(frozen=True, slots=True)
class ListLevel:
    """How one level of a list is numbered; `kind` "" stands for bullets."""

    kind: str = ""
    before: str = ""
    after: str = ""
    start: int = 1
    shown_levels: int = 1

    def label(self, count: int) -> str:
        return f"{self.before}{written(count, self.kind)}{self.after}" if self.kind else "-"


_BULLETS = ListLevel()


class OdfStyles:
    """The styles of a document, from the roots of its styles and its content (None: there is none)."""

    def __init__(self, *roots: Any | None) -> None:
        self._styles: dict[tuple[str, str], Any] = {}
        self._lists: dict[str, dict[int, ListLevel]] = {}
        self._outline: dict[int, ListLevel] = {}
        self._hiding: dict[tuple[str, str, str | None], str | None] = {}
        for root in roots:
            for style in () if root is None else root.iter(_STYLE + "style"):
                self._styles[style.get(_STYLE + "family") or "", style.get(_STYLE + "name") or ""] = style
            for style in () if root is None else root.iter(_TEXT + "list-style"):
                self._lists[style.get(_STYLE + "name") or ""] = dict(_levels(style))
            for style in () if root is None else root.iter(_TEXT + "outline-style"):
                self._outline = dict(_levels(style))

    def is_title(self, name: str | None) -> bool:
        return any(its.get(_STYLE + "name") == "Title" for its in self._chain("paragraph", name))

    def list_of(self, paragraph_style: str | None) -> str | None:
        """The list style that a paragraph style brings along."""
        found = (its.get(_STYLE + "list-style-name") for its in self._chain("paragraph", paragraph_style))
        return next((name for name in found if name), None)

    def list_level(self, name: str | None, level: int) -> ListLevel:
        """Level `level` (from 1) of a list style."""
        return self._lists.get(name or "", {}).get(level, _BULLETS)

    def outline_label(self, counts: list[int]) -> str:
        """The number of a heading from the counts of its level and those above; "" where headings have none."""
        own = self._outline.get(len(counts))
        if own is None or not own.kind:
            return ""
        shown = range(max(1, len(counts) - own.shown_levels + 1), len(counts) + 1)
        numbers = [written(counts[level - 1], self._outline.get(level, own).kind or "decimal") for level in shown]
        return f"{own.before}{'.'.join(numbers)}{own.after}"

    def outline_start(self, level: int) -> int:
        return self._outline.get(level, _BULLETS).start

    def hides(self, family: str, name: str | None, behind: str | None) -> str | None:
        """How (`Hidden.how`) the text of a style is hidden, None where it is seen. `behind`: the colour there."""
        key = family, name or "", behind
        if key not in self._hiding:
            self._hiding[key] = self._how(family, name, behind)
        return self._hiding[key]

    def _how(self, family: str, name: str | None, behind: str | None) -> str | None:
        if self._property(family, name, "text-properties", _TEXT + "display") == "none":
            return "part"
        if _points(self._property(family, name, "text-properties", _FO + "font-size")) < _SMALLEST_READABLE_PT:
            return "size"
        colour = self._property(family, name, "text-properties", _FO + "color")
        own = self._property(family, name, "text-properties", _FO + "background-color")
        behind = own if own not in (None, "transparent") else behind
        if colour is None or behind is None:
            return None
        return "colour" if colour.lower() == behind.lower() else None

    def raises(self, name: str | None) -> bool:
        """Whether text of a style of spans stands above the line."""
        place = (self._property("text", name, "text-properties", _STYLE + "text-position") or "").split(maxsplit=1)
        return bool(place) and (place[0] == "super" or (place[0][:-1].isdecimal() and place[0].strip("0%") != ""))

    def background(self, family: str, name: str | None, properties: str) -> str | None:
        """The colour of a paragraph or cell, None where the style names none."""
        colour = self._property(family, name, properties, _FO + "background-color")
        return None if colour in (None, "transparent") else colour

    def not_shown(self, family: str, name: str | None) -> bool:
        """Whether a sheet or a slide is hidden."""
        sheet = self._property(family, name, "table-properties", _TABLE + "display") == "false"
        slide = self._property(family, name, "drawing-page-properties", _PRESENTATION + "visibility") == "hidden"
        return sheet or slide

    def fills(self, name: str | None) -> bool:
        """Whether a shape may be filled."""
        for family in ("graphic", "presentation"):
            fill = self._property(family, name, "graphic-properties", _DRAW + "fill")
            if fill is not None:
                return fill != "none"
        return True

    def _property(self, family: str, name: str | None, properties: str, attribute: str) -> str | None:
        for style in self._chain(family, name):
            for child in style:
                if local(child.tag) == properties and child.get(attribute) is not None:
                    return str(child.get(attribute))
        return None

    def _chain(self, family: str, name: str | None) -> Iterator[Any]:
        seen: set[str] = set()
        while name is not None and name not in seen and (family, name) in self._styles:
            seen.add(name)
            style = self._styles[family, name]
            yield style
            name = style.get(_STYLE + "parent-style-name")


def _levels(style: Any) -> Iterator[tuple[int, ListLevel]]:
    for element in style:
        number = element.get(_TEXT + "level") or ""
        if not number.isdecimal() or not 0 < int(number[:3]) <= _MOST_LEVELS:
            continue
        start, shown = element.get(_TEXT + "start-value") or "", element.get(_TEXT + "display-levels") or ""
        yield (
            int(number[:3]),
            ListLevel(
                kind=_KINDS.get(element.get(_STYLE + "num-format") or "", ""),
                before=element.get(_STYLE + "num-prefix") or "",
                after=element.get(_STYLE + "num-suffix") or "",
                start=int(start[:8]) if start.isdecimal() else 1,
                shown_levels=int(shown[:2]) if shown.isdecimal() else 1,
            ),
        )


def _points(size: str | None) -> float:
    """A font size in points; sizes in per cent and in other units count as readable."""
    if size is None or not size.endswith("pt"):
        return _SMALLEST_READABLE_PT
    try:
        return float(size[:-2])
    except ValueError:
        return _SMALLEST_READABLE_PT
