"""Cuts a passage that is too long: between sentences where it can be, else between phrases, words or characters.

As llama-index-core's `SentenceSplitter` does, but with the place of each part in the text, which that one does not say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

Span = tuple[int, int]

# The end of a sentence: what closes it, and the white space after it unless the text goes on in lower case.
# It is looked for at the first of a run of marks only: from each of a million dots, the search would never end.
_SENTENCE_END = re.compile(
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019\xbb)\]]*\s+(?![a-z])"
    r"|[\u3002\uff01\uff1f]+[\u300d\u300f\uff09\u201d\u2019]*"  # Chinese and Japanese
)

_PHRASE_END = re.compile(r"[,.;:\u3001\uff0c\u3002\uff1f\uff01]+")
_CUTS = (_SENTENCE_END, _PHRASE_END, re.compile(r"\s+"))


def last_sentence(text: str, start: int, end: int) -> int | None:
    """Where the last sentence of `text[start:end]` begins, or None where it is the only one."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, start, trimmed(text, start, end)[1])]
    cuts = [cut for cut in ends[-2:] if text[cut:end].strip()]
    return trimmed(text, cuts[-1], end)[0] if cuts else None


def sentences(text: str, start: int, end: int, count: Callable[[int, int], int], tokens: int) -> Iterator[Span]:
    """`text[start:end]` in spans of at most `tokens`, each of as many whole sentences as fit.

    What is longer alone is cut between phrases, then words, then characters; one character is not divided. The tokens
    of neighbours are added up, so that each piece is counted once.
    """
    span_start = span_end = -1
    held = 0
    for piece_start, piece_end, size in _pieces(text, start, end, count, tokens, 0):
        if held and held + size > tokens:
            yield span_start, span_end
            held = 0
        if not held:
            span_start = piece_start
        span_end = piece_end
        held += max(1, size)
    if held:
        yield span_start, span_end


def _pieces(
    text: str, start: int, end: int, count: Callable[[int, int], int], tokens: int, level: int
) -> Iterator[tuple[int, int, int]]:
    """Pieces with their numbers of tokens: sentences (level 0) where they fit, phrases, words, or parts of words."""
    start, end = trimmed(text, start, end)
    if start == end:
        return
    size = count(start, end)
    if size <= tokens:
        yield start, end, size
    elif level < len(_CUTS):
        cuts = [start, *(match.end() for match in _CUTS[level].finditer(text, start, end)), end]
        for piece_start, piece_end in pairwise(cuts):
            yield from _pieces(text, piece_start, piece_end, count, tokens, level + 1)
    else:
        for part_start, part_end in halved(text, start, end, lambda start, end: count(start, end) <= tokens):
            yield part_start, part_end, count(part_start, part_end)


def halved(text: str, start: int, end: int, fits: Callable[[int, int], bool]) -> Iterator[Span]:
    """`text[start:end]` in parts that fit, halved as often as needed; one character is not divided."""
    pending = [(start, end)]
    while pending:
        part = pending.pop()
        if part[1] - part[0] > 1 and not fits(*part):
            pending += reversed(_halves(text, *part))
        else:
            yield part


def _halves(text: str, start: int, end: int) -> list[Span]:
    """Two trimmed halves, cut at the white space next to the middle, else in the middle."""
    middle = (start + end) // 2
    gaps = [match.end() for match in re.compile(r"\s+").finditer(text, start, end)]
    cut = min(gaps, key=lambda gap: abs(gap - middle)) if gaps else middle
    return [trimmed(text, start, cut), trimmed(text, cut, end)]


def trimmed(text: str, start: int, end: int) -> Span:
    """The same part of the text without the white space around it."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
