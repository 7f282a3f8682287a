"""Rows that point at what is not there, rows that nothing points to, and names that don't fit their ids."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, delete, func, select

from ingest.catalog import facts, marks, schema, statements
from ingest.identity import document_id_of
from ragstone.doctor.findings import Finding, listed

if TYPE_CHECKING:
    from ragstone.wiring import Application

_ROWS = 4096
_RESTORE = "restore a backup"


def check(application: Application) -> Iterator[Finding]:
    with application.catalog.reading() as connection:
        yield from _dangling(application, connection)
        yield from _collections(application, connection)
        yield from _unused(application, connection)
        in_use = facts.get(connection, facts.SPACE_IN_USE)
        if in_use is not None and not statements.count(connection, schema.spaces, schema.spaces.c.space_id == in_use):
            yield Finding(f"the space in use, {in_use}, is not in the catalog: {_RESTORE}")


def _dangling(application: Application, connection: Connection) -> Iterator[Finding]:
    for table in (schema.occurrences, schema.staged_occurrences):
        yield from _told(connection, table, (("chunk", schema.chunks.c.number),), "chunk")
        yield from _told(connection, table, _version_of(table), "version")
    yield from _told(connection, schema.showings, _version_of(schema.showings), "version")
    yield from _told(connection, schema.staged, (("document_id", schema.documents.c.document_id),), "document")
    yield from _told(connection, schema.versions, (("document_id", schema.documents.c.document_id),), "document")
    yield from _told(connection, schema.feedback, (("answer_id", schema.answers.c.answer_id),), "answer")
    for column, target in (("chunk", schema.chunks.c.number), ("space", schema.spaces.c.number)):
        lost = _without(schema.vectors, ((column, target),))
        if said := listed(connection.execute(lost).scalars()):
            repair = partial(_remove_vectors, application, column, target)
            yield Finding(f"there is no {column} to vector {said}", repair)


def _told(connection: Connection, table: Any, points: Any, what: str) -> Iterator[Finding]:
    rows = connection.execute(_without(table, points))
    if said := listed("/".join(map(str, row)) for row in rows):
        yield Finding(f"there is no {what} to row {said} of {table.name}: {_RESTORE}")


def _version_of(table: Any) -> Any:
    return ("document_id", schema.versions.c.document_id), ("version", schema.versions.c.version)


def _without(table: Any, points: Any) -> Any:
    """Primary keys of the rows of `table` that point at nothing; `points` are pairs of a column and its target."""
    target = points[0][1].table
    there = select(points[0][1]).select_from(target).where(and_(*(table.c[name] == column for name, column in points)))
    return select(*table.primary_key).where(~there.correlate(table).exists()).order_by(*table.primary_key)


def _remove_vectors(application: Application, column: str, target: Any) -> None:
    """A vector belongs to a chunk and a space: without one of them it is of no use to anybody."""
    table = schema.vectors
    with application.catalog.writing() as connection:
        lost = list(connection.execute(_without(table, ((column, target),))).scalars())
        for part in statements.parts(lost):
            connection.execute(delete(table).where(table.c.arrival.in_(part)))


def _collections(application: Application, connection: Connection) -> Iterator[Finding]:
    """Access goes by collection: each row must have that of its document, and the document that of its id."""
    documents, collections = schema.documents, schema.collections
    rows = connection.execute(
        select(documents.c.document_id, documents.c.collection, documents.c.uri).execution_options(yield_per=_ROWS)
    )
    named = (row.document_id for row in rows if document_id_of(row.collection, row.uri) != row.document_id)
    if said := listed(named):
        yield Finding(f"the collection or URI of document {said} is not that of its id: {_RESTORE}")
    for table in (schema.occurrences, schema.staged_occurrences):
        (number,) = table.primary_key
        elsewhere = (
            select(number)
            .join(documents, documents.c.document_id == table.c.document_id)
            .where(documents.c.collection != table.c.collection)
            .order_by(number)
        )
        if said := listed(connection.execute(elsewhere).scalars()):
            yield Finding(f"row {said} of {table.name} stands in another collection than its document: {_RESTORE}")
    known = select(collections.c.collection)
    missing = connection.execute(select(documents.c.collection).distinct().where(documents.c.collection.not_in(known)))
    for name in missing.scalars().all():
        yield Finding(f"the collection {name} has documents and no row", partial(_put_collection, application, name))


def _put_collection(application: Application, name: str) -> None:
    with application.catalog.writing() as connection:
        statements.put_collections(connection, [name])


def _unused(application: Application, connection: Connection) -> Iterator[Finding]:
    if said := listed(connection.execute(_unused_chunks()).scalars()):
        yield Finding(f"chunk {said} stands nowhere", partial(_remove_unused_chunks, application))
    versions = schema.versions
    held = [
        select(table.c.version)
        .where(table.c.document_id == versions.c.document_id, table.c.version == versions.c.version)
        .exists()
        for table in (schema.showings, schema.staged, schema.occurrences)
    ]
    idle = select(versions.c.document_id, versions.c.version).where(*(~found for found in held))
    if said := listed(f"{row.version} of {row.document_id}" for row in connection.execute(idle)):
        yield Finding(f"version {said} is shown at no revision", partial(_remove_unused_versions, application))
    documents, staged = schema.documents, schema.staged
    its = [
        select(t.c.document_id).where(t.c.document_id == documents.c.document_id).exists() for t in (versions, staged)
    ]
    if said := listed(connection.execute(select(documents.c.document_id).where(*(~found for found in its))).scalars()):
        yield Finding(f"document {said} has no version", partial(_remove_unused_versions, application))


def _unused_chunks() -> Any:
    chunks = schema.chunks
    held = [
        select(table.c.chunk).where(table.c.chunk == chunks.c.number).exists()
        for table in (schema.occurrences, schema.staged_occurrences)
    ]
    return select(chunks.c.number).where(*(~found for found in held)).order_by(chunks.c.number)


def _remove_unused_chunks(application: Application) -> None:
    """No document has them any more: they must not outlive those that had."""
    with application.catalog.writing() as connection:
        statements.remove_unused_chunks(connection, list(connection.execute(_unused_chunks()).scalars()))
        marks.put_purged(connection, [])


def _remove_unused_versions(application: Application) -> None:
    with application.catalog.writing() as connection:
        # What has occurrences and is not shown is another fault, and must stay for who mends that.
        table = schema.occurrences
        showings = schema.showings
        shown = select(showings.c.version).where(
            showings.c.document_id == table.c.document_id, showings.c.version == table.c.version
        )
        if not connection.execute(select(func.count()).select_from(table).where(~shown.exists())).scalar_one():
            statements.remove_unused_versions(connection)
