"""How much a text reads like instructions to the model that is given it: phrases and wording that stand together."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from ingest.screening.findings import Finding, preview
from ingest.screening.folding import Folded, fold
from ingest.screening.kinds import said
from ingest.screening.phrases import PHRASES, Phrase
from ingest.screening.scanning import Scanner
from ingest.screening.wording import Weights, repeats_itself, score, sentences, trained

_WINDOW = 600  # characters within which phrases add up: a paragraph or two
# The learned half speaks as phrases do, by how sure it is of a sentence: least log odds, name, weight.
_WORDING = ((4.0, "wording of a prompt", 0.7), (2.0, "likely wording", 0.5), (1.0, "possible wording", 0.35))
_WEIGHTS = {phrase.name: max(its.weight for its in PHRASES if its.name == phrase.name) for phrase in PHRASES}
WORDING_NAMES = frozenset(name for _, name, _ in _WORDING)
_WEIGHTS |= {name: weight for _, name, weight in _WORDING}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of text with the phrases found in it; offsets are of the text that was looked at."""

    start: int
    end: int
    score: float
    phrases: tuple[str, ...]


def windows(
    text: str, threshold: float, *, phrases: Sequence[Phrase] = PHRASES, weights: Weights | None = None
) -> list[Window]:
    """The stretches whose score is at least `threshold`, in order, none overlapping another.

    The score is 1 - Π(1 - weight) over the different phrases within 600 characters and the surest sentence among
    them: none is certain, and each makes the others likelier. A phrase that is said ten times counts once.
    `phrases` and `weights` are those that come with Ragstone, unless others are to be tried.
    """
    folded = fold(text)
    found = sorted([*_matches(folded.text, phrases), *_worded(folded.text, weights or trained())])
    return list(_joined(_scored(found, threshold), folded))


def instructions(text: str, threshold: float) -> list[Finding]:
    """A finding for each of `windows`."""
    return [
        Finding(
            kind="instructions",
            reason=f"reads like instructions to a language model: it {told(window)}",
            preview=preview(text[window.start : window.end]),
            start=window.start,
            end=window.end,
            score=window.score,
        )
        for window in windows(text, threshold)
    ]


def told(window: Window) -> str:
    """What the phrases of a window do, the surest first, in plain words."""
    return said(sorted(window.phrases, key=lambda name: -_WEIGHTS[name]))


_Match = tuple[int, int, str]  # start, end, the name of the phrase or wording


def _matches(text: str, phrases: Sequence[Phrase]) -> Iterator[_Match]:
    for start, end, number in _scanner(tuple(phrases)).matches(text, _begins_word):
        yield start, end, phrases[number].name


@lru_cache(maxsize=8)
def _scanner(phrases: tuple[Phrase, ...]) -> Scanner:
    return Scanner([phrase.expression for phrase in phrases])


def _worded(text: str, weights: Weights) -> Iterator[_Match]:
    """Sentences that are worded like prompts. What only repeats a few words is worded like nothing."""
    found = sentences(text)
    odds = score(found, weights)
    for number in (odds >= _WORDING[-1][0]).nonzero()[0].tolist():
        start, end = found.spans[number].tolist()
        if repeats_itself(text[start:end]):
            continue
        yield start, end, next(name for least, name, _ in _WORDING if odds[number] >= least)


def _begins_word(text: str, start: int) -> bool:
    """Chinese and Japanese words follow each other without a space; only ASCII letters need one before them."""
    return start == 0 or not (text[start].isascii() and text[start].isalnum() and text[start - 1].isalnum())


def _scored(found: list[_Match], threshold: float) -> Iterator[Window]:
    """For each match the window that ends with it, where that reaches the threshold."""
    inside: deque[_Match] = deque()
    names: Counter[str] = Counter()
    for match in found:
        inside.append(match)
        names[match[2]] += 1
        while match[0] - inside[0][0] > _WINDOW:
            gone = inside.popleft()[2]
            names[gone] -= 1
            if not names[gone]:
                del names[gone]
        together = _together(names)
        if together >= threshold:
            yield Window(inside[0][0], max(its[1] for its in inside), together, tuple(sorted(names)))


def _together(names: Iterable[str]) -> float:
    """Of the sentences that are worded like prompts only the surest counts: the others are no other evidence."""
    said = [_WEIGHTS[name] for name in names if name not in WORDING_NAMES]
    worded = max((_WEIGHTS[name] for name in names if name in WORDING_NAMES), default=0.0)
    return round(1 - (1 - worded) * prod(1 - weight for weight in said), 4)


def _joined(found: Iterator[Window], folded: Folded) -> Iterator[Window]:
    """Windows that overlap as one, with the best score of them, at their place in the original text."""
    current: Window | None = None
    for window in found:
        if current is not None and window.start <= current.end:
            best = max(current, window, key=lambda its: its.score)
            current = Window(current.start, max(current.end, window.end), best.score, best.phrases)
            continue
        if current is not None:
            yield _placed(current, folded)
        current = window
    if current is not None:
        yield _placed(current, folded)


def _placed(window: Window, folded: Folded) -> Window:
    end = folded.original(window.end - 1) + 1
    return Window(folded.original(window.start), end, window.score, window.phrases)
