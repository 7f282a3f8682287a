"""What is held back in full, for whoever decides: the text that was screened, or what a whole refresh would change.

The functions work in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, select

from ingest.catalog import schema, statements
from ingest.errors import NotFound
from ingest.types import Extracted

# Characters that are read at once unless fewer are asked for, and changes that come with their item.
MOST_CHARACTERS = 1_000_000
MOST_CHANGES = 100


class TextPart(BaseModel):
    """`text` begins at offset `start` of a text of so many `characters`: there is more where it ends before."""

    text: str
    start: int
    characters: int


class HiddenText(BaseModel):
    """Text that the file holds and that nobody sees who opens it: see `ingest.types.Hidden`."""

    how: str
    text: str
    page: int | None


class HeldChange(BaseModel):
    """What a refresh that is held back would do to a document; lengths are in characters, null where there is none."""

    document_id: str
    uri: str
    change: Literal["added", "changed", "removed"]
    characters_before: int | None
    characters_after: int | None


class ChangedText(HeldChange):
    """The same, with the text that is shown now and the one that would be."""

    before: TextPart | None
    after: TextPart | None


class HeldText(BaseModel):
    """What was read of a file that is held back. The offsets of its findings are into `text`."""

    title: str
    text: TextPart
    hidden: list[HiddenText]


def put(connection: Connection, read: Mapping[str, Extracted]) -> None:
    """Keeps what was read of files until it is decided; by item of the quarantine."""
    rows = [
        {
            "item_id": item_id,
            "title": its.title,
            "text": its.text,
            "hidden": [{"how": part.how, "text": part.text, "page": part.page} for part in its.hidden],
        }
        for item_id, its in read.items()
    ]
    if rows:
        connection.execute(insert(schema.quarantine_texts), rows)


def forget(connection: Connection, item_ids: Sequence[str]) -> None:
    table = schema.quarantine_texts
    for part in statements.parts(item_ids):
        connection.execute(delete(table).where(table.c.item_id.in_(part)))


def held_text(connection: Connection, item_id: str, start: int, characters: int) -> HeldText | None:
    """So many characters from `start` on; None where nothing is kept of the item."""
    table = schema.quarantine_texts
    query = select(table.c.title, table.c.hidden, *_part(table.c.text, start, characters))
    row = connection.execute(query.where(table.c.item_id == item_id)).mappings().one_or_none()
    if row is None:
        return None
    hidden = [HiddenText(**its) for its in row["hidden"]]
    return HeldText(title=row["title"], text=_part_of(row, start), hidden=hidden)


def count_changes(connection: Connection, batch: str) -> int:
    return statements.count(connection, schema.staged, schema.staged.c.batch_id == batch)


def changes(connection: Connection, batch: str, limit: int, after: str | None = None) -> list[HeldChange]:
    """What a batch does to documents, by document id, behind `after`."""
    staged, documents, versions = schema.staged, schema.documents, schema.versions
    new = (versions.c.document_id == staged.c.document_id) & (versions.c.version == staged.c.version)
    query = (
        select(staged.c.document_id, documents.c.uri, func.length(versions.c.text).label("length"))
        .join(documents, documents.c.document_id == staged.c.document_id)
        .outerjoin(versions, new)
        .where(staged.c.batch_id == batch)
        .order_by(staged.c.document_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(staged.c.document_id > after)
    rows = connection.execute(query).all()
    shown = _lengths_shown(connection, [row.document_id for row in rows])
    return [_change(row.document_id, row.uri, shown.get(row.document_id), row.length) for row in rows]


def changed_text(connection: Connection, batch: str, document_id: str, start: int, characters: int) -> ChangedText:
    """The text of a document before and after the batch. Raises NotFound where the batch does nothing to it."""
    staged, documents = schema.staged, schema.documents
    query = select(staged.c.version, documents.c.uri).join(documents).where(staged.c.batch_id == batch)
    row = connection.execute(query.where(staged.c.document_id == document_id)).one_or_none()
    if row is None:
        raise NotFound(f"the refresh that is held back does nothing to a document {document_id}")
    current = statements.current_version(connection, document_id)
    before, after = (
        None if version is None else _version_part(connection, document_id, version, start, characters)
        for version in (None if current is None else current.version, row.version)
    )
    lengths = [None if its is None else its.characters for its in (before, after)]
    change = _change(document_id, row.uri, *lengths)
    return ChangedText(**change.model_dump(), before=before, after=after)


def _change(document_id: str, uri: str, before: int | None, after: int | None) -> HeldChange:
    what: Literal["added", "changed", "removed"]
    what = "removed" if after is None else "added" if before is None else "changed"
    return HeldChange(document_id=document_id, uri=uri, change=what, characters_before=before, characters_after=after)


def _lengths_shown(connection: Connection, document_ids: Sequence[str]) -> dict[str, int]:
    """How long the texts are that the head shows."""
    showings, versions = schema.showings, schema.versions
    its = (versions.c.document_id == showings.c.document_id) & (versions.c.version == showings.c.version)
    query = select(showings.c.document_id, func.length(versions.c.text)).join(versions, its)
    found: dict[str, int] = {}
    for part in statements.parts(document_ids):
        shown = query.where(showings.c.document_id.in_(part), showings.c.removed_in.is_(None))
        found.update((document_id, length) for document_id, length in connection.execute(shown))
    return found


def _version_part(connection: Connection, document_id: str, version: int, start: int, characters: int) -> TextPart:
    table = schema.versions
    query = select(*_part(table.c.text, start, characters))
    its = (table.c.document_id == document_id, table.c.version == version)
    return _part_of(connection.execute(query.where(*its)).mappings().one(), start)


def _part(column: ColumnElement[str], start: int, characters: int) -> tuple[Any, Any]:
    return func.substr(column, start + 1, characters).label("part"), func.length(column).label("length")


def _part_of(row: RowMapping, start: int) -> TextPart:
    return TextPart(text=row["part"], start=start, characters=row["length"])
