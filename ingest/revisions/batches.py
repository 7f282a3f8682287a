"""Batches: changes that wait for a decision. Each function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, exists, insert, literal, select, update

from ingest.catalog import schema, statements
from ingest.errors import BatchConflict, NotFound
from ingest.screening.minhash import signature as signature_of
from ingest.screening.near_copies import Signed, put_signatures

# Without it SQLAlchemy does not keep how many rows an insert made, unless the database is SQLite.
COUNTED = {"preserve_rowcount": True}


def require_open(connection: Connection, batch_id: str) -> Any:
    """The batch. Raises NotFound, and BatchConflict when it was promoted or dropped."""
    table = schema.batches
    row = connection.execute(select(table).where(table.c.batch_id == batch_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no batch {batch_id}")
    if row["state"] != "open":
        raise BatchConflict(f"batch {batch_id} was {row['state']} before")
    return row


def promote(connection: Connection, batch_id: str) -> int:
    """Gives the batch a revision of its own, which is returned.

    Raises BatchConflict when a document of the batch was changed after the batch was opened.
    """
    staged = schema.staged
    batch = require_open(connection, batch_id)
    for table in (schema.staged_occurrences, staged):
        connection.execute(delete(table).where(table.c.batch_id == batch_id, is_erased(table)))
    changes = connection.execute(select(staged).where(staged.c.batch_id == batch_id)).mappings().all()
    changed = _changed_since(connection, batch["base_revision"], [row["document_id"] for row in changes])
    if changed:
        raise BatchConflict(
            f"{len(changed)} documents of batch {batch_id} were changed after it was opened at revision "
            f"{batch['base_revision']}, such as {changed[0]}: stage them again in a new batch"
        )
    revision = statements.head(connection) + 1
    ids = [row["document_id"] for row in changes]
    statements.hide(connection, schema.showings, ids, revision)
    removed = statements.hide(connection, schema.occurrences, ids, revision)
    names = ("document_id", "version", "prepared_with")
    shown = [tuple(row[name] for name in names) for row in changes if row["version"] is not None]
    statements.put_showings(connection, shown, revision)
    for row in changes:
        if row["metadata"] is not None:
            statements.put_metadata(connection, row["document_id"], row["metadata"])
    put_signatures(connection, _signed(connection, [row for row in changes if row["version"] is not None]))
    added = _show_staged(connection, batch_id, revision)
    _close(connection, batch_id, "promoted", revision)
    statements.put_revision(connection, revision, "promote", added=added, removed=removed)
    return revision


def drop(connection: Connection, batch_id: str) -> frozenset[str]:
    """Forgets the batch and what only it held; returns the hashes of originals that it held."""
    table = schema.staged_occurrences
    require_open(connection, batch_id)
    numbers = connection.execute(select(table.c.chunk).distinct().where(table.c.batch_id == batch_id)).scalars()
    its = list(numbers)
    staged = select(schema.staged.c.document_id).where(schema.staged.c.batch_id == batch_id)
    documents = list(connection.execute(staged).scalars())
    _close(connection, batch_id, "dropped", None)
    freed = statements.remove_unused_versions(connection, documents)
    statements.remove_unused_chunks(connection, its)
    return freed


def removed_by(connection: Connection, batch_id: str) -> list[str]:
    """The documents that the batch hides."""
    table = schema.staged
    query = select(table.c.document_id).where(table.c.batch_id == batch_id, table.c.version.is_(None))
    return list(connection.execute(query).scalars())


def is_erased(table: Any) -> Any:
    """The condition that a row is of an erased document, whose content the job to come takes away."""
    tombstones = schema.tombstones
    return exists().where(tombstones.c.document_id == table.c.document_id, tombstones.c.versions >= table.c.version)


def _show_staged(connection: Connection, batch_id: str, revision: int) -> int:
    """Copies what is staged into the occurrences: new rows, so that these stay in the order of their revisions."""
    table = schema.staged_occurrences
    names = [column.name for column in table.c if column.name not in ("staged_id", "batch_id")]
    staged = select(*(table.c[name] for name in names), literal(revision)).where(table.c.batch_id == batch_id)
    return connection.execute(
        insert(schema.occurrences).from_select([*names, "added_in"], staged.order_by(table.c.staged_id)),
        execution_options=COUNTED,
    ).rowcount


def _signed(connection: Connection, shown: Sequence[RowMapping]) -> list[Signed]:
    """The signatures of staged versions; those that an older version staged have none, and are signed here."""
    documents, versions = schema.documents, schema.versions
    collections: dict[str, str] = {}
    for part in statements.parts([row["document_id"] for row in shown]):
        query = select(documents.c.document_id, documents.c.collection).where(documents.c.document_id.in_(part))
        collections.update((document_id, collection) for document_id, collection in connection.execute(query))
    signed = []
    for row in shown:
        signature = row["signature"]
        if signature is None:
            its = (versions.c.document_id == row["document_id"], versions.c.version == row["version"])
            signature = signature_of(connection.execute(select(versions.c.text).where(*its)).scalar_one())
        signed.append(Signed(row["document_id"], collections[row["document_id"]], bytes(signature)))
    return signed


def _close(connection: Connection, batch_id: str, state: str, revision: int | None) -> None:
    for table in (schema.staged_occurrences, schema.staged):
        connection.execute(delete(table).where(table.c.batch_id == batch_id))
    table = schema.batches
    connection.execute(update(table).where(table.c.batch_id == batch_id).values(state=state, revision=revision))


def _changed_since(connection: Connection, revision: int, document_ids: list[str]) -> list[str]:
    """Those of the documents that a revision after `revision` changed."""
    changed: set[str] = set()
    for table in (schema.showings, schema.occurrences):
        since = (table.c.added_in > revision) | (table.c.removed_in > revision)
        for part in statements.parts(document_ids):
            query = select(table.c.document_id).distinct().where(table.c.document_id.in_(part), since)
            changed.update(connection.execute(query).scalars())
    return sorted(changed)
