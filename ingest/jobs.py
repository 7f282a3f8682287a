"""The job queue: a table of the catalog, so that a job survives whatever its worker does not."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ingest import schema
from ingest.catalog import Catalog
from ingest.errors import NotFound
from ingest.statements import aware
from ingest.types import DocumentOutcome, Job, Problem

FINISHED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to ingest; its bytes are among the originals under `content_hash`."""

    collection: str
    uri: str
    name: str
    content_hash: str
    size_bytes: int
    metadata: dict[str, Any] | None  # None: the document keeps what it has


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker has taken; `uploads` are those that are still to do."""

    job_id: str
    uploads: tuple[Upload, ...]


class JobQueue:
    """Jobs in order of arrival. One worker a data folder takes them (see `ingest.worker`)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def enqueue(self, connection: Connection, uploads: Sequence[Upload], outcomes: Sequence[DocumentOutcome]) -> str:
        """Adds a job for `uploads` to the caller's transaction. `outcomes` are those that are known by now."""
        job_id = f"j-{uuid.uuid4().hex[:20]}"
        problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
        now = datetime.now(UTC)
        connection.execute(
            insert(schema.jobs).values(
                job_id=job_id,
                kind="ingest",
                state="queued" if uploads else "failed",
                payload={"uploads": [asdict(upload) for upload in uploads]},
                done=len(outcomes),
                total=len(uploads) + len(outcomes),
                outcomes=[outcome.model_dump(mode="json") for outcome in outcomes],
                problems=[problem.model_dump(mode="json") for problem in problems],
                created_at=now,
                finished_at=None if uploads else now,
            )
        )
        return job_id

    def claim(self) -> ClaimedJob | None:
        """Takes the oldest queued job, or returns None."""
        table = schema.jobs
        with self._catalog.writing() as connection:
            query = select(table).where(table.c.state == "queued").order_by(table.c.number).limit(1)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            connection.execute(
                update(table)
                .where(table.c.job_id == row["job_id"])
                .values(state="running", started_at=datetime.now(UTC))
            )
        uploads = [Upload(**upload) for upload in row["payload"]["uploads"]]
        refused_at_once = row["total"] - len(uploads)
        return ClaimedJob(row["job_id"], tuple(uploads[row["done"] - refused_at_once :]))

    def requeue_abandoned(self) -> int:
        """Puts back what a dead worker left running; only the holder of the worker's lock may call this."""
        table = schema.jobs
        with self._catalog.writing() as connection:
            abandoned = update(table).where(table.c.state == "running").values(state="queued")
            return connection.execute(abandoned).rowcount

    def record(self, job_id: str, outcome: DocumentOutcome) -> None:
        """Adds the outcome of one file to a running job."""
        table = schema.jobs
        with self._catalog.writing() as connection:
            row = connection.execute(select(table).where(table.c.job_id == job_id)).mappings().one()
            problems = row["problems"] + ([outcome.problem.model_dump(mode="json")] if outcome.problem else [])
            connection.execute(
                update(table)
                .where(table.c.job_id == job_id)
                .values(
                    done=row["done"] + 1,
                    outcomes=row["outcomes"] + [outcome.model_dump(mode="json")],
                    problems=problems,
                )
            )

    def finish(self, job_id: str) -> None:
        """Ends a job: cancelled when it was asked to stop, failed when no file was taken, done otherwise."""
        table = schema.jobs
        with self._catalog.writing() as connection:
            row = connection.execute(select(table).where(table.c.job_id == job_id)).mappings().one()
            if row["done"] < row["total"] and row["cancel_requested"]:
                state = "cancelled"
            elif row["outcomes"] and all(outcome["state"] == "failed" for outcome in row["outcomes"]):
                state = "failed"
            else:
                state = "done"
            connection.execute(
                update(table).where(table.c.job_id == job_id).values(state=state, finished_at=datetime.now(UTC))
            )

    def request_cancel(self, job_id: str) -> Job:
        """Asks a job to stop after the file at hand; a queued one ends at once, a finished one stays as it is."""
        table = schema.jobs
        with self._catalog.writing() as connection:
            waiting = (table.c.job_id == job_id) & (table.c.state == "queued")
            connection.execute(update(table).where(table.c.job_id == job_id).values(cancel_requested=True))
            connection.execute(update(table).where(waiting).values(state="cancelled", finished_at=datetime.now(UTC)))
        return self.get(job_id)

    def cancel_requested(self, job_id: str) -> bool:
        with self._catalog.reading() as connection:
            query = select(schema.jobs.c.cancel_requested).where(schema.jobs.c.job_id == job_id)
            return bool(connection.execute(query).scalar_one())

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        with self._catalog.reading() as connection:
            row = connection.execute(select(schema.jobs).where(schema.jobs.c.job_id == job_id)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no job {job_id}")
        return _job(row)

    def list(self, limit: int = 100) -> Sequence[Job]:
        """The newest first."""
        with self._catalog.reading() as connection:
            rows = connection.execute(select(schema.jobs).order_by(schema.jobs.c.number.desc()).limit(limit)).mappings()
            return [_job(row) for row in rows]

    def hashes_in_use(self, connection: Connection) -> set[str]:
        """Originals that an unfinished job still needs."""
        table = schema.jobs
        payloads = connection.execute(select(table.c.payload).where(table.c.state.not_in(FINISHED))).scalars()
        return {upload["content_hash"] for payload in payloads for upload in payload["uploads"]}


def _job(row: Any) -> Job:
    started, finished = row["started_at"], row["finished_at"]
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        state=row["state"],
        done=row["done"],
        total=row["total"],
        eta_s=_eta_s(row) if row["state"] == "running" else None,
        problems=tuple(Problem(**problem) for problem in row["problems"]),
        documents=tuple(DocumentOutcome(**outcome) for outcome in row["outcomes"]),
        created_at=aware(row["created_at"]),
        started_at=aware(started) if started else None,
        finished_at=aware(finished) if finished else None,
    )


def _eta_s(row: Any) -> float | None:
    """Seconds left at the pace so far; None before the first file is done."""
    if not row["done"] or row["started_at"] is None:
        return None
    elapsed: float = (datetime.now(UTC) - aware(row["started_at"])).total_seconds()
    left: int = row["total"] - row["done"]
    return round(elapsed / int(row["done"]) * left, 1)
