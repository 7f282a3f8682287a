"""What a restored catalog must obey: that which was erased, revoked and numbered since the backup was taken."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from generation.store import redacted
from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.erasure import Erasure, withdrawn
from ingest.jobs.queue import JobQueue
from ingest.jobs.uploads import Upload
from ragstone.backups.copies import raise_counters


@dataclass(frozen=True, slots=True)
class Tombstone:
    document_id: str
    versions: int
    last_job: int
    erased_at: datetime


@dataclass(frozen=True, slots=True)
class Replaced:
    """What outlives a catalog that is replaced. `revoked` are keys, by id, and when they were revoked."""

    tombstones: Sequence[Tombstone] = ()
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)


def read_from_file(raw: sqlite3.Connection) -> Replaced:
    """What the catalog behind `raw`, which has SQLite's file to itself, leaves to the one that takes its place."""
    tombstones = raw.execute("SELECT document_id, versions, last_job, erased_at FROM tombstones")
    revoked = raw.execute("SELECT key_id, revoked_at FROM keys WHERE revoked_at IS NOT NULL")
    return Replaced(
        [Tombstone(row[0], row[1], row[2], _moment(row[3])) for row in tombstones],
        {key_id: _moment(moment) for key_id, moment in revoked},
        dict(raw.execute("SELECT name, seq FROM sqlite_sequence").fetchall()),
    )


def obey(catalog: Catalog, replaced: Replaced) -> int:
    """Erases from a restored catalog what was erased since; returns how many documents.

    A document that was erased, came again, and then was backed up stays: the backup has the same tombstone.
    """
    erasure = Erasure(catalog, JobQueue(catalog), redacted)
    with catalog.reading() as connection:
        known = {row.document_id: _tombstone(row) for row in connection.execute(select(schema.tombstones))}
    newer = [
        tombstone
        for tombstone in replaced.tombstones
        if tombstone.document_id not in known or known[tombstone.document_id].erased_at < tombstone.erased_at
    ]
    erased = {tombstone.document_id for tombstone in newer}
    with catalog.writing() as connection:
        _withdraw_uploads(connection, erased)
        raise_counters(connection, replaced.counters)
        for key_id, moment in replaced.revoked.items():
            lasting = (schema.keys.c.key_id == key_id) & schema.keys.c.revoked_at.is_(None)
            connection.execute(update(schema.keys).where(lasting).values(revoked_at=moment))
    for tombstone in newer:
        erasure.purge(tombstone.document_id)
        with catalog.writing() as connection:
            _bury(connection, tombstone, known.get(tombstone.document_id))
    if newer:
        erasure.settle()
    return len(newer)


def _bury(connection: Connection, tombstone: Tombstone, known: Tombstone | None) -> None:
    table = schema.tombstones
    connection.execute(delete(table).where(table.c.document_id == tombstone.document_id))
    connection.execute(
        insert(table).values(
            document_id=tombstone.document_id,
            versions=max(tombstone.versions, known.versions if known else 0),
            last_job=max(tombstone.last_job, known.last_job if known else 0),
            erased_at=tombstone.erased_at,
        )
    )


def _withdraw_uploads(connection: Connection, document_ids: set[str]) -> None:
    """Takes waiting uploads of these documents out of the jobs, also those that no row of a document tells of yet."""
    jobs = schema.jobs
    for number, payload in connection.execute(select(jobs.c.number, jobs.c.payload)).all() if document_ids else ():
        uploads = payload.get("uploads", [])
        kept = [
            withdrawn(item, document_id) if (document_id := Upload(**item).document_id) in document_ids else item
            for item in uploads
        ]
        if kept != uploads:
            its = jobs.c.number == number
            connection.execute(update(jobs).where(its).values(payload={**payload, "uploads": kept}))


def _tombstone(row: Row[Any]) -> Tombstone:
    return Tombstone(row.document_id, row.versions, row.last_job, statements.aware(row.erased_at))


def _moment(stored: str) -> datetime:
    """SQLite holds times as text, in UTC."""
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
