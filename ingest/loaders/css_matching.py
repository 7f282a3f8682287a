"""Which elements of a page selectors match, in a time that has a bound.

Which of the elements above or before one fit a part of a selector is asked once for each, so that no selector makes its
work grow faster than the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Specificity = tuple[int, int, int]
Test = Callable[["Matcher", Any], bool]

_STEPS = 3_000_000  # for all rules and elements of a page


class TooMuchToMatch(Exception):
    """The style sheets and elements of a page are too many, or a selector too long, to tell what is seen."""


@dataclass(frozen=True, slots=True)
class Compound:
    """What holds for one element. `key` is the id, class or name that it must have: ("", "") where it may have any."""

    tests: tuple[Test, ...]
    key: tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Selector:
    """Compounds from left to right with what stands between each two of them (" ", ">", "+", "~")."""

    compounds: tuple[Compound, ...]
    combinators: tuple[str, ...]
    specificity: Specificity


class Matcher:
    """Matches selectors with the elements of one page, which must not be moved meanwhile."""

    def __init__(self, page: Any, *, quirks: bool = False) -> None:
        """`quirks`: the page has no document type, so that the case of classes and ids does not matter."""
        self._elements = list(page.iter())  # keeps them the same objects
        self._quirks = quirks
        self._left = _STEPS
        self._known: dict[tuple[int, int, bool, int], dict[Any, bool]] = {}
        self._places: dict[tuple[Any, bool, str | None, int], dict[Any, int]] = {}
        self._classes: dict[Any, frozenset[str]] = {}

    def folded(self, name: str) -> str:
        return name.lower() if self._quirks else name

    def classes(self, element: Any) -> frozenset[str]:
        found = self._classes.get(element)
        if found is None:
            found = self._classes[element] = frozenset(self.folded(element.get("class") or "").split())
        return found

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooMuchToMatch

    def fits(self, selector: Selector, element: Any, scope: Any = None) -> bool:
        """Whether the selector matches; `scope`: the element that the first compound must be. Raises TooMuchToMatch."""
        return self._prefix(selector, len(selector.compounds) - 1, element, scope)

    def _prefix(self, selector: Selector, at: int, element: Any, scope: Any) -> bool:
        """Whether the compounds up to `at` match, the last of them `element`."""
        if at == 0 and scope is not None:
            return element is scope
        self.spend(1)
        if not all(test(self, element) for test in selector.compounds[at].tests):
            return False
        if at == 0:
            return True
        combinator = selector.combinators[at - 1]
        if combinator in " ~":
            return self._any(selector, at - 1, element, combinator == "~", scope)
        other = element.getparent() if combinator == ">" else element.getprevious()
        return other is not None and self._prefix(selector, at - 1, other, scope)

    def _any(self, selector: Selector, at: int, element: Any, sideways: bool, scope: Any) -> bool:
        """Whether the compounds up to `at` match at an element above (or before, where `sideways`)."""
        known = self._known.setdefault((id(selector), at, sideways, id(scope)), {})
        path = []
        found = False
        node = element
        while True:
            if node in known:
                found = known[node]
                break
            path.append(node)
            node = node.getprevious() if sideways else node.getparent()
            if node is None:
                break
            if self._prefix(selector, at, node, scope):
                found = True
                break
        known.update(dict.fromkeys(path, found))
        return found

    def place(self, element: Any, last: bool, tag: str | None, among: Test | None) -> int:
        """The number of an element among its siblings, from 1; of those named `tag`, or that `among` holds for."""
        parent = element.getparent()
        if parent is None:
            return 1
        key = (parent, last, tag, id(among))
        places = self._places.get(key)
        if places is None:
            self.spend(len(parent))
            siblings: Iterable[Any] = reversed(parent) if last else parent
            counted = (its for its in siblings if tag is None or its.tag == tag)
            chosen = [its for its in counted if among is None or among(self, its)]
            places = self._places[key] = {its: number for number, its in enumerate(chosen, start=1)}
        return places.get(element, 0)
