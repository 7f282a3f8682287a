"""The catalog on PostgreSQL: how it is connected, how transactions begin, and what its errors mean.

Reads run in REPEATABLE READ, so that all statements of one see the same state. Writes run in READ COMMITTED behind one
lock, which is waited for before the first look at any table: whatever a writer then reads holds until it commits. Under
REPEATABLE READ a writer would go on seeing what was there before it had to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from ingest.errors import (
    CatalogDamaged,
    CatalogMisconfigured,
    CatalogUnavailable,
    IngestError,
    MissingDriver,
    StorageFull,
)

# What the catalog uses is in this release and all later ones; the tests run on 18.
OLDEST_RELEASE = 14

READS: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITES: Mapping[str, Any] = {"isolation_level": "READ COMMITTED", "ragstone_writes": True}

# Of one transaction at a time, where SQLite's write lock does the same: "ragstone" as a number.
_WRITE_LOCK = 0x72616773746F6E65

# What libpq is told unless the URL says otherwise. A server that vanished is noticed within a minute.
_LINK = {
    "application_name": "ragstone",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def connect(url: URL, busy_timeout_s: float) -> Engine:
    """`busy_timeout_s` is how long a write waits for another one to end. Raises MissingDriver."""
    link = {name: value for name, value in _LINK.items() if name not in url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            # Connections that ended while they were idle are replaced without an error.
            pool_pre_ping=True,
            # The texts of documents are parameters, and errors go to logs.
            hide_parameters=True,
            connect_args={**link, "client_encoding": "utf8"},
        )
    except ImportError as error:
        raise MissingDriver("a catalog on PostgreSQL needs psycopg: pip install 'ragstone[postgresql]'") from error

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("ragstone_writes", False):
            _begin_write(
                connection, busy_timeout_s, connection.get_execution_options().get("ragstone_may_be_lost", False)
            )

    event.listen(engine, "connect", _refuse_unfit, insert=True)
    event.listen(engine, "begin", begin)
    return engine


def require_fit(release: int, encoding: str | None) -> None:
    """Raises CatalogMisconfigured for a server that is too old (`release` as 180006) or can't hold every text."""
    if release < OLDEST_RELEASE * 10_000:
        found = f"{release // 10_000}.{release % 100 if release >= 100_000 else release // 100 % 100}"
        raise CatalogMisconfigured(
            f"the catalog needs PostgreSQL {OLDEST_RELEASE} or newer and this server is {found}: "
            "upgrade it, or name another one in ingest.catalog_url"
        )
    if encoding != "UTF8":
        raise CatalogMisconfigured(
            f"the catalog's database has the encoding {encoding}, which can't hold every text: "
            "create one with ENCODING 'UTF8' and name it in ingest.catalog_url"
        )


def translated(error: DBAPIError, url: URL, writes: bool) -> IngestError | None:
    """What an error of the database means to the caller; None for a bug. No message has the password."""
    said, place = _said(error, url), _place(url)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in ("XX001", "XX002"):
        return CatalogDamaged(f"the catalog in {place} is damaged ({said}): restore a backup")
    if state == "53100":
        return StorageFull(f"the catalog in {place} can't grow ({said}): free some space there, then try again")
    if state == "55P03":
        return CatalogUnavailable(f"another write holds the catalog in {place} ({said}): try again later")
    if state == "42501":
        return CatalogMisconfigured(
            f"the role may not do what the catalog in {place} needs ({said}): "
            "make it the owner of the database, or GRANT CREATE ON SCHEMA public"
        )
    if state == "25006" and writes:
        return CatalogUnavailable(
            f"{place} takes no writes ({said}): wait until it does, or name the primary server in ingest.catalog_url"
        )
    if state in _REFUSED or (not state and any(sign in said for sign in _SIGNS_OF_REFUSAL)):
        return CatalogMisconfigured(
            f"{place} refuses the connection ({said}): see to the user, the password and the name of the database in "
            "ingest.catalog_url (a password can also stand in ~/.pgpass)"
        )
    if isinstance(error, OperationalError):
        return CatalogUnavailable(f"{place} did not answer ({said}): try again later")
    return None


def _begin_write(connection: Connection, busy_timeout_s: float, may_be_lost: bool) -> None:
    # In one message to the server. A commit is on its disk, whatever its settings say: it is what an upload waits for.
    synced = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
    statements = (
        f"SET LOCAL lock_timeout = {max(1, round(busy_timeout_s * 1000))}",
        "SET LOCAL synchronous_commit = off" if may_be_lost else synced,
        f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})",
    )
    connection.exec_driver_sql("; ".join(statements), execution_options={"no_parameters": True})


def _refuse_unfit(connection: Any, _record: object) -> None:
    require_fit(connection.info.server_version, connection.info.parameter_status("server_encoding"))


def _place(url: URL) -> str:
    """The database in words. The URL itself could carry a password among its options too."""
    host = url.host or url.query.get("host")
    return f"the PostgreSQL database {url.database or url.username}" + (f" on {host}" if host else "")


def _said(error: DBAPIError, url: URL) -> str:
    said = " ".join(str(error.orig).split())
    for secret in (url.password, url.query.get("password")):
        if isinstance(secret, str) and secret:
            said = said.replace(secret, "***")
    return said


# Errors of a server that was reached and says no: wrong user or password, unknown database.
_REFUSED = ("28000", "28P01", "3D000")

# While a connection is made, the driver gives no code: these are the words, unless the server speaks another language.
_SIGNS_OF_REFUSAL = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    'role "',
    'database "',
    "invalid connection option",
)
