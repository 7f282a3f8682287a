"""Tables of the catalog.

The catalog is the truth; FAISS and BM25 are derived from it. Intervals are half-open in revisions: a row is visible at
revision r when `added_in <= r` and (`removed_in` is null or `r < removed_in`). Each row has one interval, so what comes
back after a rollback comes back in new rows; occurrences are numbered in the order in which they were added.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()


class Hex(TypeDecorator[str]):
    """Hexadecimal in Python, the bytes themselves in the database."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else bytes(value).hex()


class Characters(TypeDecorator[str]):
    """Text of any length, in both databases alike.

    It is ordered by its characters, not as some language sorts. PostgreSQL can't hold NUL and neither can hold half of
    a surrogate pair: each becomes U+FFFD. The loaders leave none in a document's text, so this is about what else
    callers send, such as the id of a document that there can't be.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """`text` with U+FFFD for what a database can't hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _HALF_PAIR.sub("\ufffd", text)
    return text.replace("\0", "\ufffd")


_HALF_PAIR = re.compile("[\ud800-\udfff]")

# Counts rows that come and go for years. SQLite's integers are long enough, and number rows by themselves.
Number = BigInteger().with_variant(Integer, "sqlite")


def _removed_index(table: str) -> Index:
    """What went when. What still stands is left out: nobody asks for all of it, and planners would take it for few."""
    gone = text("removed_in IS NOT NULL")
    return Index(f"{table}_removed", "removed_in", sqlite_where=gone, postgresql_where=gone)


migrations = Table("migrations", metadata, Column("number", Integer, primary_key=True))

# Single facts about this catalog, by name: see `ingest.facts`.
facts = Table(
    "facts",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("value", JSON, nullable=False),
)

# Which way this catalog went: see `ingest.catalog.marks`.
marks = Table(
    "marks",
    metadata,
    Column("number", Number, primary_key=True),
    Column("token", Hex(8), nullable=False),  # random
    sqlite_autoincrement=True,
)

# Occurrences that were purged lately, by the mark of the purge.
occurrences_gone = Table(
    "occurrences_gone",
    metadata,
    Column("occurrence_id", Number, primary_key=True, autoincrement=False),
    Column("mark", BigInteger, nullable=False, index=True),
)

