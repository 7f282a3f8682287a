"""Damage of every kind, planted in the catalog of a sound data folder: named, and mended or told what to do."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from backing_up import application_of, erase, findings, mend, said
from service import application_in, service, upload

from ingest.identity import chunk_id_of, document_id_of
from ingest.pipeline import IncomingFile
from ragstone.doctor.timeline import Shown, Standing, disagreement

PUMP, DOORS = document_id_of("default", "pump.md"), document_id_of("default", "doors.md")
CHUNK = "Nobody says this."


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Updates, a deletion, rollbacks, an open batch, an erased document and all else that there can be."""
    folder = tmp_path_factory.mktemp("sound") / "data"
    with service(folder, ingest__chunk_tokens=16) as client:
        upload(client, "pump.md", b"# Pump\n\nThe small pump weighs 11 kg.")
        upload(client, "pump.md", b"# Pump\n\nThe small pump weighs 12 kg.\n\n# Years\n\nFive years of warranty.")
        upload(client, "doors.md", b"Doors are painted green every spring.")
        valve = upload(client, "valve.md", b"The valve has no warranty.")["documents"][0]["document_id"]
        client.delete(f"/v1/documents/{valve}")
        parts = application_of(client)
        parts.history.rollback(1)
        parts.history.rollback(4)
        upload(client, "plans.md", b"The reactor code is velociraptor.")
        erase(parts, document_id_of("default", "plans.md"))
        upload(client, "rows.md", ("| pump | m |\n| --- | --- |\n" + "| model | 1 |\n" * 9).encode())
        batch = parts.history.open_batch("spring")
        parts.ingestion.submit([IncomingFile("w.md", "windows.md", b"Windows are blue.")], "default", None, batch)
        upload(client, "roof.md", b"The roof is flat.")  # behind it in the queue
        parts.history.stage_removal(batch, DOORS)
        parts.history.open_batch("empty")
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(sound, tmp_path / "data"))


def run(folder: Path, *statements: str) -> None:
    """Changes the catalog behind its back: SQLite checks no references here."""
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount, f"nothing was changed by {statement}"


def test_a_folder_with_a_long_history_is_sound(folder: Path) -> None:
    assert said(folder) == []


LAST = "(SELECT max(occurrence_id) FROM occurrences)"
OF_DOORS, OF_PUMP = f"document_id = '{DOORS}'", f"document_id = '{PUMP}'"
COPIED = "chunk, document_id, version, collection, ordinal, start, end, page, heading, added_in, removed_in"
BATCH = "(SELECT batch_id FROM batches WHERE note = 'spring')"
FIRST_JOB = "number = (SELECT min(number) FROM jobs)"

