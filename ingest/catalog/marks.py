"""Marks: which way a catalog went.

Each transaction that changes what the indexes are made from leaves a mark: a number with a random token. Whoever has
derived something from the catalog keeps the last mark that it had read. A catalog that has this mark has all that was
read then, as it was read. One that has not is another one, or an older copy of this one that was put back, though its
revisions may have gone past that since.

What was purged is listed by the mark that purged it, so that readers need not read everything anew. The list is cut
now and then, and what is too much for it is not listed: `reread_from` says since which mark it is complete.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from ingest.catalog import facts, schema

_TOKEN_BYTES = 8
# Occurrences that are listed of one purge, and how many marks a list is kept for.
_LISTED = 50_000
_KEPT_FOR = 10_000


class Mark(NamedTuple):
    """A place on a catalog's way."""

    number: int
    token: str


# That of who has read nothing. Every catalog has it.
NO_MARK = Mark(0, "")


@dataclass(frozen=True, slots=True)
class Purges:
    """The number of the mark of the last purge, and the one from which on all that was purged is listed."""

    last: int
    reread_from: int


def put(connection: Connection) -> Mark:
    """Leaves a mark in the caller's transaction."""
    token = secrets.token_hex(_TOKEN_BYTES)
    return Mark(int(connection.execute(_PUT, {"token": token}).scalar_one()), token)


def has(connection: Connection, mark: Mark) -> bool:
    """Whether the catalog went by this mark."""
    return mark == NO_MARK or connection.execute(_TOKEN, {"number": mark.number}).scalar() == mark.token


def put_purged(connection: Connection, occurrences: Sequence[int]) -> None:
    """Leaves a mark, and lists what was taken out of old revisions by the ids of the occurrences."""
    mark = put(connection).number
    known = purges(connection)
    oldest = max(known.reread_from, mark - _KEPT_FOR)
    table = schema.occurrences_gone
    if len(occurrences) > _LISTED:
        oldest = mark
    elif occurrences:
        connection.execute(insert(table), [{"occurrence_id": its, "mark": mark} for its in occurrences])
    connection.execute(delete(table).where(table.c.mark <= oldest))
    facts.put(connection, facts.PURGES, {"last": mark, "reread_from": oldest})


def purges(connection: Connection) -> Purges:
    """What was purged so far."""
    found = facts.get(connection, facts.PURGES)
    return Purges(0, 0) if found is None else Purges(**found)


def purged_since(connection: Connection, number: int) -> Sequence[int]:
    """Ids of the occurrences that were purged after the mark of this number."""
    return connection.execute(_GONE, {"number": number}).scalars().all()


_PUT = insert(schema.marks).values(token=bindparam("token")).returning(schema.marks.c.number)
_TOKEN = select(schema.marks.c.token).where(schema.marks.c.number == bindparam("number"))
_GONE = select(schema.occurrences_gone.c.occurrence_id).where(schema.occurrences_gone.c.mark > bindparam("number"))
# What a search asks: the newest mark's number.
NEWEST = select(func.max(schema.marks.c.number))
