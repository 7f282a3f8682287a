"""Text to the terms of the lexical index. Documents and queries take the same way."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from importlib import metadata

import Stemmer  # type: ignore[import-not-found]  # compiled, without stubs
import stop_words  # type: ignore[import-untyped]

# Lucene's English stop words (EnglishAnalyzer.ENGLISH_STOP_WORDS_SET). Those of other languages are of `stop-words`.
_ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with"
)
# Scripts written without spaces, as the first words of Unicode's names of their characters.
_UNSPACED_SCRIPTS = frozenset({"CJK", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KHMER", "LAO", "MYANMAR", "THAI"})
_LATER_HAN = "\U00020000-\U0003ffff"

_POSSESSIVE = re.compile(r"['\u2019]s\b", re.IGNORECASE)
_SEGMENTS = re.compile(r"[.\-]|::")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z])")
_JOINED = re.compile(r"[_.\-:+#]")


# Raised when other terms come of the same text, so that indexes are built anew.
FORMAT = 1


class Tokenizer:
    """Splits text into terms: Unicode words, case-folded and stemmed.

    - Text is normalised (NFKC); stop words are dropped where there is a list of them for the language.
    - An identifier gives the whole and its parts, once each: `FastAPI.include_router` gives `fastapi.include_router`,
      `fastapi`, `fast`, `api`, `include_router`, `includ`, `router`. Parts end at `.`, `-`, `::`, `_` and at the humps
      of camel case. A whole that is joined by signs is not stemmed: `get_user` and `get_users` differ. `C++` and `C#`
      are wholes too.
    - Runs of scripts without spaces (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar) give overlapping bigrams, as
      Lucene's CJKBigramFilter does; a run of one character gives that.

    Safe to share between threads.
    """

    def __init__(self, language: str) -> None:
        """`language` is a Snowball algorithm, such as `english`, or `none`. Raises ValueError for any other."""
        # PyStemmer forbids concurrent calls of one object, which holds the word being stemmed and a cache of stems.
        # It keeps the GIL while stemming, which hides that; without a GIL, stems would be spoilt silently.
        self._language = language
        self._stemmer = None if language == "none" else _snowball(language)
        self._lock = threading.Lock()
        self._stop_words, self._list = _stop_words(language)
        marks, unspaced = _character_classes()
        word = rf"\w[\w{marks}]*"
        self._unspaced_run = re.compile(rf"([{unspaced}{_LATER_HAN}]+)")
        self._compound = re.compile(rf"{word}(?:(?:[.\-]|::){word})*(?:\+\+|#(?!\w))?")

    @property
    def identity(self) -> str:
        """Names all that decides the terms of a text."""
        unicode, snowball = unicodedata.unidata_version, Stemmer.version()
        return f"{FORMAT} {self._language} unicode-{unicode} snowball-{snowball}{self._list}"

    def tokenize(self, text: str) -> list[str]:
        """The terms of `text`, in order, with repetitions."""
        plain = unicodedata.normalize("NFKC", text).replace("\xad", "")  # a soft hyphen may stand within any word
        pieces = [plain] if plain.isascii() else self._unspaced_run.split(plain)
        terms: list[str] = []
        for number, piece in enumerate(pieces):  # each second piece is what was split at: an unspaced run
            terms += _bigrams(piece) if number % 2 else self._words(piece)
        return self._stemmed(terms)

    def _words(self, text: str) -> list[str]:
        compounds = self._compound.findall(_POSSESSIVE.sub("", text))
        terms = (form.casefold() for compound in compounds for form in _forms(compound))
        return [term for term in terms if term not in self._stop_words]

    def _stemmed(self, terms: list[str]) -> list[str]:
        if self._stemmer is None:
            return terms
        with self._lock:
            return [term if _JOINED.search(term) else self._stemmer.stemWord(term) for term in terms]


def _forms(compound: str) -> list[str]:
    """A word or identifier, and its parts if it has any; each once."""
    if compound.isalpha() and (compound.islower() or compound.istitle()):
        return [compound]  # most words; only a short cut
    forms = [compound]
    for segment in _SEGMENTS.split(compound.rstrip("+#")):
        forms.append(segment)
        for word in segment.split("_"):
            forms.append(word)
            forms += _HUMPS.split(word)
    return [form for form in dict.fromkeys(forms) if form.strip("_")]


def _bigrams(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(max(1, len(run) - 1))]


def _snowball(language: str) -> Stemmer.Stemmer:
    if language not in Stemmer.algorithms():
        known = ", ".join(sorted(Stemmer.algorithms()))
        raise ValueError(f"no stemmer for the language {language!r}: choose `none` or one of {known}")
    return Stemmer.Stemmer(language)


def _stop_words(language: str) -> tuple[frozenset[str], str]:
    """The list of a language, and what names its version where it is not one of ours; empty where there is none."""
    if language == "english":
        return frozenset(_ENGLISH.split()), ""
    if language not in stop_words.AVAILABLE_LANGUAGES:
        return frozenset(), ""
    words = stop_words.get_stop_words(language)
    folded = frozenset(unicodedata.normalize("NFKC", word).casefold() for word in words)
    return folded, f" stop-words-{metadata.version('stop-words')}"


@functools.cache
def _character_classes() -> tuple[str, str]:
    """Insides of regular-expression classes: combining marks, and letters, marks and digits of unspaced scripts.

    `re` knows neither: its \\w leaves out the marks that write the vowels of many scripts, and would cut words there.
    """
    marks, unspaced = [], []
    for code in range(0x10000):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Mn", "Mc"):
            marks.append(code)
        if category[0] in "LMN" and re.split("[ -]", unicodedata.name(character, ""))[0] in _UNSPACED_SCRIPTS:
            unspaced.append(code)
    return _ranges(marks), _ranges(unspaced)


def _ranges(codes: list[int]) -> str:
    """Sorted code points as ranges of a regular-expression class."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