LOST = [
    ("UPDATE showings SET removed_in = 2 WHERE showing_id = 2", "showing 2 of d-", "ends before it begins"),
    (f"UPDATE occurrences SET removed_in = added_in - 1 WHERE occurrence_id = {LAST}", "occurrence", "ends before"),
    (f"UPDATE occurrences SET added_in = 99 WHERE occurrence_id = {LAST}", "occurrence", "beyond revision"),
    ("UPDATE showings SET removed_in = 99 WHERE showing_id = 2", "showing 2", "beyond revision"),
    (f"UPDATE showings SET removed_in = NULL WHERE {OF_PUMP} AND version = 1", "two versions are shown at once", PUMP),
    (
        f"INSERT INTO occurrences ({COPIED}) SELECT {COPIED} FROM occurrences WHERE occurrence_id = {LAST}",
        "another occurrence stands at the same place and time",
        "chunk 0",
    ),
    (
        f"DELETE FROM occurrences WHERE {OF_PUMP} AND version = 2 AND ordinal = 0",
        PUMP,
        "version 2 has 1 occurrences of 2",
    ),
    (f"DELETE FROM showings WHERE {OF_DOORS}", DOORS, "version 1 has occurrences and is not shown"),
    (f"DELETE FROM occurrences WHERE {OF_DOORS}", DOORS, "version 1 is shown and has no occurrences"),
    (f"UPDATE showings SET added_in = 5 WHERE {OF_DOORS} AND added_in = 3", DOORS, "at revision 3 version 1"),
    ("DELETE FROM revisions WHERE revision = 3", "revision 3 is missing", "restore"),
    ("DELETE FROM revisions WHERE revision IN (1, 2)", "revisions 1 to 2 are missing", "restore"),
    ("UPDATE revisions SET added = 0 WHERE revision = 2", "revision 2 added 0 occurrences", "there are 2"),
    ("UPDATE revisions SET removed = 0 WHERE revision = 2", "revision 2 removed 0 occurrences", "there are 1"),
    ("UPDATE collections SET horizon = 99", "collection default keeps what revision 99 shows", "restore"),
    ("INSERT INTO pins VALUES ('one', 99, '2026-01-01')", "the pin one holds revision 99", "take it away"),
    (
        f"DELETE FROM chunks WHERE number = (SELECT chunk FROM occurrences WHERE {OF_DOORS})",
        "no chunk to row",
        "occurrences",
    ),
    (f"DELETE FROM versions WHERE {OF_DOORS}", "there is no version to row", "of occurrences"),
    (f"DELETE FROM versions WHERE {OF_DOORS}", "there is no version to row", "of showings"),
    (f"DELETE FROM documents WHERE {OF_DOORS}", f"there is no document to row {DOORS}/1", "of versions"),
    (f"DELETE FROM documents WHERE {OF_DOORS}", "there is no document to row b-", "of staged"),
    (
        "INSERT INTO feedback (answer_id, created_at) VALUES ('a-none', '2026-01-01')",
        "there is no answer to row",
        "feedback",
    ),
    (f"UPDATE occurrences SET collection = 'other' WHERE {OF_DOORS}", "stands in another collection", "occurrences"),
    (f"UPDATE documents SET uri = 'windows.txt' WHERE {OF_DOORS}", "collection or URI of document", DOORS),
    ("UPDATE facts SET value = '\"none\"' WHERE name = 'space_in_use'", "the space in use, none", "not in the catalog"),
    (f"UPDATE jobs SET done = 7 WHERE {FIRST_JOB}", "has done 7 of 1", "upload"),
    ("UPDATE leases SET expires_at = '2999-01-01 00:00:00.000000'", "the lease worker ends at 2999", "clock"),
    ("UPDATE batches SET state = 'odd' WHERE note = 'empty'", "has the state 'odd'", "restore"),
    ("UPDATE batches SET state = 'promoted' WHERE note = 'empty'", "is promoted, made on revision", "restore"),
    (f"DELETE FROM staged WHERE batch_id = {BATCH}", "1 occurrences in batch b-", "drop the batch"),
    (f"DELETE FROM staged_occurrences WHERE batch_id = {BATCH}", "shows a version of d-", "drop the batch"),
    (f"INSERT INTO tombstones VALUES ('{PUMP}', 1, 0, '2026-01-01')", f"{PUMP} was erased and has versions", "again"),
    ("UPDATE versions SET text = text || '!'", "the text of", "was changed"),
    ("UPDATE chunks SET input = input || '!'", "the text of chunk", "was changed"),
    ("UPDATE occurrences SET start = start + 1", "is not its version's text", "chunk"),
    ("UPDATE occurrences SET lead_end = lead_end - 1 WHERE lead_end > 0", "is not its version's text", "chunk"),
]


@pytest.mark.parametrize(("damage", "one", "other"), LOST, ids=[row[0][:60] for row in LOST])
def test_what_can_not_be_mended_is_named_with_what_to_do(folder: Path, damage: str, one: str, other: str) -> None:
    run(folder, damage)
    assert any(one in what and other in what for what in said(folder)), said(folder)


MENDED = [
    (
        ["UPDATE revisions SET created_at = '2001-01-01 00:00:00.000000' WHERE revision = 4"],
        "the time goes back at revision 4",
    ),
    (["INSERT INTO vectors (space, chunk, vector) VALUES (1, 99999, x'00')"], "there is no chunk to vector"),
    (["INSERT INTO vectors (space, chunk, vector) VALUES (77, 1, x'00')"], "there is no space to vector"),
    (["DELETE FROM collections"], "the collection default has documents and no row"),
    (
        [f"INSERT INTO chunks (chunk_id, input) VALUES (x'{chunk_id_of(CHUNK)}', '{CHUNK}')"],
        "stands nowhere",
    ),
    (
        [
            "INSERT INTO versions SELECT document_id, 9, content_hash, title, media_type, text, text_hash, pages, "
            f"size_bytes, redacted, created_at FROM versions WHERE {OF_DOORS}"
        ],
        f"version 9 of {DOORS} is shown at no revision",
    ),
    (
        [f"INSERT INTO documents VALUES ('{document_id_of('default', 'x')}', 'default', 'x', '{{}}')"],
        "has no version",
    ),
    ([f"UPDATE jobs SET state = 'dancing' WHERE {FIRST_JOB}"], "has the state 'dancing'"),
    ([f"UPDATE jobs SET finished_at = NULL WHERE {FIRST_JOB}"], "is done and never ended"),
    ([f"UPDATE jobs SET state = 'queued' WHERE {FIRST_JOB}"], "is queued and has ended before"),
    (["UPDATE leases SET holder = '{\"pid\": 1}'"], "the lease worker has no holder"),
    (["UPDATE leases SET holder = '7'"], "the lease worker has no holder"),
    (["UPDATE leases SET term = 0"], "the lease worker has no holder"),
    (["UPDATE batches SET state = 'dropped' WHERE note = 'spring'"], "is dropped and 3 rows are staged in it"),
    ([f"DELETE FROM batches WHERE batch_id = {BATCH}"], "which is not there"),
    ([f"INSERT INTO tombstones VALUES ('{PUMP}', 9, 0, '2026-01-01')"], f"{PUMP} was erased and is still there"),
]


