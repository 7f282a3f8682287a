"""A source whose content shifts all at once is held back as a whole; one that is edited as usual is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from ingest.catalog import schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import Guard, unguarded
from ingest.config import IngestSettings
from ingest.errors import NotFound
from ingest.extraction.process import ReadHere
from ingest.originals import Originals
from ingest.pipeline import Ingestion
from ingest.quarantine.quarantine import Quarantine
from ingest.revisions.history import History
from ingest.sources.folder import FolderReader
from ingest.sources.refresh import Refreshing
from ingest.sources.register import SourceRegister
from ingest.sources.shifts import drop_left_batches
from ingest.sources.types import SourceInfo, SourceSettings
from ingest.worker import Worker
from retrieval.hash_embedder import HashEmbedder

PAGES = 20


class Watched:
    """A folder of twenty pages, as a source of a catalog."""

    def __init__(self, catalog: Catalog, originals: Originals, folder: Path) -> None:
        self.catalog, self.folder = catalog, folder
        self.ingestion = Ingestion(catalog, originals, HashEmbedder(), IngestSettings(), ReadHere())
        self.register = SourceRegister(catalog, self.ingestion.queue)
        self.history = History(catalog)
        self.quarantine = Quarantine(catalog, self.ingestion.queue)
        for number in range(PAGES):
            self.write(number, page(number))
        self.register.put("pages", SourceSettings(kind="folder", location=str(folder)))
        self.refresh()

    def write(self, number: int, text: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{number}.md").write_text(text, "utf-8")

    def refreshing(self, guard: Guard = unguarded) -> Refreshing:
        return Refreshing(
            self.register,
            self.ingestion,
            self.history,
            IngestSettings(),
            lambda source, known: FolderReader(Path(source.location)),
            guard,
        )

    def killed(self, when: Callable[[Connection], bool]) -> str:
        """A refresh whose worker ends in the transaction of which `when` says so first; returns its job."""
        time.sleep(0.02)
        (job_id,) = self.register.request("pages")

        def guard(connection: Connection) -> None:
            if when(connection):
                raise Killed

        refreshing = self.refreshing(guard)
        job = self.ingestion.queue.claim()
        assert job is not None
        run = refreshing._begun(job)
        with pytest.raises(Killed):
            refreshing._turn(run, job, lambda: False)
        run.fetching.stop()
        return job_id

    def open_batches(self) -> list[str]:
        return [batch.batch_id for batch in self.history.batches() if batch.state == "open"]

    def refresh(self) -> SourceInfo:
        time.sleep(0.02)
        (job_id,) = self.register.request("pages")
        worker = Worker(self.ingestion, {"refresh": self.refreshing()})
        deadline = time.monotonic() + 30
        while self.ingestion.queue.get(job_id).state not in ("done", "failed", "dead"):
            assert worker.work_off()
            assert time.monotonic() < deadline
        return self.register.get("pages")

    def texts(self) -> dict[str, str]:
        shown = self.catalog.documents(None, 100, None)[0]
        return {its.uri: self.catalog.version_text(its.document_id, its.version) for its in shown}


class Killed(BaseException):
    """The worker ends, with its transaction."""


def page(number: int, word: str = "valve") -> str:
    said = " ".join(f"The {word} {number} of the reservoir {each} is opened by hand." for each in range(20))
    return f"# Page {number}\n\n{said}\n"


@pytest.fixture
def watched(catalog: Catalog, originals: Originals, tmp_path: Path) -> Watched:
    return Watched(catalog, originals, tmp_path / "pages")


def test_many_small_edits_are_shown_at_once_and_together(watched: Watched) -> None:
    head = watched.catalog.head()
    for number in range(12):
        watched.write(number, page(number) + "\nOne more sentence.\n")
    (watched.folder / "19.md").unlink()
    source = watched.refresh()
    assert source.last_run is not None
    assert (source.last_run.state, source.last_run.taken, source.last_run.removed) == ("done", 12, 1)
    assert watched.catalog.head() == head + 1
    texts = watched.texts()
    assert len(texts) == PAGES - 1
    assert texts["3.md"].endswith("One more sentence.\n")
    assert watched.quarantine.list() == []


def test_a_refresh_that_finds_nothing_new_leaves_no_revision(watched: Watched) -> None:
    head = watched.catalog.head()
    for number in range(PAGES):
        watched.write(number, page(number))  # written anew, with what was there
    watched.refresh()
    assert watched.catalog.head() == head


def test_pages_that_are_emptied_are_held_back_until_released(watched: Watched) -> None:
    before = watched.texts()
    for number in range(10):
        watched.write(number, "Moved.\n")
    source = watched.refresh()
    assert source.last_run is not None
    assert source.last_run.state == "held"
    assert source.last_run.problem is not None
    assert watched.texts() == before
    (item,) = watched.quarantine.list()
    assert (item.uri, item.source, item.findings[0].kind) == ("pages", "pages", "shift")
    assert "10 documents (of 20 that were there) were emptied" in item.reason
    # What is held is not fetched again, and is no news.
    again = watched.refresh()
    assert again.last_run is not None
    assert again.last_run.state == "done"
    assert len(watched.quarantine.list()) == 1
    assert watched.quarantine.release(item.item_id) is None
    assert watched.texts()["3.md"] == "Moved.\n"


def test_pages_that_vanish_are_held_back_and_stay_when_that_is_rejected(watched: Watched, originals: Originals) -> None:
    before = watched.texts()
    for number in range(15):
        (watched.folder / f"{number}.md").unlink()
    watched.refresh()
    (item,) = watched.quarantine.list()
    assert "are gone" in item.reason
    assert watched.texts() == before
    watched.ingestion.remove_unused(watched.quarantine.reject(item.item_id))
    source = watched.refresh()
    assert source.last_run is not None
    assert (source.last_run.state, source.last_run.removed) == ("done", 0)
    assert watched.texts() == before
    assert watched.quarantine.list() == []
    assert len(originals.hashes()) == PAGES


def test_replaced_pages_are_held_back_and_released_without_those_that_vanished(watched: Watched) -> None:
    for number in range(8):
        watched.write(number, page(number, "casino bonus").replace("reservoir", "jackpot").replace("by hand", "now"))
    (watched.folder / "19.md").unlink()
    source = watched.refresh()
    assert source.last_run is not None
    assert source.last_run.state == "held"
    (item,) = watched.quarantine.list()
    watched.quarantine.release(item.item_id)
    texts = watched.texts()
    assert "jackpot" in texts["3.md"]
    assert "19.md" not in texts
    assert {its.uri for its in watched.register.items("pages", 100)} == set(texts)


def test_asking_once_more_for_all_of_it_is_a_decision(watched: Watched) -> None:
    for number in range(15):
        (watched.folder / f"{number}.md").unlink()
    watched.register.request("pages", again=True)
    watched.refresh()
    assert len(watched.texts()) == 5


def test_whoever_decides_on_a_refresh_reads_what_it_would_change(watched: Watched) -> None:
    for number in range(10):
        watched.write(number, "Moved.\n")
    watched.write(50, page(50))
    (watched.folder / "19.md").unlink()
    watched.refresh()
    (item,) = watched.quarantine.list()
    shown = watched.quarantine.read(item.item_id)
    assert (shown.text, shown.changes_total) == (None, 12)
    changes = {its.uri: its for its in shown.changes}
    assert (changes["3.md"].change, changes["3.md"].characters_after) == ("changed", len("Moved.\n"))
    assert (changes["50.md"].change, changes["50.md"].characters_before) == ("added", None)
    assert (changes["19.md"].change, changes["19.md"].characters_after) == ("removed", None)
    first = watched.quarantine.changes(item.item_id, 5)
    second = watched.quarantine.changes(item.item_id, 100, first[-1].document_id)
    assert [*first, *second] == shown.changes
    moved = watched.quarantine.changed_text(item.item_id, changes["3.md"].document_id, 2, 7)
    assert moved.before is not None and moved.after is not None
    assert (moved.before.text, moved.after.text) == (page(3)[2:9], "ved.\n")
    gone = watched.quarantine.changed_text(item.item_id, changes["19.md"].document_id)
    assert (gone.before and gone.before.text, gone.after) == (page(19), None)
    with pytest.raises(NotFound):
        watched.quarantine.changed_text(item.item_id, "d-none")
    watched.quarantine.reject(item.item_id)
    assert "it was rejected" in str(watched.quarantine.read(item.item_id).text_problem)


def opened(connection: Connection) -> bool:
    """Whether the transaction, or one before, has opened a batch."""
    return connection.execute(select(schema.batches.c.batch_id).limit(1)).first() is not None


def test_no_kill_leaves_a_batch_that_nobody_knows_of(watched: Watched) -> None:
    for number in range(12):
        watched.write(number, page(number) + "\nOne more sentence.\n")
    job_id = watched.killed(opened)
    with watched.catalog.reading() as connection:
        payload = connection.execute(select(schema.jobs.c.payload).where(schema.jobs.c.job_id == job_id)).scalar_one()
    assert watched.open_batches() == [payload["batch"]]
    watched.ingestion.queue.requeue_abandoned()
    watched.refresh()
    assert watched.open_batches() == []
    assert watched.texts()["3.md"].endswith("One more sentence.\n")


def test_the_batch_of_a_refresh_that_was_given_up_is_dropped(watched: Watched, originals: Originals) -> None:
    for number in range(12):
        watched.write(number, page(number) + "\nOne more sentence.\n")
    job_id = watched.killed(opened)
    mine = watched.history.open_batch("refresh of the source pages")  # of somebody who calls his so
    assert drop_left_batches(watched.ingestion, watched.history) == 0  # its job goes on
    with watched.catalog.writing() as connection:
        dead = update(schema.jobs).where(schema.jobs.c.job_id == job_id)
        connection.execute(dead.values(state="dead", finished_at=datetime.now(UTC) - timedelta(days=1)))
    assert len(watched.open_batches()) == 2
    assert drop_left_batches(watched.ingestion, watched.history) == 1
    assert watched.open_batches() == [mine]
    assert drop_left_batches(watched.ingestion, watched.history) == 0


def test_a_refresh_that_is_held_back_stays_so_when_its_worker_is_killed_then(watched: Watched) -> None:
    for number in range(10):
        watched.write(number, "Moved.\n")
    time.sleep(0.02)
    watched.register.request("pages")
    refreshing = watched.refreshing()
    job = watched.ingestion.queue.claim()
    assert job is not None
    run = refreshing._begun(job)
    assert refreshing._turn(run, job, lambda: False) is None
    run.fetching.stop()
    watched.ingestion.queue.requeue_abandoned()  # it was killed before it had noted its end
    watched.refresh()
    (item,) = watched.quarantine.list()
    watched.quarantine.release(item.item_id)
    assert watched.texts()["3.md"] == "Moved.\n"
