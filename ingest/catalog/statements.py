"""Statements on the catalog, each inside the caller's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, exists, func, insert, select, union_all, update

from ingest.catalog import marks, schema
from ingest.catalog.vectors import encoded
from ingest.errors import NotFound, RevisionGone, UnknownRevision
from ingest.types import ChunkSpan, DocumentInfo, Extracted, Space, Vectors

_PARAMETERS_A_QUERY = 500  # SQLite and PostgreSQL both limit the parameters of one statement

_Value = TypeVar("_Value")

# Called in a transaction before it changes anything; raises when it must not.
Guard = Callable[[Connection], None]


def unguarded(connection: Connection) -> None:
    """The guard of a change that anyone may make."""


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
    notes: tuple[str, ...] = ()  # what could not be read, or was found
    signature: bytes = b""  # see `ingest.screening.minhash`
    redacted: Mapping[str, int] | None = None  # personal data that was replaced; the original is not kept then


@dataclass(frozen=True, slots=True)
class VersionRow:
    """What decides whether bytes need to be taken in again."""

    version: int
    content_hash: str
    prepared_with: str
    text_hash: str

    def version_is(self, prepared: PreparedVersion) -> bool:
        """Whether `prepared` is this version: the same bytes, read to the same text."""
        return (self.content_hash, self.text_hash) == (prepared.content_hash, hash_of(prepared.extracted.text))


# What the catalog holds


def head(connection: Connection) -> int:
    return connection.execute(_HEAD).scalar() or 0


def count(connection: Connection, table: Any, *conditions: Any) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def document(
    connection: Connection, document_id: str, readable: Collection[str] | None = None, *, shown: bool = False
) -> Any:
    """Raises NotFound, in the same time and words, for one that is not there and for one not in `readable`.

    With `shown` for one as well that no kept revision shows, since it waits in a batch.
    """
    table = schema.documents
    query = select(table).where(table.c.document_id == document_id)
    if shown:
        query = query.where(
            select(schema.showings).where(schema.showings.c.document_id == table.c.document_id).exists()
        )
    if readable is not None:
        query = query.where(table.c.collection.in_(readable))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no document {document_id}")
    return row


def current_version(connection: Connection, document_id: str) -> VersionRow | None:
    """What the head shows of the document."""
    return current_versions(connection, [document_id]).get(document_id)


def current_versions(connection: Connection, document_ids: Sequence[str]) -> dict[str, VersionRow]:
    """What the head shows of each of the documents."""
    found: dict[str, VersionRow] = {}
    for part in parts(document_ids):
        for document_id, *values in connection.execute(_CURRENT, {"ids": part}):
            found[document_id] = VersionRow(*values)
    return found


def last_versions(connection: Connection, document_ids: Sequence[str]) -> dict[str, int]:
    """The highest number that a version of each document ever had; those that never had one are left out."""
    last: dict[str, int] = {}
    for part in parts(document_ids):
        for document_id, version in connection.execute(_NUMBERS_USED, {"ids": part}):
            last[document_id] = max(last.get(document_id, 0), version)
    return last


def was_shown(versions: Any) -> Any:
    """The condition that some kept revision shows a version; others wait in a batch."""
    showings = schema.showings
    its = (showings.c.document_id == versions.c.document_id) & (showings.c.version == versions.c.version)
    return select(showings.c.showing_id).where(its).exists()


def visible_at(table: Any, revision: Any) -> Any:
    """The condition that a row of showings or occurrences is visible at `revision`."""
    return (table.c.added_in <= revision) & (table.c.removed_in.is_(None) | (table.c.removed_in > revision))


def require_committed(connection: Connection, revision: int) -> None:
    """Raises UnknownRevision."""
    newest = head(connection)
    if not 0 <= revision <= newest:
        raise UnknownRevision(f"revision {revision} was never committed: the newest is {newest}")


def require_kept(connection: Connection, revision: int, collections: Collection[str] | None) -> None:
    """Raises RevisionGone when retention has taken something of `revision` in one of `collections` (None: in any)."""
    table, pins = schema.collections, schema.pins
    query = select(func.max(table.c.horizon))
    if collections is not None:
        query = query.where(table.c.collection.in_(collections))
    horizon = connection.execute(query).scalar() or 0
    if revision >= horizon or count(connection, pins, pins.c.revision == revision):
        return
    raise RevisionGone(f"revision {revision} is no longer kept: the oldest that can be asked for is {horizon}")


# Putting in


def put_collections(connection: Connection, collections: Collection[str]) -> None:
    """Adds those of the collections that are new, with default settings."""
    table = schema.collections
    known = set(connection.execute(select(table.c.collection).where(table.c.collection.in_(collections))).scalars())
    values = {"settings": {}, "created_at": datetime.now(UTC), "horizon": 0}
    rows = [{"collection": collection, **values} for collection in sorted(set(collections) - known)]
    if rows:
        connection.execute(insert(table), rows)


def put_documents(
    connection: Connection, prepared: Sequence[PreparedVersion], current: Mapping[str, VersionRow]
) -> None:
    """Adds the documents and their collections, or gives known ones, of which `current` are some, new metadata.

    Without metadata a known document keeps its own.
    """
    table = schema.documents
    known: set[str] = set(current)
    for part in parts([its.document_id for its in prepared if its.document_id not in current]):
        known.update(connection.execute(_KNOWN, {"ids": part}).scalars())
    names = ("document_id", "collection", "uri")
    rows = [
        {**{name: getattr(its, name) for name in names}, "metadata": its.metadata or {}}
        for its in prepared
        if its.document_id not in known
    ]
    if rows:
        put_collections(connection, {row["collection"] for row in rows})
        connection.execute(insert(table), rows)
    for its in prepared:
        if its.document_id in known and its.metadata is not None:
            put_metadata(connection, its.document_id, its.metadata)


def put_metadata(connection: Connection, document_id: str, metadata: dict[str, Any]) -> None:
    """Gives a document other metadata."""
    table = schema.documents
    connection.execute(update(table).where(table.c.document_id == document_id).values(metadata=metadata))


def put_versions(
    connection: Connection, prepared: Sequence[PreparedVersion], current: Mapping[str, VersionRow]
) -> list[int]:
    """The number of each version: that of `current` where the content is the same, else that of a new row."""
    last = last_versions(connection, [its.document_id for its in prepared])
    numbers, rows = [], []
    for its in prepared:
        shown = current.get(its.document_id)
        if shown is not None and shown.version_is(its):
            numbers.append(shown.version)
            continue
        numbers.append(last.get(its.document_id, 0) + 1)
        rows.append(
            {
                "document_id": its.document_id,
                "version": numbers[-1],
                "content_hash": its.content_hash,
                "title": its.extracted.title,
                "media_type": its.extracted.media_type,
                "text": its.extracted.text,
                "text_hash": hash_of(its.extracted.text),
                "pages": sum(page.number is not None for page in its.extracted.pages),
                "size_bytes": its.size_bytes,
                "redacted": None if its.redacted is None else dict(its.redacted),
                "created_at": datetime.now(UTC),
            }
        )
    if rows:
        connection.execute(insert(schema.versions), rows)
    return numbers


def put_showings(connection: Connection, shown: Sequence[tuple[str, int, str | None]], revision: int) -> None:
    """Shows versions, each as document, version and what prepared it, from `revision` on."""
    names = ("document_id", "version", "prepared_with")
    rows = [{**dict(zip(names, its, strict=True)), "added_in": revision} for its in shown]
    if rows:
        connection.execute(insert(schema.showings), rows)


def hide(connection: Connection, table: Any, document_ids: Sequence[str], revision: int) -> int:
    """Ends what the head shows of the documents in `table` (showings or occurrences); returns how many rows."""
    hidden = 0
    for part in parts(document_ids):
        hidden += connection.execute(_HIDE[table], {"ids": part, "revision": revision}).rowcount
    return hidden


def put_space(connection: Connection, space: Space, embedder: Mapping[str, Any] | None = None) -> int:
    """The number of the space, which is added where it is new; `embedder` are the settings that built its embedder."""
    table = schema.spaces
    row = connection.execute(_SPACE, {"space_id": space.space_id}).one_or_none()
    if row is None:
        values = {"space_id": space.space_id, "description": asdict(space), "embedder": embedder}
        added = connection.execute(insert(table).values(values)).inserted_primary_key
        assert added is not None
        return int(added[0])
    if embedder is not None and row.embedder != embedder:
        connection.execute(update(table).where(table.c.number == row.number).values(embedder=embedder))
    return int(row.number)


def chunk_numbers(connection: Connection, chunk_ids: Sequence[str]) -> dict[str, int]:
    """The numbers of those of `chunk_ids` that the catalog has."""
    found: dict[str, int] = {}
    for part in parts(chunk_ids):
        found.update((chunk_id, number) for chunk_id, number in connection.execute(_CHUNK_NUMBERS, {"ids": part}))
    return found


def put_chunks(connection: Connection, spans: Iterable[ChunkSpan]) -> tuple[dict[str, int], set[int]]:
    """The numbers of the spans' chunks, and of those the ones that are new: added in the order of the spans."""
    inputs = {span.chunk_id: span.input for span in spans}
    known = chunk_numbers(connection, list(inputs))
    rows = [{"chunk_id": chunk_id, "input": text} for chunk_id, text in inputs.items() if chunk_id not in known]
    added = {chunk_id: number for chunk_id, number in connection.execute(_ADD_CHUNKS, rows)} if rows else {}
    return known | added, set(added.values())


