"""Jobs and their progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from ingest.catalog.keys import KeyRing
from ingest.jobs.queue import FINISHED
from ingest.types import DocumentOutcome, DocumentState, Job, JobState, JobSummary
from ragstone.api.access import Caller, Reader, Writer
from ragstone.api.events import server_sent
from ragstone.api.parts import Parts
from ragstone.wiring import Application

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_POLL_S = 0.25
# Files and problems of one job in one reply.
_MOST = 1000


class JobPage(BaseModel):
    jobs: list[JobSummary]
    next_cursor: str | None


class OutcomePage(BaseModel):
    documents: list[DocumentOutcome]
    next_cursor: str | None


@router.get("")
def list_jobs(
    parts: Parts,
    caller: Reader,
    state: Annotated[list[JobState] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> JobPage:
    """The newest first: those that work on collections of the caller only. `state` can be given several times."""
    found = parts.ingestion.queue.list(limit, caller.readable, state or (), cursor)
    return JobPage(jobs=list(found), next_cursor=found[-1].job_id if len(found) == limit else None)


@router.get("/{job_id}")
def job(parts: Parts, caller: Reader, job_id: str) -> Job:
    """The job with what became of its first 1000 files, and as many problems; `counts` counts all."""
    return _first_of(parts.ingestion.queue.get(job_id, caller.readable))


@router.get("/{job_id}/documents")
def documents(
    parts: Parts,
    caller: Reader,
    job_id: str,
    state: DocumentState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> OutcomePage:
    """What became of the files that are done, in the order in which they were."""
    found = enumerate(parts.ingestion.queue.get(job_id, caller.readable).documents[cursor:], cursor + 1)
    page = list(islice(((number, its) for number, its in found if state in (None, its.state)), limit))
    return OutcomePage(documents=[its for _, its in page], next_cursor=str(page[-1][0]) if len(page) == limit else None)


@router.get("/{job_id}/events")
async def events(parts: Parts, caller: Reader, job_id: str) -> StreamingResponse:
    """The job each time it changes, as `progress` events, and last as `done`. Ends when the key is revoked."""
    first = await asyncio.to_thread(parts.ingestion.queue.get, job_id, caller.readable)
    return StreamingResponse(_progress(parts, caller, first), media_type="text/event-stream")


@router.post("/{job_id}/cancel")
def cancel(parts: Parts, caller: Writer, job_id: str) -> Job:
    parts.ingestion.queue.get(job_id, caller.readable)
    return _first_of(parts.ingestion.cancel(job_id))


@router.post("/{job_id}/retry")
def retry(parts: Parts, caller: Writer, job_id: str) -> Job:
    """Queues a job once more that was given up (`dead`). Passwords that came with it are gone."""
    job = parts.ingestion.queue.retry(job_id, caller.readable)
    parts.jobs.wake()
    return _first_of(job)


def _first_of(job: Job) -> Job:
    return job.model_copy(update={"documents": job.documents[:_MOST], "problems": job.problems[:_MOST]})


async def _progress(parts: Application, caller: Caller, first: Job) -> AsyncIterator[str]:
    job, shown = first, None
    while True:
        if job != shown:
            finished = job.state in FINISHED
            yield server_sent("done" if finished else "progress", _first_of(job).model_dump(mode="json"))
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
