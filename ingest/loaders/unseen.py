"""Text of a page that nobody sees: by its own styles, and by the simple rules of its style sheet.

What style sheets elsewhere, scripts and media queries do is not known here, so neither is all that is unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import lxml.etree

_Style = dict[str, str]
_Colour = tuple[int, int, int]

_SELECTOR = re.compile(r"(?P<tag>\*|[a-z][a-z0-9]*)?(?:\.(?P<class>[\w-]+)|#(?P<id>[\w-]+))?")
_LENGTH = re.compile(r"(-?\d{0,9}(?:\.\d{1,9})?)\s*(px|pt|em|rem|ex|ch|vw|vh|%|in|cm|mm)?(?![\w.])")
_PIXELS = {"px": 1, "pt": 4 / 3, "in": 96, "cm": 38, "mm": 3.8, "em": 16, "rem": 16}  # and 8 for what depends
_HEX = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})(?![0-9a-f])")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]{1,9}%?))?\s*\)")
_NAMED: dict[str, _Colour] = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "lime": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "green": (0, 128, 0),
    "navy": (0, 0, 128),
    "whitesmoke": (245, 245, 245),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
}
_NAME = re.compile(r"(?<![\w-])(" + "|".join(_NAMED) + r"|transparent)(?![\w-])")
_WHITE = _NAMED["white"]
_MAX_DIFFERENCE = 10  # of 255, between colours that can't be told apart
_MIN_FONT_PX = 2.5
_FAR_PX = -500
_BACKGROUNDS = ("background", "background-color", "background-image")
_NONE = re.compile(r"none\b")


@dataclass(frozen=True, slots=True)
class Unseen:
    """Text that stood in `element`, and how it is hidden (see `ingest.types.Hidden`)."""

    element: Any
    how: str
    text: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """How text in an element is shown, as far as it is known. `background` is None where it may be any."""

    whole: str | None = None  # how all below is hidden, whatever it says itself
    visible: bool = True
    tiny: bool = False
    colour: _Colour | None = None
    is_transparent: bool = False
    background: _Colour | None = None

    @property
    def how(self) -> str | None:
        if self.whole is not None:
            return self.whole
        if not self.visible:
            return "layer"
        if self.tiny:
            return "size"
        return "colour" if self.is_transparent or _is_same(self.colour, self.background) else None


def take_unseen(page: Any, sheets: list[str], *, knows_all: bool) -> list[Unseen]:
    """Takes the unseen text out of `page`, whose elements stay.

    `sheets` are its style sheets; `knows_all` says that there are no others, so that the page is white where they
    don't say otherwise.
    """
    rules = _rules(sheets)
    shown = [_Shown(background=_WHITE if knows_all else None)]
    found: list[Unseen] = []
    for event, element in lxml.etree.iterwalk(page, events=("start", "end")):
        if event == "start":
            shown.append(_inherited(shown[-1], element, _style(element, rules)))
            element.text = _taken(element.text, element, shown[-1].how, found)
        else:
            shown.pop()
            parent = element.getparent()
            if element is not page and parent is not None:
                element.tail = _taken(element.tail, parent, shown[-1].how, found)
    return found


def _taken(text: str | None, element: Any, how: str | None, found: list[Unseen]) -> str | None:
    if how is None or text is None or not text.strip():
        return text
    found.append(Unseen(element, how, text))
    return " "


# -- style sheets


def _rules(sheets: list[str]) -> dict[str, _Style]:
    """Declarations by selector, of those that are an element's name, a class or an id, or a name with one of these."""
    rules: dict[str, _Style] = {}
    for sheet in sheets:
        for selectors, declarations in _blocks(re.sub(r"/\*.*?(?:\*/|\Z)", " ", sheet, flags=re.S)):
            style = _declarations(declarations)
            for selector in selectors.lower().split(",") if style else ():
                if len(selector) < 200 and _SELECTOR.fullmatch(selector := selector.strip()) and selector:
                    rules.setdefault(selector.removeprefix("*") or "*", {}).update(style)
    return rules


def _blocks(sheet: str) -> Iterator[tuple[str, str]]:
    """Selectors and declarations; what stands in @media and the like is passed over."""
    position = 0
    while (opens := sheet.find("{", position)) >= 0:
        selectors = sheet[position:opens].rpartition(";")[2].strip()  # behind @import and @charset
        if not selectors.startswith("@"):
            closes = sheet.find("}", opens)
            yield selectors, sheet[opens + 1 : closes if closes >= 0 else len(sheet)]
            position = closes + 1 if closes >= 0 else len(sheet)
            continue
        depth, position = 1, opens + 1
        for brace in re.compile("[{}]").finditer(sheet, position):
            depth += 1 if brace[0] == "{" else -1
            position = brace.end()
            if depth == 0:
                break


