"""Cores that have nothing to do, for a long scan: its parts are dealt to the caller's thread and to some beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# Rows for which a thread more pays. Measured: at 200,000 two threads are no faster than one, at 1,000,000 twice.
WORTH = 250_000

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


class IdleCores:
    """At most `threads` threads beside those of the callers, however many these are (None: one less than cores).

    So threads never multiply: a caller that finds all of them taken works alone. They begin with the first scan that
    takes some, and anew in a process that was forked.
    """

    def __init__(self, threads: int | None = None, worth: int = WORTH) -> None:
        """A thread is taken for each `worth` rows."""
        self._count = len(os.sched_getaffinity(0)) - 1 if threads is None else threads
        self._worth = worth
        self._process = 0
        self._starting = threading.Lock()

    def deal(self, work: Callable[[Sequence[_Part]], _Result], parts: Sequence[_Part], rows: int) -> list[_Result]:
        """`work` done on all of `parts`, which have so many rows in all; each thread takes a share of them."""
        wanted = min(rows // self._worth, self._count, len(parts) - 1)
        if wanted < 1:
            return [work(parts)]
        self._start()
        helping = 0
        while helping < wanted and self._idle.acquire(blocking=False):
            helping += 1
        shares = [parts[first :: helping + 1] for first in range(helping + 1)]
        helped = [self._threads.submit(self._done, work, share) for share in shares[1:]]
        return [work(shares[0]), *(future.result() for future in helped)]

    def _done(self, work: Callable[[Sequence[_Part]], _Result], share: Sequence[_Part]) -> _Result:
        try:
            return work(share)
        finally:
            self._idle.release()

    def _start(self) -> None:
        with self._starting:
            if self._process != os.getpid():  # threads don't come along into a fork
                self._idle = threading.Semaphore(self._count)
                self._threads = ThreadPoolExecutor(self._count, "scan")
                self._process = os.getpid()
