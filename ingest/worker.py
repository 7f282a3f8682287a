"""The worker: one thread that takes jobs from the queue, in the process that holds the data folder's worker lock."""

from __future__ import annotations

import fcntl
import logging
import threading
import uuid
from pathlib import Path
from typing import IO

from ingest.errors import CatalogUnavailable, IngestError
from ingest.identity import document_id_of
from ingest.jobs import ClaimedJob, Upload
from ingest.pipeline import Ingestion
from ingest.types import DocumentOutcome, Problem

log = logging.getLogger(__name__)

# How long an idle worker sleeps when nobody wakes it: jobs of other processes are found by looking.
POLL_S = 0.5


class WorkerLock:
    """Held by at most one process a data folder; the kernel frees it when that process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "worker.lock"
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def acquire(self) -> bool:
        file = open(self._path, "w")  # noqa: SIM115 (kept open as long as the lock is held)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Worker:
    """Does the jobs of a data folder, or stands by while another process does them."""

    def __init__(self, ingestion: Ingestion, lock: WorkerLock) -> None:
        self._ingestion = ingestion
        self._lock = lock
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._took_over = False
        self.problem: str | None = None  # why the queue waits, while it does

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ingest-worker", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Says that there may be a job; an idle worker looks at once."""
        self._wake.set()

    def stop(self) -> None:
        """Ends after the batch of chunks at hand; the job at hand goes back to the queue."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._guarded_step():
                    self._wake.wait(POLL_S)
                    self._wake.clear()
        finally:
            self._lock.release()

    def _guarded_step(self) -> bool:
        """A step whose errors don't end the worker: the job at hand stays in the queue and is tried again."""
        try:
            did_something = self._step()
        except IngestError as error:
            log.error("the queue waits: %s", error)
            self.problem = str(error)
            return False
        except Exception:
            self.problem = _logged_bug("in the worker")
            return False
        self.problem = None
        return did_something

    def _step(self) -> bool:
        """Takes the lock where it is free, takes over from the worker before, does one job; False when idle."""
        if not self._took_over:
            if not (self._lock.held or self._lock.acquire()):
                return False
            self._take_over()
            self._took_over = True
        return self.run_one()

    def _take_over(self) -> None:
        abandoned = self._ingestion.queue.requeue_abandoned()
        if abandoned:
            log.warning("%d jobs that another worker left unfinished go on", abandoned)
        filled = self._ingestion.fill_space(self._stopping.is_set)
        if filled:
            log.info("embedded %d chunks that had no vector of the current embedder", filled)

    def run_one(self) -> bool:
        """Does the oldest job to its end; False when there is none. The caller holds the worker's lock."""
        queue = self._ingestion.queue
        job = queue.claim()
        if job is None:
            return False
        try:
            for upload in job.uploads:
                outcome = self._ingest(job, upload)
                if outcome is None:
                    break
                queue.record(job.job_id, outcome)
        except IngestError:
            queue.requeue_abandoned()
            raise
        if self._stopping.is_set():
            queue.requeue_abandoned()
            return True
        queue.finish(job.job_id)
        self._ingestion.remove_unused({upload.content_hash for upload in job.uploads})
        return True

    def _ingest(self, job: ClaimedJob, upload: Upload) -> DocumentOutcome | None:
        """The outcome of one file; None when it was not done because the job is to end."""

        def stop() -> bool:
            return self._stopping.is_set() or self._ingestion.queue.cancel_requested(job.job_id)

        if stop():
            return None
        try:
            return self._ingestion.ingest(upload, stop)
        except CatalogUnavailable:
            raise
        except IngestError as error:
            problem = Problem(code=error.code, detail=f"{upload.name}: {error}", uri=upload.uri)
        except Exception:
            # Anything unforeseen is a bug; it must cost this one file only. The details go to the log.
            detail = f"{upload.name}: {_logged_bug(f'while ingesting {upload.uri}')}"
            problem = Problem(code="internal-error", detail=detail, uri=upload.uri)
        document_id = document_id_of(upload.collection, upload.uri)
        return DocumentOutcome(document_id=document_id, uri=upload.uri, state="failed", problem=problem)


def _logged_bug(where: str) -> str:
    """Logs the exception at hand with an id, and says under which id to look for it."""
    error_id = uuid.uuid4().hex[:12]
    log.exception("bug %s %s", error_id, where)
    return f"a bug in Ragstone; its log has the details under {error_id}"
