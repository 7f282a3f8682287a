"""Retention: what was hidden long ago is purged, but for what a pin holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from ingest.catalog import marks, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.config import RetentionSettings
from ingest.errors import NotFound


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge took: occurrences, and the numbers of chunks that then stood nowhere."""

    occurrences: int
    chunks: list[int]


@dataclass(frozen=True, slots=True)
class Pin:
    """What keeps a revision."""

    name: str
    revision: int
    created_at: datetime


class Retention:
    """Purges one catalog. `settings` hold where a collection has none of its own."""

    def __init__(self, catalog: Catalog, settings: RetentionSettings) -> None:
        self._catalog = catalog
        self._settings = settings

    def purge(self, now: datetime | None = None) -> Purged:
        """Takes what no kept revision shows, in one transaction; originals are removed by the caller afterwards."""
        now = now or datetime.now(UTC)
        occurrences: list[int] = []
        unused: set[int] = set()
        with self._catalog.writing() as connection:
            rows = connection.execute(select(schema.collections)).mappings().all()
            for row in rows:
                horizon = self._horizon(connection, row["settings"], now)
                if horizon <= row["horizon"]:
                    continue
                its = schema.collections.c.collection == row["collection"]
                connection.execute(update(schema.collections).where(its).values(horizon=horizon))
                for occurrence_id, chunk in _purge_collection(connection, row["collection"], horizon):
                    occurrences.append(occurrence_id)
                    unused.add(chunk)
            if occurrences:
                statements.remove_unused_versions(connection)
                marks.put_purged(connection, occurrences)
            chunks = statements.remove_unused_chunks(connection, sorted(unused))
        return Purged(len(occurrences), chunks)

    def pin(self, name: str, revision: int) -> None:
        """Keeps all that `revision` shows until the pin is taken away; a name that is taken moves.

        Raises UnknownRevision and RevisionGone.
        """
        table = schema.pins
        with self._catalog.writing() as connection:
            statements.require_committed(connection, revision)
            statements.require_kept(connection, revision, None)
            connection.execute(delete(table).where(table.c.name == name))
            connection.execute(insert(table).values(name=name, revision=revision, created_at=datetime.now(UTC)))

    def pins(self) -> list[Pin]:
        """By name."""
        table = schema.pins
        with self._catalog.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.name)).mappings()
            return [Pin(row["name"], row["revision"], statements.aware(row["created_at"])) for row in rows]

    def unpin(self, name: str) -> None:
        """Raises NotFound."""
        with self._catalog.writing() as connection:
            if not connection.execute(delete(schema.pins).where(schema.pins.c.name == name)).rowcount:
                raise NotFound(f"no pin {name}")

    def _horizon(self, connection: Connection, collection: Mapping[str, Any], now: datetime) -> int:
        """The oldest revision to keep; 0 keeps all. With both limits, what either keeps is kept."""
        retention = RetentionSettings(**{**self._settings.model_dump(), **collection.get("retention", {})})
        table = schema.revisions
        candidates = []
        if retention.keep_revisions is not None:
            candidates.append(statements.head(connection) - retention.keep_revisions + 1)
        if retention.keep_days is not None:
            before = now - timedelta(days=retention.keep_days)
            query = select(func.max(table.c.revision)).where(table.c.created_at <= before)
            candidates.append(connection.execute(query).scalar() or 0)
        return max(0, min(candidates, default=0))


def _purge_collection(connection: Connection, collection: str, horizon: int) -> list[tuple[int, int]]:
    """Removes what the collection showed only before `horizon`; returns each occurrence with its chunk."""
    occurrences, showings, documents, pins = schema.occurrences, schema.showings, schema.documents, schema.pins
    gone = (occurrences.c.collection == collection) & _gone(occurrences, horizon, pins)
    query = select(occurrences.c.occurrence_id, occurrences.c.chunk).where(gone)
    purged = [(row.occurrence_id, row.chunk) for row in connection.execute(query)]
    connection.execute(delete(occurrences).where(gone))
    its = select(documents.c.document_id).where(documents.c.collection == collection)
    connection.execute(delete(showings).where(showings.c.document_id.in_(its), _gone(showings, horizon, pins)))
    return purged


def _gone(table: Any, horizon: int, pins: Any) -> Any:
    """What no kept revision shows, but for what a pin holds, and what tells an open batch of a conflict with it."""
    held = exists().where(pins.c.revision >= table.c.added_in, pins.c.revision < table.c.removed_in)
    staged, batches = schema.staged, schema.batches
    tells = exists().where(
        staged.c.document_id == table.c.document_id,
        batches.c.batch_id == staged.c.batch_id,
        batches.c.state == "open",
        batches.c.base_revision < table.c.removed_in,
    )
    return (table.c.removed_in <= horizon) & ~held & ~tells
