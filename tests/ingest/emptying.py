"""Takes everything out of a catalog on PostgreSQL but what a new one has."""

from __future__ import annotations

from ingest.catalog import migrations, schema

_KEPT = {"migrations": f"number > {len(migrations.STEPS) + 1}", "facts": f"name <> '{migrations.CATALOG_ID}'"}
_TABLES = list(reversed(schema.metadata.sorted_tables))

# Rows by rows: with so few of them that is quicker than TRUNCATE, which makes new files for each table and index.
EMPTY = [f'DELETE FROM "{table.name}" WHERE {_KEPT.get(table.name, "true")}' for table in _TABLES] + [
    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{table.autoincrement_column.name}'), 1, false)"
    for table in _TABLES
    if table.autoincrement_column is not None and table.name not in _KEPT
]
