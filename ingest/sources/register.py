"""The sources of a catalog, and what became of the items of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ingest import source_items
from ingest.catalog import schema
from ingest.catalog.catalog import Catalog, Readable
from ingest.catalog.statements import aware
from ingest.errors import Erased, NotFound
from ingest.jobs.queue import REFRESH, UNFINISHED, JobQueue
from ingest.source_items import Item
from ingest.sources.schedule import next_time
from ingest.sources.types import ItemInfo, LastRun, RunState, SourceInfo, SourceSettings
from ingest.types import Problem

# A document that another source brings.
OTHER_SOURCE = "other-source"
# In the payload of a refresh that has begun to list its source: what changes from then on needs another one.
BEGUN = "begun"


class SourceRegister:
    """Adds, finds and forgets sources, and queues their refreshes."""

    def __init__(self, catalog: Catalog, queue: JobQueue) -> None:
        self._catalog = catalog
        self._queue = queue

    def put(self, name: str, settings: SourceSettings) -> SourceInfo:
        """Adds a source, or gives a known one other settings; with a schedule it is due at once."""
        table = schema.sources
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "settings": settings.model_dump(mode="json"),
            "collection": settings.collection,
            "next_at": now if settings.schedule else None,
        }
        with self._catalog.writing() as connection:
            if connection.execute(update(table).where(table.c.name == name).values(values)).rowcount == 0:
                connection.execute(insert(table).values(name=name, created_at=now, **values))
        return self.get(name)

    def get(self, name: str, readable: Readable = None) -> SourceInfo:
        """Raises NotFound, in the same words for one that is not there and for one of another's collection."""
        for source in self.all(readable):
            if source.name == name:
                return source
        raise NotFound(f"no source {name}")

    def all(self, readable: Readable = None) -> list[SourceInfo]:
        """By name; with `readable`, those of these collections."""
        sources, its_items = schema.sources, schema.source_items
        counted = select(func.count()).where(its_items.c.source == sources.c.name).scalar_subquery()
        jobs = schema.jobs
        ended = [jobs.c[name].label(f"job_{name}") for name in ("state", "problems", "finished_at")]
        its_job = jobs.c.job_id == sources.c.last_run["job_id"].as_string()
        query = select(sources, counted.label("items"), *ended).order_by(sources.c.name)
        query = query.select_from(sources.outerjoin(jobs, its_job))
        if readable is not None:
            query = query.where(sources.c.collection.in_(readable))
        with self._catalog.reading() as connection:
            return [_source(row) for row in connection.execute(query).mappings()]

    def require_free(self, name: str, readable: Readable) -> None:
        """Raises NotFound for a source of a collection that is not in `readable`: it is not theirs to change."""
        if any(source.name == name for source in self.all()):
            self.get(name, readable)

    def remove(self, name: str) -> list[str]:
        """Forgets a source; its documents stay. Returns its jobs, which are to be cancelled. Raises NotFound."""
        sources, its_items = schema.sources, schema.source_items
        with self._catalog.writing() as connection:
            connection.execute(delete(its_items).where(its_items.c.source == name))
            if connection.execute(delete(sources).where(sources.c.name == name)).rowcount == 0:
                raise NotFound(f"no source {name}")
            return [job_id for job_id, _ in _refreshes(connection, name, UNFINISHED)]

    # Refreshing

    def request(
        self, name: str | None = None, *, again: bool = False, readable: Readable = None, hurry: bool = True
    ) -> list[str]:
        """Queues a refresh of one source, or of all, unless one waits already; returns the jobs' ids.

        With `again` every item is fetched, whether it seems to have changed or not. With `hurry` one that waits to be
        tried again is tried at once. Raises NotFound.
        """
        chosen = self.all(readable) if name is None else [self.get(name, readable)]
        jobs = []
        for source in chosen:
            with self._catalog.writing() as connection:
                waiting = _waiting(connection, source.name, again)
                payload = {"source": source.name, "again": again}
                of = [source.collection]
                jobs.append(waiting or self._queue.enqueue_task(connection, REFRESH, payload, of, total=0))
                if waiting is not None and hurry:
                    self._queue.hurry(connection, waiting)
        return jobs

    def request_due(self, now: datetime | None = None) -> int:
        """Queues a refresh of each source whose time has come; returns how many."""
        table = schema.sources
        now = now or datetime.now(UTC)
        with self._catalog.reading() as connection:
            due = list(connection.execute(select(table.c.name).where(table.c.next_at <= now)).scalars())
        for name in due:
            try:
                settings = self.get(name).settings
                self.request(name, hurry=False)
            except NotFound:  # it was removed meanwhile
                continue
            with self._catalog.writing(may_be_lost=True) as connection:
                later = next_time(settings.schedule, now) if settings.schedule else None
                connection.execute(update(table).where(table.c.name == name).values(next_at=later))
        return len(due)

    def note_run(self, connection: Connection, name: str, run: LastRun) -> None:
        """Says how far a refresh is, in the caller's transaction."""
        table = schema.sources
        values = {"last_run": run.model_dump(mode="json")}
        connection.execute(update(table).where(table.c.name == name).values(values))

    # Items

    def known(self, name: str) -> dict[str, Item]:
        """The items of a source by document."""
        with self._catalog.reading() as connection:
            return source_items.known(connection, name)

    def items(
        self, name: str, limit: int, after: str | None = None, state: str | None = None, readable: Readable = None
    ) -> list[ItemInfo]:
        """By document id, behind `after`; with `state` those only. Raises NotFound."""
        self.get(name, readable)
        table = schema.source_items
        query = select(table).where(table.c.source == name).order_by(table.c.document_id).limit(limit)
        if after is not None:
            query = query.where(table.c.document_id > after)
        if state is not None:
            query = query.where(table.c.state == state)
        with self._catalog.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            ItemInfo(**{**{name: row[name] for name in ItemInfo.model_fields}, "taken_at": aware(row["taken_at"])})
            for row in rows
        ]

    def barred(self, name: str, known: Collection[str], document_ids: Sequence[str]) -> dict[str, Problem]:
        """Why documents are not to be taken from the source, which has those of `known`; the others are left out."""
        with self._catalog.reading() as connection:
            owners = source_items.owners(connection, [its for its in document_ids if its not in known])
            erased = source_items.erased(connection, document_ids)
        barred = {
            its: Problem(
                code=OTHER_SOURCE, detail=f"it is a document of the source {owner}: exclude it from one of the two"
            )
            for its, owner in owners.items()
            if owner != name
        }
        gone = Problem(code=Erased.code, detail="the document was erased: upload it if it is to come back")
        return barred | dict.fromkeys(erased, gone)


