"""Declarations of style sheets, as far as they decide whether text is seen: checked, and shorthands taken apart.

An invalid declaration counts for nothing, so that the one before it holds, as in a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tinycss2.color5

from ingest.loaders.css_lengths import Around, is_length, number, pixels, words

Colour = tuple[float, float, float, float]  # red, green and blue to 255, alpha to 1
CURRENT = "currentcolor"
KEYWORDS = frozenset(("inherit", "initial", "unset", "revert", "revert-layer"))

# fmt: off
_DISPLAYS = frozenset((
    "none", "block", "inline", "inline-block", "flex", "inline-flex", "grid", "inline-grid", "flow",
    "flow-root", "table", "inline-table", "table-row", "table-row-group", "table-header-group",
    "table-footer-group", "table-column", "table-column-group", "table-cell", "table-caption", "list-item",
    "contents", "ruby", "ruby-base", "ruby-text", "run-in", "math", "-webkit-box", "-webkit-inline-box",
    "-webkit-flex", "-webkit-inline-flex", "-moz-box", "-ms-flexbox", "-ms-grid",
))
# fmt: on
_WORDS = {
    "display": _DISPLAYS,
    "visibility": frozenset(("visible", "hidden", "collapse")),
    "content-visibility": frozenset(("visible", "hidden", "auto")),
    "position": frozenset(("static", "relative", "absolute", "fixed", "sticky", "-webkit-sticky")),
    "overflow": frozenset(("visible", "hidden", "clip", "scroll", "auto", "overlay")),
}
_SIZES = {
    **{"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0},
    **{"xx-large": 32.0, "xxx-large": 48.0, "smaller": 0.0, "larger": 0.0, "math": 0.0},
}
_SYSTEM = {"canvas": (255, 255, 255), "field": (255, 255, 255), "canvastext": (0, 0, 0), "fieldtext": (0, 0, 0)}
_LENGTHS = (
    *("left", "right", "top", "bottom", "text-indent", "margin-left", "margin-top"),
    *("width", "height", "max-width", "max-height"),
)
_SIZE_WORDS = ("auto", "none", "min-content", "max-content", "fit-content", "stretch", "-webkit-fill-available")
_ALIASES = {
    **{"-webkit-background-clip": "background-clip", "-webkit-transform": "transform", "-webkit-filter": "filter"},
    **{"-webkit-clip-path": "clip-path", "-webkit-opacity": "opacity", "overflow-x": "overflow"},
    **{"overflow-y": "overflow", "inset-inline-start": "left", "inset-inline-end": "right", "inset-block-start": "top"},
    **{"inset-block-end": "bottom", "margin-inline-start": "margin-left", "margin-block-start": "margin-top"},
    **{"inline-size": "width", "block-size": "height", "max-inline-size": "max-width", "max-block-size": "max-height"},
}
_SHORTHANDS = ("font", "background", "inset", "margin", "all")
_MAX_TOKENS = 2000  # of one declaration that is looked at

# A value of one property: a word, a number, a colour, or a token that becomes a length when the element is known.
Value = Any


@dataclass(frozen=True, slots=True)
class Declaration:
    """`pending`: tokens with a `var()` in them, of which the element decides what they are; else `value` is known."""

    name: str
    value: Value
    important: bool = False
    pending: tuple[Any, ...] | None = None


def declarations(nodes: Sequence[Any]) -> list[Declaration]:
    """What the declarations among parsed `nodes` say, in their order; those that are invalid left out."""
    found: list[Declaration] = []
    for node in nodes:
        if node.type != "declaration" or len(node.value) > _MAX_TOKENS:
            continue
        if node.name.startswith("--"):
            found.append(Declaration(node.name, tuple(node.value), node.important))
            continue
        name = _ALIASES.get(node.lower_name, node.lower_name)
        if name not in PARSERS and name not in _SHORTHANDS:
            continue
        if refers(node.value):
            found.append(Declaration(name, None, node.important, tuple(node.value)))
        else:
            found += [Declaration(key, value, node.important) for key, value in longhands(name, node.value)]
    return found


def refers(tokens: Sequence[Any], depth: int = 0) -> bool:
    """Whether there is a `var()` in the tokens."""
    for token in tokens:
        if token.type == "function":
            if token.lower_name == "var" or (depth < 8 and refers(token.arguments, depth + 1)):
                return True
        elif token.type == "() block" and depth < 8 and refers(token.content, depth + 1):
            return True
    return False


def longhands(name: str, tokens: Sequence[Any]) -> list[tuple[str, Value]]:
    """The properties that a declaration sets, with their values; none where it is invalid."""
    parts = words(tokens)
    if not parts:
        return []
    keyword = parts[0].lower_value if len(parts) == 1 and parts[0].type == "ident" else ""
    if name == "all":
        return [(key, keyword) for key in PARSERS] if keyword in KEYWORDS else []
    if keyword in KEYWORDS:
        return [(key, keyword) for key in _SHORTHAND_OF.get(name, (name,))]
    if name in _SHORTHAND_OF:
        return list(_SHORTHAND_PARSERS[name](parts))
    value = PARSERS[name](parts)
    return [] if value is None else [(name, value)]


# -- properties of their own


def _words_of(name: str) -> Callable[[list[Any]], Value | None]:
    known = _WORDS[name]

    def parse(parts: list[Any]) -> str | None:
        if len(parts) > 3 or any(its.type != "ident" or its.lower_value not in known for its in parts):
            return None
        values = [str(its.lower_value) for its in parts]
        if name == "overflow":
            return next((its for its in values if its in ("hidden", "clip")), values[0]) if len(parts) < 3 else None
        return values[0] if len(parts) == 1 else None if "none" in values or name != "display" else "block"

    return parse


def _number(parts: list[Any]) -> float | None:
    return number(parts[0]) if len(parts) == 1 else None


def _length(parts: list[Any]) -> Value | None:
    first = parts[0]
    if first.type == "ident":
        return "auto" if len(parts) == 1 and first.lower_value in _SIZE_WORDS else None
    return first if is_length(first) and (len(parts) == 1 or parts[1].type == "ident") else None


def _font_size(parts: list[Any]) -> Value | None:
    if len(parts) != 1:
        return None
    if parts[0].type == "ident":
        return parts[0].lower_value if parts[0].lower_value in _SIZES else None
    if parts[0].type in ("dimension", "percentage", "number") and parts[0].value < 0:
        return None
    return parts[0] if is_length(parts[0]) else None


def font_pixels(value: Value, parent: float, root: float) -> float:
    """The size that a value of `font-size` comes to."""
    if isinstance(value, str):
        return {"smaller": parent / 1.2, "larger": parent * 1.2, "math": parent}.get(value, _SIZES.get(value, parent))
    return pixels(value, Around(parent, root, whole=parent))


def colour(token: Any) -> Colour | str | None:
    """A colour, "currentcolor", or None where the token is none that is known."""
    if token.type == "ident" and token.lower_value in _SYSTEM:
        return (*_SYSTEM[token.lower_value], 1.0)
    try:
        found = tinycss2.color5.parse_color(token)
    except (ArithmeticError, AssertionError, IndexError, ValueError):  # it checks nothing of what it computes with
        return None
    if found is None or found == CURRENT:
        return found if found is None else CURRENT
    try:
        red, green, blue = _rgb(found)
    except (ArithmeticError, NotImplementedError, TypeError, ValueError):
        return None
    return red, green, blue, float(found.alpha)


def _rgb(found: Any) -> tuple[float, float, float]:
    """Red, green and blue to 255 in any space; those of wide gamuts are near enough as they are."""
    if found.space in ("hsl", "hwb"):
        found = found.to("srgb")
    if found.space in ("lab", "lch", "oklab", "oklch"):
        found = found.to("xyz-d50" if found.space in ("lab", "lch") else "xyz-d65")
    channels = [max(-9.0, min(9.0, its or 0.0)) for its in found.coordinates]
    if found.space.startswith("xyz"):
        x, y, z = (its * white for its, white in zip(channels, _WHITE_POINT[found.space], strict=True))
        channels = [
            3.2406 * x - 1.5372 * y - 0.4986 * z,
            -0.9689 * x + 1.8758 * y + 0.0415 * z,
            0.0557 * x - 0.2040 * y + 1.0570 * z,
        ]
    if found.space.startswith("xyz") or found.space == "srgb-linear":
        channels = [12.92 * its if its <= 0.0031308 else 1.055 * its ** (1 / 2.4) - 0.055 for its in channels]
    red, green, blue = (255 * max(0.0, min(1.0, its)) for its in channels)
    return red, green, blue


_WHITE_POINT = {"xyz-d65": (1.0, 1.0, 1.0), "xyz-d50": (0.9505 / 0.9642, 1.0, 1.089 / 0.8251)}


def _colour(parts: list[Any]) -> Colour | str | None:
    return colour(parts[0]) if len(parts) == 1 else None


def _picture(parts: list[Any]) -> Value | None:
    """ "none", "some", or the colour of a gradient that has but one."""
    if len(parts) == 1 and parts[0].type == "ident":
        return "none" if parts[0].lower_value == "none" else None
    found = [_gradient(its) for its in parts if its != ","]
    if any(its is None for its in found):
        return None
    return found[0] if len(found) == 1 else "some"


def _gradient(token: Any) -> Value | None:
    if token.type == "url" or (token.type == "function" and token.lower_name in ("url", "image-set", "cross-fade")):
        return "some"
    if token.type != "function" or not token.lower_name.endswith(("gradient", "image", "element", "image-set")):
        return None
    colours = [its for part in token.arguments if (its := colour(part)) is not None]
    return colours[0] if colours and len(set(colours)) == 1 and colours[0] != CURRENT else "some"


def _clip_box(parts: list[Any]) -> str | None:
    names = [its.lower_value for its in parts if its.type == "ident"]
    return ("text" if "text" in names else "box") if names else None


def _scheme(parts: list[Any]) -> str:
    """ "dark" where the page is in no other scheme."""
    names = [its.lower_value for its in parts if its.type == "ident"]
    return "dark" if "dark" in names and "light" not in names else "light"


def _shadow(parts: list[Any]) -> tuple[Colour | str, ...] | None:
    if len(parts) == 1 and parts[0].type == "ident" and parts[0].lower_value == "none":
        return ()
    found = tuple(its for part in parts if (its := colour(part)) is not None)
    return found or (CURRENT,)


def _clip(parts: list[Any]) -> str | None:
    """ "gone" for a clip that leaves next to nothing."""
    token = parts[0]
    if token.type != "function" or token.lower_name != "rect" or len(parts) > 1:
        return "auto" if token.type == "ident" else None
    sides = [its for its in words(token.arguments) if its != ","]
    if len(sides) != 4:
        return None
    if any(its.type == "ident" for its in sides):
        return "auto"
    top, right, bottom, left = (pixels(its, Around()) for its in sides)
    return "gone" if right - left <= 1 or bottom - top <= 1 else "auto"


def _clip_path(parts: list[Any]) -> str | None:
    for token in parts:
        if token.type == "function" and _is_clipped_away(token.lower_name, words(token.arguments)):
            return "gone"
    return "auto"


def _is_clipped_away(name: str, arguments: list[Any]) -> bool:
    lengths: list[Any] = []
    for its in arguments:
        if its.type == "ident" and its.lower_value in ("at", "round"):
            break
        if is_length(its, unitless=True):
            lengths.append(its)
    sizes = [pixels(its, Around()) for its in lengths]
    if not sizes:
        return False
    if name in ("circle", "ellipse"):
        return min(sizes) <= 1
    if name == "inset":
        top, right = sizes[0], sizes[1 % len(sizes)]
        bottom = sizes[2] if len(sizes) > 2 else top
        left = sizes[3] if len(sizes) > 3 else right
        return top + bottom >= Around().whole or left + right >= Around().whole
    if name == "polygon":
        across, down = sizes[::2], sizes[1::2]
        return bool(down) and (max(across) - min(across) <= 1 or max(down) - min(down) <= 1)
    return False


def _transform(parts: list[Any]) -> tuple[tuple[str, tuple[Any, ...]], ...] | None:
    """The functions by name, each with its arguments."""
    if any(its.type not in ("function", "ident") for its in parts):
        return None
    return tuple(
        (its.lower_name, tuple(arg for arg in words(its.arguments) if arg != ","))
        for its in parts
        if its.type == "function"
    )


def _plain_tokens(parts: list[Any]) -> tuple[Any, ...] | None:
    return tuple(parts)


PARSERS: dict[str, Callable[[list[Any]], Value | None]] = {
    **{name: _words_of(name) for name in _WORDS},
    **dict.fromkeys(_LENGTHS, _length),
    **dict.fromkeys(("color", "-webkit-text-fill-color", "background-color"), _colour),
    **dict.fromkeys(("transform", "filter"), _transform),
    **dict.fromkeys(("scale", "translate"), _plain_tokens),
    "opacity": _number,
    "zoom": _number,
    "font-size": _font_size,
    "background-image": _picture,
    "background-clip": _clip_box,
    "text-shadow": _shadow,
    "color-scheme": _scheme,
    "clip": _clip,
    "clip-path": _clip_path,
}


# -- shorthands


def _font(parts: list[Any]) -> Iterator[tuple[str, Value]]:
    """The size: the first length that no "/" stands before. A family must follow."""
    for at, token in enumerate(parts):
        if (token.type == "ident" and token.lower_value in _SIZES) or (is_length(token) and token.type != "number"):
            size = _font_size([token])
        elif token.type == "number" and token.value == 0:
            size = token
        else:
            continue
        rest = parts[at + 1 :]
        if rest and rest[0] == "/":
            rest = rest[2:]
        if size is not None and rest and rest[0].type in ("ident", "string"):
            yield "font-size", size
        return


def _background(parts: list[Any]) -> Iterator[tuple[str, Value]]:
    """The colour and the picture; what the shorthand leaves out is reset."""
    ground: Value = (0.0, 0.0, 0.0, 0.0)
    picture: Value = "none"
    for token in parts:
        if (found := colour(token)) is not None:
            ground = found
        elif (shown := _gradient(token)) is not None:
            picture = shown
        elif token.type == "function" or (token.type == "ident" and token.lower_value not in _BACKGROUND_WORDS):
            return
    yield from (("background-color", ground), ("background-image", picture))
    yield "background-clip", _clip_box(parts) or "box"


# fmt: off
_BACKGROUND_WORDS = frozenset((
    "none", "repeat", "repeat-x", "repeat-y", "no-repeat", "space", "round", "scroll", "fixed", "local",
    "border-box", "padding-box", "content-box", "text", "left", "right", "top", "bottom", "center", "auto",
    "cover", "contain",
))
# fmt: on


def _sides(names: tuple[str, str, str, str]) -> Callable[[list[Any]], Iterator[tuple[str, Value]]]:
    def parse(parts: list[Any]) -> Iterator[tuple[str, Value]]:
        values = [_length([its]) for its in parts]
        if not 1 <= len(values) <= 4 or any(its is None for its in values):
            return
        for place, name in zip((0, 1, 2, 3), names, strict=True):
            at = place if place < len(values) else place - 2 if place - 2 < len(values) and place > 1 else 0
            if name in PARSERS:
                yield name, values[at if at < len(values) else 0]

    return parse


_SHORTHAND_OF = {
    "font": ("font-size",),
    "background": ("background-color", "background-image", "background-clip"),
    "inset": ("top", "right", "bottom", "left"),
    "margin": ("margin-top", "margin-left"),
}
_SHORTHAND_PARSERS: dict[str, Callable[[list[Any]], Iterator[tuple[str, Value]]]] = {
    "font": _font,
    "background": _background,
    "inset": _sides(("top", "right", "bottom", "left")),
    "margin": _sides(("margin-top", "margin-right", "margin-bottom", "margin-left")),
}
