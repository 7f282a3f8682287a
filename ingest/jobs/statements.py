"""Statements on the table of jobs, and what its rows mean. Each works in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, literal_column, or_, select, true, update

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Readable
from ingest.catalog.statements import aware
from ingest.errors import NotFound
from ingest.jobs.uploads import has_passwords, without_passwords
from ingest.types import DocumentOutcome, Job, JobSummary, Problem

# `failed`: none of its files was taken, or it can't be done; `dead`: tried again and again, and given up.
FINISHED = ("done", "failed", "cancelled", "dead")
# The kind of the job that ingests uploads.
INGEST = "ingest"
# The kind of the job that brings a source up to date.
REFRESH = "refresh"
# In the payload of a refresh: since when its items are done, which is when all of them were listed.
PACED_FROM = "paced_from"
# So many files and problems of each job are in a list of jobs.
_SHOWN = 3
# A job that came no further in so many attempts is given up.
MOST_ATTEMPTS = 10
# Seconds before the next attempt: none after the first ones, then twice as long each time.
FREE_ATTEMPTS = 2
_LONGEST_WAIT_S = 600.0


def oldest(left_out: Sequence[str], background: Sequence[str]) -> Select[Any]:
    """The number of the job to do next: two looks along the index of states, so that no queue is sorted.

    Kinds of the `background` come last, and those of `left_out` not at all.
    """
    table = schema.jobs
    queued = select(table.c.number).where(table.c.state == "queued", due(bindparam("now")))
    queued = queued.order_by(table.c.number).limit(1)
    if left_out:
        queued = queued.where(table.c.kind.not_in(left_out))
    first = queued.where(table.c.kind.not_in(background))
    return select(func.coalesce(first.scalar_subquery(), queued.scalar_subquery()).label("number"))


def take(number: Select[Any]) -> Any:
    """Takes the job of that number, and returns its row."""
    table = schema.jobs
    taken = update(table).where(table.c.number == number.scalar_subquery())
    started = func.coalesce(table.c.started_at, bindparam("now"))
    return taken.values(state="running", started_at=started, attempts=table.c.attempts + 1).returning(*table.c)


def due(now: Any) -> Any:
    """The condition that a job need not wait any longer."""
    return or_(schema.jobs.c.not_before.is_(None), schema.jobs.c.not_before <= now)


# Built once: what every group of files asks.
PROGRESS = select(*(schema.jobs.c[name] for name in ("done", "total", "outcomes", "problems"))).where(
    schema.jobs.c.job_id == bindparam("id")
)
_RECORDED = ("state", "finished_at", "done", "part", "outcomes", "problems", "attempts")
RECORD = (
    update(schema.jobs)
    .where(schema.jobs.c.job_id == bindparam("id"))
    .values({name: bindparam(name) for name in _RECORDED})
)


def fail_attempt(connection: Connection, job_id: str, attempts: int, problem: Problem) -> str:
    """Notes that a job failed once more, after `attempts` in a row; returns its state.

    It is queued, for later each time, or given up.
    """
    table = schema.jobs
    now = datetime.now(UTC)
    values: dict[str, Any]
    if attempts >= MOST_ATTEMPTS:
        values = {"state": "dead", "problems": [problem.model_dump(mode="json")], "finished_at": now}
    else:
        wait_s = 0.0 if attempts <= FREE_ATTEMPTS else min(_LONGEST_WAIT_S, 2.0 ** (attempts - FREE_ATTEMPTS))
        values = {"state": "queued", "not_before": now + timedelta(seconds=wait_s) if wait_s else None}
    connection.execute(update(table).where(table.c.job_id == job_id).values(values))
    forget_passwords(connection, job_id)
    return str(values["state"])


def forget_passwords(connection: Connection, job_id: str) -> None:
    """Passwords are in the catalog for as long as the job needs them: nothing is forgotten before it has ended."""
    table = schema.jobs
    its = table.c.job_id == job_id
    row = connection.execute(select(table.c.payload, table.c.state).where(its)).one_or_none()
    if row is not None and row.state in FINISHED and has_passwords(row.payload):
        connection.execute(update(table).where(its).values(payload=without_passwords(row.payload)))


def cancel(connection: Connection, its: Any) -> None:
    """Asks the jobs that fulfil a condition to stop; those that wait end at once."""
    table = schema.jobs
    connection.execute(update(table).where(its).values(cancel_requested=True))
    waiting = its & (table.c.state == "queued")
    connection.execute(update(table).where(waiting).values(state="cancelled", finished_at=datetime.now(UTC)))


def batches_left(connection: Connection) -> list[tuple[str, str]]:
    """Refreshes that have ended and still name a batch, each with its batch."""
    table = schema.jobs
    batch = table.c.payload["batch"].as_string()
    its = (table.c.kind == REFRESH, table.c.state.in_(FINISHED), batch.is_not(None))
    return [(job_id, name) for job_id, name in connection.execute(select(table.c.job_id, batch).where(*its))]


def ended_as(outcomes: Sequence[dict[str, Any]]) -> str:
    """Failed when no file was taken."""
    return "failed" if outcomes and all(outcome["state"] == "failed" for outcome in outcomes) else "done"


def may_read(row: Any, readable: Readable) -> bool:
    """A caller with limits sees the jobs that work on some collections, all of them his."""
    return readable is None or (bool(row["collections"]) and set(row["collections"]) <= set(readable))


def number_of(connection: Connection, job_id: str, readable: Readable) -> int:
    """Of a job that may be read. Raises NotFound."""
    table = schema.jobs
    query = select(table.c.number, table.c.collections).where(table.c.job_id == job_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None or not may_read(row, readable):
        raise NotFound(f"no job {job_id}")
    return int(row["number"])


def job_of(row: Any) -> Job:
    outcomes = row["outcomes"]
    return Job(
        **_facts_of(row, row["payload"].get(PACED_FROM)),
        source=source_of(row["kind"], row["payload"]),
        counts=Counter(outcome["state"] for outcome in outcomes),
        problems=tuple(Problem(**problem) for problem in row["problems"]),
        problems_total=len(row["problems"]),
        documents=tuple(DocumentOutcome(**outcome) for outcome in outcomes),
    )


def source_of(kind: str, payload: Mapping[str, Any]) -> str | None:
    """The source that a job is a refresh of."""
    return payload.get("source") if kind == REFRESH else None


def summaries(connection: Connection, numbers: Sequence[int]) -> list[JobSummary]:
    """The jobs of these numbers, the newest first. What can be long is counted where it is: it is not read."""
    table = schema.jobs
    light = [column for column in table.c if column.name not in ("payload", "outcomes", "problems")]
    first = [table.c.problems[place].label(f"problem_{place}") for place in range(_SHOWN)]
    named = [table.c.outcomes[place]["uri"].as_string().label(f"uri_{place}") for place in range(_SHOWN)]
    of_refresh = [
        case((table.c.kind == REFRESH, table.c.payload[its].as_string())).label(its) for its in ("source", PACED_FROM)
    ]
    problems = func.json_array_length(table.c.problems).label("problems_total")
    query = select(*light, *of_refresh, problems, *first, *named).order_by(table.c.number.desc())
    found: list[JobSummary] = []
    for part in statements.parts(numbers):
        counts = _counted(connection, part)
        for row in connection.execute(query.where(table.c.number.in_(part))).mappings():
            met = [row[f"problem_{place}"] for place in range(_SHOWN)]
            uris = [row[f"uri_{place}"] for place in range(_SHOWN)]
            its = JobSummary(
                **_facts_of(row, row["paced_from"]),
                source=row["source"],
                counts=counts.get(row["number"], {}),
                problems=tuple(Problem(**problem) for problem in met if problem is not None),
                problems_total=row["problems_total"],
                uris=tuple(uri for uri in uris if uri is not None),
            )
            found.append(its)
    return found


def _counted(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many files of each job came to each state."""
    table = schema.jobs
    unfold = func.json_each if connection.dialect.name == "sqlite" else func.json_array_elements
    each = unfold(table.c.outcomes).table_valued("value")
    state = each.c.value.op("->>")(literal_column("'state'"))
    query = select(table.c.number, state.label("state"), func.count().label("files")).select_from(
        table.join(each, true())
    )
    found: dict[int, dict[str, int]] = {}
    for row in connection.execute(query.where(table.c.number.in_(numbers)).group_by(table.c.number, state)):
        found.setdefault(row.number, {})[row.state] = row.files
    return found


def _facts_of(row: Any, paced_from: str | None) -> dict[str, Any]:
    started, finished = row["started_at"], row["finished_at"]
    return {
        "job_id": row["job_id"],
        "kind": row["kind"],
        "state": row["state"],
        "done": row["done"],
        "total": row["total"],
        "part": row["part"] if row["state"] not in FINISHED else 0.0,
        "eta_s": _eta_s(row, paced_from) if row["state"] == "running" else None,
        "attempts": row["attempts"],
        "not_before": aware(row["not_before"]) if row["not_before"] and row["state"] == "queued" else None,
        "created_at": aware(row["created_at"]),
        "started_at": aware(started) if started else None,
        "finished_at": aware(finished) if finished else None,
    }


def _eta_s(row: Any, paced_from: str | None) -> float | None:
    """Seconds left at the pace so far; None before anything is done."""
    since = row["started_at"] if paced_from is None else datetime.fromisoformat(paced_from)
    done = float(row["done"] + row["part"])
    if not done or since is None:
        return None
    elapsed: float = (datetime.now(UTC) - aware(since)).total_seconds()
    left = max(0.0, float(row["total"]) - done)
    return round(elapsed / done * left, 1)
