"""Lengths and numbers of style sheets, with what `calc()` and the like make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 1280.0, 800.0  # pixels of the window that a page is looked at in
_PIXELS = {
    **{"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945},
    **{"vw": WIDTH / 100, "vh": HEIGHT / 100, "vi": WIDTH / 100, "vb": HEIGHT / 100},
    **{"vmin": HEIGHT / 100, "vmax": WIDTH / 100},
}
_OF_FONT = {"em": 1.0, "ex": 0.5, "ch": 0.5, "cap": 0.7, "ic": 1.0, "lh": 1.2}
_OF_ROOT = {"rem": 1.0, "rex": 0.5, "rch": 0.5, "rcap": 0.7, "ric": 1.0, "rlh": 1.2}
_FUNCTIONS = ("calc", "-webkit-calc", "min", "max", "clamp", "abs")
_DEEPEST = 20
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Around:
    """What relative lengths are relative to, in pixels."""

    font: float = 16.0
    root: float = 16.0
    whole: float = 800.0  # 100 %


def words(tokens: Sequence[Any]) -> list[Any]:
    """The tokens without white space and comments."""
    return [its for its in tokens if its.type not in ("whitespace", "comment")]


def is_length(token: Any, *, unitless: bool = False) -> bool:
    """Whether a token is a length or a percentage; `unitless`: any number is one."""
    if token.type == "number":
        return unitless or bool(token.value == 0)
    if token.type == "dimension":
        unit = token.lower_unit
        return unit in _PIXELS or unit in _OF_FONT or unit in _OF_ROOT or _viewport(unit) is not None
    return token.type == "percentage" or (token.type == "function" and token.lower_name in _FUNCTIONS)


def pixels(token: Any, around: Around) -> float:
    """A length in pixels; NaN where it can't be told."""
    try:
        return max(-_LARGEST, min(_LARGEST, _value(token, around, 0)))
    except (OverflowError, ZeroDivisionError, ValueError):
        return math.nan


def number(token: Any) -> float | None:
    """A number, or a percentage as its hundredth; None for all else."""
    if token.type == "number":
        return max(-_LARGEST, min(_LARGEST, float(token.value)))
    if token.type == "percentage":
        return max(-_LARGEST, min(_LARGEST, float(token.value) / 100))
    if token.type == "function" and token.lower_name in _FUNCTIONS:
        found = pixels(token, Around(whole=1.0))
        return None if math.isnan(found) else found
    return None


def _viewport(unit: str) -> float | None:
    """Units of the small, large and dynamic viewport, which are the same here; and those of a container."""
    return _PIXELS.get("v" + unit[2:] if unit[:2] in ("sv", "lv", "dv", "cq") else "")


def _value(token: Any, around: Around, depth: int) -> float:
    if depth > _DEEPEST:
        raise ValueError
    if token.type == "number":
        return float(token.value)
    if token.type == "percentage":
        return float(token.value) / 100 * around.whole
    if token.type == "dimension":
        unit = token.lower_unit
        if unit in _OF_FONT:
            return float(token.value) * _OF_FONT[unit] * around.font
        if unit in _OF_ROOT:
            return float(token.value) * _OF_ROOT[unit] * around.root
        size = _PIXELS.get(unit) or _viewport(unit)
        if size is None:
            raise ValueError
        return float(token.value) * size
    if token.type == "() block":
        return _sum(words(token.content), around, depth + 1)
    if token.type == "function" and token.lower_name in _FUNCTIONS:
        values = [_sum(part, around, depth + 1) for part in _commas(words(token.arguments))]
        name = token.lower_name
        if name == "clamp" and len(values) == 3:
            return max(values[0], min(values[1], values[2]))
        if name in ("min", "max"):
            return min(values) if name == "min" else max(values)
        if len(values) == 1:
            return abs(values[0]) if name == "abs" else values[0]
    raise ValueError


def _commas(tokens: Sequence[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for token in tokens:
        if token == ",":
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _sum(tokens: Sequence[Any], around: Around, depth: int) -> float:
    """A sum of products: `2px * 3 - 1em`."""
    total, product, sign, operator = 0.0, None, 1.0, ""
    for token in tokens:
        if token.type == "literal" and token.value in ("+", "-") and product is not None:
            total += sign * product
            product, sign = None, -1.0 if token.value == "-" else 1.0
        elif token.type == "literal" and token.value in ("*", "/"):
            operator = token.value
        else:
            value = _value(token, around, depth)
            if product is None:
                product = value
            elif operator == "/":
                product /= value
            else:
                product *= value
    if product is None:
        raise ValueError
    return total + sign * product
