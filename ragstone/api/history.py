"""Changes of the index: rollback, staged batches, pins."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ingest.revisions.history import Batch
from ragstone.api.access import Operator, Stager
from ragstone.api.inputs import Text
from ragstone.api.parts import Parts

router = APIRouter(prefix="/v1", tags=["index"])


class RollbackBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: Annotated[int, Field(ge=0, lt=2**31)]


class Revision(BaseModel):
    revision: int


class BatchBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Annotated[Text, Field(max_length=1000)] = ""


class Opened(BaseModel):
    batch_id: str


class PinBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: Annotated[int, Field(ge=0, lt=2**31)]


class Pins(BaseModel):
    pins: list[dict[str, Any]]


@router.post("/index/rollback")
def rollback(parts: Parts, _: Operator, body: RollbackBody) -> Revision:
    """Appends a revision whose content is that of an old one; nothing is embedded, and nothing is lost."""
    return Revision(revision=parts.history.rollback(body.revision))


@router.post("/batches", status_code=201)
def open_batch(parts: Parts, _: Stager, body: BatchBody) -> Opened:
    """Opens a batch: uploads and searches that name it see its changes on top of the head, all others don't."""
    return Opened(batch_id=parts.history.open_batch(body.note))


@router.get("/batches")
def batches(parts: Parts, _: Stager) -> dict[str, list[Batch]]:
    """The newest first."""
    return {"batches": parts.history.batches()}


@router.post("/batches/{batch_id}/promote")
def promote(parts: Parts, _: Stager, batch_id: str) -> Revision:
    """Gives the batch a revision of its own; 409 when a document of it was changed after it was opened."""
    return Revision(revision=parts.history.promote(batch_id))


@router.delete("/batches/{batch_id}", status_code=204)
def drop(parts: Parts, _: Stager, batch_id: str) -> None:
    parts.ingestion.remove_unused(parts.history.drop_batch(batch_id))


@router.post("/batches/{batch_id}/removals/{document_id}", status_code=204)
def stage_removal(parts: Parts, _: Stager, batch_id: str, document_id: str) -> None:
    """The batch hides the document."""
    parts.ingestion.remove_unused(parts.history.stage_removal(batch_id, document_id))


@router.get("/pins")
def pins(parts: Parts, _: Operator) -> Pins:
    return Pins(pins=[asdict(pin) for pin in parts.retention.pins()])


@router.put("/pins/{name}", status_code=204)
def pin(parts: Parts, _: Operator, name: str, body: PinBody) -> None:
    """Keeps all that a revision shows, whatever the retention says, until the pin is taken away."""
    parts.retention.pin(name, body.revision)


@router.delete("/pins/{name}", status_code=204)
def unpin(parts: Parts, _: Operator, name: str) -> None:
    parts.retention.unpin(name)
