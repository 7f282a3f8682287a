"""A thread that reads what was committed into the index, so that the first search after a pause need not read it all.

Not at once: while there are searches, the next one reads it, and two threads at it would take longer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ingest.bugs import logged_bug
from ragstone.errors import KnownError

log = logging.getLogger(__name__)

EVERY_S = 1.0


class KeepingUp:
    """Calls `keep_up` every second."""

    def __init__(self, keep_up: Callable[[], None]) -> None:
        self._keep_up = keep_up
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-up", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._stopping.wait(EVERY_S):
            try:
                self._keep_up()
                said = ""
            except KnownError as error:  # as the next search will say
                if type(error).__name__ != said:
                    log.warning("what was committed can't be read into the index: %s", error)
                said = type(error).__name__
            except Exception:
                logged_bug("while reading what was committed into the index")
