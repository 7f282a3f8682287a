"""BM25 engines of others: bm25s by numpy and by numba, rank-bm25, tantivy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from index_peers.measure_bm25 import Engine, Terms, main


class Bm25s:
    """bm25s, method `lucene`, k1 = 1.5, b = 0.75. It can't be updated: each update builds it anew."""

    packages: Sequence[str] = ("bm25s", "numpy", "numba")
    note = "built anew at each update"

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def build(self, rows: list[Terms]) -> None:
        import bm25s  # type: ignore[import-untyped,unused-ignore]

        self._rows = rows
        self._index: Any = bm25s.BM25(method="lucene", backend=self._backend)
        self._index.index(rows, show_progress=False)

    def search(self, query: Terms, k: int) -> list[int]:
        rows, _ = self._index.retrieve([query], k=k, show_progress=False)
        found: list[int] = rows[0].tolist()
        return found

    def search_all(self, queries: list[Terms], k: int) -> None:
        self._index.retrieve(queries, k=k, show_progress=False, n_threads=1)

    def update(self, row: int, terms: Terms) -> None:
        self._rows[row] = terms
        self.build(self._rows)

    def found_rows(self, rows: list[int]) -> list[int]:
        return rows


class RankBm25:
    """rank-bm25, BM25Okapi, k1 = 1.5, b = 0.75. It can't be updated: each update builds it anew."""

    packages: Sequence[str] = ("rank-bm25", "numpy")
    note = "built anew at each update"

    def build(self, rows: list[Terms]) -> None:
        from rank_bm25 import BM25Okapi

        self._rows = rows
        self._index: Any = BM25Okapi(rows)
        self._numbers = list(range(len(rows)))

    def search(self, query: Terms, k: int) -> list[int]:
        found: list[int] = self._index.get_top_n(query, self._numbers, n=k)
        return found

    def search_all(self, queries: list[Terms], k: int) -> None:
        raise NotImplementedError

    def update(self, row: int, terms: Terms) -> None:
        self._rows[row] = terms
        self.build(self._rows)

    def found_rows(self, rows: list[int]) -> list[int]:
        return rows


class Tantivy:
    """tantivy on disk, terms as they are (its whitespace tokenizer), k1 = 1.2, b = 0.75 (fixed), no positions kept."""

    packages: Sequence[str] = ("tantivy",)
    note = "k1 = 1.2; an update is a delete, an add, a commit (fsync) and a reload"

    def __init__(self, folder: Path) -> None:
        import tantivy  # type: ignore[import-not-found,unused-ignore]

        self._tantivy: Any = tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("row", stored=True, indexed=True)
        builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder))

    def build(self, rows: list[Terms]) -> None:
        self._writer = self._index.writer(256_000_000, 1)
        for row, terms in enumerate(rows):
            self._writer.add_document(self._tantivy.Document(row=row, terms=" ".join(terms)))
        self._writer.commit()
        self._reload()

    def search(self, query: Terms, k: int) -> list[int]:
        should = self._tantivy.Occur.Should
        words = [
            (should, self._tantivy.Query.term_query(self._schema, "terms", term, index_option="freq")) for term in query
        ]
        hits = self._searcher.search(self._tantivy.Query.boolean_query(words), k, count=False).hits
        # Fetching what was stored is part of an answer: the address alone names no row.
        return [self._searcher.doc(address)["row"][0] for _, address in hits]

    def search_all(self, queries: list[Terms], k: int) -> None:
        raise NotImplementedError

    def update(self, row: int, terms: Terms) -> None:
        self._writer.delete_documents_by_term("row", row)
        self._writer.add_document(self._tantivy.Document(row=row, terms=" ".join(terms)))
        self._writer.commit()
        self._reload()

    def found_rows(self, rows: list[int]) -> list[int]:
        return rows

    def _reload(self) -> None:
        self._index.reload()
        self._searcher = self._index.searcher()


def open_engine(name: str, folder: Path) -> Engine:
    if name == "tantivy":
        return Tantivy(folder)
    return RankBm25() if name == "rank-bm25" else Bm25s(name.removeprefix("bm25s-"))


if __name__ == "__main__":
    main(open_engine)
