"""Text of a page that nobody sees: by its elements, its styles and its style sheets, as a browser first shows it.

What style sheets elsewhere and scripts do is not known here, so neither is all that is unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import lxml.etree

from ingest.loaders.css_cascade import Cascade, Customs, Style
from ingest.loaders.css_lengths import Around, number, pixels
from ingest.loaders.css_matching import Matcher
from ingest.loaders.css_rules import Sheets, from_data_url, holds_on_screens, read_sheets
from ingest.loaders.css_values import CURRENT, Colour, Value, font_pixels

_WHITE: Colour = (255.0, 255.0, 255.0, 1.0)
_BLACK: Colour = (0.0, 0.0, 0.0, 1.0)
_MAX_DIFFERENCE = 15  # of 255, between colours that can't be told apart
_FAINTEST = 0.1  # opacity of what can be seen
_MIN_FONT_PX = 2.5
_FAR_PX = -500  # of what is placed beside the page
_FAR_MOVED_PX = -1500  # of what is moved there from its place, which may be anywhere
_FAR_RIGHT_PX = 5000
_INSTEAD = frozenset(("audio", "video", "canvas", "iframe", "object", "progress", "meter"))  # of what is in them
_INERT = ("noscript", "template", "iframe", "noembed", "noframes")  # style sheets in them hold for nothing
_OFTEN_COLOURED = frozenset(("header", "footer", "nav", "aside", "button", "table", "tr", "th", "td", "pre", "code"))
_SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Unseen:
    """Text that stood in `element`, and how it is hidden (see `ingest.types.Hidden`)."""

    element: Any
    how: str
    text: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """How text in an element is shown, as far as it is known. Colours are None where they may be any."""

    whole: str | None = None  # how all below is hidden, whatever it says itself
    clipped: str | None = None  # by what: an element that is "placed" or stands in the "flow"
    visible: bool = True
    font: float = 16.0
    root: float = 16.0
    zoom: float = 1.0
    opacity: float = 1.0
    indent: float = 0.0
    colour: Colour | None = _BLACK
    fill: Colour | str | None = CURRENT
    shadow: tuple[Colour | str, ...] = ()
    background: Colour | None = _WHITE
    customs: Customs = field(default_factory=dict)

    @property
    def how(self) -> str | None:
        if self.whole is not None:
            return self.whole
        if not self.visible:
            return "layer"
        if self.clipped or self.font * self.zoom < _MIN_FONT_PX:
            return "size"
        ink = self.colour if self.fill == CURRENT else self.fill
        if not isinstance(ink, tuple) or not _vanishes(ink, self.background):
            return None
        shadows = (self.colour if its == CURRENT else its for its in self.shadow)
        return "colour" if all(isinstance(its, tuple) and _vanishes(its, self.background) for its in shadows) else None


def take_unseen(page: Any, *, quirks: bool = False) -> list[Unseen]:
    """Takes the unseen text out of the whole of `page`, whose elements stay. `quirks`: it has no document type.

    Raises TooMuchToMatch where its style sheets are too large to be looked at.
    """
    sheets, knows_all = _sheets(page)
    cascade = Cascade(sheets, Matcher(page, quirks=quirks))
    look = _Look(cascade, knows_all)
    shown = [_Shown(colour=_BLACK if knows_all else None)]
    found: list[Unseen] = []
    for event, element in lxml.etree.iterwalk(page, events=("start", "end")):
        if event == "start":
            shown.append(look.inside(element, shown[-1]))
            if element.get("role") == "tab" and shown[-1].how is None:
                look.tabs.update((element.get("aria-controls") or "").split(), (element.get("id") or "").split())
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


def _sheets(page: Any) -> tuple[Sheets, bool]:
    """The style sheets of the page, and whether these are all that hold for it."""
    sources = []
    knows_all = True
    for element in page.iter("style", "link"):
        if next(element.iterancestors(*_INERT), None) is not None or not holds_on_screens(element.get("media") or ""):
            continue
        if element.tag == "style":
            if (element.get("type") or "text/css").strip().lower() == "text/css":
                sources.append(element.text or "")
            continue
        kinds = (element.get("rel") or "").lower().split()
        if "stylesheet" in kinds and "alternate" not in kinds and element.get("disabled") is None:
            source = from_data_url(element.get("href") or "")
            knows_all = knows_all and source is not None
            sources.append(source or "")
    sheets = read_sheets(sources)
    return sheets, knows_all and not sheets.imports


class _Look:
    """What styles come to."""

    def __init__(self, cascade: Cascade, knows_all: bool) -> None:
        self._cascade, self._knows_all = cascade, knows_all
        self.tabs: set[str] = set()  # ids of those seen so far, and of what they open

    def inside(self, element: Any, around: _Shown) -> _Shown:
        """How text in the element is shown."""
        if around.whole is not None:
            return around
        if element.tag in _INSTEAD:
            return replace(around, whole="layer")
        style, customs = self._cascade.style(element, around.customs)
        if style.get("display") == "none" and self._opens(element):
            style = {name: value for name, value in style.items() if name != "display"}
        shown = around
        if not self._knows_all and self._may_be_coloured(element):
            shown = replace(shown, background=None)
        if not style:
            return shown if customs is around.customs else replace(shown, customs=customs)
        font = shown.font
        if (size := style.get("font-size", "inherit")) != "inherit":
            font = font_pixels(size, around.font, around.root)
            font = around.font if math.isnan(font) else font
        root = font if element.getparent() is None else around.root
        shown = replace(shown, font=font, root=root, customs=customs)
        if style.get("color-scheme") == "dark":  # white on black, where nothing else is said
            shown = replace(shown, colour=None, background=None)
        shown = _inked(_painted(shown, style), style)
        if (seen := style.get("visibility", "inherit")) != "inherit":
            shown = replace(shown, visible=seen == "visible")
        lengths = _Lengths(style, Around(font, root))
        if not math.isnan(indent := lengths.of("text-indent")):
            shown = replace(shown, indent=indent)
        opacity = shown.opacity * _factor(style, "opacity") * _faded(style)
        zoom = shown.zoom * _factor(style, "zoom") * _scaled(style)
        whole, clipped = _whole(style, lengths, opacity, shown.indent), _clipped(style, lengths, shown.clipped)
        return replace(shown, opacity=opacity, zoom=zoom, whole=whole, clipped=clipped)

    def _opens(self, element: Any) -> bool:
        """Whether a press on a tab that was seen shows the element, as one on a closed `details` does."""
        names = {element.get("id"), *(element.get("aria-labelledby") or "").split()}
        return element.get("role") == "tabpanel" and not names.isdisjoint(self.tabs)

    def _may_be_coloured(self, element: Any) -> bool:
        """Whether a style sheet that can't be read may well give the element a background: by a name that only it
        knows, or because that is usual.
        """
        if element.tag in ("html", "body"):
            return False
        names = {("class", name) for name in (element.get("class") or "").split()}
        if stated := element.get("id"):
            names.add(("id", stated))
        return element.tag in _OFTEN_COLOURED or not names <= self._cascade.names


class _Lengths:
    """Lengths of one style in pixels."""

    def __init__(self, style: Style, around: Around) -> None:
        self._style, self._around = style, around

    def of(self, name: str) -> float:
        """NaN where the style has no such length."""
        value = self._style.get(name)
        return math.nan if value is None or isinstance(value, (str, tuple)) else pixels(value, self._around)


def _painted(shown: _Shown, style: Style) -> _Shown:
    """With the background of the element."""
    picture = style.get("background-image", "none")
    ground = picture if isinstance(picture, tuple) else style.get("background-color", (0.0, 0.0, 0.0, 0.0))
    if style.get("background-clip") == "text" and (picture != "none" or isinstance(ground, tuple)):
        return replace(shown, fill=None)  # what is behind shows in the shape of the letters
    if picture == "some" or not isinstance(ground, tuple):
        return replace(shown, background=None)
    return shown if ground[3] == 0 else replace(shown, background=_over(ground, shown.background))


def _inked(shown: _Shown, style: Style) -> _Shown:
    """With the colour of the text."""
    colour = style.get("color", "inherit")
    if colour == "initial":
        colour = _BLACK
    if isinstance(colour, tuple):
        shown = replace(shown, colour=colour)
    fill = style.get("-webkit-text-fill-color", "inherit")
    if fill != "inherit":
        shown = replace(shown, fill=fill)
    shadow = style.get("text-shadow", "inherit")
    return shown if shadow == "inherit" else replace(shown, shadow=shadow)


def _whole(style: Style, lengths: _Lengths, opacity: float, indent: float) -> str | None:
    """How an element hides all that is in it."""
    if style.get("display") == "none" or style.get("content-visibility") == "hidden" or opacity < _FAINTEST:
        return "layer"
    position = style.get("position", "static")
    is_placed = position in ("absolute", "fixed")
    is_clipped = style.get("overflow") in ("hidden", "clip")
    if position != "static" and _is_far([lengths.of(side) for side in _SIDES]):
        return "off-page"
    if indent <= _FAR_PX or (is_clipped and indent >= Around().whole):
        return "off-page"
    if min(_or_zero(lengths.of("margin-left")), _or_zero(lengths.of("margin-top"))) <= _FAR_MOVED_PX or _is_moved(
        style
    ):
        return "off-page"
    if (is_placed and style.get("clip") == "gone") or style.get("clip-path") == "gone":
        return "size"
    return None


def _clipped(style: Style, lengths: _Lengths, around: str | None) -> str | None:
    """By what the element is clipped to next to nothing: itself, or one around it whose clipping it does not leave."""
    position = style.get("position", "static")
    if position == "fixed" or (position == "absolute" and around == "flow"):
        around = None
    sides = [lengths.of(name) for name in ("height", "max-height", "width", "max-width")]
    if style.get("overflow") in ("hidden", "clip") and any(side <= 1 for side in sides):
        return "flow" if position == "static" else "placed"
    return around


def _is_far(offsets: Sequence[float]) -> bool:
    left, _, right, _ = offsets
    return any(its <= _FAR_PX for its in offsets) or left >= _FAR_RIGHT_PX or right >= _FAR_RIGHT_PX


def _or_zero(length: float) -> float:
    return 0.0 if math.isnan(length) else length


def _functions(style: Style, name: str) -> Sequence[tuple[str, tuple[Any, ...]]]:
    found = style.get(name)
    return found if isinstance(found, tuple) else ()


def _moves(style: Style) -> list[tuple[float, float]]:
    """How far each transformation moves the element to the right and down; a percentage is of its own size."""
    own = Around(whole=100)
    found = []
    moved = style.get("translate")
    steps = [*_functions(style, "transform"), *([("translate", moved)] if isinstance(moved, tuple) and moved else [])]
    for name, arguments in steps:
        lengths = [0.0 if its.type == "ident" else _or_zero(pixels(its, own)) for its in arguments]
        if name in ("translate", "translate3d", "translatex") and lengths:
            found.append((lengths[0], lengths[1] if len(lengths) > 1 else 0.0))
        elif name == "translatey" and lengths:
            found.append((0.0, lengths[0]))
        elif name == "matrix" and len(lengths) == 6:
            found.append((lengths[4], lengths[5]))
    return found


def _is_moved(style: Style) -> bool:
    return any(min(move) <= _FAR_MOVED_PX or move[0] >= _FAR_RIGHT_PX for move in _moves(style))


def _scaled(style: Style) -> float:
    """By how much transformations make the element smaller or larger, in the direction in which they do so most."""
    scale = 1.0
    own = style.get("scale")
    steps = [*_functions(style, "transform"), *([("scale", own)] if isinstance(own, tuple) and own else [])]
    for name, arguments in steps:
        factors = [abs(its) for part in arguments if (its := number(part)) is not None]
        if name in ("scale", "scalex", "scaley") and factors:
            scale *= min(factors)
        elif name == "scale3d" and len(factors) > 1:
            scale *= min(factors[:2])
        elif name == "matrix" and len(factors) == 6:
            scale *= min(math.hypot(*factors[:2]), math.hypot(*factors[2:4]))
        elif name in ("rotatex", "rotatey") and _is_edge_on(arguments):
            scale = 0.0
    return scale


def _is_edge_on(arguments: Sequence[Any]) -> bool:
    turns = {"deg": 360.0, "grad": 400.0, "turn": 1.0, "rad": 2 * math.pi}
    angle = arguments[0] if len(arguments) == 1 else None
    if angle is None or angle.type != "dimension" or angle.lower_unit not in turns:
        return False
    return abs(abs(math.fmod(angle.value / turns[angle.lower_unit], 0.5)) - 0.25) < 0.003


def _factor(style: Style, name: str) -> float:
    value = style.get(name)
    return max(0.0, value) if isinstance(value, float) else 1.0


def _faded(style: Style) -> float:
    """What `filter: opacity()` leaves."""
    parts = [number(arguments[0]) for name, arguments in _functions(style, "filter") if name == "opacity" and arguments]
    return math.prod(min(1.0, max(0.0, its)) for its in parts if its is not None)


def _over(ink: Colour, ground: Colour | None) -> Colour | None:
    """A colour painted over another."""
    alpha = ink[3]
    if alpha >= 1:
        return ink
    if ground is None:
        return None
    red, green, blue = (alpha * a + (1 - alpha) * b for a, b in zip(ink[:3], ground[:3], strict=True))
    return red, green, blue, 1.0


def _vanishes(ink: Colour, ground: Colour | None) -> bool:
    if ink[3] < _FAINTEST:
        return True
    seen: Value = _over(ink, ground)
    if seen is None or ground is None:
        return False
    return bool(max(abs(a - b) for a, b in zip(seen[:3], ground[:3], strict=True)) <= _MAX_DIFFERENCE)
