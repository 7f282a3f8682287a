"""Erasing a document for good: from every revision, batch, job, answer and index, with a tombstone in its place.

Erasing has three parts. `Erasure.request` is a revision as any other, so that all readers stop showing the document at
once, and the job that does the rest. `Erasure.purge` takes its content out of the catalog in one transaction. Then
whoever called rewrites the index segments that hold its chunks, removes its originals, and calls `Erasure.settle`,
which leaves no copy in the database's own files: SQLite's file is rewritten without what was deleted (overwriting it,
as `secure_delete` does, leaves remains in the gaps of pages), and its log is moved into it and truncated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Text, cast, delete, func, insert, select, update

from ingest import source_items
from ingest.catalog import marks, schema, statements
from ingest.catalog.catalog import Catalog, Readable
from ingest.errors import CatalogUnavailable
from ingest.identity import ERASED_NAME, document_id_of
from ingest.jobs.queue import UNFINISHED, JobQueue
from ingest.jobs.uploads import Upload
from ingest.quarantine import quarantine
from ingest.revisions.history import hide_document
from ingest.screening.near_copies import forget_signatures

# Takes the stored record of an answer, and gives it back without anything that could quote a document.
Redact = Callable[[dict[str, Any]], dict[str, Any]]

# The kind of the job that erases.
ERASE = "erase"
_ALL_JOBS = 2**62
_PATIENCE_S = 60
_PAUSE_S = 0.05
_PATTERN_CHARACTERS = 10_000


class Erasure:
    """Erases documents of one catalog; `redact` knows the form of an answer's record."""

    def __init__(self, catalog: Catalog, queue: JobQueue, redact: Redact) -> None:
        self._catalog = catalog
        self._queue = queue
        self._redact = redact

    def request(self, document_id: str, readable: Readable = None) -> tuple[int, str]:
        """Hides the document from all at once, for good; returns the revision and the job that does the rest.

        Uploads of it that came before are refused from now on; those that come later are a new document's. Raises
        NotFound.
        """
        with self._catalog.writing() as connection:
            document = statements.document(connection, document_id, readable, shown=readable is not None)
            revision = hide_document(connection, document_id) or statements.head(connection)
            _put_tombstone(connection, document_id)
            source_items.erase(connection, document_id)
            payload = {"document_id": document_id}
            job_id = self._queue.enqueue_task(connection, ERASE, payload, [document["collection"]])
        return revision, job_id

    def waiting(self) -> list[str]:
        """The documents whose erasure was asked for and is not done, in that order."""
        table = schema.jobs
        query = select(table.c.payload).where(table.c.kind == ERASE, table.c.state.in_(UNFINISHED))
        query = query.order_by(table.c.number)
        with self._catalog.reading() as connection:
            return [its["document_id"] for its in connection.execute(query).scalars() if not its.get("erased")]

    def purge(self, document_id: str) -> list[int]:
        """Takes the document out of the catalog, and what no other document shares; returns the chunks that are gone.

        Safe to repeat: what the index is still to forget is noted in the catalog.
        """
        with self._catalog.writing() as connection:
            _redact_jobs(connection, document_id)
            source_items.erase(connection, document_id)
            quarantine.forget_document(connection, document_id)
            forget_signatures(connection, [document_id])
            occurrences, stood = _remove_document(connection, document_id)
            chunks = statements.remove_unused_chunks(connection, stood)
            self._redact_answers(connection, document_id)
            marks.put_purged(connection, occurrences)
        return chunks

    def done(self, document_ids: Collection[str]) -> None:
        """Notes in the jobs that wait to erase these documents that nothing is left to do."""
        table = schema.jobs
        query = select(table.c.number, table.c.payload).where(table.c.kind == ERASE, table.c.state.in_(UNFINISHED))
        with self._catalog.writing() as connection:
            for number, payload in connection.execute(query).all():
                if payload["document_id"] in document_ids:
                    its = update(table).where(table.c.number == number)
                    connection.execute(its.values(payload={**payload, "erased": True}))

    def settle(self) -> None:
        """Leaves nothing in the gaps of the database's pages, nor in its log.

        Raises CatalogUnavailable while a reader stays in the way, and StorageFull where there is no room for a copy.
        """
        self._catalog.database.rewrite()
        deadline = time.monotonic() + _PATIENCE_S
        while not self._catalog.database.truncate_log():
            if time.monotonic() > deadline:
                raise CatalogUnavailable("a reader holds on to the database's log, which keeps erased text: try again")
            time.sleep(_PAUSE_S)

    def _redact_answers(self, connection: Connection, document_id: str) -> None:
        answers, feedback = schema.answers, schema.feedback
        quotes = cast(answers.c.record, Text).contains(document_id)
        found = connection.execute(select(answers.c.answer_id, answers.c.record).where(quotes)).all()
        for answer_id, record in found:
            redacted = self._redact(record)
            its = answers.c.answer_id == answer_id
            connection.execute(update(answers).where(its).values(record=redacted, prompt={}, state="erased"))
            said = feedback.c.answer_id == answer_id
            connection.execute(update(feedback).where(said).values(correction=None, reason=None))


