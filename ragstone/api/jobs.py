"""Jobs and their progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from ingest.jobs import FINISHED
from ingest.keys import KeyRing
from ingest.types import Job
from ragstone.api.access import Caller, Reader, Writer
from ragstone.api.events import server_sent
from ragstone.api.parts import Parts
from ragstone.wiring import Application

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_POLL_S = 0.25


@router.get("")
def list_jobs(parts: Parts, caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, list[Job]]:
    """The newest first: those that work on collections of the caller only."""
    return {"jobs": list(parts.ingestion.queue.list(limit, caller.readable))}


@router.get("/{job_id}")
def job(parts: Parts, caller: Reader, job_id: str) -> Job:
    return parts.ingestion.queue.get(job_id, caller.readable)


@router.get("/{job_id}/events")
async def events(parts: Parts, caller: Reader, job_id: str) -> StreamingResponse:
    """The job each time it changes, as `progress` events, and last as `done`. Ends when the key is revoked."""
    first = await asyncio.to_thread(parts.ingestion.queue.get, job_id, caller.readable)
    return StreamingResponse(_progress(parts, caller, first), media_type="text/event-stream")


@router.post("/{job_id}/cancel")
def cancel(parts: Parts, caller: Writer, job_id: str) -> Job:
    parts.ingestion.queue.get(job_id, caller.readable)
    return parts.ingestion.cancel(job_id)


@router.post("/{job_id}/retry")
def retry(parts: Parts, caller: Writer, job_id: str) -> Job:
    """Queues a job once more that was given up (`dead`). Passwords that came with it are gone."""
    job = parts.ingestion.queue.retry(job_id, caller.readable)
    parts.jobs.wake()
    return job


async def _progress(parts: Application, caller: Caller, first: Job) -> AsyncIterator[str]:
    job, shown = first, None
    while True:
        if job != shown:
            finished = job.state in FINISHED
            yield server_sent("done" if finished else "progress", job.model_dump(mode="json"))
            if finished:
                return
            shown = job
        await asyncio.sleep(_POLL_S)
        if not await asyncio.to_thread(_still_let_in, parts, caller):
            return
        job = await asyncio.to_thread(parts.ingestion.queue.get, job.job_id)


def _still_let_in(parts: Application, caller: Caller) -> bool:
    ring = KeyRing(parts.catalog)
    return not ring.any_in_force() if caller.key_id is None else ring.in_force(caller.key_id)
