"""A backup is one consistent state of a system that goes on, and a restore is the old system or the new one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backing_up import (
    application_of,
    back_up,
    erase,
    fill,
    findings,
    found,
    holders,
    restore_to,
    said_of,
)
from service import application_in, service, upload
from sqlalchemy import select

from ingest.catalog import schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.keys import Grant, KeyRing
from ingest.errors import CatalogUnavailable, LeaseHeld
from ingest.identity import document_id_of
from ingest.jobs.uploads import Upload
from ragstone.backups.copies import counters
from ragstone.errors import BadRequest
from ragstone.exit_codes import TRY_AGAIN, exit_code_of

if TYPE_CHECKING:
    from postgresql import PostgresqlServer

SECRET = b"# Reactor\n\nThe reactor code is velociraptor seventeen."
SECRET_ID = document_id_of("default", "plans.md")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The data folder that is backed up, the one to restore to, and the backup."""
    return tmp_path / "live", tmp_path / "restored", tmp_path / "backup"


def test_a_restored_system_answers_as_the_one_that_was_backed_up(folders: tuple[Path, Path, Path]) -> None:
    live, restored, file = folders
    with service(live) as client:
        fill(client)
        manifest = back_up(application_of(client), file)
        expected = found(client)
        before = found(client, as_of=1)
    done = restore_to(file, restored)
    assert done.manifest == manifest
    assert (manifest.revision, manifest.counts["documents"], manifest.absent) == (5, 3, ())
    with service(restored) as client:
        assert found(client) == expected
        assert found(client, as_of=1) == before
    assert said_of(restored) == []


