"""The rules of style sheets that hold for a page on a screen: media, layers and nesting resolved, in their order."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import tinycss2

from ingest.loaders.css_lengths import HEIGHT, WIDTH, Around, pixels, words
from ingest.loaders.css_matching import Selector, TooMuchToMatch
from ingest.loaders.css_selectors import InvalidSelector, parse_selectors
from ingest.loaders.css_values import PARSERS, Declaration, declarations

Layer = tuple[float, ...]

UNLAYERED: Layer = (math.inf,)
_MAX_CHARACTERS = 4_000_000
_MAX_RULES = 200_000
_MAX_IMPORTS = 100
# How the window is that the page is looked at in.
_NUMBERS = {
    **{"width": WIDTH, "height": HEIGHT, "device-width": WIDTH, "device-height": HEIGHT, "inline-size": WIDTH},
    **{"block-size": HEIGHT, "resolution": 1.0, "-webkit-device-pixel-ratio": 1.0, "color": 8.0, "color-index": 0.0},
    **{"monochrome": 0.0, "grid": 0.0, "aspect-ratio": WIDTH / HEIGHT, "device-aspect-ratio": WIDTH / HEIGHT},
}
_STATES = {
    **{"hover": "hover", "any-hover": "hover", "pointer": "fine", "any-pointer": "fine", "orientation": "landscape"},
    **{"prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference", "prefers-contrast": "no-preference"},
    **{"scripting": "enabled", "update": "fast", "display-mode": "browser", "forced-colors": "none"},
    **{"inverted-colors": "none", "overflow-block": "scroll", "overflow-inline": "scroll", "scan": "progressive"},
    **{"color-gamut": "srgb", "dynamic-range": "standard", "prefers-reduced-transparency": "no-preference"},
    **{"prefers-reduced-data": "no-preference"},
}
_UNTRUE = ("none", "no-preference")
_DOTS = {"dppx": 1.0, "x": 1.0, "dpi": 1 / 96, "dpcm": 2.54 / 96}
_COMPARED = {"<": "max", ">": "min", "<=": "max", ">=": "min", "=": ""}


@dataclass(frozen=True, slots=True)
class Rule:
    """Declarations with one of the selectors that they hold for."""

    selector: Selector
    declarations: tuple[Declaration, ...]
    layer: Layer


@dataclass(slots=True)
class Sheets:
    """`imports`: whether one of them is completed by another that can't be read here."""

    rules: list[Rule] = field(default_factory=list)
    imports: bool = False


def read_sheets(sources: Iterable[str]) -> Sheets:
    """The rules of all style sheets. Raises TooMuchToMatch where they are too many to be looked at."""
    reader = _Reader()
    for source in sources:
        reader.read(source)
    return reader.sheets


def own_declarations(source: str) -> list[Declaration]:
    """What a `style` attribute says."""
    return declarations(tinycss2.parse_blocks_contents(source, skip_comments=True, skip_whitespace=True))


def holds_on_screens(query: str) -> bool:
    """Whether a `media` attribute holds for a usual screen."""
    return _media(tinycss2.parse_component_value_list(query, skip_comments=True))


