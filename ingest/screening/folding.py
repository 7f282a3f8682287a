"""Text as a reader sees it: without invisible characters or letters that only look Latin, in lower case if need be."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

# What takes no room on the page: format controls, joiners, fillers, variation selectors, tags.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

# Cyrillic and Greek letters that are drawn like Latin ones. Those that are written beside Latin letters in science
# (the Greek alpha, beta, mu...) are left out.
_LOOKALIKE_LETTERS = "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u03bf"
_LOOKALIKES = str.maketrans(_LOOKALIKE_LETTERS, "aeopcyxijshdqwo")
MIXED_WORD = re.compile(f"[a-z](?=[{_LOOKALIKE_LETTERS}])|[{_LOOKALIKE_LETTERS}](?=[a-z])")
_WORD = re.compile(r"[^\W\d_]+")
# Full-width forms stand for ASCII, typographic quotes for plain ones, and every other space for a space.
_PLAIN: dict[int, int | str] = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
_PLAIN |= dict.fromkeys(map(ord, "\u00a0\u1680\u202f\u205f\u3000"), " ") | dict.fromkeys(range(0x2000, 0x200B), " ")
_PLAIN |= {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'}
_PLAIN_NEEDED = re.compile("[" + "".join(map(chr, _PLAIN)).replace("-", "\\-") + "]")


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text with the way back: what was left out before each of its characters."""

    text: str
    _starts: tuple[int, ...]  # of the pieces between invisible characters, in the folded text
    _shifts: tuple[int, ...]  # how many characters were left out before each piece

    def original(self, offset: int) -> int:
        """Where the character at `offset` of the folded text stands in the text that was folded."""
        piece = bisect_right(self._starts, offset) - 1
        return offset + self._shifts[piece]


def fold(text: str, *, lower: bool = True) -> Folded:
    """`text` with each character replaced by at most one, so that offsets can be told; case is kept where asked for."""
    pieces: list[str] = []
    starts, shifts = [0], [0]
    position = length = 0
    for match in INVISIBLE.finditer(text):
        pieces.append(text[position : match.start()])
        length += match.start() - position
        position = match.end()
        starts.append(length)
        shifts.append(position - length)
    pieces.append(text[position:])
    seen = "".join(pieces)
    return Folded(_plain(_lower(seen) if lower else seen), tuple(starts), tuple(shifts))


def _lower(text: str) -> str:
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _plain(text: str) -> str:
    if text.isascii():
        return text
    if _PLAIN_NEEDED.search(text):
        text = text.translate(_PLAIN)
    if MIXED_WORD.search(text):
        text = _WORD.sub(lambda word: _latin(word[0]), text)
    return text


def _latin(word: str) -> str:
    """A word that mixes Latin letters with ones that look like them, in Latin letters."""
    return word.translate(_LOOKALIKES) if MIXED_WORD.search(word) else word
