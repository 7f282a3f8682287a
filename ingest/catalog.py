"""The catalog: the one truth about documents, versions, chunks, vectors and revisions.

Reads run in a deferred transaction and see one state of the database; writes begin with the write lock, so that what a
writer has read still holds when it commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, update
from sqlalchemy.exc import DatabaseError, OperationalError

from ingest import schema, statements
from ingest.errors import CatalogDamaged, CatalogUnavailable, DataFolderUnusable, IngestError, NotFound, StorageFull
from ingest.statements import PreparedVersion, VersionRow
from ingest.types import DocumentInfo, Space, Vectors, VersionInfo

_WRITES = "ragstone_writes"


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


class Catalog:
    """Opens the database at `url` and migrates it. SQLite by file, in WAL mode with full sync."""

    def __init__(self, url: str | URL, busy_timeout_s: float = 30) -> None:
        """`busy_timeout_s` is how long a write waits for another one to end."""
        self._engine = _connect(url, busy_timeout_s)
        with self.writing() as connection:
            schema.migrate(connection)

    @classmethod
    def in_folder(cls, folder: Path) -> Catalog:
        """The catalog in a data folder, which is made where there is none. Raises DataFolderUnusable."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if folder.is_file() else error.strerror
            raise DataFolderUnusable(f"the data folder {folder} can't be used: {reason}; name another") from error
        return cls(URL.create("sqlite", database=str(folder / "catalog.sqlite")))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the catalog."""
        with _translated_errors(self._engine.url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that holds the write lock from the start; commits at the end, or rolls back on an error."""
        engine = self._engine.execution_options(**{_WRITES: True})
        with _translated_errors(engine.url), engine.begin() as connection:
            yield connection

    # Revisions

    def head(self) -> int:
        """The newest revision; 0 when nothing was ever committed."""
        with self.reading() as connection:
            return statements.head(connection)

    def revisions(self, limit: int = 100) -> list[RevisionInfo]:
        """The newest revisions first."""
        table = schema.revisions
        with self.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.revision.desc()).limit(limit)).mappings()
            return [RevisionInfo(**{**row, "created_at": statements.aware(row["created_at"])}) for row in rows]

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
            return statements.current_version(connection, document_id)

    def missing_vectors(self, chunk_ids: Iterable[str], space: Space) -> set[str]:
        """Those of `chunk_ids` that have no vector in `space`."""
        wanted = list(dict.fromkeys(chunk_ids))
        table = schema.vectors
        found: set[str] = set()
        with self.reading() as connection:
            for part in statements.parts(wanted):
                query = select(table.c.chunk_id).where(table.c.space_id == space.space_id, table.c.chunk_id.in_(part))
                found.update(connection.execute(query).scalars())
        return set(wanted) - found

    def commit_version(self, prepared: PreparedVersion, space: Space) -> Committed:
        """One transaction: document, version, chunks, vectors, occurrences, and the revision that shows them."""
        with self.writing() as connection:
            revision = statements.head(connection) + 1
            current = statements.current_version(connection, prepared.document_id)
            statements.put_document(connection, prepared)
            same_content = current is not None and current.content_hash == prepared.content_hash
            if current is not None and same_content:
                version = current.version
                statements.mark_prepared(connection, prepared, version)
            else:
                statements.hide_version(connection, prepared.document_id, revision)
                version = statements.put_version(connection, prepared, revision)
            removed = statements.hide_occurrences(connection, prepared.document_id, revision)
            statements.put_chunks(connection, prepared, space)
            statements.put_occurrences(connection, prepared, version, revision)
            cause = f"{'re-chunk' if same_content else 'ingest'} {prepared.collection}/{prepared.uri}"
            statements.put_revision(connection, revision, cause, added=len(prepared.spans), removed=removed)
        return Committed(version=version, revision=revision)

    def set_metadata(self, document_id: str, metadata: dict[str, Any]) -> None:
        """Gives a known document other metadata; its versions and the index stay as they are."""
        table = schema.documents
        with self.writing() as connection:
            connection.execute(update(table).where(table.c.document_id == document_id).values(metadata=metadata))

    def commit_vectors(self, vectors: dict[str, Vectors], space: Space) -> None:
        """Adds vectors of `space` to chunks that exist; no revision, since what can be seen stays the same."""
        with self.writing() as connection:
            statements.put_space(connection, space)
            statements.put_vectors(connection, vectors, space)

    def delete_document(self, document_id: str) -> int:
        """Hides the document from a new revision on, and returns that revision; its history stays."""
        with self.writing() as connection:
            document = statements.document(connection, document_id)
            if statements.current_version(connection, document_id) is None:
                raise NotFound(f"document {document_id} was deleted before")
            revision = statements.head(connection) + 1
            statements.hide_version(connection, document_id, revision)
            removed = statements.hide_occurrences(connection, document_id, revision)
            cause = f"delete {document['collection']}/{document['uri']}"
            statements.put_revision(connection, revision, cause, added=0, removed=removed)
        return revision

    # Documents out

    def documents(self, collection: str | None, limit: int, after: str | None) -> tuple[list[DocumentInfo], str | None]:
        """The documents of the head by id, and the cursor of the next page (None on the last one)."""
        table = schema.documents
        query = statements.document_query().order_by(table.c.document_id).limit(limit + 1)
        if collection is not None:
            query = query.where(table.c.collection == collection)
        if after is not None:
            query = query.where(table.c.document_id > after)
        with self.reading() as connection:
            found = [statements.document_info(row) for row in connection.execute(query).mappings()]
        page = found[:limit]
        return page, page[-1].document_id if len(found) > limit else None

    def document(self, document_id: str) -> DocumentInfo:
        """Raises NotFound for an unknown or deleted document."""
        with self.reading() as connection:
            statements.document(connection, document_id)
            query = statements.document_query().where(schema.documents.c.document_id == document_id)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"document {document_id} was deleted; its versions are still listed")
        return statements.document_info(row)

    def versions(self, document_id: str) -> list[VersionInfo]:
        table = schema.versions
        with self.reading() as connection:
            statements.document(connection, document_id)
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
                    created_at=statements.aware(row["created_at"]),
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
                "documents": statements.count(connection, versions, versions.c.removed_in.is_(None)),
                "versions": statements.count(connection, versions),
                "chunks": connection.execute(
                    select(func.count(func.distinct(occurrences.c.chunk_id))).where(shown)
                ).scalar_one(),
                "occurrences": statements.count(connection, occurrences, shown),
                "chunks_kept": statements.count(connection, schema.chunks),
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
            problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
            dangling = Counter(row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
            problems += [f"{count} dangling references in {table}" for table, count in dangling.items()]
        return [problem for problem in problems if problem != "ok"]

    def _version_value(self, document_id: str, version: int, column: str) -> Any:
        table = schema.versions
        with self.reading() as connection:
            query = select(table.c[column]).where(table.c.document_id == document_id, table.c.version == version)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"document {document_id} has no version {version}")
        return row[0]


