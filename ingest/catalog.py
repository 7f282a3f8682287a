"""The catalog: the one truth about documents, versions, chunks, vectors and revisions.

Reads run in a deferred transaction and see one state of the database; writes begin with the write lock, so that what a
writer has read still holds when it commits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, update
from sqlalchemy.exc import OperationalError

from ingest import schema
from ingest.errors import CatalogUnavailable, NotFound, StorageFull
from ingest.types import ChunkSpan, DocumentInfo, Extracted, Space, Vectors, VersionInfo

_WRITES = "ragstone_writes"
_PARAMETERS_A_QUERY = 500  # SQLite and PostgreSQL both limit the parameters of one statement


@dataclass(frozen=True, slots=True)
class PreparedVersion:
    """A version ready to be committed: `vectors` holds those of the chunks that the catalog lacked."""

    document_id: str
    collection: str
    uri: str
    metadata: dict[str, Any]
    content_hash: str
    prepared_with: str
    size_bytes: int
    extracted: Extracted
    spans: Sequence[ChunkSpan]
    vectors: dict[str, Vectors]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit made: `version` of the document, first visible at `revision`."""

    version: int
    revision: int


@dataclass(frozen=True, slots=True)
class RevisionInfo:
    revision: int
    created_at: datetime
    cause: str
    added: int
    removed: int


