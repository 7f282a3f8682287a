"""Exact checks of a claim against its evidence: words, names and negation, each a pure function. Numbers: `numbers.py`.

English. An embedding hardly moves when a number, a name or a "not" changes; these checks look at just that.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence, Set
from itertools import pairwise

from evals.numbers import WORD_VALUES
from evals.sentences import plain, word_set

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:'[^\W_]+)?")
_STOP_WORDS = word_set(
    "a an the this that these those it its he him his she her hers they them their theirs we us our ours you your "
    "yours i me my mine who whom whose which what where when how why is am are was were be been being do does did "
    "done have has had having will would shall should can could may might must of in on at by for from to with into "
    "onto upon over under about as than then so and or but if else while during also such very more most much many "
    "some any all both each other another there here out up down off again only own same too just not no nor never "
    "n't s t re ve ll d m because since until after before between through above below against per via without "
    "cannot unless"
)
_DOUBLED = re.compile(r"\w{2}(?:bb|gg|mm|nn|pp|rr|tt)$")  # "stopp" of "stopped"
_ORDINARY_CAPITALS = word_set("I I'm I'll I've I'd OK")
_QUOTED = re.compile(r"`+([^`\n]{1,80})`+|\"([^\"\n]{2,80})\"|(?<!\w)'([^'\n]{2,80})'(?!\w)")
_IDENTIFIER = re.compile(
    r"--?[A-Za-z][\w-]+"  # --flag
    r"|[A-Za-z_][\w]*(?:\(\)|[._/][A-Za-z_]\w*(?:\(\))?)+"  # file.py, a.b.c, call()
    r"|[A-Za-z]+_\w+|_\w+"  # snake_case
    r"|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*"  # camelCase
    r"|[A-Za-z]+-?\d\w*|\d+[A-Za-z]+\d\w*"  # A330, utf-8
)
_CAPITALISED = re.compile(r"[A-Z\u00c0-\u00de][\w'-]*")
_NEGATION = re.compile(r"\b(?:not|no|never|without|cannot|unless|neither|nor|none|nobody|nothing|hardly)\b|n't\b", re.I)
# Verbs that say that something is not so; after another negation they take it back ("never fails to").
_IMPLICIT = re.compile(
    r"\b(?:fail(?:s|ed|ing|ures?)? to|refus(?:e|es|ed|ing|als?) to|unable to|lack(?:s|ed|ing)?(?! of)"
    r"|avoid(?:s|ed|ing)?|prevent(?:s|ed|ing)?|protect(?:s|ed|ing)? (?:against|from)|den(?:y|ies|ied|ying)"
    r"|(?:stop(?:s|ped)?|ceas(?:e|es|ed)) (?=\w+ing\b)|free (?:of|from)\b)",
    re.IGNORECASE,
)
_NOT_NEGATING = re.compile(
    r"\bnot (?:only|just|least)\b|\bno (?:later|earlier|more|less|fewer) than\b|\bno\.? \d", re.I
)
_SCOPE_WORDS = 4  # content words after a negation that it is taken to negate
_SHORTEST_STATEMENT = 4  # words
_CLOSE = 0.7  # the least share of the claim's content words in the evidence for the two to be worded alike
_SCOPE_END = re.compile(r"[.;:!?,()]|\b(?:but|and|or|because|when|if|which|that|unless)\b", re.I)
_ANTONYMS = (
    ("increase rise grow raise higher up", "decrease fall shrink reduce lower down decline drop"),
    ("before", "after"),
    ("enable activate", "disable deactivate"),
    ("allow permit", "forbid prohibit deny prevent refuse"),
    ("open", "close shut"),
    ("minimum least", "maximum most"),
    ("first", "last"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("win won", "lose lost"),
    ("always", "never sometimes"),
    ("required mandatory", "optional"),
    ("above over", "below under"),
    ("positive", "negative"),
    ("success succeed", "failure fail"),
)


def stem(word: str) -> str:
    """A crude English stem, enough to match "lasts" with "lasted": lower case, without the commonest endings.

    Numbers are made alike: "2,000" is "2000", "six" is "6".
    """
    word = word.lower().removesuffix("'s")
    if word[:1].isdigit():
        return word.replace(",", "")
    if word in WORD_VALUES:
        return str(WORD_VALUES[word])
    for ending, left in (
        ("ies", "y"),
        ("ied", "y"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
        ("e", ""),
        ("ly", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending) + left
            return word[:-1] if ending in ("ing", "ed") and _DOUBLED.search(word) else word
    return word


def words(text: str) -> list[str]:
    """Stems of all words, in order."""
    return [stem(word) for word in _WORD.findall(plain(text))]


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, with repetitions."""
    return [stem(word) for word in _WORD.findall(plain(text)) if word.lower() not in _STOP_WORDS]


def bigrams(text: str) -> frozenset[tuple[str, str]]:
    """Each two words that follow one another, as stems."""
    stems = words(text)
    return frozenset(pairwise(stems))


def in_order(claim: str, evidence: str) -> float:
    """The share of the claim's words that the evidence has in the same order, whatever stands between them: 1 for a
    copy, also one that leaves something out. ROUGE-L's recall (Lin 2004, section 3.1): a longest common subsequence."""
    wanted, found = words(claim), words(evidence)
    lengths = [0] * (len(found) + 1)
    for word in wanted:
        before = 0
        for i, other in enumerate(found, 1):
            before, lengths[i] = lengths[i], before + 1 if word == other else max(lengths[i], lengths[i - 1])
    return lengths[-1] / len(wanted) if wanted else 0.0


