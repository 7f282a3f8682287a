"""Documents that screening held back: they are in no index until somebody releases them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import Connection, delete, insert, select, update

from ingest import source_items
from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog, Readable
from ingest.catalog.statements import aware
from ingest.errors import NotFound, QuarantineConflict
from ingest.jobs.queue import JobQueue
from ingest.jobs.uploads import Upload, stored
from ingest.quarantine import texts as held_texts
from ingest.quarantine.texts import MOST_CHANGES, MOST_CHARACTERS, ChangedText, HeldChange, HiddenText
from ingest.revisions import batches
from ingest.screening.findings import Finding
from ingest.types import DocumentOutcome, Extracted, Problem

# What happens to new documents of a collection: all are taken, those are held back in which screening finds something,
# or all are.
Policy = Literal["off", "suspicious", "all"]
QuarantineState = Literal["held", "released", "rejected"]
# The code of the problem of an upload that is held back, and of one that was rejected before.
QUARANTINED, REJECTED = "quarantined", "rejected"
ALL_HELD = "all new documents of this collection are held back at first"


class FindingInfo(BaseModel):
    """A reason why a document is held back: see `ingest.screening.findings.Finding`."""

    kind: str
    reason: str
    preview: str
    start: int | None
    end: int | None
    score: float


class QuarantineItem(BaseModel):
    """A document that is held back, or was, with the reasons."""

    item_id: str
    document_id: str
    collection: str
    uri: str
    state: QuarantineState
    reason: str
    preview: str
    findings: list[FindingInfo]
    source: str | None
    batch_id: str | None
    size_bytes: int
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None


class QuarantineDetail(QuarantineItem):
    """An item with all there is to read before deciding: the document's text, or what a refresh would change.

    `text` is what stands from `text_start` on in a text of `text_characters`, to which the offsets of the findings
    belong; where it is null, `text_problem` says why. Of `changes_total` changes of a refresh `changes` has the first.
    """

    title: str | None
    text: str | None
    text_start: int
    text_characters: int | None
    text_problem: str | None
    hidden: list[HiddenText]
    changes: list[HeldChange]
    changes_total: int


@dataclass(frozen=True, slots=True)
class Held:
    """An upload that is to be held back, why, and what was read of it."""

    upload: Upload
    findings: tuple[Finding, ...]
    extracted: Extracted

    @property
    def outcome(self) -> DocumentOutcome:
        upload = self.upload
        reason = self.findings[0].reason if self.findings else ALL_HELD
        more = f" (and {len(self.findings) - 1} more findings)" if len(self.findings) > 1 else ""
        detail = f"{upload.name} is held back until somebody decides: {reason}{more}"
        problem = Problem(code=QUARANTINED, detail=detail, uri=upload.uri)
        return DocumentOutcome(document_id=upload.document_id, uri=upload.uri, state="quarantined", problem=problem)


def hold(connection: Connection, held: Sequence[Held]) -> set[str]:
    """Notes what is held back, in the caller's transaction, in place of what was held of the same documents.

    Returns the hashes of originals that were held before.
    """
    table = schema.quarantine
    ids = [its.upload.document_id for its in held]
    freed: set[str] = set()
    for part in statements.parts(ids):
        before = (table.c.document_id.in_(part), table.c.state == "held")
        held_texts.forget(connection, list(connection.execute(select(table.c.item_id).where(*before)).scalars()))
        freed.update(connection.execute(delete(table).where(*before).returning(table.c.content_hash)).scalars())
    shown = statements.current_versions(connection, ids) if ids else {}
    now = datetime.now(UTC)
    rows = []
    for its in held:
        upload = its.upload
        current = shown.get(upload.document_id)
        rows.append(
            {
                "item_id": f"q-{uuid.uuid4().hex[:20]}",
                "document_id": upload.document_id,
                "collection": upload.collection,
                "uri": upload.uri,
                "content_hash": upload.content_hash,
                "version": None if current is None else current.version,
                "upload": stored(upload),
                "findings": [asdict(finding) for finding in its.findings],
                "state": "held",
                "created_at": now,
            }
        )
    if rows:
        connection.execute(insert(table), rows)
        read = {str(row["item_id"]): its.extracted for row, its in zip(rows, held, strict=True)}
        held_texts.put(connection, read)
    return freed - {its.upload.content_hash for its in held}


def hold_batch(connection: Connection, batch: str, source: str, collection: str, findings: Sequence[Finding]) -> None:
    """Notes that a refresh of a source is held back, in the caller's transaction."""
    about = Upload(collection, source, source, "", 0, None, batch=batch, source=source)
    values = {
        "item_id": f"q-{uuid.uuid4().hex[:20]}",
        "document_id": "",
        "collection": collection,
        "uri": source,
        "content_hash": "",
        "upload": stored(about),
        "batch_id": batch,
        "findings": [asdict(finding) for finding in findings],
        "state": "held",
        "created_at": datetime.now(UTC),
    }
    connection.execute(insert(schema.quarantine).values(values))


