"""How well chunks are found that were cut in different ways, and how much has to be read until the answer is there.

    python benchmarks/chunking.py --data DIR --cache DIR [--model-folder FOLDER] [--sets NAME ...]
                                  [--strategies NAME ...] [--judge-at HALF]

Documents and questions are those of benchmarks/chunking_sets.py, strategies those of benchmarks/chunking_strategies.py.
Each set is a corpus of its own. Dense is exact cosines, lexical our BM25, hybrid our fusion of the best 100 of both.

nDCG@10 and recall@10 go by places that answer: one counts where the first passage stands that has it, once. A larger
passage holds more, so both favour large ones. At equal cost: the share of the places within the first 500 and 1,000
tokens of passages (the last one cut there), heading paths and repeated headers counted.

Differences to the first strategy come with the 95 % interval of a paired bootstrap over questions. DIR of `--cache`
keeps vectors by the hash of what was embedded, and the scores, so that it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from chunking_sets import SETS, Question, Set
from chunking_strategies import STRATEGIES, Piece
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.bm25 import Bm25Index
from retrieval.embedder import OnnxEmbedder
from retrieval.fusion import convex
from retrieval.ranking import Ranking, best
from retrieval.tokens import Tokenizer
from retrieval.visibility import Visible

MODEL = "~/.local/share/ragstone/models/all-MiniLM-L6-v2-int8"
CANDIDATES = 100
K = 10
COSTS = (500, 1000)
METRICS = ("nDCG@10", "recall@10", *(f"recall in {cost}" for cost in COSTS))
HALVES = ("dense", "lexical", "hybrid")
RESAMPLES = 2000
BATCH = 64
SEED = 7

Scores = dict[str, list[list[float]]]  # by half: a row a question, a column a metric


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model-folder", type=Path, default=Path(MODEL).expanduser())
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--judge-at", choices=HALVES, default="hybrid", help="half that differences are shown of")
    options = parser.parse_args(arguments)
    options.cache.mkdir(parents=True, exist_ok=True)
    embedder = _Remembering(options.model_folder, options.cache / "vectors.sqlite")
    for name in options.sets:
        corpus = SETS[name](options.data)
        scores = {strategy: _kept(options.cache, name, strategy, corpus, embedder) for strategy in options.strategies}
        print(f"\n## {name}: {len(corpus.documents)} documents, {len(corpus.questions)} questions\n", flush=True)
        for line in table(scores, options.judge_at):
            print(line, flush=True)
    return 0


class _Remembering:
    """An embedder that asks its model for nothing twice."""

    def __init__(self, folder: Path, file: Path) -> None:
        from tokenizers import Tokenizer as Tokens

        self.tokenizer: Any = Tokens.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self._embedder = OnnxEmbedder(folder, model=folder.name, max_tokens=256, threads=1)
        self._database = sqlite3.connect(file)
        self._database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        self._model = self._embedder.space.space_id.encode()

    def count(self, text: str) -> int:
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def embed(self, texts: Sequence[str]) -> Vectors:
        keys = [hashlib.sha256(self._model + text.encode()).digest() for text in texts]
        lacking = [i for i, key in enumerate(keys) if self._vector(key) is None]
        for first in range(0, len(lacking), BATCH):
            part = lacking[first : first + BATCH]
            vectors = self._embedder.embed_documents([texts[i] for i in part])
            rows = [(keys[i], vector.tobytes()) for i, vector in zip(part, vectors, strict=True)]
            with self._database:
                self._database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        return np.stack([np.frombuffer(self._vector(key) or b"", np.float32) for key in keys])

    def _vector(self, key: bytes) -> bytes | None:
        found = self._database.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if found is None else bytes(found[0])


def _kept(cache: Path, name: str, strategy: str, corpus: Set, embedder: _Remembering) -> Scores:
    """The scores of one strategy on one set, made or read; what is cut in another way is scored anew."""
    pieces = [
        (number, piece)
        for number, document in enumerate(corpus.documents)
        for piece in STRATEGIES[strategy](document, embedder.tokenizer)
    ]
    what = repr((pieces, corpus.questions, METRICS, CANDIDATES))
    file = cache / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.json"
    if file.is_file():
        return dict(json.loads(file.read_text()))
    scores = score(pieces, corpus.questions, embedder)
    file.write_text(json.dumps(scores))
    print(f"{name}: {strategy}: {len(pieces)} pieces", file=sys.stderr, flush=True)
    return scores


def score(pieces: Sequence[tuple[int, Piece]], questions: Sequence[Question], embedder: _Remembering) -> Scores:
    """All metrics of all questions. Pieces come with the number of their document."""
    inputs = [piece.input for _, piece in pieces]
    tokens = [embedder.count(text) for text in inputs]
    vectors = embedder.embed(inputs)
    tokenizer = Tokenizer("english")
    lexical = Bm25Index(None)
    numbers = np.arange(1, len(pieces) + 1)
    lexical.add(numbers, [tokenizer.tokenize(text) for text in inputs], 1, len(pieces))
    visible = Visible.of(numbers, len(pieces) + 1)
    asked = embedder.embed([question.text for question in questions])
    scores: Scores = {half: [] for half in HALVES}
    for question, vector in zip(questions, asked, strict=True):
        dense = best(numbers, vectors @ vector, CANDIDATES)
        words = _first(lexical.search(tokenizer.tokenize(question.text), CANDIDATES, visible))
        for half, ranking in zip(HALVES, (dense, words, convex(dense, words, 0.5)), strict=True):
            ranked = [pieces[number - 1] + (tokens[number - 1],) for number in ranking[0].tolist()]
            scores[half].append(measures(question, ranked))
    return scores


def _first(ranking: Ranking) -> Ranking:
    return ranking[0][:CANDIDATES], ranking[1][:CANDIDATES]


def measures(question: Question, ranked: Sequence[tuple[int, Piece, int]]) -> list[float]:
    """The metrics, in order, of passages as (document, piece, tokens), best first; means over the question's places."""
    ranks = [_rank(question, place, ranked) for place in question.places]
    gains = [1 / math.log2(1 + rank) if rank <= K else 0.0 for rank in ranks]
    within = [float(rank <= K) for rank in ranks]
    read = [[_read(question, place, ranked, cost) for place in question.places] for cost in COSTS]
    return [float(np.mean(values)) for values in (gains, within, *read)]


