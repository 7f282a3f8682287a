"""Single facts about a catalog, by name, each inside the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from ingest.catalog import schema

# What was taken out of old revisions: see `ingest.catalog.marks`.
PURGES = "purges"
# How often the files of the index were rid of such content: readers that have them open hold on to what was there.
FORGOTTEN = "forgotten"
# The id of the embedding space that searches use.
SPACE_IN_USE = "space_in_use"
# Why the jobs wait, in the words of the process that does them; see `ingest.worker.problem_of_worker`.
WORKER_PROBLEM = "worker_problem"


def get(connection: Connection, name: str) -> Any:
    """A single value kept under a name; None where there is none."""
    return connection.execute(_FACT, {"name": name}).scalar_one_or_none()


def put(connection: Connection, name: str, value: Any) -> None:
    table = schema.facts
    if connection.execute(update(table).where(table.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(insert(table).values(name=name, value=value))


def count_up(connection: Connection, name: str) -> None:
    """Adds 1 to a number kept under a name."""
    put(connection, name, (get(connection, name) or 0) + 1)


# Built once, since every commit asks it.
_FACT = select(schema.facts.c.value).where(schema.facts.c.name == bindparam("name"))
