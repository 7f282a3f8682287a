"""The database under the catalog: how it is opened, how transactions begin, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ingest.catalog import postgresql
from ingest.disk import why_not_written
from ingest.errors import (
    CatalogDamaged,
    CatalogMisconfigured,
    CatalogUnavailable,
    DataFolderUnusable,
    IngestError,
    StorageFull,
)

_SQLITE_WRITES = {"ragstone_writes": True}
# A statement that begins and ends its own transaction.
_NO_TRANSACTION = {"ragstone_no_transaction": True}
# A write whose loss in a power cut would do no harm, such as a note that a job was taken: it waits for no disk.
_MAY_BE_LOST = {"ragstone_may_be_lost": True}

# What SQLite keeps of its own promises: a commit is on the disk, references hold, deleted bytes are overwritten.
_PRAGMAS = ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "cache_size=-16384")

_TRIES = 200  # to switch a file to WAL, with a pause between
_PAUSE_S = 0.01


class Database:
    """SQLite by file, in WAL mode with full sync, or PostgreSQL by URL."""

    def __init__(self, url: str | URL, busy_timeout_s: float) -> None:
        """`busy_timeout_s` is how long a write waits for another one to end.

        Raises CatalogMisconfigured for what is no URL, or names another database, and MissingDriver. PostgreSQL is
        connected to by the first transaction.
        """
        parsed = _parsed(url)
        if parsed.get_backend_name() == "sqlite":
            self.engine = _connect_sqlite(parsed, busy_timeout_s)
            self._reader, self._writer = self.engine, self.engine.execution_options(**_SQLITE_WRITES)
        else:
            self.engine = postgresql.connect(parsed, busy_timeout_s)
            self._reader = self.engine.execution_options(**postgresql.READS)
            self._writer = self.engine.execution_options(**postgresql.WRITES)
        self._noting = self._writer.execution_options(**_MAY_BE_LOST)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with self._translated_errors(writes=False), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, may_be_lost: bool = False) -> Iterator[Connection]:
        """A connection that holds the write lock from the start; commits at the end, or rolls back on an error.

        What was committed is on the disk. With `may_be_lost` it gets there with the next commit, or some seconds later:
        for what would only be done again after a power cut.
        """
        writer = self._noting if may_be_lost else self._writer
        with self._translated_errors(writes=True), writer.begin() as connection:
            yield connection

    def rewrite(self) -> None:
        """Rewrites SQLite's file without what was deleted: `secure_delete` leaves remains in the gaps of its pages.

        Takes the write lock for as long as copying the file takes; readers go on.
        """
        if not self.is_sqlite:
            return
        plain = self.engine.execution_options(**_NO_TRANSACTION)
        with self._translated_errors(writes=True), plain.connect() as connection:
            connection.exec_driver_sql("VACUUM")

    def truncate_log(self) -> bool:
        """Moves SQLite's log into its file and empties it; False while a reader or writer is in the way."""
        if not self.is_sqlite:
            return True
        plain = self.engine.execution_options(**_NO_TRANSACTION)
        with self._translated_errors(writes=True), plain.connect() as connection:
            busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            return not busy

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _translated_errors(self, writes: bool) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if self.is_sqlite:
                translated = _translated(error, str(error.orig), self.engine.url.database)
            else:
                translated = postgresql.translated(error, self.engine.url, writes)
            if translated is None:
                raise
            raise translated from error
        except PoolTimeout as error:
            raise CatalogUnavailable("all connections to the catalog are in use: try again later") from error


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the value nor the error that quotes it is passed on: there may be a password in it.
        raise CatalogMisconfigured("ingest.catalog_url is no URL: write it as postgresql://USER@HOST/NAME") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
        raise CatalogMisconfigured(
            f"ingest.catalog_url names {parsed.get_backend_name()}: a catalog is kept in SQLite or PostgreSQL, "
            "as postgresql://USER@HOST/NAME"
        )
    return parsed


def _connect_sqlite(url: URL, busy_timeout_s: float) -> Engine:
    # The connection that was used last knows the most of the file. One in memory is the only one.
    pooled = {} if url.database in (None, "", ":memory:") else {"pool_use_lifo": True}
    # The texts of documents are parameters, and errors go to logs.
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s}, hide_parameters=True, **pooled)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _replace_read_only)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    # Python's sqlite3 must not open transactions by itself; the `begin` event does.
    connection.isolation_level = None
    _switch_to_wal(connection)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    """Two that switch a new file at once are in each other's way, and SQLite waits for no lock then."""
    for left in reversed(range(_TRIES)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not left or "locked" not in str(error):
                raise
            time.sleep(_PAUSE_S)


def _replace_read_only(context: ExceptionContext) -> None:
    # What was opened while the file could not be written stays read-only: all connections are made anew.
    context.is_disconnect |= "readonly" in str(context.original_exception)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("ragstone_no_transaction", False):
        return
    if not options.get("ragstone_writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if options.get('ragstone_may_be_lost') else 'FULL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _translated(error: DBAPIError, said: str, place: str | None) -> IngestError | None:
    """What an error of SQLite means to the caller; None for a bug, such as a violated constraint."""
    if any(sign in said for sign in _SIGNS_OF_DAMAGE):
        return CatalogDamaged(
            f"the catalog {place} is damaged ({said}): restore a backup; `ragstone doctor` tells more"
        )
    if not isinstance(error, OperationalError):
        return None
    if "full" in said or "No space left" in said:
        return StorageFull(f"the catalog can't grow ({said}): free some space, then try again")
    if "readonly" in said:
        return DataFolderUnusable(f"the catalog can't be written ({said}): {_why_not_written(place)}")
    if "unable to open" in said:
        return DataFolderUnusable(f"the catalog can't be opened ({said}): {_why_not_written(place)}")
    return CatalogUnavailable(f"the catalog {place} did not answer ({said.strip()}): try again later")


def _why_not_written(place: str | None) -> str:
    """SQLite writes beside its file, even to read it; the files there are its own."""
    path = Path((place or ".").removeprefix("file:"))  # it may be a URI, of which this is the path
    beside = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    refused = [its for its in beside if its.is_file() and not os.access(its, os.R_OK | os.W_OK)]
    return why_not_written(refused[0] if refused else path)


# How SQLite says that a file is not what it wrote.
_SIGNS_OF_DAMAGE = ("malformed", "not a database", "Could not decode to UTF-8")
