"""Styles of DOCX: which paragraphs are headings or list items, and what of their text can't be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.loaders.docx_names import W, integer, switched, value

WHITE = "FFFFFF"
_SMALLEST_READABLE = 4  # half-points
_LOWEST_WHITE = 0xF8  # of each channel: nobody reads lighter text on white
_NO_FILL = ("auto", None)


class Styles:
    """The styles by id, each found by its own properties or those of a style that it is based on. None: no styles."""

    def __init__(self, root: Any | None) -> None:
        self._elements: dict[str, Any] = {}
        self._default: dict[str, str] = {}
        self._defaults = None if root is None else root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr")
        self._seen_plainly: dict[str | None, bool] = {}
        for style in () if root is None else root.iterchildren(W + "style"):
            key = style.get(W + "styleId")
            if key is not None:
                self._elements[key] = style
                if style.get(W + "default") in ("1", "true"):
                    self._default[style.get(W + "type") or ""] = key

    def heading_level(self, style: str | None) -> int | None:
        """0 for the title, 1 to 9 for headings; None for other paragraphs."""
        for its in self._chain(style):
            name = (value(its, "name") or "").lower()
            if name == "title":
                return 0
            if name.startswith("heading ") and name[8:].isdecimal():
                return int(name[8:10])
        return None

    def is_list(self, style: str | None) -> bool:
        names = ((value(its, "name") or "").lower() for its in self._chain(style))
        return any(name.startswith(("list bullet", "list number")) for name in names)

    def numbering(self, style: str | None) -> tuple[str, int | None, str] | None:
        """The list that the style puts a paragraph in: its number, its level where it is named, and the style's id."""
        for its in self._chain(style):
            properties = its.find(f"{W}pPr/{W}numPr")
            number = value(properties, "numId")
            if number is not None:
                level = value(properties, "ilvl")
                return number, None if level is None else integer(level, 0), its.get(W + "styleId")
        return None

    def shades(self, style: str | None) -> bool:
        """Whether a table style colours cells."""
        fills = (shade.get(W + "fill") for its in self._chain(style) for shade in its.iter(W + "shd"))
        return any(fill not in (*_NO_FILL, WHITE) for fill in fills)

    def hides(self, run: Any, style: str | None, behind: str | None) -> str | None:
        """How (`Hidden.how`) a run is hidden, None where it is seen. `behind`: the colour there; None: not known."""
        own = run.find(W + "rPr")
        if own is None and self._plain(style):
            return None
        chain = [own, *self._properties(value(own, "rStyle")), *self._properties(style), self._defaults]
        if next((on for its in chain if (on := switched(its, "vanish")) is not None), False):
            return "part"
        size = next((found for its in chain if (found := value(its, "sz")) is not None), None)
        if integer(size, _SMALLEST_READABLE) < _SMALLEST_READABLE:
            return "size"
        colour = next((found for its in chain if (found := value(its, "color")) is not None), None)
        if colour in (None, "auto") or behind is None:
            return None
        shade = next((found for its in chain if (found := shading(its)) is not None), behind)
        if value(own, "highlight") not in (None, "none", "white"):
            return None
        return "colour" if _same(str(colour), shade) else None

    def _plain(self, style: str | None) -> bool:
        """Whether runs of a paragraph without properties of their own are surely seen: asked for each run."""
        if style not in self._seen_plainly:
            chain = [*self._properties(style), self._defaults]
            telling = ("vanish", "sz", "color")
            self._seen_plainly[style] = not any(
                its is not None and its.find(W + name) is not None and (name != "sz" or _tiny(its))
                for its in chain
                for name in telling
            )
        return self._seen_plainly[style]

    def _properties(self, style: str | None) -> Iterator[Any]:
        return (its.find(W + "rPr") for its in self._chain(style))

    def _chain(self, style: str | None) -> Iterator[Any]:
        seen: set[str] = set()
        key = self._default.get("paragraph") if style is None else style
        while key is not None and key not in seen and key in self._elements:
            seen.add(key)
            yield self._elements[key]
            key = value(self._elements[key], "basedOn")


def shading(properties: Any | None) -> str | None:
    """The colour behind text or a cell as RRGGBB; None where the properties name none."""
    shade = None if properties is None else properties.find(W + "shd")
    fill = None if shade is None else shade.get(W + "fill")
    return None if fill in _NO_FILL else str(fill).upper()


def _tiny(properties: Any) -> bool:
    return integer(value(properties, "sz"), _SMALLEST_READABLE) < _SMALLEST_READABLE


def _same(colour: str, behind: str) -> bool:
    return colour.upper() == behind or (_whitish(colour) and _whitish(behind))


def _whitish(colour: str) -> bool:
    try:
        return len(colour) == 6 and all(channel >= _LOWEST_WHITE for channel in bytes.fromhex(colour))
    except ValueError:
        return False
