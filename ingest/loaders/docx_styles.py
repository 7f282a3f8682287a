"""Styles of DOCX: which paragraphs are headings or list items, and what of their text can't be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.loaders.docx_colours import WHITE, Theme, highlight, same
from ingest.loaders.docx_names import W14, W, integer, switched, value
from ingest.loaders.docx_places import signed

_SMALLEST_READABLE = 4  # half-points
_NARROWEST = 5  # per cent of a character's width
_TIGHTEST = -200  # twentieths of a point between characters: they stand upon each other
_FARTHEST = 400  # half-points above or below the line
_EFFECT = W14 + "textFill"
_TELLING = ("vanish", "sz", "color", "w", "spacing", "position")


class Styles:
    """The styles by id, each found by its own properties or those of a style that it is based on. None: no styles."""

    def __init__(self, root: Any | None, theme: Theme) -> None:
        self._theme = theme
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
        shaded = (shade.getparent() for its in self._chain(style) for shade in its.iter(W + "shd"))
        return any(self._theme.behind(properties) not in (None, WHITE) for properties in shaded)

    def paragraph(self, own: Any | None, style: str | None) -> list[Any]:
        """The properties of a paragraph, and those of its styles."""
        return [own, *(its.find(W + "pPr") for its in self._chain(style))]

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
        if (how := _squeezed(chain)) is not None:
            return how
        return "colour" if self._vanishes(chain, behind) else None

    def raises(self, run: Any) -> bool:
        """Whether a run stands above the line."""
        own = run.find(W + "rPr")
        if own is None:
            return False
        chain = (own, *self._properties(value(own, "rStyle")))
        stated = next((found for its in chain if (found := value(its, "vertAlign")) is not None), None)
        return stated == "superscript"

    def _vanishes(self, chain: list[Any], behind: str | None) -> bool:
        """Whether text is transparent, or has the colour of what is behind it."""
        colour = next((found for its in chain if (found := self._theme.filled(its)) is not None), None)
        if colour == "":
            return True
        stated = next(
            (its.find(W + "color") for its in chain if its is not None and its.find(W + "color") is not None), None
        )
        if colour is None and stated is not None:
            colour = self._theme.colour(stated)
        marked = next((found for its in chain if (found := highlight(its)) is not None), None)
        shade = next((found for its in chain if (found := self._theme.behind(its)) is not None), behind)
        ground = marked or shade
        return colour is not None and ground is not None and same(colour, ground)

    def _plain(self, style: str | None) -> bool:
        """Whether runs of a paragraph without properties of their own are surely seen: asked for each run."""
        if style not in self._seen_plainly:
            chain = [*self._properties(style), self._defaults]
            self._seen_plainly[style] = not any(
                its is not None
                and ((its.find(W + name) is not None and (name != "sz" or _tiny(its))) or its.find(_EFFECT) is not None)
                for its in chain
                for name in _TELLING
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


def _tiny(properties: Any) -> bool:
    return integer(value(properties, "sz"), _SMALLEST_READABLE) < _SMALLEST_READABLE


def _squeezed(chain: list[Any]) -> str | None:
    """How characters are hidden that are made too narrow, pushed together, or moved far up or down."""
    scale, spacing, position = (
        next((found for its in chain if (found := value(its, name)) is not None), None)
        for name in ("w", "spacing", "position")
    )
    if integer((scale or "").rstrip("%"), 100) <= _NARROWEST or signed(spacing) <= _TIGHTEST:
        return "size"
    return "off-page" if abs(signed(position)) >= _FARTHEST else None
