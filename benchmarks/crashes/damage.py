"""Damage: bits that flip and files that are cut off or gone, in every kind of file below a data folder.

What is derived must be made again by itself, with equal answers. Damage of the truth must be told: by an error that
says so, or by the doctor. What SQLite's own pages can hide is counted, not judged.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from crashes import shim
from crashes.checks import Found, findings_of
from crashes.documents import queries
from crashes.folder import application_on
from crashes.killing import Tally
from crashes.model import Work, steps
from crashes.past import Past, followed, live, teller
from crashes.processes import ended, forked, looked_at
from crashes.workload import search
from ingest.pipeline import IncomingFile
from ragstone.backups.restoring import restore
from ragstone.backups.taking import Source, take
from ragstone.errors import KnownError
from retrieval.errors import BadQuery

_OPERATIONS = 120
_MODES = ("lexical", "dense", "hybrid")
_DERIVED = ("index array", "index manifest", "index lock")


@dataclass(frozen=True, slots=True)
class Sound:
    """A folder without damage: its rows, and its answers to some questions, which are (query, mode, revision)."""

    folder: Path
    rows: list[str]
    asked: list[tuple[str, str, int]]
    answers: list[object]


def damage_rounds(seed: str, rounds: int, place: Path) -> Tally:
    """`place` is an empty folder for all of it."""
    tally = Tally()
    sound = [_closed(seed, place / "closed"), _killed(seed, place / "killed", place / "closed")]
    for number in range(rounds):
        random = Random(f"{seed}/{number}")
        kinds = ("catalog", "index array", "original", "log", "catalog", "index manifest", "index lock", "backup")
        kind = kinds[number % len(kinds)]
        of = sound[1] if kind == "log" else sound[0]
        copy = place / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(of.folder, copy)
        file = random.choice(_files(copy)[kind])
        how = _damage(file, random, flips_only=kind == "catalog")
        look = partial(_look_at_backup if kind == "backup" else _look, copy, of, kind)
        found = looked_at(look, place / "found.json")
        tally.add(found, f"round {number}, {how} in {kind} {file.name}")
        if found.problems:
            shutil.copytree(copy, place / f"problem-{number}")
        tally.rounds += 1
    return tally


def _files(folder: Path) -> dict[str, list[Path]]:
    data = folder / "data"
    return {
        "catalog": [data / "catalog.sqlite"],
        "log": sorted(data.glob("catalog.sqlite-wal")),
        "original": sorted(data.glob("originals/*/*")),
        "index array": sorted(data.glob("index/*/*/*.npy")),
        "index manifest": sorted(data.glob("index/*/manifest.json")),
        "index lock": sorted(data.glob("index/lock")),
        "backup": sorted(folder.glob("backup.tar.gz")),
    }


def _damage(file: Path, random: Random, flips_only: bool) -> str:
    content = bytearray(file.read_bytes())
    how = random.choice(("bit flip", "bit flip", "cut", "zeroed sector", "gone"))
    if flips_only or not content:
        how = "bit flip" if content else "gone"
    if how == "bit flip":
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif how == "cut":
        del content[random.randrange(len(content)) :]
    elif how == "zeroed sector":
        start = random.randrange(len(content)) // 512 * 512
        content[start : start + 512] = bytes(len(content[start : start + 512]))
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(content)
    return how


# Looking


def _look(folder: Path, sound: Sound, kind: str) -> Found:
    found = Found(state=0)
    outcome = _outcome(folder / "data", sound, kind, found)
    found.counts[f"{kind}: {outcome}"] += 1
    derived, silent = kind in _DERIVED, outcome.startswith("undetected")
    # Files of a space that is not in use are not opened by a start, and so not healed: the doctor tells of them.
    if (derived and outcome not in ("harmless or healed", "told by the doctor")) or (kind == "original" and silent):
        found.problems.append(f"{kind}: {outcome}")
    return found


def _outcome(data: Path, sound: Sound, kind: str, found: Found) -> str:
    same_rows = kind not in ("catalog", "log") or _rows(data) == sound.rows
    try:
        with closing(application_on(data)) as application:
            # The answers come first: a start heals what it can without a look by the doctor, and its upkeep the files.
            answers: list[object] = [search(application, *question) for question in sound.asked]
            while application.live.maintain():
                pass
    except BadQuery:
        return "undetected, the newest revisions are gone"
    except KnownError as error:
        return f"told by an error ({type(error).__name__})"
    except Exception as error:
        found.problems.append(f"{kind}: an error that nobody foresaw: {type(error).__name__}: {error}")
        return "an error that nobody foresaw"
    same_answers = answers == sound.answers
    with closing(application_on(data)) as application:
        told = findings_of(application)
    if told:
        return "told by the doctor" if same_answers else "told by the doctor, after answers that differ"
    if same_answers:
        return "harmless or healed" if same_rows else "undetected, in rows that decide no answer"
    return "undetected, with answers that differ"


def _look_at_backup(folder: Path, sound: Sound, kind: str) -> Found:
    found = Found(state=0)
    target = folder / "restored"
    try:
        restore(folder / "backup.tar.gz", target, None, force=False, progress=lambda step, done, total: None)
    except (*KnownError, FileNotFoundError) as error:
        found.counts[f"{kind}: told by an error ({type(error).__name__})"] += 1
        return found
    with closing(application_on(target)) as application:
        answers: list[object] = [search(application, *question) for question in sound.asked]
        told = findings_of(application)
    outcome = "harmless or healed" if answers == sound.answers and not told else "undetected, with answers that differ"
    found.counts[f"{kind}: {outcome}"] += 1
    if outcome != "harmless or healed":
        found.problems.append(f"{kind}: {outcome}")
    return found


def _rows(data: Path) -> list[str] | None:
    """All rows as SQL, read from a copy; None where SQLite can't."""
    copy = data.with_name("rows")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in data.glob("catalog.sqlite*"):
        shutil.copy(file, copy)
    try:
        with closing(sqlite3.connect(copy / "catalog.sqlite")) as database:
            return list(database.iterdump())
    except (sqlite3.Error, UnicodeDecodeError):
        return None


