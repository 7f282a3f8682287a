"""The index and the embedder of the space in use, which can change while the service runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from ingest.catalog import facts
from ingest.catalog.catalog import Catalog
from ingest.catalog.marks import NO_MARK
from ingest.disk import writing_to
from ingest.errors import CatalogUnavailable, IngestError
from ingest.types import Embedder
from retrieval.errors import AnotherHistory, RetrievalError
from retrieval.index_files import IndexFiles
from retrieval.snapshots import HybridIndex

log = logging.getLogger(__name__)

# How long to wait before trying again to open a space that could not be opened.
_RETRY_S = 30.0
# How long erasing waits for another process to let go of the files.
_PATIENCE_S = 30.0
_PAUSE_S = 0.1


@dataclass(frozen=True)
class Serving:
    """An index and the embedder of its space: vectors of a query are compared with those of the same space only."""

    index: HybridIndex
    build: Callable[[], Embedder]

    @cached_property
    def embedder(self) -> Embedder:
        """Built when a query needs it: to erase, to purge and to find words needs none. Raises what `build` raises."""
        return self.build()

    @property
    def space_id(self) -> str:
        return self.index.space.space_id


class LiveIndex:
    """Serves the space in use. While another one is being opened, all searches go on in the one before."""

    def __init__(
        self, catalog: Catalog, open_space: Callable[[str | None], Serving], files: IndexFiles | None = None
    ) -> None:
        """`open_space` opens the index of a space by its id; None: of the one in use."""
        self._catalog = catalog
        self._open_space = open_space
        self._files = files
        self._opening = threading.Lock()
        self._forgotten = self._times_forgotten()
        self._serving = open_space(None)
        self._not_before = 0.0
        self.problem: str | None = None  # why the space in use is not the one that is served, while it is not

    @property
    def serving(self) -> Serving:
        """What serves now, without a look at the catalog."""
        return self._serving

    def followed(self, connection: Connection | None = None) -> tuple[int, Serving]:
        """The head revision, as `connection` sees it or as it is now, and what serves it."""
        serving = self._serving
        try:
            head, in_use = serving.index.follow(connection)
        except AnotherHistory as error:
            log.warning("%s, but another one, such as an older copy: the index is made anew", error)
            serving = self._made_anew(serving)
            head, in_use = serving.index.follow(connection)
        if in_use is not None and in_use != serving.space_id:
            self._change_to(in_use)
            if self._serving is not serving:
                serving = self._serving
                head, _ = serving.index.follow(connection)
        return head, serving

    def keep_up(self) -> None:
        """Takes up what was committed, and opens the files anew where another process writes them.

        That is when much of what they hold is in this one's memory, or when content was taken out of them for good,
        which stands on the disk as long as somebody has the files before open.
        """
        self.followed()
        if self._files is None:
            return
        with self._opening:
            forgotten = self._times_forgotten()
            due = forgotten != self._forgotten or self._serving.index.much_unwritten
            if due and not self._files.locked and not self._files.is_current():
                self._open(self._serving.space_id)
                self._forgotten = forgotten

    def maintain(self) -> bool:
        """A bounded amount of upkeep of the index's files. False: nothing was due, or another process sees to it.

        Raises StorageFull and DataFolderUnusable.
        """
        with self._writing():
            self.followed()
            return self._may_write() and self._serving.index.maintain()

    def forget_gone(self) -> None:
        """Takes chunks that the catalog has no more out of the index and its files at once.

        Raises CatalogUnavailable while another process has the files, StorageFull and DataFolderUnusable.
        """
        deadline = time.monotonic() + _PATIENCE_S
        with self._writing():
            while not self._may_write():
                if time.monotonic() > deadline:
                    raise CatalogUnavailable(
                        "another process has the lock of the index folder: try again when it has ended"
                    )
                time.sleep(_PAUSE_S)
            self.followed()
            self._serving.index.forget_gone()

    def _writing(self) -> AbstractContextManager[None]:
        return nullcontext() if self._files is None else writing_to(self._files.folder)

    def _may_write(self) -> bool:
        """Takes the lock of the files where it is free; what another one has written meanwhile is opened first."""
        if self._files is None or self._files.locked:
            return True
        with self._opening:
            if not self._files.try_lock():
                return False
            if not self._files.is_current():
                self._open(self._serving.space_id)
        return True

    def _made_anew(self, foreign: Serving) -> Serving:
        """What serves once the catalog is another one than `foreign` was made from."""
        with self._opening:
            if self._serving is foreign:
                if self._files is not None:
                    self._files.read = NO_MARK
                self._open(None)  # the space that was in use may not be known there
            return self._serving

    def _open(self, space_id: str | None) -> None:
        opened = self._open_space(space_id)
        opened.index.follow()
        self._serving = opened

    def _times_forgotten(self) -> int:
        return int(self._catalog.fact(facts.FORGOTTEN) or 0)

    def _change_to(self, space_id: str) -> None:
        if time.monotonic() < self._not_before or not self._opening.acquire(blocking=False):
            return
        try:
            if self._serving.space_id != space_id:
                opened = self._open_space(space_id)
                opened.index.follow()
                _ = opened.embedder  # the one before goes on where this one can't be built
                self._serving = opened
                self.problem = None
        except (IngestError, RetrievalError) as error:
            self.problem = f"the embedder in use can't be opened: {error}"
            self._not_before = time.monotonic() + _RETRY_S
            log.error("%s; the one before goes on", self.problem)
        finally:
            self._opening.release()
