"""The sources of a catalog, and what became of the items of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ingest import schema, statements
from ingest.catalog import Catalog, Readable
from ingest.errors import NotFound
from ingest.jobs import REFRESH, UNFINISHED, JobQueue
from ingest.sources.schedule import next_time
from ingest.sources.types import ItemInfo, LastRun, SourceInfo, SourceSettings
from ingest.statements import aware
from ingest.types import DocumentOutcome


@dataclass(frozen=True, slots=True)
class Item:
    """What is known of an item of a source."""

    document_id: str
    uri: str
    mark: str | None
    content_hash: str | None
    state: str


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
        sources, items = schema.sources, schema.source_items
        counted = select(func.count()).where(items.c.source == sources.c.name).scalar_subquery()
        query = select(sources, counted.label("items")).order_by(sources.c.name)
        if readable is not None:
            query = query.where(sources.c.collection.in_(readable))
        with self._catalog.reading() as connection:
            return [_source(row) for row in connection.execute(query).mappings()]

    def require_free(self, name: str, readable: Readable) -> None:
        """Raises NotFound for a source of a collection that is not in `readable`: it is not theirs to change."""
        if any(source.name == name for source in self.all()):
            self.get(name, readable)

    def remove(self, name: str) -> None:
        """Forgets a source; its documents stay. Raises NotFound."""
        sources, items = schema.sources, schema.source_items
        with self._catalog.writing() as connection:
            connection.execute(delete(items).where(items.c.source == name))
            if connection.execute(delete(sources).where(sources.c.name == name)).rowcount == 0:
                raise NotFound(f"no source {name}")

    # Refreshing

    def request(self, name: str | None = None, *, again: bool = False, readable: Readable = None) -> list[str]:
        """Queues a refresh of one source, or of all, unless one waits already; returns the jobs' ids.

        With `again` every item is fetched, whether it seems to have changed or not. Raises NotFound.
        """
        names = [name] if name is not None else [source.name for source in self.all(readable)]
        jobs = []
        for its in names:
            source = self.get(its, readable)
            with self._catalog.writing() as connection:
                waiting = _waiting(connection, its, again)
                payload = {"source": its, "again": again}
                jobs.append(waiting or self._queue.enqueue_task(connection, REFRESH, payload, [source.collection]))
        return jobs

    def request_due(self, now: datetime | None = None) -> int:
        """Queues a refresh of each source whose time has come; returns how many."""
        table = schema.sources
        now = now or datetime.now(UTC)
        with self._catalog.reading() as connection:
            due = list(connection.execute(select(table.c.name).where(table.c.next_at <= now)).scalars())
        for name in due:
            settings = self.get(name).settings
            self.request(name)
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
        table = schema.source_items
        columns = (table.c.document_id, table.c.uri, table.c.mark, table.c.content_hash, table.c.state)
        with self._catalog.reading() as connection:
            rows = connection.execute(select(*columns).where(table.c.source == name))
            return {row.document_id: Item(*row) for row in rows}

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

    def owners(self, document_ids: Sequence[str]) -> dict[str, str]:
        """The sources that documents belong to; those that belong to none are left out."""
        table = schema.source_items
        found: dict[str, str] = {}
        with self._catalog.reading() as connection:
            for part in statements.parts(document_ids):
                query = select(table.c.document_id, table.c.source).where(table.c.document_id.in_(part))
                found.update((document_id, source) for document_id, source in connection.execute(query))
        return found

    def put_items(
        self,
        connection: Connection,
        name: str,
        marks: Mapping[str, tuple[str | None, str | None]],
        outcomes: Sequence[DocumentOutcome],
    ) -> None:
        """Notes what became of items; `marks` are mark and content hash by document."""
        table = schema.source_items
        ids = [outcome.document_id for outcome in outcomes]
        for part in statements.parts(ids):
            connection.execute(delete(table).where(table.c.document_id.in_(part)))
        now = datetime.now(UTC)
        rows = []
        for outcome in outcomes:
            mark, content_hash = marks[outcome.document_id]
            rows.append(
                {
                    "document_id": outcome.document_id,
                    "source": name,
                    "uri": outcome.uri,
                    "mark": mark,
                    "content_hash": content_hash,
                    "state": "indexed" if outcome.state == "unchanged" else outcome.state,
                    "problem": None if outcome.problem is None else outcome.problem.model_dump(mode="json"),
                    "taken_at": now,
                }
            )
        if rows:
            connection.execute(insert(table), rows)

    def forget_items(self, connection: Connection, document_ids: Collection[str]) -> None:
        table = schema.source_items
        for part in statements.parts(list(document_ids)):
            connection.execute(delete(table).where(table.c.document_id.in_(part)))


def _waiting(connection: Connection, name: str, again: bool) -> str | None:
    """The queued refresh of a source that does what is asked for."""
    table = schema.jobs
    query = select(table.c.job_id, table.c.payload).where(table.c.kind == REFRESH, table.c.state == UNFINISHED[0])
    for job_id, payload in connection.execute(query):
        if payload["source"] == name and payload["again"] >= again:
            return str(job_id)
    return None


def _source(row: Any) -> SourceInfo:
    settings = SourceSettings(**row["settings"])
    last = row["last_run"]
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
        last_run=None if last is None else LastRun(**last),
    )
