"""What a check finds, how it is named, and how it is mended."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstone.errors import KnownError

if TYPE_CHECKING:
    from ragstone.wiring import Application

log = logging.getLogger(__name__)

# How many are named of things that are wrong in the same way.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. `repair` mends it where that can be done without losing anything."""

    what: str
    repair: Callable[[], object] | None = None

    def mend(self) -> str | None:
        """Runs the repair, which there must be; returns why it failed, or None when the fault is gone."""
        assert self.repair is not None
        try:
            self.repair()
        except Exception as error:
            return reason(error)
        return None


@dataclass(frozen=True, slots=True)
class Check:
    """A family of faults. A check reads in pieces, so that it can look at any number of rows."""

    name: str
    run: Callable[[Application], Iterator[Finding]]


def reason(error: Exception) -> str:
    """The error in a sentence; what is not foreseen goes to the log with an id."""
    if isinstance(error, KnownError):
        return str(error)
    error_id = uuid.uuid4().hex[:12]
    log.info("error %s", error_id, exc_info=error)
    return f"error {error_id}, {type(error).__name__}: {error}"


def listed(names: Iterable[object]) -> str:
    """The first of them, and how many more there are; empty where there is none. Holds none but those it names."""
    shown: list[str] = []
    more = 0
    for name in names:
        if len(shown) < _NAMED:
            shown.append(str(name))
        else:
            more += 1
    return ", ".join(shown) + (f" and {more} more" if more else "")
