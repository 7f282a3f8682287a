"""Disks that refuse: full for a while, read-only for a while, a sync that fails once.

Each must be told in words that say what to do, by an error or by the worker, and none may be taken for a bug. After
each the folder is cut off as by a power cut: what was written before a sync that failed may be lost although a later
sync succeeds, as on Linux.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from crashes import shim
from crashes.checks import Depth, check
from crashes.cutting import told_by, unseen
from crashes.folder import SmallSegments, application_on
from crashes.journal import Disk, build, read
from crashes.killing import Tally
from crashes.model import Work, steps
from crashes.past import Past, followed, operate
from crashes.processes import ended, forked, looked_at
from crashes.workload import Stuck, work, work_once_mended
from ingest.catalog.leases import Lease
from ingest.worker import WORKER
from ragstone.errors import KnownError

_DEPTH = Depth(revisions=3, queries=1)
_OPERATIONS = 40
_LIVES_A_FOLDER = 10
_READERS = 4


def refusing_rounds(seed: str, rounds: int, place: Path, what: str) -> Tally:
    """`what` is `full`, `readonly` or `sync`. Each round is one life, which ends with the first error of an operation.

    With `readonly` it goes on after that, with a worker that waits for the folder to be mended and does all jobs then.
    """
    tally = Tally()
    disk, past = place / "disk", Past()
    for number in range(rounds):
        if number % _LIVES_A_FOLDER == 0 or tally.problems:
            shutil.rmtree(disk, ignore_errors=True)
            (disk / "data").mkdir(parents=True)
            past = Past()
        random = Random(f"{seed}/{what}/{number}")
        _round(f"{seed}/{what}/{number}/life", random, place, disk, past, what, tally)
        tally.rounds += 1
    return tally


def _round(name: str, random: Random, place: Path, disk: Path, past: Past, what: str, tally: Tally) -> None:
    journal, said, bugs = place / "journal", place / "said", place / "bugs"
    for file in (journal, said, bugs):
        file.unlink(missing_ok=True)
    first = random.randint(1, random.choice((30, 300, 900)))
    refusals: dict[str, dict[str, Any]] = {
        "full": {"full": (first, first + random.choice((0, 3, 50, 10_000)))},
        "readonly": {"read_only_from": first},
        "sync": {"sync_fails_at": random.randint(1, random.choice((10, 60)))},
    }
    before = Disk(disk)

    def life() -> None:
        _tell_bugs(bugs)
        descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        left = iter(range(_OPERATIONS))
        application = application_on(disk / "data")
        tell = lambda word: shim.mark(word.decode())  # noqa: E731
        shim.arm(disk, journal=descriptor, **refusals[what])
        try:
            operate(application, name, past.state, disk / "backup.tar.gz", tell, lambda: next(left, None) is None)
        except (*KnownError, Stuck) as error:
            said.write_text(type(error).__name__)
            if what == "readonly":
                _go_on(application, partial(shim.arm, disk, journal=descriptor))
        with suppress(*KnownError):
            application.worker.stop()
            application.close()

    status = ended(forked(life))
    changes = list(read(journal.read_bytes()))
    for change in changes:
        before.apply(change)
    end = followed(past, name, told_by(changes))
    possible = end.possible
    if what == "readonly" and said.exists():
        possible = [after for state in possible for after in (state, *steps(state, Work()))]
    where = f"{what}, round {tally.rounds}, in {end.at}"
    if status != 0:
        tally.problems.append(f"{where}: an error that nobody foresaw ended the process with {status}")
    tally.problems += [f"{where}: told as a bug: {each}" for each in bugs.read_text().splitlines()]
    tally.counts["acknowledged writes"] += end.acknowledged
    tally.counts[f"refused with {said.read_text()}" if said.exists() else "lived on"] += 1
    if what != "sync":
        tally.problems += unseen(before, disk)
    cut = place / "cut"
    shutil.rmtree(cut, ignore_errors=True)
    build(cut, disk, before.cut(random))
    for folder in (cut, disk):
        (folder / "data").mkdir(exist_ok=True)
        look = partial(check, folder / "data", possible, Random(name), _DEPTH, past.erased)
        found = looked_at(look, place / "found.json")
        if not tally.add(found, f"{where}, {folder.name}"):
            shutil.copytree(folder, place / f"problem-{tally.rounds}-{folder.name}")
    if found.state >= 0:
        past.reached(possible[found.state])
        past.drained()


def _tell_bugs(file: Path) -> None:
    """Has this process write to `file` what it logs of exceptions that nobody foresaw, a line each."""

    class Bugs(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info is not None:
                with file.open("a") as lines:
                    lines.write(f"{record.getMessage()}: {record.exc_info[1]!r}\n")

    file.touch()
    logging.disable(logging.NOTSET)
    logging.getLogger().handlers = [Bugs()]


def _go_on(application: SmallSegments, mend: Callable[[], object]) -> None:
    """The queue goes on in the same process once the folder can be written again."""
    try:
        if application.worker.problem is None and Lease(application.catalog, WORKER).holder() is not None:
            return  # a worker was stopped and could not give its lease back, which ends with this process
        with suppress(*KnownError), ExitStack() as readers:  # whose connections must not stay read-only
            for _ in range(_READERS):
                readers.enter_context(application.catalog.reading())
        work_once_mended(application, mend)
    except KnownError:  # the folder could not even be opened, so a service would be started anew
        mend()
        work(application, idle=True)
