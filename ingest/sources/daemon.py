"""Keeps the sources of a catalog fresh: refreshes those that are due, and folders whose files change."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from watchfiles import watch

from ingest.errors import IngestError
from ingest.sources.folder import folders_below
from ingest.sources.register import SourceRegister

log = logging.getLogger(__name__)

_LOOK_S = 1.0
# Folders come and go, and settings change.
_SYNC_S = 5.0
_DEBOUNCE_MS = 400
# How long the end of a watch takes.
_WAIT_MS = 200


class SourceDaemon:
    """Queues refreshes; the worker does them. One process at a time has it: the one that is the worker."""

    def __init__(self, register: SourceRegister, wake: Callable[[], None]) -> None:
        self._register = register
        self._wake = wake
        self._next_look = self._next_sync = 0.0
        self._watching: dict[str, _Watch] = {}  # by source

    def tick(self) -> bool:
        """Looks what is due, now and then; whether something was. Raises CatalogUnavailable."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _LOOK_S
        if now >= self._next_sync:
            self._next_sync = now + _SYNC_S
            self._sync_watches()
        return self._register.request_due() > 0

    def close(self) -> None:
        """Nothing is queued by this any more when it returns."""
        for its in self._watching.values():
            its.stop()
        for its in self._watching.values():
            its.join()
        self._watching.clear()

    def _sync_watches(self) -> None:
        folders = {
            source.name: Path(source.location).expanduser()
            for source in self._register.all()
            if source.kind == "folder" and source.settings.watch
        }
        for name, its in list(self._watching.items()):
            if name not in folders or its.is_over(folders[name]):
                its.stop()
                del self._watching[name]
        for name, folder in folders.items():
            if name not in self._watching and folder.is_dir():
                self._watching[name] = _Watch(folder, partial(self._changed, name))

    def _changed(self, name: str) -> None:
        try:
            self._register.request(name)
        except IngestError as error:
            log.warning("a change in the source %s is taken in by its next sweep: %s", name, error)
            return
        self._wake()


class _Watch:
    """A thread that says when something changes in a folder."""

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._seen = _number(folder)
        self._changed = changed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source-watch", daemon=True)
        self._thread.start()

    def is_over(self, folder: Path) -> bool:
        """Whether something else is to be watched: another folder, or another one of that name."""
        return folder != self._folder or not self._thread.is_alive() or _number(folder) != self._seen

    def stop(self) -> None:
        self._stopped.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and _number(self._folder) == self._seen:
                self._watch_folders()
        except OSError as error:  # it is gone, or there are more folders than the kernel watches
            log.warning("%s is not watched and only swept now: %s", self._folder, error)

    def _watch_folders(self) -> None:
        """Until another folder is there, or one has gone.

        Each is watched by itself: a watch of all that is below a folder would follow its links to anywhere.
        """
        folders = folders_below(os.path.realpath(self._folder))
        watched = watch(
            *folders,
            stop_event=self._stopped,
            debounce=_DEBOUNCE_MS,
            raise_interrupt=False,
            rust_timeout=_WAIT_MS,
            yield_on_timeout=True,
            recursive=False,
        )
        with closing(watched):
            for number, changes in enumerate(watched):
                # What changed between the last sweep and the first moment of this watch is found by another sweep.
                if number == 0 or changes:
                    self._changed()
                    if folders_below(os.path.realpath(self._folder)) != folders:
                        return


def _number(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another one that has come in its place."""
    try:
        state = folder.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
