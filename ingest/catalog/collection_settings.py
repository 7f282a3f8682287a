"""The collections of a catalog, with the settings that each has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog, Readable
from ingest.errors import NotFound


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection with what the head revision shows of it; `settings` are those that it has of its own."""

    name: str
    settings: dict[str, Any]
    documents: int
    chunks: int
    created_at: datetime


class Collections:
    """A collection is there from its first document on, or from when it was given settings."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def all(self, readable: Readable = None) -> list[CollectionInfo]:
        """By name; with `readable`, only these."""
        collections, documents = schema.collections, schema.documents
        showings, occurrences = schema.showings, schema.occurrences
        of_it = documents.c.collection == collections.c.collection
        shown = (
            select(func.count())
            .select_from(showings.join(documents, documents.c.document_id == showings.c.document_id))
            .where(of_it, showings.c.removed_in.is_(None))
        )
        chunks = select(func.count(func.distinct(occurrences.c.chunk))).where(
            occurrences.c.collection == collections.c.collection, occurrences.c.removed_in.is_(None)
        )
        query = select(
            collections.c.collection.label("name"),
            collections.c.settings,
            shown.scalar_subquery().label("documents"),
            chunks.scalar_subquery().label("chunks"),
            collections.c.created_at,
        ).order_by(collections.c.collection)
        if readable is not None:
            query = query.where(collections.c.collection.in_(readable))
        with self._catalog.reading() as connection:
            rows = connection.execute(query).mappings()
            return [CollectionInfo(**{**row, "created_at": statements.aware(row["created_at"])}) for row in rows]

    def get(self, name: str, readable: Readable = None) -> CollectionInfo:
        """Raises NotFound, in the same words for one that is not there and for one that may not be read."""
        its = [name] if readable is None or name in readable else []
        for found in self.all(its):
            return found
        raise NotFound(f"no collection {name}")

    def set(self, name: str, settings: dict[str, Any]) -> None:
        """Gives the collection these settings in place of those it has; it is made where there is none."""
        table = schema.collections
        with self._catalog.writing() as connection:
            statements.put_collections(connection, [name])
            connection.execute(update(table).where(table.c.collection == name).values(settings=settings))


def own_settings(connection: Connection, name: str) -> dict[str, Any]:
    """What a collection has of its own; nothing where there is no such collection yet."""
    table = schema.collections
    query = select(table.c.settings).where(table.c.collection == name)
    found: dict[str, Any] = connection.execute(query).scalar_one_or_none() or {}
    return found
