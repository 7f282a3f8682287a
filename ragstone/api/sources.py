"""Sources: where documents are fetched from by themselves, and their refreshes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict

from ingest.errors import NotFound
from ingest.sources.types import ItemInfo, ItemState, SourceInfo, SourceSettings
from ragstone.api.access import Administrator, Reader, Writer
from ragstone.api.inputs import Text
from ragstone.api.parts import Parts
from ragstone.names import collection_name, source_name

router = APIRouter(prefix="/v1", tags=["sources"])

SourceName = Annotated[str, AfterValidator(source_name)]


class RefreshBody(BaseModel):
    """Which source; all of them where none is named. With `again` what seems unchanged is fetched too."""

    model_config = ConfigDict(extra="forbid")

    source: Text | None = None
    again: bool = False


class Refreshed(BaseModel):
    """`job_id` is the first of the jobs: one a source."""

    job_id: str
    jobs: list[str]


class ItemPage(BaseModel):
    items: list[ItemInfo]
    next_cursor: str | None


@router.get("/sources")
def list_sources(parts: Parts, caller: Reader) -> dict[str, list[SourceInfo]]:
    """Those of the collections that the caller may read, by name."""
    return {"sources": parts.sources.all(caller.readable)}


@router.put("/sources/{name}")
def put(parts: Parts, caller: Administrator, name: SourceName, body: SourceSettings) -> SourceInfo:
    """Adds a source, or gives a known one these settings. With a schedule it is looked at at once.

    It is for administrators: a source reads what this service can reach.
    """
    collection_name(body.collection)
    caller.need_collection(body.collection)
    parts.sources.require_free(name, caller.readable)
    source = parts.sources.put(name, body)
    parts.jobs.wake()
    return source


@router.delete("/sources/{name}", status_code=204)
def delete(parts: Parts, caller: Administrator, name: SourceName) -> None:
    """Forgets the source; its documents stay as they are."""
    parts.sources.get(name, caller.readable)
    for job_id in parts.sources.remove(name):
        parts.ingestion.cancel(job_id)


@router.get("/sources/{name}/items")
def items(
    parts: Parts,
    caller: Reader,
    name: SourceName,
    state: ItemState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> ItemPage:
    """What the source has, and what became of each when it was fetched last."""
    found = parts.sources.items(name, limit, cursor, state, caller.readable)
    return ItemPage(items=found, next_cursor=found[-1].document_id if len(found) == limit else None)


@router.post("/index/refresh", status_code=202)
def refresh(parts: Parts, caller: Writer, body: RefreshBody | None = None) -> Refreshed:
    """Brings one source up to date, or all that the caller may read: a job for each."""
    asked = body or RefreshBody()
    jobs = parts.sources.request(asked.source, again=asked.again, readable=caller.readable)
    if not jobs:
        raise NotFound("there are no sources: add one by PUT /v1/sources/{name}")
    parts.jobs.wake()
    return Refreshed(job_id=jobs[0], jobs=jobs)
