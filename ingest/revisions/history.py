"""Changes of what can be seen: each is one transaction and one revision.

A commit adds and removes; a rollback appends a revision with the content of an old one; a batch waits until it is
promoted. Nothing is ever taken away from an old revision, but by retention (`ingest.revisions.retention`) and erasure
(`ingest.erasure`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, literal, select, update

from ingest.catalog import marks, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import Guard, PreparedVersion, unguarded, visible_at
from ingest.errors import NotFound, VectorsGone
from ingest.revisions import batches
from ingest.screening.near_copies import Signed, put_signatures
from ingest.types import Space


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit made: `version` of the document, first visible at `revision` (None while it is staged).

    `freed` are the hashes of the originals of versions that it let go of.
    """

    version: int
    revision: int | None
    freed: frozenset[str] = frozenset()


# What became of a version whose document was erased after it was uploaded.
NOT_COMMITTED = Committed(0, None)


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that wait for a decision, made on top of `base_revision`."""

    batch_id: str
    base_revision: int
    state: str
    note: str
    created_at: datetime
    revision: int | None
    documents: int


class History:
    """Appends revisions to one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    # One document

    def commit_version(
        self, prepared: PreparedVersion, space: Space, job: int | None = None, guard: Guard = unguarded
    ) -> Committed:
        """As `commit_versions`, of one document."""
        return self.commit_versions([prepared], space, job, guard)[0]

    def commit_versions(
        self,
        prepared: Sequence[PreparedVersion],
        space: Space,
        job: int | None = None,
        guard: Guard = unguarded,
        record: Callable[[Connection, list[Committed]], None] = lambda connection, committed: None,
    ) -> list[Committed]:
        """Shows a version of each of some documents from one new revision on, all at once.

        `job` is the number of the job that brought them; what was erased after that job came is left out, with version
        0. `record` is called in the same transaction.
        """
        with self._catalog.writing() as connection:
            guard(connection)
            revision = statements.head(connection) + 1
            erased = _erased(connection, [its.document_id for its in prepared], job)
            left = [its for its in prepared if its.document_id not in erased]
            numbers = dict(
                zip((its.document_id for its in left), _show(connection, left, space, revision), strict=True)
            )
            committed = [
                Committed(numbers[its.document_id], revision) if its.document_id in numbers else NOT_COMMITTED
                for its in prepared
            ]
            record(connection, committed)
        return committed

    def delete_document(self, document_id: str, readable: Collection[str] | None = None) -> int:
        """Hides the document from a new revision on, and returns that revision; its history stays. Raises NotFound."""
        with self._catalog.writing() as connection:
            statements.document(connection, document_id, readable, shown=True)
            revision = hide_document(connection, document_id)
            if revision is None:
                raise NotFound(f"document {document_id} was deleted before")
        return revision

    def delete_documents(
        self,
        document_ids: Sequence[str],
        guard: Guard = unguarded,
        note: Callable[[Connection], None] = lambda connection: None,
    ) -> int:
        """Hides those of the documents that the head shows, in one revision; returns how many those are.

        `note` is called in the same transaction.
        """
        with self._catalog.writing() as connection:
            guard(connection)
            shown = sorted(statements.current_versions(connection, document_ids))
            if shown:
                revision = statements.head(connection) + 1
                statements.hide(connection, schema.showings, shown, revision)
                removed = statements.hide(connection, schema.occurrences, shown, revision)
                alone = shown[0] if len(shown) == 1 else None
                words = "delete" if alone else f"delete {len(shown)} documents"
                statements.put_revision(connection, revision, words, added=0, removed=removed, document_id=alone)
            note(connection)
        return len(shown)

    def delete_collection(self, collection: str) -> int:
        """Hides all documents of the collection in one revision, which is returned; its history stays."""
        documents = schema.documents
        its = select(documents.c.document_id).where(documents.c.collection == collection)
        with self._catalog.writing() as connection:
            revision = statements.head(connection) + 1
            removed = 0
            for table in (schema.showings, schema.occurrences):
                shown = table.c.document_id.in_(its) & table.c.removed_in.is_(None)
                removed = connection.execute(update(table).where(shown).values(removed_in=revision)).rowcount
            if not removed:
                return revision - 1
            statements.put_revision(connection, revision, f"delete collection {collection}", added=0, removed=removed)
        return revision

    # Back

    def rollback(self, target: int) -> int:
        """Appends a revision whose content is that of `target`, and returns it.

        What came since is hidden, what went since is shown again, and what stands as it stood stays untouched; nothing
        is embedded. Documents that were erased stay away. Raises UnknownRevision and RevisionGone.
        """
        with self._catalog.writing() as connection:
            statements.require_committed(connection, target)
            statements.require_kept(connection, target, None)
            revision = statements.head(connection) + 1
            _return_to(connection, schema.showings, ("document_id", "version", "prepared_with"), target, revision)
            stands = ("document_id", "version", "chunk", "ordinal", "start", "end")
            added, removed = _return_to(connection, schema.occurrences, stands, target, revision)
            statements.put_revision(connection, revision, "rollback", added=added, removed=removed, target=target)
        return revision

    # Batches

    def open_batch(
        self,
        note: str = "",
        guard: Guard = unguarded,
        record: Callable[[Connection, str], None] = lambda connection, batch_id: None,
    ) -> str:
        """A new batch on top of the head; returns its id, with which `record` is called in the same transaction."""
        batch_id = f"b-{uuid.uuid4().hex[:20]}"
        with self._catalog.writing() as connection:
            guard(connection)
            values = {"batch_id": batch_id, "base_revision": statements.head(connection), "state": "open", "note": note}
            connection.execute(insert(schema.batches).values(**values, created_at=datetime.now(UTC)))
            record(connection, batch_id)
        return batch_id

    def batches(self) -> list[Batch]:
        """The newest first."""
        batches, staged = schema.batches, schema.staged
        its = select(func.count()).select_from(staged).where(staged.c.batch_id == batches.c.batch_id).scalar_subquery()
        query = select(batches, its.label("documents")).order_by(batches.c.created_at.desc())
        with self._catalog.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [Batch(**{**row, "created_at": statements.aware(row["created_at"])}) for row in rows]

    def stage_version(
        self,
        batch_id: str,
        prepared: PreparedVersion,
        space: Space,
        job: int | None = None,
        guard: Guard = unguarded,
    ) -> Committed:
        """As `commit_version`, but visible to those only who name the batch."""
        with self._catalog.writing() as connection:
            guard(connection)
            batches.require_open(connection, batch_id)
            if _erased(connection, [prepared.document_id], job):
                return NOT_COMMITTED
            document_id = prepared.document_id
            current = statements.current_versions(connection, [document_id])
            statements.put_documents(connection, [replace(prepared, metadata=None)], current)
            (version,) = statements.put_versions(connection, [prepared], current)
            before = _unstage(connection, batch_id, document_id)
            rows = _stored(connection, [prepared], [version], space)
            staged = {"batch_id": batch_id, "document_id": document_id, "version": version}
            names = ("prepared_with", "metadata", "signature")
            shown = {name: getattr(prepared, name) for name in names}
            connection.execute(insert(schema.staged).values(**staged, **shown))
            connection.execute(insert(schema.staged_occurrences), [{**row, "batch_id": batch_id} for row in rows])
            freed = statements.remove_unused_versions(connection, [document_id])
            statements.remove_unused_chunks(connection, before)
            marks.put(connection)
        return Committed(version, None, freed)

    def stage_removal(self, batch_id: str, document_id: str) -> frozenset[str]:
        """The batch hides the document. Returns the hashes of originals that only the batch held."""
        with self._catalog.writing() as connection:
            batches.require_open(connection, batch_id)
            statements.document(connection, document_id)
            before = _unstage(connection, batch_id, document_id)
            connection.execute(insert(schema.staged).values(batch_id=batch_id, document_id=document_id))
            freed = statements.remove_unused_versions(connection, [document_id])
            statements.remove_unused_chunks(connection, before)
            marks.put(connection)
        return freed

    def promote(self, batch_id: str) -> int:
        """Gives the batch a revision of its own, which is returned.

        Raises BatchConflict when a document of the batch was changed after the batch was opened.
        """
        with self._catalog.writing() as connection:
            return batches.promote(connection, batch_id)

    def is_open(self, batch_id: str) -> bool:
        """Whether the batch waits for a decision."""
        table = schema.batches
        with self._catalog.reading() as connection:
            query = select(table.c.state).where(table.c.batch_id == batch_id)
            return connection.execute(query).scalar_one_or_none() == "open"

    def drop_batch(self, batch_id: str) -> frozenset[str]:
        """Forgets the batch and what only it held; returns the hashes of originals that it held."""
        with self._catalog.writing() as connection:
            return batches.drop(connection, batch_id)


