"""The hybrid index in memory: both halves over the catalog's chunks, and which chunks a snapshot shows.

A row is a chunk's number in this process, in the order in which chunks were first seen. Both halves hold every chunk of
every kept revision once; what a search sees is a bitmap over rows, computed from the occurrences of the snapshot. So a
commit shows in both halves at once, and any kept revision can be searched.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from ingest import schema, statements
from ingest.catalog import Catalog
from ingest.types import Space, Vectors
from retrieval.dense import FaissIndex
from retrieval.lexical import LexicalIndex
from retrieval.ranking import Ranking, Visible
from retrieval.tokens import Tokenizer

_NEVER = np.iinfo(np.int64).max


class HybridIndex:
    """Follows the catalog's head. All methods may be called from any thread."""

    def __init__(
        self, catalog: Catalog, space: Space, dense: FaissIndex, lexical: LexicalIndex, tokenizer: Tokenizer
    ) -> None:
        self._catalog = catalog
        self._space = space
        self._dense = dense
        self._lexical = lexical
        self._tokenizer = tokenizer
        self._lock = threading.RLock()
        self._revision = 0
        self._chunk_ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._dense_rows = array("q")  # the row behind each vector of the dense half
        self._without_vector: dict[str, int] = {}
        self._occurrences = _Occurrences()
        self._masks: dict[tuple[int, frozenset[str] | None], Visible] = {}

    @property
    def revision(self) -> int:
        """The revision up to which this process has read the catalog."""
        return self._revision

    @property
    def chunks_without_vector(self) -> int:
        """Chunks that only the lexical half can find until they are embedded in this space."""
        return len(self._without_vector)

    def follow(self) -> int:
        """Applies what was committed since the last call and returns the head revision."""
        if self._catalog.head() == self._revision and not self._without_vector:
            return self._revision
        with self._lock, self._catalog.reading() as connection:
            head = connection.execute(select(func.max(schema.revisions.c.revision))).scalar() or 0
            if head > self._revision:
                self._add_chunks(connection)
                self._occurrences.apply(connection, self._revision, self._row_of)
                self._masks.clear()
                self._revision = head
            self._add_late_vectors(connection)
            return head

    def visible(self, revision: int, collections: frozenset[str] | None) -> Visible:
        """A mask over rows: chunks with an occurrence at `revision` in one of `collections` (None: in any)."""
        with self._lock:
            key = (revision, collections)
            mask = self._masks.get(key)
            if mask is None:
                mask = self._occurrences.mask(revision, collections, len(self._chunk_ids))
                if revision == self._revision:
                    self._masks[key] = mask
            return mask

    def search_dense(self, query: Vectors, k: int, visible: Visible) -> Ranking:
        """The `k` visible chunks of largest inner product with `query`, float32 of shape (dimension,)."""
        with self._lock:
            rows = np.array(self._dense_rows, dtype=np.int64)
            shown = np.zeros(len(rows), dtype=np.bool_)
            known = rows < len(visible)  # rows that came in after the mask was made are not visible
            shown[known] = visible[rows[known]]
            positions, scores = self._dense.search(query, k, shown)
        return rows[positions], scores

    def search_lexical(self, query: str, k: int, visible: Visible) -> Ranking:
        """The `k` visible chunks that contain a term of `query` and score best."""
        terms = self._tokenizer.tokenize(query)
        with self._lock:
            return self._lexical.search(terms, k, visible)

    def chunk_ids(self, rows: Iterable[int]) -> list[str]:
        return [self._chunk_ids[row] for row in rows]

    def _add_chunks(self, connection: Connection) -> None:
        """Chunks of occurrences that are new since the revision known here, with terms and vectors."""
        chunks, vectors, occurrences = schema.chunks, schema.vectors, schema.occurrences
        first_seen = (
            select(occurrences.c.chunk_id, func.min(occurrences.c.occurrence_id).label("first"))
            .where(occurrences.c.added_in > self._revision)
            .group_by(occurrences.c.chunk_id)
            .subquery()
        )
        query = (
            select(chunks.c.chunk_id, chunks.c.input, vectors.c.vector)
            .join(first_seen, first_seen.c.chunk_id == chunks.c.chunk_id)
            .outerjoin(
                vectors, (vectors.c.chunk_id == chunks.c.chunk_id) & (vectors.c.space_id == self._space.space_id)
            )
            .order_by(first_seen.c.first)
        )
        new = [row for row in connection.execute(query) if row.chunk_id not in self._row_of]
        for row in new:
            self._row_of[row.chunk_id] = len(self._chunk_ids)
            self._chunk_ids.append(row.chunk_id)
            if row.vector is None:
                self._without_vector[row.chunk_id] = self._row_of[row.chunk_id]
        self._lexical.add([self._tokenizer.tokenize(row.input) for row in new])
        self._add_vectors([(row.chunk_id, row.vector) for row in new if row.vector is not None])

    def _add_late_vectors(self, connection: Connection) -> None:
        """Vectors that came after their chunks, when a new embedder's space is being filled."""
        table = schema.vectors
        waiting = list(self._without_vector)
        for part in statements.parts(waiting):
            query = select(table.c.chunk_id, table.c.vector).where(
                table.c.space_id == self._space.space_id, table.c.chunk_id.in_(part)
            )
            arrived = [(row.chunk_id, row.vector) for row in connection.execute(query)]
            self._add_vectors(arrived)
            for chunk_id, _ in arrived:
                del self._without_vector[chunk_id]

    def _add_vectors(self, stored: Sequence[tuple[str, bytes]]) -> None:
        if not stored:
            return
        self._dense.add(np.stack([np.frombuffer(vector, dtype="<f4") for _, vector in stored]))
        self._dense_rows.extend(self._row_of[chunk_id] for chunk_id, _ in stored)


