"""What no reader of a page sees of the Markdown it is made of: comments, and hidden HTML in it. Code is seen."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import lxml.etree
from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token

from ingest.loaders.css_matching import TooMuchToMatch
from ingest.loaders.text import clean
from ingest.loaders.unseen import take_unseen

Span = tuple[int, int, str]  # where a hidden text stands, and how it is hidden (`Hidden.how`)

_MAX_TAGS = 20_000  # different ones, of one text, that are looked at
_MAX_SHEETS = 100_000  # characters of style sheets in one text
_NAME = r"[a-zA-Z][a-zA-Z0-9-]{0,30}(?=[\s/>])"
# Names that hide by themselves, and attributes that may; any may where the text has a style sheet.
_ALWAYS = frozenset(
    "audio canvas datalist dialog iframe meter noembed noframes object progress rp script style template video".split()  # noqa: SIM905
)
_SAID = "(?:style|hidden|popover|color|bgcolor)"
_SUSPECT = re.compile(
    rf"<(?:[!?]|(?:{'|'.join(sorted(_ALWAYS))})\b|[a-z](?:[^<>]*?\b{_SAID}\b|[^<>\"']*[\"'][^>]*<))", re.I
)
_MARK = re.compile(
    rf"<(?P<odd>!--|\?|!\[CDATA\[|!(?=[a-zA-Z]))|</(?P<end>{_NAME})[^<>]*>"
    rf"|<(?P<name>{_NAME})(?P<rest>(?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+(?P<closed>>?))"
)
_LENIENT = re.compile(r"(?:[^<>\"']|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+>?")  # "<" may stand in values
_ATTRIBUTE = re.compile(r"([^\s\"'<>/=]{1,40})(?:\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+)))?")
_TELLING = frozenset(("style", "hidden", "popover", "color", "bgcolor", "background", "open"))
_OPENING = ("role", "aria-controls", "aria-labelledby")  # of tabs and of the panels that they open
_SELECTED = frozenset(("class", "id"))
_SHEET = re.compile(r"<style\b[^<>]*>(.*?)(?:</style|\Z)", re.I | re.S)
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
# What ends though nothing closes it, and what browsers begin anew in the next paragraph.
_SHORT = frozenset(("li", "td", "th", "tr", "dt", "dd", "option"))
_RENEWED = frozenset("a b big code em font i nobr s small strike strong tt u".split())  # noqa: SIM905
_DEEPEST = 50
_TAG = re.compile("<[^<>]*>")
_WORD = re.compile(r"\w")
_ODD_ENDS = {"!--": "-->", "?": "?>", "![CDATA[": "]]>", "!": ">"}
_TICKS = re.compile("`+")
_REFERENCE = re.compile(r"\[((?:[^\[\]\\]|\\[^\n]){1,999}+)\]")
_NO_LINK = re.compile(r"[^./:@]*")
_FEW_WORDS = 3  # of a label that is one

_Key = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # elements from the outside, with attributes that tell


def unseen_markdown(text: str, blocks: Sequence[Token]) -> Iterator[Span]:
    """Comments, definitions that are comments, and elements that are hidden, by their start but for definitions.

    `blocks`: the block tokens of the text, with its definitions.
    """
    starts: list[int] = []
    if any(token.type == "definition" for token in blocks):
        starts = _starts(text)
        yield from _unused_definitions(text, blocks, starts)
    if _SUSPECT.search(text):
        yield from _hidden(text, _marks(text, _Blocks(text, blocks, starts or _starts(text))), _sheets(text))


def unseen_html(text: str) -> Iterator[Span]:
    """Comments and elements that are hidden in text that is HTML."""
    if _SUSPECT.search(text):
        yield from _hidden(text, _marks(text, _Blocks(text, (), [0])), _sheets(text))


def _starts(text: str) -> list[int]:
    return [0, *accumulate(len(line) + 1 for line in text.split("\n"))]


def _sheets(text: str) -> str:
    found = "\n".join(sheet[1] for sheet in _SHEET.finditer(text)) if "<style" in text.lower() else ""
    return found if len(found) <= _MAX_SHEETS else ""


class _Blocks:
    """Where code stands, asked for in the order of the text."""

    def __init__(self, text: str, blocks: Sequence[Token], starts: Sequence[int]) -> None:
        self._text = text
        last = len(starts) - 1
        spans = {
            (starts[its.map[0]], starts[min(its.map[1], last)], its.type == "inline")
            for its in blocks
            if its.map is not None and its.type in ("fence", "code_block", "inline")
        }
        self._spans = sorted(spans)
        self._at = 0
        self._ticks: list[tuple[int, int]] = []
        self._lengths: dict[int, list[int]] = {}
        self._tick = 0
        self._code = (0, 0)
        self._passed = 0

    def end_of_inline(self, position: int) -> int | None:
        """The end of the paragraph, heading or cell around a position; None where it stands in HTML."""
        while self._at < len(self._spans) and self._spans[self._at][1] <= position:
            self._at += 1
            self._ticks = []
        if self._at == len(self._spans) or self._spans[self._at][0] > position:
            return None
        return self._spans[self._at][1]

    def is_code(self, position: int) -> bool:
        if self.end_of_inline(position) is None:
            return False
        start, end, is_inline = self._spans[self._at]
        if not is_inline:
            return True
        if not self._ticks:
            self._ticks = [(run.start(), run.end()) for run in _TICKS.finditer(self._text, start, end)] or [(end, end)]
            self._tick = 0
            self._lengths = {}
            for begin, stop in self._ticks:
                self._lengths.setdefault(stop - begin, []).append(begin)
        while self._tick < len(self._ticks) and self._ticks[self._tick][0] < position:
            self._open(*self._ticks[self._tick])
            self._tick += 1
        return self._code[0] <= position < self._code[1]

    def _open(self, begin: int, stop: int) -> None:
        """Takes in the code that a run of backticks begins, if it begins any."""
        if begin < self._passed or begin < self._code[1]:
            return
        slashes = begin
        while slashes > 0 and begin - slashes < _DEEPEST and self._text[slashes - 1] == "\\":
            slashes -= 1
        begin += (begin - slashes) % 2
        closing = self._lengths.get(stop - begin, [])
        number = bisect_right(closing, begin)
        if number < len(closing):
            self._code = begin, closing[number] + stop - begin

    def pass_over(self, position: int) -> None:
        """What stands before `position` is HTML: backticks in it mean nothing."""
        self._passed = position


@dataclass(frozen=True, slots=True)
class _Mark:
    """A comment (with no name), or the tag of an element. `limit`: where the block ends, if it is a paragraph."""

    start: int
    end: int
    name: str
    closes: bool
    limit: int | None
    key: _Key = ()


def _marks(text: str, blocks: _Blocks) -> Iterator[_Mark]:
    """The comments and tags outside of code."""
    ends: dict[str, int] = {}
    tabs: set[str] = set()  # ids of those so far, and of what they open
    lenient = 4 * len(text)  # characters that may be read once more
    position = 0
    while (match := _MARK.search(text, position)) is not None:
        start = match.start()
        position = start + 1
        if blocks.is_code(start):
            continue
        limit = blocks.end_of_inline(start)
        if odd := match["odd"]:
            end = _end_of_odd(text, start, odd, limit, ends)
            if end is None:
                continue
            yield _Mark(start, end, "", True, limit)
        elif match["end"]:
            end = match.end()
            yield _Mark(start, end, match["end"].lower(), True, limit)
        else:
            end = match.end()
            if not match["closed"]:
                if lenient < 0:
                    continue
                again = _LENIENT.match(text, match.end("name"))
                end = again.end() if again else start
                lenient -= end - start
                if text[end - 1] != ">":
                    continue
            name = match["name"].lower()
            if limit is not None and text[match.end("name")] == "/" and end - match.end("name") != 2:
                continue  # Markdown lets no "/" stand before an attribute
            if limit is None and (name == "p" or (name in _SHORT and _next(text, f"</{name}", end, ends) == len(text))):
                limit = _next(text, "\n\n", end, ends)
            key = (name, _telling(text[match.end("name") : end - 1], tabs))
            yield _Mark(start, end, name, text[end - 2] == "/", limit, (key,))
        position = end
        blocks.pass_over(end)


def _end_of_odd(text: str, start: int, odd: str, limit: int | None, ends: dict[str, int]) -> int | None:
    """Where a comment or the like ends. In a paragraph, one without an end is no more than its letters."""
    if odd == "!--" and text.startswith((">", "->"), start + 4):
        return text.index(">", start) + 1
    mark = _ODD_ENDS[odd]
    begin = start + 1 + len(odd)
    end = min(_next(text, mark, begin, ends) + len(mark), len(text))
    return None if limit is not None and (end > limit or not text.endswith(mark, begin, end)) else end


def _next(text: str, mark: str, begin: int, known: dict[str, int]) -> int:
    """Where `mark` stands next, or the end; `known` is from earlier places, so that all are found in one go."""
    if known.get(mark, -1) < begin:
        found = text.find(mark, begin)
        known[mark] = len(text) if found < 0 else found
    return known[mark]


def _telling(source: str, tabs: set[str]) -> tuple[tuple[str, str], ...]:
    """The attributes of a tag by which it may be hidden. The panels of `tabs`, to which it is added, are not."""
    if len(source) < 3:
        return ()
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(source):
        name = match[1].lower()
        if name in _TELLING or name in _SELECTED or name in _OPENING:
            found.setdefault(name, clean(html.unescape(match[2] or match[3] or match[4] or "")))
    role, opens, opened_by = (found.pop(name, "") for name in _OPENING)
    names = {found.get("id", ""), *opened_by.split()} - {""}
    if role == "tab":
        tabs.update(names, opens.split())
    elif role == "tabpanel" and not names.isdisjoint(tabs):
        found.pop("hidden", None)
    return tuple(sorted(found.items()))


def _hidden(text: str, marks: Iterator[_Mark], sheets: str) -> Iterator[Span]:
    """Comments and hidden elements, those without an end up to where browsers end them."""
    read = _within_colours(marks, sheets)
    hides = _looks({mark.key for mark in read if mark.key and _may_hide(mark, sheets)}, sheets)
    opened: _Mark | None = None
    how, depth, limit, begin = "", 0, 0, 0
    shown, levels = "", 0  # the name of an element in it that is seen, and how many of that name are open
    for number, mark in enumerate(read):
        if opened is not None and mark.start >= limit:
            yield begin, limit, how
            opened = None
        change = -1 if mark.closes and not mark.key else 0 if mark.closes else 1
        if opened is not None and shown:
            levels += change if mark.name == shown else 0
            if levels == 0:
                shown, begin = "", mark.end
        elif opened is not None:
            if opened.key[-1] in mark.key[:-1] and change > 0 and mark.key not in hides and _may_hide(mark, sheets):
                if _WORD.search(_TAG.sub("", text[begin : mark.start])):
                    yield begin, mark.start, how
                shown, levels = mark.name, 1
                continue
            depth += change if mark.name == opened.name else 0
            if depth == 0:
                if begin == opened.start or _WORD.search(_TAG.sub("", text[begin : mark.start])):
                    yield begin, mark.end, how
                opened = None
        elif not mark.name:
            yield mark.start, mark.end, "part"
        elif mark.key and mark.name not in _VOID and (found := hides.get(mark.key)):
            after = read[number + 1] if number + 1 < len(read) else None
            if mark.closes and (after is None or after.key or after.name != mark.name):
                continue  # browsers take `<p/>` for open, people do not: it is if it is closed next
            opened, how, depth, begin, shown = mark, found, 1, mark.start, ""
            limit = len(text) if mark.limit is None or mark.name in _RENEWED else mark.limit
    if opened is not None and not shown:
        yield begin, limit, how


def _may_hide(mark: _Mark, sheets: str) -> bool:
    name, attributes = mark.key[-1]
    return name in _ALWAYS or any(sheets or said in _TELLING for said, _ in attributes)


def _within_colours(marks: Iterator[_Mark], sheets: str) -> list[_Mark]:
    """The tags with those around them that may colour what is behind their text."""
    around: list[tuple[str, _Key]] = []
    found = []
    for mark in marks:
        if mark.closes and not mark.key:
            for level in range(len(around) - 1, max(-1, len(around) - 1 - _DEEPEST), -1):
                if around[level][0] == mark.name:
                    del around[level:]
                    break
            found.append(mark)
            continue
        outer = around[-1][1] if around else ()
        key = (*outer, *mark.key)
        found.append(_Mark(mark.start, mark.end, mark.name, mark.closes, mark.limit, key))
        if not mark.closes and mark.name not in _VOID and len(around) < 10 * _DEEPEST:
            colours = any(
                said in ("background", "bgcolor") or "background" in value or (sheets and said in _SELECTED)
                for said, value in mark.key[0][1]
            )
            around.append((mark.name, key[-3:] if colours else outer))
    return found


def _looks(keys: set[_Key], sheets: str) -> dict[_Key, str]:
    """How text in elements is hidden, for those in which it is. All are looked at on one page, side by side."""
    if not keys:
        return {}
    page = lxml.etree.Element("html")  # made from names and values: no parser written in C reads the text
    if sheets:
        lxml.etree.SubElement(page, "style").text = clean(sheets)
    body = lxml.etree.SubElement(page, "body")
    asked: dict[object, _Key] = {}
    for key in sorted(keys)[:_MAX_TAGS]:
        element = body
        for name, attributes in key:
            element = lxml.etree.SubElement(element, name, dict(attributes))
        element.text = "text"
        asked[element] = key
    try:
        return {asked[its.element]: its.how for its in take_unseen(page) if its.element in asked}
    except (TooMuchToMatch, RecursionError):
        return _looks(keys, "") if sheets else dict.fromkeys(keys, "layer")


def _unused_definitions(text: str, blocks: Sequence[Token], starts: Sequence[int]) -> Iterator[Span]:
    """Link definitions that say something, and that nothing refers to, such as `[//]: # (a comment)`."""
    found = [(token.meta["id"], token) for token in blocks if token.type == "definition"]
    used = Counter(normalizeReference(its[1]) for its in _REFERENCE.finditer(text))
    used.subtract(label for label, _ in found)
    for label, token in found:
        says = token.meta["title"] or _NO_LINK.fullmatch(token.meta["url"]) or len(label.split()) > _FEW_WORDS
        if says and used[label] < 1 and token.map is not None:
            yield starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)] - 1, "part"
