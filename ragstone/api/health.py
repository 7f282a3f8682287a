"""Whether the service is alive and ready, and its numbers for Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from ingest.catalog.leases import Lease
from ingest.jobs.hindrances import WORKER, problem_of_worker
from ragstone.api.access import Administrator, AnyCaller
from ragstone.api.parts import Parts
from ragstone.worker_process import WorkerElsewhere

router = APIRouter(tags=["health"])


class Readiness(BaseModel):
    """`ready` when the index is at the head and complete, the worker works, and the language model is loaded.

    `jobs_done_by` is the process that holds the worker's lease.
    """

    ready: bool
    index: str
    model: str
    worker: str
    jobs_done_by: str | None = None


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def alive() -> dict[str, str]:
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model_exclude_none=True)
async def readiness(parts: Parts, caller: AnyCaller, request: Request, response: Response) -> Readiness:
    """What is wrong in detail is for an administrator; others are told which part it is."""
    await asyncio.to_thread(parts.searcher.follow)
    lacking = parts.index.chunks_without_vector
    index = f"{lacking} chunks wait for their vectors" if lacking else f"at revision {parts.index.revision}"
    model = _model_state(request.app.state.model_start)
    holder = await asyncio.to_thread(Lease(parts.catalog, WORKER).holder)
    problem = parts.jobs.problem or await asyncio.to_thread(problem_of_worker, parts.catalog)
    if problem is None and holder is None and isinstance(parts.jobs, WorkerElsewhere):
        problem = "no process does the jobs"
    worker = problem or "working"
    ready = not lacking and model == "loaded" and problem is None
    done_by = None if holder is None else str(holder)
    found = Readiness(ready=ready, index=index, model=model, worker=worker, jobs_done_by=done_by)
    response.status_code = 200 if found.ready else 503
    return found if "admin" in caller.actions and caller.readable is None else _in_bare_words(found, lacking)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(parts: Parts, caller: Administrator) -> PlainTextResponse:
    """Counts of the collections that the caller may read; what concerns all callers is for a key for all of them."""
    counts = parts.catalog.counts(caller.readable)
    admission = parts.answerer.admission
    rows: list[tuple[str, str, Any]] = [
        ("ragstone_revision", "gauge", parts.catalog.head()),
        ("ragstone_documents", "gauge", counts["documents"]),
        ("ragstone_chunks", "gauge", counts["chunks"]),
    ]
    of_all: list[tuple[str, str, Any]] = [
        ("ragstone_answers_being_made", "gauge", admission.serving),
        ("ragstone_callers_waiting", "gauge", admission.waiting),
        ("ragstone_answers_made_total", "counter", admission.served),
        ("ragstone_callers_refused_total", "counter", admission.refused),
    ]
    rows += of_all if caller.readable is None else []
    text = "".join(f"# TYPE {name} {kind}\n{name} {value}\n" for name, kind, value in rows)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _in_bare_words(found: Readiness, lacking: int) -> Readiness:
    known = found.model in ("loaded", "loading")
    return Readiness(
        ready=found.ready,
        index="behind" if lacking else "complete",
        model=found.model if known else "unavailable",
        worker="working" if found.worker == "working" else "waiting",
    )


def _model_state(start: asyncio.Task[None]) -> str:
    if not start.done():
        return "loading"
    error = start.exception()
    return "loaded" if error is None else str(error)
