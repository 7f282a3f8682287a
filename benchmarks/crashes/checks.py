"""What must hold of a data folder after a crash, looked at as the next start would."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from crashes.documents import queries
from crashes.folder import application_on, differences, truth_of
from crashes.model import State, Work, steps
from crashes.workload import contents_of, search, work
from ragstone.backups.restoring import restore
from ragstone.doctor import CHECKS, Check, examine
from ragstone.wiring import Application

_MODES = ("lexical", "dense", "hybrid")
_SAME_SCORE = 1e-5


@dataclass(slots=True)
class Found:
    """What a look at a folder found. `problems` are bugs; `litter` is what only `doctor --repair` takes away."""

    state: int = -1  # which of the possible states the folder is in
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    litter: Counter[str] = field(default_factory=Counter)

    def encoded(self) -> bytes:
        values = {name: getattr(self, name) for name in ("state", "counts", "problems", "litter")}
        return json.dumps(values).encode()

    @classmethod
    def decoded(cls, data: bytes) -> Found:
        values = json.loads(data)
        return cls(values["state"], Counter(values["counts"]), values["problems"], Counter(values["litter"]))


@dataclass(frozen=True, slots=True)
class Depth:
    """How much to look at: revisions to ask of, queries of each, and whether the jobs are done first."""

    revisions: int = 6
    queries: int = 2
    drain: bool = True


def check(data: Path, possible: Sequence[State], random: Random, depth: Depth, erased: set[str]) -> Found:
    """`possible` are the states that the folder may be in, that of the last acknowledged operation first.

    `erased` are words that only erased documents ever held.
    """
    found = Found()
    with closing(application_on(data)) as application:
        state = _matched(application, possible, found)
        if state is None:
            return found
        found.counts["revisions compared"] += sum(state.kept(revision) for revision in range(state.head + 1))
        _doctor(application, found, "before")
        if depth.drain:
            work(application)
            state = [state, *steps(state, Work())][-1]
            told = differences(truth_of(application.catalog), state)
            found.problems += [f"after the waiting jobs: {each}" for each in told]
            if told:
                return found
            _bytes(data, state, erased, found)
    # Another start, as a person would who looks at it after the service has stopped.
    with closing(application_on(data)) as application:
        rebuilt_equals(application, state, random, depth, found)
        if depth.drain:
            _doctor(application, found, "after")
    return found


def check_backup(file: Path, state: State, found: Found) -> None:
    """Restores the backup somewhere else and compares it with the state that it was taken of."""
    with TemporaryDirectory(dir=file.parent) as name:
        folder = Path(name) / "restored"
        restore(file, folder, None, force=False, progress=lambda step, done, total: None)
        with closing(application_on(folder)) as application:
            found.problems += [f"in the backup: {each}" for each in differences(truth_of(application.catalog), state)]
            _doctor(application, found, "after")
    found.counts["backups restored"] += 1


def _matched(application: Application, possible: Sequence[State], found: Found) -> State | None:
    truth = truth_of(application.catalog)
    told: list[list[str]] = []
    # The latest first: that a job was added is in the last state only, and a job too much is no difference.
    for number, state in reversed(list(enumerate(possible))):
        told.append(differences(truth, state))
        if not told[-1]:
            found.state = number
            return state
    nearest = min(told, key=len)
    found.problems += [f"in none of {len(possible)} states: {each}" for each in nearest[:6]]
    return None


def _doctor(application: Application, found: Found, when: str) -> None:
    """Before the start's own healing findings are only counted; after it those that can be repaired are, and told."""
    checks = 0
    for family, findings in examine(application):
        checks += 1
        if family.name == "models":
            continue
        if when == "before":
            found.counts["doctor findings before the start's healing"] += len(findings)
            continue
        for finding in findings:
            if finding.repair is None or (failed := finding.mend()) is not None:
                why = "" if finding.repair is None else f" (repair failed: {failed})"
                found.problems.append(f"doctor: {family.name}: {finding.what}{why}")
            else:
                found.litter[f"{family.name}: {_kind(finding.what)}"] += 1
        if findings:
            found.problems += [f"doctor: after its repair: {each}" for each in _again(application, family)]
    assert checks == len(CHECKS)
    found.counts["doctor runs"] += 1


def findings_of(application: Application) -> list[str]:
    """What the doctor finds, without the check of the models."""
    return [
        f"{family.name}: {finding.what}"
        for family, findings in examine(application)
        if family.name != "models"
        for finding in findings
    ]


def _again(application: Application, family: Check) -> list[str]:
    # The index that is open was built before a repair took its files away: it is another start that sees it mended.
    if family.name in ("segments", "index", "snapshots"):
        return []
    return [finding.what for finding in family.run(application)]


def _kind(what: str) -> str:
    """A finding without names and numbers."""
    return " ".join(word for word in what.split() if not any(letter.isdigit() or letter in "/…" for letter in word))


def _bytes(data: Path, state: State, erased: set[str], found: Found) -> None:
    """No file holds a word of what was erased. Call it when all jobs are done."""
    contents = contents_of(state)
    there = {name.word for name in contents} | {each.marker for its in contents.values() for each in its}
    gone = [word.encode() for word in sorted(erased - there)]
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and not path.name.endswith("-shm")]
    for path in files:
        held = path.read_bytes()
        found.problems += [
            f"bytes of an erased document ({word.decode()}) in {_kind(path.parent.name)}/{path.name}"
            for word in gone
            if word in held
        ]
    found.counts["erased words looked for"] += len(gone)


def rebuilt_equals(application: Application, state: State, random: Random, depth: Depth, found: Found) -> None:
    """The folder's index, as it is and as it heals itself, against one built from nothing."""
    kept = [revision for revision in range(1, state.head + 1) if state.kept(revision)]
    chosen = sorted({*random.sample(kept, min(depth.revisions, len(kept))), *kept[-1:]})
    asked = queries(random, depth.queries)
    with TemporaryDirectory(dir=application.settings.data.parent) as name:
        copy = Path(name)
        source = sqlite3.connect(application.settings.data / "catalog.sqlite")
        target = sqlite3.connect(copy / "catalog.sqlite")
        source.backup(target)
        source.close()
        target.close()
        with closing(application_on(copy)) as rebuilt:
            for revision in chosen:
                for query in asked:
                    for mode in _MODES:
                        ours = search(application, query, mode, revision)
                        theirs = search(rebuilt, query, mode, revision)
                        found.counts["queries compared"] += 1
                        found.counts["passages compared"] += len(theirs)
                        if not _equal(ours, theirs):
                            found.problems.append(f"query: {mode} at {revision}: {ours[:3]} and rebuilt {theirs[:3]}")


def _equal(ours: list[tuple[str, str, float]], theirs: list[tuple[str, str, float]]) -> bool:
    return [each[:2] for each in ours] == [each[:2] for each in theirs] and all(
        abs(left[2] - right[2]) < _SAME_SCORE for left, right in zip(ours, theirs, strict=True)
    )
