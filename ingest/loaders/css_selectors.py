"""Selectors of style sheets (Selectors Level 4), parsed from tokens.

A page is looked at as a browser first shows it: nothing is hovered over, focused or visited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tinycss2.nth

from ingest.loaders.css_matching import Compound, Matcher, Selector, Test, TooMuchToMatch

_MAX_TOKENS = 600  # of one selector
_MAX_DEPTH = 12  # of selectors in selectors
_ANY = ("is", "where", "matches", "-webkit-any", "-moz-any")
_NTH = {
    "nth-child": (False, False),
    "nth-last-child": (True, False),
    "nth-of-type": (False, True),
    "nth-last-of-type": (True, True),
}
_FIRST = {"first": (False,), "last": (True,), "only": (False, True)}
_LEGACY_PSEUDO_ELEMENTS = ("before", "after", "first-line", "first-letter")
# What a page is not when it is first shown. A pseudo-class in neither list makes its rule invalid, as in a browser.
# fmt: off
_NEVER = frozenset((
    "hover", "active", "focus", "focus-within", "focus-visible", "visited", "target", "target-within",
    "current", "past", "future", "playing", "modal", "fullscreen", "picture-in-picture", "popover-open",
    "user-valid", "user-invalid", "autofill", "-webkit-autofill", "blank", "buffering", "indeterminate",
    "invalid", "out-of-range", "seeking", "stalled", "muted", "volume-locked", "local-link", "default", "host",
    "left", "right", "first", "-moz-focusring", "-moz-ui-invalid", "placeholder-shown",
))
# fmt: on
_ALWAYS = frozenset(("defined", "paused", "valid", "in-range", "optional", "read-only", "enabled"))
_STATED = {"checked": ("checked", "selected"), "disabled": ("disabled",), "required": ("required",), "open": ("open",)}
_LINKS = ("link", "any-link")
_STATES = (*_NEVER, *_ALWAYS, *_STATED, *_LINKS, "root", "empty", "scope", "read-write")


class InvalidSelector(ValueError):
    """A browser would pass the rule over."""


def parse_selectors(tokens: Sequence[Any], parents: Sequence[Selector] = (), depth: int = 0) -> list[Selector]:
    """The selectors of a list; `parents` are those of the rule around, which "&" stands for.

    Raises InvalidSelector where one of them is invalid, TooMuchToMatch for one that is too long.
    """
    return [_Parser(part, parents, depth).selector() for part in _parts(tokens)]


def _parts(tokens: Sequence[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for token in tokens:
        if token.type == "comment":
            continue
        if token == ",":
            yield part
            part = []
        else:
            part.append(token)
            if len(part) > _MAX_TOKENS:
                raise TooMuchToMatch
    yield part


class _Parser:
    """Reads one selector."""

    def __init__(self, tokens: Sequence[Any], parents: Sequence[Selector], depth: int, relative: bool = False) -> None:
        if depth > _MAX_DEPTH:
            raise TooMuchToMatch
        self._tokens, self._parents, self._depth, self._relative = list(tokens), parents, depth, relative
        self._next = 0
        self._specificity = [0, 0, 0]
        self._nests = False  # whether it has an "&"

    def selector(self) -> Selector:
        compounds: list[Compound] = []
        combinators: list[str] = []
        combinator = self._combinator()
        leading = combinator.strip()
        while self._next < len(self._tokens):
            compounds.append(self._compound())
            combinator = self._combinator()
            if self._next < len(self._tokens):
                combinators.append(combinator or " ")
            elif combinator.strip():
                raise InvalidSelector
        if not compounds or (leading and not (self._parents or self._relative)):
            raise InvalidSelector
        if self._relative or (self._parents and (leading or not self._nests) and self._depth == 0):
            above = Compound((_within(self._parents) if self._parents else _is_anything,), ("", ""))
            compounds.insert(0, above)
            combinators.insert(0, leading or " ")
            if not self._relative:
                self._count(max(one.specificity for one in self._parents))
        return Selector(tuple(compounds), tuple(combinators), tuple(self._specificity))  # type: ignore[arg-type]

    def _combinator(self) -> str:
        found = ""
        while (token := self._peek()) is not None:
            if token.type == "whitespace":
                found = found or " "
            elif token.type == "literal" and token.value in (">", "+", "~") and not found.strip():
                found = token.value
            else:
                break
            self._next += 1
        return found

    def _peek(self) -> Any:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self) -> Any:
        token = self._peek()
        self._next += 1
        return token

    def _count(self, specificity: Sequence[int]) -> None:
        for place, number in enumerate(specificity):
            self._specificity[place] += number

    def _compound(self) -> Compound:
        start = self._next
        tests: list[Test] = []
        keys: dict[str, str] = {}
        while (token := self._peek()) is not None and token.type != "whitespace":
            kind = token.type
            if kind == "literal" and token.value in (">", "+", "~"):
                break
            self._next += 1
            if (kind == "ident" and self._next == start + 1) or (kind == "literal" and token.value == "*"):
                self._name(token, tests, keys)
            elif kind == "hash" and token.is_identifier:
                keys["id"] = token.value
                self._specificity[0] += 1
                tests.append(_has_id(token.value))
            elif kind == "literal" and token.value == "." and getattr(self._peek(), "type", "") == "ident":
                keys["class"] = name = self._take().value
                self._specificity[1] += 1
                tests.append(_has_class(name))
            elif kind == "[] block":
                self._specificity[1] += 1
                tests.append(_attribute(token.content))
            elif kind == "literal" and token.value == ":":
                tests.append(self._pseudo())
            elif kind == "literal" and token.value == "&":
                self._nests = True
                tests.append(_within(self._parents) if self._parents else _is_root)
                self._count(max((one.specificity for one in self._parents), default=(0, 0, 0)))
            else:
                raise InvalidSelector
        if self._next == start:
            raise InvalidSelector
        key = next(((kind, keys[kind]) for kind in ("id", "class", "tag") if kind in keys), ("", ""))
        return Compound(tuple(tests), key)

    def _name(self, token: Any, tests: list[Test], keys: dict[str, str]) -> None:
        """A name or "*", with or without a namespace before it, which is passed over."""
        if self._peek() == "|":
            self._next += 1
            token = self._take()
        if token is None or not (token.type == "ident" or token == "*"):
            raise InvalidSelector
        if token.type == "ident":
            keys["tag"] = name = token.lower_value
            self._specificity[2] += 1
            tests.append(lambda _, element: element.tag == name)

    def _pseudo(self) -> Test:
        token = self._take()
        if token is not None and token.type == "literal" and token.value == ":":
            self._take()
            return _never  # what stands before, after or in part of an element hides nothing of its text
        if token is None or token.type not in ("ident", "function"):
            raise InvalidSelector
        if token.type == "ident":
            name = token.lower_value
            if name not in _LEGACY_PSEUDO_ELEMENTS:
                self._specificity[1] += 1
            return _state(name)
        name, arguments = token.lower_name, token.arguments
        if name in (*_ANY, "not"):
            inner = self._inner(arguments, forgiving=name != "not")
            if name != "where":
                self._count(max((one.specificity for one in inner), default=(0, 0, 0)))
            fits = _within(inner)
            return fits if name != "not" else lambda matcher, element: not fits(matcher, element)
        if name == "has":
            inner = [_Parser(part, (), self._depth + 1, relative=True).selector() for part in _parts(arguments)]
            self._count(max((one.specificity for one in inner), default=(0, 0, 0)))
            return _has(inner)
        self._specificity[1] += 1
        if name in _NTH:
            return self._nth(name, arguments)
        if name in ("lang", "dir", "state", "host", "host-context"):
            words = [its.value.lower() for its in arguments if its.type in ("ident", "string")]
            return _language(words) if name == "lang" else _never
        raise InvalidSelector

    def _inner(self, tokens: Sequence[Any], forgiving: bool) -> list[Selector]:
        found = []
        for part in _parts(tokens):
            try:
                found.append(_Parser(part, self._parents, self._depth + 1).selector())
            except InvalidSelector:
                if not forgiving:
                    raise
        return found

    def _nth(self, name: str, arguments: Sequence[Any]) -> Test:
        last, of_type = _NTH[name]
        tokens = [its for its in arguments if its.type != "comment"]
        cut = next((at for at, its in enumerate(tokens) if its.type == "ident" and its.lower_value == "of"), None)
        inner: list[Selector] = []
        if cut is not None and not of_type:
            inner = self._inner(tokens[cut + 1 :], forgiving=False)
            self._count(max((one.specificity for one in inner), default=(0, 0, 0)))
        numbers = tinycss2.nth.parse_nth(tokens[:cut])
        if numbers is None:
            raise InvalidSelector
        step, first = numbers
        among = _within(inner) if inner else None

        def fits(matcher: Matcher, element: Any) -> bool:
            if among is not None and not among(matcher, element):
                return False
            place = matcher.place(element, last, element.tag if of_type else None, among) - first
            return place == 0 if step == 0 else bool(place % step == 0 and place // step >= 0)

        return fits


# -- what a compound asks of an element


def _never(_: Matcher, __: Any) -> bool:
    return False


def _is_anything(_: Matcher, __: Any) -> bool:
    return True


def _is_root(_: Matcher, element: Any) -> bool:
    return element.getparent() is None


def _within(selectors: Sequence[Selector]) -> Test:
    return lambda matcher, element: any(matcher.fits(one, element) for one in selectors)


def _has_id(name: str) -> Test:
    return lambda matcher, element: matcher.folded(element.get("id") or "") == matcher.folded(name)


def _has_class(name: str) -> Test:
    return lambda matcher, element: matcher.folded(name) in matcher.classes(element)


def _has(selectors: Sequence[Selector]) -> Test:
    """`:has()`: the first compound of each selector is the element itself."""

    def fits(matcher: Matcher, element: Any) -> bool:
        for one in selectors:
            siblings = one.combinators[0] in ("+", "~")
            for other in _after(element) if siblings else element.iterdescendants():
                if matcher.fits(one, other, element):
                    return True
        return False

    return fits


def _after(element: Any) -> Iterator[Any]:
    for sibling in element.itersiblings():
        yield sibling
        yield from sibling.iterdescendants()


def _state(name: str) -> Test:
    if name in _LEGACY_PSEUDO_ELEMENTS:
        return _never
    if name in ("root", "scope"):
        return _is_root
    if name in _LINKS:
        return lambda _, element: element.tag in ("a", "area") and element.get("href") is not None
    if name == "empty":
        return lambda _, element: len(element) == 0 and not element.text
    if name in _STATED:
        return lambda _, element: any(element.get(attribute) is not None for attribute in _STATED[name])
    if name == "read-write":
        return lambda _, element: element.tag in ("input", "textarea")
    which, _, of = name.partition("-")
    if which in _FIRST and of in ("child", "of-type"):
        of_type = of == "of-type"
        return lambda matcher, element: all(
            matcher.place(element, last, element.tag if of_type else None, None) == 1 for last in _FIRST[which]
        )
    if name in _STATES:
        return _never if name in _NEVER else _is_anything
    raise InvalidSelector


def _language(words: Sequence[str]) -> Test:
    def fits(_: Matcher, element: Any) -> bool:
        for node in (element, *element.iterancestors()):
            if (stated := node.get("lang")) is not None:
                return any(stated.lower() == word or stated.lower().startswith(word + "-") for word in words)
        return False

    return fits


def _attribute(tokens: Sequence[Any]) -> Test:
    """`[name]`, `[name=value]` with its variants, and `i` behind for any case."""
    tokens = [its for its in tokens if its.type not in ("whitespace", "comment")]
    while len(tokens) > 1 and tokens[1] == "|":
        tokens = tokens[2:]
    if not tokens or tokens[0].type != "ident":
        raise InvalidSelector
    name = tokens[0].lower_value
    if len(tokens) == 1:
        return lambda _, element: element.get(name) is not None
    operator = tokens[1].value
    if operator not in _OPERATORS or len(tokens) < 3 or tokens[2].type not in ("ident", "string") or len(tokens) > 4:
        raise InvalidSelector
    wanted = tokens[2].value
    folds = (len(tokens) == 4 and tokens[3].value in ("i", "I")) or name in ("type", "align", "lang", "dir", "media")
    compare = _OPERATORS[operator]

    def fits(_: Matcher, element: Any) -> bool:
        value = element.get(name)
        if value is None:
            return False
        return compare(value.lower(), wanted.lower()) if folds else compare(value, wanted)

    return fits


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "~=": lambda value, wanted: wanted in value.split(),
    "|=": lambda value, wanted: value == wanted or value.startswith(wanted + "-"),
    "^=": lambda value, wanted: bool(wanted) and value.startswith(wanted),
    "$=": lambda value, wanted: bool(wanted) and value.endswith(wanted),
    "*=": lambda value, wanted: bool(wanted) and wanted in value,
}