def document_id_of(collection: str, uri: str) -> str:
    """A document's identity: the first 80 bits of SHA-256 over collection and source URI, in hex."""
    return "d-" + hashlib.sha256(f"{collection}\x1f{uri}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Catalog:
    """Opens the database at `url` and migrates it. SQLite by file, in WAL mode with full sync."""

    def __init__(self, url: str, busy_timeout_s: float = 30) -> None:
        """`busy_timeout_s` is how long a write waits for another one to end."""
        self._engine = _connect(url, busy_timeout_s)
        with self.writing() as connection:
            schema.migrate(connection)

    @classmethod
    def in_folder(cls, folder: Path) -> Catalog:
        folder.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{folder / 'catalog.sqlite'}")

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the catalog."""
        with _translated_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that holds the write lock from the start; commits at the end, or rolls back on an error."""
        engine = self._engine.execution_options(**{_WRITES: True})
        with _translated_errors(), engine.begin() as connection:
            yield connection

    # Revisions

    def head(self) -> int:
        """The newest revision; 0 when nothing was ever committed."""
        with self.reading() as connection:
            return _head(connection)

    def revisions(self, limit: int = 100) -> list[RevisionInfo]:
        """The newest revisions first."""
        table = schema.revisions
        with self.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.revision.desc()).limit(limit)).mappings()
            return [RevisionInfo(**{**row, "created_at": _aware(row["created_at"])}) for row in rows]

    def revision_at(self, moment: datetime) -> int:
        """The newest revision committed at `moment` or before; 0 when there is none."""
        table = schema.revisions
        with self.reading() as connection:
            query = select(func.max(table.c.revision)).where(table.c.created_at <= moment.astimezone(UTC))
            return connection.execute(query).scalar() or 0

    # Versions in

    def current_version(self, document_id: str) -> VersionRow | None:
        """The version that the head shows, or None when the document is unknown or was deleted."""
        with self.reading() as connection:
            return _current_version(connection, document_id)

    def missing_vectors(self, chunk_ids: Iterable[str], space: Space) -> set[str]:
        """Those of `chunk_ids` that have no vector in `space`."""
        wanted = list(dict.fromkeys(chunk_ids))
        table = schema.vectors
        found: set[str] = set()
        with self.reading() as connection:
            for part in _parts(wanted):
                query = select(table.c.chunk_id).where(table.c.space_id == space.space_id, table.c.chunk_id.in_(part))
                found.update(connection.execute(query).scalars())
        return set(wanted) - found

    def commit_version(self, prepared: PreparedVersion, space: Space) -> Committed:
        """One transaction: document, version, chunks, vectors, occurrences, and the revision that shows them."""
        with self.writing() as connection:
            revision = _head(connection) + 1
            current = _current_version(connection, prepared.document_id)
            _put_document(connection, prepared)
            same_content = current is not None and current.content_hash == prepared.content_hash
            if current is not None and same_content:
                version = current.version
                _mark_prepared(connection, prepared, version)
            else:
                _hide_version(connection, prepared.document_id, revision)
                version = _put_version(connection, prepared, revision)
            removed = _hide_occurrences(connection, prepared.document_id, revision)
            _put_chunks(connection, prepared, space)
            _put_occurrences(connection, prepared, version, revision)
            cause = f"{'re-chunk' if same_content else 'ingest'} {prepared.collection}/{prepared.uri}"
            _put_revision(connection, revision, cause, added=len(prepared.spans), removed=removed)
        return Committed(version=version, revision=revision)

    def commit_vectors(self, vectors: dict[str, Vectors], space: Space) -> None:
        """Adds vectors of `space` to chunks that exist; no revision, since what can be seen stays the same."""
        with self.writing() as connection:
            _put_space(connection, space)
            _put_vectors(connection, vectors, space)

    def delete_document(self, document_id: str) -> int:
        """Hides the document from a new revision on, and returns that revision; its history stays."""
        with self.writing() as connection:
            document = _document(connection, document_id)
            if _current_version(connection, document_id) is None:
                raise NotFound(f"document {document_id} was deleted before")
            revision = _head(connection) + 1
            _hide_version(connection, document_id, revision)
            removed = _hide_occurrences(connection, document_id, revision)
            cause = f"delete {document['collection']}/{document['uri']}"
            _put_revision(connection, revision, cause, added=0, removed=removed)
        return revision

    # Documents out

    def documents(self, collection: str | None, limit: int, after: str | None) -> tuple[list[DocumentInfo], str | None]:
        """The documents of the head by id, and the cursor of the next page (None on the last one)."""
        table = schema.documents
        query = _document_query().order_by(table.c.document_id).limit(limit + 1)
        if collection is not None:
            query = query.where(table.c.collection == collection)
        if after is not None:
            query = query.where(table.c.document_id > after)
        with self.reading() as connection:
            found = [_document_info(row) for row in connection.execute(query).mappings()]
        page = found[:limit]
        return page, page[-1].document_id if len(found) > limit else None

    def document(self, document_id: str) -> DocumentInfo:
        """Raises NotFound for an unknown or deleted document."""
        with self.reading() as connection:
            _document(connection, document_id)
            query = _document_query().where(schema.documents.c.document_id == document_id)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"document {document_id} was deleted; its versions are still listed")
        return _document_info(row)

    def versions(self, document_id: str) -> list[VersionInfo]:
        table = schema.versions
        with self.reading() as connection:
            _document(connection, document_id)
            query = (
                select(*(c for c in table.c if c.name != "text"), func.length(table.c.text).label("characters"))
                .where(table.c.document_id == document_id)
                .order_by(table.c.version)
            )
            return [
                VersionInfo(
                    version=row["version"],
                    content_hash=row["content_hash"],
                    revision_from=row["added_in"],
                    revision_to=row["removed_in"],
                    size_bytes=row["size_bytes"],
                    characters=row["characters"],
                    pages=row["pages"],
                    created_at=_aware(row["created_at"]),
                )
                for row in connection.execute(query).mappings()
            ]

    def version_text(self, document_id: str, version: int) -> str:
        return str(self._version_value(document_id, version, "text"))

    def version_hash(self, document_id: str, version: int) -> str:
        return str(self._version_value(document_id, version, "content_hash"))

    def version_media_type(self, document_id: str, version: int) -> str:
        return str(self._version_value(document_id, version, "media_type"))

    def counts(self) -> dict[str, int]:
        """Documents, chunks and occurrences that the head shows, versions and chunks kept in all."""
        versions, occurrences = schema.versions, schema.occurrences
        shown = occurrences.c.removed_in.is_(None)
        with self.reading() as connection:
            return {
                "documents": _count(connection, versions, versions.c.removed_in.is_(None)),
                "versions": _count(connection, versions),
                "chunks": connection.execute(
                    select(func.count(func.distinct(occurrences.c.chunk_id))).where(shown)
                ).scalar_one(),
                "occurrences": _count(connection, occurrences, shown),
                "chunks_kept": _count(connection, schema.chunks),
            }

    def vectors_by_space(self) -> dict[str, int]:
        """How many vectors each space has, by its id."""
        table = schema.vectors
        with self.reading() as connection:
            rows = connection.execute(select(table.c.space_id, func.count()).group_by(table.c.space_id))
            return {space_id: count for space_id, count in rows}

    def content_hashes(self, connection: Connection) -> set[str]:
        """Hashes of all originals that a version stands on, in the caller's transaction."""
        return set(connection.execute(select(schema.versions.c.content_hash).distinct()).scalars())

    def chunk_inputs_without_vector(self, space: Space, limit: int) -> dict[str, str]:
        """Chunks that have no vector in `space`, with the embedder's input of each."""
        chunks, vectors = schema.chunks, schema.vectors
        has_vector = select(vectors.c.chunk_id).where(
            vectors.c.chunk_id == chunks.c.chunk_id, vectors.c.space_id == space.space_id
        )
        query = select(chunks).where(~has_vector.exists()).order_by(chunks.c.chunk_id).limit(limit)
        with self.reading() as connection:
            return {row.chunk_id: row.input for row in connection.execute(query)}

    def integrity_problems(self) -> list[str]:
        """What the database itself finds wrong, in its own words; empty when it is sound."""
        if self._engine.dialect.name != "sqlite":
            return []
        with self.reading() as connection:
            problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
            problems += [
                f"dangling reference in {row[0]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")
            ]
        return [problem for problem in problems if problem != "ok"]

    def _version_value(self, document_id: str, version: int, column: str) -> Any:
        table = schema.versions
        with self.reading() as connection:
            query = select(table.c[column]).where(table.c.document_id == document_id, table.c.version == version)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"document {document_id} has no version {version}")
        return row[0]