def put_vectors(connection: Connection, vectors: Mapping[int, Vectors], space: int) -> None:
    """Adds the vectors by chunk number; a chunk that has one in this space keeps it."""
    add_vectors(connection, vectors, space, with_vector(connection, list(vectors), space))


def with_vector(connection: Connection, chunks: Sequence[int], space: int) -> set[int]:
    """Those of the chunks that have a vector in the space."""
    present: set[int] = set()
    for part in parts(chunks):
        present.update(connection.execute(_VECTORS_THERE, {"chunks": part, "space": space}).scalars())
    return present


def add_vectors(connection: Connection, vectors: Mapping[int, Vectors], space: int, present: Collection[int]) -> None:
    """Adds the vectors of chunks that are not among `present`, which have one."""
    table = schema.vectors
    rows = [
        {"chunk": chunk, "space": space, "vector": encoded(vector)}
        for chunk, vector in vectors.items()
        if chunk not in present
    ]
    if rows:
        connection.execute(insert(table), rows)


def occurrence_rows(prepared: PreparedVersion, version: int, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """What stands where, without the interval in which it is visible."""
    return [
        {
            "chunk": numbers[span.chunk_id],
            "document_id": prepared.document_id,
            "version": version,
            "collection": prepared.collection,
            "ordinal": span.ordinal,
            "start": span.start,
            "end": span.end,
            "page": span.page,
            "later_pages": [[page.number, page.start] for page in span.later_pages] or None,
            "heading": list(span.heading),
            "lead_start": span.lead and span.lead[0],
            "lead_end": span.lead and span.lead[1],
        }
        for span in prepared.spans
    ]


def put_revision(
    connection: Connection,
    revision: int,
    kind: str,
    *,
    added: int,
    removed: int,
    document_id: str | None = None,
    target: int | None = None,
) -> None:
    """Each revision leaves a mark as well: see `ingest.catalog.marks`."""
    marks.put(connection)
    values = {"kind": kind, "document_id": document_id, "target": target, "added": added, "removed": removed}
    connection.execute(insert(schema.revisions), {"revision": revision, "created_at": datetime.now(UTC), **values})


# Taking out for good


def remove_unused_chunks(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Removes those of the chunks that stand nowhere any more, with their vectors; returns their numbers.

    They are noted for the index to forget them: that goes on after a kill.
    """
    chunks, vectors = schema.chunks, schema.vectors
    used = [
        exists().where(table.c.chunk == chunks.c.number) for table in (schema.occurrences, schema.staged_occurrences)
    ]
    unused: list[int] = []
    for part in parts(numbers):
        query = select(chunks.c.number).where(chunks.c.number.in_(part), ~used[0], ~used[1])
        unused += connection.execute(query).scalars()
    if unused:
        marks.put(connection)
        connection.execute(insert(schema.chunks_gone), [{"number": number} for number in unused])
    for part in parts(unused):
        connection.execute(vectors.delete().where(vectors.c.chunk.in_(part)))
        connection.execute(chunks.delete().where(chunks.c.number.in_(part)))
    return unused


def remove_unused_versions(connection: Connection, document_ids: Sequence[str] | None = None) -> frozenset[str]:
    """Removes versions that are shown at no kept revision and staged nowhere, and documents left without a version.

    Of `document_ids`, or of all. Returns the hashes of the originals of these versions.
    """
    versions, showings, staged, documents = schema.versions, schema.showings, schema.staged, schema.documents
    its = [
        (t.c.document_id == versions.c.document_id) & (t.c.version == versions.c.version) for t in (showings, staged)
    ]
    unused = versions.delete().where(~select(showings).where(its[0]).exists(), ~select(staged).where(its[1]).exists())
    of_it = [t.c.document_id == documents.c.document_id for t in (versions, staged)]
    empty = documents.delete().where(
        ~select(versions).where(of_it[0]).exists(), ~select(staged).where(of_it[1]).exists()
    )
    hashes: set[str] = set()
    for part in [None] if document_ids is None else parts(document_ids):
        among = [[] if part is None else [t.c.document_id.in_(part)] for t in (versions, documents)]
        hashes.update(connection.execute(unused.where(*among[0]).returning(versions.c.content_hash)).scalars())
        connection.execute(empty.where(*among[1]))
    return frozenset(hashes)


# Documents out


def document_query() -> Any:
    documents, versions, showings, occurrences = (
        schema.documents,
        schema.versions,
        schema.showings,
        schema.occurrences,
    )
    all_versions = versions.alias()
    return (
        select(
            documents,
            *(versions.c[name] for name in ("title", "media_type", "version", "size_bytes", "created_at")),
            select(func.count())
            .select_from(all_versions)
            .where(all_versions.c.document_id == documents.c.document_id, was_shown(all_versions))
            .scalar_subquery()
            .label("versions"),
            select(func.count())
            .select_from(occurrences)
            .where(occurrences.c.document_id == documents.c.document_id, occurrences.c.removed_in.is_(None))
            .scalar_subquery()
            .label("chunks"),
        )
        .join(showings, showings.c.document_id == documents.c.document_id)
        .join(versions, (versions.c.document_id == showings.c.document_id) & (versions.c.version == showings.c.version))
        .where(showings.c.removed_in.is_(None))
    )


def document_info(row: Any) -> DocumentInfo:
    values = dict(row)
    return DocumentInfo(updated_at=aware(values.pop("created_at")), **values)


def parts(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """`values` in pieces that fit into one statement."""
    for start in range(0, len(values), _PARAMETERS_A_QUERY):
        yield values[start : start + _PARAMETERS_A_QUERY]


def aware(moment: datetime) -> datetime:
    """In UTC. SQLite gives back naive times, which are in UTC; PostgreSQL those of the time zone of its session."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def hash_of(text: str) -> str:
    """SHA-256 of a version's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def numbers_kept(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Those of the chunk numbers that the catalog still has."""
    kept: list[int] = []
    for part in parts(numbers):
        query = select(schema.chunks.c.number).where(schema.chunks.c.number.in_(part))
        kept += connection.execute(query).scalars()
    return kept


# Built once: what every commit asks. Building a statement takes longer than most of these take in the database.


def _current() -> Any:
    versions, showings = schema.versions, schema.showings
    shows = (showings.c.document_id == versions.c.document_id) & (showings.c.version == versions.c.version)
    return (
        select(
            versions.c.document_id,
            versions.c.version,
            versions.c.content_hash,
            showings.c.prepared_with,
            versions.c.text_hash,
        )
        .join(showings, shows)
        .where(versions.c.document_id.in_(_IDS), showings.c.removed_in.is_(None))
    )


def _numbers_used() -> Any:
    versions, tombstones = schema.versions, schema.tombstones
    kept = select(versions.c.document_id, func.max(versions.c.version)).where(versions.c.document_id.in_(_IDS))
    erased = select(tombstones.c.document_id, tombstones.c.versions).where(tombstones.c.document_id.in_(_IDS))
    return union_all(kept.group_by(versions.c.document_id), erased)


def _hide(table: Any) -> Any:
    shown = table.c.document_id.in_(_IDS) & table.c.removed_in.is_(None)
    return update(table).where(shown).values(removed_in=bindparam("revision"))


def _by(column: Any, *columns: Any) -> Any:
    return select(*columns).where(column.in_(_IDS))


_IDS: Any = bindparam("ids", expanding=True)
_HEAD = select(func.max(schema.revisions.c.revision))
_CURRENT = _current()
_NUMBERS_USED = _numbers_used()
_KNOWN = _by(schema.documents.c.document_id, schema.documents.c.document_id)
_HIDE = {table: _hide(table) for table in (schema.showings, schema.occurrences)}
_SPACE = select(schema.spaces.c.number, schema.spaces.c.embedder).where(
    schema.spaces.c.space_id == bindparam("space_id")
)
_CHUNK_NUMBERS = _by(schema.chunks.c.chunk_id, schema.chunks.c.chunk_id, schema.chunks.c.number)
_ADD_CHUNKS = insert(schema.chunks).returning(schema.chunks.c.chunk_id, schema.chunks.c.number)
_VECTORS_THERE = select(schema.vectors.c.chunk).where(
    schema.vectors.c.chunk.in_(bindparam("chunks", expanding=True)), schema.vectors.c.space == bindparam("space")
)
