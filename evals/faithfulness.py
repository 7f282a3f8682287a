"""The first verifier: sentence embeddings for closeness, exact checks for numbers, names and negation.

Each claim is compared with windows of one and two sentences of the passages. What the best window and the checks say of
it becomes a probability by logistic regression, fitted by `benchmarks/verifier.py fit`. `docs/verifier.md` has the
numbers that it was judged by.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.binding import Told, misbound_names, misbound_numbers, tell
from evals.checks import (
    antonym_differs,
    bigrams,
    content_words,
    in_order,
    missing_names,
    names,
    negation_differs,
    recall,
)
from evals.claims import ClaimSpan, is_abstention, split_claims
from evals.config import EvalsSettings
from evals.contrasts import exchanged, foreign_markup, opposite_words, strength_differs
from evals.evidence import Window, make_windows, shortlist
from evals.numbers import Number, counterpart, missing_numbers, numbers
from generation.types import Claim, ClaimVerdict, Evidence, Faithfulness, Verification
from ingest.types import Embedder, Vectors
from retrieval.types import Passage

METHOD = "embedding-v2"
FEATURES = ("cosine", "recall", "missing_number", "missing_name", "negation", "antonym", "gap", "copy")
# Logistic regression on the fitting parts of the sets named in docs/verifier.md.
INTERCEPT = -1.38
COEFFICIENTS = (1.06, 1.59, -2.11, -1.51, -2.32, -2.38, -31.7, 0.48)

# A claim of fewer content words says little by itself ("2,000 hours."): it is compared as an answer to the question.
# Beside other claims it may well be about something else than the question.
_SHORT_ALONE = 6
_SHORT_BESIDE_OTHERS = 3
_WIDEST_GAP = 0.1
_WINDOWS_PER_CLAIM = 6  # 4 to 24 judge alike
_MOST_WINDOWS = 40
# From this share of its words in the order of its evidence on, a claim is more and more a copy.
_COPY = 0.8
_NEAR_COPY = 0.7  # ... and from this one on, another number or name in it stands in the place of the evidence's
# The share of the claim's words, the numbers and names in question left out, that the evidence has where they conflict.
_CLOSE = 0.6


@dataclass(frozen=True, slots=True)
class Match:
    """A claim with its best window. `features` are in the order of `FEATURES`; the rest says what they are made of."""

    claim: ClaimSpan
    window: Window
    features: tuple[float, ...]
    wrong_numbers: tuple[Number, ...]  # in no passage, or in the place of another number
    missing_names: tuple[str, ...]  # in no passage
    negation: bool
    antonym: bool
    in_order: float  # the share of the claim's words that the window has in the same order
    contrast: str | None  # how it turns the sentence round that it is closest to, or binds a number or name wrongly
    markup: str | None  # a tag or control character that no passage has

    @property
    def score(self) -> float:
        """The probability that the claim is supported; 0 with markup that no passage has: that is no text to judge."""
        if self.markup:
            return 0.0
        z = INTERCEPT + sum(weight * x for weight, x in zip(COEFFICIENTS, self.features, strict=True))
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, z))))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The shortlisted windows with the words (title and headings included) and word pairs of each, and all text."""

    windows: Sequence[Window]
    words: Sequence[frozenset[str]]
    pairs: Sequence[frozenset[tuple[str, str]]]
    told: Sequence[Told]  # all sentences, shortlisted or not
    everything: str
    numbers: Sequence[Number]


