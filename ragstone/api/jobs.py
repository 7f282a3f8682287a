"""Jobs and their progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from ingest.jobs import FINISHED
from ingest.types import Job
from ragstone.api.events import server_sent
from ragstone.api.parts import Parts
from ragstone.wiring import Application

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_POLL_S = 0.25


@router.get("")
def list_jobs(parts: Parts, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, list[Job]]:
    return {"jobs": list(parts.ingestion.queue.list(limit))}


@router.get("/{job_id}")
def job(parts: Parts, job_id: str) -> Job:
    return parts.ingestion.queue.get(job_id)


@router.get("/{job_id}/events")
async def events(parts: Parts, job_id: str) -> StreamingResponse:
    """The job each time it changes, as `progress` events, and last as `done`."""
    first = await asyncio.to_thread(parts.ingestion.queue.get, job_id)
    return StreamingResponse(_progress(parts, first), media_type="text/event-stream")


@router.post("/{job_id}/cancel")
def cancel(parts: Parts, job_id: str) -> Job:
    parts.ingestion.queue.get(job_id)
    return parts.ingestion.queue.request_cancel(job_id)


async def _progress(parts: Application, first: Job) -> AsyncIterator[str]:
    job, shown = first, None
    while True:
        if job != shown:
            finished = job.state in FINISHED
            yield server_sent("done" if finished else "progress", job.model_dump(mode="json"))
            if finished:
                return
            shown = job
        await asyncio.sleep(_POLL_S)
        job = await asyncio.to_thread(parts.ingestion.queue.get, job.job_id)
