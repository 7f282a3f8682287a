"""The worker: one thread that takes jobs from the queue, in the process that holds the worker's lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from sqlalchemy import Connection

from ingest.bugs import logged_bug
from ingest.catalog import facts
from ingest.catalog.leases import Lease
from ingest.errors import CatalogUnavailable, IngestError, LeaseLost, StorageFull, TryAgain
from ingest.jobs.hindrances import WORKER
from ingest.jobs.queue import BACKGROUND, INGEST, ClaimedJob
from ingest.pipeline import Ingestion
from ingest.types import Problem

log = logging.getLogger(__name__)

# How a job ended: to its end, before it since somebody asked, or to be tried again.
_Ended = Literal["done", "stopped", "tried"]

# How long an idle worker sleeps when nobody wakes it: jobs of other processes are found by looking.
POLL_S = 0.5
MOST_PATIENCE_S = 60.0
_DOUBLINGS = 10
# A busy worker sees to the index so often; one that has nothing to do, when nothing has come for so long: whoever
# waited for a job is likely to search now, and goes first.
UPKEEP_S = 5.0
_QUIET_S = 0.05
# How often long work looks whether other jobs wait.
_LOOK_S = 0.1
# When a job goes on of which only files are left that take long to read.
_LATER_S = 0.5
# So long a job of uploads goes on while others wait.
_TURN_S = 3.0

# What hinders every job; other known errors hinder what needs the embedder.
_OF_ALL_JOBS = (CatalogUnavailable, LeaseLost, StorageFull)


class Task(Protocol):
    """Does a job of one kind other than `ingest`. It may be called again for a job that was not finished."""

    def __call__(self, job: ClaimedJob, report: Callable[[int, int], None], stop: Callable[[], bool]) -> float | None:
        """None when it is done, else in how many seconds it goes on. When `stop` says True, the task returns soon.

        `report` takes how much is done and of how much. Raises an IngestError that says what to do when it can't be
        done, of which TryAgain has it tried again later.
        """
        ...


class Worker:
    """Does the jobs of a catalog, or stands by while another process does them. `tasks` are by kind of job."""

    def __init__(
        self,
        ingestion: Ingestion,
        tasks: Mapping[str, Task] | None = None,
        upkeep: Callable[[], bool] = lambda: False,
        let_go: Callable[[], None] = lambda: None,
        known: tuple[type[Exception], ...] = (IngestError,),
    ) -> None:
        """`upkeep` is called between jobs; it returns soon, and says whether there was something to do.

        `let_go` is called when this process is the worker no more. `known` are errors that say what to do, those of the
        embedder and the tasks included; any other is a bug.
        """
        self._ingestion = ingestion
        self._lease = Lease(ingestion.catalog, WORKER)
        self._took_over = False
        self._tasks = dict(tasks or {})
        self._upkeep = upkeep
        self._let_go = let_go
        self._known = known
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._woken = False
        self._thread: threading.Thread | None = None
        self._next_upkeep = 0.0
        self._last_job = 0.0
        self._failures = 0  # one after the other
        self.problem: str | None = None  # why the queue waits, while it does
        self._uploads_only = False  # other jobs go on
        self.listeners: set[Callable[[str], None]] = set()  # called with the id of a job that ended, or was put back

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ingest-worker", daemon=True)
        self._thread.start()

    def hindrance(self, kind: str) -> str | None:
        """Why jobs of a kind wait in this process, while they do."""
        return None if self._uploads_only and kind != INGEST else self.problem

    def guard(self, connection: Connection) -> None:
        """Raises LeaseLost when another process is the worker by now."""
        self._lease.require(connection)

    def wake(self) -> None:
        """Says that there may be a job; an idle worker looks at once."""
        self._wake.set()

    def stop(self) -> None:
        """Ends after the batch of chunks at hand; the job at hand goes back to the queue."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._ingestion.close()

    def work_off(self) -> bool:
        """Does all waiting jobs in the caller's thread; False where another process is the worker."""
        if not self._lease.acquire():
            return False
        try:
            while self.run_one():
                pass
        finally:
            self._leave()
        return True

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._guarded_step():
                    continue
                # What goes wrong again and again is tried less and less often.
                patience = (
                    _QUIET_S
                    if self._just_worked()
                    else min(MOST_PATIENCE_S, POLL_S * 2 ** min(self._failures, _DOUBLINGS))
                )
                self._woken = self._wake.wait(patience)
                self._wake.clear()
        finally:
            self._leave()

    def _leave(self) -> None:
        """This process is the worker no more. Neither a full disk nor a catalog that is away must hinder the other."""
        try:
            self._stand_by()
        finally:
            try:
                self._lease.release()
            except IngestError as error:
                log.warning("the lease was not given back: another process takes it when this one has ended: %s", error)

    def _stand_by(self) -> None:
        try:
            self._let_go()
        except (IngestError, OSError) as error:
            log.warning("what the index had in memory was not written, and is built anew: %s", error)

    def _guarded_step(self) -> bool:
        """A step whose errors don't end the worker: the job at hand stays in the queue and is tried again."""
        try:
            did_something = self._step()
        except LeaseLost as error:
            log.error("this worker stands by: %s", error)
            self._stand_by()
            return False
        except self._known as error:
            log.error("the queue waits: %s", error)
            return self._failed(str(error), uploads_only=not isinstance(error, _OF_ALL_JOBS))
        except Exception:
            return self._failed(logged_bug("in the worker"))
        if self.problem is not None:
            self._tell(None)
        self.problem, self._failures = None, 0
        return did_something

    def _failed(self, problem: str, *, uploads_only: bool = False) -> bool:
        self.problem, self._uploads_only = problem, uploads_only
        self._failures += 1
        self._took_over = False  # the job at hand may be left as running
        self._tell({"said": problem, "uploads_only": uploads_only})
        return False

    def _tell(self, problem: Mapping[str, Any] | None) -> None:
        """Who waits for a job, in this process or another, looks into the catalog for why it takes so long."""
        catalog = self._ingestion.catalog
        try:
            if problem is not None:
                problem = {**problem, "term": self._lease.term()}
            if catalog.fact(facts.WORKER_PROBLEM) != problem:
                with catalog.writing(may_be_lost=True) as connection:
                    self._lease.require(connection)
                    facts.put(connection, facts.WORKER_PROBLEM, problem)
        except IngestError as error:
            log.info("the problem could not be noted in the catalog: %s", error)

    def _step(self) -> bool:
        """Takes the lease where it is free, takes over from the worker before, does one job; False when idle."""
        if not self._lease.held:
            self._took_over = False
            if not self._lease.acquire():
                return False
            self._tell(None)  # what the one before had to say
        try:
            if not self._took_over:
                self._take_over()
                self._took_over = True
            worked = self.run_one()
        except _OF_ALL_JOBS:
            raise
        except self._known:
            self._do_all_but_uploads()
            raise
        if worked:
            self._last_job = time.monotonic()
        # Upkeep has its turn when there is nothing else to do, and now and then when there always is.
        idle = not worked and not self._just_worked()
        if idle or time.monotonic() >= self._next_upkeep:
            self._next_upkeep = time.monotonic() + UPKEEP_S
            worked = self._upkeep() or worked
        return worked

    def _just_worked(self) -> bool:
        return time.monotonic() < self._last_job + _QUIET_S

    def _take_over(self) -> None:
        abandoned = self._ingestion.queue.requeue_abandoned(self._lease.require)
        if abandoned:
            log.warning("%d jobs that another worker left unfinished go on", abandoned)
        # Always: a process that takes uploads and is not the worker leaves no other trace when it is killed.
        self._ingestion.sweep()
        filled = self._ingestion.fill_space(self._stopping.is_set)
        if filled:
            log.info("embedded %d chunks that had no vector of the current embedder", filled)

    def _do_all_but_uploads(self) -> None:
        """What needs no embedder goes on while it can't be had: erasures, upkeep, the filling of another's space."""
        while not self._stopping.is_set() and (self.run_one(uploads=False) or self._upkeep()):
            pass

    def run_one(self, *, uploads: bool = True) -> bool:
        """Does the oldest job to its end, or the oldest that is no upload; False when there is none.

        The caller holds the worker's lease.
        """
        queue = self._ingestion.queue
        woken, self._woken = self._woken, False
        job = queue.claim(self._lease.require, look_first=not woken, uploads=uploads)
        if job is None:
            return False
        try:
            if job.kind == INGEST:
                self._run_uploads(job)
            else:
                self._end(job, self._task_done(job, give_way_to_uploads=uploads))
        except LeaseLost:
            raise
        except self._known:
            queue.put_back(job.job_id, self._lease.require)  # it is not what hinders it
            raise
        for tell in tuple(self.listeners):
            tell(job.job_id)
        return True

    def _run_uploads(self, job: ClaimedJob) -> None:
        queue = self._ingestion.queue
        gives_way, next_look = False, time.monotonic() + _TURN_S

        def stop() -> bool:
            nonlocal gives_way, next_look
            if not gives_way and time.monotonic() >= next_look:
                gives_way = queue.something_waits()
                next_look = time.monotonic() + _LOOK_S
            return gives_way or self._stopping.is_set() or queue.cancel_requested(job.job_id)

        ingested = self._ingestion.ingest(job, stop, self._lease.require)
        if gives_way and ingested.left and not queue.cancel_requested(job.job_id):
            self._ingestion.wait_for(job, ingested.left)
            self._end(job, _LATER_S)
        elif ingested.later:
            self._end(job, _LATER_S)
        elif ingested.left or ingested.unneeded:  # else the last commit ended the job
            self._end(job, "done")
        self._ingestion.remove_unused(ingested.unneeded | {upload.content_hash for upload in ingested.left})

    def _end(self, job: ClaimedJob, ended: Problem | float | _Ended) -> None:
        queue = self._ingestion.queue
        if ended == "tried":
            return
        if isinstance(ended, Problem):
            queue.fail(job.job_id, ended, self._lease.require)
        elif isinstance(ended, float) or self._stopping.is_set():
            queue.put_back(job.job_id, self._lease.require, ended if isinstance(ended, float) else 0)
        else:
            queue.finish(job.job_id, self._lease.require, stopped=ended == "stopped")

    def _task_done(self, job: ClaimedJob, *, give_way_to_uploads: bool) -> Problem | float | _Ended:
        """Does a job of another kind, or says why it can't be done. What may pass is raised, and tried again."""
        queue = self._ingestion.queue

        def report(done: int, total: int) -> None:
            queue.report(job.job_id, done, total)

        gives_way, next_look = False, 0.0

        def stop() -> bool:
            nonlocal gives_way, next_look
            if job.kind in BACKGROUND and time.monotonic() >= next_look:
                gives_way = queue.something_waits(uploads=give_way_to_uploads)
                next_look = time.monotonic() + _LOOK_S
            return gives_way or self._stopping.is_set() or queue.cancel_requested(job.job_id)

        task = self._tasks.get(job.kind)
        if task is None:
            return Problem(code="unknown-job", detail=f"this process does no jobs of the kind {job.kind}")
        try:
            goes_on = task(job, report, stop)
        except _OF_ALL_JOBS:
            raise
        except TryAgain as error:
            queue.try_again(job.job_id, Problem(code=error.code, detail=str(error)), self._lease.require)
            return "tried"
        except self._known as error:
            return Problem(code=getattr(error, "code", "internal-error"), detail=str(error))
        except Exception:
            return Problem(code="internal-error", detail=logged_bug(f"in a job of the kind {job.kind}"))
        if goes_on is None:
            return "done"
        return "stopped" if queue.cancel_requested(job.job_id) else float(goes_on)
