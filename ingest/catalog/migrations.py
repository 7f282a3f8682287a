"""Numbered migrations of the catalog.

A new catalog is made as `ingest.catalog.schema` has it. An older one goes through the steps that it lacks, in one
transaction: killed in the middle, it is as it was before.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, insert, inspect, select, text

from ingest.catalog import facts, marks, schema
from ingest.catalog.vectors import encoded
from ingest.errors import CatalogUnavailable

Step = Callable[[Connection], None]

CATALOG_ID = "catalog_id"


def bring_up_to_date(connection: Connection) -> None:
    """Makes the tables or migrates them, in the caller's transaction. Raises CatalogUnavailable for a newer catalog."""
    if not inspect(connection).has_table(schema.migrations.name):
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.facts).values(name=CATALOG_ID, value=uuid.uuid4().hex))
        for number in range(1, len(STEPS) + 2):
            connection.execute(insert(schema.migrations).values(number=number))
        return
    version = connection.execute(select(func.max(schema.migrations.c.number))).scalar_one()
    if version > len(STEPS) + 1:
        raise CatalogUnavailable(
            f"the catalog has schema {version} and this version of Ragstone knows {len(STEPS) + 1}: use the newer one"
        )
    for number, step in enumerate(STEPS[version - 1 :], start=version + 1):
        step(connection)
        connection.execute(insert(schema.migrations).values(number=number))


def _to_chunk_numbers(connection: Connection) -> None:
    """2: chunks and vectors by number, vectors in half precision, showings, collections, batches, keys and leases."""
    old = ("revisions", "documents", "versions", "chunks", "spaces", "vectors", "occurrences", "jobs", "answers")
    for index in ("versions_content_hash", "occurrences_chunk", "occurrences_added", "occurrences_document"):
        connection.execute(text(f"DROP INDEX {index}"))
    for index in ("occurrences_removed", "ix_jobs_state"):
        connection.execute(text(f"DROP INDEX {index}"))
    for name in old:
        connection.execute(text(f"ALTER TABLE {name} RENAME TO old_{name}"))
    schema.metadata.create_all(connection)
    connection.execute(insert(schema.facts).values(name=CATALOG_ID, value=uuid.uuid4().hex))
    raw: Any = connection.connection.driver_connection  # SQLite: no other database ever had the first schema
    raw.create_function("unhexed", 1, bytes.fromhex, deterministic=True)
    for statement in _COPIES:
        connection.execute(text(statement))
    _copy_versions(connection)
    for statement in _COPIES_BEHIND_VERSIONS:
        connection.execute(text(statement))
    _copy_chunks(connection)
    _copy_vectors(connection)
    connection.execute(text(_OCCURRENCES))
    now = datetime.now(UTC)
    for collection in connection.execute(select(schema.documents.c.collection).distinct()).scalars().all():
        values = {"collection": collection, "settings": {}, "created_at": now, "horizon": 0}
        connection.execute(insert(schema.collections).values(values))
    for name in ("occurrences", "vectors", "spaces", "chunks", "versions", "documents", "revisions", "jobs", "answers"):
        connection.execute(text(f"DROP TABLE old_{name}"))


_COPIES = (
    "INSERT INTO documents SELECT document_id, collection, uri, metadata FROM old_documents",
    """INSERT INTO revisions (revision, created_at, kind, document_id, added, removed)
       SELECT r.revision, r.created_at, substr(r.cause, 1, instr(r.cause, ' ') - 1), d.document_id, r.added, r.removed
       FROM old_revisions r LEFT JOIN old_documents d
       ON d.collection || '/' || d.uri = substr(r.cause, instr(r.cause, ' ') + 1)""",
    "INSERT INTO spaces (space_id, description) SELECT space_id, description FROM old_spaces",
    """INSERT INTO jobs (number, job_id, kind, state, payload, collections, done, total, outcomes, problems,
                         cancel_requested, created_at, started_at, finished_at)
       SELECT number, job_id, kind, state, payload,
              (SELECT json_group_array(DISTINCT u.value ->> 'collection') FROM json_each(payload, '$.uploads') u),
              done, total, outcomes, problems, cancel_requested, created_at, started_at, finished_at
       FROM old_jobs""",
    """INSERT INTO answers (answer_id, created_at, release_id, revision, collection, record, prompt, state)
       SELECT answer_id, created_at, release_id, revision, record ->> 'collection', record, prompt, 'kept'
       FROM old_answers""",
)

_COPIES_BEHIND_VERSIONS = (
    """INSERT INTO showings (document_id, version, prepared_with, added_in, removed_in)
       SELECT document_id, version, prepared_with, added_in, removed_in FROM old_versions
       ORDER BY added_in, document_id""",
)

_OCCURRENCES = """INSERT INTO occurrences (occurrence_id, chunk, document_id, version, collection, ordinal, start,
                                           "end", page, heading, added_in, removed_in)
                  SELECT o.occurrence_id, c.number, o.document_id, o.version, o.collection, o.ordinal, o.start, o."end",
                         o.page, o.heading, o.added_in, o.removed_in
                  FROM old_occurrences o JOIN chunks c ON c.chunk_id = unhexed(o.chunk_id)"""