def hide_document(connection: Connection, document_id: str) -> int | None:
    """The revision that hides the document, or None where the head does not show it."""
    if statements.current_version(connection, document_id) is None:
        return None
    revision = statements.head(connection) + 1
    statements.hide(connection, schema.showings, [document_id], revision)
    removed = statements.hide(connection, schema.occurrences, [document_id], revision)
    statements.put_revision(connection, revision, "delete", added=0, removed=removed, document_id=document_id)
    return revision


def _stored(
    connection: Connection, prepared: Sequence[PreparedVersion], numbers: Sequence[int], space: Space
) -> list[dict[str, Any]]:
    """Stores chunks and vectors, and returns the rows that say where they stand.

    Raises VectorsGone when a chunk came without its vector, as the catalog had one, and it has none any more.
    """
    chunks, new = statements.put_chunks(connection, (span for its in prepared for span in its.spans))
    vectors = {chunks[chunk_id]: vector for its in prepared for chunk_id, vector in its.vectors.items()}
    number = statements.put_space(connection, space)
    present = statements.with_vector(connection, sorted({*chunks.values()} - new), number)
    if not {*chunks.values()} <= present | vectors.keys():
        raise VectorsGone("chunks of this version lost their vectors while it was prepared: prepare it again")
    statements.add_vectors(connection, vectors, number, present)
    return [
        row
        for its, number in zip(prepared, numbers, strict=True)
        for row in statements.occurrence_rows(its, number, chunks)
    ]