# Engine


def _connect(url: str | URL, busy_timeout_s: float) -> Engine:
    sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s} if sqlite else {})
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
def _translated_errors(url: URL) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        translated = _translated(error, str(error.orig), url.database)
        if translated is None:
            raise
        raise translated from error


def _translated(error: DatabaseError, said: str, place: str | None) -> IngestError | None:
    """What an error of the database means to the caller; None for a bug, such as a violated constraint."""
    if any(sign in said for sign in _SIGNS_OF_DAMAGE):
        return CatalogDamaged(
            f"the catalog {place} is damaged ({said}): restore a backup; `ragstone doctor` tells more"
        )
    if not isinstance(error, OperationalError):
        return None
    if "full" in said:
        return StorageFull(f"the catalog can't grow ({said}): free some space, then try again")
    if "readonly" in said:
        return DataFolderUnusable(f"the data folder can't be written: {place}: {said}; see to its permissions")
    if "unable to open" in said:
        return DataFolderUnusable(f"the data folder can't be used: {place}: {said}; see to its permissions")
    return CatalogUnavailable(f"the catalog did not answer ({said}): try again later")


# How SQLite says that a file is not what it wrote.
_SIGNS_OF_DAMAGE = ("malformed", "not a database", "Could not decode to UTF-8")
