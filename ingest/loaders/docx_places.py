"""Where text of a DOCX stands: in lines and rows too low to show it, beside the page, or in boxes that nobody sees."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from ingest.loaders.css_lengths import Around, pixels
from ingest.loaders.css_rules import own_declarations
from ingest.loaders.docx_names import W, value
from ingest.loaders.ooxml import local

_LOWEST = 40  # twentieths of a point: the height of a line or row in which nothing can be read
_PAGE = 15_840  # twentieths of a point, where the document does not state its size
_EMU = 635  # of a twentieth of a point
_FAR_PX = 1000
_ON = ("1", "true", "on")
_NUMBER = re.compile(r"-?\d{1,9}")


class Pages:
    """The size of the largest page of the document, in twentieths of a point."""

    def __init__(self, body: Any) -> None:
        sizes = list(body.iter(W + "pgSz"))
        self.width = max((signed(its.get(W + "w")) for its in sizes), default=_PAGE) or _PAGE
        self.height = max((signed(its.get(W + "h")) for its in sizes), default=_PAGE) or _PAGE

    def hides_paragraph(self, chain: Iterable[Any]) -> str | None:
        """How (`Hidden.how`) a paragraph is hidden by its place; `chain`: its properties and those of its styles."""
        found: dict[str, Any] = {}
        for properties in chain:
            for child in () if properties is None else properties:
                found.setdefault(child.tag, child)
        frame, indent, spacing = (found.get(W + name) for name in ("framePr", "ind", "spacing"))
        if spacing is not None and spacing.get(W + "lineRule") == "exact" and _is_low(spacing.get(W + "line")):
            return "size"
        if indent is not None:
            left = signed(indent.get(W + "left") or indent.get(W + "start"))
            first = signed(indent.get(W + "firstLine")) - signed(indent.get(W + "hanging"))
            right = signed(indent.get(W + "right") or indent.get(W + "end"))
            if left + max(0, first) >= self.width or left <= -self.width or right >= self.width:
                return "off-page"
        if frame is None:
            return None
        x, y = signed(frame.get(W + "x")), signed(frame.get(W + "y"))
        if abs(x) >= self.width or abs(y) >= self.height:
            return "off-page"
        exact = frame.get(W + "hRule") == "exact" and _is_low(frame.get(W + "h"))
        return "size" if exact or (frame.get(W + "w") and _is_low(frame.get(W + "w"))) else None

    def hides_box(self, content: Any) -> str | None:
        """How the text box is hidden that `content` (`w:txbxContent`) is in."""
        for around in content.iterancestors():
            kind = local(around.tag)
            if kind in ("anchor", "inline"):
                return self._hides_drawing(around)
            if kind == "p" and around.tag == W + "p":
                return None
            style = around.get("style")
            how = _hides_shape(style) if style else None
            if how:
                return how
        return None

    def _hides_drawing(self, anchor: Any) -> str | None:
        named = anchor.find("{*}docPr")
        if named is not None and named.get("hidden") in _ON:
            return "layer"
        extent = anchor.find("{*}extent")
        width, height = (0, 0) if extent is None else (signed(extent.get("cx")), signed(extent.get("cy")))
        if extent is not None and min(width, height) < _LOWEST * _EMU:
            return "size"
        for name, size, whole in (("positionH", width, self.width), ("positionV", height, self.height)):
            offset = signed(anchor.findtext(f"{{*}}{name}/{{*}}posOffset"))
            # It may count from a margin or a column, which stand on the page.
            if offset >= whole * _EMU or offset + size <= -whole * _EMU // 4:
                return "off-page"
        return None


def hides_row(row: Any) -> str | None:
    """How a row of a table is hidden."""
    properties = row.find(W + "trPr")
    if properties is None:
        return None
    hidden = properties.find(W + "hidden")
    if hidden is not None and hidden.get(W + "val") in (None, *_ON):
        return "part"
    height = properties.find(W + "trHeight")
    is_exact = height is not None and height.get(W + "hRule") == "exact"
    return "size" if is_exact and _is_low(value(properties, "trHeight")) else None


def signed(text: str | None) -> int:
    """A whole number, 0 where there is none."""
    match = _NUMBER.match(text or "")
    return int(match[0]) if match else 0


def _is_low(text: str | None) -> bool:
    return bool(text) and signed(text) < _LOWEST


def _hides_shape(style: str) -> str | None:
    """How a shape of VML is hidden, whose places and sizes are those of CSS."""
    said = {its.name: its.value for its in own_declarations(style)}
    lengths = {name: pixels(its, Around()) for name, its in said.items() if hasattr(its, "type")}
    if said.get("visibility") == "hidden" or said.get("display") == "none":
        return "layer"
    if any(abs(lengths.get(name, 0.0)) >= _FAR_PX for name in ("left", "top", "margin-left", "margin-top")):
        return "off-page"
    return "size" if min(lengths.get("width", math.inf), lengths.get("height", math.inf)) < 2 else None