class EmbeddingVerifier:
    """`generation.types.Verifier` by sentence embeddings and exact checks. English; safe to share between threads."""

    def __init__(self, embedder: Embedder, settings: EvalsSettings) -> None:
        self._embedder = embedder
        self._supported_at = settings.supported_at

    @property
    def name(self) -> str:
        parts = (METHOD, FEATURES, INTERCEPT, COEFFICIENTS, self._supported_at, self._embedder.space.space_id)
        return f"{METHOD}/{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"

    def verify(self, question: str, text: str, passages: Sequence[Passage]) -> Verification:
        """Judges each claim of `text` by the passages. Never raises for odd texts: then `scored` is false.

        The answer's score is that of its weakest claim, its verdict the worst of them.
        """
        # 1. Find the claims, or say why there is nothing to judge.
        claims = split_claims(text)
        if reason := _not_scored(text, claims, passages):
            return Verification(claims=(), faithfulness=self._unscored(reason))

        # 2. Find the best evidence for each.
        matches = match_claims(self._embedder, question, claims, passages)
        if not matches:
            return Verification(claims=(), faithfulness=self._unscored("the passages have no text"))
        if not all(math.isfinite(x) for match in matches for x in match.features):
            return Verification(claims=(), faithfulness=self._unscored("the embedder gave a vector that is not finite"))

        # 3. Judge each.
        judged = tuple(self._judge(text, match, passages) for match in matches)

        # 4. Judge the whole.
        verdicts = {claim.verdict for claim in judged}
        order: tuple[ClaimVerdict, ...] = ("contradicted", "not_found", "supported")
        return Verification(
            claims=judged,
            faithfulness=Faithfulness(
                score=min(claim.score for claim in judged),
                verdict=next(verdict for verdict in order if verdict in verdicts),
                scored=True,
                verifier=self.name,
            ),
        )

    def _judge(self, text: str, match: Match, passages: Sequence[Passage]) -> Claim:
        score, span = match.score, match.claim
        conflict = None if score >= self._supported_at else find_conflict(match)
        verdict: ClaimVerdict = (
            "supported" if score >= self._supported_at else "contradicted" if conflict else "not_found"
        )
        passage = passages[match.window.passage]
        return Claim(
            text=text[span.start : span.end],
            start=span.start,
            end=span.end,
            verdict=verdict,
            score=score,
            evidence=Evidence(
                document_id=passage.document_id,
                version=passage.version,
                start=passage.start + match.window.start,
                end=passage.start + match.window.end,
            ),
            reason=None if verdict == "supported" else conflict or _why_not_found(match),
        )

    def _unscored(self, reason: str) -> Faithfulness:
        return Faithfulness(score=None, verdict=None, scored=False, reason=reason, verifier=self.name)


def match_claims(
    embedder: Embedder, question: str, claims: Sequence[ClaimSpan], passages: Sequence[Passage]
) -> list[Match]:
    """The best window for each claim, with what speaks for and against it; empty where the passages have no text."""
    around = [frozenset(content_words(" ".join(passage.around))) for passage in passages]
    windows = make_windows([passage.text for passage in passages])
    told = _tell(windows, around)
    if not (windows and claims):
        return []
    at_least = _SHORT_ALONE if len(claims) == 1 else _SHORT_BESIDE_OTHERS
    short = [bool(question.strip()) and len(set(content_words(claim.judged))) < at_least for claim in claims]
    asked = [f"{question} {claim.judged}" if s else claim.judged for claim, s in zip(claims, short, strict=True)]
    wanted = [frozenset(content_words(text)) for text in asked]
    windows = shortlist(windows, wanted, min(_MOST_WINDOWS, _WINDOWS_PER_CLAIM * len(claims)))
    vectors = embedder.embed_documents([*asked, *(window.text for window in windows)])
    everything = "\n".join(part for passage in passages for part in (*passage.around, passage.text))
    evidence = _Evidence(
        windows=windows,
        words=[window.stems | around[window.passage] for window in windows],
        pairs=[bigrams(window.text) for window in windows],
        told=told,
        everything=everything,
        numbers=numbers(everything),
    )
    return [_match(claim, short[n], evidence, vectors[len(claims) :] @ vectors[n]) for n, claim in enumerate(claims)]


def _tell(windows: Sequence[Window], around: Sequence[frozenset[str]]) -> list[Told]:
    sentences: list[list[str]] = [[] for _ in around]
    for window in windows:
        if window.n_sentences == 1:
            sentences[window.passage].append(window.text)
    return [one for texts, stems in zip(sentences, around, strict=True) for one in tell(texts, stems)]


