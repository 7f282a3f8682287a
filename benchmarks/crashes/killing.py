"""Rounds of kill -9: a child works on a folder until it is killed, then the folder is opened and looked at."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from crashes import shim
from crashes.checks import Depth, Found, check, check_backup
from crashes.migration import make_old_folder
from crashes.model import State
from crashes.past import Past, followed, live, teller
from crashes.processes import ended, forked, looked_at

ROUNDS_A_FOLDER = 25
_ALL = Depth(revisions=10_000, queries=3)


@dataclass(slots=True)
class Tally:
    """What all rounds of one kind found."""

    rounds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    killed_at: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        counts = {name: dict(getattr(self, name)) for name in ("counts", "killed_at")}
        return {"rounds": self.rounds, **counts, "problems": self.problems}

    def add(self, found: Found, where: str) -> bool:
        """Returns whether all was well; what was not is said at once, as some runs take an hour."""
        self.counts += found.counts
        for problem in found.problems:
            self.problems.append(f"{where}: {problem}")
            print(self.problems[-1], file=sys.stderr, flush=True)
        return not found.problems


def begin_folder(number: int, data: Path) -> State:
    """A new folder for round `number`; every third one is as the first schema had it, and migrated by that round."""
    return make_old_folder(data) if number // ROUNDS_A_FOLDER % 3 == 2 else State()


class KillRounds:
    """Rounds over folders in `place`, which grow old and are replaced.

    Most children are killed at one of their changes, which needs the shim.

    `begin` puts into an empty folder what it is to begin with, and says what that is; `settle` waits for what goes on
    after a child was killed.
    """

    def __init__(
        self,
        seed: str,
        place: Path,
        begin: Callable[[int, Path], State] = begin_folder,
        settle: Callable[[], object] = lambda: None,
    ) -> None:
        self.tally = Tally()
        self._seed = seed
        self._place = place
        self._begin_folder = begin
        self._settle = settle
        self._disk = place / "disk"
        self._data, self._backup = self._disk / "data", self._disk / "backup.tar.gz"
        self._past = Past()
        self._age = 0

    def run(self, rounds: int, longest_s: float = 0.6) -> Tally:
        for number in range(rounds):
            if self._age == 0:
                self._begin(number)
            self._age += 1
            last = self._age == ROUNDS_A_FOLDER or number == rounds - 1
            if not self._round(number, last, longest_s):
                shutil.copytree(self._disk, self._place / f"problem-{number}")
                last = True
            if last:
                self._age = 0
            self.tally.rounds += 1
        return self.tally

    def _begin(self, number: int) -> None:
        shutil.rmtree(self._disk, ignore_errors=True)
        self._data.mkdir(parents=True)
        self._past = Past(self._begin_folder(number, self._data))

    def _round(self, number: int, last: bool, longest_s: float) -> bool:
        random, past = Random(f"{self._seed}/{number}"), self._past
        seed, told = f"{self._seed}/{number}/life", self._place / "told"
        told.unlink(missing_ok=True)
        how = "at a call" if random.random() < 0.6 else "at a time"
        call = random.randint(1, random.choice((20, 200, 1500)))

        def work() -> None:
            if how == "at a call":
                shim.arm(self._disk, kill_at=call)
            live(self._data, seed, past.state, self._backup, teller(told))

        pid = forked(work)
        if how == "at a time":
            time.sleep(random.uniform(0.01, longest_s))
            os.kill(pid, signal.SIGKILL)
        status = ended(pid, 20)
        self._settle()
        end = followed(past, seed, told.read_bytes() if told.exists() else b"")
        where = f"round {number}, killed {how} in {end.at}"
        self.tally.killed_at[end.at] += 1
        self.tally.counts["acknowledged writes"] += end.acknowledged
        if status not in (-signal.SIGKILL, None):
            return self.tally.add(Found(problems=[f"the child ended by itself with {status}"]), where)
        depth = _ALL if last else Depth(drain=random.random() < 0.7)
        look = partial(check, self._data, end.possible, random, depth, past.erased)
        found = looked_at(look, self._place / "found.json")
        sound = self.tally.add(found, where)
        if sound:
            past.reached(end.possible[found.state])
            if depth.drain:
                past.drained()
        if past.backed_up is not None and (last or random.random() < 0.05):
            look_at_backup = partial(_restored, self._backup, past)
            sound = self.tally.add(looked_at(look_at_backup, self._place / "found.json"), f"{where}, backup") and sound
        return sound


def _restored(backup: Path, past: Past) -> Found:
    found = Found()
    assert past.backed_up is not None
    check_backup(backup, past.backed_up, found)
    return found