# Folders to damage


def _closed(seed: str, folder: Path) -> Sound:
    """One that was closed as it should be, with a backup."""
    _lived(seed, folder)
    return _sound(folder, seed)


def _killed(seed: str, folder: Path, closed: Path) -> Sound:
    """The same one after some more changes and a kill: its newest commits are in the log."""
    shutil.copytree(closed, folder)
    data = folder / "data"

    def work() -> None:
        application = application_on(data)
        for number in range(12):
            text = f"A late letter of day {number}: ba du ke."
            application.ingestion.submit(
                [IncomingFile("late.txt", f"late-{number}.txt", text.encode())], "letters", None
            )
        application.worker.work_off()
        shim.arm(folder, kill_at=1)
        application.history.open_batch("never")

    ended(forked(work))
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    sound = _sound(folder, seed)
    shutil.rmtree(folder)
    kept.rename(folder)
    return sound


def _lived(seed: str, folder: Path) -> None:
    data, told, backup = folder / "data", folder / "told", folder / "backup.tar.gz"
    data.mkdir(parents=True)

    def work() -> None:
        left = iter(range(_OPERATIONS))
        live(data, f"{seed}/damage", Past().state, backup, teller(told), lambda: next(left, None) is None)
        with closing(application_on(data)) as application:
            application.worker.work_off()
            application.index.maintain()
            source = Source(application.catalog, application.originals, data)
            take(source, backup, force=True, progress=lambda step, done, total: None)

    if ended(forked(work)) != 0:
        raise AssertionError("the folder to be damaged could not be made")
    past = Past()
    followed(past, f"{seed}/damage", told.read_bytes())
    if not [past.state, *steps(past.state, Work())][-1].snapshots[-1]:
        raise AssertionError("the folder to be damaged shows nothing: choose another seed")


def _sound(folder: Path, seed: str) -> Sound:
    """Asks a copy of the folder, in a child, since this process must open nothing."""
    random = Random(f"{seed}/questions")
    copy, said = folder.with_name("asked"), folder.with_name("answers.json")
    shutil.copytree(folder, copy)
    rows = _rows(copy / "data")
    assert rows is not None

    def work() -> None:
        with closing(application_on(copy / "data")) as application:
            head = application.catalog.head()
            asked = [
                (query, mode, revision)
                for query in queries(random, 4)
                for mode in _MODES
                for revision in sorted({head, max(1, head - 3)})
            ]
            answers = [search(application, *question) for question in asked]
            problems = findings_of(application)
        said.write_text(json.dumps([asked, answers, problems]))

    if ended(forked(work)) != 0:
        raise AssertionError("the folder without damage can't be asked")
    asked, answers, problems = json.loads(said.read_text())
    if problems:
        raise AssertionError(f"the folder without damage has findings: {problems}")
    shutil.rmtree(copy)
    questions = [(query, mode, revision) for query, mode, revision in asked]
    return Sound(folder, rows, questions, [[tuple(passage) for passage in answer] for answer in answers])
