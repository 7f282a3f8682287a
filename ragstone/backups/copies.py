"""Copies of a catalog: into a file of SQLite, or from one into the tables of another database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Table, delete, func, insert, select, text

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.errors import CatalogDamaged, CatalogUnavailable, IngestError, StorageFull

# Rows copied together; of tables whose rows can be long, fewer.
_ROWS = 1000
_ROWS_OF = {"versions": 8, "quarantine_texts": 8, "answers": 32, "jobs": 32}


def opened(file: Path) -> Catalog:
    """The catalog in a file of SQLite, migrated. Raises CatalogUnavailable for that of a newer version."""
    return Catalog(URL.create("sqlite", database=str(file)))


def copy_to_file(catalog: Catalog, file: Path) -> None:
    """Copies one state of the catalog into a new file, while others read and write. Raises StorageFull.

    SQLite does it by itself, in one read transaction, and leaves out what was deleted and not yet overwritten.
    """
    if catalog.database.is_sqlite:
        raw = catalog.database.engine.raw_connection()
        try:
            raw.cursor().execute("VACUUM INTO ?", (str(file),))
        except sqlite3.Error as error:
            raise _translated(error, file) from error
        finally:
            raw.close()
        return
    copy = opened(file)
    try:
        with catalog.reading() as source, copy.writing() as target:
            copy_rows(source, target)
    finally:
        copy.close()


def copy_rows(source: Connection, target: Connection) -> None:
    """Makes the rows of all tables but that of the migrations equal to those of `source`, numbers to come included."""
    tables = [table for table in schema.metadata.sorted_tables if table is not schema.migrations]
    for table in reversed(tables):
        target.execute(delete(table))
    for table in tables:
        many = _ROWS_OF.get(table.name, _ROWS)
        query = select(table).order_by(*table.primary_key).execution_options(yield_per=many)
        for rows in source.execute(query).mappings().partitions():
            target.execute(insert(table), [_portable(row) for row in rows])
    raise_counters(target, counters(source))


def counters(connection: Connection) -> dict[str, int]:
    """The highest number that each table with numbered rows ever gave, by the table's name."""
    if connection.dialect.name == "sqlite":
        return {name: number for name, number in connection.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    found: dict[str, int] = {}
    for table in _numbered():
        sequence = connection.execute(_sequence_of(table)).scalar_one()
        last, called = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
        found[table.name] = last if called else 0
    return found


def raise_counters(connection: Connection, least: Mapping[str, int]) -> None:
    """Sees to it that the next number of each table is above `least`, and above all that are in it."""
    for table in _numbered():
        (column,) = table.primary_key
        highest = max(least.get(table.name, 0), connection.execute(select(func.max(column))).scalar() or 0)
        if not highest:
            continue
        if connection.dialect.name == "sqlite":
            known = {"name": table.name, "number": highest}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name AND seq < :number"), known)
            there = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), known).first()
            if there is None:
                connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), known)
        else:
            sequence = connection.execute(_sequence_of(table)).scalar_one()
            connection.execute(select(func.setval(text(f"'{sequence}'"), highest)))


def _numbered() -> list[Table]:
    """Tables whose rows the database numbers."""
    tables = schema.metadata.sorted_tables
    return [table for table in tables if table is not schema.migrations and table.autoincrement_column is not None]


def _sequence_of(table: Table) -> Any:
    (column,) = table.primary_key
    return select(func.pg_get_serial_sequence(table.name, column.name))


def _portable(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: statements.aware(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _translated(error: sqlite3.Error, file: Path) -> IngestError:
    said = str(error)
    if "full" in said or "disk I/O" in said:
        return StorageFull(f"there is no room for a copy of the catalog at {file} ({said}): free some, then try again")
    if "malformed" in said or "not a database" in said:
        return CatalogDamaged(f"the catalog is damaged ({said}): restore a backup; `ragstone doctor` tells more")
    return CatalogUnavailable(f"the catalog could not be copied to {file} ({said}): try again later")