def decided(connection: Connection, document_ids: Sequence[str]) -> dict[tuple[str, str], QuarantineState]:
    """What was decided on contents of documents, by document and hash of the content."""
    table = schema.quarantine
    found: dict[tuple[str, str], QuarantineState] = {}
    for part in statements.parts(document_ids):
        its = (table.c.document_id.in_(part), table.c.state != "held")
        query = select(table.c.document_id, table.c.content_hash, table.c.state).where(*its)
        rows = connection.execute(query.order_by(table.c.decided_at))
        found.update({(row.document_id, row.content_hash): row.state for row in rows})
    return found


class Quarantine:
    """Shows what is held back, and carries out what is decided."""

    def __init__(self, catalog: Catalog, queue: JobQueue) -> None:
        self._catalog = catalog
        self._queue = queue

    def list(
        self,
        state: QuarantineState | None = "held",
        collection: str | None = None,
        limit: int = 100,
        after: str | None = None,
        readable: Readable = None,
    ) -> list[QuarantineItem]:
        """The newest first, behind the item `after`. Raises NotFound where there is none of that id."""
        table = schema.quarantine
        query = select(table).order_by(table.c.created_at.desc(), table.c.item_id).limit(limit)
        for column, value in ((table.c.state, state), (table.c.collection, collection)):
            query = query if value is None else query.where(column == value)
        if readable is not None:
            query = query.where(table.c.collection.in_(readable))
        with self._catalog.reading() as connection:
            if after is not None:
                last = _row(connection, after, readable)
                older = table.c.created_at < last["created_at"]
                same = (table.c.created_at == last["created_at"]) & (table.c.item_id > after)
                query = query.where(older | same)
            return [_item(dict(row)) for row in connection.execute(query).mappings()]

    def get(self, item_id: str, readable: Readable = None) -> QuarantineItem:
        """Raises NotFound."""
        with self._catalog.reading() as connection:
            return _item(_row(connection, item_id, readable))

    def read(
        self, item_id: str, start: int = 0, characters: int = MOST_CHARACTERS, readable: Readable = None
    ) -> QuarantineDetail:
        """The item with so many characters of its text from `start` on. Raises NotFound."""
        with self._catalog.reading() as connection:
            row = _row(connection, item_id, readable)
            batch: str | None = row["batch_id"]
            read = None if batch is not None else held_texts.held_text(connection, item_id, start, characters)
            total = 0 if batch is None else held_texts.count_changes(connection, batch)
            found = [] if batch is None else held_texts.changes(connection, batch, MOST_CHANGES)
        return QuarantineDetail(
            **_item(row).model_dump(),
            title=read and read.title,
            text=read and read.text.text,
            text_start=start,
            text_characters=read and read.text.characters,
            text_problem=None if read is not None else _no_text(row, total),
            hidden=[] if read is None else read.hidden,
            changes=found,
            changes_total=total,
        )

    def changes(
        self, item_id: str, limit: int = 100, after: str | None = None, readable: Readable = None
    ) -> Sequence[HeldChange]:
        """What a refresh that is held back would change, by document id, behind `after`. Raises NotFound."""
        with self._catalog.reading() as connection:
            batch = _row(connection, item_id, readable)["batch_id"]
            return [] if batch is None else held_texts.changes(connection, batch, limit, after)

    def changed_text(
        self,
        item_id: str,
        document_id: str,
        start: int = 0,
        characters: int = MOST_CHARACTERS,
        readable: Readable = None,
    ) -> ChangedText:
        """A document before and after a refresh that is held back. Raises NotFound."""
        with self._catalog.reading() as connection:
            batch = _row(connection, item_id, readable)["batch_id"]
            if batch is None:
                raise NotFound(f"{item_id} is one document, no refresh of a source")
            return held_texts.changed_text(connection, batch, document_id, start, characters)

    def release(self, item_id: str, by: str | None = None, readable: Readable = None) -> str | None:
        """Queues the document for the index, as it was uploaded; returns the job's id. A batch is promoted at once.

        Raises NotFound, QuarantineConflict where it was decided before, or the document has a newer version, and
        BatchConflict where documents of the batch have.
        """
        with self._catalog.writing() as connection:
            row = _undecided(connection, item_id, readable)
            if row["batch_id"] is not None:
                removed = batches.removed_by(connection, row["batch_id"])
                batches.promote(connection, row["batch_id"])
                source_items.forget(connection, removed)  # what it hides is no item of its source any more
                _decide(connection, item_id, "released", by, {})
                return None
            current = statements.current_version(connection, row["document_id"])
            if (None if current is None else current.version) != row["version"]:
                raise QuarantineConflict(
                    f"the document of {item_id} has another version by now: reject this one, or upload it again"
                )
            upload = replace(Upload(**row["upload"]), released=True)
            _decide(connection, item_id, "released", by, {"upload": _without_password(row["upload"])})
            return self._queue.enqueue(connection, [upload], [], row["collection"])

    def reject(self, item_id: str, by: str | None = None, readable: Readable = None) -> set[str]:
        """Refuses the document for good, and when the same content comes again; returns hashes of originals to remove.

        What was read and found is forgotten, but for the reasons. Raises NotFound and QuarantineConflict.
        """
        with self._catalog.writing() as connection:
            row = _undecided(connection, item_id, readable)
            if row["batch_id"] is not None:
                freed = batches.drop(connection, row["batch_id"])
                _decide(connection, item_id, "rejected", by, {})
                return set(freed)
            findings = [{**finding, "preview": ""} for finding in row["findings"]]
            values = {"findings": findings, "upload": _without_password(row["upload"])}
            _decide(connection, item_id, "rejected", by, values)
        return {row["content_hash"]}


