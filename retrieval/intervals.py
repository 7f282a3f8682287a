"""When each occurrence was visible, as columns in memory: any snapshot's chunks are one pass over them.

The columns follow the catalog by revisions. They are written to a segment now and then, so that a start needs only read
what came since.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select, union_all

from ingest.catalog import schema
from retrieval.ranking import Ranking
from retrieval.segments import Segment
from retrieval.visibility import Visible

NEVER = np.iinfo(np.int32).max

# One row an occurrence, in the order of their ids, which is that of the revisions that added them.
_COLUMNS = np.dtype(
    [("id", np.int64), ("chunk", np.int32), ("collection", np.int32), ("added", np.int32), ("removed", np.int32)]
)


def _changed() -> Any:
    """Occurrences that came or went after a revision. Built once, since every commit asks it."""
    table = schema.occurrences
    since: Any = bindparam("revision")
    its = select(table.c.occurrence_id, table.c.chunk, table.c.collection, table.c.added_in, table.c.removed_in)
    # Each half by an index of its own. What came and went since is in both.
    return union_all(its.where(table.c.added_in > since), its.where(table.c.removed_in > since))


_CHANGED = _changed()
_KEYS = select(schema.chunks.c.number, schema.chunks.c.chunk_id).where(
    schema.chunks.c.number > bindparam("above"), schema.chunks.c.number <= bindparam("last")
)


class Intervals:
    """Chunk, collection and interval of every kept occurrence, as of `revision`. The caller holds a lock."""

    def __init__(self) -> None:
        self.revision = 0
        self._rows: NDArray[np.void] = np.empty(0, dtype=_COLUMNS)
        self._used = 0
        self._names: list[str] = []

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    def follow(self, connection: Connection, head: int) -> NDArray[np.int64]:
        """Reads what was added or removed up to revision `head`; returns the chunks that this touched."""
        rows = connection.execute(_CHANGED, {"revision": self.revision}).all()
        new = self._append(sorted({self._row(*row) for row in rows if row.added_in > self.revision}))
        gone = self._end([(row.occurrence_id, row.removed_in) for row in rows if row.added_in <= self.revision])
        self.revision = head
        return np.unique(np.concatenate([new, gone]))

    def drop(self, occurrence_ids: Sequence[int]) -> None:
        """Takes occurrences out that were purged."""
        rows = self._rows[: self._used]
        self._rows = rows[~np.isin(rows["id"], np.array(occurrence_ids, dtype=np.int64))]
        self._used = len(self._rows)

    def visible(self, revision: int, collections: Collection[str] | None, size: int) -> Visible:
        """The chunks, all numbered below `size`, that stand at `revision` in one of `collections` (None: in any)."""
        rows = self._rows[: self._used]
        shown = (rows["added"] <= revision) & (revision < rows["removed"])
        if collections is not None:
            numbers = [number for number, name in enumerate(self._names) if name in collections]
            shown &= np.isin(rows["collection"], numbers)
        return Visible.of(rows["chunk"][shown], size)

    # On disk

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `restored` takes, but for the facts."""
        rows = self._rows[: self._used]
        return {name: rows[name] for name in _COLUMNS.names or ()}

    def facts(self) -> dict[str, Any]:
        return {"first": 0, "last": self.revision, "collections": self._names}

    @classmethod
    def restored(cls, segment: Segment) -> Intervals:
        found = cls()
        rows = np.empty(len(segment.arrays["id"]), dtype=_COLUMNS)
        for name in _COLUMNS.names or ():
            rows[name] = segment.arrays[name]
        found._rows, found._used = rows, len(rows)
        found._names = list(segment.facts["collections"])
        found.revision = segment.last
        return found

    def _row(self, occurrence_id: int, chunk: int, collection: str, added: int, removed: int | None) -> tuple[int, ...]:
        if collection not in self._names:
            self._names.append(collection)
        return occurrence_id, chunk, self._names.index(collection), added, NEVER if removed is None else removed

    def _append(self, rows: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
        new = np.array(list(rows), dtype=_COLUMNS)
        needed = self._used + len(new)
        if needed > len(self._rows):
            grown = np.empty(max(needed, self._used + self._used // 8), dtype=_COLUMNS)
            grown[: self._used] = self._rows[: self._used]
            self._rows = grown
        self._rows[self._used : needed] = new
        self._used = needed
        return new["chunk"].astype(np.int64)

    def _end(self, ended: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
        """Sets the end of occurrences; returns their chunks."""
        ids = np.array([occurrence_id for occurrence_id, _ in ended], dtype=np.int64)
        places = np.searchsorted(self._rows["id"][: self._used], ids)
        self._rows["removed"][places] = [removed for _, removed in ended]
        return self._rows["chunk"][places].astype(np.int64)


class ChunkKeys:
    """The first 64 bits of each chunk's id, by chunk number: what equal scores go by. The caller holds a lock."""

    def __init__(self) -> None:
        self._keys = np.zeros(1, dtype=np.uint64)
        self._last = 0

    def follow(self, connection: Connection, last: int) -> None:
        """Reads the keys of chunks up to number `last`."""
        if last > self._last:
            rows = connection.execute(_KEYS, {"above": self._last, "last": last}).all()
            self.put([row.number for row in rows], [row.chunk_id for row in rows], self._last + 1, last)

    def put(self, numbers: Sequence[int], chunk_ids: Sequence[str], first: int, last: int) -> None:
        """Takes the chunks numbered `first` to `last`, unless some before them are missing."""
        if not first <= self._last + 1 <= last:
            return
        keys = self._keys
        if last >= len(keys):
            keys = np.zeros(max(last + 1, len(keys) + len(keys) // 8), dtype=np.uint64)
            keys[: self._last + 1] = self._keys[: self._last + 1]
        keys[list(numbers)] = [int(chunk_id[:16], 16) for chunk_id in chunk_ids]
        self._keys, self._last = keys, last

    def ordered(self, ranking: Ranking, k: int) -> Ranking:
        """The `k` best of a ranking, equal scores by the key."""
        numbers, scores = ranking
        order = np.lexsort((self._keys[numbers], -scores))[:k]
        return numbers[order], scores[order]

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"keys": self._keys[: self._last + 1]}

    @classmethod
    def restored(cls, segment: Segment) -> ChunkKeys:
        found = cls()
        found._keys = np.array(segment.arrays["keys"])
        found._last = len(found._keys) - 1
        return found
