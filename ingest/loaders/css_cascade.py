"""Which declarations hold for an element: those of the browser, of its attributes, of rules, and of its own style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tinycss2.ast

from ingest.loaders.css_matching import Matcher
from ingest.loaders.css_rules import UNLAYERED, Layer, Sheets, own_declarations
from ingest.loaders.css_values import CURRENT, KEYWORDS, PARSERS, Declaration, Value, longhands

Style = dict[str, Value]
Customs = dict[str, tuple[Any, ...]]

INHERITED = frozenset(("color", "-webkit-text-fill-color", "font-size", "visibility", "text-indent", "text-shadow"))
_INITIAL: Style = {
    **{"opacity": 1.0, "zoom": 1.0, "color": "initial", "-webkit-text-fill-color": CURRENT, "font-size": "medium"},
    **{"background-color": (0.0, 0.0, 0.0, 0.0), "background-image": "none", "background-clip": "box"},
    **{"text-shadow": (), "visibility": "visible", "content-visibility": "visible", "display": "inline"},
    **{"position": "static", "overflow": "visible", "clip": "auto", "clip-path": "auto"},
    **{"color-scheme": "light", "transform": (), "filter": (), "scale": (), "translate": ()},
}
# fmt: off
_NOT_SHOWN = frozenset((
    "area", "base", "basefont", "datalist", "link", "meta", "noembed", "noframes", "noscript", "param", "rp",
    "script", "style", "template",
))
# fmt: on
_LINK_BLUE = (0.0, 0.0, 238.0, 1.0)
_BARE_HEX = re.compile(r"(?:[0-9a-fA-F]{3}){1,2}")
_MAX_SUBSTITUTED = 2000  # tokens of one declaration
_DEEPEST = 20

_Weight = tuple[int, Layer, int, tuple[int, int, int], int]


class Cascade:
    """The styles of the elements of one page."""

    def __init__(self, sheets: Sheets, matcher: Matcher) -> None:
        self._matcher = matcher
        self._by_key: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.names: set[tuple[str, str]] = set()  # classes and ids that the rules know
        for number, rule in enumerate(sheets.rules):
            kind, name = rule.selector.compounds[-1].key
            name = matcher.folded(name) if kind in ("id", "class") else name
            self._by_key.setdefault((kind, name), []).append((number, rule))
            self.names.update(
                (compound.key[0], matcher.folded(compound.key[1])) for compound in rule.selector.compounds
            )

    def style(self, element: Any, around: Customs) -> tuple[Style, Customs]:
        """What holds for the element, and its custom properties; `around`: those of its parent.

        Values are those of `css_values.PARSERS`, or one of "inherit" and "initial". Raises TooMuchToMatch.
        """
        found: dict[str, tuple[_Weight, Declaration]] = {}
        for declaration in _by_browser(element):
            _keep(found, declaration, (0, UNLAYERED, 0, (0, 0, 0), 0))
        if self._by_key:
            self._by_rules(element, found)
        own = element.get("style")
        if own and not own.isspace():
            for number, declaration in enumerate(own_declarations(own)):
                _keep(found, declaration, (4 if declaration.important else 2, UNLAYERED, 1, (0, 0, 0), number))
        if not found:
            return {}, around
        said = {name: tuple(its.value) for name, (_, its) in found.items() if name.startswith("--")}
        customs = {**around, **said} if said else around
        # A shorthand with a variable in it stands in for its parts where it outweighs them.
        style: dict[str, tuple[_Weight, Value]] = {}
        for name, (weight, declaration) in found.items():
            if name.startswith("--"):
                continue
            for key, value in _values(declaration, customs):
                if key not in style or style[key][0] <= weight:
                    style[key] = weight, value
        return {key: _resolved(key, value) for key, (_, value) in style.items()}, customs

    def _by_rules(self, element: Any, found: dict[str, tuple[_Weight, Declaration]]) -> None:
        matcher = self._matcher
        keys = [("", ""), ("tag", element.tag), *(("class", name) for name in matcher.classes(element))]
        if name := element.get("id"):
            keys.append(("id", matcher.folded(name)))
        for key in keys:
            for number, rule in self._by_key.get(key, ()):
                if not matcher.fits(rule.selector, element):
                    continue
                for declaration in rule.declarations:
                    important = declaration.important
                    layer = tuple(-part for part in rule.layer) if important else rule.layer
                    _keep(found, declaration, (3 if important else 2, layer, 0, rule.selector.specificity, number))


def _keep(found: dict[str, tuple[_Weight, Declaration]], declaration: Declaration, weight: _Weight) -> None:
    before = found.get(declaration.name)
    if before is None or before[0] <= weight:
        found[declaration.name] = weight, declaration


def _by_browser(element: Any) -> list[Declaration]:
    """What browsers and the attributes of old HTML say of an element, where that matters here."""
    tag, has = element.tag, element.get
    found: list[Declaration] = []
    if (
        tag in _NOT_SHOWN
        or has("hidden") is not None
        or has("popover") is not None
        or (tag == "dialog" and has("open") is None)
    ):
        found.append(Declaration("display", "none"))
    if tag == "a" and has("href") is not None:
        found.append(Declaration("color", _LINK_BLUE))
    elif tag == "mark":
        found += [Declaration("background-color", (255.0, 255.0, 0.0, 1.0)), Declaration("color", (0.0, 0.0, 0.0, 1.0))]
    for attribute, name in (("bgcolor", "background-color"), ("text", "color"), ("color", "color")):
        stated = has(attribute)
        if stated and (attribute == "bgcolor" or tag == ("body" if attribute == "text" else "font")):
            source = f"#{stated}" if _BARE_HEX.fullmatch(stated) else stated[:100]
            tokens = tinycss2.parse_component_value_list(source)
            found += [Declaration(key, value) for key, value in longhands(name, tokens)]
    if has("background") and tag in ("body", "table", "td", "th", "tr"):
        found.append(Declaration("background-image", "some"))
    return found


def _values(declaration: Declaration, customs: Customs) -> Sequence[tuple[str, Value]]:
    if declaration.pending is None:
        return [(declaration.name, declaration.value)]
    tokens = _substituted(declaration.pending, customs, [_MAX_SUBSTITUTED], 0)
    found = [] if tokens is None else longhands(declaration.name, tokens)
    # What turns out invalid only now is as if it were unset: the declarations before are gone.
    return found or [(declaration.name, "unset")] if declaration.name in PARSERS else found


def _resolved(name: str, value: Value) -> Value:
    if not isinstance(value, str) or value not in KEYWORDS:
        return value
    if value == "inherit" or (value != "initial" and name in INHERITED):
        return "inherit"
    return _INITIAL.get(name, "auto")


def _substituted(tokens: Sequence[Any], customs: Customs, left: list[int], depth: int) -> list[Any] | None:
    """The tokens with the values of variables in their place; None where one has none, or they become too many."""
    found: list[Any] = []
    if depth > _DEEPEST:
        return None
    for token in tokens:
        left[0] -= 1
        if left[0] < 0:
            return None
        if token.type == "function" and token.lower_name == "var":
            arguments = [its for its in token.arguments if its.type not in ("whitespace", "comment")]
            name = arguments[0].value if arguments and arguments[0].type == "ident" else ""
            inner: Sequence[Any] = customs.get(name) or (arguments[2:] if len(arguments) > 1 else ())
            if not inner:
                return None
            part = _substituted(inner, customs, left, depth + 1)
            if part is None:
                return None
            found += part
        elif token.type == "function":
            part = _substituted(token.arguments, customs, left, depth + 1)
            if part is None:
                return None
            found.append(tinycss2.ast.FunctionBlock(token.source_line, token.source_column, token.name, part))
        elif token.type == "() block":
            part = _substituted(token.content, customs, left, depth + 1)
            if part is None:
                return None
            found.append(tinycss2.ast.ParenthesesBlock(token.source_line, token.source_column, part))
        else:
            found.append(token)
    return found