def _waiting(connection: Connection, name: str, again: bool) -> str | None:
    """The queued refresh of a source that is to do what is asked for; one that has begun may have seen less."""
    for job_id, payload in _refreshes(connection, name, ["queued"]):
        if payload["again"] >= again and not payload.get(BEGUN):
            return job_id
    return None


def _refreshes(connection: Connection, name: str, states: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    table = schema.jobs
    query = select(table.c.job_id, table.c.payload).where(table.c.kind == REFRESH, table.c.state.in_(states))
    query = query.order_by(table.c.number)
    return [(job_id, payload) for job_id, payload in connection.execute(query) if payload["source"] == name]


def _source(row: Any) -> SourceInfo:
    settings = SourceSettings.stored(row["settings"])
    return SourceInfo(
        name=row["name"],
        kind=settings.kind,
        location=settings.location,
        collection=row["collection"],
        schedule=settings.schedule,
        settings=settings,
        items=row["items"],
        created_at=aware(row["created_at"]),
        next_at=aware(row["next_at"]) if row["next_at"] else None,
        last_run=None if row["last_run"] is None else _last_run(row),
    )


def _last_run(row: Any) -> LastRun:
    """As it was noted, unless its job ended without a word: it was given up, or stopped while it waited."""
    run = LastRun(**row["last_run"])
    ended = _ENDED.get(row["job_state"])
    if run.state not in ("running", "waiting") or ended is None:
        return run
    problems = [Problem(**its) for its in row["job_problems"]]
    # The last: those before are of items.
    problem = problems[-1] if problems and ended == "failed" else run.problem
    return run.model_copy(update={"state": ended, "problem": problem, "finished_at": aware(row["job_finished_at"])})


# What a run has come to by the state in which its job ended.
_ENDED: dict[str | None, RunState] = {"dead": "failed", "failed": "failed", "cancelled": "cancelled"}
