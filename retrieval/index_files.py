"""The folder of the indexes: who may write in it, and what is kept there beside the halves' segments.

index/lock                  flock'd by the one process that writes
index/lexical-…/            segments of the lexical half, by what decides its terms
index/dense-…/              segments of the dense half, by space
index/occurrences/          when each occurrence was visible, and the keys of the chunks
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ingest.catalog.marks import NO_MARK, Mark
from retrieval.intervals import ChunkKeys, Intervals
from retrieval.segments import SegmentStore, drop_segments, remove_leftovers

# Rows that are worth writing the columns anew, and their share of all rows.
_MANY_NEW_ROWS = 20_000
_SHARE_OF_NEW_ROWS = 0.25


class IndexFiles:
    """Where the derived indexes of one catalog are kept. Deleting the folder costs time, never data."""

    def __init__(self, folder: Path, catalog_id: str, known: Callable[[Mark], bool] = lambda mark: True) -> None:
        """`known` tells whether the catalog has a mark: files that were made at another one are foreign."""
        self.folder = folder
        self.known = known
        self.read = NO_MARK
        self._catalog_id = catalog_id
        self._lock: IO[str] | None = None
        self._stores: dict[str, SegmentStore] = {}
        self._occurrences = self.store("occurrences", {})
        self._kept: tuple[int, int, int] | None = None  # rows, revision and mark of the last purge when last written

    def store(self, name: str, identity: Mapping[str, str | int]) -> SegmentStore:
        """The store of one part; `identity` names all that decides what it holds, beside the catalog."""
        made = SegmentStore(self.folder / name, {"catalog": self._catalog_id, "part": name, **identity}, self)
        self._stores[name] = made
        return made

    @property
    def locked(self) -> bool:
        """Whether this process may write."""
        return self._lock is not None

    def is_current(self) -> bool:
        """Whether no other process has written since this one opened its parts."""
        return all(store.is_current() for store in self._stores.values())

    def try_lock(self) -> bool:
        """Whether this process may write from now on. The kernel frees the lock when the process ends.

        Whoever gets the lock takes away what a writer before it left unfinished.
        """
        if self._lock is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.folder / "lock", "w")  # noqa: SIM115 (kept open as long as the lock is held)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._lock = file
            try:
                for folder in self.folder.iterdir():
                    if folder.is_dir():
                        remove_leftovers(folder)
            except OSError:
                self.release()
                raise
        return True

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def forget_in_other_spaces(self, chunks: NDArray[np.int64], space_id: str) -> None:
        """Takes what holds one of the chunks out of the dense halves of all spaces but this one.

        When such a space is served again, it is filled from the catalog.
        """
        for folder in self.folder.glob("dense-*"):
            if folder.name != f"dense-{space_id}":
                drop_segments(folder, lambda arrays: bool(np.isin(arrays["chunks"], chunks).any()))

    def remove_spaces_but(self, space_ids: Collection[str]) -> None:
        """Takes the dense halves of spaces away that the catalog has no more. For the one process that writes."""
        for folder in self.folder.glob("dense-*"):
            if folder.name.removeprefix("dense-") not in space_ids:
                shutil.rmtree(folder)

    def saw(self, mark: Mark) -> None:
        """What is in memory from now on was read from a catalog that has this mark: files that hold it say so."""
        self.read = max(self.read, mark)

    def load(self) -> tuple[Intervals, ChunkKeys, int]:
        """Intervals, keys, and the mark of the last purge when they were written; empty ones where none are sound."""
        segments = self._occurrences.open()
        if not segments:
            return Intervals(), ChunkKeys(), 0
        segment = segments[0]
        intervals, keys = Intervals.restored(segment), ChunkKeys.restored(segment)
        purged = int(segment.facts["purged"])
        self._kept = (len(intervals), intervals.revision, purged)
        return intervals, keys, purged

    def keep(self, intervals: Intervals, keys: ChunkKeys, purged: int, *, now: bool = False) -> bool:
        """Writes both when enough has changed since they were written, or anything at all with `now`."""
        state = (len(intervals), intervals.revision, purged)
        if self._kept is not None and state == self._kept:
            return False
        rows, _, purged_kept = self._kept or (0, 0, 0)
        new = len(intervals) - rows
        due = new >= _MANY_NEW_ROWS or new >= _SHARE_OF_NEW_ROWS * max(rows, 1_000) or purged != purged_kept
        if not (now or due):
            return False
        facts = {**intervals.facts(), "purged": purged}
        segment = self._occurrences.write({**intervals.arrays(), **keys.arrays()}, facts)
        self._occurrences.commit([segment])
        self._kept = state
        return True

    def problems(self) -> list[str]:
        """What was found wrong when the parts were opened, and is built anew."""
        return [problem for store in self._stores.values() for problem in store.problems]
