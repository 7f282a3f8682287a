"""What a key may use of this process: requests a minute, answers side by side, bytes uploaded a day.

Each process that serves counts for itself and starts anew with it; so with n workers a key may use up to n times as
much. For one event loop: all methods are called on it.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingest.catalog.keys import Limits
from ingest.errors import DocumentTooLarge
from ragstone.errors import LimitReached

MIB = 1024 * 1024
_MINUTE_S = 60.0
_DAY_S = 24 * 3600.0
# An answer takes some seconds; when one will end is not known.
_ANSWER_S = 5


class _Window:
    """Amounts of the last `span_s` seconds."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._amounts: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def take(self, amount: float, most: float, now: float) -> int | None:
        """Adds `amount` if the sum stays within `most`; else the whole seconds until it would."""
        while self._amounts and self._amounts[0][0] <= now - self._span_s:
            self._sum -= self._amounts.popleft()[1]
        if self._sum + amount <= most:
            self._amounts.append((now, amount))
            self._sum += amount
            return None
        left = self._sum
        for when, part in self._amounts:
            left -= part
            if left + amount <= most:
                return max(1, math.ceil(when + self._span_s - now))
        return math.ceil(self._span_s)


class Usage:
    """Counts by key. A key without a limit costs nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: defaultdict[str, _Window] = defaultdict(lambda: _Window(_MINUTE_S))
        self._uploads: defaultdict[str, _Window] = defaultdict(lambda: _Window(_DAY_S))
        self._answers: defaultdict[str, int] = defaultdict(int)

    def count_request(self, key_id: str | None, limits: Limits) -> None:
        """Raises LimitReached, which does not count as a request."""
        most = limits.requests_per_minute
        if key_id is None or most is None:
            return
        wait_s = self._requests[key_id].take(1, most, self._clock())
        if wait_s is not None:
            raise LimitReached(f"this key may send {most} requests a minute: try again in {wait_s} s", wait_s)

    def count_upload(self, key_id: str | None, limits: Limits, size_bytes: int) -> None:
        """Raises DocumentTooLarge for what exceeds the limit of a day by itself, and LimitReached."""
        most = limits.upload_mib_per_day
        if key_id is None or most is None:
            return
        if size_bytes > most * MIB:
            raise DocumentTooLarge(
                f"the upload has {size_bytes / MIB:.2f} MiB and this key may upload {most:g} MiB a day: split it"
            )
        wait_s = self._uploads[key_id].take(size_bytes, most * MIB, self._clock())
        if wait_s is not None:
            raise LimitReached(f"this key may upload {most:g} MiB a day: try again in {wait_s} s", wait_s)

    @contextmanager
    def answering(self, key_id: str | None, limits: Limits) -> Iterator[None]:
        """Held while an answer is made. Raises LimitReached."""
        most = limits.concurrent_answers
        if key_id is None or most is None:
            yield
            return
        if self._answers[key_id] >= most:
            raise LimitReached(f"this key may ask {most} questions at a time: wait for an answer", _ANSWER_S)
        self._answers[key_id] += 1
        try:
            yield
        finally:
            self._answers[key_id] -= 1
