"""What screening held back: looked at, released, or rejected."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ingest.quarantine.quarantine import QuarantineDetail, QuarantineItem, QuarantineState
from ingest.quarantine.texts import MOST_CHARACTERS, ChangedText, HeldChange
from ragstone.api.access import Administrator, Reader
from ragstone.api.parts import Parts

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

Start = Annotated[int, Query(ge=0, lt=2**31)]
Characters = Annotated[int, Query(ge=1, le=MOST_CHARACTERS)]


class QuarantinePage(BaseModel):
    items: list[QuarantineItem]
    next_cursor: str | None


class ChangePage(BaseModel):
    changes: list[HeldChange]
    next_cursor: str | None


class Released(BaseModel):
    """The item as it was decided, and the job that takes the document in; a refresh of a source is shown at once."""

    item: QuarantineItem
    job_id: str | None


@router.get("")
def list_items(
    parts: Parts,
    caller: Reader,
    state: QuarantineState = "held",
    collection: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> QuarantinePage:
    """The newest first, of collections that the caller may read."""
    found = parts.quarantine.list(state, collection, limit, cursor, caller.readable)
    return QuarantinePage(items=found, next_cursor=found[-1].item_id if len(found) == limit else None)


@router.get("/{item_id}")
def item(
    parts: Parts, caller: Reader, item_id: str, start: Start = 0, characters: Characters = MOST_CHARACTERS
) -> QuarantineDetail | QuarantineItem:
    """The item, and for those who may decide all there is to read: from `start` on, so many characters of its text."""
    if "admin" in caller.actions:
        return parts.quarantine.read(item_id, start, characters, caller.readable)
    return parts.quarantine.get(item_id, caller.readable)


@router.get("/{item_id}/changes")
def changes(
    parts: Parts,
    caller: Administrator,
    item_id: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> ChangePage:
    """What a refresh that is held back would do to documents."""
    found = parts.quarantine.changes(item_id, limit, cursor, caller.readable)
    return ChangePage(changes=list(found), next_cursor=found[-1].document_id if len(found) == limit else None)


@router.get("/{item_id}/changes/{document_id}")
def change(
    parts: Parts,
    caller: Administrator,
    item_id: str,
    document_id: str,
    start: Start = 0,
    characters: Characters = MOST_CHARACTERS,
) -> ChangedText:
    """One of these documents, as it is shown and as it would be."""
    return parts.quarantine.changed_text(item_id, document_id, start, characters, caller.readable)


@router.post("/{item_id}/release", status_code=202)
def release(parts: Parts, caller: Administrator, item_id: str) -> Released:
    """Takes the document in as it was uploaded. It is for administrators, not for those who upload."""
    job_id = parts.quarantine.release(item_id, caller.key_id, caller.readable)
    parts.jobs.wake()
    return Released(item=parts.quarantine.get(item_id, caller.readable), job_id=job_id)


@router.post("/{item_id}/reject")
def reject(parts: Parts, caller: Administrator, item_id: str) -> QuarantineItem:
    """Refuses the document for good, and the same content when it comes again; its file is removed."""
    parts.ingestion.remove_unused(parts.quarantine.reject(item_id, caller.key_id, caller.readable))
    return parts.quarantine.get(item_id, caller.readable)
