"""txtai: a hybrid index with content in its SQLite database, vectors from outside."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from txtai import Embeddings  # type: ignore[import-not-found,unused-ignore]

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, Mode, main

# Weight of the dense half.
WEIGHTS = {"hybrid": 0.5, "dense": 1.0, "lexical": 0.0}


class Txtai:
    about = About(
        name="txtai",
        packages=("txtai", "faiss-cpu"),
        update="upsert",
        durable="memory and temporary files, until all is saved anew",
        note="one caller at a time, as its database's cursor fails for two; dense half approximate above 5,000",
    )

    def __init__(self, folder: Path, vector_of: VectorOf) -> None:
        self._folder = folder
        self._vector_of = vector_of
        self._lock = threading.Lock()

        def transform(texts: Sequence[str]) -> Vectors:
            return np.stack([vector_of(text) for text in texts])

        self._embeddings: Any = Embeddings(method="external", transform=transform, hybrid=True, content=True)

    def load(self, texts: list[str], vectors: Vectors) -> None:
        self._embeddings.index((str(number), text, None) for number, text in enumerate(texts))
        # Saved once, so that there are bytes to count; the function can't be saved and is loaded with the model.
        self._embeddings.config.pop("transform", None)
        self._embeddings.save(str(self._folder / "index"))

    def update(self, number: int, text: str, vector: Vectors) -> None:
        self._embeddings.upsert([(str(number), text, None)])

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        self._vector_of.remember(query, vector)
        with self._lock:
            found_all = self._embeddings.search(query, k, weights=WEIGHTS[mode])  # both halves are asked in every mode
        return [found["text"] for found in found_all]


def open_peer(folder: Path, vector_of: VectorOf) -> Txtai:
    return Txtai(folder, vector_of)


if __name__ == "__main__":
    main(open_peer)
