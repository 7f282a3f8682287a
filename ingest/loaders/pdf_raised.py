"""Small raised numbers, written so that they do not run into what they stand at: `10^23`, `the newt[2]`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.loaders.pdf_lines import framed
from ingest.loaders.pdf_words import Box, Word

_SMALLER = 0.85  # of the size of what it stands at, at most
_RAISED = (0.2, 1.1)  # font sizes of that, from its lower edge to that of the number
_BESIDE = (-0.15, 0.25)  # font sizes between the two
_TOKEN = 8  # words before that may be parts of one: some programs write letter by letter
_EXPONENT = re.compile(r"[-\u2212\u2013+]?\d{1,4}")
_NOTES = re.compile(r"\d{1,3}(?:[,\u2013-]\d{1,3})*")
_UNITS = frozenset(("m", "mm", "cm", "dm", "km", "\u00b5m", "\u03bcm", "nm", "in", "ft", "yd", "mi"))
_SENTENCE_SIGNS = ".,;:!?\"'\u2019\u201d\u00bb"
_FRACTION = ("/", "\u2044")


def mark_raised(words: Sequence[Word]) -> None:
    """Rewrites raised numbers (words in the order of the file): `^n` after a digit, a bracket, a variable or a unit,
    `[n]`, a footnote's mark, after other letters and signs. Other raised text stays as it is.
    """
    at = 1
    while at < len(words):
        base = words[at - 1]
        end = at
        while end < len(words) and _is_raised(base, words[end], words[end - 1]):
            end += 1
        if end > at:
            _mark(_token(words, at - 1), words[at:end], words[end].text if end < len(words) else "")
        at = end + 1 if end > at else at + 1


def _is_raised(base: Word, word: Word, before: Word) -> bool:
    """Whether the word stands raised at `base`, right behind `before`, which is that or raised as well."""
    size, turn = base.style.size, base.style.turn
    if turn is None or turn != word.style.turn or not 0 < word.style.size <= _SMALLER * size:
        return False
    place = framed(word.box, turn)
    raised = (framed(base.box, turn)[3] - place[3]) / size
    return _RAISED[0] <= raised <= _RAISED[1] and _follows(framed(before.box, turn), place, size)


def _follows(before: Box, place: Box, size: float) -> bool:
    return _BESIDE[0] * size <= place[0] - before[2] <= _BESIDE[1] * size


def _token(words: Sequence[Word], at: int) -> str:
    """The word with those that stand right before it on its line."""
    text, size, turn = words[at].text, words[at].style.size, words[at].style.turn or 0
    place = framed(words[at].box, turn)
    for word in reversed(words[max(0, at - _TOKEN) : at]):
        its = framed(word.box, turn)
        close = abs(place[0] - its[2]) <= _BESIDE[1] / 2 * size
        if word.style.turn != words[at].style.turn or not close or abs(its[3] - place[3]) > _RAISED[0] * size:
            break
        text, place = word.text + text, its
    return text


def _mark(token: str, raised: Sequence[Word], behind: str) -> None:
    number = "".join(word.text for word in raised)
    if behind.startswith(_FRACTION):
        return
    if _EXPONENT.fullmatch(number) and _is_powered(token, number):
        raised[0].text = "^" + raised[0].text
    elif _NOTES.fullmatch(number) and (token[-1].isalnum() or token[-1] in _SENTENCE_SIGNS):
        raised[0].text = "[" + raised[0].text
        raised[-1].text += "]"


def _is_powered(token: str, number: str) -> bool:
    """Whether the number is an exponent of the token, not a footnote's mark at it."""
    if token[-1].isdigit() or token[-1] in ")]}":
        return True
    if not token[-1].isalpha():
        return False
    name = re.split(r"[\W\d_]", token)[-1]  # without what stands before, as in "(x" and "5km"
    return not number[0].isdigit() or len(name) == 1 or (name in _UNITS and number in ("2", "3"))
