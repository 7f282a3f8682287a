"""Jobs and leases in states that can't be, batches that hold what they should not, erased documents that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import Connection, RowMapping, delete, func, or_, select, update

from ingest.catalog import schema, statements
from ingest.catalog.leases import LEASE_S, Holder
from ingest.erasure import ERASE
from ingest.jobs.queue import FINISHED, INGEST
from ingest.types import JobState
from ragstone.doctor.findings import Finding
from ragstone.erasing import erase_document

if TYPE_CHECKING:
    from ragstone.wiring import Application

_ROWS = 100
_BATCH_STATES = ("open", "promoted", "dropped")
_HOLDER = {field.name for field in fields(Holder)}
_UPLOAD_AGAIN = "upload its files again"


def jobs(application: Application) -> Iterator[Finding]:
    """Jobs, and the leases of those who do them."""
    table = schema.jobs
    with application.catalog.reading() as connection:
        query = select(table).order_by(table.c.number).execution_options(yield_per=_ROWS)
        for row in connection.execute(query).mappings():
            yield from _job(application, row)
        yield from _leases(application, connection)


def _job(application: Application, row: RowMapping) -> Iterator[Finding]:
    job_id, state = row["job_id"], row["state"]
    if state not in get_args(JobState):
        # To do it again changes nothing that was done: uploads that are known are unchanged, tasks can be repeated.
        yield Finding(
            f"job {job_id} has the state {state!r}, which there is not",
            partial(_set, application, job_id, state="queued", finished_at=None),
        )
        return
    if state in FINISHED and row["finished_at"] is None:
        ended = row["started_at"] or row["created_at"]
        yield Finding(f"job {job_id} is {state} and never ended", partial(_set, application, job_id, finished_at=ended))
    if state not in FINISHED and row["finished_at"] is not None:
        yield Finding(
            f"job {job_id} is {state} and has ended before", partial(_set, application, job_id, finished_at=None)
        )
    uploads = row["payload"].get("uploads") if row["kind"] == INGEST else ()  # a refresh counts otherwise
    if not 0 <= row["done"] <= row["total"] or len(uploads or ()) > row["total"]:
        yield Finding(
            f"job {job_id} has done {row['done']} of {row['total']} with {len(uploads or ())} uploads: {_UPLOAD_AGAIN}"
        )


def _set(application: Application, job_id: str, **values: Any) -> None:
    with application.catalog.writing() as connection:
        connection.execute(update(schema.jobs).where(schema.jobs.c.job_id == job_id).values(values))


def _leases(application: Application, connection: Connection) -> Iterator[Finding]:
    latest = datetime.now(UTC) + timedelta(seconds=2 * LEASE_S)
    for row in connection.execute(select(schema.leases)).mappings():
        holder, expires = row["holder"], row["expires_at"]
        if row["term"] < 1 or not isinstance(holder, dict) or holder.keys() != _HOLDER:
            forget = partial(_forget_lease, application, row["name"], row["term"])
            yield Finding(f"the lease {row['name']} has no holder that there can be", forget)
        elif expires is not None and statements.aware(expires) > latest:
            yield Finding(
                f"the lease {row['name']} ends at {expires}, which is too far off: set the clock of {holder['host']}"
            )


def _forget_lease(application: Application, name: str, term: int) -> None:
    table = schema.leases
    with application.catalog.writing() as connection:
        connection.execute(delete(table).where(table.c.name == name, table.c.term == term))


def batches(application: Application) -> Iterator[Finding]:
    """Only an open batch has anything staged, and all of it belongs together."""
    table = schema.batches
    with application.catalog.reading() as connection:
        head = statements.head(connection)
        for row in connection.execute(select(table)).mappings():
            yield from _batch(application, connection, row, head)
        for staged in (schema.staged, schema.staged_occurrences):
            known = select(table.c.batch_id)
            for batch_id in connection.execute(
                select(staged.c.batch_id).distinct().where(staged.c.batch_id.not_in(known))
            ).scalars():
                forget = partial(_forget_staged, application, batch_id)
                yield Finding(f"{staged.name} has rows of batch {batch_id}, which is not there", forget)


def _batch(application: Application, connection: Connection, row: RowMapping, head: int) -> Iterator[Finding]:
    batch_id, state = row["batch_id"], row["state"]
    if state not in _BATCH_STATES:
        yield Finding(f"batch {batch_id} has the state {state!r}, which there is not: restore a backup")
        return
    if row["base_revision"] > head or (row["revision"] or 0) > head or (state == "promoted") != bool(row["revision"]):
        yield Finding(
            f"batch {batch_id} is {state}, made on revision {row['base_revision']} and promoted at {row['revision']}, "
            f"and the newest is {head}: restore a backup"
        )
    staged, occurrences = schema.staged, schema.staged_occurrences
    rows = sum(statements.count(connection, t, t.c.batch_id == batch_id) for t in (staged, occurrences))
    if state != "open" and rows:
        forget = partial(_forget_staged, application, batch_id)
        yield Finding(f"batch {batch_id} is {state} and {rows} rows are staged in it", forget)
        return
    same = (staged.c.batch_id == occurrences.c.batch_id) & (staged.c.document_id == occurrences.c.document_id)
    told = select(staged.c.batch_id).where(same, staged.c.version == occurrences.c.version).exists()
    untold = statements.count(connection, occurrences, occurrences.c.batch_id == batch_id, ~told)
    if untold:
        yield Finding(f"{untold} occurrences in batch {batch_id} are of versions that it does not show: drop the batch")
    its = select(occurrences.c.version).where(same, staged.c.version == occurrences.c.version).exists()
    empty = select(staged.c.document_id).where(staged.c.batch_id == batch_id, staged.c.version.is_not(None), ~its)
    for document_id in connection.execute(empty).scalars():
        yield Finding(f"batch {batch_id} shows a version of {document_id} without occurrences: drop the batch")


def _forget_staged(application: Application, batch_id: str) -> None:
    """Nobody can see it any more. What then stands nowhere is found by the next look at what is not used."""
    with application.catalog.writing() as connection:
        for table in (schema.staged_occurrences, schema.staged):
            connection.execute(delete(table).where(table.c.batch_id == batch_id))


def erased(application: Application) -> Iterator[Finding]:
    """A tombstone whose document is there, unless it came again or the job that erases it is still to do."""
    tombstones, versions, table = schema.tombstones, schema.versions, schema.jobs
    with application.catalog.reading() as connection:
        waiting = select(table.c.payload).where(table.c.kind == ERASE, table.c.state.not_in(FINISHED))
        pending = {payload.get("document_id") for payload in connection.execute(waiting).scalars()}
        old = (
            select(tombstones.c.document_id, func.max(versions.c.version) > tombstones.c.versions)
            .join(versions, versions.c.document_id == tombstones.c.document_id)
            .group_by(tombstones.c.document_id, tombstones.c.versions)
            .having(func.min(versions.c.version) <= tombstones.c.versions)
        )
        for document_id, came_again in connection.execute(old).all():
            if document_id in pending:
                continue
            if came_again:
                yield Finding(
                    f"{document_id} was erased and has versions from before beside newer ones: erase it again"
                )
            else:
                yield Finding(f"{document_id} was erased and is still there", partial(_erase, application, document_id))
        yield from _rows_without_versions(connection, pending)


def _rows_without_versions(connection: Connection, pending: set[Any]) -> Iterator[Finding]:
    """What is left of an erased document although its versions are gone."""
    tombstones, versions = schema.tombstones, schema.versions
    for table in (schema.documents, schema.showings, schema.occurrences, schema.staged_occurrences):
        its = select(versions.c.document_id).where(versions.c.document_id == table.c.document_id).exists()
        staged = select(schema.staged.c.document_id).where(schema.staged.c.document_id == table.c.document_id).exists()
        query = (
            select(table.c.document_id)
            .distinct()
            .join(tombstones, tombstones.c.document_id == table.c.document_id)
            .where(~or_(its, staged))
        )
        for document_id in connection.execute(query).scalars():
            if document_id not in pending:
                yield Finding(f"{document_id} was erased and has rows in {table.name}: erase it again")


def _erase(application: Application, document_id: str) -> None:
    erase_document(application, document_id)
