"""Text of an SVG picture that nobody sees. What it says of an element in its own words is told as CSS for pages."""

from __future__ import annotations

import re
from typing import Any

import lxml.etree

from ingest.loaders.css_matching import TooMuchToMatch
from ingest.loaders.text import clean
from ingest.loaders.unseen import take_unseen
from ingest.types import Hidden

_SAID = ("display", "visibility", "opacity", "fill", "fill-opacity", "font-size")
_NEVER_DRAWN = frozenset(("defs", "symbol", "clipPath", "mask", "pattern", "marker"))
_SHAPES = frozenset(("circle", "ellipse", "image", "path", "polygon", "polyline", "rect", "use"))
_WHITE = frozenset(("none", "transparent", "white", "#fff", "#ffffff", "rgb(255,255,255)"))
_FILL = re.compile(r"(?<![\w-])fill(-opacity)?\s*:\s*([^;}!]*)", re.I)
_SIZE = re.compile(r"(?<![\w-])font-size\s*:\s*([^;}!]*)", re.I)
_ZERO = re.compile(r"\s*[+-]?0*\.?0*(?:[a-z]{1,4}|%)?\s*", re.I)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def take_unseen_svg(root: Any) -> tuple[Hidden, ...]:
    """Takes the unseen text out of a picture. Text in white is seen where any shape that may be dark is below it."""
    page = lxml.etree.Element("html")
    pairs: list[tuple[Any, Any]] = []
    inside = {root: lxml.etree.SubElement(page, "body")}
    is_drawn_on = False
    for element in root.iter():
        around = inside.get(root if element is root else element.getparent())
        name = _local(element)
        if around is None or not name:
            continue
        style = _style(element)
        if name in _NEVER_DRAWN:
            style += ";display:none"
        elif name in _SHAPES:
            is_drawn_on = is_drawn_on or _may_be_dark(element)
        elif is_drawn_on:
            style += ";background-image:url(shapes)"
        its = lxml.etree.SubElement(around, f"svg{name}" if name == "title" else name)
        for key, value in (("style", style), ("class", element.get("class")), ("id", element.get("id"))):
            if value:
                its.set(key, value)
        its.text = _as_css(element.text or "") if name == "style" else element.text
        inside[element] = its
        pairs.append((element, its))
        if element is not root:
            its.tail = element.tail
    try:
        found = take_unseen(page)
    except (TooMuchToMatch, RecursionError):
        return ()
    for element, its in pairs:
        if _local(element) != "style":
            element.text = its.text
        if element is not root:
            element.tail = its.tail
    sheets = [its for element, its in pairs if _local(element) in ("style", "script")]
    texts = [Hidden(its.how, " ".join(clean(its.text).split())) for its in found if its.element not in sheets]
    return tuple(its for its in texts if its.text)


def _local(element: Any) -> str:
    """The name without its namespace; "" for comments and for names that no page has."""
    name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    return name if _NAME.fullmatch(name) else ""


def _style(element: Any) -> str:
    said = [f"{name}:{value}" for name in _SAID if (value := element.get(name))]
    return clean(_as_css(";".join((*said, element.get("style") or ""))))


def _as_css(source: str) -> str:
    """What fills letters is their colour. How large a unit is depends on more than is known here, unless it is 0."""
    filled = _FILL.sub(
        lambda its: f"opacity:{its[2]}" if its[1] else f"color:{'transparent' if its[2].strip() == 'none' else its[2]}",
        source,
    )
    return _SIZE.sub(lambda its: f"font-size:{'0' if _ZERO.fullmatch(its[1]) else '16px'}", filled)


def _may_be_dark(shape: Any) -> bool:
    stated = _FILL.search(shape.get("style") or "")
    fill = stated[2] if stated and not stated[1] else shape.get("fill")
    around = shape.getparent()
    while fill is None and around is not None:
        fill, around = around.get("fill"), around.getparent()
    return _local(shape) in ("image", "use") or "".join((fill or "").split()).lower() not in _WHITE
