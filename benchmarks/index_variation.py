"""Real texts, varied: more texts whose lengths, word frequencies and growing vocabulary are like those of real ones.

A variation of a text shuffles its sentences, drops 8% of its words, inserts as many, and replaces 15%. New words are
drawn where they stand in real texts, so frequent words stay frequent; some are coined, from halves of real words, at
the rate at which a vocabulary grows with the text: V(n) = K n^b (Heaps, "Information Retrieval", 1978, section 7.5),
with K and b taken from the real texts. Coined words come again in proportion to how often they stand already (Simon,
"On a class of skew distribution functions", 1955), so about half of them stay rare.

A variation's vector has a cosine of 0.85 to 0.95 to that of its source, as a paraphrase has, half of the way towards
another real text and half in a random direction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from index_peers.corpus import Vectors
from numpy.typing import NDArray

SEED = 11
DROPPED = INSERTED = 0.08
REPLACED = 0.15
COINED_AGAIN = 0.15  # of inserted and replacing words, those that were coined before
LEAST_COSINE, LARGEST_COSINE = 0.85, 0.95

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Numbers = NDArray[np.int64]


class Vocabulary:
    """Words by number; grows by coining."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._number_of: dict[str, int] = {}

    def number(self, word: str) -> int:
        known = self._number_of.setdefault(word, len(self.words))
        if known == len(self.words):
            self.words.append(word)
        return known

    def coin(self, first: int, second: int) -> int:
        """A new word, from the front half of one and the back half of another."""
        front, back = self.words[first], self.words[second]
        word = front[: (len(front) + 1) // 2] + back[len(back) // 2 :].lower()
        while word in self._number_of:
            word += "aeioul"[len(self.words) % 6]
        return self.number(word)


def vary_texts(real: Sequence[str], count: int) -> Iterator[str]:
    """`count` variations, the first of `real[0]`, going through `real` as often as needed; always the same ones."""
    rng = np.random.default_rng(SEED)
    vocabulary = Vocabulary()
    sentences = [[_numbers(part, vocabulary) for part in _SENTENCE_END.split(text)] for text in real]
    stream = np.concatenate([part for parts in sentences for part in parts])
    coining_rate = _coining_rate(stream)
    seen = len(stream)  # words so far
    coined: list[int] = []  # once for each time that one was written
    for position in range(count):
        parts = sentences[position % len(real)]
        words = np.concatenate([parts[place] for place in rng.permutation(len(parts))])
        words, fresh = _changed(words, stream, rng)
        # Coined words take the places of some of those that were drawn, at the rate of growth at this point.
        new = min(len(fresh), int(rng.poisson(len(words) * coining_rate(seen))))
        again = int(rng.binomial(len(fresh) - new, COINED_AGAIN)) if coined else 0
        places = rng.permutation(fresh)
        for place in places[:new]:
            words[place] = vocabulary.coin(int(words[place]), int(stream[rng.integers(len(stream))]))
        for place in places[new : new + again]:
            words[place] = coined[int(rng.integers(len(coined)))]
        coined.extend(words[places[: new + again]].tolist())
        seen += len(words)
        yield " ".join([vocabulary.words[number] for number in words.tolist()])


def vary_vectors(sources: Vectors, others: Vectors, seed: int) -> Vectors:
    """A vector near each of `sources`; float32 of the same shape, rows of length 1."""
    rng = np.random.default_rng([SEED, seed])
    noise = _normalised(rng.standard_normal(sources.shape, dtype=np.float32))
    aside = _normalised(noise + others[rng.integers(len(others), size=len(sources))])
    aside -= np.einsum("nd,nd->n", aside, sources)[:, None] * sources
    cosine = rng.uniform(LEAST_COSINE, LARGEST_COSINE, (len(sources), 1)).astype(np.float32)
    return _normalised(cosine * sources + np.sqrt(1 - cosine**2) * _normalised(aside))


def _changed(words: Numbers, stream: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """The words with some dropped, some inserted and some replaced, and the places of the new ones."""
    chance = rng.random(len(words))
    times = np.ones(len(words), dtype=np.int64)
    times[chance < DROPPED] = 0
    times[chance > 1 - INSERTED] = 2
    times[0] = max(1, times[0])
    changed = np.repeat(words, times)
    new = rng.random(len(changed)) < REPLACED
    second = np.cumsum(times) - 1
    new[second[times == 2]] = True
    fresh = np.flatnonzero(new)
    changed[fresh] = stream[rng.integers(len(stream), size=len(fresh))]
    return changed, fresh


def _coining_rate(stream: Numbers) -> Callable[[int], float]:
    """New words a word after `n` words, dV/dn of Heaps' law fitted to how the vocabulary of `stream` grows."""
    ends = [len(stream) // 8, len(stream) // 4, len(stream) // 2, len(stream)]
    sizes = [len(np.unique(stream[:end])) for end in ends]
    exponent, offset = np.polyfit(np.log(ends), np.log(sizes), 1)
    return lambda n: float(np.exp(offset) * exponent * n ** (exponent - 1))


def heaps(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Words and distinct words after each doubling of the texts, to see how a vocabulary grows."""
    seen: set[str] = set()
    words = 0
    sizes: list[tuple[int, int]] = []
    ends = [len(texts) >> shift for shift in range(6, -1, -1)]
    for start, end in pairwise([0, *ends]):
        for text in texts[start:end]:
            parts = text.split()
            words += len(parts)
            seen.update(parts)
        sizes.append((words, len(seen)))
    return sizes


def _numbers(text: str, vocabulary: Vocabulary) -> Numbers:
    return np.array([vocabulary.number(word) for word in text.split()], dtype=np.int64)


def _normalised(vectors: NDArray[np.floating]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: Vectors = (vectors / lengths).astype(np.float32, copy=False)
    return normalised