def _declarations(source: str) -> _Style:
    style: _Style = {}
    for declaration in source.lower().split(";"):
        key, colon, value = declaration.partition(":")
        if colon:
            style[key.strip()] = value.replace("!important", "").strip()[:500]
    return style


def _style(element: Any, rules: dict[str, _Style]) -> _Style:
    """What holds for the element: rules for its name, then its classes, then its id, then its own style."""
    tag = element.tag
    style: _Style = {}
    if rules:
        keys = ["*", tag]
        for name in (element.get("class") or "").lower().split()[:50]:
            keys += [f".{name}", f"{tag}.{name}"]
        if name := (element.get("id") or "").lower():
            keys += [f"#{name}", f"{tag}#{name}"]
        for key in keys:
            style |= rules.get(key, {})
    if colour := element.get("bgcolor"):
        style.setdefault("background-color", colour.lower())
    if tag == "font" and (colour := element.get("color")):
        style.setdefault("color", colour.lower())
    if own := element.get("style"):
        style |= _declarations(own)
    if element.get("hidden") is not None:
        style["display"] = "none"
    return style


# -- what it comes to


def _inherited(around: _Shown, element: Any, style: _Style) -> _Shown:
    if not style or around.whole is not None:
        return around
    shown = around
    if (whole := _hides_all(style)) is not None:
        return replace(shown, whole=whole)
    if "visibility" in style:
        shown = replace(shown, visible=style["visibility"] not in ("hidden", "collapse"))
    # Pictures stand in the place of `font: 0/0`.
    size = _pixels(style.get("font-size", "0" if style.get("font", "").startswith("0/0") else ""))
    if size is not None:
        shown = replace(shown, tiny=size < _MIN_FONT_PX)
    if behind := " ".join(style[key] for key in _BACKGROUNDS if key in style):
        colour = _colour(behind)
        if "url(" in behind or "gradient" in behind or (colour is None and not _NONE.search(behind)):
            shown = replace(shown, background=None)
        elif isinstance(colour, tuple):
            shown = replace(shown, background=colour)
    if "color" in style:
        colour = _colour(style["color"])
        shown = replace(
            shown, colour=colour if isinstance(colour, tuple) else None, is_transparent=colour == "transparent"
        )
    return shown


def _hides_all(style: _Style) -> str | None:
    """How an element hides all that is in it."""
    if _NONE.match(style.get("display", "")) or re.fullmatch(r"0?\.?0+%?", style.get("opacity", "")):
        return "layer"
    position = style.get("position", "")
    is_placed = position in ("absolute", "fixed")
    offsets = ("left", "top", "right", "bottom") if is_placed or position == "relative" else ()
    if any((_pixels(style.get(key, "")) or 0) <= _FAR_PX for key in (*offsets, "text-indent")):
        return "off-page"
    if is_placed and re.match(r"rect\((?:\s*[01](?:px)?[\s,]*){4}\)", style.get("clip", "")):
        return "size"
    if re.match(r"inset\(\s*(?:50|100)%", style.get("clip-path", "")):
        return "size"
    is_clipped = style.get("overflow", "") in ("hidden", "clip")
    sides = [_pixels(style[key]) for key in ("height", "max-height", "width", "max-width") if key in style]
    return "size" if is_clipped and any(side is not None and side <= 1 for side in sides) else None


def _pixels(value: str) -> float | None:
    match = _LENGTH.match(value)
    if match is None or not re.search(r"\d", match[1]):
        return None
    return float(match[1]) * _PIXELS.get(match[2] or "px", 8)


def _colour(value: str) -> _Colour | str | None:
    """The first colour that is named in a value; "transparent", or None where none is known."""
    if match := _HEX.search(value):
        digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if match := _RGB.search(value):
        if match[4] is not None and not match[4].strip("0.%"):
            return "transparent"
        return int(match[1]), int(match[2]), int(match[3])
    if match := _NAME.search(value):
        return _NAMED.get(match[1], "transparent")
    return None


def _is_same(one: _Colour | None, other: _Colour | None) -> bool:
    if one is None or other is None:
        return False
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _MAX_DIFFERENCE
