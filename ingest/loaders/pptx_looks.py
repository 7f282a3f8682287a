"""What of a slide can't be seen: text in the colour of what is behind it, too small, or outside of the slide.

Only what is certain is taken for hidden: where a picture, a gradient or another filled shape may be behind a text, its
colour is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pptx.opc.constants import RELATIONSHIP_TYPE

from ingest.loaders.ooxml import local
from ingest.loaders.packages import parse_xml

Box = tuple[int, int, int, int]  # left, top, right, bottom
_SMALLEST_READABLE = 200  # hundredths of a point
_FAINTEST = 5_000  # of 100,000: text less opaque than that is not seen
_SMALLEST_BOX = 25_400  # 2 points in EMU
_SMALLEST_SCALE = 10_000  # of 100,000, to which text shrinks that is too long for its box
_WHITE = "FFFFFF"
_USUAL_MAP = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}
_PLAIN_BACKGROUND = "1001"  # the first of a theme's backgrounds, which is a plain colour


class Backdrop:
    """The colours of one slide: its theme, and what is behind each of its shapes."""

    def __init__(self, slide: Any, width: int, height: int) -> None:
        self._slide = slide
        self._box = (0, 0, width, height)
        self._master = slide.slide_layout.slide_master
        self._theme = _theme(self._master, f"slide {slide.slide_id}")
        mapping = self._master._element.find("{*}clrMap")
        self._map = {**_USUAL_MAP, **({} if mapping is None else dict(mapping.attrib))}
        self._background = self._background_of(slide)
        self._is_animated = slide._element.find("{*}timing") is not None
        self._decorated = [its for its in (*self._master.shapes, *slide.slide_layout.shapes) if not its.is_placeholder]

    def outside(self, shape: Any) -> bool:
        """Whether the whole shape is beside the slide."""
        box = _box(shape)
        return box is not None and not _overlap(box, self._box)

    def behind(self, shape: Any, below: Iterable[Any]) -> str | None:
        """The colour behind the shape's text as RRGGBB; None where it is not certain. `below`: the shapes under it."""
        fill = self._fill(shape)
        if fill != "":
            return fill
        box = _box(shape)
        if box is None:
            return None
        for other in (*self._decorated, *below):
            around = _box(other)
            if (around is None or _overlap(box, around)) and self._fill(other) != "":
                return None
        return self._background

    def hides_box(self, shape: Any, above: Iterable[Any]) -> str | None:
        """How (`Hidden.how`) the whole text of a shape is hidden; `above`: the shapes that lie over it."""
        box = _box(shape)
        if box is None:
            return None
        body = next(shape._element.iter("{*}bodyPr"), None)
        wraps = body is None or body.get("wrap") != "none"
        if wraps and max(box[2] - box[0], box[3] - box[1]) < _SMALLEST_BOX:
            return "size"
        fit = None if body is None else body.find("{*}normAutofit")
        scale = "" if fit is None else (fit.get("fontScale") or "").removesuffix("%")
        if scale.isdecimal() and int(scale[:9]) < _SMALLEST_SCALE:
            return "size"
        return None if self._is_animated else "layer" if any(self._covers(other, box) for other in above) else None

    def _covers(self, other: Any, box: Box) -> bool:
        """Whether a shape over the box leaves nothing of it to be seen."""
        around = _box(other)
        if around is None or not (around[0] <= box[0] and around[1] <= box[1] and box[2] <= around[2]):
            return False
        if box[3] > around[3] or getattr(other, "rotation", False):
            return False
        form = other._element.find("{*}spPr/{*}prstGeom")
        fill = other._element.find("{*}spPr/{*}solidFill")
        named = next(other._element.iter("{*}cNvPr"), None)
        if named is not None and named.get("hidden") in ("1", "true"):
            return False
        opaque = fill is not None and next(fill.iter("{*}alpha"), None) is None
        return opaque and form is not None and form.get("prst") == "rect"

    def hides(self, run: Any, behind: str | None) -> str | None:
        """How (`Hidden.how`) a run of text is hidden, None where it is seen."""
        properties = run.find("{*}rPr")
        if properties is None:
            return None
        size = properties.get("sz") or ""
        if size.isdecimal() and int(size[:9]) < _SMALLEST_READABLE:
            return "size"
        outline = properties.find("{*}ln")
        if properties.find("{*}noFill") is not None and (outline is None or outline.find("{*}noFill") is not None):
            return "colour"
        fill = properties.find("{*}solidFill")
        if fill is None or len(fill) == 0:
            return None
        alpha = fill[0].find("{*}alpha")
        if alpha is not None and (alpha.get("val") or "").isdecimal() and int(alpha.get("val")[:9]) < _FAINTEST:
            return "colour"
        colour = self._colour(fill[0])
        return "colour" if colour is not None and colour == behind else None

    def _background_of(self, slide: Any) -> str | None:
        for its in (slide, slide.slide_layout, self._master):
            background = its._element.find("{*}cSld/{*}bg")
            if background is None or len(background) == 0:
                continue
            if local(background[0].tag) == "bgRef":
                plain = background[0].get("idx") == _PLAIN_BACKGROUND and len(background[0]) > 0
                return self._colour(background[0][0]) if plain else None
            return self._solid(background[0])
        return _WHITE

    def _fill(self, shape: Any) -> str | None:
        """The colour that the shape is filled with, "" where it is not filled, None where that is not certain."""
        properties = shape._element.find("{*}spPr")
        if properties is None:
            return None  # a picture frame, a table, a group
        for child in properties:
            kind = local(child.tag)
            if kind == "noFill":
                return ""
            if kind == "solidFill":
                return self._solid(properties)
            if kind.endswith("Fill"):
                return None
        reference = shape._element.find("{*}style/{*}fillRef")
        return "" if reference is None or reference.get("idx") == "0" else None

    def _solid(self, properties: Any) -> str | None:
        fill = properties.find("{*}solidFill")
        return self._colour(fill[0]) if fill is not None and len(fill) else None

    def _colour(self, element: Any) -> str | None:
        """RRGGBB, None where the colour is changed by a tint, a shade or the like."""
        if any(local(child.tag) not in ("", "alpha") for child in element):
            return None
        kind, value = local(element.tag), element.get("val") or ""
        if kind == "srgbClr":
            return value.upper()
        if kind == "schemeClr":
            return self._theme.get(self._map.get(value, value))
        return None


def _theme(master: Any, name: str) -> dict[str, str]:
    """The colours of the master's theme by name (dk1, lt1, accent1...)."""
    try:
        root = parse_xml(master.part.part_related_by(RELATIONSHIP_TYPE.THEME).blob, name)
    except KeyError:
        return {"lt1": _WHITE, "dk1": "000000"}
    colours = {}
    for entry in root.iterfind(".//{*}clrScheme/*"):
        for colour in entry[:1]:
            colours[local(entry.tag)] = (colour.get("lastClr") or colour.get("val") or "").upper()
    return colours


def _box(shape: Any) -> Box | None:
    sides = (shape.left, shape.top, shape.width, shape.height)
    if None in sides:
        return None
    left, top, width, height = (int(side) for side in sides)
    return left, top, left + width, top + height


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
