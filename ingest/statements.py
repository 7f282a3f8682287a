"""Statements on the catalog, each inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, insert, select, update

from ingest import schema
from ingest.errors import NotFound
from ingest.types import ChunkSpan, DocumentInfo, Extracted, Space, Vectors

_PARAMETERS_A_QUERY = 500  # SQLite and PostgreSQL both limit the parameters of one statement


@dataclass(frozen=True, slots=True)
class PreparedVersion:
    """A version ready to be committed: `vectors` holds those of the chunks that the catalog lacked."""

    document_id: str
    collection: str
    uri: str
    metadata: dict[str, Any] | None  # None: the document keeps what it has
    content_hash: str
    prepared_with: str
    size_bytes: int
    extracted: Extracted
    spans: Sequence[ChunkSpan]
    vectors: dict[str, Vectors]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """What decides whether bytes need to be taken in again."""

    version: int
    content_hash: str
    prepared_with: str


def head(connection: Connection) -> int:
    return connection.execute(select(func.max(schema.revisions.c.revision))).scalar() or 0


def count(connection: Connection, table: Any, *conditions: Any) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def document(connection: Connection, document_id: str) -> Any:
    table = schema.documents
    row = connection.execute(select(table).where(table.c.document_id == document_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no document {document_id}")
    return row


def current_version(connection: Connection, document_id: str) -> VersionRow | None:
    table = schema.versions
    query = select(table.c.version, table.c.content_hash, table.c.prepared_with).where(
        table.c.document_id == document_id, table.c.removed_in.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else VersionRow(*row)


def put_document(connection: Connection, prepared: PreparedVersion) -> None:
    """Adds the document, or gives a known one its new metadata."""
    table = schema.documents
    known = (table.c.document_id == prepared.document_id,)
    if count(connection, table, *known) == 0:
        connection.execute(
            insert(table).values(
                document_id=prepared.document_id,
                collection=prepared.collection,
                uri=prepared.uri,
                metadata=prepared.metadata or {},
            )
        )
    elif prepared.metadata is not None:
        connection.execute(update(table).where(*known).values(metadata=prepared.metadata))


def put_version(connection: Connection, prepared: PreparedVersion, revision: int) -> int:
    table = schema.versions
    newest = connection.execute(
        select(func.max(table.c.version)).where(table.c.document_id == prepared.document_id)
    ).scalar()
    version = (newest or 0) + 1
    connection.execute(
        insert(table).values(
            document_id=prepared.document_id,
            version=version,
            content_hash=prepared.content_hash,
            prepared_with=prepared.prepared_with,
            title=prepared.extracted.title,
            media_type=prepared.extracted.media_type,
            text=prepared.extracted.text,
            pages=len(prepared.extracted.pages),
            size_bytes=prepared.size_bytes,
            created_at=datetime.now(UTC),
            added_in=revision,
        )
    )
    return version


def mark_prepared(connection: Connection, prepared: PreparedVersion, version: int) -> None:
    table = schema.versions
    connection.execute(
        update(table)
        .where(table.c.document_id == prepared.document_id, table.c.version == version)
        .values(prepared_with=prepared.prepared_with)
    )


def hide_version(connection: Connection, document_id: str, revision: int) -> None:
    table = schema.versions
    shown = (table.c.document_id == document_id) & table.c.removed_in.is_(None)
    connection.execute(update(table).where(shown).values(removed_in=revision))


def hide_occurrences(connection: Connection, document_id: str, revision: int) -> int:
    table = schema.occurrences
    shown = (table.c.document_id == document_id) & table.c.removed_in.is_(None)
    return connection.execute(update(table).where(shown).values(removed_in=revision)).rowcount


def put_space(connection: Connection, space: Space) -> None:
    table = schema.spaces
    if count(connection, table, table.c.space_id == space.space_id) == 0:
        connection.execute(insert(table).values(space_id=space.space_id, description=asdict(space)))


def put_vectors(connection: Connection, vectors: dict[str, Vectors], space: Space) -> None:
    table = schema.vectors
    present: set[str] = set()
    for part in parts(list(vectors)):
        query = select(table.c.chunk_id).where(table.c.space_id == space.space_id, table.c.chunk_id.in_(part))
        present.update(connection.execute(query).scalars())
    rows = [
        {"chunk_id": chunk_id, "space_id": space.space_id, "vector": np.asarray(vector, dtype="<f4").tobytes()}
        for chunk_id, vector in vectors.items()
        if chunk_id not in present
    ]
    if rows:
        connection.execute(insert(table), rows)


def put_chunks(connection: Connection, prepared: PreparedVersion, space: Space) -> None:
    inputs = {span.chunk_id: span.input for span in prepared.spans}
    present: set[str] = set()
    for part in parts(list(inputs)):
        present.update(
            connection.execute(select(schema.chunks.c.chunk_id).where(schema.chunks.c.chunk_id.in_(part))).scalars()
        )
    rows = [{"chunk_id": chunk_id, "input": text} for chunk_id, text in inputs.items() if chunk_id not in present]
    if rows:
        connection.execute(insert(schema.chunks), rows)
    put_space(connection, space)
    put_vectors(connection, prepared.vectors, space)


def put_occurrences(connection: Connection, prepared: PreparedVersion, version: int, revision: int) -> None:
    connection.execute(
        insert(schema.occurrences),
        [
            {
                "chunk_id": span.chunk_id,
                "document_id": prepared.document_id,
                "version": version,
                "collection": prepared.collection,
                "ordinal": span.ordinal,
                "start": span.start,
                "end": span.end,
                "page": span.page,
                "heading": list(span.heading),
                "added_in": revision,
            }
            for span in prepared.spans
        ],
    )


def put_revision(connection: Connection, revision: int, cause: str, *, added: int, removed: int) -> None:
    connection.execute(
        insert(schema.revisions).values(
            revision=revision, created_at=datetime.now(UTC), cause=cause, added=added, removed=removed
        )
    )


def document_query() -> Any:
    documents, versions, occurrences = schema.documents, schema.versions, schema.occurrences
    all_versions = versions.alias()
    return (
        select(
            documents,
            *(versions.c[name] for name in ("title", "media_type", "version", "size_bytes", "created_at")),
            select(func.count())
            .select_from(all_versions)
            .where(all_versions.c.document_id == documents.c.document_id)
            .scalar_subquery()
            .label("versions"),
            select(func.count())
            .select_from(occurrences)
            .where(occurrences.c.document_id == documents.c.document_id, occurrences.c.removed_in.is_(None))
            .scalar_subquery()
            .label("chunks"),
        )
        .join(versions, versions.c.document_id == documents.c.document_id)
        .where(versions.c.removed_in.is_(None))
    )


def document_info(row: Any) -> DocumentInfo:
    values = dict(row)
    return DocumentInfo(updated_at=aware(values.pop("created_at")), **values)


def parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """`values` in pieces that fit into one statement."""
    for start in range(0, len(values), _PARAMETERS_A_QUERY):
        yield values[start : start + _PARAMETERS_A_QUERY]


def aware(moment: datetime) -> datetime:
    """SQLite gives back naive times; all times in the catalog are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
