"""Fits and judges the embedding verifier on labelled sets.

    python benchmarks/verifier.py fit   --data DIR --model DIR   # prints the constants of evals/faithfulness.py
    python benchmarks/verifier.py judge --data DIR --model DIR   # prints how well it tells supported from not

`--data` holds one folder a set, each with `faith.jsonl` (`squad_v2_dev`: `qa.jsonl`), `--model` the embedder's
`model.onnx` and `tokenizer.json`. A context is either for fitting or for judging, by its hash. Sets weigh the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from verifier_rows import Row, copied_rows, short_rows

from evals.claims import split_claims
from evals.config import EvalsSettings
from evals.faithfulness import FEATURES, EmbeddingVerifier, Match, match_claims
from evals.metrics import auroc, balanced_accuracy
from evals.run import passages_of
from evals.types import NotScored, VerifierCase
from ingest.types import Embedder, Space, Vectors
from retrieval.embedder import OnnxEmbedder

LABELLED = ("vitaminc_real_test", "fever_symmetric_adversarial", "halueval_qa", "summedits", "wice", "scifact")
MADE: dict[str, Callable[[Sequence[Row], int], list[Row]]] = {"squad_copied": copied_rows, "squad_short": short_rows}
Floats = NDArray[np.float64]


class RememberingEmbedder:
    """An embedder that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self._vectors = embedder, dict[str, Vectors]()

    @property
    def space(self) -> Space:
        return self._embedder.space

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed_query(self, text: str) -> Vectors:
        return self._embedder.embed_query(text)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embedder.embed_documents(new), strict=True))
        return np.stack([self._vectors[text] for text in texts])


def main() -> None:
    arguments = _arguments()
    embedder = OnnxEmbedder(arguments.model, model=arguments.model.name, max_tokens=256, threads=0)
    names = arguments.sets or [*LABELLED, *MADE]
    if arguments.command == "fit":
        result = fit(embedder, arguments.data, names, arguments.limit, arguments.seed)
    else:
        result = judge(embedder, arguments.data, names, arguments.limit, arguments.seed)
    if arguments.json:
        print(json.dumps(result, indent=1))


# --- rows ---


def rows_of(data: Path, name: str, part: str, limit: int, seed: int) -> list[Row]:
    """Up to `limit` rows of one part ("fit" or "judge") of a set, drawn with `seed`."""
    if name in MADE:
        rows = MADE[name](_read(data / "squad_v2_dev" / "qa.jsonl"), seed)
    else:
        rows = _read(data / name / "faith.jsonl")
    chosen = [row for row in rows if _part(row) == part]
    random.Random(seed).shuffle(chosen)
    return chosen[:limit]


def case_of(row: Row) -> VerifierCase:
    context = row["context"] if isinstance(row["context"], list) else [row["context"]]
    question = row.get("question") or ""
    return VerifierCase(str(row["id"]), question, tuple(context), row["answer"], bool(row["label"]))


def _part(row: Row) -> str:
    context = row["context"] if isinstance(row["context"], str) else "\n".join(row["context"])
    digest = hashlib.sha256(row.get("group", context).encode("utf-8", "surrogatepass")).digest()
    return "fit" if digest[0] < 128 else "judge"


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# --- fitting ---


def fit(embedder: Embedder, data: Path, names: Sequence[str], limit: int, seed: int) -> dict[str, Any]:
    features, labels, weights = [], [], []
    for name in names:
        pairs = list(_labelled_claims(embedder, rows_of(data, name, "fit", limit, seed)))
        y = np.array([label for _, label in pairs], dtype=np.float64)
        features.append(np.array([match.features for match, _ in pairs]))
        labels.append(y)
        # Sets weigh the same, and so do the two labels within a set.
        weights.append(np.where(y == 1, 0.5 / y.sum(), 0.5 / (1 - y).sum()) * limit)
        print(f"{name}: {len(pairs)} claims, {int(y.sum())} supported")
    x, y, w = np.concatenate(features), np.concatenate(labels), np.concatenate(weights)
    intercept, coefficients = logistic_regression(x, y, w, l2=10.0)
    print(f"INTERCEPT = {intercept:.3g}")
    print(f"COEFFICIENTS = ({', '.join(f'{c:.3g}' for c in coefficients)})  # {', '.join(FEATURES)}")
    scores = 1 / (1 + np.exp(-(intercept + x @ coefficients)))
    return {
        "intercept": intercept,
        "coefficients": dict(zip(FEATURES, coefficients.tolist(), strict=True)),
        "thresholds": _thresholds(scores, y, w),
    }


def _labelled_claims(embedder: Embedder, rows: Sequence[Row]) -> Iterator[tuple[Match, int]]:
    """Claims whose label is known: all of a supported answer, the only one of an unsupported one, and of an edited
    summary those that the edit changed."""
    for row in rows:
        case = case_of(row)
        claims = split_claims(case.answer)
        original = row.get("original_summary")
        if not case.supported:
            if original:
                claims = [claim for claim in claims if claim.judged not in original]
            elif len(claims) > 1:
                continue
        for match in match_claims(embedder, case.question, claims, passages_of(case)):
            yield match, int(case.supported)


