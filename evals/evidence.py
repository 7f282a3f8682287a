"""Where a claim could be supported: windows of one and two sentences over the passages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from evals.checks import content_words
from evals.sentences import split_sentences

_LONGEST = 400  # characters of a one-sentence window; longer ones (tables, code, lists of links) are cut at a space


@dataclass(frozen=True, slots=True)
class Window:
    """`texts[passage][start:end] == text`, for the texts that it was made from."""

    passage: int
    start: int
    end: int
    text: str
    stems: frozenset[str]
    n_sentences: int


def make_windows(texts: Sequence[str]) -> list[Window]:
    """Each sentence of each text, and each two that follow one another, in order."""
    windows: list[Window] = []
    for number, text in enumerate(texts):
        spans = [span for sentence in split_sentences(text) for span in _short(text, sentence.start, sentence.end)]
        pairs = [(first[0], second[1]) for first, second in pairwise(spans)]
        for n, group in ((1, spans), (2, pairs)):
            for start, end in group:
                part = text[start:end]
                windows.append(Window(number, start, end, part, frozenset(content_words(part)), n))
    return windows


def _short(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > _LONGEST:
        cut = text.rfind("\n", start + 1, start + _LONGEST)
        if cut < 0:
            cut = text.rfind(" ", start + 1, start + _LONGEST)
        cut = cut if cut > start else start + _LONGEST
        yield start, cut
        start = cut
        if blank := re.compile(r"\s+").match(text, start, end):
            start = blank.end()
    if start < end:
        yield start, end


def shortlist(windows: Sequence[Window], wanted: Sequence[frozenset[str]], limit: int) -> list[Window]:
    """The windows most worth embedding, at most `limit`, in order: those that have most of the words of each claim.

    `wanted` holds the content words of each claim. Claims take turns, so that none goes without.
    """
    if len(windows) <= limit:
        return list(windows)
    rankings = [iter(_ranked(windows, words)) for words in wanted]
    chosen: set[int] = set()
    while len(chosen) < limit:
        for ranking in rankings:
            for number in ranking:
                if number not in chosen:
                    chosen.add(number)
                    break
            if len(chosen) == limit:
                break
    return [windows[number] for number in sorted(chosen)]


def _ranked(windows: Sequence[Window], words: frozenset[str]) -> list[int]:
    """Numbers of windows by how many of `words` they have; among equals the shorter, then the better passage first."""
    return sorted(
        range(len(windows)),
        key=lambda number: (-len(windows[number].stems & words), windows[number].n_sentences, number),
    )
