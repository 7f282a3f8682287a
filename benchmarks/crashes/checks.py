"""What must hold of a data folder after a crash, looked at as the next start would."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from sqlalchemy import select

from crashes.documents import queries
from crashes.folder import application_on, differences, truth_of
from crashes.model import State, Work, steps
from crashes.workload import contents_of, search, work
from ingest.catalog import schema
from ragstone.backups.restoring import restore
from ragstone.doctor import CHECKS, examine
from ragstone.wiring import Application
from retrieval.index_files import IndexFiles

_MODES = ("lexical", "dense", "hybrid")
_SAME_SCORE = 1e-5


@dataclass(slots=True)
class Found:
    """What a look at a folder found; `problems` are bugs."""

    state: int = -1  # which of the possible states the folder is in
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def encoded(self) -> bytes:
        values = {name: getattr(self, name) for name in ("state", "counts", "problems")}
        return json.dumps(values).encode()

    @classmethod
    def decoded(cls, data: bytes) -> Found:
        values = json.loads(data)
        return cls(values["state"], Counter(values["counts"]), values["problems"])


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
        found.counts["doctor findings before a worker started"] += len(findings_of(application))
        if depth.drain:
            work(application, idle=True)
            state = [state, *steps(state, Work())][-1]
            found.counts["answers compared"] += len(state.answers)
            found.counts["answers redacted"] += sum(answer.erased for answer in state.answers.values())
            told = differences(truth_of(application.catalog), state)
            found.problems += [f"after the waiting jobs: {each}" for each in told]
            if told:
                return found
            _bytes(application, state, erased, found)
    # Another start, as a person would who looks at it after the service has stopped.
    with closing(application_on(data)) as application:
        rebuilt_equals(application, state, random, depth, found)
        if depth.drain:
            doctor_is_clean(application, found)
    return found


def check_backup(file: Path, state: State, found: Found) -> None:
    """Restores the backup somewhere else and compares it with the state that it was taken of."""
    with TemporaryDirectory(dir=file.parent) as name:
        folder = Path(name) / "restored"
        restore(file, folder, None, force=False, progress=lambda step, done, total: None)
        with closing(application_on(folder)) as application:
            found.problems += [f"in the backup: {each}" for each in differences(truth_of(application.catalog), state)]
            doctor_is_clean(application, found)
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
    # Of a state at another revision only that is told.
    nearest = min(told, key=lambda each: (each[0].startswith("the newest revision"), len(each)))
    found.problems += [f"in none of {len(possible)} states: {each}" for each in nearest[:6]]
    return None


def doctor_is_clean(application: Application, found: Found) -> None:
    found.problems += [f"doctor: {each}" for each in findings_of(application)]
    found.counts["doctor runs"] += 1


def findings_of(application: Application) -> list[str]:
    """What the doctor finds, without the check of the models."""
    looked = [(check, findings) for check, findings in examine(application) if check.name != "models"]
    assert len(looked) == len(CHECKS) - 1
    return [f"{check.name}: {finding.what}" for check, findings in looked for finding in findings]


def _bytes(application: Application, state: State, erased: set[str], found: Found) -> None:
    """Nothing holds a word of what was erased. Call it when all jobs are done."""
    contents = contents_of(state)
    there = {name.word for name in contents} | {each.marker for its in contents.values() for each in its}
    gone = [word.encode() for word in sorted(erased - there)]
    for place, held in _all_bytes(application):
        found.problems += [f"bytes of an erased document ({word.decode()}) in {place}" for word in gone if word in held]
    found.counts["erased words looked for"] += len(gone)


def _all_bytes(application: Application) -> Iterator[tuple[str, bytes]]:
    """All files by their names, and the tables of a catalog whose files are a server's."""
    for path in sorted(application.settings.data.rglob("*")):
        if path.is_file() and not path.name.endswith("-shm"):
            yield f"{path.parent.name}/{path.name}", path.read_bytes()
    if not application.catalog.database.is_sqlite:
        with application.catalog.reading() as connection:
            for table in schema.metadata.sorted_tables:
                rows = connection.execute(select(table)).all()
                yield f"the table {table.name}", "\n".join(map(str, rows)).encode()


def rebuilt_equals(application: Application, state: State, random: Random, depth: Depth, found: Found) -> None:
    """The folder's index, as it is and as it heals itself, against one built from nothing."""
    kept = [revision for revision in range(1, state.head + 1) if state.kept(revision)]
    chosen = sorted({*random.sample(kept, min(depth.revisions, len(kept))), *kept[-1:]})
    asked = queries(random, depth.queries)
    rebuilt = application_on(application.settings.data)
    with TemporaryDirectory(dir=application.settings.data.parent) as name, closing(rebuilt):
        rebuilt.index_files = IndexFiles(Path(name), rebuilt.catalog.catalog_id)
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
