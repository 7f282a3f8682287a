"""Keeps the sources of a catalog fresh: refreshes those that are due, and folders whose files change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchfiles import watch

from ingest.errors import IngestError
from ingest.sources.register import SourceRegister

log = logging.getLogger(__name__)

_LOOK_S = 1.0
# Folders come and go, and settings change.
_SYNC_S = 5.0
_DEBOUNCE_MS = 400


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
        for its in self._watching.values():
            its.stop()
        self._watching.clear()

    def _sync_watches(self) -> None:
        folders = {
            source.name: Path(source.location).expanduser()
            for source in self._register.all()
            if source.kind == "folder" and source.settings.watch
        }
        for name, its in list(self._watching.items()):
            if folders.get(name) != its.folder or not its.is_alive():
                its.stop()
                del self._watching[name]
        for name, folder in folders.items():
            if name not in self._watching and folder.is_dir():
                self._watching[name] = _Watch(folder, lambda name=name: self._changed(name))  # type: ignore[misc]

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
        self.folder = folder
        self._changed = changed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source-watch", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        # What changed between the last sweep and now is found by the one that this asks for.
        self._changed()
        try:
            for _ in watch(
                self.folder, stop_event=self._stopped, debounce=_DEBOUNCE_MS, raise_interrupt=False, rust_timeout=1000
            ):
                self._changed()
        except OSError as error:  # it is gone, or there are more folders than the kernel watches
            log.warning("%s is not watched and only swept now: %s", self.folder, error)
