"""Hidden text: which of it is an attack, and which is what every office file and web page has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

import xxhash

from ingest.screening.findings import Finding, preview
from ingest.screening.instructions import WORDING_NAMES, Window, told, windows
from ingest.types import Hidden

# Ways that take intent. Layers, hidden rows and slides are switched off by people and programs all the time, so those
# count only if they read like instructions.
_DELIBERATE = {"colour": "in the colour of its background", "size": "too small to read", "off-page": "beside the page"}
_SHOWN = _DELIBERATE | {"layer": "in a layer that is invisible", "part": "in a hidden part"}
_WORD = re.compile(r"[^\W\d_]{2,}")
_DIGITS = re.compile(r"\d+")
_SHINGLE = 4
_MAX_SHARED = 0.8  # of its shingles that the visible text has too: a shadow, an outline, a text layer under a picture
# Whoever takes care to hide text has no business telling a model anything, so a hint is enough, if it is a phrase: the
# wording of menus and labels alone says nothing.
_HINT = 0.6  # of the score that visible text needs


def hidden_text(hidden: Sequence[Hidden], visible: str, threshold: float, max_words: int) -> Iterator[Finding]:
    """A finding for each hidden text that reads like instructions, and one for each way of hiding much prose.

    `threshold` is that of instructions in visible text, `max_words` how many words may be hidden deliberately.
    """
    for its in hidden:
        found = [window for window in windows(its.text, _HINT * threshold) if _counts(window, its.how, threshold)]
        if found:
            best = max(found, key=lambda window: window.score)
            shown = its.text[best.start : best.end]
            reason = f"{_place(its)} it reads like instructions to a language model: it {told(best)}"
            yield _finding(reason, shown, min(1.0, best.score / _HINT))
    amounts: dict[str, list[Hidden]] = defaultdict(list)
    for its in hidden:
        if its.how in _DELIBERATE:
            amounts[its.how].append(its)
    if not amounts:
        return
    seen = _shingles(_words(visible))
    for how, every in amounts.items():
        parts = _distinct(every)
        words = list(chain.from_iterable(_words(part.text) for part in parts))
        shingles = _shingles(words)
        if len(words) > max_words and len(shingles & seen) <= _MAX_SHARED * len(shingles):
            reason = f"{len(words)} words are hidden from the reader: they stand {_DELIBERATE[how]}"
            yield _finding(reason, " ".join(part.text for part in parts[:20]), 0.8)


def _distinct(hidden: Sequence[Hidden]) -> list[Hidden]:
    """`hidden` without what stands on an earlier page too, but for digits: lines of production and running heads."""
    pages: dict[str, int | None] = {}
    return [its for its in hidden if pages.setdefault(_DIGITS.sub("0", its.text), its.page) == its.page]


def _counts(window: Window, how: str, threshold: float) -> bool:
    hinted = how in _DELIBERATE and not WORDING_NAMES.issuperset(window.phrases)
    return hinted or window.score >= threshold


def _place(hidden: Hidden) -> str:
    page = f" on page {hidden.page}" if hidden.page else ""
    return f"text stands {_SHOWN.get(hidden.how, 'where nobody sees it')}{page}, and"


def _finding(reason: str, shown: str, score: float) -> Finding:
    return Finding("hidden-text", reason, preview(shown), None, None, round(score, 4))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _shingles(words: Sequence[str]) -> set[int]:
    last = max(1, len(words) - _SHINGLE + 1)
    return {xxhash.xxh3_64_intdigest(" ".join(words[start : start + _SHINGLE]).encode()) for start in range(last)}
