"""LanceDB: one table on disk with vectors and its full-text index, hybrid search with its default fusion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lancedb  # type: ignore[import-not-found,unused-ignore]
import pyarrow as pa  # type: ignore[import-not-found,unused-ignore]
from lancedb.index import FTS, IvfPq  # type: ignore[import-not-found,unused-ignore]
from lancedb.rerankers import RRFReranker  # type: ignore[import-not-found,unused-ignore]

from index_peers.corpus import VectorOf, Vectors
from index_peers.measure import About, Mode, batches, main

# Its documentation: an exact scan serves up to about this many rows, then a vector index is wanted.
EXACT_UP_TO = 100_000
# Its documentation: `optimize` after many changes; what is not indexed yet is scanned.
OPTIMIZE_EVERY = 20


class LanceDB:
    about = About(
        name="lancedb",
        packages=("lancedb", "pyarrow"),
        update=f"merge_insert by id, what is new is scanned; optimize every {OPTIMIZE_EVERY} updates, within the call",
        durable="written to disk without fsync (none seen by strace)",
        note=f"exact vectors up to {EXACT_UP_TO:,} rows, IVF-PQ above",
    )

    def __init__(self, folder: Path) -> None:
        self._database: Any = lancedb.connect(str(folder))
        self._updates = 0
        self._reranker = RRFReranker()

    def load(self, texts: list[str], vectors: Vectors) -> None:
        schema = _batch(0, texts[:1], vectors[:1]).schema

        def parts() -> Iterator[Any]:
            for start, end in batches(len(texts), 10_000):
                yield _batch(start, texts[start:end], vectors[start:end])

        reader = pa.RecordBatchReader.from_batches(schema, parts())
        self._table: Any = self._database.create_table("texts", reader, schema=schema)
        self._table.create_index("text", config=FTS())
        self._table.create_scalar_index("id")
        if len(texts) > EXACT_UP_TO:
            self._table.create_index("vector", config=IvfPq(distance_type="dot"))

    def update(self, number: int, text: str, vector: Vectors) -> None:
        rows = pa.Table.from_batches([_batch(number, [text], vector[None])])
        self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
        self._updates += 1
        if self._updates % OPTIMIZE_EVERY == 0:
            self._table.optimize()

    def search(self, query: str, vector: Vectors, k: int, mode: Mode) -> list[str]:
        if mode == "dense":
            asked = self._table.search(vector, query_type="vector").distance_type("dot")
        elif mode == "lexical":
            asked = self._table.search(query, query_type="fts")
        else:
            asked = self._table.search(query_type="hybrid").vector(vector).text(query).distance_type("dot")
            asked = asked.rerank(self._reranker)
        found: list[str] = asked.select(["text"]).limit(k).to_arrow()["text"].to_pylist()
        return found


def _batch(first: int, texts: list[str], vectors: Vectors) -> Any:
    flat = pa.array(vectors.reshape(-1), pa.float32())
    columns = {
        "id": pa.array(range(first, first + len(texts)), pa.int64()),
        "text": pa.array(texts, pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    return pa.RecordBatch.from_pydict(columns)


def open_peer(folder: Path, vector_of: VectorOf) -> LanceDB:
    return LanceDB(folder)


if __name__ == "__main__":
    main(open_peer)
