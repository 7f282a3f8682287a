"""Whether the shim and the journal see what they must: a program that forgets to sync loses, a careful one does not."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from crashes import shim
from crashes.cutting import recorded, unseen
from crashes.journal import Disk, Kind
from crashes.killing import Tally

_OLD, _NEW = b"old" * 700, b"new" * 800
_WRITTEN = "written"


def shim_rounds(seed: str, rounds: int, place: Path) -> Tally:
    """Each round replaces a file in both ways, and cuts each at a random change."""
    tally = Tally()
    for number in range(rounds):
        random = Random(f"{seed}/{number}")
        for way in ("careful", "careless"):
            lost = _replaced(place / way, random, careful=way == "careful")
            tally.counts[f"{way} replacements lost"] += lost
            if lost and way == "careful":
                tally.problems.append(f"round {number}: a careful program lost its file")
        tally.rounds += 1
    if not tally.counts["careless replacements lost"]:
        tally.problems.append("no careless program lost anything: the cuts are too kind")
    tally.problems += _unseen_kinds(place / "kinds")
    return tally


def _replaced(folder: Path, random: Random, *, careful: bool) -> bool:
    """Whether a cut left neither the old file nor the new one, or the old one after the new one was acknowledged."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "file").write_bytes(_OLD)
    disk = Disk(folder)
    changes = recorded(folder, folder.with_name("journal"), partial(_replace, folder, careful))
    count = random.randint(0, len(changes))
    for change in changes[:count]:
        disk.apply(change)
    acknowledged = any(change.kind is Kind.MARK for change in changes[:count])
    held = disk.cut(random).get(str(folder / "file"))
    return held != _NEW and (acknowledged or held != _OLD)


def _replace(folder: Path, careful: bool) -> None:
    with (folder / "part").open("wb") as file:
        file.write(_NEW)
        if careful:
            file.flush()
            os.fsync(file.fileno())
    os.replace(folder / "part", folder / "file")
    if careful:
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    shim.mark(_WRITTEN)


def _unseen_kinds(folder: Path) -> list[str]:
    """Changes by NumPy, tar, SQLite and the standard library that the journal lacks."""
    folder.mkdir()
    (folder / "there").write_bytes(_OLD)
    disk = Disk(folder)
    for change in recorded(folder, folder.with_name("journal"), partial(_change_in_many_ways, folder)):
        disk.apply(change)
    return unseen(disk, folder)


def _change_in_many_ways(folder: Path) -> None:
    np.save(folder / "array.npy", np.arange(5000))
    with tarfile.open(folder / "files.tar.gz", "w:gz") as archive:
        archive.add(folder / "array.npy", "array.npy")
        archive.addfile(tarfile.TarInfo("empty"), io.BytesIO())
    database = sqlite3.connect(folder / "database", isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (randomblob(9000))"):
        database.execute(statement)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("DELETE FROM t")
    shutil.copyfile(folder / "there", folder / "copy")
    os.link(folder / "there", folder / "other")
    with (folder / "copy").open("r+b") as opened:
        opened.truncate(100)
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "deep" / "file").write_text("deep")
    (folder / "sub").rename(folder / "renamed")
    with (folder / "renamed" / "deep" / "file").open("a") as opened_again:
        opened_again.write(" and deeper")
    (folder / "gone").mkdir()
    (folder / "gone" / "file").write_text("gone")
    shutil.rmtree(folder / "gone")