def _put_tombstone(connection: Connection, document_id: str) -> None:
    table = schema.tombstones
    values = {
        "versions": statements.last_versions(connection, [document_id]).get(document_id, 0),
        "last_job": connection.execute(select(func.max(schema.jobs.c.number))).scalar() or 0,
        "erased_at": datetime.now(UTC),
    }
    connection.execute(delete(table).where(table.c.document_id == document_id))
    connection.execute(insert(table).values(document_id=document_id, **values))


def _remove_document(connection: Connection, document_id: str) -> tuple[list[int], list[int]]:
    """Removes all rows of the document; returns the ids of its occurrences, and the chunks that stood in it."""
    held = (schema.occurrences, schema.staged_occurrences)
    table = schema.occurrences
    occurrences = connection.execute(select(table.c.occurrence_id).where(table.c.document_id == document_id)).scalars()
    ids = list(occurrences)
    numbers: set[int] = set()
    for table in held:
        numbers.update(
            connection.execute(select(table.c.chunk).distinct().where(table.c.document_id == document_id)).scalars()
        )
    for table in (*held, schema.showings, schema.staged, schema.versions, schema.documents):
        connection.execute(delete(table).where(table.c.document_id == document_id))
    return ids, sorted(numbers)


def _redact_jobs(connection: Connection, document_id: str) -> None:
    """Takes names, problems and waiting uploads of the document out of all jobs."""
    jobs = schema.jobs
    named = cast(jobs.c.outcomes, Text).contains(document_id)
    uri_of = select(schema.documents.c.uri).where(schema.documents.c.document_id == document_id)
    uri = connection.execute(uri_of).scalar_one_or_none()
    if uri is not None:
        # SQLite takes no pattern of more than 50,000 bytes; what this finds too much is left alone below.
        begins = json.dumps(uri)[1:-1][:_PATTERN_CHARACTERS]
        for column in (jobs.c.payload, jobs.c.problems):  # a refresh tells of problems only
            named |= cast(column, Text).contains(begins, autoescape=True)
    # What came after the document was erased is of the new document of that name. In a restored catalog there may be no
    # tombstone yet.
    last_job = select(schema.tombstones.c.last_job).where(schema.tombstones.c.document_id == document_id)
    named &= jobs.c.number <= func.coalesce(last_job.scalar_subquery(), _ALL_JOBS)
    for row in connection.execute(select(jobs).where(named)).mappings().all():
        outcomes = [_nameless(item) if item["document_id"] == document_id else item for item in row["outcomes"]]
        of_it = uri is not None and any(document_id_of(name, uri) == document_id for name in row["collections"])
        problems = [
            _nameless(problem) if of_it and problem.get("uri") == uri else problem for problem in row["problems"]
        ]
        payload = dict(row["payload"])
        if "uploads" in payload:
            payload["uploads"] = [
                withdrawn(item, document_id) if Upload(**item).document_id == document_id else item
                for item in payload["uploads"]
            ]
        its = jobs.c.number == row["number"]
        connection.execute(update(jobs).where(its).values(outcomes=outcomes, problems=problems, payload=payload))


def withdrawn(upload: dict[str, Any], document_id: str) -> dict[str, Any]:
    """An upload in a job's payload, of a document that was erased: nothing in it tells of it."""
    names = {"uri": ERASED_NAME, "name": ERASED_NAME, "metadata": None, "password": None, "document": document_id}
    return {**upload, **names, "erased": True}


def _nameless(item: dict[str, Any]) -> dict[str, Any]:
    """An outcome or a problem of an erased document: that it was, and no word of it."""
    kept = {**item, "uri": ERASED_NAME}
    if "detail" in kept:
        kept["detail"] = "the document was erased"
    if kept.get("problem"):
        kept["problem"] = _nameless(kept["problem"])
    return kept
