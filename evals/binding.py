"""Whether a claim's number or name stands with what the claim says of it, or in a sentence about something else.

"The large pump weighs 11 kg." has all its words in "The small pump weighs 11 kg. The large pump weighs 22 kg."; but the
sentence that has its other words has another number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from evals.checks import content_words, names, recall, words
from evals.numbers import counterpart, missing_numbers, numbers

_CLOSE = 0.6  # the least share of the claim's other words in the sentence that is about its subject
# For the two to say the same of two things: the least share of those words in the sentence that has the number or name,
_PARALLEL = 0.5
_SAME_FORM = 0.5  # ... and for names, which free wording brings together from everywhere, of equal words in both
_PRONOUN = re.compile(r"\b(?:it|its|they|their|them|this|these|that|those|he|him|his|she|her|both)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence of the evidence. `stems`: its content words, those of the title and headings over it, and where it
    has a pronoun those of the sentence before it."""

    text: str
    stems: frozenset[str]


@dataclass(frozen=True, slots=True)
class Misbound:
    """`told[sentence]` is about what the claim is about, and has `found` where the claim says `said`."""

    said: str
    found: str
    sentence: int


def tell(sentences: Sequence[str], around: frozenset[str]) -> list[Told]:
    """The sentences of one passage, in order; `around` holds the words of its title and headings."""
    stems = [frozenset(content_words(text)) for text in sentences]
    return [
        Told(text, stems[i] | around | (stems[i - 1] if i and _PRONOUN.search(text) else frozenset()))
        for i, text in enumerate(sentences)
    ]


def misbound_numbers(claim: str, told: Sequence[Told]) -> list[Misbound]:
    """The numbers of the claim that stand only in sentences which have less of its other words than another sentence,
    which has another number of the same unit."""
    claimed = numbers(claim)
    if not claimed:
        return []
    numbered = [numbers(sentence.text) for sentence in told]
    found = []
    for number in claimed:
        if not number.loose:
            others = [counterpart(number, those, claimed) for those in numbered]
            instead = [other.text if other else None for other in others]
            holders = [i for i, those in enumerate(numbered) if not missing_numbers([number], those)]
            found.append(_misbound(number.text, claim, told, holders, instead))
    return [conflict for conflict in found if conflict]


def misbound_names(claim: str, told: Sequence[Told]) -> list[Misbound]:
    """The names of the claim that stand only in sentences which have less of its other words than another sentence,
    which has another name."""
    phrases = name_phrases(claim)
    if not phrases:
        return []
    low = claim.lower()
    instead = [next((name for name in name_phrases(s.text) if name.lower() not in low), None) for s in told]
    own = [frozenset(words(sentence.text)) for sentence in told]
    found = []
    for name in phrases:
        parts = frozenset(words(name))
        holders = [i for i, stems in enumerate(own) if parts <= stems]
        conflict = _misbound(name, claim, told, holders, instead)
        if conflict and any(_same_form(told[i].text, told[conflict.sentence].text) for i in holders):
            found.append(conflict)
    return found


def name_phrases(text: str) -> list[str]:
    """The names of a sentence, those that follow one another as one: "Anna Berg"."""
    phrases: list[str] = []
    for name in names(text):
        if phrases and f"{phrases[-1]} {name}" in text:
            phrases[-1] += f" {name}"
        else:
            phrases.append(name)
    return phrases


def _same_form(one: str, other: str) -> bool:
    """Whether two sentences have most words in common, in order, as "A was built by B" and "C was built by D"."""
    return SequenceMatcher(None, words(one), words(other), autojunk=False).ratio() >= _SAME_FORM


def _misbound(
    said: str,
    claim: str,
    told: Sequence[Told],
    holders: Sequence[int],
    instead: Sequence[str | None],
) -> Misbound | None:
    """The closest sentence that has all of the claim's words that each of `holders` has, and more of them, and
    something else (`instead`, one a sentence) in the place of `said`."""
    wanted = frozenset(content_words(claim)) - frozenset(content_words(said))
    if not (wanted and holders):
        return None
    held = [wanted & told[i].stems for i in holders]
    for i in sorted(range(len(told)), key=lambda i: -len(wanted & told[i].stems)):
        shared = wanted & told[i].stems
        if recall(wanted, shared) < _CLOSE:
            return None
        is_parallel = max(len(part) for part in held) >= _PARALLEL * len(shared)
        if i not in holders and is_parallel and all(part < shared for part in held) and (other := instead[i]):
            return Misbound(said, other, i)
    return None
