"""Looks at a source in a thread of its own: lists it, and fetches what may have changed."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping

from ingest.bugs import logged_bug
from ingest.errors import IngestError, NotFound, RefusedDocument, TryAgain
from ingest.identity import document_id_of
from ingest.sources.hopper import Arrival, Closed, Hopper
from ingest.sources.register import Item
from ingest.sources.types import Listed, SourceReader, SourceSettings
from ingest.types import Problem

# What waits to be ingested is in memory.
_AHEAD_BYTES = 32 * 1024 * 1024


class Fetching:
    """One look at one source. `listed` is there when `is_listed` is set, and `error` when it failed."""

    def __init__(
        self,
        reader: SourceReader,
        settings: SourceSettings,
        known: Mapping[str, Item],
        max_bytes: int,
        again: bool,
    ) -> None:
        self.listed: dict[str, Listed] = {}  # by document
        self.to_fetch = 0
        self.is_listed = threading.Event()
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.hopper = Hopper(_AHEAD_BYTES)
        self._reader = reader
        self._settings = settings
        self._known = known
        self._max_bytes = max_bytes
        self._again = again
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source-fetching", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it soon; waits for a request that is under way."""
        self._stopped.set()
        self.hopper.close()

    def _run(self) -> None:
        try:
            self._list()
            self.is_listed.set()
            self._fetch()
        except Closed:
            return
        except IngestError as error:
            self.error = error
        except Exception:
            self.error = IngestError(logged_bug("while looking at a source"))
        finally:
            self.ended.set()
            self.hopper.say()

    def _list(self) -> None:
        settings = self._settings
        for item in self._reader.list(self._stopped.is_set):
            if not _is_wanted(item.uri, settings):
                continue
            document_id = document_id_of(settings.collection, item.uri)
            self.listed[document_id] = item
            if len(self.listed) > settings.max_items:
                raise RefusedDocument(
                    f"the source has more than {settings.max_items} items: raise its max_items, or name fewer by "
                    "include and exclude"
                )
        if self._stopped.is_set():
            raise Closed

    def _fetch(self) -> None:
        wanted = [(its, item) for its, item in self.listed.items() if self._may_have_changed(its, item)]
        self.to_fetch = len(wanted)
        for document_id, item in wanted:
            if self._stopped.is_set():
                raise Closed
            known = self._known.get(document_id)
            mark = None if known is None or self._again or known.state == "failed" else known.mark
            self.hopper.put(self._arrival(item, mark))

    def _may_have_changed(self, document_id: str, item: Listed) -> bool:
        known = self._known.get(document_id)
        if known is None:
            return True
        if known.state == "erased":
            return False
        return self._again or item.mark is None or item.mark != known.mark

    def _arrival(self, item: Listed, mark: str | None) -> Arrival:
        try:
            return Arrival(item, self._reader.fetch(item, mark, self._max_bytes))
        except NotFound:
            return Arrival(item)  # it is gone; the next list does without it
        except (RefusedDocument, TryAgain) as error:
            return Arrival(item, problem=Problem(code=error.code, detail=str(error), uri=item.uri))


def _is_wanted(uri: str, settings: SourceSettings) -> bool:
    if settings.include and not any(fnmatch.fnmatchcase(uri, pattern) for pattern in settings.include):
        return False
    return not any(fnmatch.fnmatchcase(uri, pattern) for pattern in settings.exclude)