def _match(claim: ClaimSpan, is_short: bool, evidence: _Evidence, cosines: Vectors) -> Match:
    text = claim.judged
    wanted, pairs = frozenset(content_words(text)), bigrams(text)
    recalls = [recall(wanted, found) for found in evidence.words]
    # Words in the same order tell a copy from a sentence that happens to use the same words.
    order = [recall(pairs, found) for found in evidence.pairs] if pairs else recalls
    closeness = cosines + 0.5 * np.asarray(recalls) + np.asarray(order)
    best = int(np.argmax(closeness))
    window, share = evidence.windows[best], recalls[best]
    copied = in_order(text, window.text)
    wrong_numbers = tuple(_wrong_numbers(numbers(text), numbers(window.text), evidence.numbers, copied))
    no_names = tuple(missing_names(text, evidence.everything))
    negation, antonym = negation_differs(text, window.text), antonym_differs(text, window.text)
    # A sentence about something else may have the number or the name; one that is turned round has all words.
    number = next((f"{m.found} where the answer says {m.said}" for m in misbound_numbers(text, evidence.told)), None)
    name = next((f"{m.found} where the answer says {m.said}" for m in misbound_names(text, evidence.told)), None)
    turned = _turned_round(text, _closest_sentence(evidence.windows, closeness))
    doubts = (bool(wrong_numbers or number), bool(no_names or name), negation, antonym or turned is not None)
    features = (
        float(cosines[best]),
        share,
        *(share * doubt for doubt in doubts),
        # A short claim stands in some window, the question may be answered in another: then it answers something else.
        min(_WIDEST_GAP, float(cosines.max() - cosines[best])) if is_short else 0.0,
        0.0 if any(doubts) else max(0.0, copied - _COPY) / (1 - _COPY),
    )
    contrast = next((f"the passages say {said}" for said in (name, number, turned) if said), None)
    markup = foreign_markup(text, evidence.everything)
    return Match(claim, window, features, wrong_numbers, no_names, negation, antonym, copied, contrast, markup)


def _closest_sentence(windows: Sequence[Window], closeness: Vectors) -> str:
    """The window of one sentence that is closest to the claim, or of two where there is none of one."""
    single = [i for i, window in enumerate(windows) if window.n_sentences == 1]
    return windows[max(single or range(len(windows)), key=lambda i: closeness[i])].text


def _turned_round(claim: str, sentence: str) -> str | None:
    """What the sentence says instead of the claim that has nearly its words."""
    if pair := opposite_words(claim, sentence):
        return f"the opposite: {pair[1]!r} where the answer says {pair[0]!r}"
    if pair := exchanged(claim, sentence):
        return f"it with {pair[0]!r} and {pair[1]!r} in each other's place"
    return "it with another strength (may, must; some, all; only)" if strength_differs(claim, sentence) else None


def _wrong_numbers(
    claimed: Sequence[Number], found: Sequence[Number], everywhere: Sequence[Number], copied: float
) -> list[Number]:
    """Numbers of the claim that no passage has, and those that a near-copy has in the place of another number."""
    nowhere = missing_numbers(claimed, everywhere)
    if nowhere or copied < _NEAR_COPY:
        return nowhere
    return [number for number in missing_numbers(claimed, found) if counterpart(number, found, claimed)]


def find_conflict(match: Match) -> str | None:
    """What the evidence says otherwise, as a short sentence; None where it says nothing of the kind."""
    text, evidence = match.claim.judged, match.window.text
    doubtful = {
        word for name in (*match.missing_names, *(n.text for n in match.wrong_numbers)) for word in content_words(name)
    }
    if recall(set(content_words(text)) - doubtful, match.window.stems) < _CLOSE:
        return None
    claimed, found = numbers(text), numbers(evidence)
    for missing in match.wrong_numbers:
        if other := counterpart(missing, found, claimed):
            return f"the passages say {other.text} where the answer says {missing.text}"
    if match.contrast:
        return match.contrast
    if match.negation:
        return "the passages say the opposite: what one of the two negates, the other affirms"
    if match.antonym:
        return "the passages say the opposite"
    others = [name for name in names(evidence) if name.lower() not in text.lower()]
    if match.missing_names and others and match.in_order >= _NEAR_COPY:
        return f"the passages have no {match.missing_names[0]!r}; the closest sentence has {others[0]!r}"
    return None


def _why_not_found(match: Match) -> str:
    if match.markup:
        return "it has a tag or control character that no passage has"
    if match.wrong_numbers:
        return f"the passages do not have the number {match.wrong_numbers[0].text}"
    if match.missing_names:
        return f"no passage has {match.missing_names[0]!r}"
    return f"no passage says it: the closest has {match.features[1]:.0%} of its words"


def _not_scored(text: str, claims: Sequence[ClaimSpan], passages: Sequence[Passage]) -> str | None:
    if not text.strip():
        return "the answer is empty"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "the answer is no valid Unicode text"
    if not claims:
        return "the answer abstains" if is_abstention(text) else "the answer makes no claim"
    return None if passages else "there are no passages to judge by"
