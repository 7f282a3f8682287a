"""How an ONNX embedder is best run on this machine: texts a second, and whether vectors depend on the batch.

    python benchmarks/embedder.py --model-folder FOLDER [--threads N] [--repeats N] [--json]

FOLDER holds model.onnx and tokenizer.json. The texts are the 200 passages of tests/retrieval/minilm_reference, cut at
256 tokens. Each way of running is compared with the vectors of texts that were embedded alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.embedder import OnnxEmbedder

PASSAGES = Path(__file__).parent.parent / "tests" / "retrieval" / "minilm_reference" / "passages.jsonl"
MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Row:
    """One way of running, measured. Differences are to the vectors of texts that were embedded alone."""

    way: str
    texts_per_s: float
    max_difference: float
    min_cosine: float
    identical: int  # vectors equal in every bit


class BatchedModel:
    """The same model run in batches, padded to the longest of the batch, by one session of `threads` threads."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def embed(self, texts: list[str], batches: Callable[[NDArray[np.int64]], Iterable[NDArray[np.int64]]]) -> Vectors:
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        lengths = np.array([len(ids) for ids in token_ids], dtype=np.int64)
        pieces = [(batch, self._run([token_ids[row] for row in batch])) for batch in batches(lengths)]
        vectors = np.empty((len(texts), pieces[0][1].shape[1]), dtype=np.float32)
        for batch, embedded in pieces:
            vectors[batch] = embedded
        return vectors

    def _run(self, token_ids: list[list[int]]) -> Vectors:
        longest = max(len(ids) for ids in token_ids)
        ids = np.array([row + [0] * (longest - len(row)) for row in token_ids], dtype=np.int64)
        mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in token_ids], dtype=np.int64)
        available = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: available[name] for name in self._inputs})[0]
        # Pooled as OnnxEmbedder pools, to the bit: what differs is then the model's doing.
        pooled = [states[: len(row)].mean(axis=0) for states, row in zip(hidden, token_ids, strict=True)]
        return np.stack([vector / float(np.linalg.norm(vector)) for vector in pooled])


def in_order(size: int) -> Callable[[NDArray[np.int64]], Iterable[NDArray[np.int64]]]:
    """Batches of `size` in the order of the texts."""
    return lambda lengths: np.split(np.arange(len(lengths)), range(size, len(lengths), size))


def by_length(size: int) -> Callable[[NDArray[np.int64]], Iterable[NDArray[np.int64]]]:
    """Batches of `size` in the order of their lengths."""
    return lambda lengths: np.split(np.argsort(lengths, kind="stable"), range(size, len(lengths), size))


def of_equal_length(size: int) -> Callable[[NDArray[np.int64]], Iterable[NDArray[np.int64]]]:
    """Batches of at most `size` texts of the same length, so that nothing is padded."""

    def batches(lengths: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            yield from np.split(rows, range(size, len(rows), size))

    return batches


def measure(folder: Path, threads: int, repeats: int) -> list[Row]:
    texts = [json.loads(line)["text"] for line in PASSAGES.read_text(encoding="utf-8").splitlines()]
    embedder = OnnxEmbedder(folder, model=str(folder), max_tokens=MAX_TOKENS, threads=threads)
    single = OnnxEmbedder(folder, model=str(folder), max_tokens=MAX_TOKENS, threads=1)
    batched = BatchedModel(folder, threads)
    ways: dict[str, Callable[[], Vectors]] = {
        f"alone, {threads} at a time (OnnxEmbedder)": lambda: embedder.embed_documents(texts),
        "alone, 1 at a time (OnnxEmbedder)": lambda: single.embed_documents(texts),
        f"alone, {threads} threads a run": lambda: batched.embed(texts, in_order(1)),
        "equal lengths, at most 16": lambda: batched.embed(texts, of_equal_length(16)),
        "by length, padded, 8": lambda: batched.embed(texts, by_length(8)),
        "by length, padded, 32": lambda: batched.embed(texts, by_length(32)),
        "in order, padded, 32": lambda: batched.embed(texts, in_order(32)),
    }
    alone = np.stack([embedder.embed_documents([text])[0] for text in texts])
    rows = []
    for way, run in ways.items():
        seconds = float("inf")
        for _ in range(repeats):  # the fastest run is the one least disturbed by others
            start = time.perf_counter()
            vectors = run()
            seconds = min(seconds, time.perf_counter() - start)
        rows.append(
            Row(
                way=way,
                texts_per_s=round(len(texts) / seconds, 1),
                max_difference=float(np.abs(vectors - alone).max()),
                min_cosine=float((vectors * alone).sum(axis=1).min()),
                identical=int((vectors == alone).all(axis=1).sum()),
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3, choices=range(1, 100), metavar="N")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(arguments.model_folder, arguments.threads, arguments.repeats)
    if arguments.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2)
        print()
        return
    print(f"{'way':<40} {'texts/s':>8} {'max |diff.|':>12} {'min cosine':>11} {'identical':>10}")
    for row in rows:
        numbers = f"{row.texts_per_s:>8.1f} {row.max_difference:>12.1e} {row.min_cosine:>11.6f} {row.identical:>10}"
        print(f"{row.way:<40} {numbers}")


if __name__ == "__main__":
    main()
