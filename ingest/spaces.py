"""Which embedding space is in use, and the change to another one without downtime.

A space is put in use when every kept chunk has its vector: that is seen and done in one transaction, so no chunk can
come in between. Until then all goes on in the space before, which stays filled as it was: going back is one write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from ingest import schema, statements
from ingest.catalog import Catalog
from ingest.errors import NotFound
from ingest.jobs import FILL_SPACE, JobQueue
from ingest.statements import SPACE_IN_USE
from ingest.types import Space

_BEFORE = "space_before"
# The embedder's settings that were last followed: when they change, that asks for another space.
_ASKED_FOR = "embedder_asked_for"

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
            if statements.fact(connection, SPACE_IN_USE) is None:
                statements.put_fact(connection, SPACE_IN_USE, space.space_id)
                statements.put_fact(connection, _ASKED_FOR, dict(embedder))

    def request(self, space: Space, embedder: EmbedderSettings, *, by_settings: bool = False) -> str:
        """Adds the job that fills the space and then puts it in use, and returns its id."""
        with self._catalog.writing() as connection:
            statements.put_space(connection, space, embedder)
            if by_settings:
                statements.put_fact(connection, _ASKED_FOR, dict(embedder))
            return _enqueue(connection, self._queue, space.space_id)

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

    def put_in_use(self, space_id: str) -> bool:
        """Switches to the space if no chunk lacks its vector; False when some do."""
        with self._catalog.writing() as connection:
            if _lacking(connection, space_id):
                return False
            _switch(connection, space_id)
        return True

    def back(self) -> str:
        """Puts the space before in use again, at once, and returns its id. Raises NotFound.

        Chunks that came since are found by their words until the job that this adds has embedded them.
        """
        with self._catalog.writing() as connection:
            before = statements.fact(connection, _BEFORE)
            if before is None:
                raise NotFound("there is no embedder to go back to: the one in use is the first")
            _switch(connection, before)
            if _lacking(connection, before):
                _enqueue(connection, self._queue, before)
        return str(before)

    def all(self) -> list[SpaceInfo]:
        counts = self._catalog.vectors_by_space()
        with self._catalog.reading() as connection:
            in_use = statements.fact(connection, SPACE_IN_USE)
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
    in_use = statements.fact(connection, SPACE_IN_USE)
    if in_use != space_id:
        statements.put_fact(connection, SPACE_IN_USE, space_id)
        statements.put_fact(connection, _BEFORE, in_use)


def _enqueue(connection: Connection, queue: JobQueue, space_id: str) -> str:
    chunks = statements.count(connection, schema.chunks)
    return queue.enqueue_task(connection, FILL_SPACE, {"space_id": space_id}, total=chunks)


def _row(connection: Connection, space_id: str) -> Any:
    table = schema.spaces
    row = connection.execute(select(table).where(table.c.space_id == space_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no space {space_id}")
    return row


def _lacking(connection: Connection, space_id: str) -> int:
    vectors, number = schema.vectors, _row(connection, space_id)["number"]
    chunks = statements.count(connection, schema.chunks)
    return chunks - statements.count(connection, vectors, vectors.c.space == number)