def recall(wanted: Iterable[Hashable], found: Set[Hashable]) -> float:
    """The share of `wanted` that is in `found`; 1 where nothing is wanted."""
    wanted = set(wanted)
    return sum(word in found for word in wanted) / len(wanted) if wanted else 1.0


def names(text: str) -> list[str]:
    """Names, identifiers and quoted strings of one sentence, in order, each once.

    A capital at the beginning of the sentence makes no name, unless the next word has one too or it is an acronym.
    """
    text = plain(text)
    found: dict[str, None] = {}
    for match in _QUOTED.finditer(text):
        found[next(group for group in match.groups() if group).strip()] = None
    bare = _QUOTED.sub(lambda match: " " * len(match.group()), text)
    for match in _IDENTIFIER.finditer(bare):
        if not bare[match.start() - 1 : match.start()].isalnum():
            found[match.group()] = None
    for match in _CAPITALISED.finditer(_IDENTIFIER.sub(lambda match: " " * len(match.group()), bare)):
        if _is_name(bare, match):
            found[match.group().removesuffix("'s").strip("'-")] = None
    return [name for name in found if name]


def missing_names(claim: str, evidence: str) -> list[str]:
    """The names of the claim that the evidence does not have, in whatever case."""
    low = " ".join(plain(evidence).lower().replace("`", "").split())
    stems = set(words(evidence))
    initials = _initials(evidence)
    return [name for name in names(claim) if not _has_name(name, low, stems, initials)]


def negation_differs(claim: str, evidence: str) -> bool:
    """Whether what one of the two negates is said without negation by the other.

    Only words that both have are looked at, within the few words after a negation, up to the end of the clause: more of
    them must differ than agree. Verbs that negate ("fails to") count between close sentences only: in free wording they
    mislead ("protects against frost" and "resists frost" are the same). A claim of some three words ("Schedule 5.")
    affirms nothing by itself.
    """
    if len(words(claim)) < _SHORTEST_STATEMENT and not _NEGATION.search(plain(claim)):
        return False
    is_close = recall(content_words(claim), set(content_words(evidence))) >= _CLOSE
    claimed, found = _polarities(claim, implied=is_close), _polarities(evidence, implied=is_close)
    shared = [(claimed[word], found[word]) for word in claimed.keys() & found.keys()]
    decided = [(here, there) for here, there in shared if len(here) == 1 and len(there) == 1]
    agree = sum(here == there == {True} for here, there in decided)
    return sum(here != there for here, there in decided) > agree


def antonym_differs(claim: str, evidence: str) -> bool:
    """Whether the claim has one side of a pair such as "increase" and "decrease", and the evidence only the other."""
    claimed, found = set(words(claim)), set(words(evidence))
    for pair in _ANTONYMS:
        one, other = ({stem(word) for word in side.split()} for side in pair)
        for here, there in ((one, other), (other, one)):
            if claimed & here and not claimed & there and found & there and not found & here:
                return True
    return False


def _is_name(text: str, match: re.Match[str]) -> bool:
    word = match.group()
    if word in _ORDINARY_CAPITALS or (match.start() and text[match.start() - 1].isalnum()):
        return False
    before = text[: match.start()].rstrip(" \"'(*_[")
    if before and before[-1] not in ".:!?\n":
        return True
    if word.lower() in _STOP_WORDS:
        return False
    is_acronym = len(word) > 1 and word[1:2].isupper()
    return is_acronym or re.match(r" [A-Z][a-z]", text[match.end() : match.end() + 3]) is not None


def _has_name(name: str, low: str, stems: Set[str], initials: str) -> bool:
    wanted = " ".join(name.lower().split()).removesuffix("()")
    if wanted in low:
        return True
    if name.isupper() and name.isalpha() and len(name) > 2 and name.lower() in initials:
        return True
    parts = words(name)
    is_words = (
        bool(parts) and all(part.isalpha() for part in _WORD.findall(name)) and "_" not in name and "." not in name
    )
    return is_words and all(part in stems for part in parts)


def _initials(text: str) -> str:
    return "".join(word[0] for word in _WORD.findall(plain(text).lower()) if word not in ("of", "the", "and", "for"))


def _polarities(text: str, *, implied: bool) -> dict[str, set[bool]]:
    """For each content word, whether it stands in the scope of a negation: True, False or, said twice, both.

    `implied`: whether verbs that negate count too.
    """
    text = plain(text)
    explicit = _scopes(text, _NEGATION, [match.span() for match in _NOT_NEGATING.finditer(text)])
    implicit = _scopes(text, _IMPLICIT, []) if implied else []
    found: dict[str, set[bool]] = {}
    left = dict.fromkeys((*explicit, *implicit), _SCOPE_WORDS)
    for match in _WORD.finditer(text):
        if match.group().lower() in _STOP_WORDS or match.group()[0].isdigit():
            continue
        covering = [scope for scope in left if scope[0] <= match.start() < scope[1] and left[scope]]
        for scope in covering:
            left[scope] -= 1
        negated = any(scope in explicit for scope in covering) != any(scope in implicit for scope in covering)
        found.setdefault(stem(match.group()), set()).add(negated)
    return found


def _scopes(text: str, negation: re.Pattern[str], harmless: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """From each negation to the end of its clause."""
    scopes = []
    for match in negation.finditer(text):
        if not any(start <= match.start() < end for start, end in harmless):
            stop = _SCOPE_END.search(text, match.end())
            scopes.append((match.end(), stop.start() if stop else len(text)))
    return scopes
