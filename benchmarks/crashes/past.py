"""What is known of a folder from outside: its state, what was ever sent to it, and where its operations stand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from crashes.checks import Depth, check
from crashes.documents import Name
from crashes.folder import SmallSegments, application_on
from crashes.model import Backup, Operation, Search, State, Submit, Work, steps
from crashes.workload import choose, perform

BEGUN, DONE = b"b", b"d"


@dataclass(slots=True)
class Past:
    """One folder's past. `erased` are words that only erased documents ever held."""

    state: State = field(default_factory=State)
    names_of: dict[str, set[Name]] = field(default_factory=dict)  # by marker
    erased: set[str] = field(default_factory=set)
    backed_up: State | None = None

    def sent(self, operation: Operation) -> None:
        if isinstance(operation, Submit):
            for upload in operation.uploads:
                self.names_of.setdefault(upload.content.marker, set()).add(upload.name)
                self.erased.discard(upload.name.word)  # a new document of that name

    def reached(self, state: State) -> None:
        """The folder is in `state` now."""
        for name, job in state.tombstones.items():
            if self.state.tombstones.get(name) != job:
                self.erased.add(name.word)
                self.erased |= {marker for marker, names in self.names_of.items() if names == {name}}
        self.state = state

    def copy(self) -> Past:
        """Another one that goes its own way."""
        return Past(self.state, deepcopy(self.names_of), set(self.erased), self.backed_up)

    def drained(self) -> None:
        """All jobs were done."""
        self.reached([self.state, *steps(self.state, Work())][-1])


@dataclass(frozen=True, slots=True)
class Ended:
    """How far a child came: acknowledged writes, what it was at, and the states that the folder may be in."""

    acknowledged: int
    at: str
    possible: list[State]


def live(
    data: Path,
    seed: str,
    state: State,
    backup: Path,
    tell: Callable[[bytes], object],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """A child's life on a folder, which it closes in the end."""
    application = application_on(data)
    operate(application, seed, state, backup, tell, stop)
    application.close()


def operate(
    application: SmallSegments,
    seed: str,
    state: State,
    backup: Path,
    tell: Callable[[bytes], object],
    stop: Callable[[], bool],
) -> None:
    """Operations at random, each told before it begins and when it is acknowledged."""
    random = Random(seed)
    while not stop():
        operation = choose(random, state)
        tell(BEGUN)
        perform(application, operation, state, backup)
        tell(DONE)
        state = [state, *steps(state, operation)][-1]


def teller(told: Path) -> Callable[[bytes], object]:
    """Puts what it is told at the end of a file, where it stays when the process is killed."""
    log = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return partial(os.write, log)


def warm_up(place: Path) -> None:
    """Lives and looks once in this process, so that children that are forked from it find all loaded and compiled.

    Nothing is left open, and no thread.
    """
    data, told, left = place / "warm", place / "warm-told", iter(range(60))
    for known in place.glob("warm*"):  # of a run before this one
        shutil.rmtree(known) if known.is_dir() else known.unlink()
    live(data, "warm", State(), place / "warm-backup", teller(told), lambda: next(left, None) is None)
    past = Past()
    end = followed(past, "warm", told.read_bytes())
    found = check(data, end.possible, Random(0), Depth(), past.erased)
    if found.problems:
        raise AssertionError("nothing was killed, and yet: " + "\n".join(found.problems))


def followed(past: Past, seed: str, told: bytes) -> Ended:
    """Goes through what the child told, with the same choices; leaves `past` at the last acknowledged operation."""
    random = Random(seed)
    acknowledged = 0
    for place, operation in enumerate(_operations(past, random, told)):
        after = [past.state, *steps(past.state, operation)]
        if told[2 * place + 1 : 2 * place + 2] != DONE:
            if isinstance(operation, Backup):
                past.backed_up = None  # the file may be the one before, or of now
            return Ended(acknowledged, type(operation).__name__, after)
        past.reached(after[-1])
        acknowledged += not isinstance(operation, Search)
        if isinstance(operation, Backup):
            past.backed_up = past.state
    return Ended(acknowledged, "between", [past.state])


def _operations(past: Past, random: Random, told: bytes) -> Iterator[Operation]:
    for _ in range(told.count(BEGUN)):
        operation = choose(random, past.state)
        past.sent(operation)
        yield operation
