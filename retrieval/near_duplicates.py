"""Passages that say the same: copies of a page, boilerplate, releases of a manual that left a paragraph alone.

Two passages are near duplicates if most of their three-word sequences are shared (Jaccard similarity of w-shingles: A.
Broder, "On the resemblance and containment of documents", 1997) *and* they state the same facts. Similarity alone can't
tell that: in a passage of 200 words, "is" against "is not" leaves 97 % of the sequences the same. So both must have the
same numbers, names and signs in the same order, and the same words in the same order but for words that say little and
words that one of them adds, none of which may be a negation or a limit. What is left to differ is markup, punctuation,
case, articles, plurals, and a few words more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil

# Of consecutive releases of real manuals (benchmarks/near_duplicates.py).
THRESHOLD = 0.7
_SHINGLE = 3
# Numbers, capitals, comparisons, signs and units, each with what follows it in its word.
_NAME = re.compile(r"[A-Z0-9\u00c0-\u00de_<>%€$£°][\w=]*|!=|-(?=\d)")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LIMITS = frozenset(
    _WORD.findall(
        "no not never none nobody nothing neither nor without cannot can't don't doesn't didn't isn't aren't wasn't "
        "weren't won't wouldn't shouldn't mustn't hasn't haven't hadn't couldn't unable only except unless but however "
        "if until before after longer deprecated removed optional required must may might should all any some every "
        "most least more less above below over under increase decrease kein keine keinen keiner nicht nie ohne nur "
        "außer ne pas jamais sans seulement sauf ningún nunca sin solo salvo non mai senza tranne não sem apenas "
        "exceto geen niet nooit zonder"
    )
)
_EMPTY = frozenset(
    _WORD.findall(
        "a an the this that these those it its and or of to in on at by for from with as is are was were be been being "
        "will would can could do does did have has had you your we our they their he she his her i my so also then "
        "there here which who what when where how just very please now"
    )
)


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[tuple[int, ...]]:
    """Groups of near duplicates among `texts`, which come best first; each index is in one group.

    The first of a group is its best, and every other one is a near duplicate of that first one. Groups are ordered by
    their first. Passages without words are near duplicates of nothing.
    """
    # 1. Near duplicates have the same names and numbers, so most passages need no comparison at all.
    by_names: dict[tuple[str, ...], list[int]] = {}
    for index, text in enumerate(texts):
        by_names.setdefault(_names(text), []).append(index)
    # 2. The others are compared by what they share, then by what they say.
    return sorted(group for indices in by_names.values() for group in _grouped(texts, indices, threshold))


def same_facts(left: str, right: str) -> bool:
    """Whether two similar passages differ in nothing that could make one true and the other false."""
    return _names(left) == _names(right) and _agree(left, right)


def _grouped(texts: Sequence[str], indices: Sequence[int], threshold: float) -> list[tuple[int, ...]]:
    if len(indices) == 1:
        return [tuple(indices)]
    groups: list[list[int]] = []
    firsts: list[set[int]] = []  # the shingles of each group's first
    having: dict[int, list[int]] = {}  # numbers of groups, by shingles of their first
    for index in indices:
        shingles = _shingles(texts[index])
        # Sets of this similarity share one of the first few members in any order (prefix filtering: S. Chaudhuri et
        # al., "A primitive operator for similarity joins in data cleaning", 2006).
        first_few = sorted(shingles)[: len(shingles) - ceil(threshold * len(shingles)) + 1]
        for group in sorted({group for shingle in first_few for group in having.get(shingle, ())}):
            shared = len(shingles & firsts[group])
            alike = shared >= threshold * (len(shingles) + len(firsts[group]) - shared)
            if alike and _agree(texts[groups[group][0]], texts[index]):
                groups[group].append(index)
                break
        else:
            for shingle in first_few:
                having.setdefault(shingle, []).append(len(groups))
            firsts.append(shingles)
            groups.append([index])
    return [tuple(group) for group in groups]


def _names(text: str) -> tuple[str, ...]:
    return tuple(_NAME.findall(text))


def _shingles(text: str) -> set[int]:
    """Hashes that hold within this process."""
    words = text.lower().split()
    if len(words) <= _SHINGLE:
        return {hash(tuple(words))} if words else set()
    return {hash(shingle) for shingle in zip(words, words[1:], words[2:], strict=False)}


def _agree(left: str, right: str) -> bool:
    """Whether one says all that the other says, in the same order, and nothing more that decides anything."""
    words, others = _apart(left.lower().split(), right.lower().split())
    shorter, longer = sorted((_said(words), _said(others)), key=len)
    rest = iter(longer)
    for word in shorter:
        for other in rest:
            if other == word:
                break
            if other in _LIMITS:
                return False
        else:
            return False
    return _LIMITS.isdisjoint(rest)


def _apart(words: list[str], others: list[str]) -> tuple[list[str], list[str]]:
    """Both without what they have in common at the start and at the end."""
    shorter = min(len(words), len(others))
    first = next((at for at in range(shorter) if words[at] != others[at]), shorter)
    last = next((at for at in range(shorter - first) if words[-1 - at] != others[-1 - at]), shorter - first)
    return words[first : len(words) - last], others[first : len(others) - last]


def _said(words: list[str]) -> list[str]:
    """The words that say something; plurals count as the word itself."""
    found = _WORD.findall(" ".join(words).replace("\u2019", "'"))
    return [word if word in _LIMITS else word.rstrip("s") for word in found if word not in _EMPTY]