def logistic_regression(x: Floats, y: Floats, weights: Floats, l2: float) -> tuple[float, Floats]:
    """Intercept and coefficients by Newton's method, with an L2 penalty on standardised features (Hastie, Tibshirani
    and Friedman, The Elements of Statistical Learning, 4.4.1)."""
    mean = np.average(x, axis=0, weights=weights)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    deviation[deviation == 0] = 1
    z = np.column_stack([np.ones(len(x)), (x - mean) / deviation])
    penalty = np.diag([0.0] + [l2] * x.shape[1])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(z @ beta)))
        gradient = z.T @ (weights * (y - p)) - penalty @ beta
        step = np.linalg.solve((z * (weights * p * (1 - p))[:, None]).T @ z + penalty, gradient)
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    coefficients = beta[1:] / deviation
    return float(beta[0] - coefficients @ mean), coefficients


def _thresholds(scores: Floats, y: Floats, weights: Floats) -> list[dict[str, float]]:
    """Precision and recall of "supported" at each threshold, sets and labels weighing the same."""
    table = []
    print("supported_at  precision  recall  balanced accuracy")
    for at in np.arange(0.3, 0.81, 0.05):
        said = scores >= at
        true, false = weights[said & (y == 1)].sum(), weights[said & (y == 0)].sum()
        recall, wrong = true / weights[y == 1].sum(), false / weights[y == 0].sum()
        row = {"at": at, "precision": true / (true + false), "recall": recall, "accuracy": (recall + 1 - wrong) / 2}
        table.append({key: round(float(value), 3) for key, value in row.items()})
        print(f"{at:12.2f}  {row['precision']:9.3f}  {recall:6.3f}  {row['accuracy']:8.3f}")
    return table


# --- judging ---


def judge(embedder: Embedder, data: Path, names: Sequence[str], limit: int, seed: int) -> dict[str, Any]:
    print(f"{'AUROC / balanced accuracy':28} {'words':>14} {'embedding':>14} {'verifier':>14} {'n':>5} {'ms/row':>7}")
    sets = {name: _judge_set(embedder, name, rows_of(data, name, "judge", limit, seed)) for name in names}
    methods = ("words", "embedding", "verifier")
    mean = {
        method: {
            metric: float(np.mean([sets[name][method][metric] for name in names])) for metric in ("auroc", "accuracy")
        }
        for method in methods
    }
    print(f"{'mean':28} " + " ".join(f"{mean[m]['auroc']:6.3f} /{mean[m]['accuracy']:6.3f}" for m in methods))
    return {"sets": sets, "mean": mean}


def _judge_set(embedder: Embedder, name: str, rows: Sequence[Row]) -> dict[str, Any]:
    remembering = RememberingEmbedder(embedder)
    verifier = EmbeddingVerifier(remembering, EvalsSettings())
    scores: dict[str, list[float]] = defaultdict(list)
    said: dict[str, list[bool]] = defaultdict(list)
    labels: list[bool] = []
    verdicts: dict[str, int] = defaultdict(int)
    seconds = 0.0
    for row in rows:
        case = case_of(row)
        passages = passages_of(case)
        started = time.perf_counter()
        result = verifier.verify(case.question, case.answer, passages).faithfulness
        seconds += time.perf_counter() - started
        if result.score is None:
            continue
        labels.append(case.supported)
        matches = match_claims(remembering, case.question, split_claims(case.answer), passages)
        cosine, words = (min(match.features[i] for match in matches) for i in (0, 1))
        for method, score, verdict in (
            ("words", words, words >= 0.5),
            ("embedding", cosine, cosine >= 0.5),
            ("verifier", result.score, result.verdict == "supported"),
        ):
            scores[method].append(score)
            said[method].append(verdict)
        verdicts[f"{row.get('label3') or row.get('kind') or int(case.supported)}: {result.verdict}"] += 1
    report: dict[str, Any] = {
        method: {
            "auroc": _number(auroc(scores[method], labels)),
            "accuracy": _number(balanced_accuracy(said[method], labels)),
        }
        for method in scores
    }
    shown = " ".join(f"{report[method]['auroc']:6.3f} /{report[method]['accuracy']:6.3f}" for method in scores)
    print(f"{name:28} {shown} {len(labels):5} {1000 * seconds / len(rows):7.1f}", flush=True)
    counts = {"n": len(rows), "not_scored": len(rows) - len(labels), "ms_per_row": 1000 * seconds / len(rows)}
    return {**report, **counts, "verdicts": dict(sorted(verdicts.items()))}


def _number(value: float | NotScored) -> float:
    if isinstance(value, NotScored):
        raise SystemExit(f"no score: {value.reason}; take more rows")
    return value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("fit", "judge"))
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled sets")
    parser.add_argument("--model", type=Path, required=True, help="folder with model.onnx and tokenizer.json")
    parser.add_argument("--limit", type=int, default=400, help="most rows a set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", nargs="*", choices=[*LABELLED, *MADE], help="default: all")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON at the end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
