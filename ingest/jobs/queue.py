"""The job queue: a table of the catalog, so that a job survives whatever its worker does not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Text, case, cast, delete, false, insert, or_, select, update

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog, Readable
from ingest.catalog.statements import Guard, unguarded
from ingest.errors import NotAllowed, NotFound
from ingest.jobs import statements as job_statements
from ingest.jobs.hindrances import with_hindrances
from ingest.jobs.statements import PROGRESS, RECORD, due, ended_as, fail_attempt, forget_passwords, job_of, may_read
from ingest.jobs.uploads import Upload, left_of, payload_of
from ingest.types import DocumentOutcome, Job, JobState, JobSummary, Problem

# The kind of the job that ingests uploads.
INGEST = job_statements.INGEST
# The kind of the job that fills an embedding space and puts it in use.
FILL_SPACE = "fill-space"
# The kind of the job that takes away what retention no longer keeps.
PURGE = "purge"
REFRESH = job_statements.REFRESH
# Long work that lets all other jobs go first.
BACKGROUND = (FILL_SPACE, REFRESH)
# A job tells of so many problems; a source's items have their own.
_MOST_PROBLEMS = 1000
FINISHED = job_statements.FINISHED
UNFINISHED = ("queued", "running")
# Whoever waits for a job looks it up when it has ended.
_LOOKED_UP = timedelta(hours=1)
MOST_ATTEMPTS = job_statements.MOST_ATTEMPTS
# How long it can take until a worker sees that another process asked its job to stop.
_CANCEL_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker has taken; `uploads` are those that are still to do.

    `attempts`: how often it was taken since it last came further, this time included.
    """

    number: int
    job_id: str
    kind: str
    payload: dict[str, Any]
    uploads: tuple[Upload, ...]
    attempts: int = 1


