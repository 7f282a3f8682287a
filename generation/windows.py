"""The best window of a passage: the contiguous sentences or lines that say most about the question, within a budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Tokenize = Callable[[str], list[str]]

# A unit ends with a line, or with closing punctuation before white space.
_UNIT_END = re.compile(r"\n+|(?<=[.!?])[\"')\]]*\s+")


def best_window(text: str, weights: Mapping[str, float], tokenize: Tokenize, max_characters: int) -> tuple[int, int]:
    """Offsets of the window of at most `max_characters` that covers the most weight of distinct tokens.

    Among equals the earliest and longest wins, since what comes first introduces the rest. `weights` maps tokens of the
    question to their worth.
    """
    if len(text) <= max_characters:
        return 0, len(text)
    units = _units(text)
    tokens = [weights.keys() & set(tokenize(text[start:end])) for start, end in units]
    best_score, best = -1.0, (0, max_characters)
    for first, (start, _) in enumerate(units):
        covered: set[str] = set()
        end = start
        for (_, unit_end), found in zip(units[first:], tokens[first:], strict=True):
            if unit_end - start > max_characters:
                break
            covered |= found
            end = unit_end
        score = sum(weights[token] for token in sorted(covered))
        if end > start and score > best_score:
            best_score, best = score, (start, end)
    start, end = best
    return start, _cut_at_word(text, start, end) if best_score < 0 else end


def _units(text: str) -> list[tuple[int, int]]:
    units, start = [], 0
    for boundary in _UNIT_END.finditer(text):
        if text[start : boundary.start()].strip():
            units.append((start, boundary.start()))
        start = boundary.end()
    if text[start:].strip():
        units.append((start, len(text)))
    return units


def _cut_at_word(text: str, start: int, end: int) -> int:
    space = text.rfind(" ", start, end)
    return space if space > start else end
