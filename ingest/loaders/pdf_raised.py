"""Small raised numbers, written so that they do not run into what they stand at: `10^23`, `the newt[2]`."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.loaders.pdf_lines import framed
from ingest.loaders.pdf_words import Box, Word
from ingest.loaders.raised import mark

_SMALLER = 0.85  # of the size of what it stands at, at most
_RAISED = (0.2, 1.1)  # font sizes of that, from its lower edge to that of the number
_BESIDE = (-0.15, 0.25)  # font sizes between the two
_TOKEN = 8  # words before that may be parts of one: some programs write letter by letter


def mark_raised(words: Sequence[Word]) -> None:
    """Rewrites raised numbers (words in the order of the file) as `raised.mark` writes them."""
    at = 1
    while at < len(words):
        base = words[at - 1]
        end = at
        while end < len(words) and _is_raised(base, words[end], words[end - 1]):
            end += 1
        if end > at:
            _mark(_token(words, at - 1), words[at:end], _beside(words, end))
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


def _beside(words: Sequence[Word], at: int) -> str:
    """The first sign of the word at `at` where it stands right behind the one before; a blank where it does not."""
    if at == len(words) or words[at].style.turn != words[at - 1].style.turn:
        return " "
    turn, size = words[at].style.turn or 0, words[at].style.size
    gap = framed(words[at].box, turn)[0] - framed(words[at - 1].box, turn)[2]
    return words[at].text[:1] if abs(gap) <= _BESIDE[1] / 2 * size else " "


def _mark(token: str, raised: Sequence[Word], behind: str) -> None:
    written = mark(token, "".join(word.text for word in raised), behind)
    if written is not None:
        raised[0].text = written
        for word in raised[1:]:
            word.text = ""
