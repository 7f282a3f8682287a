"""A job followed to its end on the command line: done here, or by the process that is the worker."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ingest.errors import CatalogUnavailable
from ingest.jobs.hindrances import problem_of_worker
from ingest.jobs.queue import FINISHED
from ingest.types import Job
from ragstone.errors import JobNotDone
from ragstone.wiring import Application

_POLL_S = 0.1


def followed(application: Application, job_id: str) -> Iterator[Job]:
    """The same as `watched`, with this process doing the job where no other is the worker."""
    application.worker.start()
    try:
        yield from watched(application, job_id)
    finally:
        application.worker.stop()


def watched(application: Application, job_id: str) -> Iterator[Job]:
    """The job as it goes on, and last as it ended, whatever became of it.

    Raises CatalogUnavailable when it can't go on: it stays in the queue.
    """
    kind = application.queue.get(job_id).kind
    while True:
        # What the worker says is looked up first: it may say it right after it has done this job.
        problem = application.worker.hindrance(kind) or problem_of_worker(application.catalog, kind)
        job = application.queue.get(job_id)
        yield job
        if job.state in FINISHED:
            return
        # It has waited for locks by then: what it says is not over in a moment.
        if problem is not None:
            raise CatalogUnavailable(f"{problem}; what is left stays in the queue until it is mended")
        time.sleep(_POLL_S)


def require_done(job: Job) -> None:
    """Raises JobNotDone for one that ended otherwise."""
    if job.state != "done":
        raise JobNotDone(job.problems[0].detail if job.problems else f"the job was {job.state}")