collections = Table(
    "collections",
    metadata,
    Column("collection", Characters, primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("horizon", Integer, nullable=False),  # the oldest revision that can still be asked for
)

revisions = Table(
    "revisions",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("kind", Characters, nullable=False),
    Column("document_id", Characters),  # of a change of one document; it may have been erased since
    Column("target", Integer),  # of a rollback: the revision whose content came back
    Column("added", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
)

# Revisions that retention must keep, and what keeps them (a release, or a person).
pins = Table(
    "pins",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("document_id", Characters, primary_key=True),
    Column("collection", Characters, nullable=False),
    Column("uri", Characters, nullable=False),
    Column("metadata", JSON, nullable=False),
    # Both names together are the id. They have no index of their own: a long URI does not fit into one of PostgreSQL's.
    Index("documents_collection", "collection", "document_id"),
)

versions = Table(
    "versions",
    metadata,
    Column("document_id", ForeignKey("documents.document_id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content_hash", Characters, nullable=False),
    Column("title", Characters, nullable=False),
    Column("media_type", Characters, nullable=False),
    Column("text", Characters, nullable=False),
    Column("text_hash", Hex(32), nullable=False),  # SHA-256, by which damage is told
    Column("pages", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # How much personal data of each kind was replaced; then the original is not kept. Null: none was looked for.
    Column("redacted", JSON(none_as_null=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("versions_content_hash", "content_hash"),
)

# Which version a document shows, from when to when, and what turned its bytes into chunks (chunk settings and space). A
# version that comes back, or that is chunked in another way, has a second row.
showings = Table(
    "showings",
    metadata,
    Column("showing_id", Number, primary_key=True),
    Column("document_id", Characters, nullable=False),
    Column("version", Integer, nullable=False),
    Column("prepared_with", Characters, nullable=False),
    Column("added_in", Integer, nullable=False),
    Column("removed_in", Integer),
    ForeignKeyConstraint(["document_id", "version"], ["versions.document_id", "versions.version"]),
    Index("showings_version", "document_id", "version"),
    Index("showings_added", "added_in"),
    _removed_index("showings"),
    sqlite_autoincrement=True,
)

chunks = Table(
    "chunks",
    metadata,
    Column("number", Number, primary_key=True),  # never used again; the indexes know a chunk by it
    Column("chunk_id", Hex(16), nullable=False, unique=True),
    Column("input", Characters, nullable=False),
    sqlite_autoincrement=True,
)

# Chunks that were taken out for good and that the index may still hold: it forgets them, and then their rows go.
chunks_gone = Table("chunks_gone", metadata, Column("number", Number, primary_key=True, autoincrement=False))

spaces = Table(
    "spaces",
    metadata,
    Column("number", Number, primary_key=True),
    Column("space_id", Characters, nullable=False, unique=True),
    Column("description", JSON, nullable=False),
    Column("embedder", JSON),  # the settings that built its embedder, so that it can be built again
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("arrival", Number, primary_key=True),  # grows with each vector, whatever its space
    Column("space", ForeignKey("spaces.number"), nullable=False),
    Column("chunk", ForeignKey("chunks.number"), nullable=False),
    Column("vector", LargeBinary, nullable=False),  # see `ingest.vectors`
    UniqueConstraint("chunk", "space"),
    sqlite_autoincrement=True,
)


def _occurrence_columns() -> list[Column[Any]]:
    return [
        Column("chunk", ForeignKey("chunks.number"), nullable=False),
        Column("document_id", Characters, nullable=False),
        Column("version", Integer, nullable=False),
        Column("collection", Characters, nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("start", Integer, nullable=False),
        Column("end", Integer, nullable=False),
        Column("page", Integer),
        Column("later_pages", JSON(none_as_null=True)),  # [[number, start], ...] of pages that begin within it
        Column("heading", JSON, nullable=False),
        Column("lead_start", Integer),  # of a table's header, for a chunk that begins among its rows
        Column("lead_end", Integer),
    ]


occurrences = Table(
    "occurrences",
    metadata,
    Column("occurrence_id", Number, primary_key=True),
    *_occurrence_columns(),
    Column("added_in", Integer, nullable=False),
    Column("removed_in", Integer),
    ForeignKeyConstraint(["document_id", "version"], ["versions.document_id", "versions.version"]),
    Index("occurrences_chunk", "chunk"),
    Index("occurrences_version", "document_id", "version"),
    Index("occurrences_added", "added_in"),
    _removed_index("occurrences"),
    sqlite_autoincrement=True,
)

# Changes that wait for a decision: visible to those who name the batch, as the head with the batch on top.
batches = Table(
    "batches",
    metadata,
    Column("batch_id", Characters, primary_key=True),
    Column("base_revision", Integer, nullable=False),
    Column("state", Characters, nullable=False),  # open, promoted or dropped
    Column("note", Characters, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("revision", Integer),  # the one that promoted it
)

# What a batch does to a document: show this version, or none.
staged = Table(
    "staged",
    metadata,
    Column("batch_id", ForeignKey("batches.batch_id"), primary_key=True),
    Column("document_id", ForeignKey("documents.document_id"), primary_key=True),
    Column("version", Integer),
    Column("prepared_with", Characters),
    Column("metadata", JSON),  # null: the document keeps what it has
    Column("signature", LargeBinary),  # that of `signatures`, put there when the batch is promoted; null: not known
)

staged_occurrences = Table(
    "staged_occurrences",
    metadata,
    Column("staged_id", Number, primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False, index=True),
    *_occurrence_columns(),
    Index("staged_occurrences_chunk", "chunk"),
)

# Documents that were erased: rollback, jobs from before and restored backups must not bring them back.
tombstones = Table(
    "tombstones",
    metadata,
    Column("document_id", Characters, primary_key=True),
    Column("versions", Integer, nullable=False),  # the highest number used, so that a new version can't be mistaken
    Column("last_job", BigInteger, nullable=False),  # uploads of jobs up to this one are refused
    Column("erased_at", DateTime(timezone=True), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("term", Integer, nullable=False),  # grows with each taking, so that a holder can tell it lost the lease
    Column("holder", JSON, nullable=False),
    Column("expires_at", DateTime(timezone=True)),  # null: it was given back
)

keys = Table(
    "keys",
    metadata,
    Column("key_id", Characters, primary_key=True),
    Column("name", Characters, nullable=False),
    Column("hash", Hex(32), nullable=False, unique=True),  # SHA-256 of a secret of 256 random bits
    Column("collections", JSON, nullable=False),  # null: all
    Column("actions", JSON, nullable=False),
    Column("user", Characters),
    Column("limits", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Number, primary_key=True),  # order of arrival
    Column("job_id", Characters, nullable=False, unique=True),
    Column("kind", Characters, nullable=False),
    Column("state", Characters, nullable=False, index=True),
    Column("payload", JSON, nullable=False),
    Column("collections", JSON, nullable=False),  # those that it works on
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False),
    Column("part", Float, nullable=False, server_default=text("0")),  # of the files at hand, as so many files
    Column("outcomes", JSON, nullable=False),
    Column("problems", JSON, nullable=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # since it last came further
    Column("not_before", DateTime(timezone=True)),  # null: at once
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    sqlite_autoincrement=True,
)

# Uploads that screening held back until somebody decides; and what was decided, so that it need not be asked again.
quarantine = Table(
    "quarantine",
    metadata,
    Column("item_id", Characters, primary_key=True),
    Column("document_id", Characters, nullable=False, index=True),
    Column("collection", Characters, nullable=False),
    Column("uri", Characters, nullable=False),
    Column("content_hash", Characters, nullable=False),
    Column("version", Integer),  # what the head showed of the document; null: nothing
    Column("upload", JSON, nullable=False),
    Column("batch_id", Characters),  # a whole refresh of a source that is held back; null: one document
    Column("findings", JSON, nullable=False),
    Column("state", Characters, nullable=False, index=True),  # held, released or rejected
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_by", Characters),
)

# What was read of uploads that are held back, until it is decided.
quarantine_texts = Table(
    "quarantine_texts",
    metadata,
    Column("item_id", ForeignKey("quarantine.item_id"), primary_key=True),
    Column("title", Characters, nullable=False),
    Column("text", Characters, nullable=False),
    Column("hidden", JSON, nullable=False),  # text that nobody sees who opens the file
)

# Signatures of what documents show now, by which near copies are found: see `ingest.screening.minhash`.
signatures = Table(
    "signatures",
    metadata,
    Column("document_id", Characters, primary_key=True),
    Column("collection", Characters, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

signature_bands = Table(
    "signature_bands",
    metadata,
    Column("band", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", ForeignKey("signatures.document_id"), primary_key=True, index=True),
)

# Where documents are fetched from by themselves: see `ingest.sources`.
sources = Table(
    "sources",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("collection", Characters, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("next_at", DateTime(timezone=True)),  # null: only when it is asked for
    Column("last_run", JSON),
)

# What a source has, and what became of each: a document belongs to one source at most.
source_items = Table(
    "source_items",
    metadata,
    Column("document_id", Characters, primary_key=True),
    Column("source", ForeignKey("sources.name"), nullable=False, index=True),
    Column("uri", Characters, nullable=False),
    Column("mark", Characters),  # changes when the item may have changed; null: nobody knows
    Column("content_hash", Characters),  # of what was taken in last
    Column("state", Characters, nullable=False),
    Column("problem", JSON),
    Column("taken_at", DateTime(timezone=True), nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", Characters, primary_key=True),
    Column("content", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("answer_id", Characters, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("release_id", Characters, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("collection", Characters, nullable=False),
    Column("record", JSON, nullable=False),
    Column("prompt", JSON, nullable=False),
    Column("state", Characters, nullable=False),  # kept, or erased when a document it quotes was
)

feedback = Table(
    "feedback",
    metadata,
    Column("feedback_id", Number, primary_key=True),
    Column("answer_id", ForeignKey("answers.answer_id"), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("rating", Characters),
    Column("correction", Characters),
    Column("reason", Characters),
    sqlite_autoincrement=True,
)
