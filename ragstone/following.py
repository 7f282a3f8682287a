"""A job followed to its end on the command line: done here, or by the process that is the worker."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ingest.errors import CatalogUnavailable
from ingest.jobs import FINISHED
from ragstone.errors import JobNotDone
from ragstone.wiring import Application

_POLL_S = 0.2


def followed(application: Application, job_id: str) -> Iterator[tuple[int, int]]:
    """Yields how much is done, and of how much. Raises JobNotDone, and CatalogUnavailable when it can't go on."""
    application.worker.start()
    try:
        while True:
            job = application.queue.get(job_id)
            yield job.done, job.total
            if job.state == "done":
                return
            if job.state in FINISHED:
                raise JobNotDone(job.problems[0].detail if job.problems else f"the job was {job.state}")
            if application.worker.problem is not None:
                raise CatalogUnavailable(application.worker.problem)
            time.sleep(_POLL_S)
    finally:
        application.worker.stop()