def _erased(connection: Connection, document_ids: Sequence[str], job: int | None) -> set[str]:
    """Those of the documents that were erased after the job came."""
    found: set[str] = set()
    for part in statements.parts(document_ids if job is not None else []):
        found.update(connection.execute(_ERASED_SINCE, {"ids": part, "job": job}).scalars())
    return found


# Built once, since every commit asks it.
_ERASED_SINCE = select(schema.tombstones.c.document_id).where(
    schema.tombstones.c.document_id.in_(bindparam("ids", expanding=True)),
    schema.tombstones.c.last_job >= bindparam("job"),
)


def _show(connection: Connection, prepared: Sequence[PreparedVersion], space: Space, revision: int) -> list[int]:
    """Stores versions, shows them from `revision` on, and says so in the list of revisions; returns their numbers."""
    if not prepared:
        return []
    ids = [its.document_id for its in prepared]
    current = statements.current_versions(connection, ids)
    statements.put_documents(connection, prepared, current)
    numbers = statements.put_versions(connection, prepared, current)
    put_signatures(connection, [Signed(its.document_id, its.collection, its.signature) for its in prepared])
    statements.hide(connection, schema.showings, ids, revision)
    removed = statements.hide(connection, schema.occurrences, ids, revision)
    shown = [(its.document_id, number, its.prepared_with) for its, number in zip(prepared, numbers, strict=True)]
    statements.put_showings(connection, shown, revision)
    rows = _stored(connection, prepared, numbers, space)
    connection.execute(insert(schema.occurrences), [{**row, "added_in": revision} for row in rows])
    same_content = all(
        its in current and current[its].version == number for its, number in zip(ids, numbers, strict=True)
    )
    kind = "re-chunk" if same_content else "ingest"
    alone = ids[0] if len(ids) == 1 else None
    words = kind if alone else f"{kind} {len(ids)} documents"
    statements.put_revision(connection, revision, words, added=len(rows), removed=removed, document_id=alone)
    return numbers


def _return_to(
    connection: Connection, table: Any, same: tuple[str, ...], target: int, revision: int
) -> tuple[int, int]:
    """Makes the rows of `table` visible at `revision` equal to those at `target`; returns how many came and went.

    Rows with equal columns `same` are the same thing: one that is shown now and was shown then stays as it is.
    """
    other = table.alias()
    equal = [other.c[name] == table.c[name] for name in same]
    copied = [column for column in table.c if not column.primary_key and column.name not in ("added_in", "removed_in")]
    ended_since = (table.c.added_in <= target) & (table.c.removed_in > target)
    shown_now = exists().where(*equal, other.c.removed_in.is_(None))
    names = [column.name for column in copied]
    came = connection.execute(
        insert(table).from_select(
            [*names, "added_in"],
            select(*copied, literal(revision))
            .where(ended_since, ~shown_now, ~batches.is_erased(table))
            .order_by(*table.primary_key),
        ),
        execution_options=batches.COUNTED,
    ).rowcount
    came_since = table.c.removed_in.is_(None) & (table.c.added_in > target) & (table.c.added_in < revision)
    shown_then = exists().where(*equal, visible_at(other, target))
    went = connection.execute(update(table).where(came_since, ~shown_then).values(removed_in=revision)).rowcount
    return came, went


def _unstage(connection: Connection, batch_id: str, document_id: str) -> list[int]:
    """Takes the document out of the batch; returns the chunks that stood there."""
    table = schema.staged_occurrences
    its = select(table.c.chunk).distinct().where(table.c.batch_id == batch_id, table.c.document_id == document_id)
    chunks = list(connection.execute(its).scalars())
    for table in (schema.staged_occurrences, schema.staged):
        connection.execute(delete(table).where(table.c.batch_id == batch_id, table.c.document_id == document_id))
    return chunks
