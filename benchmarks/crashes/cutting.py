"""Power cuts: one life of a folder is written down change by change, and cut off at many of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from crashes import shim
from crashes.checks import Depth, Found, check, check_backup
from crashes.journal import Change, Disk, Kind, build, read
from crashes.killing import Tally
from crashes.past import BEGUN, DONE, Past, followed, live
from crashes.processes import ended, forked, looked_at

_OPERATIONS = 30
_CUTS_A_LIFE = 60
_DEPTH = Depth(revisions=3, queries=1)


def cut_rounds(seed: str, rounds: int, place: Path) -> Tally:
    """`place` is an empty folder for all of it. Each round is one cut."""
    tally = Tally()
    disk, past = place / "disk", Past()
    life = 0
    while tally.rounds < rounds:
        if life % 4 == 0 or tally.problems:
            shutil.rmtree(disk, ignore_errors=True)
            (disk / "data").mkdir(parents=True)
            past = Past()
        random = Random(f"{seed}/{life}")
        before, on_disk = past.copy(), Disk(disk)
        name = f"{seed}/{life}/life"
        changes = recorded(disk, place / "journal", partial(_live, disk, name, past))
        for index, content in _cuts(on_disk, changes, random, min(_CUTS_A_LIFE, rounds - tally.rounds)):
            _one(place, disk, before.copy(), name, changes[:index], content, random, tally)
        followed(past, name, told_by(changes))
        tally.problems += unseen(on_disk, disk)
        life += 1
    return tally


def recorded(root: Path, journal: Path, work: Callable[[], None]) -> list[Change]:
    """The changes that `work` makes below `root`, in a child."""
    journal.unlink(missing_ok=True)

    def armed() -> None:
        descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        shim.arm(root, journal=descriptor)
        work()

    status = ended(forked(armed))
    if status != 0:
        raise AssertionError(f"the child that was only watched ended with {status}")
    return list(read(journal.read_bytes()))


def _live(disk: Path, name: str, past: Past) -> None:
    left = iter(range(_OPERATIONS))
    live(
        disk / "data",
        name,
        past.state,
        disk / "backup.tar.gz",
        lambda word: shim.mark(word.decode()),
        lambda: next(left, None) is None,
    )


def _cuts(
    disk: Disk, changes: list[Change], random: Random, count: int
) -> Iterator[tuple[int, dict[str, bytes | None]]]:
    """Folders at points of the life: half of them just before or behind a sync, all changes applied in the end."""
    syncs = [at for at, change in enumerate(changes) if change.kind in (Kind.SYNC, Kind.SYNC_FOLDER)]
    points = sorted(
        random.choice(syncs) + random.randint(0, 1)
        if syncs and random.random() < 0.6
        else random.randrange(len(changes))
        for _ in range(count)
    )
    for at, change in enumerate([*changes, None]):
        while points and points[0] == at:
            points.pop(0)
            yield at, disk.cut(random)
        if change is not None:
            disk.apply(change)


def _one(
    place: Path,
    disk: Path,
    past: Past,
    name: str,
    changes: list[Change],
    content: dict[str, bytes | None],
    random: Random,
    tally: Tally,
) -> None:
    folder = place / "cut"
    shutil.rmtree(folder, ignore_errors=True)
    build(folder, disk, content)
    data, backup = folder / "data", folder / "backup.tar.gz"
    data.mkdir(exist_ok=True)
    if random.random() < 0.3:
        (data / "catalog.sqlite-shm").write_bytes(random.randbytes(32768))
    end = followed(past, name, told_by(changes))
    where = f"cut {tally.rounds} in {end.at}"
    tally.killed_at[end.at] += 1
    tally.counts["acknowledged writes"] += end.acknowledged
    found = looked_at(partial(check, data, end.possible, random, _DEPTH, past.erased), place / "found.json")
    sound = tally.add(found, where)
    if past.backed_up is not None and end.at != "Backup":
        sound = tally.add(looked_at(partial(_restored, backup, past), place / "found.json"), where) and sound
    if not sound:
        kept = place / f"problem-{tally.rounds}"
        build(kept, disk, content)
    tally.rounds += 1


def _restored(backup: Path, past: Past) -> Found:
    found = Found()
    assert past.backed_up is not None
    check_backup(backup, past.backed_up, found)
    return found


def told_by(changes: list[Change]) -> bytes:
    marks = [change.first.encode() for change in changes if change.kind is Kind.MARK]
    return b"".join(mark for mark in marks if mark in (BEGUN, DONE))


def unseen(disk: Disk, root: Path) -> list[str]:
    """Files that are not what the changes give: the shim has missed a change. -shm files are mapped, and left out."""
    seen = disk.all()
    there = {
        str(path): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
        if not path.name.endswith("-shm")
    }
    wrong = sorted(path for path in {*seen, *there} if seen.get(path, b"?") != there.get(path, b"?"))
    return [f"the shim has missed a change of {path}" for path in wrong]
