"""Which embedding space is in use, and the change to another one without downtime.

A space is put in use when every kept chunk has its vector: that is seen and done in one transaction, so no chunk can
come in between. Until then all goes on in the space before, which stays filled as it was: going back is one write. It
stays until it is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from ingest.catalog import facts, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.catalog.facts import SPACE_IN_USE
from ingest.errors import NotAllowed, NotFound
from ingest.jobs.queue import FILL_SPACE, UNFINISHED, JobQueue
from ingest.types import Space

_BEFORE = "space_before"
# The embedder's settings that were last followed: when they change, that asks for another space.
_ASKED_FOR = "embedder_asked_for"

# Vectors that one transaction takes away: others write in between.
_DROPPED_TOGETHER = 10_000

EmbedderSettings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpaceInfo:
    """A space with the settings that build its embedder (None: of a catalog that did not note them)."""

    space_id: str
    model: str
    embedder: EmbedderSettings | None
    vectors: int
    in_use: bool


class Spaces:
    """The spaces of one catalog."""

    def __init__(self, catalog: Catalog, queue: JobQueue) -> None:
        self._catalog = catalog
        self._queue = queue

    def in_use(self) -> tuple[str, EmbedderSettings | None] | None:
        """The id of the space in use, and the embedder that the settings named when they were last followed.

        None before the first start.
        """
        with self._catalog.reading() as connection:
            found = {name: value for name, value in connection.execute(_FACTS)}
        return (found[SPACE_IN_USE], found.get(_ASKED_FOR)) if SPACE_IN_USE in found else None

    def begin(self, space: Space, embedder: EmbedderSettings) -> None:
        """Puts the first space in use; does nothing where one is."""
        with self._catalog.writing() as connection:
            statements.put_space(connection, space, embedder)
            if facts.get(connection, SPACE_IN_USE) is None:
                facts.put(connection, SPACE_IN_USE, space.space_id)
                facts.put(connection, _ASKED_FOR, dict(embedder))

    def request(self, space: Space, embedder: EmbedderSettings, *, by_settings: bool = False) -> str:
        """Adds the job that fills the space and then puts it in use, and returns its id."""
        with self._catalog.writing() as connection:
            statements.put_space(connection, space, embedder)
            if by_settings:
                facts.put(connection, _ASKED_FOR, dict(embedder))
            return _enqueue(connection, self._queue, space.space_id)

    def space(self, space_id: str) -> Space:
        """Raises NotFound."""
        with self._catalog.reading() as connection:
            return Space(**_row(connection, space_id)["description"])

    def embedder_of(self, space_id: str) -> EmbedderSettings | None:
        """The settings that build the embedder of a space. Raises NotFound."""
        with self._catalog.reading() as connection:
            found: EmbedderSettings | None = _row(connection, space_id)["embedder"]
        return found

    def filled(self, space_id: str) -> tuple[int, int]:
        """How many kept chunks have a vector in the space, and how many there are."""
        with self._catalog.reading() as connection:
            chunks = statements.count(connection, schema.chunks)
            return chunks - _lacking(connection, space_id), chunks

    def being_filled(self, space_id: str) -> bool:
        """Whether a job that fills the space waits or runs."""
        with self._catalog.reading() as connection:
            return _being_filled(connection, space_id)

    def finish(self, job: Mapping[str, Any]) -> bool:
        """Ends a job of this kind by its payload: whether nothing is lacking, and the space is in use if it asked."""
        return self.put_in_use(job["space_id"]) if job.get("use", True) else True

    def put_in_use(self, space_id: str) -> bool:
        """Switches to the space if no chunk lacks its vector; False when some do."""
        with self._catalog.writing() as connection:
            if _lacking(connection, space_id):
                return False
            _switch(connection, space_id)
        return True

    def before(self) -> str:
        """The id of the space that was in use before. Raises NotFound where there is none."""
        with self._catalog.reading() as connection:
            return _before(connection)

    def back(self) -> str:
        """Puts the space before in use again, at once, and returns its id. Raises NotFound.

        Chunks that came since are found by their words until the job that this adds has embedded them.
        """
        with self._catalog.writing() as connection:
            before = _before(connection)
            _switch(connection, before)
            self._queue.cancel_all(connection, FILL_SPACE)  # one of those would put another space in use
            if _lacking(connection, before):
                _enqueue(connection, self._queue, before, use=False)
        return before

    def drop(self, space_id: str) -> int:
        """Takes the vectors of a space away that is not in use, a bounded number at a time; returns how many.

        There is no way back to it then but to embed all anew. When it is killed, it goes on when it is asked again.
        Raises NotFound, and NotAllowed for a space that is in use or being filled.
        """
        table, removed = schema.vectors, 0
        while True:
            with self._catalog.writing() as connection:
                number = _row(connection, space_id)["number"]
                if facts.get(connection, SPACE_IN_USE) == space_id:
                    raise NotAllowed(f"searches use the space {space_id}: put another embedder in use first")
                if _being_filled(connection, space_id):
                    raise NotAllowed(f"a job fills the space {space_id}: wait, or end it by `ragstone jobs cancel`")
                if facts.get(connection, _BEFORE) == space_id:
                    facts.put(connection, _BEFORE, None)
                some = select(table.c.arrival).where(table.c.space == number).limit(_DROPPED_TOGETHER)
                count = connection.execute(delete(table).where(table.c.arrival.in_(some.scalar_subquery()))).rowcount
                removed += count
                if not count:
                    connection.execute(delete(schema.spaces).where(schema.spaces.c.number == number))
                    return removed

    def all(self) -> list[SpaceInfo]:
        counts = self._catalog.vectors_by_space()
        with self._catalog.reading() as connection:
            in_use = facts.get(connection, SPACE_IN_USE)
            rows = connection.execute(select(schema.spaces).order_by(schema.spaces.c.number)).mappings().all()
        return [
            SpaceInfo(
                space_id=row["space_id"],
                model=row["description"]["model"],
                embedder=row["embedder"],
                vectors=counts.get(row["space_id"], 0),
                in_use=row["space_id"] == in_use,
            )
            for row in rows
        ]


# Built once: what every upload asks.
_FACTS = select(schema.facts.c.name, schema.facts.c.value).where(schema.facts.c.name.in_((SPACE_IN_USE, _ASKED_FOR)))


def _switch(connection: Connection, space_id: str) -> None:
    in_use = facts.get(connection, SPACE_IN_USE)
    if in_use != space_id:
        facts.put(connection, SPACE_IN_USE, space_id)
        facts.put(connection, _BEFORE, in_use)


def _enqueue(connection: Connection, queue: JobQueue, space_id: str, *, use: bool = True) -> str:
    chunks = statements.count(connection, schema.chunks)
    return queue.enqueue_task(connection, FILL_SPACE, {"space_id": space_id, "use": use}, total=chunks)


def _being_filled(connection: Connection, space_id: str) -> bool:
    jobs = schema.jobs
    query = select(jobs.c.payload).where(jobs.c.kind == FILL_SPACE, jobs.c.state.in_(UNFINISHED))
    return any(payload["space_id"] == space_id for payload in connection.execute(query).scalars())


def _row(connection: Connection, space_id: str) -> Any:
    table = schema.spaces
    row = connection.execute(select(table).where(table.c.space_id == space_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no space {space_id}")
    return row


def _before(connection: Connection) -> str:
    before = facts.get(connection, _BEFORE)
    if before is None:
        raise NotFound("there is no embedder to go back to: the one in use is the first, or the one before was dropped")
    return str(before)


def _lacking(connection: Connection, space_id: str) -> int:
    vectors, number = schema.vectors, _row(connection, space_id)["number"]
    chunks = statements.count(connection, schema.chunks)
    return chunks - statements.count(connection, vectors, vectors.c.space == number)
