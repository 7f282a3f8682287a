"""What holds of every kind of source: two with the same document, erasure, deletion, cancelling, turns, kills."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from following import Followed, document, write
from sqlalchemy import update

from ingest.catalog.catalog import Catalog, schema
from ingest.catalog.leases import Lease
from ingest.config import IngestSettings
from ingest.errors import NotFound, StorageFull
from ingest.extraction.process import ReadHere
from ingest.jobs import statements as job_statements
from ingest.jobs.hindrances import WORKER
from ingest.jobs.queue import ClaimedJob
from ingest.loaders.reading import Reading
from ingest.pipeline import IncomingFile
from ingest.sources.daemon import SourceDaemon
from ingest.sources.types import Fetched, LastRun, Listed, SourceReader, SourceSettings
from ingest.types import Vectors
from ingest.worker import Worker

ONE_BY_ONE = IngestSettings(commit_files=1, chunk_tokens=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def followed(catalog: Catalog, tmp_path: Path, folder: Path) -> Iterator[Followed]:
    followed = Followed(catalog, tmp_path)
    followed.put("s", "folder", folder)
    yield followed
    followed.refreshing.close()


def wait_until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def upload(followed: Followed, uri: str, text: str, collection: str = "default") -> str:
    job_id = followed.ingestion.submit([IncomingFile(uri, uri, text.encode())], collection, {})
    followed.worker.work_off()
    return job_id


def erase(followed: Followed, document_id: str) -> None:
    followed.erasure.request(document_id)
    followed.erasure.purge(document_id)
    followed.ingestion.sweep()
    followed.erasure.done([document_id])


class Gated:
    """Waits before it fetches an item, until it may."""

    def __init__(self, reader: SourceReader, stop_at: str, reached: threading.Event, go_on: threading.Event) -> None:
        self._reader = reader
        self._at = stop_at
        self._reached = reached
        self._go_on = go_on
        self.list = reader.list
        self.may_be_empty = reader.may_be_empty
        self.close = reader.close

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        if item.uri == self._at:
            self._reached.set()
            assert self._go_on.wait(30)
        return self._reader.fetch(item, mark, max_bytes)


class Slow(ReadHere):
    """Takes long to read a file, until it may go on."""

    def __init__(self, name: str, go_on: threading.Event) -> None:
        self._name = name
        self._go_on = go_on

    def submit(self, data: bytes, name: str, reading: Reading, *more: Any) -> Future[Any]:
        if name != self._name:
            return super().submit(data, name, reading, *more)
        future: Future[Any] = Future()

        def read() -> None:
            self._go_on.wait(30)
            future.set_result(ReadHere().submit(data, name, reading, *more).result())

        threading.Thread(target=read, daemon=True).start()
        return future


# -- who has a document


def test_a_document_of_another_source_is_left_to_it(followed: Followed, tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "other"
    write(folder, "a.md", text="of the first")
    write(other, "a.md", text="of the second")
    write(other, "b.md")
    followed.put("t", "folder", other)
    followed.refresh()
    for _ in range(2):
        run = followed.refresh("t")
        assert run.failed == 1
        assert run.notes == (
            "failed: 1, such as a.md: it is a document of the source s: exclude it from one of the two",
        )
        assert followed.catalog.version_text(document("a.md"), 1) == "of the first"
        assert followed.items("t") == {"b.md": "indexed"}
    problem = followed.job().problems[0]
    assert problem.code == "other-source"
    assert problem.detail == "it is a document of the source s: exclude it from one of the two"
    assert followed.shown() == {"a.md": 1, "b.md": 1}
    (folder / "a.md").unlink()
    followed.refresh()
    assert followed.shown() == {"b.md": 1}
    run = followed.refresh("t")
    assert (run.failed, run.notes) == (0, ())
    assert followed.shown() == {"a.md": 2, "b.md": 1}


def test_documents_of_a_source_that_is_removed_stay_and_can_be_another_ones(
    followed: Followed, tmp_path: Path, folder: Path
) -> None:
    write(folder, "a.md")
    followed.refresh()
    assert followed.register.remove("s") == []
    assert followed.shown() == {"a.md": 1}
    with pytest.raises(NotFound, match="no source s"):
        followed.register.remove("s")
    followed.put("t", "folder", folder)
    run = followed.refresh("t")
    assert (run.unchanged, run.failed) == (1, 0)
    assert followed.items("t") == {"a.md": "indexed"}
    assert followed.shown() == {"a.md": 1}


def test_documents_move_with_the_source_to_another_collection(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    followed.refresh()
    followed.catalog.set_metadata(document("a.md"), {"author": "Ada"})
    followed.put("s", "folder", folder, collection="other")
    followed.embedder.embedded.clear()
    followed.refresh()
    assert followed.shown() == {}
    assert followed.shown("other") == {"a.md": 1}
    assert followed.catalog.document(document("a.md", "other")).metadata == {"author": "Ada"}
    assert followed.embedder.embedded == []


# -- erased and deleted documents


def test_an_erased_document_does_not_come_back_by_a_sweep(followed: Followed, tmp_path: Path, folder: Path) -> None:
    write(folder, "secret-plan.md", "b.md")
    followed.refresh()
    erase(followed, document("secret-plan.md"))
    assert followed.items() == {"(erased)": "erased", "b.md": "indexed"}
    assert followed.names_in_catalog("secret-plan") == []
    followed.refresh()
    write(folder, "secret-plan.md", text="changed")
    followed.refresh()
    followed.refresh(again=True)
    (folder / "secret-plan.md").unlink()
    followed.refresh()
    write(folder, "secret-plan.md", text="put there again")
    followed.refresh()
    assert followed.shown() == {"b.md": 1}
    assert followed.names_in_catalog("secret-plan") == []
    # Not by another source either, nor by the same under another name.
    followed.register.remove("s")
    followed.put("t", "folder", folder)
    followed.refresh("t")
    assert followed.shown() == {"b.md": 1}
    assert followed.items("t") == {"(erased)": "erased", "b.md": "indexed"}
    assert followed.names_in_catalog("secret-plan") == []
    # An upload brings a new document, which the source leaves alone.
    upload(followed, "secret-plan.md", "by hand")
    followed.refresh("t", again=True)
    assert followed.shown() == {"b.md": 1, "secret-plan.md": 2}
    assert followed.catalog.version_text(document("secret-plan.md"), 2) == "by hand"


def test_a_document_erased_while_it_is_fetched_is_not_taken(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()
    followed = Followed(catalog, tmp_path, opened=lambda reader: Gated(reader, "secret-plan.md", reached, go_on))
    followed.put("s", "folder", folder)
    write(folder, "secret-plan.md")
    upload(followed, "secret-plan.md", "by hand")
    (job_id,) = followed.register.request("s")
    worker = threading.Thread(target=followed.worker.work_off)
    worker.start()
    assert reached.wait(30)
    erase(followed, document("secret-plan.md"))
    go_on.set()
    worker.join()
    assert followed.queue.get(job_id).state == "done"
    assert followed.shown() == {}
    assert followed.items() == {"(erased)": "erased"}
    assert followed.names_in_catalog("secret-plan") == []
    assert followed.unused() == set()


def test_problems_of_an_erased_document_are_forgotten(followed: Followed, folder: Path) -> None:
    write(folder, "secret-plan.md")
    followed.refresh()
    write(folder, "secret-plan.md", text="")  # which is refused
    assert followed.refresh().failed == 1
    assert followed.names_in_catalog("secret-plan")
    erase(followed, document("secret-plan.md"))
    assert followed.names_in_catalog("secret-plan") == []
    assert followed.queue.list()[1].problems[0].detail == "the document was erased"


@pytest.mark.parametrize("settled", [True, False])
def test_a_document_deleted_by_hand_stays_away_until_its_item_changes(
    catalog: Catalog, tmp_path: Path, folder: Path, settled: bool
) -> None:
    followed = Followed(catalog, tmp_path) if settled else Followed(catalog, tmp_path, now=time.time)
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md")
    followed.refresh()
    followed.history.delete_document(document("a.md"))
    assert followed.refresh().unchanged == 2
    assert followed.shown() == {"b.md": 1}
    write(folder, "a.md", text="changed")
    followed.refresh()
    assert followed.shown() == {"a.md": 2, "b.md": 1}


def test_a_deleted_collection_stays_away_until_it_is_asked_for_again(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b.md")
    followed.refresh()
    followed.history.delete_collection("default")
    followed.refresh()
    assert followed.shown() == {}
    followed.refresh(again=True)
    assert followed.shown() == {"a.md": 2, "b.md": 2}


def test_an_upload_in_place_of_an_item_stays_until_the_item_changes(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    followed.refresh()
    upload(followed, "a.md", "by hand")
    followed.refresh()
    assert followed.catalog.version_text(document("a.md"), followed.shown()["a.md"]) == "by hand"


# -- jobs


def test_requests_of_one_source_are_one_job_unless_it_has_begun(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    (first,) = followed.register.request("s")
    assert followed.register.request("s") == [first]
    assert followed.register.request() == [first]
    (again,) = followed.register.request("s", again=True)
    assert again != first
    assert followed.register.request("s") == [first]
    followed.worker.work_off()
    assert [followed.queue.get(its).state for its in (first, again)] == ["done", "done"]
    assert followed.catalog.head() == 1


def test_what_changes_while_a_refresh_is_under_way_is_not_missed(
    catalog: Catalog, tmp_path: Path, folder: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    followed = Followed(catalog, tmp_path, opened=lambda reader: Gated(reader, "b.md", reached, go_on))
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md")
    (first,) = followed.register.request("s")
    followed.worker.start()
    try:
        assert reached.wait(30)
        write(folder, "c.md")  # which the list of the first did not have
        # In its pauses the job is queued, as one is that has not begun.
        wait_until(lambda: upload_id(followed) != "" and followed.shown().get("by-hand.md") == 1)
        (second,) = followed.register.request("s")
        assert second != first
        go_on.set()
        wait_until(lambda: followed.queue.get(second).state == "done")
    finally:
        go_on.set()
        followed.worker.stop()
        followed.refreshing.close()
    assert set(followed.shown()) == {"a.md", "b.md", "c.md", "by-hand.md"}


def upload_id(followed: Followed) -> str:
    """Queues an upload, which is done while the refresh waits."""
    if "by-hand.md" in followed.shown():
        return "done"
    job_id = followed.ingestion.submit([IncomingFile("by-hand.md", "by-hand.md", b"by hand")], "default", {})
    wait_until(lambda: followed.queue.get(job_id).state == "done")
    return job_id


def test_an_upload_goes_before_the_rest_of_a_refresh(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    followed = Followed(catalog, tmp_path, ONE_BY_ONE)
    followed.put("s", "folder", folder)
    write(folder, *(f"{number}.md" for number in range(30)))
    order: list[str] = []

    class Noting(type(followed.embedder)):  # type: ignore[misc]
        def embed_documents(self, texts):  # type: ignore[no-untyped-def]
            if len(order) == 3:
                files = [IncomingFile("by-hand.md", "by-hand.md", b"by hand")]
                followed.ingestion.submit(files, "default", {})
            order.extend(texts)
            return super().embed_documents(texts)

    followed.ingestion._embedder = Noting
    followed.refresh()
    place = order.index(next(text for text in order if "by hand" in text))
    assert 3 <= place <= 20  # what was read ahead goes first
    assert len(followed.shown()) == 31


def test_a_cancelled_refresh_keeps_what_it_has_and_leaves_nothing_behind(
    catalog: Catalog, tmp_path: Path, folder: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    followed = Followed(catalog, tmp_path, opened=lambda reader: Gated(reader, "b.md", reached, go_on))
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md", "c.md")
    (job_id,) = followed.register.request("s")
    followed.worker.start()
    try:
        assert reached.wait(30)
        wait_until(lambda: followed.shown() == {"a.md": 1})
        followed.ingestion.cancel(job_id)
        wait_until(lambda: followed.queue.get(job_id).state == "cancelled")
        followed.refreshing.end_cancelled()
        run = followed.register.get("s").last_run
        assert run is not None
        assert (run.state, run.taken) == ("cancelled", 1)
    finally:
        go_on.set()
        followed.worker.stop()
    assert followed.refreshing._runs == {}
    assert followed.unused() == set()
    assert Followed(catalog, tmp_path).refresh().taken == 2


def test_a_source_removed_in_the_middle_ends_its_refresh(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()
    followed = Followed(catalog, tmp_path, opened=lambda reader: Gated(reader, "b.md", reached, go_on))
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md")
    (job_id,) = followed.register.request("s")
    worker = threading.Thread(target=followed.worker.work_off)
    worker.start()
    assert reached.wait(30)
    assert followed.register.remove("s") == [job_id]
    go_on.set()
    worker.join()
    job = followed.queue.get(job_id)
    assert job.state == "failed"
    assert job.problems[-1].detail == "the source s was removed"
    assert followed.unused() == set()


def test_a_slow_file_lets_the_others_go_on(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    go_on = threading.Event()
    followed = Followed(catalog, tmp_path, extractor=Slow("0.md", go_on))
    followed.put("s", "folder", folder)
    write(folder, *(f"{number}.md" for number in range(200)))  # three rounds
    (job_id,) = followed.register.request("s")
    followed.worker.start()
    try:
        wait_until(lambda: len(followed.shown()) == 199)
        assert followed.queue.get(job_id).state in ("queued", "running")
        go_on.set()
        wait_until(lambda: followed.queue.get(job_id).state == "done")
    finally:
        go_on.set()
        followed.worker.stop()
        followed.refreshing.close()
    assert len(followed.shown()) == 200


def test_a_refresh_ends_quickly_with_its_worker_and_goes_on_with_the_next(
    catalog: Catalog, tmp_path: Path, folder: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    followed = Followed(catalog, tmp_path, opened=lambda reader: Gated(reader, "b.md", reached, go_on))
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md", "c.md")
    (job_id,) = followed.register.request("s")
    followed.worker.start()
    assert reached.wait(30)
    started = time.monotonic()
    followed.worker.stop()
    followed.refreshing.close()
    assert time.monotonic() - started < 5
    assert followed.queue.get(job_id).state == "queued"
    go_on.set()
    after = Followed(catalog, tmp_path)
    after.worker.work_off()
    assert after.queue.get(job_id).state == "done"
    assert set(after.shown()) == {"a.md", "b.md", "c.md"}


def test_other_sources_have_their_turns(
    catalog: Catalog, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sources.refresh._TURN_S", 0.2)
    reached, go_on = threading.Event(), threading.Event()
    followed = Followed(catalog, tmp_path, opened=lambda reader: Gated(reader, "b.md", reached, go_on))
    followed.put("s", "folder", folder)
    write(folder, "b.md")
    followed.put("t", "folder", tmp_path / "other")
    write(tmp_path / "other", "c.md")
    followed.register.request("s")
    (second,) = followed.register.request("t")
    followed.worker.start()
    try:
        wait_until(lambda: followed.queue.get(second).state == "done")
        assert not go_on.is_set()
    finally:
        go_on.set()
        followed.worker.stop()
        followed.refreshing.close()


def test_a_file_that_was_not_taken_leaves_no_original(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "same.md", text="text")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 this is no PDF")
    assert followed.refresh().failed == 1
    assert followed.unused() == set()
    assert len(followed.originals.hashes()) == 1


def test_a_full_disk_ends_the_look_and_the_job_waits(
    followed: Followed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "a.md")
    put = followed.originals.put

    def full(data: bytes, anew: bool = False) -> str:
        raise StorageFull("no room")

    monkeypatch.setattr(followed.originals, "put", full)
    (job_id,) = followed.register.request("s")
    with pytest.raises(StorageFull):
        followed.worker.work_off()
    assert followed.queue.get(job_id).state == "queued"
    assert followed.refreshing._runs == {}
    monkeypatch.setattr(followed.originals, "put", put)
    followed.worker.work_off()
    assert followed.queue.get(job_id).state == "done"
    assert followed.shown() == {"a.md": 1}


def test_a_bug_in_a_reader_costs_one_item(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    class Buggy(Gated):
        def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
            if item.uri == "a.md" and not mended:
                raise ZeroDivisionError("a bug")
            return self._reader.fetch(item, mark, max_bytes)

    mended = False
    followed = Followed(catalog, tmp_path, opened=lambda its: Buggy(its, "", threading.Event(), threading.Event()))
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md")
    run = followed.refresh()
    assert (run.state, run.taken, run.failed) == ("done", 1, 1)
    (problem,) = followed.job().problems
    assert problem.code == "internal-error"
    assert "ZeroDivisionError" not in problem.detail
    mended = True
    assert followed.refresh().taken == 1


def test_a_source_that_is_not_there_is_said(followed: Followed) -> None:
    with pytest.raises(NotFound, match="no source nope"):
        followed.register.request("nope")
    (job_id,) = followed.register.request("s")
    followed.register.remove("s")
    followed.worker.work_off()
    job = followed.queue.get(job_id)
    assert (job.state, job.problems[0].detail) == ("failed", "no source s")


# -- the schedule and the daemon


def test_sources_that_are_due_are_queued_once_and_get_their_next_time(followed: Followed, folder: Path) -> None:
    followed.put("s", "folder", folder, schedule="1h")
    followed.put("never", "folder", folder)
    assert followed.register.request_due() == 1
    assert followed.register.request_due() == 0
    due = followed.register.get("s").next_at
    assert due is not None
    assert timedelta(minutes=59) < due - datetime.now(UTC) <= timedelta(hours=1)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert followed.register.request_due(later) == 1
    assert len(followed.queue.list()) == 1  # it waits still


def test_the_schedule_does_not_hurry_or_heap_up_what_is_tried_again_later(
    followed: Followed,
) -> None:
    followed.put("s", "web", "http://127.0.0.1:9/", depth=1, schedule="1m")  # nobody listens there
    run = followed.refresh()
    assert run.state == "waiting"
    waits = followed.job().not_before
    assert waits is not None
    for minutes in range(1, 6):
        followed.register.request_due(datetime.now(UTC) + timedelta(minutes=minutes))
    assert len(followed.queue.list()) == 1
    assert followed.job().not_before == waits


def test_the_daemon_queues_what_is_due_and_what_changes(followed: Followed, folder: Path, tmp_path: Path) -> None:
    followed.put("s", "folder", folder)
    followed.put("t", "folder", tmp_path / "later", schedule="1h")
    woken = threading.Event()
    daemon = SourceDaemon(followed.register, woken.set)
    try:
        assert daemon.tick()
        wait_until(lambda: len(followed.queue.list()) == 2)  # the first look of the watched one, too
        followed.worker.work_off()
        woken.clear()
        write(folder, "a.md")
        assert woken.wait(30)
        followed.worker.work_off()
        assert followed.shown() == {"a.md": 1}
    finally:
        daemon.close()
    woken.clear()
    write(folder, "b.md")
    assert not woken.wait(1)


def test_what_a_link_leads_to_outside_is_not_watched(followed: Followed, folder: Path, tmp_path: Path) -> None:
    (folder / "inner").mkdir()
    write(tmp_path, "outside/below/x.md")
    (folder / "there").symlink_to(tmp_path / "outside", target_is_directory=True)
    (folder / "inner/round").symlink_to("..", target_is_directory=True)
    followed.put("s", "folder", folder)
    woken = threading.Event()
    daemon = SourceDaemon(followed.register, woken.set)

    def is_noticed(name: str, within_s: float = 30) -> bool:
        time.sleep(0.5)  # what came before is told
        followed.worker.work_off()
        woken.clear()
        write(tmp_path, name)
        return woken.wait(within_s)

    try:
        daemon.tick()
        assert woken.wait(30)
        assert is_noticed("folder/inner/a.md")
        assert not is_noticed("outside/x.md", 1.5)
        assert not is_noticed("outside/below/x.md", 1.5)
        # Folders that come later are watched too.
        assert is_noticed("folder/new/below/b.md")
        assert is_noticed("folder/new/below/c.md")
        followed.worker.work_off()
        assert set(followed.shown()) == {"inner/a.md", "new/below/b.md", "new/below/c.md"}
    finally:
        daemon.close()


def test_a_watched_folder_that_comes_again_is_watched_again(followed: Followed, folder: Path, tmp_path: Path) -> None:
    woken = threading.Event()
    daemon = SourceDaemon(followed.register, woken.set)

    def look() -> None:
        daemon._next_look = daemon._next_sync = 0
        daemon.tick()

    try:
        look()
        assert woken.wait(30)
        folder.rename(tmp_path / "away")
        look()
        folder.mkdir()
        woken.clear()
        look()
        assert woken.wait(30)
        time.sleep(0.5)
        woken.clear()
        write(folder, "a.md")
        assert woken.wait(30)
        followed.put("s", "folder", folder, watch=False)
        look()
        time.sleep(0.5)
        woken.clear()
        write(folder, "b.md")
        assert not woken.wait(1)
    finally:
        daemon.close()


# -- kills


def test_what_a_killed_worker_stored_is_tidied_up_and_taken(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b.md", text="text of {}")
    (job_id,) = followed.register.request("s")
    job = followed.queue.claim()
    assert job is not None
    files = [IncomingFile("a.md", "a.md", b"text of a.md"), IncomingFile("x.md", "x.md", b"gone since")]
    followed.ingestion.add(job, files, "default")
    assert len(followed.originals.hashes()) == 2
    after = Followed(followed.catalog, followed.data)
    after.worker.start()  # which takes over
    try:
        wait_until(lambda: after.queue.get(job_id).state == "done")
    finally:
        after.worker.stop()
        after.refreshing.close()
    assert after.shown() == {"a.md": 1, "b.md": 1}
    assert after.unused() == set()


def test_a_refresh_that_ends_its_worker_again_and_again_is_given_up(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    (job_id,) = followed.register.request("s")
    waits = []
    for _ in range(10):
        with followed.catalog.writing() as connection:
            connection.execute(update(schema.jobs).values(not_before=None))
        assert followed.queue.claim() is not None
        assert followed.queue.requeue_abandoned() == 1
        waits.append(followed.queue.get(job_id).not_before)
    job = followed.queue.get(job_id)
    assert job.state == "dead"
    assert job.problems[0].code == "gave-up"
    assert waits[:2] == [None, None]
    assert all(moment is not None for moment in waits[2:9])
    assert followed.queue.retry(job_id).state == "queued"
    followed.worker.work_off()
    assert followed.queue.get(job_id).state == "done"


def test_the_run_of_a_refresh_that_was_given_up_has_failed_with_the_reason_and_the_time(
    followed: Followed, folder: Path
) -> None:
    write(folder, "a.md")
    followed.refresh()
    (job_id,) = followed.register.request("s")
    with followed.catalog.writing() as connection:  # what each worker notes that is killed then
        followed.register.note_run(connection, "s", LastRun(job_id=job_id, started_at=datetime.now(UTC)))
    for _ in range(10):
        run = followed.register.get("s").last_run
        assert run is not None and (run.state, run.finished_at) == ("running", None)
        assert followed.queue.claim() is not None
        followed.queue.requeue_abandoned()
        with followed.catalog.writing() as connection:
            connection.execute(update(schema.jobs).values(not_before=None))
    job_now = followed.queue.get(job_id)
    run = followed.register.get("s").last_run
    assert run is not None and run.problem is not None
    assert (run.state, run.problem.code, run.finished_at) == ("failed", "gave-up", job_now.finished_at)
    assert run.finished_at is not None
    later = datetime.now(UTC) + timedelta(days=400)
    assert followed.queue.remove_old(30, later) == 1  # the other refresh: this one tells how the last went
    assert followed.register.get("s").last_run == run
    followed.queue.retry(job_id)
    assert followed.refresh().state == "done"


def test_a_refresh_that_is_stopped_while_it_waits_to_be_tried_again_is_cancelled(
    followed: Followed,
) -> None:
    followed.put("s", "web", "http://127.0.0.1:9/", depth=1)  # nobody listens there
    run = followed.refresh()
    assert (run.state, run.problem and run.problem.code) == ("waiting", "try-again")
    followed.queue.request_cancel(run.job_id)
    ended = followed.register.get("s").last_run
    assert ended is not None and (ended.state, ended.problem) == ("cancelled", run.problem)


def test_a_job_counts_the_items_that_may_have_changed_and_no_more(followed: Followed, folder: Path) -> None:
    (job_id,) = followed.register.request("s")
    assert (followed.job().done, followed.job().total) == (0, 0)
    for name in ("a.md", "b.md", "c.md"):
        write(folder, name)
    followed.refresh()
    assert (followed.queue.get(job_id).done, followed.queue.get(job_id).total) == (3, 3)
    followed.refresh()
    assert (followed.job().done, followed.job().total) == (0, 0)
    write(folder, "a.md", text="another text")
    (folder / "b.md").unlink()
    followed.refresh()
    assert (followed.job().done, followed.job().total) == (1, 1)


class _WaitingForProgress:
    """A reader that gives its last item only when the job tells of the others."""

    def __init__(self, reader: SourceReader, progress: Callable[[], int], items: int) -> None:
        self._reader, self._progress, self._left = reader, progress, items
        self.list, self.may_be_empty, self.close = reader.list, reader.may_be_empty, reader.close

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        self._left -= 1
        if not self._left:
            wait_until(lambda: self._progress() > 0)
        return self._reader.fetch(item, mark, max_bytes)


def test_items_that_are_found_as_they_were_are_progress_too(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    totals = set()

    def done() -> int:
        job = followed.job()
        totals.add(job.total)
        return job.done

    followed = Followed(catalog, tmp_path, opened=lambda reader: _WaitingForProgress(reader, done, 5))
    followed.put("s", "folder", folder)
    write(folder, *(f"{number}.md" for number in range(5)))
    followed.refresh()
    for number in range(5):
        os.utime(folder / f"{number}.md", (1, 1))  # the same, at another time
    assert followed.refresh().unchanged == 5
    assert (followed.job().done, followed.job().total) == (5, 5)
    assert totals <= {0, 5}  # 0 before all are listed
    followed.refreshing.close()


def test_a_job_that_is_stopped_just_before_its_end_is_cancelled(followed: Followed) -> None:
    (job_id,) = followed.register.request("s")

    def task(job: ClaimedJob, report: Callable[[int, int], None], stop: Callable[[], bool]) -> float:
        report(1, 1)
        followed.queue.request_cancel(job.job_id)
        assert stop()
        return 0

    Worker(followed.ingestion, {"refresh": task}).work_off()
    assert followed.queue.get(job_id).state == "cancelled"


def test_the_time_left_is_told_by_the_pace_since_the_list_was_known(followed: Followed, folder: Path) -> None:
    (job_id,) = followed.register.request("s")
    lease = Lease(followed.catalog, WORKER)
    assert lease.acquire()  # else nobody is at it
    assert followed.queue.claim() is not None
    now = datetime.now(UTC)
    with followed.catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(started_at=now - timedelta(hours=5)))
        followed.queue.begin(connection, job_id, 30)
        paced = {job_statements.PACED_FROM: (now - timedelta(seconds=10)).isoformat()}
        followed.queue.set_payload(connection, job_id, **paced)
    assert followed.queue.get(job_id).eta_s is None
    followed.queue.report(job_id, 10, 30)
    for job in (followed.queue.get(job_id), followed.job()):
        assert job.eta_s == pytest.approx(20, abs=2)
    lease.release()


def test_settings_are_checked_when_they_are_given() -> None:
    with pytest.raises(ValueError, match="whole path"):
        SourceSettings(kind="folder", location="docs")


class Died(BaseException):
    """Stands for the end of the process."""


def test_a_file_of_a_source_that_ends_the_worker_is_singled_out(tmp_path: Path, sqlite_catalog: Catalog) -> None:
    folder = tmp_path / "folder"
    write(folder, "a.md", "b.md", "c.md")

    def life() -> Followed:
        """The next process."""
        followed = Followed(sqlite_catalog, tmp_path)
        embed = followed.embedder.embed_documents

        def embed_or_die(texts: Sequence[str]) -> Vectors:
            if any("b.md" in text for text in texts):
                raise Died
            return embed(texts)

        followed.embedder.embed_documents = embed_or_die  # type: ignore[method-assign]
        return followed

    followed = life()
    followed.put("s", "folder", folder)
    (job_id,) = followed.register.request("s")
    deaths = 0
    while followed.queue.get(job_id).state != "done":
        try:
            followed.worker.work_off()
        except Died:
            deaths += 1
            assert deaths < 6
            followed = life()
            followed.queue.requeue_abandoned()
            with sqlite_catalog.writing() as connection:
                followed.queue.hurry(connection, job_id)
    assert deaths >= 3  # one more where another file was done before
    assert followed.queue.get(job_id).state == "done"
    assert followed.items() == {"a.md": "indexed", "b.md": "failed", "c.md": "indexed"}
    (problem,) = followed.queue.get(job_id).problems
    assert problem.code == "ends-the-worker"
    # It is passed over until it changes.
    assert followed.refresh().unchanged == 3
    write(folder, "b.md", text="mended")
    assert followed.refresh().taken == 1
