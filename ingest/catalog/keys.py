"""API keys: who may do what in which collections.

A secret is 256 random bits and is shown once. The catalog keeps its SHA-256 only: a secret of that many random bits
can't be guessed, so a slow hash would protect nothing and cost every request. Keys are read from the catalog at every
use; so a key that is revoked ends at once, in every process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field
from sqlalchemy import Connection, insert, select, update

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.errors import NotAllowed, NotFound
from ingest.types import WireModel

# What a key can allow: to search and read; to ask; to upload, delete and stage; to erase; and to run the system.
Action = Literal["read", "ask", "write", "erase", "admin"]
ACTIONS: tuple[Action, ...] = get_args(Action)

PREFIX = "rs_"
_SECRET_BYTES = 32


def _one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("is one line of printable characters, without blanks at its ends")
    return text


def _in_order(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(set(names)))


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
CollectionName = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]


class Limits(WireModel):
    """What a key may use; null means no limit. Each process that serves counts for itself."""

    requests_per_minute: int | None = Field(None, ge=1, le=100_000)
    concurrent_answers: int | None = Field(None, ge=1, le=10_000)
    upload_mib_per_day: float | None = Field(None, gt=0, le=1e9)


class Grant(WireModel):
    """What a key allows. `collections` null means all; a key with a `user` asks in the name of that user only."""

    name: Line
    collections: Annotated[tuple[CollectionName, ...] | None, Field(min_length=1), AfterValidator(_in_order)] = None
    actions: Annotated[tuple[Action, ...], Field(min_length=1), AfterValidator(_in_order)] = ("ask", "read")
    user: Line | None = None
    limits: Limits = Limits()


class Key(Grant):
    """A key without its secret."""

    key_id: str
    created_at: datetime
    revoked_at: datetime | None = None


def beyond(wanted: Grant, own: Grant) -> str | None:
    """What of `wanted` goes beyond `own`, in words; None when nothing does."""
    all_wanted = wanted.collections is None
    if own.collections is not None and (all_wanted or not set(wanted.collections or ()) <= set(own.collections)):
        return "more collections than its own"
    if not set(wanted.actions) <= set(own.actions):
        return f"more actions than its own ({', '.join(own.actions)})"
    if own.user is not None and wanted.user != own.user:
        return f"another user than its own ({own.user})"
    return None


def looser(wanted: Limits, own: Limits) -> str | None:
    """The first limit that is wider in `wanted` than in `own`, by name; None when none is."""
    for name in Limits.model_fields:
        most, asked = getattr(own, name), getattr(wanted, name)
        if most is not None and (asked is None or asked > most):
            return name
    return None


class KeyRing:
    """The keys of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def create(self, grant: Grant) -> tuple[Key, str]:
        """Adds a key, and returns it with its secret. For who has the data folder: nothing is asked."""
        with self._catalog.writing() as connection:
            return _put(connection, grant)

    def create_first(self, grant: Grant) -> tuple[Key, str]:
        """As `create`, for a system without keys, which the first one closes. Raises NotAllowed."""
        if "admin" not in grant.actions or grant.collections is not None:
            raise NotAllowed(
                "the first key closes the system to all who have none, and nobody could make another one: "
                "give it the action `admin` and all collections"
            )
        with self._catalog.writing() as connection:
            if _any_in_force(connection):
                raise NotAllowed("another key was made in the meantime, and keys are made with a key now")
            return _put(connection, grant)

    def create_by(self, key_id: str, grant: Grant) -> tuple[Key, str]:
        """As `create`, on behalf of the key `key_id`, which can't give what it has not. Raises NotAllowed."""
        with self._catalog.writing() as connection:
            giver = _in_force(connection, key_id)
            wider = looser(grant.limits, giver.limits)
            more = beyond(grant, giver) or (f"a wider limit `{wider}` than its own" if wider else None)
            if more is not None:
                raise NotAllowed(f"this key can't make a key with {more}")
            return _put(connection, grant)

    def keys(self, key_id: str | None = None) -> list[Key]:
        """All keys, revoked ones too, in the order in which they were made; for `key_id` those within its reach."""
        with self._catalog.reading() as connection:
            found = _keys(connection)
            own = None if key_id is None else _in_force(connection, key_id)
        return [key for key in found if own is None or beyond(key, own) is None]

    def revoke(self, key_id: str) -> Key:
        """Ends a key for good; one that was revoked before stays as it is. Raises NotFound."""
        with self._catalog.writing() as connection:
            return _revoke(connection, _wanted(connection, key_id))

    def revoke_by(self, own_id: str, key_id: str) -> Key:
        """As `revoke`, on behalf of the key `own_id`: only within its reach.

        Raises NotFound, and NotAllowed for the last key that can administer all collections.
        """
        with self._catalog.writing() as connection:
            key = _wanted(connection, key_id)
            if beyond(key, _in_force(connection, own_id)) is not None:
                raise NotFound(f"no key {key_id}")
            others = [other for other in _keys(connection) if other.revoked_at is None and other.key_id != key_id]
            if _administers_all(key) and not any(_administers_all(other) for other in others):
                raise NotAllowed(
                    "this is the last key that can administer all collections: make another one first, or end it on "
                    "the machine itself with `ragstone keys revoke`"
                )
            return _revoke(connection, key)

    def find(self, secret: str) -> Key | None:
        """The key that has this secret, revoked or not."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        table = schema.keys
        with self._catalog.reading() as connection:
            row = connection.execute(select(table).where(table.c.hash == digest)).mappings().one_or_none()
        return _key(row) if row is not None and hmac.compare_digest(row["hash"], digest) else None

    def any_in_force(self) -> bool:
        """Whether there is a key that was not revoked: then the system is closed to all who have none."""
        with self._catalog.reading() as connection:
            return _any_in_force(connection)

    def in_force(self, key_id: str) -> bool:
        """Whether the key is there and was not revoked."""
        with self._catalog.reading() as connection:
            return any(key.revoked_at is None for key in _keys(connection, key_id))


def _put(connection: Connection, grant: Grant) -> tuple[Key, str]:
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    values = grant.model_dump(mode="json", include=set(Grant.model_fields))
    key_id = f"k-{uuid.uuid4().hex[:20]}"
    connection.execute(
        insert(schema.keys).values(
            **values, key_id=key_id, hash=hashlib.sha256(secret.encode()).hexdigest(), created_at=datetime.now(UTC)
        )
    )
    return _wanted(connection, key_id), secret


def _revoke(connection: Connection, key: Key) -> Key:
    table = schema.keys
    lasting = (table.c.key_id == key.key_id) & table.c.revoked_at.is_(None)
    connection.execute(update(table).where(lasting).values(revoked_at=datetime.now(UTC)))
    return _wanted(connection, key.key_id)


def _keys(connection: Connection, key_id: str | None = None) -> list[Key]:
    table = schema.keys
    query = select(table).order_by(table.c.created_at, table.c.key_id)
    if key_id is not None:
        query = query.where(table.c.key_id == key_id)
    return [_key(row) for row in connection.execute(query).mappings()]


def _wanted(connection: Connection, key_id: str) -> Key:
    found = _keys(connection, key_id)
    if not found:
        raise NotFound(f"no key {key_id}")
    return found[0]


def _in_force(connection: Connection, key_id: str) -> Key:
    """The key on whose behalf something is done: it may have been revoked since the request came in."""
    key = _wanted(connection, key_id)
    if key.revoked_at is not None:
        raise NotAllowed("this key was revoked in the meantime")
    return key


def _any_in_force(connection: Connection) -> bool:
    table = schema.keys
    return connection.execute(select(table.c.key_id).where(table.c.revoked_at.is_(None)).limit(1)).first() is not None


def _administers_all(key: Key) -> bool:
    return key.revoked_at is None and "admin" in key.actions and key.collections is None


def _key(row: Any) -> Key:
    values = {name: row[name] for name in Key.model_fields}
    for name in ("created_at", "revoked_at"):
        values[name] = None if values[name] is None else statements.aware(values[name])
    return Key.model_validate(values)
