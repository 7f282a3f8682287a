"""Disks that refuse: full for a while, a sync that fails once, a folder that can't be written.

After each the folder is cut off as by a power cut: what was written before a sync that failed may be lost although a
later sync succeeds, as on Linux.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from random import Random

from crashes import shim
from crashes.checks import Depth, check
from crashes.cutting import told_by, unseen
from crashes.journal import Disk, build, read
from crashes.killing import Tally
from crashes.past import Past, followed, live
from crashes.processes import ended, forked, looked_at
from crashes.workload import Stuck
from ragstone.errors import KnownError

_DEPTH = Depth(revisions=3, queries=1)
_OPERATIONS = 40
_LIVES_A_FOLDER = 10


def refusing_rounds(seed: str, rounds: int, place: Path, what: str) -> Tally:
    """`what` is `full` or `sync`. Each round is one life, which ends with the first error that an operation raises."""
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
    journal, said = place / "journal", place / "said"
    for file in (journal, said):
        file.unlink(missing_ok=True)
    first = random.randint(1, random.choice((30, 300, 900)))
    full = (first, first + random.choice((0, 3, 50, 10_000))) if what == "full" else (0, 0)
    fails = random.randint(1, random.choice((10, 60))) if what == "sync" else 0
    before = Disk(disk)

    def work() -> None:
        descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        left = iter(range(_OPERATIONS))
        shim.arm(disk, journal=descriptor, full=full, sync_fails_at=fails)
        try:
            tell = lambda word: shim.mark(word.decode())  # noqa: E731
            live(disk / "data", name, past.state, disk / "backup.tar.gz", tell, lambda: next(left, None) is None)
        except (*KnownError, OSError, Stuck) as error:
            said.write_text(type(error).__name__)

    status = ended(forked(work))
    changes = list(read(journal.read_bytes()))
    for change in changes:
        before.apply(change)
    end = followed(past, name, told_by(changes))
    where = f"{what}, round {tally.rounds}, in {end.at}"
    if status != 0:
        tally.problems.append(f"{where}: an error that nobody foresaw ended the process with {status}")
    tally.counts["acknowledged writes"] += end.acknowledged
    tally.counts[f"refused with {said.read_text()}" if said.exists() else "lived on"] += 1
    if what == "full":
        tally.problems += unseen(before, disk)
    cut = place / "cut"
    shutil.rmtree(cut, ignore_errors=True)
    build(cut, disk, before.cut(random))
    for folder in (cut, disk):
        (folder / "data").mkdir(exist_ok=True)
        look = partial(check, folder / "data", end.possible, Random(name), _DEPTH, past.erased)
        found = looked_at(look, place / "found.json")
        if not tally.add(found, f"{where}, {folder.name}"):
            shutil.copytree(folder, place / f"problem-{tally.rounds}-{folder.name}")
    if found.state >= 0:
        past.reached(end.possible[found.state])
        past.drained()
