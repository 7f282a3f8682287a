"""The catalog: the one truth about documents, versions, chunks, vectors and revisions.

Reads run in a deferred transaction and see one state of the database; writes begin with the write lock, so that what a
writer has read still holds when it commits. Changes of what can be seen are in `ingest.revisions.history`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL, Connection, bindparam, func, select

from ingest.catalog import facts, marks, migrations, schema, statements
from ingest.catalog.database import Database
from ingest.catalog.marks import Mark
from ingest.catalog.statements import VersionRow
from ingest.disk import make_folder
from ingest.errors import CatalogMisconfigured, DataFolderUnusable, NotFound
from ingest.types import DocumentInfo, Space, Vectors, VersionInfo

# The collections that a caller may read; None means all.
Readable = Collection[str] | None


@dataclass(frozen=True, slots=True)
class RevisionInfo:
    """`cause` says what changed in words; of a document that is gone for good it only says so."""

    revision: int
    created_at: datetime
    cause: str
    added: int
    removed: int


class Catalog:
    """Opens the database at `url` and migrates it."""

    def __init__(self, url: str | URL, busy_timeout_s: float = 30) -> None:
        """`busy_timeout_s` is how long a write waits for another one to end."""
        self.database = Database(url, busy_timeout_s)
        try:
            with self.writing() as connection:
                migrations.bring_up_to_date(connection)
                self.catalog_id = str(facts.get(connection, migrations.CATALOG_ID))
        except Exception:
            self.close()
            raise

    @classmethod
    def in_folder(cls, folder: Path, url: SecretStr | str | URL | None = None) -> Catalog:
        """The catalog of a data folder, which is made where there is none: SQLite in it, or the database at `url`.

        Raises DataFolderUnusable, CatalogMisconfigured and CatalogUnavailable.
        """
        try:
            make_folder(folder)
        except OSError as error:
            reason = "it is a file" if folder.is_file() else error.strerror
            raise DataFolderUnusable(f"the data folder {folder} can't be used: {reason}; name another") from error
        if isinstance(url, SecretStr):
            url = url.get_secret_value()
        if url is not None and str(url).startswith("sqlite"):
            raise CatalogMisconfigured(
                "ingest.catalog_url names SQLite, whose file is kept in the data folder: leave it out, or name a "
                "PostgreSQL database as postgresql://USER@HOST/NAME"
            )
        return cls(url or URL.create("sqlite", database=str(folder / "catalog.sqlite")))

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the catalog."""
        with self.database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self, *, may_be_lost: bool = False) -> Iterator[Connection]:
        """A connection that holds the write lock from the start; commits at the end, or rolls back on an error.

        With `may_be_lost` a power cut can undo it: for what would only be done again then.
        """
        with self.database.writing(may_be_lost=may_be_lost) as connection:
            yield connection

    def has_mark(self, mark: Mark) -> bool:
        """Whether this catalog went by the mark: see `ingest.catalog.marks`."""
        with self.reading() as connection:
            return marks.has(connection, mark)

    # Facts

    def fact(self, name: str) -> Any:
        """A single value kept under a name; None where there is none."""
        with self.reading() as connection:
            return facts.get(connection, name)

    # Revisions

    def head(self) -> int:
        """The newest revision; 0 when nothing was ever committed."""
        with self.reading() as connection:
            return statements.head(connection)

    def revisions(self, limit: int = 100, readable: Readable = None) -> list[RevisionInfo]:
        """The newest revisions first; with `readable`, those that changed these collections, and by how much."""
        table, documents, occurrences = schema.revisions, schema.documents, schema.occurrences
        query = (
            select(table, documents.c.collection, documents.c.uri)
            .outerjoin(documents, documents.c.document_id == table.c.document_id)
            .order_by(table.c.revision.desc())
            .limit(limit)
        )
        if readable is not None:
            mine = occurrences.c.collection.in_(readable)
            came, went = (occurrences.c[name] == table.c.revision for name in ("added_in", "removed_in"))
            counts = [
                select(func.count()).select_from(occurrences).where(mine, changed).scalar_subquery().label(name)
                for name, changed in (("mine_added", came), ("mine_removed", went))
            ]
            query = query.add_columns(*counts).where(select(occurrences.c.chunk).where(mine, came | went).exists())
        with self.reading() as connection:
            return [
                RevisionInfo(
                    revision=row["revision"],
                    created_at=statements.aware(row["created_at"]),
                    cause=_cause(row, readable),
                    added=row["added" if readable is None else "mine_added"],
                    removed=row["removed" if readable is None else "mine_removed"],
                )
                for row in connection.execute(query).mappings()
            ]

    def revision_at(self, connection: Connection, moment: datetime) -> int:
        """The newest revision committed at `moment` or before, as the caller's connection sees it; 0 for none."""
        table = schema.revisions
        query = select(func.max(table.c.revision)).where(table.c.created_at <= moment.astimezone(UTC))
        return connection.execute(query).scalar() or 0

    # Versions in

    def current_versions(self, document_ids: Sequence[str]) -> dict[str, VersionRow]:
        """The version that the head shows, of those of the documents that it shows."""
        with self.reading() as connection:
            return statements.current_versions(connection, document_ids)

    def missing_vectors(self, chunk_ids: Iterable[str], space: Space, readable: Readable = None) -> set[str]:
        """Those of `chunk_ids` that have no vector in `space`, or stand in no collection of `readable`.

        A caller who may not read a collection must not learn, by the time that embedding takes, what stands in it.
        """
        wanted = list(dict.fromkeys(chunk_ids))
        chunks, occurrences = schema.chunks, schema.occurrences
        query = _EMBEDDED
        if readable is not None:
            stands = (occurrences.c.chunk == chunks.c.number) & occurrences.c.collection.in_(readable)
            query = query.where(select(occurrences.c.chunk).where(stands).exists())
        found: set[str] = set()
        with self.reading() as connection:
            for part in statements.parts(wanted):
                found.update(connection.execute(query, {"ids": part, "space": space.space_id}).scalars())
        return set(wanted) - found

    def metadata_of(self, document_id: str) -> dict[str, Any] | None:
        """What was noted of a document; None for one that is not there."""
        table = schema.documents
        with self.reading() as connection:
            query = select(table.c.metadata).where(table.c.document_id == document_id)
            found: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
        return found

    def set_metadata(self, document_id: str, metadata: dict[str, Any]) -> None:
        """Gives a known document other metadata; its versions and the index stay as they are."""
        with self.writing() as connection:
            statements.put_metadata(connection, document_id, metadata)

    def commit_vectors(self, vectors: dict[int, Vectors], space: Space) -> None:
        """Adds vectors of `space` by chunk number; no revision, since what can be seen stays the same."""
        with self.writing() as connection:
            kept = set(statements.numbers_kept(connection, list(vectors)))
            number = statements.put_space(connection, space)
            statements.put_vectors(connection, {chunk: v for chunk, v in vectors.items() if chunk in kept}, number)
            marks.put(connection)

    # Documents out

    def documents(
        self, collection: str | None, limit: int, after: str | None, readable: Readable = None
    ) -> tuple[list[DocumentInfo], str | None]:
        """The documents of the head by id, and the cursor of the next page (None on the last one)."""
        table = schema.documents
        query = statements.document_query().order_by(table.c.document_id).limit(limit + 1)
        if collection is not None:
            query = query.where(table.c.collection == collection)
        if readable is not None:
            query = query.where(table.c.collection.in_(readable))
        if after is not None:
            query = query.where(table.c.document_id > after)
        with self.reading() as connection:
            found = [statements.document_info(row) for row in connection.execute(query).mappings()]
        page = found[:limit]
        return page, page[-1].document_id if len(found) > limit else None

    def document(self, document_id: str, readable: Readable = None) -> DocumentInfo:
        """Raises NotFound for a document that is unknown, deleted, or in no collection of `readable`."""
        with self.reading() as connection:
            _known(connection, document_id, readable)
            query = statements.document_query().where(schema.documents.c.document_id == document_id)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"document {document_id} was deleted; its versions are still listed")
        return statements.document_info(row)

    def versions(self, document_id: str, readable: Readable = None) -> list[VersionInfo]:
        """All kept versions; `revision_to` is null while the version is shown."""
        table, showings = schema.versions, schema.showings
        shown = func.max(func.coalesce(showings.c.removed_in, _NEVER))
        query = (
            select(
                table.c.version,
                table.c.content_hash,
                func.min(showings.c.added_in).label("revision_from"),
                shown.label("revision_to"),
                table.c.size_bytes,
                func.length(table.c.text).label("characters"),
                table.c.pages,
                table.c.created_at,
            )
            .join(showings, (showings.c.document_id == table.c.document_id) & (showings.c.version == table.c.version))
            .where(table.c.document_id == document_id)
            .group_by(table.c.document_id, table.c.version)
            .order_by(table.c.version)
        )
        with self.reading() as connection:
            _known(connection, document_id, readable)
            rows = [dict(row) for row in connection.execute(query).mappings()]
        for row in rows:
            row["created_at"] = statements.aware(row["created_at"])
            row["revision_to"] = None if row["revision_to"] == _NEVER else row["revision_to"]
        return [VersionInfo(**row) for row in rows]

    def version_value(self, document_id: str, version: int, column: str, readable: Readable = None) -> Any:
        """One column of a version (`text`, `content_hash`, `media_type`…) that was shown. Raises NotFound."""
        table = schema.versions
        with self.reading() as connection:
            _known(connection, document_id, readable)
            its = (table.c.document_id == document_id, table.c.version == version, statements.was_shown(table))
            row = connection.execute(select(table.c[column]).where(*its)).one_or_none()
        if row is None:
            raise NotFound(f"document {document_id} has no version {version}")
        return row[0]

    def version_text(self, document_id: str, version: int, readable: Readable = None) -> str:
        return str(self.version_value(document_id, version, "text", readable))

    # Counts

    def counts(self, readable: Readable = None, as_of: int | datetime | None = None) -> dict[str, int]:
        """A revision, the documents, chunks and occurrences that it shows, and the versions and chunks kept in all.

        `as_of` is a revision or a moment; None: the head. Raises UnknownRevision and RevisionGone.
        """
        showings, occurrences, documents, versions = (
            schema.showings,
            schema.occurrences,
            schema.documents,
            schema.versions,
        )
        mine: list[Any] = [] if readable is None else [documents.c.collection.in_(readable)]
        its: list[Any] = [] if readable is None else [occurrences.c.collection.in_(readable)]
        distinct = select(func.count(func.distinct(occurrences.c.chunk))).where(*its)
        of_document = documents.c.document_id
        with self.reading() as connection:
            if as_of is None:
                revision = statements.head(connection)
                stands, shown = showings.c.removed_in.is_(None), occurrences.c.removed_in.is_(None)
            else:
                revision = as_of if isinstance(as_of, int) else self.revision_at(connection, as_of)
                statements.require_committed(connection, revision)
                statements.require_kept(connection, revision, readable)
                stands, shown = (statements.visible_at(table, revision) for table in (showings, occurrences))
            return {
                "revision": revision,
                "documents": statements.count(
                    connection, showings.join(documents, of_document == showings.c.document_id), stands, *mine
                ),
                "versions": statements.count(
                    connection,
                    versions.join(documents, of_document == versions.c.document_id),
                    statements.was_shown(versions),
                    *mine,
                ),
                "chunks": connection.execute(distinct.where(shown)).scalar_one(),
                "occurrences": statements.count(connection, occurrences, shown, *its),
                "chunks_kept": connection.execute(distinct).scalar_one(),
            }

    def vectors_by_space(self) -> dict[str, int]:
        """How many vectors each space has, by its id."""
        table, spaces = schema.vectors, schema.spaces
        query = select(spaces.c.space_id, func.count()).join(table, table.c.space == spaces.c.number)
        with self.reading() as connection:
            return {space_id: count for space_id, count in connection.execute(query.group_by(spaces.c.space_id))}

    def content_hashes(self, connection: Connection, among: Collection[str] | None = None) -> set[str]:
        """Hashes of all originals that a version stands on or that are held back, or those of `among`.

        In the caller's transaction.
        """
        versions, held = schema.versions, schema.quarantine
        queries = (
            select(versions.c.content_hash).distinct().where(versions.c.redacted.is_(None)),
            select(held.c.content_hash).where(held.c.state == "held", held.c.batch_id.is_(None)),
        )
        if among is None:
            return {its for query in queries for its in connection.execute(query).scalars()}
        found: set[str] = set()
        for part in statements.parts(list(among)):
            for query, table in zip(queries, (versions, held), strict=True):
                found.update(connection.execute(query.where(table.c.content_hash.in_(part))).scalars())
        return found

    def chunk_inputs_without_vector(self, space: Space, limit: int, after: int = 0) -> dict[int, str]:
        """Chunks numbered above `after` that have no vector in `space`, with the embedder's input of each."""
        chunks, vectors, spaces = schema.chunks, schema.vectors, schema.spaces
        number = select(spaces.c.number).where(spaces.c.space_id == space.space_id).scalar_subquery()
        has_vector = select(vectors.c.chunk).where(vectors.c.chunk == chunks.c.number, vectors.c.space == number)
        lacking = select(chunks.c.number, chunks.c.input).where(chunks.c.number > after, ~has_vector.exists())
        with self.reading() as connection:
            rows = connection.execute(lacking.order_by(chunks.c.number).limit(limit))
            return {number: text for number, text in rows}

    def integrity_problems(self) -> list[str]:
        """What the database itself finds wrong, in its own words; empty when it is sound."""
        if not self.database.is_sqlite:
            return []
        with self.reading() as connection:
            problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
            dangling = Counter(row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
            problems += [f"{count} dangling references in {table}" for table, count in dangling.items()]
        return [problem for problem in problems if problem != "ok"]


_NEVER = 2**31 - 1

# Built once, since every upload asks it: chunks that have a vector in a space.
_EMBEDDED = (
    select(schema.chunks.c.chunk_id)
    .join(schema.vectors, schema.vectors.c.chunk == schema.chunks.c.number)
    .join(schema.spaces, schema.spaces.c.number == schema.vectors.c.space)
    .where(
        schema.spaces.c.space_id == bindparam("space"), schema.chunks.c.chunk_id.in_(bindparam("ids", expanding=True))
    )
)


def _known(connection: Connection, document_id: str, readable: Readable) -> None:
    """Raises NotFound in the same words for a document that is not there, that waits in a batch or may not be read."""
    statements.document(connection, document_id, readable, shown=True)


def _cause(row: Any, readable: Readable) -> str:
    """What changed, in words that name nothing of a collection that is not in `readable`."""
    if row["kind"] == "rollback":
        return f"rollback to {row['target']}" if readable is None else "rollback"
    if row["document_id"] is None:
        return str(row["kind"]) if readable is None else str(row["kind"]).split(" ")[0]
    place = f"{row['collection']}/{row['uri']}" if row["uri"] is not None else "(a document that is gone)"
    return f"{row['kind']} {place}"
