"""The learned half: how much the wording of each sentence is that of prompts, by logistic regression.

Features are the sentence's one-, two- and three-word sequences, hashed (K. Weinberger et al., "Feature hashing for
large scale multitask learning", 2009) and weighted equally, with length 1 a sentence. The weights are a file of int8
beside this module, trained by benchmarks/train_screening.py; docs/experiments.md has what they bring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

WEIGHTS_FILE = Path(__file__).with_name("wording.npz")
BITS = 16  # of a feature's number
_TOKEN = re.compile(r"[^\W\d_]{1,40}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_MIN_WORDS = 12  # shorter sentences are taken with the next
_MAX_TOKENS = 100
_FEW_WORDS = 8  # different ones, each said more than three times
_MOST_REPEATED = 3
# Odd constants of xxHash64, to mix the hashes of neighbours.
_MIX = (np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F))

Features = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences of a text with their features: those of sentence i are `features[first[i]:first[i + 1]]`."""

    spans: NDArray[np.int64]  # shape (sentences, 2): start and end in the text
    features: Features
    first: NDArray[np.int64]  # shape (sentences + 1,)


@dataclass(frozen=True, slots=True)
class Weights:
    """`values` has a weight for each hashed feature, as int8 times `scale`."""

    values: NDArray[np.int8]
    scale: float
    bias: float


def score(sentences: Sentences, weights: Weights) -> NDArray[np.float64]:
    """Log odds of each sentence, shape (sentences,)."""
    counts = np.diff(sentences.first)
    if not len(counts):
        return np.empty(0)
    sums = np.add.reduceat(weights.values[sentences.features].astype(np.float64), sentences.first[:-1])
    return sums * weights.scale / np.sqrt(counts) + weights.bias


def sentences(folded: str) -> Sentences:
    """Of folded text (see `folding`). Very long ones are cut, short ones are joined to the next."""
    tokens: list[int] = []
    spans: list[tuple[int, int]] = []
    lengths: list[int] = []
    for start, end in _pieces(folded):
        hashed = [(_hash(match[0]), match.start(), match.end()) for match in _TOKEN.finditer(folded, start, end)]
        for cut in range(0, len(hashed), _MAX_TOKENS):
            part = hashed[cut : cut + _MAX_TOKENS]
            tokens.extend(token for token, _, _ in part)
            spans.append((part[0][1], part[-1][2]))
            lengths.append(len(part))
    return _with_features(np.array(tokens, dtype=np.uint64), np.array(lengths, dtype=np.int64), spans)


def repeats_itself(sentence: str) -> bool:
    """Whether a sentence says very few words again and again: its features, which are few too, tell nothing."""
    words = _TOKEN.findall(sentence)
    distinct = len(set(words))
    return distinct < _FEW_WORDS and distinct * _MOST_REPEATED < len(words)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans of sentences, joined while they are short."""
    begin = position = words = 0
    for match in _SENTENCE_END.finditer(text):
        more = len(text[position : match.start()].split())
        if words and words + more > _MIN_WORDS:
            yield begin, position
            begin, words = position, 0
        words += more
        position = match.end()
    more = len(text[position:].split())
    if words and words + more > _MIN_WORDS:
        yield begin, position
        begin = position
    if begin < len(text):
        yield begin, len(text)


def _with_features(tokens: NDArray[np.uint64], lengths: NDArray[np.int64], spans: list[tuple[int, int]]) -> Sentences:
    """Sequences of one, two and three words, none across sentences."""
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    pairs = tokens[:-1] * _MIX[0] + tokens[1:] if len(tokens) > 1 else tokens[:0]
    triples = pairs[:-1] * _MIX[1] + tokens[2:] if len(tokens) > 2 else tokens[:0]
    within_pair = sentence[:-1] == sentence[1:]
    within_triple = sentence[:-2] == sentence[2:]
    owners = np.concatenate([sentence, sentence[: len(pairs)][within_pair], sentence[: len(triples)][within_triple]])
    hashed = np.concatenate([tokens, pairs[within_pair], triples[within_triple[: len(triples)]]])
    order = np.argsort(owners, kind="stable")
    numbers = ((hashed[order] * _MIX[0]) >> np.uint64(64 - BITS)).astype(np.int64)
    first = np.searchsorted(owners[order], np.arange(len(lengths) + 1))
    return Sentences(np.array(spans, dtype=np.int64).reshape(-1, 2), numbers, first.astype(np.int64))


def _hash(token: str) -> int:
    return xxhash.xxh3_64_intdigest(token.encode())


@cache
def trained() -> Weights:
    """The weights that come with Ragstone."""
    with np.load(WEIGHTS_FILE, allow_pickle=False) as file:
        return Weights(file["values"], float(file["scale"]), float(file["bias"]))
