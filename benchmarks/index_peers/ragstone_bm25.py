"""Ragstone's own lexical index, by itself. All that this benchmark asks of it stands here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index_peers.measure_bm25 import Engine, Terms, main
from retrieval.bm25 import Bm25Index, warm_up
from retrieval.visibility import Visible

ADDED_TOGETHER = 10_000


class Lexical:
    """k1 = 1.5, b = 0.75. An update appends a chunk and hides the old one; chunk numbers are rows + 1."""

    packages: Sequence[str] = ("ragstone", "numba", "numpy")
    note = "an update appends a chunk and hides the old one"

    def build(self, rows: list[Terms]) -> None:
        warm_up()
        self._index = Bm25Index(None)
        for start in range(0, len(rows), ADDED_TOGETHER):
            part = rows[start : start + ADDED_TOGETHER]
            numbers = np.arange(start + 1, start + len(part) + 1)
            self._index.add(numbers, part, start + 1, start + len(part))
        self._visible = Visible.of(np.arange(1, len(rows) + 1), len(rows) + 1)
        self._newer = dict[int, int]()  # what replaced, by the row that did

    def search(self, query: Terms, k: int) -> list[int]:
        numbers, _ = self._index.search(query, k, self._visible)
        found: list[int] = (numbers[:k] - 1).tolist()
        return found

    def search_all(self, queries: list[Terms], k: int) -> None:
        self._index.search_each(queries, k, self._visible)

    def update(self, row: int, terms: Terms) -> None:
        number = self._index.last + 1
        self._newer[number - 1] = row
        self._index.add(np.array([number]), [terms], number, number)
        self._visible = self._visible.with_changes({row + 1: False, number: True})

    def found_rows(self, rows: list[int]) -> list[int]:
        return [self._newer.get(row, row) for row in rows]


def open_engine(name: str, folder: Path) -> Engine:
    return Lexical()


if __name__ == "__main__":
    main(open_engine)
