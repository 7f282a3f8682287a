"""Text that a PDF says its letters stand for (/ActualText), where they show something else: what is shown counts.

Programs state it for ligatures, hyphens and signs that fonts do not name, so that it says what the letters do.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.loaders.pdf_drawn import MAX_MARKS, text_objects
from ingest.loaders.text import clean

_KEY = b"ActualText"
_SHORT = 8  # letters of a text and of what it replaces that are compared only together with others of the page
_ALIKE = 0.7  # of the letters of the longer one, that the other has too
_MAX_CHARACTERS = 100_000  # of one text


def take_replaced(page: Any, again: Callable[[], Any]) -> list[str]:
    """Takes replacements that say something else than the letters do off the page, and returns them.

    To be called before its text is read. `again` opens the page once more. Raises PdfiumError where that fails.
    """
    stated = [(number, text) for number, thing in enumerate(text_objects(page)) if (text := _stated(thing)) is not None]
    if not stated:
        return []
    shown = _shown(again(), {number for number, _ in stated})
    groups: list[tuple[str, str, set[int]]] = []  # what is said, what is shown, by which objects
    before = -2
    for number, text in stated:
        if groups and groups[-1][0] == text and before == number - 1:
            groups[-1] = (text, groups[-1][1] + shown.get(number, ""), groups[-1][2] | {number})
        else:
            groups.append((text, shown.get(number, ""), {number}))
        before = number
    taken = [group for group in groups if _differ(group[0], group[1])]
    short = [group for group in groups if _is_short(group[0], group[1])]
    if _differ("".join(its[0] for its in short), "".join(its[1] for its in short)):
        taken += [group for group in short if _letters(group[0]) != _letters(group[1])]
    numbers = set().union(*(its for _, _, its in taken))
    for number, thing in enumerate(text_objects(page)):
        if number in numbers:
            _remove(thing)
    return [clean(text) for text, _, _ in sorted(taken, key=lambda its: min(its[2])) if text.strip()]


def _shown(twin: Any, numbers: set[int]) -> dict[int, str]:
    """The letters of text objects, by the number of each, without what is stated. Closes the page."""
    try:
        for number, thing in enumerate(text_objects(twin)):
            if number in numbers:
                _remove(thing)
        layer = twin.get_textpage()
        try:
            things = enumerate(text_objects(twin))
            return {number: _text(thing, layer.raw) for number, thing in things if number in numbers}
        finally:
            layer.close()
    finally:
        twin.close()


def _marks(thing: Any) -> Iterator[Any]:
    for index in reversed(range(min(MAX_MARKS, max(0, pdfium_c.FPDFPageObj_CountMarks(thing))))):
        if mark := pdfium_c.FPDFPageObj_GetMark(thing, index):
            yield mark


def _stated(thing: Any) -> str | None:
    length = ctypes.c_ulong()
    for mark in _marks(thing):
        if pdfium_c.FPDFPageObjMark_GetParamStringValue(mark, _KEY, None, 0, length):
            buffer = (ctypes.c_ushort * min(_MAX_CHARACTERS, length.value // 2 + 1))()
            size = ctypes.sizeof(buffer)
            pdfium_c.FPDFPageObjMark_GetParamStringValue(mark, _KEY, buffer, size, length)
            return bytes(buffer)[: length.value].decode("utf-16-le", "replace").rstrip("\0")
    return None


def _remove(thing: Any) -> None:
    length = ctypes.c_ulong()
    for mark in list(_marks(thing)):
        if pdfium_c.FPDFPageObjMark_GetParamStringValue(mark, _KEY, None, 0, length):
            pdfium_c.FPDFPageObj_RemoveMark(thing, mark)


def _text(thing: Any, layer: Any) -> str:
    size = min(2 * _MAX_CHARACTERS, pdfium_c.FPDFTextObj_GetText(thing, layer, None, 0))
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    pdfium_c.FPDFTextObj_GetText(thing, layer, buffer, size)
    return bytes(buffer)[:size].decode("utf-16-le", "replace").rstrip("\0")


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _is_short(said: str, shown: str) -> bool:
    return len(_letters(said)) + len(_letters(shown)) <= _SHORT


def _differ(said: str, shown: str) -> bool:
    """Whether what is shown can be read and is something else. The order does not count: scripts run both ways."""
    one, other = _letters(said), _letters(shown)
    if not other or one == other or len(one) + len(other) <= _SHORT:
        return False
    same = sum((Counter(one) & Counter(other)).values())
    return same < _ALIKE * max(len(one), len(other))