class JobQueue:
    """Jobs in order of arrival. One worker a catalog takes them (see `ingest.worker`).

    `guard` is called in the transaction of what only this worker may do, and raises when it is the worker no more. What
    is noted of a job's progress may be lost in a power cut: then some of it is done again, which changes nothing.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._cancelled: set[str] = set()  # by this process
        self._looked = 0.0

    def enqueue(
        self,
        connection: Connection,
        uploads: Sequence[Upload],
        outcomes: Sequence[DocumentOutcome],
        collection: str,
    ) -> str:
        """Adds a job for `uploads` to the caller's transaction. `outcomes` are those that are known by now."""
        job_id = _new_id()
        problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
        now = datetime.now(UTC)
        connection.execute(
            insert(schema.jobs).values(
                job_id=job_id,
                kind=INGEST,
                state="queued" if uploads else "failed",
                payload={"uploads": payload_of(uploads)},
                collections=sorted({upload.collection for upload in uploads} | {collection}),
                done=len(outcomes),
                total=len(uploads) + len(outcomes),
                outcomes=[outcome.model_dump(mode="json") for outcome in outcomes],
                problems=[problem.model_dump(mode="json") for problem in problems],
                created_at=now,
                finished_at=None if uploads else now,
            )
        )
        return job_id

    def enqueue_task(
        self,
        connection: Connection,
        kind: str,
        payload: dict[str, Any],
        collections: Sequence[str] = (),
        total: int = 1,
    ) -> str:
        """Adds a job of another kind than `ingest`; the worker has a task for each kind."""
        job_id = _new_id()
        connection.execute(
            insert(schema.jobs).values(
                job_id=job_id,
                kind=kind,
                state="queued",
                payload=payload,
                collections=list(collections),
                total=total,
                outcomes=[],
                problems=[],
                created_at=datetime.now(UTC),
            )
        )
        return job_id

    def claim(self, guard: Guard = unguarded, *, look_first: bool = True, uploads: bool = True) -> ClaimedJob | None:
        """Takes the oldest queued job, those of the background last, or returns None; without `uploads`, none of them.

        Without `look_first` the write lock is taken at once: for when there should be one.
        """
        oldest, take = (_OLDEST, _TAKE) if uploads else (_OLDEST_BUT_UPLOADS, _TAKE_BUT_UPLOADS)
        now = datetime.now(UTC)
        if look_first:
            with self._catalog.reading() as connection:
                if connection.execute(oldest, {"now": now}).scalar() is None:
                    return None
        with self._catalog.writing(may_be_lost=True) as connection:
            guard(connection)
            row = connection.execute(take, {"now": now}).mappings().one_or_none()
            if row is None:
                return None
        self._looked = monotonic()
        left = tuple(left_of(row["payload"], row["total"], row["outcomes"]))
        return ClaimedJob(row["number"], row["job_id"], row["kind"], row["payload"], left, row["attempts"])

    def something_waits(self, *, uploads: bool = True) -> bool:
        """Whether a job that goes before those of the background is queued; without `uploads`, one of another kind."""
        table = schema.jobs
        passed_over = BACKGROUND if uploads else (*BACKGROUND, INGEST)
        with self._catalog.reading() as connection:
            queued = (table.c.state == "queued", table.c.kind.not_in(passed_over), due(datetime.now(UTC)))
            return statements.count(connection, table, *queued) > 0

    def anything_waits(self) -> bool:
        """Whether any job is queued that could be done now."""
        table = schema.jobs
        with self._catalog.reading() as connection:
            return statements.count(connection, table, table.c.state == "queued", due(datetime.now(UTC))) > 0

    def put_back(self, job_id: str, guard: Guard = unguarded, after_s: float = 0) -> None:
        """Queues a running job again: it goes on after so many seconds. That it was taken counts as no attempt."""
        table = schema.jobs
        later = datetime.now(UTC) + timedelta(seconds=after_s) if after_s else None
        with self._catalog.writing(may_be_lost=True) as connection:
            guard(connection)
            running = (table.c.job_id == job_id) & (table.c.state == "running")
            attempts = case((table.c.attempts > 0, table.c.attempts - 1), else_=0)
            connection.execute(update(table).where(running).values(state="queued", attempts=attempts, not_before=later))

    def try_again(self, job_id: str, problem: Problem, guard: Guard = unguarded) -> str:
        """Queues a running job for one more attempt, later each time, or gives it up; returns its state."""
        table = schema.jobs
        with self._catalog.writing() as connection:
            guard(connection)
            its = table.c.job_id == job_id
            attempts: int = connection.execute(select(table.c.attempts).where(its)).scalar_one()
            connection.execute(update(table).where(its).values(problems=[problem.model_dump(mode="json")]))
            return fail_attempt(connection, job_id, attempts, problem)

    def retry(self, job_id: str, readable: Readable = None) -> Job:
        """Queues a job once more that was given up. Raises NotFound, and NotAllowed for another.

        Passwords that came with it are gone: files that need one are refused.
        """
        table = schema.jobs
        with self._catalog.writing() as connection:
            its = table.c.job_id == job_id
            row = connection.execute(select(table.c.state, table.c.collections).where(its)).mappings().one_or_none()
            if row is None or not may_read(row, readable):
                raise NotFound(f"no job {job_id}")
            if row["state"] != "dead":
                raise NotAllowed(f"job {job_id} is {row['state']}: only one that was given up is tried again")
            again = {"state": "queued", "attempts": 0, "not_before": None, "finished_at": None, "problems": []}
            connection.execute(update(table).where(its).values({**again, "cancel_requested": False}))
        return self.get(job_id)

    def begin(self, connection: Connection, job_id: str, total: int | None) -> None:
        """A running refresh has so many items to do from now on, in the caller's transaction; None: it lists them."""
        now = None if total is None else datetime.now(UTC).isoformat()
        self.set_payload(connection, job_id, **{job_statements.PACED_FROM: now})
        its = schema.jobs.c.job_id == job_id
        connection.execute(update(schema.jobs).where(its).values(done=0, total=total or 0))

    def report(self, job_id: str, done: int, total: int) -> None:
        """How far a running task is."""
        with self._catalog.writing(may_be_lost=True) as connection:
            its = schema.jobs.c.job_id == job_id
            connection.execute(update(schema.jobs).where(its).values(done=done, total=total))

    def report_part(self, job_id: str, part: float) -> None:
        """Work is done that comes to so many files, beside those that are done."""
        with self._catalog.writing(may_be_lost=True) as connection:
            its = (schema.jobs.c.job_id == job_id) & (schema.jobs.c.state == "running")
            connection.execute(update(schema.jobs).where(its).values(part=part))

    def advance(
        self, connection: Connection, job_id: str, done: int, total: int, problems: Sequence[Problem] = ()
    ) -> None:
        """How far a running task has come, in the caller's transaction, with the problems that it met since."""
        table = schema.jobs
        its = table.c.job_id == job_id
        values: dict[str, Any] = {"done": done, "total": total, "part": 0.0, "attempts": 0}
        if problems:
            known = connection.execute(select(table.c.problems).where(its)).scalar_one()
            new = [problem.model_dump(mode="json") for problem in problems]
            values["problems"] = (known + new)[:_MOST_PROBLEMS]
        connection.execute(update(table).where(its).values(values))

    def set_payload(self, connection: Connection, job_id: str, **values: Any) -> None:
        """Notes what a running task is at, in the caller's transaction. Originals of its `uploads` are in use."""
        table = schema.jobs
        payload = connection.execute(select(table.c.payload).where(table.c.job_id == job_id)).scalar_one()
        connection.execute(update(table).where(table.c.job_id == job_id).values(payload={**payload, **values}))

    def hurry(self, connection: Connection, job_id: str) -> None:
        """Has a job that waits for its next attempt tried at once, in the caller's transaction."""
        table = schema.jobs
        waiting = (table.c.job_id == job_id) & (table.c.state == "queued")
        connection.execute(update(table).where(waiting).values(not_before=None))

    def fail(self, job_id: str, problem: Problem, guard: Guard = unguarded) -> None:
        """Ends a job that can't be done."""
        values = {"state": "failed", "problems": [problem.model_dump(mode="json")], "finished_at": datetime.now(UTC)}
        with self._catalog.writing() as connection:
            guard(connection)
            connection.execute(update(schema.jobs).where(schema.jobs.c.job_id == job_id).values(values))
            forget_passwords(connection, job_id)

    def add_given_up(self, connection: Connection, upload: Upload, problem: Problem) -> None:
        """Adds a job for one file that is given up before it is begun, in the caller's transaction: for `retry`."""
        job_id = self.enqueue(connection, [replace(upload, password=None)], [], upload.collection)
        fail_attempt(connection, job_id, MOST_ATTEMPTS, problem)

    def requeue_abandoned(self, guard: Guard = unguarded) -> int:
        """Puts back what a dead worker left running; only the holder of the worker's lease may call this.

        A job that came no further in many attempts may be what ends the workers: it waits, and in the end is given up.
        """
        table = schema.jobs
        with self._catalog.writing(may_be_lost=True) as connection:
            guard(connection)
            running = select(table.c.job_id, table.c.attempts).where(table.c.state == "running")
            abandoned = connection.execute(running).all()
            for job_id, attempts in abandoned:
                fail_attempt(connection, job_id, attempts, _ENDED_THE_WORKER)
        return len(abandoned)

    def record(
        self, connection: Connection, job_id: str, outcomes: Sequence[DocumentOutcome], *, secret: bool = False
    ) -> bool:
        """Adds the outcomes of some files to a running job, in the caller's transaction; the last ones end it.

        Returns whether they did. `secret`: the job came with passwords, which are forgotten then.
        """
        row = connection.execute(PROGRESS, {"id": job_id}).one()
        new = [outcome.model_dump(mode="json") for outcome in outcomes]
        done, known = row.done + len(new), row.outcomes + new
        ended: bool = done >= row.total
        values = {
            "id": job_id,
            "state": ended_as(known) if ended else "running",
            "finished_at": datetime.now(UTC) if ended else None,
            "done": done,
            "part": 0.0,
            "outcomes": known,
            "problems": row.problems + [outcome["problem"] for outcome in new if outcome["problem"] is not None],
            "attempts": 0,
        }
        connection.execute(RECORD, values)
        if ended and secret:
            forget_passwords(connection, job_id)
        return ended

    def finish(self, job_id: str, guard: Guard = unguarded, *, stopped: bool = False) -> None:
        """Ends a running job: cancelled when it was asked to stop, failed when no file was taken, done otherwise.

        `stopped`: it was asked so before it came to its end, however much of it was done.
        """
        table = schema.jobs
        with self._catalog.writing(may_be_lost=True) as connection:
            guard(connection)
            row = connection.execute(select(table).where(table.c.job_id == job_id)).mappings().one()
            cancelled = row["cancel_requested"] and (stopped or row["done"] < row["total"])
            state = "cancelled" if cancelled else ended_as(row["outcomes"])
            running = (table.c.job_id == job_id) & (table.c.state == "running")
            connection.execute(update(table).where(running).values(state=state, finished_at=datetime.now(UTC)))
            forget_passwords(connection, job_id)

    def request_cancel(self, job_id: str) -> Job:
        """Asks a job to stop after the file at hand; a queued one ends at once, a finished one stays as it is.

        Raises NotFound, and NotAllowed for a job that takes content away for good: that was promised to whoever asked.
        """
        table = schema.jobs
        with self._catalog.writing() as connection:
            its = table.c.job_id == job_id
            kind = connection.execute(select(table.c.kind).where(its)).scalar()
            if kind is None:
                raise NotFound(f"no job {job_id}")
            if kind not in (INGEST, *BACKGROUND):
                raise NotAllowed("what takes content away for good can't be cancelled")
            self._cancelled.add(job_id)
            job_statements.cancel(connection, its)
            forget_passwords(connection, job_id)
        return self.get(job_id)

    def cancel_all(self, connection: Connection, kind: str) -> None:
        """Asks all jobs of a kind to stop, in the caller's transaction."""
        job_statements.cancel(connection, (schema.jobs.c.kind == kind) & schema.jobs.c.state.in_(UNFINISHED))

    def cancel_requested(self, job_id: str) -> bool:
        """Whether the job that was claimed last is to stop. Other processes are heard within `_CANCEL_LOOK_S`."""
        if job_id in self._cancelled:
            return True
        if monotonic() - self._looked < _CANCEL_LOOK_S:
            return False
        with self._catalog.reading() as connection:
            query = select(schema.jobs.c.cancel_requested).where(schema.jobs.c.job_id == job_id)
            requested = bool(connection.execute(query).scalar_one())
        self._looked = monotonic()
        if requested:  # it is not taken back, and whoever asks once more at once must hear the same
            self._cancelled.add(job_id)
        return requested

    def get(self, job_id: str, readable: Readable = None) -> Job:
        """Raises NotFound for a job that is unknown, or works on a collection that is not in `readable`.

        A job of others is not read, which can be long: it takes as much time as one that is not there.
        """
        table = schema.jobs
        with self._catalog.reading() as connection:
            if readable is not None:
                job_statements.number_of(connection, job_id, readable)
            row = connection.execute(select(table).where(table.c.job_id == job_id)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no job {job_id}")
        (job,) = with_hindrances(self._catalog, [job_of(row)])
        return job

    def list(
        self,
        limit: int = 100,
        readable: Readable = None,
        states: Collection[JobState] = (),
        after: str | None = None,
    ) -> Sequence[JobSummary]:
        """The newest first, behind the job `after`; with `readable`, those that work on these collections only.

        With `states` those in one of them. Raises NotFound where there is no job `after`.
        """
        table = schema.jobs
        query = select(table.c.number, table.c.collections).order_by(table.c.number.desc())
        if states:
            query = query.where(table.c.state.in_(states))
        if readable is None:
            query = query.limit(limit)
        else:  # the database leaves out what is surely another's
            named = [cast(table.c.collections, Text).contains(json.dumps(name), autoescape=True) for name in readable]
            query = query.where(or_(false(), *named))
        with self._catalog.reading() as connection:
            if after is not None:
                query = query.where(table.c.number < job_statements.number_of(connection, after, readable))
            rows = connection.execute(query).mappings()
            numbers = list(islice((row["number"] for row in rows if may_read(row, readable)), limit))
            found = job_statements.summaries(connection, numbers)
        return with_hindrances(self._catalog, found)

    def remove_old(self, days: float, now: datetime | None = None) -> int:
        """Removes the jobs that ended more than so many days ago; returns how many. The last of each source stays."""
        table, sources = schema.jobs, schema.sources
        before = (now or datetime.now(UTC)) - max(timedelta(days=days), _LOOKED_UP)
        with self._catalog.reading() as connection:
            last = select(sources.c.name).where(sources.c.last_run["job_id"].as_string() == table.c.job_id).exists()
            old = (table.c.state.in_(FINISHED), table.c.finished_at < before, ~last)
            if not statements.count(connection, table, *old):
                return 0
        with self._catalog.writing() as connection:
            return connection.execute(delete(table).where(*old)).rowcount

    def originals_of(self, job_id: str) -> set[str]:
        """Hashes of what was uploaded with the job."""
        table = schema.jobs
        with self._catalog.reading() as connection:
            payload = connection.execute(select(table.c.payload).where(table.c.job_id == job_id)).scalar_one()
        return {upload["content_hash"] for upload in payload.get("uploads", [])}

    def hashes_in_use(self, connection: Connection) -> set[str]:
        """Originals that an unfinished job still needs, and one that was given up and may be tried again."""
        table = schema.jobs
        needed = table.c.state.in_((*UNFINISHED, "dead"))
        payloads = connection.execute(select(table.c.payload).where(needed)).scalars()
        return {
            upload["content_hash"]
            for payload in payloads
            for upload in payload.get("uploads", [])
            if not upload.get("erased")
        }


# Built once: what every upload asks.
_OLDEST, _OLDEST_BUT_UPLOADS = job_statements.oldest([], BACKGROUND), job_statements.oldest([INGEST], BACKGROUND)
_TAKE, _TAKE_BUT_UPLOADS = job_statements.take(_OLDEST), job_statements.take(_OLDEST_BUT_UPLOADS)
_ENDED_THE_WORKER = Problem(
    code="gave-up", detail=f"the process that did this job ended {MOST_ATTEMPTS} times while it was at it"
)


def _new_id() -> str:
    return f"j-{uuid.uuid4().hex[:20]}"
