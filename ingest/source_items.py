"""The items of sources in the catalog: what became of each. Each function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from ingest.catalog import schema, statements
from ingest.catalog.statements import aware
from ingest.errors import NotFound
from ingest.identity import ERASED_NAME
from ingest.jobs.uploads import Upload
from ingest.types import DocumentOutcome

# The state of an item whose document was erased: it is not fetched any more, whatever becomes of it.
ERASED = "erased"
# The state of one whose document stays although it is gone.
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Item:
    """What is known of an item of a source."""

    document_id: str
    uri: str
    mark: str | None
    content_hash: str | None
    state: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """What was fetched of an item: by its mark it is told next time whether it has changed."""

    mark: str | None
    content_hash: str | None


def known(connection: Connection, source: str) -> dict[str, Item]:
    """The items of a source by document."""
    table = schema.source_items
    columns = (table.c.document_id, table.c.uri, table.c.mark, table.c.content_hash, table.c.state)
    rows = connection.execute(select(*columns, table.c.taken_at).where(table.c.source == source))
    return {row.document_id: Item(*row[:5], aware(row.taken_at)) for row in rows}


def owners(connection: Connection, document_ids: Sequence[str]) -> dict[str, str]:
    """The sources that documents belong to; those that belong to none are left out."""
    table = schema.source_items
    found: dict[str, str] = {}
    for part in statements.parts(document_ids):
        query = select(table.c.document_id, table.c.source).where(table.c.document_id.in_(part))
        found.update((document_id, source) for document_id, source in connection.execute(query))
    return found


def erased(connection: Connection, document_ids: Sequence[str]) -> set[str]:
    """Those of the documents that were erased, and that nobody has uploaded since."""
    tombstones, versions = schema.tombstones, schema.versions
    its = (versions.c.document_id == tombstones.c.document_id) & (versions.c.version > tombstones.c.versions)
    came_again = select(versions.c.document_id).where(its).exists()
    found: set[str] = set()
    for part in statements.parts(document_ids):
        query = select(tombstones.c.document_id).where(tombstones.c.document_id.in_(part), ~came_again)
        found.update(connection.execute(query).scalars())
    return found


def put(connection: Connection, source: str, taken: Mapping[str, Taken], outcomes: Sequence[DocumentOutcome]) -> None:
    """Notes what became of items; `taken` is by document. Items that were erased stay so.

    Raises NotFound where the source was removed meanwhile.
    """
    table = schema.source_items
    if not statements.count(connection, schema.sources, schema.sources.c.name == source):
        raise NotFound(f"the source {source} was removed")
    ids = [outcome.document_id for outcome in outcomes]
    gone = erased(connection, ids) | _noted_as_erased(connection, ids)
    left = [outcome for outcome in outcomes if outcome.document_id not in gone]
    for part in statements.parts([outcome.document_id for outcome in left]):
        connection.execute(delete(table).where(table.c.document_id.in_(part)))
    now = datetime.now(UTC)
    rows = [
        {
            "document_id": outcome.document_id,
            "source": source,
            "uri": outcome.uri,
            "mark": taken[outcome.document_id].mark,
            "content_hash": taken[outcome.document_id].content_hash,
            "state": "indexed" if outcome.state == "unchanged" else outcome.state,
            "problem": None if outcome.problem is None else outcome.problem.model_dump(mode="json"),
            "taken_at": now,
        }
        for outcome in left
    ]
    if rows:
        connection.execute(insert(table), rows)
    put_erased(connection, source, gone)


def _noted_as_erased(connection: Connection, document_ids: Sequence[str]) -> set[str]:
    table = schema.source_items
    found: set[str] = set()
    for part in statements.parts(document_ids):
        its = (table.c.document_id.in_(part), table.c.state == ERASED)
        found.update(connection.execute(select(table.c.document_id).where(*its)).scalars())
    return found


def put_erased(connection: Connection, source: str, document_ids: Collection[str]) -> None:
    """Notes that a source has items whose documents were erased, without their names."""
    there = owners(connection, list(document_ids))
    now = datetime.now(UTC)
    rows = [
        {"document_id": its, "source": source, "uri": ERASED_NAME, "state": ERASED, "taken_at": now}
        for its in sorted(document_ids)
        if its not in there
    ]
    if rows:
        connection.execute(insert(schema.source_items), rows)


def erase(connection: Connection, document_id: str) -> None:
    """Takes all that an item tells of an erased document away; that it was erased stays."""
    table = schema.source_items
    values: dict[str, Any] = {"uri": ERASED_NAME, "mark": None, "content_hash": None, "problem": None, "state": ERASED}
    connection.execute(update(table).where(table.c.document_id == document_id).values(values))


def set_marks(connection: Connection, marks: Mapping[str, str | None]) -> None:
    """Gives items other marks, by document: the content is as it was."""
    table = schema.source_items
    for document_id, mark in marks.items():
        its = (table.c.document_id == document_id) & (table.c.state != ERASED)
        connection.execute(update(table).where(its).values(mark=mark))


def set_states(connection: Connection, made: Iterable[tuple[Upload, DocumentOutcome]]) -> None:
    """Notes what became of uploads that came from sources and were held back first."""
    table = schema.source_items
    for upload, outcome in made:
        if upload.source is None or outcome.state not in ("indexed", "unchanged"):
            continue
        its = (table.c.document_id == upload.document_id) & (table.c.content_hash == upload.content_hash)
        connection.execute(update(table).where(its).values(state="indexed", problem=None))


def forget(connection: Connection, document_ids: Collection[str]) -> None:
    table = schema.source_items
    for part in statements.parts(list(document_ids)):
        connection.execute(delete(table).where(table.c.document_id.in_(part), table.c.state != ERASED))


def keep(connection: Connection, document_ids: Collection[str]) -> None:
    """Notes that documents stay although their items are gone: somebody is to decide, or has decided so."""
    table = schema.source_items
    for part in statements.parts(list(document_ids)):
        its = (table.c.document_id.in_(part), table.c.state != ERASED)
        connection.execute(update(table).where(*its).values(state=KEPT))


def came_back(connection: Connection, document_ids: Collection[str]) -> None:
    """Notes that items are there again whose documents were to stay: they are followed as before."""
    table = schema.source_items
    for part in statements.parts(list(document_ids)):
        its = (table.c.document_id.in_(part), table.c.state == KEPT)
        connection.execute(update(table).where(*its).values(state="indexed"))