@pytest.mark.parametrize(("damage", "named"), MENDED, ids=[row[1] for row in MENDED])
def test_what_can_be_mended_is(folder: Path, damage: list[str], named: str) -> None:
    run(folder, *damage)
    assert any(named in what for what in said(folder)), said(folder)
    # What one repair leaves without a use, such as the chunks of a dropped batch, the next one takes.
    for _ in range(3):
        mend(folder)
        if not (left := said(folder)):
            break
    assert left == []


def test_rows_of_an_erased_document_without_a_version_are_named(folder: Path) -> None:
    run(
        folder,
        f"DELETE FROM staged WHERE {OF_DOORS}",
        f"DELETE FROM versions WHERE {OF_DOORS}",
        f"INSERT INTO tombstones VALUES ('{DOORS}', 1, 0, '2026-01-01')",
    )
    for table in ("documents", "showings", "occurrences"):
        assert any(f"{DOORS} was erased and has rows in {table}" in what for what in said(folder))


def test_an_erasure_that_is_still_to_do_is_no_fault(folder: Path) -> None:
    application = application_in(folder)
    application.erasure.request(PUMP)
    application.close()
    assert said(folder) == []


def test_an_interrupted_restore_is_named_and_mended(folder: Path) -> None:
    (folder / ".restore-0" / "originals").mkdir(parents=True)
    assert any("is what an interrupted restore left" in what for what in said(folder))
    mend(folder)
    assert said(folder) == []


def test_a_waiting_upload_without_its_file_is_named(folder: Path) -> None:
    application = application_in(folder)
    application.ingestion.submit([IncomingFile("new.md", "new.md", b"News.")], "default", None)
    assert findings(application) == []
    with application.catalog.reading() as connection:
        (content_hash,) = application.queue.hashes_in_use(connection)
    application.originals.remove(content_hash)
    application.close()
    assert said(folder) == ["the file of new.md, which waits to be taken in, is missing: upload it again"]


def test_what_a_revision_added_is_counted_as_long_as_nothing_was_purged(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        upload(client, "pump.md", b"The small pump weighs 11 kg.")
    run(tmp_path, "UPDATE revisions SET added = 2")
    assert said(tmp_path) == ["revision 1 added 2 occurrences and there are 1 of them: restore a backup"]


def test_many_of_a_kind_are_one_sentence(folder: Path) -> None:
    rows = ", ".join(f"(1, {100 + number}, x'00')" for number in range(50))
    run(folder, f"INSERT INTO vectors (space, chunk, vector) VALUES {rows}")
    (what,) = (what for what in said(folder) if "there is no chunk to vector" in what)
    assert what.endswith(" and 47 more")


def test_what_retention_takes_is_no_disagreement(folder: Path) -> None:
    application = application_in(folder, ingest__retention=json.loads('{"keep_revisions": 2}'))
    application.retention.pin("release", 2)
    application.index.follow()
    purged = application.retention.purge()
    assert purged.occurrences > 0
    application.live.forget_gone()
    application.ingestion.sweep()
    assert [finding.what for finding in findings(application)] == []
    application.close()


# The comparison by itself

WHOLE = Standing(1, 1, 9, 2, 0, 1)


@pytest.mark.parametrize(
    ("shown", "standing", "oldest", "pins", "fault"),
    [
        ([Shown(1, 1, 9)], [WHOLE], 1, [], None),
        ([], [], 1, [], None),
        ([Shown(1, 1, 5), Shown(1, 5, 9)], [WHOLE], 1, [], None),
        ([Shown(1, 1, 5), Shown(1, 6, 9)], [WHOLE], 1, [], "at revision 5 version 1 has occurrences and is not shown"),
        ([Shown(1, 1, 9)], [Standing(1, 1, 9, 1, 0, 0), Standing(1, 1, 9, 1, 1, 1)], 1, [], None),
        ([Shown(1, 1, 9)], [Standing(1, 1, 9, 1, 0, 0), Standing(1, 2, 9, 1, 1, 1)], 1, [], None),
        ([Shown(1, 1, 9)], [Standing(1, 1, 9, 1, 1, 1)], 1, [], "at revision 1 version 1 has 1 occurrences of 2"),
        ([Shown(1, 1, 8)], [WHOLE], 1, [], "at revision 8 version 1 has occurrences and is not shown"),
        ([Shown(1, 5, 9)], [WHOLE], 5, [], None),
        ([Shown(1, 5, 9)], [WHOLE], 5, [3], "at revision 3 version 1 has occurrences and is not shown"),
        ([Shown(1, 5, 9)], [WHOLE], 4, [], "at revision 4 version 1 has occurrences and is not shown"),
        ([Shown(2, 1, 9)], [WHOLE], 1, [], "at revision 1 version 2 is shown and has no occurrences"),
    ],
)
def test_showings_and_occurrences_are_compared_at_every_kept_revision(
    shown: list[Shown], standing: list[Standing], oldest: int, pins: list[int], fault: str | None
) -> None:
    assert disagreement(shown, standing, oldest, pins, head=8) == fault
