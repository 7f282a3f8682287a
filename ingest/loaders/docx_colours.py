"""Colours of DOCX: of text and of what is behind it, by value, by the theme with its tints, by highlighting."""

from __future__ import annotations

from typing import Any

from ingest.loaders.docx_names import W14, W, value
from ingest.loaders.ooxml import local

WHITE = "FFFFFF"
_NEAR = 10  # of 255: nobody tells colours apart that are this near to each other
_TRANSPARENT = 95_000  # of 100,000
_SLOTS = {
    **{"background1": "lt1", "text1": "dk1", "background2": "lt2", "text2": "dk2", "light1": "lt1", "dark1": "dk1"},
    **{"light2": "lt2", "dark2": "dk2", "bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2", "hyperlink": "hlink"},
    "followedHyperlink": "folHlink",
}
_HIGHLIGHTS = {
    **{"black": "000000", "blue": "0000FF", "cyan": "00FFFF", "green": "00FF00", "magenta": "FF00FF", "red": "FF0000"},
    **{"yellow": "FFFF00", "white": WHITE, "darkBlue": "000080", "darkCyan": "008080", "darkGreen": "008000"},
    **{"darkMagenta": "800080", "darkRed": "800000", "darkYellow": "808000", "darkGray": "808080"},
    "lightGray": "C0C0C0",
}


class Theme:
    """The theme's colours by name; where there is none, its background is white and its text black."""

    def __init__(self, root: Any | None) -> None:
        self._colours = {"lt1": WHITE, "dk1": "000000"}
        for entry in () if root is None else root.iterfind(".//{*}clrScheme/*"):
            for colour in entry[:1]:
                self._colours[local(entry.tag)] = (colour.get("lastClr") or colour.get("val") or "").upper()

    def colour(self, element: Any, prefix: str = "") -> str | None:
        """What `w:color` or, with a prefix of `theme`, another element names, as RRGGBB; None for an automatic one."""
        by_theme = element.get(f"{W}theme{prefix or 'Color'}")
        if by_theme and (found := self._colours.get(_SLOTS.get(by_theme, by_theme))):
            own = "Fill" if prefix == "Fill" else ""
            tint, shade = (element.get(f"{W}theme{own}{kind}") for kind in ("Tint", "Shade"))
            return _mixed(_mixed(found, tint, WHITE), shade, "000000")
        plain = element.get(W + {"": "val", "Fill": "fill", "Color": "color"}[prefix])
        return None if plain in ("auto", None) else str(plain).upper()

    def behind(self, properties: Any | None) -> str | None:
        """The colour that text or a cell is shaded with; None where the properties name none."""
        shade = None if properties is None else properties.find(W + "shd")
        if shade is None:
            return None
        pattern = shade.get(W + "val") or "clear"
        if pattern == "solid":  # the pattern's own colour covers all
            return self.colour(shade, "Color") or "000000"
        fill = self.colour(shade, "Fill")
        if pattern.startswith("pct") and pattern[3:].isdecimal() and len(pattern) < 6:
            share = f"{round(255 * (100 - min(100, int(pattern[3:]))) / 100):02x}"
            return _mixed(fill or WHITE, share, self.colour(shade, "Color") or "000000")
        return fill

    def filled(self, properties: Any | None) -> str | None:
        """The colour that a text effect of Word 2010 fills letters with, "" where they are not filled.

        None where there is no such effect, or one that is no plain colour.
        """
        effect = None if properties is None else properties.find(W14 + "textFill")
        if effect is None or len(effect) == 0:
            return None
        if effect[0].tag == W14 + "noFill":
            outline = properties.find(W14 + "textOutline")  # type: ignore[union-attr]
            return None if outline is not None and outline.find(W14 + "noFill") is None else ""
        if effect[0].tag != W14 + "solidFill" or len(effect[0]) == 0:
            return None
        colour = effect[0][0]
        alpha = next((its.get(W14 + "val") for its in colour.iter(W14 + "alpha")), "") or ""
        if alpha.isdecimal() and int(alpha[:9]) >= _TRANSPARENT:
            return ""
        stated = colour.get(W14 + "val") or ""
        if local(colour.tag) == "schemeClr":
            return self._colours.get(_SLOTS.get(stated, stated)) if len(colour) <= bool(alpha) else None
        return stated.upper() or None


def highlight(properties: Any | None) -> str | None:
    """The colour that text is marked with; None where it is not."""
    return _HIGHLIGHTS.get(value(properties, "highlight") or "")


def same(colour: str, behind: str) -> bool:
    """Whether nobody can tell the two colours apart."""
    one, other = _channels(colour), _channels(behind)
    if one is None or other is None:
        return colour.upper() == behind.upper()
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _NEAR


def _channels(colour: str) -> bytes | None:
    try:
        return bytes.fromhex(colour) if len(colour) == 6 else None
    except ValueError:
        return None


def _mixed(colour: str, share: str | None, other: str) -> str:
    """`share` (00 to FF) of a colour, and of the other what remains."""
    one, rest = _channels(colour), _channels(other)
    try:
        part = int(share, 16) / 255 if share and len(share) <= 2 else 1.0
    except ValueError:
        part = 1.0
    if one is None or rest is None or part == 1.0:
        return colour
    return bytes(round(part * a + (1 - part) * b) for a, b in zip(one, rest, strict=True)).hex().upper()
