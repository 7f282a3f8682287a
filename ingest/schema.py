"""Tables of the catalog, and the numbered migrations that made them.

The catalog is the truth; FAISS and BM25 are derived from it. Intervals are half-open in revisions: a row is visible at
revision r when `added_in <= r` and (`removed_in` is null or `r < removed_in`).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    inspect,
    select,
)

metadata = MetaData()

migrations = Table("migrations", metadata, Column("number", Integer, primary_key=True))

revisions = Table(
    "revisions",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("cause", String, nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("document_id", String, primary_key=True),
    Column("collection", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("metadata", JSON, nullable=False),
    UniqueConstraint("collection", "uri"),
)

versions = Table(
    "versions",
    metadata,
    Column("document_id", ForeignKey("documents.document_id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("content_hash", String, nullable=False),
    Column("prepared_with", String, nullable=False),  # what turned the bytes into chunks: chunk settings and space
    Column("title", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("added_in", Integer, nullable=False),
    Column("removed_in", Integer),
    Index("versions_content_hash", "content_hash"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("chunk_id", String, primary_key=True),
    Column("input", Text, nullable=False),
)

spaces = Table(
    "spaces",
    metadata,
    Column("space_id", String, primary_key=True),
    Column("description", JSON, nullable=False),
)

vectors = Table(
    "vectors",
    metadata,
    Column("chunk_id", ForeignKey("chunks.chunk_id"), primary_key=True),
    Column("space_id", ForeignKey("spaces.space_id"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("occurrence_id", Integer, primary_key=True),
    Column("chunk_id", ForeignKey("chunks.chunk_id"), nullable=False),
    Column("document_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("collection", String, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("heading", JSON, nullable=False),
    Column("added_in", Integer, nullable=False),
    Column("removed_in", Integer),
    ForeignKeyConstraint(["document_id", "version"], ["versions.document_id", "versions.version"]),
    Index("occurrences_chunk", "chunk_id"),
    Index("occurrences_document", "document_id"),
    Index("occurrences_added", "added_in"),
    Index("occurrences_removed", "removed_in"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),  # order of arrival
    Column("job_id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("payload", JSON, nullable=False),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False),
    Column("outcomes", JSON, nullable=False),
    Column("problems", JSON, nullable=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", String, primary_key=True),
    Column("content", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("answer_id", String, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("release_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("record", JSON, nullable=False),
    Column("prompt", JSON, nullable=False),
)


def _create_tables(connection: Connection) -> None:
    metadata.create_all(connection)


# Each entry brings the schema from its index to the next number. Never edit one that has been released; append.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create_tables,)


def migrate(connection: Connection) -> int:
    """Applies what is missing inside the caller's transaction and returns how many migrations ran."""
    applied = 0
    if inspect(connection).has_table(migrations.name):
        applied = connection.execute(select(func.max(migrations.c.number))).scalar_one() or 0
    for number, step in enumerate(MIGRATIONS[applied:], start=applied + 1):
        step(connection)
        connection.execute(insert(migrations).values(number=number))
    return len(MIGRATIONS) - applied