def _copy_versions(connection: Connection) -> None:
    columns = "document_id, version, content_hash, title, media_type, text, pages, size_bytes, created_at"
    for row in connection.execute(text(f"SELECT {columns} FROM old_versions")).mappings().all():
        values: dict[str, Any] = dict(row)
        values["created_at"] = datetime.fromisoformat(values["created_at"]).replace(tzinfo=UTC)
        values["text_hash"] = hashlib.sha256(values["text"].encode()).hexdigest()
        connection.execute(insert(schema.versions).values(values))


def _copy_chunks(connection: Connection) -> None:
    """In the order in which they first stood somewhere, which is that of the index."""
    first = "SELECT chunk_id, min(occurrence_id) AS first FROM old_occurrences GROUP BY chunk_id"
    query = f"SELECT c.chunk_id, c.input FROM old_chunks c LEFT JOIN ({first}) f USING (chunk_id) ORDER BY f.first"
    for chunk_id, embedded in connection.execute(text(query)).all():
        connection.execute(insert(schema.chunks).values(chunk_id=chunk_id, input=embedded))


def _copy_vectors(connection: Connection) -> None:
    query = """SELECT s.number, c.number, v.vector FROM old_vectors v
               JOIN chunks c ON c.chunk_id = unhexed(v.chunk_id) JOIN spaces s ON s.space_id = v.space_id
               ORDER BY s.number, c.number"""
    for space, chunk, stored in connection.execute(text(query)).all():
        vector = encoded(np.frombuffer(stored, dtype="<f4"))
        connection.execute(insert(schema.vectors).values(space=space, chunk=chunk, vector=vector))


def _to_marks(connection: Connection) -> None:
    """3: marks, purged occurrences by their mark, and metadata that is staged."""
    for table in (schema.marks, schema.occurrences_gone):
        table.create(connection, checkfirst=True)  # step 2 makes all tables, as they are today
    if "metadata" not in {column["name"] for column in inspect(connection).get_columns("staged")}:
        connection.execute(text("ALTER TABLE staged ADD COLUMN metadata JSON"))
    first = marks.put(connection)
    purged = facts.get(connection, facts.PURGES) is not None
    if purged:
        facts.put(connection, facts.PURGES, {"last": first.number, "reread_from": first.number})


def _to_attempts(connection: Connection) -> None:
    """4: jobs that are tried again later."""
    there = {column["name"] for column in inspect(connection).get_columns("jobs")}
    moment = "TIMESTAMP WITH TIME ZONE" if connection.dialect.name == "postgresql" else "DATETIME"
    if "attempts" not in there:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN attempts INTEGER DEFAULT 0 NOT NULL"))
        connection.execute(text(f"ALTER TABLE jobs ADD COLUMN not_before {moment}"))


def _to_sources(connection: Connection) -> None:
    """5: sources, the quarantine, signatures of documents, what leads a chunk, and what was redacted of a version."""
    new = (schema.sources, schema.source_items, schema.quarantine, schema.signatures, schema.signature_bands)
    for table in new:
        table.create(connection, checkfirst=True)
    for table in (schema.occurrences, schema.staged_occurrences):
        there = {column["name"] for column in inspect(connection).get_columns(table.name)}
        if "lead_start" not in there:
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN lead_start INTEGER"))
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN lead_end INTEGER"))
    if "part" not in {column["name"] for column in inspect(connection).get_columns("jobs")}:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN part FLOAT NOT NULL DEFAULT 0"))
    if "redacted" not in {column["name"] for column in inspect(connection).get_columns("versions")}:
        connection.execute(text("ALTER TABLE versions ADD COLUMN redacted JSON"))


def _to_held_texts(connection: Connection) -> None:
    """6: what was read of uploads that are held back."""
    schema.quarantine_texts.create(connection, checkfirst=True)


def _to_staged_signatures(connection: Connection) -> None:
    """7: signatures of versions that are staged."""
    if "signature" not in {column["name"] for column in inspect(connection).get_columns("staged")}:
        kind = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
        connection.execute(text(f"ALTER TABLE staged ADD COLUMN signature {kind}"))


def _to_later_pages(connection: Connection) -> None:
    """8: pages that begin within a chunk. Those of chunks that are there already stay unknown."""
    for table in (schema.occurrences, schema.staged_occurrences):
        if "later_pages" not in {column["name"] for column in inspect(connection).get_columns(table.name)}:
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN later_pages JSON"))


# Each entry brings the schema from its place + 1 to the next number. Never edit one that has been released; append.
STEPS: tuple[Step, ...] = (
    _to_chunk_numbers,
    _to_marks,
    _to_attempts,
    _to_sources,
    _to_held_texts,
    _to_staged_signatures,
    _to_later_pages,
)