def forget_document(connection: Connection, document_id: str) -> None:
    """Takes all that was held of a document away, in the caller's transaction."""
    table = schema.quarantine
    its = select(table.c.item_id).where(table.c.document_id == document_id)
    held_texts.forget(connection, list(connection.execute(its).scalars()))
    connection.execute(delete(table).where(table.c.document_id == document_id))


def _row(connection: Connection, item_id: str, readable: Readable) -> Mapping[str, Any]:
    table = schema.quarantine
    query = select(table).where(table.c.item_id == item_id)
    if readable is not None:
        query = query.where(table.c.collection.in_(readable))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"nothing is held as {item_id}")
    return dict(row)


def _undecided(connection: Connection, item_id: str, readable: Readable) -> Mapping[str, Any]:
    row = _row(connection, item_id, readable)
    if row["state"] != "held":
        raise QuarantineConflict(f"{item_id} was {row['state']} before")
    return row


def _decide(
    connection: Connection, item_id: str, state: QuarantineState, by: str | None, values: Mapping[str, Any]
) -> None:
    table = schema.quarantine
    held_texts.forget(connection, [item_id])  # it is among the documents' texts by now, or nobody's any more
    decision = {"state": state, "decided_at": datetime.now(UTC), "decided_by": by}
    connection.execute(update(table).where(table.c.item_id == item_id).values({**values, **decision}))


def _no_text(row: Mapping[str, Any], changes: int) -> str:
    if changes:
        return "it is a refresh of a source: `changes` says what it would do"
    if row["state"] == "held":
        return "it was held back by an older version, which kept no text: upload it again to read it here"
    return f"it was {row['state']}: its text is no longer kept here"


def _without_password(upload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in upload.items() if name != "password"}


def _item(row: Mapping[str, Any]) -> QuarantineItem:
    upload = Upload(**row["upload"])
    findings = [FindingInfo(**finding) for finding in row["findings"]]
    return QuarantineItem(
        item_id=row["item_id"],
        document_id=row["document_id"],
        collection=row["collection"],
        uri=row["uri"],
        state=row["state"],
        reason=findings[0].reason if findings else ALL_HELD,
        preview=findings[0].preview if findings else "",
        findings=findings,
        source=upload.source,
        batch_id=row["batch_id"],
        size_bytes=upload.size_bytes,
        created_at=aware(row["created_at"]),
        decided_at=aware(row["decided_at"]) if row["decided_at"] else None,
        decided_by=row["decided_by"],
    )