def from_data_url(url: str) -> str | None:
    """The text of a `data:` URL; None for any other."""
    head, comma, body = url.strip().partition(",")
    if not comma or not head.lower().startswith("data:"):
        return None
    raw = unquote_to_bytes(body)
    if head.lower().endswith(";base64"):
        try:
            raw = base64.b64decode(raw + b"===")
        except binascii.Error:
            return ""
    return raw.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands around a rule."""

    parents: tuple[Selector, ...] = ()
    layer: Layer = UNLAYERED


class _Reader:
    def __init__(self) -> None:
        self.sheets = Sheets()
        self._layers: dict[tuple[Layer, str], float] = {}
        self._characters = 0
        self._imports = 0

    def read(self, source: str, layer: Layer = UNLAYERED) -> None:
        self._characters += len(source)
        if self._characters > _MAX_CHARACTERS:
            raise TooMuchToMatch
        nodes = tinycss2.parse_stylesheet(source, skip_comments=True, skip_whitespace=True)
        stack = [(iter(nodes), _Place(layer=layer))]
        while stack:
            nodes_left, place = stack[-1]
            node = next(nodes_left, None)
            if node is None:
                stack.pop()
            elif node.type == "qualified-rule":
                inner = self._rule(node, place)
                if inner is not None:
                    stack.append(inner)
            elif node.type == "at-rule":
                stack += self._at_rule(node, place)

    def _rule(self, node: Any, place: _Place) -> tuple[Iterator[Any], _Place] | None:
        nodes = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
        said = tuple(declarations(nodes))
        nested = [its for its in nodes if its.type in ("qualified-rule", "at-rule")]
        if not said and not nested:
            return None
        try:
            selectors = parse_selectors(node.prelude, place.parents)
        except InvalidSelector:
            return None
        self._add(selectors, said, place.layer)
        return (iter(nested), _Place(tuple(selectors), place.layer)) if nested else None

    def _add(self, selectors: Sequence[Selector], said: tuple[Declaration, ...], layer: Layer) -> None:
        if said:
            self.sheets.rules += [Rule(selector, said, layer) for selector in selectors]
            if len(self.sheets.rules) > _MAX_RULES:
                raise TooMuchToMatch

    def _at_rule(self, node: Any, place: _Place) -> list[tuple[Iterator[Any], _Place]]:
        name = node.lower_at_keyword
        if name == "import":
            self._import(node, place)
        if name == "layer" and node.content is None:
            for path in _layer_names(node.prelude):
                self._layer(place.layer, path)
        if node.content is None:
            return []
        inner = place
        if name == "layer":
            inner = _Place(place.parents, self._layer(place.layer, next(iter(_layer_names(node.prelude)), [])))
        elif name == "scope":
            roots = next((its.content for its in node.prelude if its.type == "() block"), None)
            try:
                inner = _Place(tuple(parse_selectors(roots)) if roots else place.parents, place.layer)
            except InvalidSelector:
                return []
        elif not (
            (name == "media" and _media(node.prelude))
            or (name == "supports" and _condition(node.prelude, _is_supported))
            or (name == "container" and _condition(_unnamed(node.prelude), _feature))
        ):
            return []
        nodes = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
        if inner.parents and name != "scope":
            self._add(inner.parents, tuple(declarations(nodes)), inner.layer)
        return [(iter(nodes), inner)]

    def _layer(self, around: Layer, path: list[str]) -> Layer:
        """The order of a layer: those named first count least, and what is in none counts most."""
        for name in path or [f"\0{len(self._layers)}"]:
            number = self._layers.setdefault((around, name), float(len(self._layers)))
            around = (*around[:-1], number, math.inf)
        return around

    def _import(self, node: Any, place: _Place) -> None:
        tokens = words(node.prelude)
        first = tokens[0] if tokens else None
        if first is None:
            return
        url = first.value if first.type in ("string", "url") else ""
        if first.type == "function" and first.lower_name == "url":
            url = next((its.value for its in first.arguments if its.type == "string"), "")
        layer, rest = place.layer, tokens[1:]
        if rest and (getattr(rest[0], "lower_value", "") == "layer" or getattr(rest[0], "lower_name", "") == "layer"):
            names = _layer_names(rest[0].arguments) if rest[0].type == "function" else [[]]
            layer, rest = self._layer(layer, next(iter(names), [])), rest[1:]
        if rest and getattr(rest[0], "lower_name", "") == "supports":
            rest = rest[1:]
        if rest and not _media(rest):
            return
        source = from_data_url(url)
        self._imports += 1
        if source is None:
            self.sheets.imports = True
        elif self._imports <= _MAX_IMPORTS:
            self.read(source, layer)
        else:
            raise TooMuchToMatch


def _layer_names(tokens: Sequence[Any]) -> list[list[str]]:
    return [
        [its.value for its in part if its.type == "ident"] for part in _parts(tokens, ",") if any(its for its in part)
    ]


def _parts(tokens: Sequence[Any], sign: str) -> Iterator[list[Any]]:
    part: list[Any] = []
    for token in words(tokens):
        if token == sign:
            yield part
            part = []
        else:
            part.append(token)
    yield part


# -- conditions


def _media(tokens: Sequence[Any]) -> bool:
    """Whether one of the queries holds; none at all holds too."""
    queries = list(_parts(tokens, ","))
    return queries == [[]] or any(_query(query) for query in queries if query)


def _query(tokens: list[Any]) -> bool:
    first = tokens[0]
    rest = tokens
    negated = False
    if first.type == "ident" and first.lower_value in ("not", "only") and len(tokens) > 1:
        if tokens[1].type != "ident":
            return _condition(tokens, _feature)
        negated, rest = first.lower_value == "not", tokens[1:]
    if rest[0].type != "ident":
        return _condition(rest, _feature)
    holds = rest[0].lower_value in ("all", "screen")
    if len(rest) > 2 and rest[1].type == "ident" and rest[1].lower_value == "and":
        holds = holds and _condition(rest[2:], _feature)
    return holds != negated


def _condition(tokens: Sequence[Any], holds: Any, depth: int = 0) -> bool:
    """`not (a)`, `(a) and (b)`, `(a) or (b)`, with conditions in brackets in turn."""
    result: bool | None = None
    operator, negated = "and", False
    for token in words(tokens):
        if token.type == "ident":
            if token.lower_value == "not":
                negated = not negated
            elif token.lower_value in ("and", "or"):
                operator = token.lower_value
            else:
                return False
            continue
        if token.type == "() block":
            inner = words(token.content)
            nested = bool(inner) and (inner[0].type == "() block" or getattr(inner[0], "lower_value", "") == "not")
            one = depth < 20 and (_condition(inner, holds, depth + 1) if nested else bool(holds(inner)))
        else:
            one = token.type == "function" and holds is _is_supported
        one, negated = one != negated, False
        result = one if result is None else (result and one if operator == "and" else result or one)
    return bool(result)


def _unnamed(tokens: Sequence[Any]) -> list[Any]:
    """The condition of `@container` without the container's name."""
    tokens = words(tokens)
    named = tokens and tokens[0].type == "ident" and tokens[0].lower_value != "not"
    return tokens[1:] if named else tokens


