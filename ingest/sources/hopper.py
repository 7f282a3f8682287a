"""What was fetched, on its way to who ingests it: a queue between two threads, bounded by bytes."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from ingest.sources.types import Fetched, Listed
from ingest.types import Problem


@dataclass(frozen=True, slots=True)
class Arrival:
    """An item that was fetched, or found as it was (`fetched` is None), or why it could not be had, or is left out."""

    document_id: str
    item: Listed
    fetched: Fetched | None = None
    problem: Problem | None = None
    left_out: str | None = None

    @property
    def size(self) -> int:
        return 0 if self.fetched is None else len(self.fetched.data)


class Closed(Exception):
    """Nobody takes anything any more."""


class Hopper:
    """Holds at most `max_bytes`, or one arrival that is larger."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._arrivals: deque[Arrival] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, arrival: Arrival) -> None:
        """Waits until there is room. Raises Closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._bytes or self._bytes + arrival.size <= self._max_bytes
            )
            if self._closed:
                raise Closed
            self._arrivals.append(arrival)
            self._bytes += arrival.size
            self._changed.notify_all()

    def take(self, most: int, max_bytes: int) -> list[Arrival]:
        """The first arrivals that there are: at most so many, and so many bytes unless the first alone has more."""
        taken: list[Arrival] = []
        size = 0
        with self._changed:
            while self._arrivals and len(taken) < most:
                if taken and size + self._arrivals[0].size > max_bytes:
                    break
                taken.append(self._arrivals.popleft())
                size += taken[-1].size
            self._bytes -= size
            self._changed.notify_all()
        return taken

    def is_empty(self) -> bool:
        return not self._arrivals

    def wait(self, seconds: float) -> None:
        """Until something has come, or so long."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._arrivals) or self._closed, seconds)

    def say(self) -> None:
        """Wakes who waits: something else has changed."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._arrivals.clear()
            self._bytes = 0
            self._changed.notify_all()
