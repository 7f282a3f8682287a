"""What turns a near-copy of a sentence into its opposite, each a pure function: one word against its opposite, a modal
or a quantifier of another strength, an "only" too many, two things exchanged. And markup: tags, control characters.

English, from short lists: opposites that no list has ("melts" for "hardens") pass. Each is meant for a claim beside the
one sentence that is closest to it; beside a sentence about something else they say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations

from evals.checks import content_words, names, stem, words
from evals.sentences import plain, word_set

_LIKE = 0.6  # the least share of the words in common for a comparison word by word
_LONGEST_SWAP = 4  # words on either side that stand in the place of one another
_OPPOSITES = (
    ("increase rise rose raise grow grew gain", "decrease fall fell reduce shrink drop lower decline lose"),
    ("permit allow", "prohibit forbid forbidden ban"),
    ("left", "right"),
    ("up upward upwards", "down downward downwards"),
    ("open", "close closed shut"),
    ("on", "off"),
    ("enable activate", "disable deactivate"),
    ("before", "after"),
    ("first", "last"),
    ("minimum least", "maximum most"),
    ("more", "less fewer"),
    ("above over", "below under"),
    ("start begin began", "stop end finish"),
    ("required mandatory compulsory", "optional voluntary"),
    ("include cover contain", "exclude omit"),
    ("synchronous sync", "asynchronous async"),
    ("accept approve", "reject refuse deny decline"),
    ("add insert", "remove delete"),
    ("push", "pull"),
    ("inside indoor indoors", "outside outdoor outdoors"),
    ("high higher highest", "low lower lowest"),
    ("large larger largest big bigger biggest", "small smaller smallest"),
    ("long longer longest", "short shorter shortest"),
    ("warm hot heat", "cold cool"),
    ("boil", "freeze"),
    ("early earlier", "late later"),
    ("buy bought", "sell sold"),
    ("import", "export"),
    ("clockwise", "counterclockwise anticlockwise"),
    ("public", "private"),
    ("safe", "dangerous unsafe"),
    ("valid", "invalid"),
    ("succeed pass", "fail"),
    ("win won", "lose lost"),
    ("ascending", "descending"),
    ("horizontal", "vertical"),
    ("with", "without"),
)
# Of one row a thing is only one.
_EXCLUSIVE = (
    "red green blue yellow orange black white grey gray brown purple pink",
    "monday tuesday wednesday thursday friday saturday sunday",
    "january february march april may june july august september october november december",
    "north south east west",
    "northern southern eastern western",
    "spring summer autumn winter",
    "daily weekly monthly quarterly yearly annually hourly",
    "second minute hour day week month year",
    "morning noon afternoon evening night midnight",
)


def _stems(row: str) -> frozenset[str]:
    return frozenset(stem(word) for word in row.split())


_EITHER = tuple((_stems(left), _stems(right)) for left, right in _OPPOSITES)
_ONE_OF = tuple(_stems(row) for row in _EXCLUSIVE)
# By strength. A claim may be a step weaker than its evidence ("should" for "must"), not stronger, nor two steps off.
_MODALS = {"may": 0, "might": 0, "can": 0, "could": 0, "should": 1, "must": 2, "shall": 2}
_ALL, _SOME = (
    word_set("all every each always everyone everybody"),
    word_set("some few sometimes occasionally many several"),
)
_ONLY = re.compile(r"\b(?:only|solely|exclusively|nothing but)\b(?! (?:if|when|after|once)\b)", re.IGNORECASE)
_ALONE = re.compile(r"\b(?:only|sole|solely|exclusive(?:ly)?|just|alone|single|unique|nothing but|no other)\b", re.I)
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:'[^\W_]+)?")
_LISTED = re.compile(r",|\band\b|\bor\b|&", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z!](?!ttps?:)[^<>]*>")
# C0 and C1 without white space, and the invisible characters that reorder or hide text.
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


def opposite_words(claim: str, sentence: str) -> tuple[str, str] | None:
    """A word of the claim and the one that the sentence has in its place, where the two exclude one another."""
    for ours, theirs in _replaced(claim, sentence):
        for here in ours:
            for there in theirs:
                if _exclude(here, there):
                    return here, there
    return None


def strength_differs(claim: str, sentence: str) -> bool:
    """Whether the claim says "must" for "may", "some" for "all", or "only" where the sentence does not."""
    if not _alike(words(claim), words(sentence)):
        return False
    if _ONLY.search(plain(claim)) and not _ALONE.search(plain(sentence)):
        return True
    for ours, theirs in _replaced(claim, sentence):
        here, there = ({_MODALS[word] for word in side if word in _MODALS} for side in (ours, theirs))
        if here and there and (max(here) > max(there) or max(there) - max(here) > 1):
            return True
        for one, other in ((_ALL, _SOME), (_SOME, _ALL)):
            if one & set(ours) and other & set(theirs):
                return True
    return False


def exchanged(claim: str, sentence: str) -> tuple[str, str] | None:
    """Two names, numbers or words of the claim that stand in each other's place: with them put back, the claim is the
    sentence word for word, whatever it leaves out. Members of a list ("salt and sugar") and neighbours ("5 March") may
    change places."""
    text = plain(claim)
    tokens = list(_TOKEN.finditer(text))
    stems, found = [stem(token.group()) for token in tokens], words(sentence)
    if set(stems) - set(found) or _is_within(stems, found):
        return None
    for (a, b), (c, d) in combinations(_units(text, tokens), 2):
        if b == c or stems[a:b] == stems[c:d] or _are_listed(text[tokens[b - 1].end() : tokens[c].start()]):
            continue
        if _is_within([*stems[:a], *stems[c:d], *stems[b:c], *stems[a:b], *stems[d:]], found):
            return text[tokens[a].start() : tokens[b - 1].end()], text[tokens[c].start() : tokens[d - 1].end()]
    return None


def foreign_markup(claim: str, evidence: str) -> str | None:
    """The first HTML tag or control character of the claim that the evidence does not have."""
    found = evidence.lower()
    for match in (*_TAG.finditer(claim), *_CONTROL.finditer(claim)):
        if match.group().lower() not in found:
            return match.group()
    return None


def _replaced(claim: str, sentence: str) -> list[tuple[list[str], list[str]]]:
    """The words that the claim has in the place of others, lower case, unstemmed: (the claim's, the sentence's)."""
    ours, theirs = (_TOKEN.findall(plain(text).lower()) for text in (claim, sentence))
    here, there = [stem(word) for word in ours], [stem(word) for word in theirs]
    if not _alike(here, there):
        return []
    return [
        (ours[a:b], theirs[c:d])
        for kind, a, b, c, d in SequenceMatcher(None, here, there, autojunk=False).get_opcodes()
        if kind == "replace" and b - a <= _LONGEST_SWAP
    ]


def _alike(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether most words of the claim stand in the sentence, in whatever order."""
    return bool(ours) and sum(word in theirs for word in ours) / len(ours) >= _LIKE


