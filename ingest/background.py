"""Work that lets answers go first: threads that do it run at a lower priority, where the system has one for threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_NICER = 10  # see nice(1)
_IN_BACKGROUND = ContextVar("in_background", default=False)


@contextmanager
def background() -> Iterator[None]:
    """What is called within may be done by threads of lower priority, if the callee has such."""
    before = _IN_BACKGROUND.set(True)
    try:
        yield
    finally:
        _IN_BACKGROUND.reset(before)


def in_background() -> bool:
    return _IN_BACKGROUND.get()


def give_way() -> None:
    """Lowers the priority of the calling thread for good. A thread must hold no lock that answers wait for."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + _NICER))