def test_backups_of_a_service_that_is_written_to_all_the_time_are_revisions_of_it(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    live, _, file = folders
    over = threading.Event()
    with service(live) as client:
        fill(client)

        def write() -> None:
            number = 0
            while not over.is_set():
                number += 1
                text = f"# Pump\n\nThe small pump weighs {number} kg.\n\nThe warranty of the valve is {number} years."
                upload(client, f"pump{number % 5}.md", text.encode())

        writer = threading.Thread(target=write)
        writer.start()
        manifests = []
        for number in range(2):
            seen = application_of(client).catalog.head()
            manifests.append(back_up(application_of(client), tmp_path / f"{file.name}{number}"))
            while application_of(client).catalog.head() < seen + 10:
                over.wait(0.01)
        over.set()
        writer.join()
        expected = [found(client, as_of=manifest.revision) for manifest in manifests]
        head = application_of(client).catalog.head()
    assert len({manifest.revision for manifest in manifests} | {head}) == 3
    for number, manifest in enumerate(manifests):
        restored = tmp_path / f"restored{number}"
        restore_to(tmp_path / f"{file.name}{number}", restored)
        assert said_of(restored) == []
        with service(restored) as client:
            # The uploads that waited when the backup was taken are done now.
            assert found(client, as_of=manifest.revision) == expected[number]


def test_a_restored_catalog_is_another_one_and_nobody_holds_its_leases(folders: tuple[Path, Path, Path]) -> None:
    live, restored, file = folders
    with service(live) as client:
        fill(client)
        back_up(application_of(client), file)
        one = application_of(client).catalog.catalog_id
        with service(live / "../restored") as other:
            assert application_of(other).catalog.catalog_id != one
    restore_to(file, restored, force=True)
    catalog = Catalog.in_folder(restored)
    assert catalog.catalog_id != one
    with catalog.reading() as connection:
        assert connection.execute(select(schema.leases.c.expires_at)).scalars().all() == [None]
    catalog.close()
    assert sorted(path.name for path in restored.iterdir()) == ["catalog.sqlite", "originals"]


def test_a_document_that_was_erased_since_does_not_come_back(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    with service(live) as client:
        fill(client)
        upload(client, "plans.md", SECRET)
        answer = client.post("/v1/ask", json={"question": "What is the reactor code?"}).json()["answer_id"]
        back_up(application_of(client), file)
        erase(application_of(client), SECRET_ID)
        numbers = _counters(application_of(client).catalog)
    done = restore_to(file, live, force=True)
    assert (done.erased, done.unknown) == (1, None)
    assert holders(live, b"velociraptor") == holders(live, b"plans.md") == []
    with service(live) as client:
        notes = client.get(f"/v1/answers/{answer}").json()["notes"]
        assert notes == ["a document that this answer quoted was erased"]
        application_of(client).history.rollback(6)
        assert "velociraptor" not in client.post("/v1/search", json={"query": "reactor code"}).text
        assert all(number >= numbers[name] for name, number in _counters(application_of(client).catalog).items())
        # It can come again, and what comes is not taken for an upload from before.
        again = upload(client, "plans.md", b"The reactor is switched off.")["documents"][0]
        assert (again["state"], again["version"]) == ("indexed", 2)
    assert said_of(live) == []


def test_a_document_that_came_again_before_the_backup_stays(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    with service(live) as client:
        upload(client, "plans.md", SECRET)
        erase(application_of(client), SECRET_ID)
        upload(client, "plans.md", b"The reactor is switched off.")
        back_up(application_of(client), file)
    assert restore_to(file, live, force=True).erased == 0
    with service(live) as client:
        assert "switched off" in client.post("/v1/search", json={"query": "reactor"}).text


def test_an_upload_that_waited_and_was_erased_since_is_withdrawn(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    with service(live) as client:
        upload(client, "doors.md", b"Doors are painted green every spring.")
        application_of(client).worker.stop()
        upload(client, "plans.md", SECRET, wait=False)
        back_up(application_of(client), file)
    with service(live) as client:
        upload(client, "doors.md", b"Doors are painted blue.")  # behind the other upload
        erase(application_of(client), SECRET_ID)
    restore_to(file, live, force=True)
    assert holders(live, b"velociraptor") == holders(live, b"plans.md") == []
    with service(live) as client:
        upload(client, "doors.md", b"Doors are painted red.")
        (waited,) = [job for job in application_of(client).queue.list() if job.counts == {"failed": 1}]
        assert waited.problems[0].code == "erased"


def test_a_key_that_was_revoked_since_stays_revoked(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    application = application_in(live)
    ring = KeyRing(application.catalog)
    key, _ = ring.create(Grant(name="one"))
    other, _ = ring.create(Grant(name="other"))
    back_up(application, file)
    ring.revoke(key.key_id)
    application.close()
    restore_to(file, live, force=True)
    catalog = Catalog.in_folder(live)
    assert [KeyRing(catalog).in_force(key_id) for key_id in (key.key_id, other.key_id)] == [False, True]
    catalog.close()


@pytest.mark.parametrize("moment", [("catalog", 1), ("writing", None)])
def test_a_backup_is_taken_again_when_a_document_is_erased_while_it_is_copied(
    folders: tuple[Path, Path, Path], moment: tuple[str, int | None]
) -> None:
    live, restored, file = folders
    with service(live) as client:
        fill(client)
        upload(client, "plans.md", SECRET)
        steps: list[tuple[str, int]] = []

        def progress(step: str, done: int, total: int) -> None:
            steps.append((step, done))
            names = [name for name, count in steps if name == moment[0] and moment[1] in (None, count)]
            if len(names) == 1 and (step, moment[1] or done) == (moment[0], done):
                erase(application_of(client), SECRET_ID)

        manifest = back_up(application_of(client), file, progress)
        assert steps.count(("catalog", 0)) == 2
        assert manifest.absent == ()
        assert manifest.counts["tombstones"] == 1
    restore_to(file, restored)
    assert said_of(restored) == []
    assert holders(restored, b"velociraptor") == []


def test_originals_that_are_lost_are_left_out_and_named(folders: tuple[Path, Path, Path]) -> None:
    live, restored, file = folders
    with service(live) as client:
        fill(client)
    one, other, *_ = sorted((live / "originals").glob("??/*"))
    one.unlink()
    other.write_bytes(b"something else")
    application = application_in(live)
    manifest = back_up(application, file)
    application.close()
    assert manifest.absent == (one.name, other.name)
    restore_to(file, restored)
    missing = said_of(restored)
    assert len(missing) == 2
    assert all("missing" in said for said in missing)


def test_a_waiting_upload_whose_file_is_gone_is_withdrawn_from_the_backup(folders: tuple[Path, Path, Path]) -> None:
    live, restored, file = folders
    application = application_in(live)
    gone = Upload("default", "gone.md", "gone.md", "0" * 64, 3, None)
    with application.catalog.writing() as connection:
        application.queue.enqueue(connection, [gone], [], "default")
    assert back_up(application, file).absent == ()
    application.close()
    restore_to(file, restored)
    with service(restored) as client:
        upload(client, "doors.md", b"Doors are painted green every spring.")
        jobs = application_of(client).queue.list()
        assert [job.counts for job in jobs] == [{"indexed": 1}, {"failed": 1}]


# Places


def test_a_backup_is_private_and_leaves_nothing_beside_it(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    application = application_in(live)
    back_up(application, file)
    first = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup", "live"]
    with pytest.raises(BadRequest, match="--force replaces"):
        back_up(application, file)
    assert file.read_bytes() == first
    KeyRing(application.catalog).create(Grant(name="one"))
    assert back_up(application, file, force=True).counts["keys"] == 1
    assert file.read_bytes() != first
    for place in (live / "backup", live / "originals" / "backup", live, file.parent / "none" / "backup"):
        with pytest.raises(BadRequest):
            back_up(application, place, force=True)
    application.close()


def test_a_backup_that_fails_leaves_the_one_before(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    application = application_in(live)
    back_up(application, file)
    before = file.read_bytes()

    def fail(step: str, done: int, total: int) -> None:
        if step == "writing":
            raise OSError(28, "No space left on device")

    with pytest.raises(Exception, match="no room") as raised:
        back_up(application, file, fail, force=True)
    assert exit_code_of(raised.value.code) == TRY_AGAIN  # type: ignore[attr-defined]
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup", "live"]
    application.close()


def test_a_folder_that_holds_something_is_not_replaced_unasked(folders: tuple[Path, Path, Path]) -> None:
    live, restored, file = folders
    application = application_in(live)
    back_up(application, file)
    application.close()
    restored.mkdir()
    (restored / "letter.txt").write_text("mine")
    with pytest.raises(BadRequest, match="--force"):
        restore_to(file, restored)
    assert [path.name for path in restored.iterdir()] == ["letter.txt"]
    restore_to(file, restored, force=True)
    assert (restored / "letter.txt").read_text() == "mine"


def test_a_running_service_is_named_and_left_alone(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    with service(live) as client:
        fill(client)
        back_up(application_of(client), file)
        expected = found(client)
        with pytest.raises(LeaseHeld, match=f"process {os.getpid()} on ") as raised:
            restore_to(file, live, force=True)
        assert exit_code_of(raised.value.code) == TRY_AGAIN
        assert found(client) == expected
        assert upload(client, "new.md", b"The service goes on.")["documents"][0]["state"] == "indexed"


def test_a_catalog_that_another_process_has_open_is_left_alone(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    application = application_in(live)
    back_up(application, file)
    script = (
        "import sys; from pathlib import Path; from ingest.catalog.catalog import Catalog\n"
        "catalog = Catalog.in_folder(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    application.close()
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(live)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        before = sorted(str(path) for path in live.rglob("*"))
        with pytest.raises(CatalogUnavailable, match="has the catalog"):
            restore_to(file, live, force=True)
        assert sorted(str(path) for path in live.rglob("*")) == before
    finally:
        reader.communicate()
    restore_to(file, live, force=True)


def test_a_damaged_catalog_can_be_replaced_and_what_that_means_is_said(folders: tuple[Path, Path, Path]) -> None:
    live, _, file = folders
    with service(live) as client:
        fill(client)
        back_up(application_of(client), file)
    (live / "catalog.sqlite").write_bytes(b"no database at all" * 1000)
    (live / "catalog.sqlite-wal").write_bytes(b"and no log")
    done = restore_to(file, live, force=True)
    assert done.unknown is not None
    assert "damaged" in done.unknown
    assert said_of(live) == []


# Kills

_RESTORE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ragstone.backups.restoring import restore
left = int(sys.argv[3])
def progress(step, done, total):
    global left
    if step == "placing" or done == total:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
restore(Path(sys.argv[1]), Path(sys.argv[2]), None, force=True, progress=progress)
"""


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 7])
def test_a_kill_leaves_the_old_system_or_the_new_one(folders: tuple[Path, Path, Path], steps: int) -> None:
    live, _, file = folders
    with service(live) as client:
        fill(client)
        back_up(application_of(client), file)
        upload(client, "plans.md", SECRET)
        application_of(client).maintain()
    command = [sys.executable, "-c", _RESTORE_AND_DIE, str(file), str(live), str(steps)]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == (-signal.SIGKILL if steps < 7 else 0)
    application = application_in(live)
    head = application.catalog.head()
    assert head == (6 if steps < 4 else 5)
    for finding in findings(application):
        assert finding.mend() is None, finding.what
    assert findings(application) == []
    application.close()
    assert not list(live.glob(".restore-*"))
    assert bool(holders(live, b"velociraptor")) == (head == 6)
    with service(live) as client:
        assert ("velociraptor" in client.post("/v1/search", json={"query": "reactor code"}).text) == (head == 6)


# PostgreSQL


def test_a_backup_moves_to_postgresql_and_back(
    folders: tuple[Path, Path, Path], postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    live, restored, file = folders
    with service(live) as client:
        fill(client)
        expected, numbers = found(client), _counters(application_of(client).catalog)
        back_up(application_of(client), file)
    with postgresql.database() as url:
        named = url.render_as_string(hide_password=False)
        restore_to(file, live, named)
        with pytest.raises(BadRequest, match="not empty"):
            restore_to(file, live, named)
        with service(live, ingest__catalog_url=named) as client:
            assert found(client) == expected
            moved = application_of(client)
            assert moved.catalog.database.is_sqlite is False
            assert _counters(moved.catalog).items() >= {**numbers, "staged_occurrences": 0}.items()
            assert [finding.what for finding in findings(moved)] == []
            upload(client, "new.md", b"The service goes on, on PostgreSQL.")
            later = found(client)
            back_up(moved, tmp_path / "second")
    restore_to(tmp_path / "second", restored)
    with service(restored) as client:
        assert found(client) == later
    assert said_of(restored) == []


def _counters(catalog: Catalog) -> dict[str, int]:
    with catalog.reading() as connection:
        return counters(connection)