def _exclude(one: str, other: str) -> bool:
    a, b = stem(one), stem(other)
    if any(a in row and b in row for row in _ONE_OF) and a != b:
        return True
    if any((a in left and b in right) or (b in left and a in right) for left, right in _EITHER):
        return True
    return _without_prefix(a) == b or _without_prefix(b) == a


def _without_prefix(word: str) -> str | None:
    """ "able" of "unable": what a prefix turns into its opposite."""
    match = re.fullmatch(r"(?:un|non|dis|de)(\w{4,})", word)
    return match[1] if match else None


def _units(text: str, tokens: Sequence[re.Match[str]]) -> list[tuple[int, int]]:
    """What may have changed places, as ranges of tokens: runs of names ("Anna Berg"), numbers, other content words."""
    is_name = {part for name in names(text) for part in _TOKEN.findall(name)}
    units: list[tuple[int, int]] = []
    for i, token in enumerate(tokens):
        if not content_words(token.group()):
            continue
        joins = units and units[-1][1] == i and {token.group(), tokens[i - 1].group()} <= is_name
        if joins:
            units[-1] = (units[-1][0], i + 1)
        else:
            units.append((i, i + 1))
    return units


def _are_listed(between: str) -> bool:
    """Whether what stands between two words makes them members of one list: ", zinc and the"."""
    first, *others = (part.split() for part in _LISTED.split(between))
    if first or not others:
        return False
    return others[-1] in ([], ["a"], ["an"], ["the"]) and all(len(part) <= 2 for part in others)


def _is_within(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether all of `wanted` stands in `found` in its order."""
    rest = iter(found)
    return all(word in rest for word in wanted)
