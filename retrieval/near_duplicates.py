"""Passages that say the same: copies of a page, boilerplate, releases of a manual that left a paragraph alone.

Two passages are near duplicates if most of their three-word sequences are shared (Jaccard similarity of w-shingles: A.
Broder, "On the resemblance and containment of documents", 1997) *and* they state the same facts. Similarity alone can't
tell that: in a passage of 200 words, "is" against "is not" leaves 97 % of the sequences the same. So both must have the
same numbers, names and signs in the same order, and the same words in the same order but for words that say little and
words that one of them adds, none of which may be a negation or a limit. What is left to differ is markup, punctuation,
case, articles, plurals, and a few words more.

A short passage has too few sequences for that: one comma changes three of them. Two short ones are the same where their
words are, but for case and the punctuation of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from math import ceil

# Of consecutive releases of real manuals (benchmarks/near_duplicates.py).
THRESHOLD = 0.7
_SHINGLE = 3
# By so many characters at the start or the end of a text its copies are looked for first.
_EDGE = 40
_MOST_BY_EDGE = 2  # where more begin alike, they are pages of one template: their names tell more
# Of fewer sequences it is not told by what differs alone how much is shared.
_FEWEST = 8
# With so many words a comma and another sign at the end leave less than the threshold.
_SHORT = 30
# In code a comma decides.
_CODE = re.compile(r"""[{}\[\]<>=|\\_]|```|\w\(|["']:|^\s*(?:\$|>>>)\s""", re.M)
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb", "''" + 5 * '"')
# What ends a word and a sentence, and is no part of it; brackets, stars and the like can be signs, and "?" asks.
_ENDS = ".,;:!\u2026"
_DASHES = re.compile("[-\u2010-\u2015]+")
_LETTERS = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
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
    grouping = Grouping(threshold)
    for text in texts:
        grouping.add(text)
    return grouping.groups()


class Grouping:
    """The same, of texts that come one after the other."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._count = 0
        self._groups: list[_Group] = []
        self._by_edge: dict[str, list[_Group]] = {}  # by how their first begins, and by how it ends
        self._by_names: dict[tuple[str, ...], list[_Group]] = {}
        self._by_words: dict[tuple[str, ...], _Group] = {}  # of short ones

    def add(self, text: str) -> None:
        """The next text."""
        # 1. Most copies begin or end as the first of their group does: then only what differs is looked at.
        edges = (text[:_EDGE], "\0" + text[-_EDGE:])
        near = [its for edge in edges if len(its := self._by_edge.get(edge, ())) <= _MOST_BY_EDGE]
        group = next((its for groups in near for its in groups if self._is_copy(its, text)), None)
        if group is None:
            # 2. Short ones of the same words.
            spoken = _spoken(text)
            group = self._by_words.get(spoken)
        if group is None:
            # 3. Near duplicates have the same names and numbers, so most passages need no comparison at all. The others
            # are compared by what they share, then by what they say.
            names = _names(text)
            group = self._alike(text, self._by_names.get(names, ()))
        if group is None:
            group = _Group(text)
            self._groups.append(group)
            self._by_names.setdefault(names, []).append(group)
            if spoken:
                self._by_words[spoken] = group
            for edge in edges:
                self._by_edge.setdefault(edge, []).append(group)
        group.members.append(self._count)
        self._count += 1

    def groups(self) -> list[tuple[int, ...]]:
        """Of all texts so far; by number, from 0."""
        return [tuple(group.members) for group in self._groups]

    def _is_copy(self, group: _Group, text: str) -> bool:
        """Whether a text is surely a near duplicate of the group's first; where it can't be told so, it is not."""
        first, other = _differing(group.first, text)
        size = len(group.shingles)
        # A difference of so many words takes part in two sequences more.
        unshared, added = len(first.split()) + _SHINGLE - 1, len(other.split()) + _SHINGLE - 1
        surely = size >= _FEWEST and size - unshared >= self._threshold * (size + added)
        return surely and same_facts(first, other)

    def _alike(self, text: str, groups: Sequence[_Group]) -> _Group | None:
        if not groups:
            return None
        shingles = _shingles(text)
        # Sets of this similarity share one of the first few members in any order (prefix filtering: S. Chaudhuri et
        # al., "A primitive operator for similarity joins in data cleaning", 2006).
        first_few = sorted(shingles)[: len(shingles) - ceil(self._threshold * len(shingles)) + 1]
        for group in groups:
            if group.shingles.isdisjoint(first_few):
                continue
            shared = len(shingles & group.shingles)
            alike = shared >= self._threshold * (len(shingles) + len(group.shingles) - shared)
            if alike and _agree(group.first, text):
                return group
        return None


class _Group:
    """Near duplicates of a text, by number."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.members: list[int] = []

    @cached_property
    def shingles(self) -> set[int]:
        return _shingles(self.first)


def same_facts(left: str, right: str) -> bool:
    """Whether two similar passages differ in nothing that could make one true and the other false."""
    return _names(left) == _names(right) and _agree(left, right)


def _differing(left: str, right: str) -> tuple[str, str]:
    """What is left of both without the words that they have in common at the start and at the end."""
    if left == right:
        return "", ""
    most = min(len(left), len(right))
    first = _longest(most, lambda size: left[:size] == right[:size])
    while first and not left[first - 1].isspace():
        first -= 1
    last = _longest(most - first, lambda size: left[len(left) - size :] == right[len(right) - size :])
    while last and not left[len(left) - last].isspace():
        last -= 1
    return left[first : len(left) - last], right[first : len(right) - last]


def _longest(most: int, holds: Callable[[int], bool]) -> int:
    """The largest size for which something holds that holds for all smaller ones."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if holds(middle):
            least = middle
        else:
            most = middle - 1
    return least


def _spoken(text: str) -> tuple[str, ...]:
    """The words of a short passage without case and punctuation; none for a long one, for code and without words."""
    words = text.split(maxsplit=_SHORT)
    if len(words) > _SHORT or not _WORD.search(text) or _CODE.search(text):
        return ()
    pairs = zip(["", *words], words, strict=False)
    return tuple(_plain(word) for before, word in pairs if _is_value(before) or not _DASHES.fullmatch(word))


def _plain(word: str) -> str:
    """Signs stay, and so does the case of what could be a name, a unit or a sign for itself: `getUser`, `US`, `-V`."""
    word = word.translate(_QUOTES)
    bare = word.rstrip(_ENDS + '"')
    end = word[len(bare) :]
    if not any(character.isalnum() for character in bare) or (_is_value(bare) and end.strip(".,;:\u2026")):
        return word  # 5! and 5" are not 5
    letters = bare.lstrip('"')
    begins_alone = letters[1:].islower() or letters in ("A", "I") or (len(letters) > 3 and letters.isupper())
    if begins_alone and _LETTERS.fullmatch(letters):
        bare = bare.lower()
    return bare + end.count('"') * '"'


def _is_value(word: str) -> bool:
    """Whether what stands beside it could be a sign of a calculation or a unit."""
    return len(word) == 1 or word[-1:].isdigit()


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
