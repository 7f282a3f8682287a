"""Sources that can't be followed, items of sources that are not there, and items that tell of erased documents."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError
from sqlalchemy import Connection, delete, select

from ingest import source_items
from ingest.catalog import schema
from ingest.identity import ERASED_NAME
from ingest.sources.types import ItemState, SourceSettings
from ragstone.doctor.findings import Finding, listed

if TYPE_CHECKING:
    from ragstone.wiring import Application

_KNOWN = [state for kind in get_args(ItemState) for state in (get_args(kind) or (kind,))]


def check(application: Application) -> Iterator[Finding]:
    with application.catalog.reading() as connection:
        yield from _settings(connection)
        yield from _items(application, connection)
        yield from _erased(application, connection)


def _settings(connection: Connection) -> Iterator[Finding]:
    table = schema.sources
    for row in connection.execute(select(table.c.name, table.c.settings, table.c.collection).order_by(table.c.name)):
        try:
            settings = SourceSettings.stored(row.settings)
        except ValidationError:
            yield Finding(f"the settings of the source {row.name} can't be read: remove it, and add it again")
            continue
        if settings.collection != row.collection:
            yield Finding(f"the source {row.name} is said to be of two collections: add it again")
        try:
            SourceSettings.model_validate(row.settings)
        except ValidationError as error:
            said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            yield Finding(f"the source {row.name} would be refused now: {said}")


def _items(application: Application, connection: Connection) -> Iterator[Finding]:
    table, sources = schema.source_items, schema.sources
    lost = select(table.c.document_id).where(table.c.source.not_in(select(sources.c.name)))
    if said := listed(connection.execute(lost.order_by(table.c.document_id)).scalars()):
        yield Finding(f"there is no source to item {said}", partial(_forget_lost, application))
    odd = select(table.c.document_id, table.c.state).where(table.c.state.not_in(_KNOWN)).order_by(table.c.document_id)
    if said := listed(f"{row.document_id} ({row.state!r})" for row in connection.execute(odd)):
        yield Finding(f"an item of a source has a state that there is not: {said}: refresh the source with --again")


def _forget_lost(application: Application) -> None:
    """The documents stay: they belong to nobody then, as those of a source that was removed."""
    table, sources = schema.source_items, schema.sources
    with application.catalog.writing() as connection:
        connection.execute(delete(table).where(table.c.source.not_in(select(sources.c.name))))


def _erased(application: Application, connection: Connection) -> Iterator[Finding]:
    """A name or a content that an item still tells of a document that was erased."""
    table = schema.source_items
    told = (table.c.uri != ERASED_NAME) | table.c.content_hash.is_not(None)
    left = list(connection.execute(select(table.c.document_id).where(told)).scalars())
    for document_id in sorted(source_items.erased(connection, left)):
        yield Finding(
            f"an item of a source tells of {document_id}, which was erased", partial(_forget, application, document_id)
        )


def _forget(application: Application, document_id: str) -> None:
    with application.catalog.writing() as connection:
        source_items.erase(connection, document_id)
