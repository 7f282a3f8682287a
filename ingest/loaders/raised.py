"""Raised numbers: exponents, and the marks of notes, which would be read as digits of the number before them.

A loader puts what is raised between two signs (`raised`); `settled`, which `blocks.join` calls, writes it in the text.
"""

from __future__ import annotations

import re
from typing import Any

_BEGIN, _END = "\ufdd0", "\ufdd1"  # noncharacters: no text has them
_RAISED = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")
_LONGEST = 40  # characters of a number that is raised, and of what is looked at before it
_NUMBER = re.compile(r"([+\-\u2212\u2013])?(\d+(?:\.\d+)?)")
_NUMBERS = re.compile(r"\d+(?:\s?[,;\u2013-]\s?\d+)+")  # of notes
_PRICE = re.compile(r"[$€£]\s?\d{1,9}$")
# A unit is known by its name, or by its place behind a number or a stroke; so are variables of one letter.
_KNOWN_UNIT = re.compile(r"(?<![A-Za-z])(?:[kcdm\u00b5\u03bcn]?m|ft|yd|mi|s|ms|min|hr?|kg|mc|mol|Pa|au)$")
_UNIT = re.compile(r"(?:\d[ \u00a0]?|[/·⋅])[A-Za-z\u00b5\u03bc\u03a9\u00c5]{1,3}$")
_NO_UNIT = re.compile(r"(?:\d(?:st|nd|rd|th|s)|(?:[ap]m|AD|BC|CE|BCE|of|and|to|or|on|at|men|out))$")
_VARIABLE = re.compile(r"(?:^|[\s(\[+\-\u2212*/=·⋅\u00d7])[A-Za-z\u03b1-\u03c9\u0391-\u03a9]$")
_LINKED = re.compile(r"\[?([^\W_]{1,4})\]?")
_FRACTION = ("/", "\u2044", "\u2215")
_CLOSING = frozenset(")]}")
_FORMULA = re.compile(r"(?<!\S)(?!\S*[A-Za-z]{3})(?!\S*\d{4})\S+$")  # no words, and no year, in brackets
_AFTER_SENTENCE = frozenset(".,;:!?)]}\"'\u2019\u201d\u00bb%…。、\uff0c")


def raised(text: str) -> str:
    """`text`, which stands above the line, for `settled` to write."""
    return f"{_BEGIN}{text}{_END}" if text.strip() else text


def mark_raised(root: Any, tag: str, link: str) -> None:
    """Has the elements `tag` of a tree stand as what is raised. What a link (`link`) raises is the mark of a note."""
    for element in root.iter(tag):
        if next(element.iterancestors(tag), None) is not None or not (text := "".join(element.itertext())).strip():
            continue
        if (note := _LINKED.fullmatch(text.strip())) and _linked(element, link):
            for child in list(element):
                element.remove(child)
            element.text = f"[{note[1]}]"
        elif len(element):
            element.text = _BEGIN + (element.text or "")
            element[-1].tail = (element[-1].tail or "") + _END
        else:
            element.text = raised(text)


def _linked(element: Any, link: str) -> bool:
    """Whether there is a link in what is raised, or it is all of one."""
    if next(element.iter(link), None) is not None:
        return True
    around = element.getparent()
    alone = around is not None and len(around) == 1 and not (around.text or "").strip() + (element.tail or "").strip()
    return alone and next(around.iter(link), None) is around


def settled(text: str) -> str:
    """`text` with what is raised in it as it reads on one line.

    An exponent is `10^23`, `10^-6`, `m^2`, or `x^2`; the mark of a note is `word[1]`, or `word.[1,2]`; letters (`1st`)
    and all else stay as they are. Linear in the length of the text.
    """
    if _BEGIN not in text:
        return text.replace(_END, "")
    text = text.replace(_END + _BEGIN, "")  # one number in two runs
    parts: list[str] = []
    done = 0
    for match in _RAISED.finditer(text):
        before = text[max(done, match.start() - _LONGEST) : match.start()]
        parts += [text[done : match.start()], _written(before, match[1], text[match.end() : match.end() + 1])]
        done = match.end()
    return "".join([*parts, text[done:]]).replace(_BEGIN, "").replace(_END, "")


def _written(before: str, its: str, after: str) -> str:
    """A raised text as it stands between what is before and after it; white space in it stays around it."""
    number = its.strip()
    if len(number) > _LONGEST:
        return its
    begins, ends = its[: len(its) - len(its.lstrip())], its[len(its.rstrip()) :]
    before, after = before + begins, ends or after
    return begins + (mark(before, number, after) or number) + ends


def mark(before: str, number: str, after: str) -> str | None:
    """What is written for a raised `number` between what stands before and after it; None where it stays as it is."""
    last = before[-1:]
    if _NUMBERS.fullmatch(number):
        return f"[{number}]" if last.isalnum() or last in _AFTER_SENTENCE else None
    match = _NUMBER.fullmatch(number)
    if match is None:
        return None
    if after in _FRACTION:
        return f" {number}" if last.isdigit() else None  # 5 1/2
    sign = "-" if match[1] in ("\u2212", "\u2013") else match[1] or ""
    power = f"^{{{sign}{match[2]}}}" if after.isdigit() else f"^{sign}{match[2]}"
    if last.isdigit():
        return f".{number}" if len(number) == 2 and _PRICE.search(before) else power
    if sign and last.strip():
        return power
    if last.isalpha():
        return power if after.isalnum() or _takes_exponent(before, number) else f"[{number}]"
    if last in _CLOSING and _FORMULA.search(before):
        return power
    if last in _AFTER_SENTENCE:
        return f"[{number}]"
    return None if last.strip() or after.isalnum() else f"[{number}]"


def _takes_exponent(before: str, number: str) -> bool:
    """Whether what ends with a letter is a unit or a variable, which a power of it follows."""
    if len(number) > 1 or number < "2" or _NO_UNIT.search(before):
        return False
    return any(its.search(before) for its in (_KNOWN_UNIT, _UNIT, _VARIABLE))
