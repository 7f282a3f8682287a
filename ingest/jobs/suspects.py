"""Files that end the worker, each time they are tried: one is singled out and given up, the others of its job go in.

1. A job that came no further in two attempts takes its files one at a time.
2. Which one is begun is noted in the job before. What ends the worker then is the file that is noted there.
3. Who does the job next finds the note of another process, and gives that file up.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import Guard
from ingest.jobs.queue import ClaimedJob, JobQueue
from ingest.jobs.uploads import Upload
from ingest.types import DocumentOutcome

# Attempts of a job in which its files are taken together: power cuts and restarts are no file's fault.
_TOGETHER = 2
_NOTED = "alone"
ENDS_THE_WORKER = "ends-the-worker"


class Suspects:
    """Notes of the files that this process took alone, and what those of processes before it tell."""

    def __init__(self, catalog: Catalog, queue: JobQueue) -> None:
        self._catalog = catalog
        self._queue = queue
        self._me = uuid.uuid4().hex  # one's own note is no evidence: this process lives

    def alone(self, job: ClaimedJob) -> bool:
        """Whether the files of the job are to be taken one at a time."""
        return job.attempts > _TOGETHER

    def note(self, job: ClaimedJob, upload: Upload | None, guard: Guard) -> None:
        """Says which file is begun now, and with None that none is."""
        noted = None if upload is None else [upload.document_id, upload.content_hash, self._me]
        with self._catalog.writing() as connection:
            guard(connection)
            self._queue.set_payload(connection, job.job_id, **{_NOTED: noted})

    def culprit(self, job: ClaimedJob, uploads: Sequence[Upload]) -> Upload | None:
        """The file that was begun alone when another process ended."""
        *noted, by = job.payload.get(_NOTED) or (self._me,)
        if by == self._me:
            return None
        return next((its for its in uploads if [its.document_id, its.content_hash] == noted), None)

    def outcome(self, upload: Upload) -> DocumentOutcome:
        return upload.failed(
            ENDS_THE_WORKER,
            f"{upload.name}: the process that does the jobs ended each time it took this file, at last with this one "
            "alone. It was given up: save it in another format, or report it, and try it again when that is mended.",
        )
