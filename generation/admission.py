"""Who is served now, who waits, and who is turned away: a bounded queue in front of a model."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from generation.errors import QueueFull

_REMEMBERED_TIMES = 32


class Admission:
    """At most `slots` callers are served at once and at most `queue_size` wait, first come first served.

    For one event loop. `serving`, `waiting`, `served` and `refused` are for metrics: the first two count callers now,
    the others since the start (`served` counts those that left without an error).

    Args:
        slots: callers served side by side, at least 1.
        queue_size: callers that may wait beyond those, 0 for none.
        clock: seconds, for waiting and service times.
        expected_s: taken for the time of one service until the first one has ended.
    """

    def __init__(
        self, slots: int, queue_size: int, clock: Callable[[], float] = time.monotonic, expected_s: float = 10.0
    ) -> None:
        if slots < 1 or queue_size < 0:
            raise ValueError(f"slots must be at least 1 and queue_size at least 0, not {slots} and {queue_size}")
        self._slots = slots
        self._queue_size = queue_size
        self._clock = clock
        self._expected_s = expected_s
        self._times_s: deque[float] = deque(maxlen=_REMEMBERED_TIMES)
        self._queue: deque[asyncio.Future[None]] = deque()
        self.serving = 0
        self.served = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[float]:
        """Waits for a place, keeps it for the block, and gives the milliseconds waited. Raises QueueFull."""
        arrived = self._clock()
        await self._enter()
        started = self._clock()
        try:
            yield (started - arrived) * 1000
            # Only whole services count for the estimate: who leaves early would make it too hopeful.
            self._times_s.append(self._clock() - started)
            self.served += 1
        finally:
            self._leave()

    def retry_after_s(self) -> int:
        """When somebody who is turned away now may find a place: median service time, times the rounds before them."""
        service_s = statistics.median(self._times_s) if self._times_s else self._expected_s
        return max(1, math.ceil(service_s * (self.waiting + 1) / self._slots))

    async def _enter(self) -> None:
        if self.serving < self._slots:  # then nobody waits: places are handed over, never left free
            self.serving += 1
            return
        if self.waiting >= self._queue_size:
            self.refused += 1
            after = self.retry_after_s()
            raise QueueFull(
                f"{self.serving} questions are being answered and {self.waiting} are waiting: try again in {after} s",
                after,
            )
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                if turn in self._queue:
                    self._queue.remove(turn)
            else:
                self._leave()  # the place was handed over in the same moment: hand it on
            raise

    def _leave(self) -> None:
        """Hands the place to the first who still waits, or frees it."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.serving -= 1
