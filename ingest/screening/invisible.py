"""Characters that nobody sees and a model reads: tags, variation selectors as carriers, floods, reversed text.

Sources: P. Butler, "Smuggling arbitrary data through an emoji" (2025), for variation selectors; N. Boucher and R.
Anderson, "Trojan Source" (2021), for bidirectional overrides; R. Goodside (2024) for Unicode tags. Joiners in emoji, in
Persian and in Indic scripts, soft hyphens in hyphenated pages and the flags made of tags are what they are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.screening.findings import Finding, preview
from ingest.screening.folding import INVISIBLE, MIXED_WORD

_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f"
# A flag is matched to be passed over.
_TAGS = re.compile(f"{_FLAG}|(?P<tags>[\U000e0000-\U000e007f]+)")
# A selector follows the character that it selects, never another selector.
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")
_REVERSED = re.compile("\u202e[^\u202c\n]{0,200}")
_LATIN = re.compile("[A-Za-z]")
# Single letters, each followed by something invisible: no language is hyphenated like that.
_SPELLED = re.compile("(?:[A-Za-z][\u00ad\u200b-\u200d\u2060-\u2064]{1,8}){5}[A-Za-z]")

_MIN_TAGS = 3
_MIN_SELECTORS = 4  # in a row
_MIN_REVERSED_LETTERS = 4
_LONG_RUN = 8  # invisible characters in a row; writing needs at most two or three
_MIN_MIXED = 8
_MAX_MIXED_SHARE = 0.01


def invisible_characters(text: str) -> Iterator[Finding]:
    """What a reader does not see in `text`; at most one finding of each sort, at its first place."""
    if text.isascii():
        return
    yield from _tags(text)
    yield from _selectors(text)
    yield from _runs(text)
    yield from _reversed(text)
    yield from _split_words(text)
    yield from _lookalikes(text)


def _tags(text: str) -> Iterator[Finding]:
    found = [match for match in _TAGS.finditer(text) if match["tags"]]
    letters = "".join(chr(ord(tag) - 0xE0000) for match in found for tag in match["tags"] if ord(tag) >= 0xE0020)
    if sum(match.end() - match.start() for match in found) >= _MIN_TAGS:
        yield _found(found[0], "Unicode tag characters, which are invisible, spell out a text", letters, 1.0)


def _selectors(text: str) -> Iterator[Finding]:
    found = [match for match in _SELECTORS.finditer(text) if match.end() - match.start() >= _MIN_SELECTORS]
    if found:
        carried = bytes(_selected(selector) for match in found for selector in match[0]).decode("utf-8", "replace")
        yield _found(found[0], "variation selectors in a row, which are invisible, carry data", carried, 1.0)


def _selected(selector: str) -> int:
    """The byte that a variation selector stands for."""
    code = ord(selector)
    return code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16


def _runs(text: str) -> Iterator[Finding]:
    for match in INVISIBLE.finditer(text):
        if match.end() - match.start() >= _LONG_RUN and not _FLAGS_OR_CARRIERS.fullmatch(match[0]):
            reason = f"{match.end() - match.start()} invisible characters in a row"
            yield _found(match, reason, match[0], 0.9)
            return


_FLAGS_OR_CARRIERS = re.compile("[\U000e0000-\U000e007f\ufe00-\ufe0f\U000e0100-\U000e01ef]+")


def _reversed(text: str) -> Iterator[Finding]:
    for match in _REVERSED.finditer(text):
        if len(_LATIN.findall(match[0])) >= _MIN_REVERSED_LETTERS:
            yield _found(match, "a bidirectional override shows Latin text backwards", match[0], 0.9)
            return


def _split_words(text: str) -> Iterator[Finding]:
    match = _SPELLED.search(text)
    if match:
        yield _found(match, "invisible characters stand between the letters of words", match[0], 0.8)


def _lookalikes(text: str) -> Iterator[Finding]:
    found = list(MIXED_WORD.finditer(text.lower()))
    if len(found) >= _MIN_MIXED and len(found) > _MAX_MIXED_SHARE * len(text):
        # Lower case may be longer than the text, so the place is not told.
        reason = f"{len(found)} times a letter of another script stands for the Latin one that it looks like"
        yield Finding("invisible-characters", reason, preview(text), None, None, 0.8)


def _found(match: re.Match[str], reason: str, shown: str, score: float) -> Finding:
    return Finding("invisible-characters", reason, preview(shown), match.start(), match.end(), score)
