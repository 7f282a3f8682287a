"""Words broken at a hyphen at the end of a line: made whole, or kept as a compound, by the rest of the document.

A hyphen at a line's end is the typesetter's or the word's own. Which one, the document tells: it has the word whole, or
the compound, or the parts as words, elsewhere.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

BREAK = "\x02"  # stands for the hyphen and the line's end in the text of paragraphs until `mended`; clean text has none

_HYPHENS = "-\u2010\u2011"
_WORD = re.compile(r"[^\W_]+")
_AT_END = re.compile(r"[^\W_]*\Z")
_REACH = 80  # characters of a word that are looked at
_STEM = 3  # letters of the second part that must agree where another form of the word stands elsewhere
_SHORTEST = 3  # letters of a first part that counts as a word: "in", "be" and "on" begin words that are not compounds
_ALWAYS = ("self", "well")  # English compounds with these keep their hyphens
_NEVER = ("ever", "self", "selves", "thing", "where")  # ends of English words that are written as one
_MANY, _ENOUGH = 3, 5  # times as many compounds as whole words, and so many: the document breaks no words


def mended(texts: Sequence[str]) -> list[str]:
    """`texts`, those of one document, with each BREAK replaced by a hyphen or by nothing."""
    if not any(BREAK in text for text in texts):
        return list(texts)
    known = _Known(texts)
    judged = [_judged(text, known) for text in texts]
    compounds, whole = known.compounds, known.whole
    otherwise = "-" if compounds >= _ENOUGH and compounds > _MANY * whole else ""
    return ["".join(otherwise if part is None else part for part in parts) for parts in judged]


def _judged(text: str, known: _Known) -> list[str | None]:
    """The parts of a text, with "-", "" or, where nothing tells, None for each BREAK."""
    first, *others = text.split(BREAK)
    parts: list[str | None] = [first]
    before = first[-_REACH:]
    for other in others:
        hyphen = known.hyphen(before, other[:_REACH])
        parts += [hyphen, other]
        before = (before + (hyphen or "") + other)[-_REACH:]
    return parts


class _Known:
    """The words of a document that are not broken, and what was concluded from them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words: Counter[str] = Counter()
        self._pairs: Counter[str] = Counter()
        self._own: set[str] = set()
        for text in texts:
            self._learn(text.casefold())
        self._sorted_words, self._sorted_pairs = sorted(self._words), sorted(self._pairs)
        self.compounds = self.whole = 0

    def _learn(self, text: str) -> None:
        end, before = -1, ""
        for match in _WORD.finditer(text):
            word, start = match[0], match.start()
            left, right = text[start - 1 : start], text[match.end() : match.end() + 1]
            if BREAK in (left, right):
                continue
            self._words[word] += 1
            if left and left in _HYPHENS:
                if end == start - 1:
                    self._pairs[f"{before}-{word}"] += 1
            elif not (right and right in _HYPHENS):
                self._own.add(word)
            end, before = match.end(), word

    def hyphen(self, before: str, behind: str) -> str | None:
        """What stands between two parts of a word; None where nothing tells."""
        found = self._told(before, behind)
        self.compounds += found == "-"
        self.whole += found == ""
        return found

    def _told(self, before: str, behind: str) -> str | None:
        ends, begins = _AT_END.search(before), _WORD.match(behind)
        left, right = ends[0] if ends else "", begins[0] if begins else ""
        if not left or not right or left[-1].isdigit() or right[0].isdigit():
            return "-"
        first, second = left.casefold(), right.casefold()
        compound, whole = self._pairs[f"{first}-{second}"], self._words[first + second]
        if compound or whole:
            return "-" if compound > whole else ""
        if len(left) == 1 or _is_compound_by_case(left, right):
            return "-"
        compound = _begins(self._sorted_pairs, f"{first}-{second[:_STEM]}")
        whole = _begins(self._sorted_words, first + second[:_STEM])
        if compound or (whole and len(second) >= _STEM):
            return "-" if compound else ""
        if sum(map(before.split()[-1].count, _HYPHENS)) > 1 or first in _ALWAYS:
            return "-"
        if len(first) < _SHORTEST or second in _NEVER:
            return None
        return "-" if first in self._own and second in self._own else None


def _is_compound_by_case(left: str, right: str) -> bool:
    """Such as Franco-German and SARS-related: typesetters break no word where its case changes."""
    return (left[-1].islower() and right[0].isupper()) or (left.isupper() and len(left) > 1 and right.islower())


def _begins(words: Sequence[str], start: str) -> bool:
    at = bisect_left(words, start)
    return at < len(words) and words[at].startswith(start)
