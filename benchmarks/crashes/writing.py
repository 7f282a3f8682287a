"""Two processes that work on one folder at once, each killed in turn while the other goes on."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import select

from crashes.checks import Depth, Found, doctor_is_clean, rebuilt_equals
from crashes.documents import Name, new_content
from crashes.folder import application_on
from crashes.killing import Tally
from crashes.model import State
from crashes.past import teller
from crashes.processes import ended, forked, looked_at
from crashes.workload import work
from ingest.catalog import schema
from ingest.errors import CatalogUnavailable, LeaseLost, NotFound
from ingest.pipeline import IncomingFile

_DOCUMENTS = 6
_ROUNDS_A_FOLDER = 10


def writing_rounds(seed: str, rounds: int, place: Path) -> Tally:
    """`place` is an empty folder for all of it."""
    tally = Tally()
    data = place / "data"
    for number in range(rounds):
        if number % _ROUNDS_A_FOLDER == 0 or tally.problems:
            shutil.rmtree(data, ignore_errors=True)
        random = Random(f"{seed}/{number}")
        told = [place / "told-a", place / "told-b"]
        for file in told:
            file.unlink(missing_ok=True)
        pids = [
            forked(partial(_write, data, f"{seed}/{number}/{writer}", f"{writer}{number}", told[writer]))
            for writer in (0, 1)
        ]
        random.shuffle(pids)
        for pid in pids:
            time.sleep(random.uniform(0.2, 0.8))
            os.kill(pid, signal.SIGKILL)
        statuses = [ended(pid) for pid in pids]
        if any(status != -signal.SIGKILL for status in statuses):
            tally.problems.append(f"round {number}: a writer ended by itself: {statuses}")
        words = [file.read_text().splitlines() if file.exists() else [] for file in told]
        found = looked_at(partial(_check, data, words, random), place / "found.json")
        tally.add(found, f"round {number}")
        tally.rounds += 1
    return tally


def _write(data: Path, seed: str, writer: str, told: Path) -> None:
    """Uploads and deletes documents of its own and one that both have, with a worker that does or stands by."""
    random, tell = Random(seed), teller(told)
    application = application_on(data)
    application.worker.start()
    while True:
        names = [Name("default", f"n{writer}d{number}") for number in range(_DOCUMENTS)]
        name = random.choice([*names, Name("default", "nshared")])
        content = new_content(random)
        try:
            if random.random() < 0.1:
                application.history.delete_document(name.document_id)
                tell(f"deleted {name.document_id}\n".encode())
                continue
            files = [IncomingFile(name.uri, name.uri, content.text.encode())]
            application.ingestion.submit(files, name.collection, None)
            tell(f"uploaded {name.document_id} {content.content_hash}\n".encode())
            application.worker.wake()
            application.searcher.follow()
        except (CatalogUnavailable, LeaseLost, NotFound):
            continue


def _check(data: Path, told: list[list[str]], random: Random) -> Found:
    """Every acknowledged upload was ingested, revisions have no gap, and the index is that of a fresh build."""
    found = Found(state=0)
    application = application_on(data)
    work(application, idle=True)
    with application.catalog.reading() as connection:
        its = select(schema.versions.c.document_id, schema.versions.c.content_hash)
        versions = {tuple(row) for row in connection.execute(its)}
        revisions = list(connection.execute(select(schema.revisions.c.revision)).scalars())
    for line in (line for words in told for line in words):
        kind, *rest = line.split()
        found.counts["acknowledged writes"] += 1
        if kind == "uploaded" and tuple(rest) not in versions:
            found.problems.append(f"lost {line}")
    if sorted(revisions) != list(range(1, len(revisions) + 1)):
        found.problems.append("the revisions have gaps")
    application.close()
    with closing(application_on(data)) as application:
        rebuilt_equals(application, State(snapshots=({},) * (len(revisions) + 1)), random, Depth(4, 1), found)
    with closing(application_on(data)) as application:
        doctor_is_clean(application, found)
    return found