@dataclass(frozen=True, slots=True)
class VersionRow:
    version: int
    content_hash: str
    prepared_with: str


# Engine


def _connect(url: str, busy_timeout_s: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s} if url.startswith("sqlite") else {})
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # Python's sqlite3 must not open transactions by itself; the `begin` event below does.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        said = str(error.orig)
        if "full" in said:
            raise StorageFull(f"the catalog can't grow ({said}): free some space, then try again") from error
        raise CatalogUnavailable(f"the catalog did not answer ({said}): try again later") from error


# Statements, each inside the caller's transaction


def _head(connection: Connection) -> int:
    return connection.execute(select(func.max(schema.revisions.c.revision))).scalar() or 0


def _count(connection: Connection, table: Any, *conditions: Any) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def _document(connection: Connection, document_id: str) -> Any:
    table = schema.documents
    row = connection.execute(select(table).where(table.c.document_id == document_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no document {document_id}")
    return row


def _current_version(connection: Connection, document_id: str) -> VersionRow | None:
    table = schema.versions
    query = select(table.c.version, table.c.content_hash, table.c.prepared_with).where(
        table.c.document_id == document_id, table.c.removed_in.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else VersionRow(*row)


def _put_document(connection: Connection, prepared: PreparedVersion) -> None:
    table = schema.documents
    changed = connection.execute(
        update(table).where(table.c.document_id == prepared.document_id).values(metadata=prepared.metadata)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(table).values(
                document_id=prepared.document_id,
                collection=prepared.collection,
                uri=prepared.uri,
                metadata=prepared.metadata,
            )
        )


def _put_version(connection: Connection, prepared: PreparedVersion, revision: int) -> int:
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


def _mark_prepared(connection: Connection, prepared: PreparedVersion, version: int) -> None:
    table = schema.versions
    connection.execute(
        update(table)
        .where(table.c.document_id == prepared.document_id, table.c.version == version)
        .values(prepared_with=prepared.prepared_with)
    )


def _hide_version(connection: Connection, document_id: str, revision: int) -> None:
    table = schema.versions
    shown = (table.c.document_id == document_id) & table.c.removed_in.is_(None)
    connection.execute(update(table).where(shown).values(removed_in=revision))


def _hide_occurrences(connection: Connection, document_id: str, revision: int) -> int:
    table = schema.occurrences
    shown = (table.c.document_id == document_id) & table.c.removed_in.is_(None)
    return connection.execute(update(table).where(shown).values(removed_in=revision)).rowcount


def _put_space(connection: Connection, space: Space) -> None:
    table = schema.spaces
    if _count(connection, table, table.c.space_id == space.space_id) == 0:
        connection.execute(insert(table).values(space_id=space.space_id, description=asdict(space)))


def _put_vectors(connection: Connection, vectors: dict[str, Vectors], space: Space) -> None:
    table = schema.vectors
    present: set[str] = set()
    for part in _parts(list(vectors)):
        query = select(table.c.chunk_id).where(table.c.space_id == space.space_id, table.c.chunk_id.in_(part))
        present.update(connection.execute(query).scalars())
    rows = [
        {"chunk_id": chunk_id, "space_id": space.space_id, "vector": np.asarray(vector, dtype="<f4").tobytes()}
        for chunk_id, vector in vectors.items()
        if chunk_id not in present
    ]
    if rows:
        connection.execute(insert(table), rows)


def _put_chunks(connection: Connection, prepared: PreparedVersion, space: Space) -> None:
    inputs = {span.chunk_id: span.input for span in prepared.spans}
    present: set[str] = set()
    for part in _parts(list(inputs)):
        present.update(
            connection.execute(select(schema.chunks.c.chunk_id).where(schema.chunks.c.chunk_id.in_(part))).scalars()
        )
    rows = [{"chunk_id": chunk_id, "input": text} for chunk_id, text in inputs.items() if chunk_id not in present]
    if rows:
        connection.execute(insert(schema.chunks), rows)
    _put_space(connection, space)
    _put_vectors(connection, prepared.vectors, space)


def _put_occurrences(connection: Connection, prepared: PreparedVersion, version: int, revision: int) -> None:
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


def _put_revision(connection: Connection, revision: int, cause: str, *, added: int, removed: int) -> None:
    connection.execute(
        insert(schema.revisions).values(
            revision=revision, created_at=datetime.now(UTC), cause=cause, added=added, removed=removed
        )
    )


def _document_query() -> Any:
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


def _document_info(row: Any) -> DocumentInfo:
    values = dict(row)
    return DocumentInfo(updated_at=_aware(values.pop("created_at")), **values)


def _parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _PARAMETERS_A_QUERY):
        yield values[start : start + _PARAMETERS_A_QUERY]


def _aware(moment: datetime) -> datetime:
    """SQLite gives back naive times; all times in the catalog are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so that it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