class _Occurrences:
    """Columns of all kept occurrences: row of the chunk, collection, and the interval of revisions."""

    def __init__(self) -> None:
        self._rows = array("q")
        self._collections = array("q")
        self._added = array("q")
        self._removed = array("q")
        self._number_of: dict[str, int] = {}
        self._position_of: dict[int, int] = {}

    def apply(self, connection: Connection, known: int, row_of: dict[str, int]) -> None:
        """Reads what was added or removed after revision `known`."""
        table = schema.occurrences
        columns = (table.c.occurrence_id, table.c.chunk_id, table.c.collection, table.c.added_in, table.c.removed_in)
        for row in connection.execute(select(*columns).where(table.c.added_in > known).order_by(table.c.occurrence_id)):
            self._append(row, row_of[row.chunk_id])
        ended = select(table.c.occurrence_id, table.c.removed_in).where(
            table.c.removed_in > known, table.c.added_in <= known
        )
        for occurrence_id, removed_in in connection.execute(ended):
            self._removed[self._position_of[occurrence_id]] = removed_in

    def mask(self, revision: int, collections: frozenset[str] | None, n_rows: int) -> Visible:
        added, removed = np.frombuffer(self._added, np.int64), np.frombuffer(self._removed, np.int64)
        shown = (added <= revision) & (revision < removed)
        if collections is not None:
            numbers = [self._number_of[name] for name in collections if name in self._number_of]
            shown &= np.isin(np.frombuffer(self._collections, np.int64), numbers)
        mask = np.zeros(n_rows, dtype=np.bool_)
        mask[np.frombuffer(self._rows, np.int64)[shown]] = True
        return mask

    def _append(self, row: Any, chunk_row: int) -> None:
        self._position_of[row.occurrence_id] = len(self._rows)
        self._rows.append(chunk_row)
        self._collections.append(self._number_of.setdefault(row.collection, len(self._number_of)))
        self._added.append(row.added_in)
        self._removed.append(_NEVER if row.removed_in is None else row.removed_in)