def _is_supported(tokens: Sequence[Any]) -> bool:
    """Whether a browser knows a declaration; one of a property that is not looked at here is taken for known."""
    found = tinycss2.parse_one_declaration(list(tokens), skip_comments=True)
    if found.type != "declaration":
        return False
    return found.lower_name not in PARSERS or bool(declarations([found]))


def _feature(tokens: Sequence[Any]) -> bool:
    """`(min-width: 1px)`, `(width >= 1px)`, `(1px < width < 9px)`, `(hover)`."""
    name = next((its.lower_value for its in tokens if its.type == "ident"), "")
    if len(tokens) == 1:
        if name in _NUMBERS:
            return _NUMBERS[name] != 0
        return name in _STATES and _STATES[name] not in _UNTRUE
    if len(tokens) > 2 and tokens[1] == ":" and tokens[0].type == "ident":
        bound, _, rest = name.rpartition("min-") if "min-" in name else name.rpartition("max-")
        kind = "min" if "min-" in name else "max" if "max-" in name else ""
        key = bound + rest if kind else name
        if key in _NUMBERS:
            return _compare(_NUMBERS[key], kind, True, _size(tokens[2:]))
        stated = tokens[2]
        return stated.type == "ident" and _STATES.get(name) == str(stated.lower_value)
    if name not in _NUMBERS:
        return False
    return all(_ranges(tokens, name))


def _ranges(tokens: Sequence[Any], name: str) -> Iterator[bool]:
    place = next(at for at, its in enumerate(tokens) if its.type == "ident" and its.lower_value == name)
    for side, is_left in ((tokens[:place], True), (tokens[place + 1 :], False)):
        sign = "".join(str(its.value) for its in side if its.type == "literal" and its.value in ("<", ">", "="))
        if sign:
            value = _size([its for its in side if its.type != "literal" or its.value == "/"])
            kind = _COMPARED.get(sign, "")
            kind = {"min": "max", "max": "min"}.get(kind, "") if is_left else kind
            yield _compare(_NUMBERS[name], kind, "=" in sign, value)


def _compare(actual: float, kind: str, equal: bool, stated: float) -> bool:
    if actual == stated:
        return equal or not kind
    return actual > stated if kind == "min" else actual < stated if kind == "max" else False


def _size(tokens: Sequence[Any]) -> float:
    """A length in pixels, dots per pixel, a number, or a ratio; NaN for all else."""
    if len(tokens) == 3 and tokens[1] == "/" and tokens[0].type == tokens[2].type == "number":
        return float(tokens[0].value) / tokens[2].value if tokens[2].value else math.nan
    if len(tokens) != 1:
        return math.nan
    if tokens[0].type == "dimension" and tokens[0].lower_unit in _DOTS:
        return float(tokens[0].value) * _DOTS[tokens[0].lower_unit]
    return pixels(tokens[0], Around())
