from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prepared import SPACE, commit, prepared
from sqlalchemy import Connection, insert, select

from ingest.catalog import marks, migrations, schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.vectors import decoded
from ingest.errors import CatalogUnavailable
from ingest.identity import chunk_id_of, document_id_of
from ingest.jobs.queue import JobQueue
from ingest.revisions.history import History
from ingest.screening.minhash import signature

FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql")
VALVES = document_id_of("default", "a.md")


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A data folder as the first schema left it."""
    with sqlite3.connect(tmp_path / "catalog.sqlite") as database:
        database.executescript(FIRST_SCHEMA.read_text())
    database.close()
    return tmp_path


def dump(folder: Path) -> list[str]:
    database = sqlite3.connect(folder / "catalog.sqlite")
    lines = list(database.iterdump())
    database.close()
    return lines


def test_a_catalog_of_the_first_schema_shows_what_it_showed(old_folder: Path) -> None:
    catalog = Catalog.in_folder(old_folder)
    assert catalog.head() == 5
    found, _ = catalog.documents(None, 10, None)
    assert sorted((info.collection, info.uri, info.version) for info in found) == [
        ("default", "a.md", 2),
        ("other", "b/c d.md", 1),
    ]
    assert [(v.version, v.revision_from, v.revision_to) for v in catalog.versions(VALVES)] == [(1, 1, 3), (2, 3, None)]
    assert "four bar" in catalog.version_text(VALVES, 1)
    assert [row.cause for row in catalog.revisions()] == [
        "delete default/gone.md",
        "ingest default/gone.md",
        "ingest default/a.md",
        "ingest other/b/c d.md",
        "ingest default/a.md",
    ]
    assert catalog.integrity_problems() == []
    catalog.close()


def test_chunks_keep_their_ids_and_vectors(old_folder: Path) -> None:
    with sqlite3.connect(old_folder / "catalog.sqlite") as database:
        before = {
            row[0]: np.frombuffer(row[1], "<f4") for row in database.execute("SELECT chunk_id, vector FROM vectors")
        }
    database.close()
    catalog = Catalog.in_folder(old_folder)
    chunks, vectors = schema.chunks, schema.vectors
    query = select(chunks.c.chunk_id, chunks.c.input, vectors.c.vector).join(
        vectors, vectors.c.chunk == chunks.c.number
    )
    with catalog.reading() as connection:
        after = connection.execute(query).all()
    assert {row.chunk_id for row in after} == set(before)
    for chunk_id, text, vector in after:
        assert chunk_id_of(text) == chunk_id
        assert decoded([vector], 8, True)[0] == pytest.approx(before[chunk_id], abs=1e-3)
    catalog.close()


def test_a_waiting_job_still_waits_and_is_of_its_collection(old_folder: Path) -> None:
    catalog = Catalog.in_folder(old_folder)
    queue = JobQueue(catalog)
    assert [job.state for job in queue.list(readable=["default"])] == ["queued", "done", "done", "done"]
    claimed = queue.claim()
    assert claimed is not None
    assert [upload.uri for upload in claimed.uploads] == ["later.md"]
    catalog.close()


def test_an_answer_is_kept_with_its_collection(old_folder: Path) -> None:
    catalog = Catalog.in_folder(old_folder)
    with catalog.reading() as connection:
        (row,) = connection.execute(select(schema.answers)).mappings()
    assert (row["answer_id"], row["collection"], row["state"]) == ("a-1", "default", "kept")
    catalog.close()


def test_a_migrated_catalog_has_the_tables_of_a_new_one(
    old_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new_folder = tmp_path_factory.mktemp("new")
    for folder in (old_folder, new_folder):
        Catalog.in_folder(folder).close()
    tables = [
        sorted(" ".join(line.split()) for line in dump(folder) if line.startswith("CREATE"))
        for folder in (old_folder, new_folder)
    ]
    assert tables[0] == tables[1]


def test_a_migration_that_fails_leaves_the_catalog_as_it_was(old_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(connection: Connection) -> None:
        raise RuntimeError("killed")

    before = dump(old_folder)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", (*migrations.STEPS, fails))
        with pytest.raises(RuntimeError, match="killed"):
            Catalog.in_folder(old_folder)
    assert dump(old_folder) == before
    catalog = Catalog.in_folder(old_folder)
    assert catalog.head() == 5
    catalog.close()


def test_opening_again_changes_nothing(old_folder: Path) -> None:
    first = Catalog.in_folder(old_folder)
    first.close()
    before = dump(old_folder)
    second = Catalog.in_folder(old_folder)
    assert second.catalog_id == first.catalog_id
    second.close()
    assert dump(old_folder) == before


def test_a_catalog_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    catalog = Catalog.in_folder(tmp_path)
    with catalog.writing() as connection:
        connection.execute(insert(schema.migrations).values(number=99))
    catalog.close()
    with pytest.raises(CatalogUnavailable, match="has schema 99"):
        Catalog.in_folder(tmp_path)


ADDED_SINCE_5 = (
    "DROP TABLE quarantine_texts",
    "ALTER TABLE staged DROP COLUMN signature",
    "DELETE FROM migrations WHERE number > 5",
)
ADDED_BY_5 = (
    *ADDED_SINCE_5,
    "DROP TABLE source_items",
    "DROP TABLE sources",
    "DROP TABLE quarantine",
    "DROP TABLE signature_bands",
    "DROP TABLE signatures",
    *(
        f"ALTER TABLE {table} DROP COLUMN {column}"
        for table in ("occurrences", "staged_occurrences")
        for column in ("lead_start", "lead_end")
    ),
    "ALTER TABLE versions DROP COLUMN redacted",
    "DELETE FROM migrations WHERE number > 4",
)


def without(folder: Path, *statements: str) -> None:
    """Takes from a catalog of today what later schemas added."""
    with sqlite3.connect(folder / "catalog.sqlite") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def as_schema_2(folder: Path, *changes: str) -> None:
    without(
        folder,
        *ADDED_BY_5,
        "DROP TABLE marks",
        "DROP TABLE occurrences_gone",
        "ALTER TABLE staged DROP COLUMN metadata",
        "ALTER TABLE jobs DROP COLUMN attempts",
        "ALTER TABLE jobs DROP COLUMN not_before",
        "DELETE FROM migrations WHERE number > 2",
        *changes,
    )


def test_a_catalog_of_the_fourth_schema_takes_chunks_that_are_led_by_a_header(tmp_path: Path) -> None:
    catalog = Catalog.in_folder(tmp_path)
    commit(catalog, ["one"])
    catalog.close()
    without(tmp_path, *ADDED_BY_5)
    catalog = Catalog.in_folder(tmp_path)
    led = prepared(["head", "row"])
    led = replace(led, spans=[led.spans[0], replace(led.spans[1], lead=(0, 4))])
    history = History(catalog)
    history.commit_version(led, SPACE)
    history.rollback(1)
    history.rollback(2)
    table = schema.occurrences
    with catalog.reading() as connection:
        shown = (
            select(table.c.lead_start, table.c.lead_end).where(table.c.removed_in.is_(None)).order_by(table.c.ordinal)
        )
        assert [tuple(row) for row in connection.execute(shown)] == [(None, None), (0, 4)]
    catalog.close()


def test_a_catalog_of_the_fifth_schema_keeps_what_is_staged_and_signs_it_when_it_is_promoted(tmp_path: Path) -> None:
    catalog = Catalog.in_folder(tmp_path)
    history = History(catalog)
    batch = history.open_batch()
    history.stage_version(batch, prepared(["The pump weighs eleven kilograms."]), SPACE)
    catalog.close()
    without(tmp_path, *ADDED_SINCE_5)
    catalog = Catalog.in_folder(tmp_path)
    History(catalog).promote(batch)
    with catalog.reading() as connection:
        signed = bytes(connection.execute(select(schema.signatures.c.signature)).scalar_one())
        assert signed == signature("The pump weighs eleven kilograms.")
        assert connection.execute(select(schema.quarantine_texts)).all() == []
    catalog.close()


def test_a_catalog_of_the_second_schema_gets_marks_and_its_purges_are_read_anew(tmp_path: Path) -> None:
    catalog = Catalog.in_folder(tmp_path)
    commit(catalog, ["one"])
    catalog.close()
    as_schema_2(tmp_path, "INSERT INTO facts VALUES ('purges', '4')")
    catalog = Catalog.in_folder(tmp_path)
    with catalog.reading() as connection:
        purges = marks.purges(connection)
        assert purges == marks.Purges(last=1, reread_from=1)
        assert connection.execute(select(schema.marks.c.number)).scalars().all() == [1]
    history = History(catalog)
    batch = history.open_batch()
    history.stage_version(batch, replace(prepared(["two"]), metadata={"team": "red"}), SPACE)
    history.promote(batch)
    assert catalog.document(VALVES).metadata == {"team": "red"}
    catalog.close()