def _rank(question: Question, place: tuple[int, int], ranked: Sequence[tuple[int, Piece, int]]) -> float:
    """Of the first passage that has the place, from 1."""
    wanted = question.share * (place[1] - place[0])
    for rank, (document, piece, _) in enumerate(ranked, start=1):
        shared = min(piece.end, place[1]) - max(piece.start, place[0])
        if document == question.document and shared >= wanted:
            return rank
    return math.inf


def _read(
    question: Question, place: tuple[int, int], ranked: Sequence[tuple[int, Piece, int]], tokens_left: int
) -> float:
    """Whether the place stands in the first so many tokens, several passages taken together."""
    seen: NDArray[np.bool_] = np.zeros(place[1] - place[0], dtype=np.bool_)
    for document, piece, tokens in ranked:
        shown = min(1.0, tokens_left / max(tokens, 1))
        if document == question.document:
            # What stands before the text in the input is read first.
            before = 1 - (piece.end - piece.start) / max(len(piece.input), 1)
            share = max(0.0, shown - before) / max(1e-9, 1 - before)
            end = piece.start + int(share * (piece.end - piece.start))
            seen[max(0, piece.start - place[0]) : max(0, end - place[0])] = True
        tokens_left -= tokens
        if tokens_left <= 0:
            break
    return float(seen.mean() >= question.share)


def table(scores: dict[str, Scores], shown: str) -> list[str]:
    """Means of all halves, and of one the differences to the first strategy with their intervals."""
    first = next(iter(scores))
    heads = [f"{metric} (d / l / h)" for metric in METRICS[:2]] + [f"{metric} ({shown})" for metric in METRICS[2:]]
    heads += [f"Δ {metric}" for metric in (METRICS[0], *METRICS[2:])]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, its in scores.items():
        means = {half: np.mean(its[half], axis=0) for half in HALVES}
        cells = [" / ".join(f"{means[half][column]:.3f}" for half in HALVES) for column in range(2)]
        cells += [f"{means[shown][column]:.3f}" for column in range(2, len(METRICS))]
        for column in (0, *range(2, len(METRICS))):
            differences = np.array(its[shown])[:, column] - np.array(scores[first][shown])[:, column]
            cells.append("" if name == first else interval(differences))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def interval(differences: NDArray[np.float64]) -> str:
    """The mean with its 95 % interval, by resampling questions."""
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(differences), (RESAMPLES, len(differences)))
    low, high = np.percentile(differences[drawn].mean(axis=1), [2.5, 97.5])
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    raise SystemExit(main())
