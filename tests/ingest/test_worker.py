from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, event, update

from ingest.catalog import facts, schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import Holder, Lease, this_process
from ingest.config import IngestSettings
from ingest.erasure import Erasure
from ingest.errors import CatalogUnavailable, IngestError, NotAllowed, NotFound
from ingest.extraction import process
from ingest.extraction.process import ReadHere, ReadingProcesses
from ingest.identity import document_id_of
from ingest.jobs.hindrances import WORKER, problem_of_worker
from ingest.jobs.queue import FILL_SPACE, FINISHED, JobQueue
from ingest.originals import Originals
from ingest.pipeline import IncomingFile, Ingestion
from ingest.revisions.history import History
from ingest.types import Embedder, Job, Space, Vectors
from ingest.worker import Worker
from retrieval.hash_embedder import HashEmbedder

ONE_BY_ONE = IngestSettings(commit_files=1)


def submit(ingestion: Ingestion, *names: str) -> str:
    return ingestion.submit([IncomingFile(name, name, f"text of {name}".encode()) for name in names], "default", {})


def wait_for(ingestion: Ingestion, job_id: str) -> Job:
    for _ in range(600):
        job = ingestion.queue.get(job_id)
        if job.state in FINISHED:
            return job
        time.sleep(0.05)
    raise AssertionError(f"job {job_id} did not end: {job}")


def wait_until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class BrokenEmbedder(HashEmbedder):
    """Fails on texts that hold a word, as a bug would."""

    def embed_documents(self, texts):  # type: ignore[no-untyped-def]
        if any("b.md" in text for text in texts):
            raise ZeroDivisionError("a bug")
        return super().embed_documents(texts)


def test_only_one_worker_a_catalog(catalog: Catalog) -> None:
    first, second = Lease(catalog, WORKER), Lease(catalog, WORKER)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_started_worker_does_what_is_submitted(ingestion: Ingestion, tmp_path: Path) -> None:
    worker = Worker(ingestion)
    worker.start()
    try:
        job = wait_for(ingestion, submit(ingestion, "a.md", "b.md"))
    finally:
        worker.stop()
    assert job.state == "done"
    assert [outcome.state for outcome in job.documents] == ["indexed", "indexed"]


def test_a_worker_that_stands_by_takes_over(ingestion: Ingestion, catalog: Catalog) -> None:
    holder = Lease(catalog, WORKER)
    assert holder.acquire()
    worker = Worker(ingestion)
    worker.start()
    try:
        job_id = submit(ingestion, "a.md")
        assert ingestion.queue.get(job_id).state == "queued"
        holder.release()
        assert wait_for(ingestion, job_id).state == "done"
    finally:
        worker.stop()


def test_a_bug_costs_one_file_only(catalog: Catalog, originals: Originals, tmp_path: Path) -> None:
    ingestion = Ingestion(catalog, originals, BrokenEmbedder(), IngestSettings(), ReadHere())
    job_id = submit(ingestion, "a.md", "b.md", "c.md")
    Worker(ingestion).work_off()
    job = ingestion.queue.get(job_id)
    assert [outcome.state for outcome in job.documents] == ["indexed", "failed", "indexed"]
    problem = job.documents[1].problem
    assert problem is not None
    assert problem.code == "internal-error"
    assert "b.md" in problem.detail
    assert "ZeroDivisionError" not in problem.detail


def test_jobs_that_ended_long_ago_are_removed(ingestion: Ingestion) -> None:
    old = submit(ingestion, "a.md")
    Worker(ingestion).work_off()
    waiting = submit(ingestion, "b.md")
    later = datetime.now(UTC) + timedelta(days=31)
    assert ingestion.queue.remove_old(32, later) == 0
    assert ingestion.queue.remove_old(0) == 0  # whoever waits for it looks it up
    assert ingestion.queue.remove_old(30, later) == 1
    with pytest.raises(NotFound):
        ingestion.queue.get(old)
    assert ingestion.queue.get(waiting).state == "queued"


def test_a_cancelled_job_stops_between_batches(catalog: Catalog, originals: Originals, tmp_path: Path) -> None:
    class CancellingEmbedder(HashEmbedder):
        def embed_documents(self, texts):  # type: ignore[no-untyped-def]
            ingestion.queue.request_cancel(job_id)
            time.sleep(0.05)
            return super().embed_documents(texts)

    ingestion = Ingestion(catalog, originals, CancellingEmbedder(), IngestSettings(embed_batch=1), ReadHere())
    job_id = submit(ingestion, *(f"{number}.md" for number in range(20)))
    Worker(ingestion).work_off()
    job = ingestion.queue.get(job_id)
    assert job.state == "cancelled"
    assert {outcome.state for outcome in job.documents} == {"indexed"}  # whose chunks were embedded by then
    assert 1 <= len(job.documents) < 10
    assert len(originals.hashes()) == len(job.documents)


def test_that_another_process_cancelled_a_job_is_heard_each_time(ingestion: Ingestion, catalog: Catalog) -> None:
    job_id = submit(ingestion, "a.md")
    assert ingestion.queue.claim() is not None
    JobQueue(catalog).request_cancel(job_id)  # that of another process
    wait_until(lambda: ingestion.queue.cancel_requested(job_id))
    assert ingestion.queue.cancel_requested(job_id)  # else a job that was to stop would be begun anew


def test_a_large_file_lets_later_uploads_go_first_and_is_not_begun_anew(
    catalog: Catalog, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.worker._TURN_S", 0.1)
    embedded: list[str] = []
    small: list[str] = []
    others_come = threading.Lock()

    class SlowEmbedder(HashEmbedder):
        def embed_documents(self, texts):  # type: ignore[no-untyped-def]
            embedded.extend(texts)
            if others_come.acquire(blocking=False):
                small.append(submit(ingestion, "b.md"))
                # A later version of the large file, which must not overtake it.
                small.append(ingestion.submit([IncomingFile("a.md", "a.md", b"The newest.")], "default", {}))
            time.sleep(0.05)
            return super().embed_documents(texts)

    read: list[str] = []

    class Counting(ReadHere):
        def submit(self, data, name, reading, examination):  # type: ignore[no-untyped-def]
            read.append(name)
            return super().submit(data, name, reading, examination)

    settings = IngestSettings(embed_batch=1, chunk_tokens=16)
    ingestion = Ingestion(catalog, originals, SlowEmbedder(), settings, Counting())
    text = "\n\n".join(f"The valve {number} of the long pipe is opened in spring and closed." for number in range(30))
    large = ingestion.submit([IncomingFile("a.md", "a.md", text.encode())], "default", {})
    worker = Worker(ingestion)
    worker.start()
    try:
        wait_until(lambda: len(small) == 2)
        jobs = [wait_for(ingestion, job_id) for job_id in (large, *small)]
    finally:
        worker.stop()
    assert [job.state for job in jobs] == ["done"] * 3
    finished = [job.finished_at for job in jobs]
    assert finished[1] < finished[0] < finished[2]  # type: ignore[operator]
    assert len(embedded) == len(set(embedded)) > 30
    assert read == ["a.md", "b.md", "a.md"]
    assert catalog.version_text(document_id_of("default", "a.md"), 2) == "The newest."


def test_one_large_file_says_how_far_it_is(
    catalog: Catalog, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pipeline._REPORT_S", 0.0)
    seen: list[Job] = []

    class Watched(HashEmbedder):
        def embed_documents(self, texts):  # type: ignore[no-untyped-def]
            time.sleep(0.02)
            seen.append(ingestion.queue.get(job_id))
            return super().embed_documents(texts)

    ingestion = Ingestion(catalog, originals, Watched(), IngestSettings(embed_batch=1, chunk_tokens=16), ReadHere())
    text = "\n\n".join(f"The valve {number} of the long pipe is opened in spring and closed." for number in range(30))
    job_id = ingestion.submit([IncomingFile("a.md", "a.md", text.encode())], "default", {})
    Worker(ingestion).work_off()
    parts = [job.part for job in seen]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert 0.8 < parts[-1] < 1
    assert all(job.done == 0 and job.total == 1 for job in seen)
    assert seen[0].eta_s is None
    assert seen[-1].eta_s is not None
    ended = ingestion.queue.get(job_id)
    assert (ended.done, ended.part, ended.eta_s) == (1, 0, None)


def test_a_file_that_takes_too_long_to_cut_is_refused(catalog: Catalog, originals: Originals) -> None:
    class SlowCounter(HashEmbedder):
        def count_tokens(self, text: str) -> int:
            time.sleep(0.01 if "newts" in text else 0)
            return super().count_tokens(text)

    ingestion = Ingestion(catalog, originals, SlowCounter(), IngestSettings(cutting_s=0.05), ReadHere())
    paragraphs = "\n\n".join(f"{number} newts swim." for number in range(30))
    job_id = ingestion.submit(
        [IncomingFile("a.md", "a.md", paragraphs.encode()), IncomingFile("b.md", "b.md", b"toads")], "default", {}
    )
    Worker(ingestion).work_off()
    refused, done = ingestion.queue.get(job_id).documents
    assert done.state == "indexed"
    assert refused.problem is not None
    assert refused.problem.code == "limit-exceeded"
    assert refused.problem.detail.startswith("a.md: cutting its text into passages took over 0.05 s")


def test_a_queued_job_is_cancelled_at_once(ingestion: Ingestion, tmp_path: Path) -> None:
    job_id = submit(ingestion, "a.md")
    assert ingestion.queue.request_cancel(job_id).state == "cancelled"
    assert Worker(ingestion).work_off()
    assert ingestion.queue.get(job_id).documents == ()


class DeadlyEmbedder:
    """Kills its own process at the third text, as a power cut would."""

    def __init__(self) -> None:
        self._fake: Embedder = HashEmbedder()
        self._count = 0

    @property
    def space(self) -> Space:
        return self._fake.space

    @property
    def max_tokens(self) -> int:
        return self._fake.max_tokens

    def count_tokens(self, text: str) -> int:
        return self._fake.count_tokens(text)

    def embed_query(self, text: str) -> Vectors:
        return self._fake.embed_query(text)

    def embed_documents(self, texts):  # type: ignore[no-untyped-def]
        self._count += len(texts)
        if self._count >= 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._fake.embed_documents(texts)


def _work_until_killed(folder: Path, catalog_url: URL) -> None:
    originals = Originals(folder / "originals")
    Worker(Ingestion(Catalog(catalog_url), originals, DeadlyEmbedder(), ONE_BY_ONE, ReadHere())).work_off()


def test_a_killed_workers_job_goes_on_where_it_was(
    ingestion: Ingestion, catalog: Catalog, catalog_url: URL, tmp_path: Path
) -> None:
    job_id = submit(ingestion, "a.md", "b.md", "c.md", "d.md")
    process = multiprocessing.get_context("spawn").Process(target=_work_until_killed, args=(tmp_path, catalog_url))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert ingestion.queue.get(job_id).state == "running"
    worker = Worker(ingestion)
    worker.start()
    try:
        job = wait_for(ingestion, job_id)
    finally:
        worker.stop()
    assert job.state == "done"
    assert [outcome.uri for outcome in job.documents] == ["a.md", "b.md", "c.md", "d.md"]
    # The two before the kill were a revision each; those that were left are one.
    assert [(row.added, row.cause) for row in catalog.revisions()] == [
        (2, "ingest 2 documents"),
        (1, "ingest default/b.md"),
        (1, "ingest default/a.md"),
    ]


def test_a_locked_catalog_is_said_to_be_unavailable(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}", busy_timeout_s=0.1)
    other = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(CatalogUnavailable, match="try again"), catalog.writing():
            pass
    finally:
        other.close()
        catalog.close()


def test_errors_while_taking_over_do_not_end_the_worker(ingestion: Ingestion, tmp_path: Path) -> None:
    class FailingOnce(Ingestion):
        failures = 1

        def fill_space(self, stop=lambda: False):  # type: ignore[no-untyped-def]
            if self.failures:
                self.failures -= 1
                raise CatalogUnavailable("locked")
            return super().fill_space(stop)

    failing = FailingOnce(ingestion.catalog, ingestion._originals, HashEmbedder(), IngestSettings(), ReadHere())
    worker = Worker(failing)
    worker.start()
    try:
        while worker.problem is None and failing.failures:
            time.sleep(0.01)
        assert wait_for(failing, submit(failing, "a.md")).state == "done"
    finally:
        worker.stop()
    assert worker.problem is None


def test_what_needs_no_embedder_goes_on_while_it_is_not_to_be_had(
    catalog: Catalog, originals: Originals, tmp_path: Path
) -> None:
    class NoModel(Exception):
        """The embedder says what to do."""

    missing = True

    def embedder() -> Embedder:
        if missing:
            raise NoModel("fetch it")
        return HashEmbedder()

    gave_way: list[bool] = []

    def fill(job: object, report: object, stop: Callable[[], bool]) -> float | None:
        nonlocal missing
        gave_way.append(stop())
        missing = False  # as when a space is filled of which there is an embedder
        return None

    kept_up = threading.Event()

    def upkeep() -> bool:
        if missing:
            kept_up.set()
        return False

    ingestion = Ingestion(catalog, originals, embedder, IngestSettings(), ReadHere())
    worker = Worker(ingestion, {FILL_SPACE: fill}, upkeep, known=(IngestError, NoModel))
    with pytest.raises(NoModel):
        ingestion.fill_space()  # what a worker does first when it takes over
    upload = submit(ingestion, "a.md")
    worker.start()
    try:
        assert kept_up.wait(30)
        wait_until(lambda: problem_of_worker(catalog) == "fetch it")  # which other processes see
        assert problem_of_worker(catalog, FILL_SPACE) is worker.hindrance(FILL_SPACE) is None
        with catalog.writing() as connection:
            filling = ingestion.queue.enqueue_task(connection, FILL_SPACE, {})
        worker.wake()
        assert wait_for(ingestion, filling).state == "done"
        assert wait_for(ingestion, upload).state == "done"
        wait_until(lambda: problem_of_worker(catalog) is None)
    finally:
        worker.stop()
    assert gave_way == [False]


def test_a_worker_that_fails_for_days_still_tries(ingestion: Ingestion) -> None:
    def fail() -> bool:
        raise CatalogUnavailable("away")

    worker = Worker(ingestion, upkeep=fail)
    worker._failures = 100_000  # of which 2 to the power is no float
    worker.start()
    try:
        wait_until(lambda: worker._failures > 100_000)
        time.sleep(0.1)
        assert worker._thread is not None
        assert worker._thread.is_alive()
    finally:
        worker.stop()


def test_what_a_worker_had_to_say_ends_with_it(ingestion: Ingestion, catalog: Catalog) -> None:
    with catalog.writing() as connection:
        facts.put(connection, facts.WORKER_PROBLEM, {"said": "the disk is full", "uploads_only": False, "term": 0})
    assert problem_of_worker(catalog) is None  # nobody holds the lease
    lease = Lease(catalog, WORKER)
    assert lease.acquire()
    assert problem_of_worker(catalog) is None  # another holds it by now
    lease.release()
    worker = Worker(ingestion)
    worker.start()
    try:
        wait_until(lambda: catalog.fact(facts.WORKER_PROBLEM) is None)
    finally:
        worker.stop()


def test_a_cancelled_upload_leaves_no_bytes(ingestion: Ingestion, originals: Originals) -> None:
    kept, cancelled = submit(ingestion, "a.md"), submit(ingestion, "a.md", "b.md")
    assert ingestion.cancel(cancelled).state == "cancelled"
    assert len(originals.hashes()) == 1  # that of the file that the other job brought as well
    with pytest.raises(NotFound, match="no job j-nope"):
        ingestion.cancel("j-nope")
    Worker(ingestion).work_off()
    assert ingestion.queue.get(kept).state == "done"


def test_an_original_that_a_queued_job_needs_is_not_removed(ingestion: Ingestion, originals: Originals) -> None:
    submit(ingestion, "a.md")
    assert ingestion.unused_originals() == set()
    ingestion.remove_unused(originals.hashes())
    assert len(originals.hashes()) == 1


def test_a_running_job_estimates_the_time_left(catalog: Catalog, originals: Originals, tmp_path: Path) -> None:
    seen: list[float | None] = []

    class WatchingEmbedder(HashEmbedder):
        def embed_documents(self, texts):  # type: ignore[no-untyped-def]
            seen.append(ingestion.queue.get(job_id).eta_s)
            return super().embed_documents(texts)

    ingestion = Ingestion(catalog, originals, WatchingEmbedder(), ONE_BY_ONE, ReadHere())
    job_id = submit(ingestion, "a.md", "b.md", "c.md")
    Worker(ingestion).work_off()
    assert seen[0] is None
    assert all(isinstance(eta, float) and eta >= 0 for eta in seen[1:])
    assert len(seen) == 3


@pytest.mark.parametrize("was_the_worker", [True, False])
def test_what_a_killed_process_left_is_swept(
    ingestion: Ingestion, originals: Originals, *, was_the_worker: bool
) -> None:
    dead = Lease(ingestion.catalog, WORKER, Holder(this_process().host, 1, "never", this_process().machine))
    if was_the_worker:
        assert dead.acquire()
        dead._stop.set()
    unused = originals.put(b"its job was never committed")
    (originals._root / ".part-1").write_bytes(b"half a fi")
    worker = Worker(ingestion)
    worker.start()
    try:
        assert wait_for(ingestion, submit(ingestion, "a.md")).state == "done"
    finally:
        worker.stop()
    assert unused not in originals.hashes()
    assert originals.unfinished() == []


def test_a_version_staged_again_leaves_no_original(catalog: Catalog, originals: Originals) -> None:
    ingestion = Ingestion(catalog, originals, HashEmbedder(), IngestSettings(), ReadHere())
    batch = History(catalog).open_batch()
    for text in (b"the first", b"the second"):
        ingestion.submit([IncomingFile("a.md", "a.md", text)], "default", {}, batch)
        Worker(ingestion).work_off()
    assert len(originals.hashes()) == 1


def test_an_erasure_is_not_cancelled(ingestion: Ingestion) -> None:
    wait = submit(ingestion, "a.md")
    Worker(ingestion).work_off()
    document_id = ingestion.queue.get(wait).documents[0].document_id
    _, job_id = Erasure(ingestion.catalog, ingestion.queue, lambda record: record).request(document_id)
    with pytest.raises(NotAllowed, match="can't be cancelled"):
        ingestion.queue.request_cancel(job_id)
    assert ingestion.queue.get(job_id).state == "queued"
    assert not ingestion.queue.cancel_requested(job_id)


def test_a_damaged_original_is_mended_by_the_same_upload(originals: Originals) -> None:
    content_hash = originals.put(b"The pump weighs 11 kg.")
    (path,) = originals._root.glob("??/*")
    path.write_bytes(b"The pump weighs 12 kg.")
    assert originals.put(b"The pump weighs 11 kg.") == content_hash
    assert originals.read(content_hash) == b"The pump weighs 11 kg."


def test_a_worker_that_lost_its_lease_and_can_write_nothing_stands_by(ingestion: Ingestion) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "no space left")

    worker = Worker(ingestion, let_go=fail)
    worker.start()
    try:
        assert wait_for(ingestion, submit(ingestion, "a.md")).state == "done"
        with ingestion.catalog.writing() as connection:
            connection.execute(update(schema.leases).values(term=schema.leases.c.term + 1, expires_at=None))
        assert wait_for(ingestion, submit(ingestion, "b.md")).state == "done"
    finally:
        worker.stop()


def test_a_job_of_others_is_refused_unread(ingestion: Ingestion, catalog: Catalog) -> None:
    job_id = submit(ingestion, *(f"{number}.md" for number in range(20)))
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *more: object) -> None:
        asked.append(statement)

    event.listen(catalog.database.engine, "before_cursor_execute", note)
    for name in (job_id, "j-nope"):
        with pytest.raises(NotFound):
            ingestion.queue.get(name, ["mine"])
    # How long it takes must not tell that there is a job, so what can be long is not read.
    assert not [statement for statement in asked if "payload" in statement or "outcomes" in statement]
    assert ingestion.queue.get(job_id, ["default"]).total == 20


def test_while_the_reader_can_not_start_uploads_wait_and_say_why(
    sqlite_catalog: Catalog, originals: Originals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken" / "ingest").mkdir(parents=True)
    (tmp_path / "broken" / "ingest" / "__init__.py").write_text("raise ImportError('no lxml')\n")
    ingestion = Ingestion(sqlite_catalog, originals, HashEmbedder(), IngestSettings(), ReadingProcesses(1))
    job_id = submit(ingestion, "a.md", "b.md", "c.md")
    worker = Worker(ingestion)
    with monkeypatch.context() as broken:
        broken.setattr(process, "_ROOT", tmp_path / "broken")
        worker.start()
        wait_until(lambda: worker.problem is not None)
        assert worker.problem is not None
        assert worker.problem.startswith("the program that reads files could not be started: ImportError: no lxml.")
        assert problem_of_worker(sqlite_catalog) == worker.problem
        wait_until(lambda: worker._failures >= 2)  # it is tried again, later each time
        assert worker._failures < 5
        job = ingestion.queue.get(job_id)
        assert (job.state, job.attempts, job.documents) == ("queued", 0, ())
    worker.wake()
    assert [outcome.state for outcome in wait_for(ingestion, job_id).documents] == ["indexed"] * 3
    assert worker.problem is None
    worker.stop()


class Died(BaseException):
    """Stands for the end of the process."""


class EndingEmbedder(HashEmbedder):
    """Ends the process at some texts."""

    def __init__(self, *deadly: str) -> None:
        super().__init__()
        self.deadly = deadly
        self.groups: list[int] = []

    def embed_documents(self, texts):  # type: ignore[no-untyped-def]
        self.groups.append(len(texts))
        if any(word in text for text in texts for word in self.deadly):
            raise Died
        return super().embed_documents(texts)


def lives(catalog: Catalog, originals: Originals, embedder: Embedder, job_id: str) -> int:
    """How many processes it took to end a job, one after the other."""
    for count in range(1, 12):
        ingestion = Ingestion(catalog, originals, embedder, IngestSettings(), ReadHere())
        ingestion.queue.requeue_abandoned()
        with catalog.writing() as connection:
            ingestion.queue.hurry(connection, job_id)
        try:
            Worker(ingestion).work_off()
        except Died:
            continue
        return count
    raise AssertionError("the job never ended")


def test_a_file_that_ends_the_worker_is_singled_out_and_the_others_go_in(
    catalog: Catalog, originals: Originals
) -> None:
    embedder = EndingEmbedder("b.md")
    ingestion = Ingestion(catalog, originals, embedder, IngestSettings(), ReadHere())
    job_id = submit(ingestion, "a.md", "b.md", "c.md", "d.md")
    assert lives(catalog, originals, embedder, job_id) == 4
    job = ingestion.queue.get(job_id)
    assert job.state == "done"
    assert {outcome.uri: outcome.state for outcome in job.documents} == {
        "a.md": "indexed", "b.md": "failed", "c.md": "indexed", "d.md": "indexed",
    }  # fmt: skip
    assert embedder.groups == [4, 4, 1, 1, 2]  # together twice, alone, and the others together once more
    (problem,) = job.problems
    assert problem.code == "ends-the-worker"
    assert problem.detail.startswith("b.md: the process that does the jobs ended each time it took this file")
    # It is among what was given up, and can be tried again when it is mended.
    (dead,) = [its for its in ingestion.queue.list() if its.state == "dead"]
    assert dead.problems == (problem,)
    ingestion.sweep()
    ingestion.queue.retry(dead.job_id)
    embedder.deadly = ()
    Worker(ingestion).work_off()
    assert [outcome.state for outcome in ingestion.queue.get(dead.job_id).documents] == ["indexed"]


def test_each_of_several_such_files_is_singled_out(sqlite_catalog: Catalog, originals: Originals) -> None:
    embedder = EndingEmbedder("b.md", "d.md")
    ingestion = Ingestion(sqlite_catalog, originals, embedder, IngestSettings(), ReadHere())
    job_id = submit(ingestion, "a.md", "b.md", "c.md", "d.md")
    lives(sqlite_catalog, originals, embedder, job_id)
    states = {outcome.uri: outcome.state for outcome in ingestion.queue.get(job_id).documents}
    assert states == {"a.md": "indexed", "b.md": "failed", "c.md": "indexed", "d.md": "failed"}


def test_a_file_that_was_alone_when_the_worker_was_stopped_is_no_culprit(
    sqlite_catalog: Catalog, originals: Originals
) -> None:
    embedder = EndingEmbedder("a.md")
    ingestion = Ingestion(sqlite_catalog, originals, embedder, IngestSettings(), ReadHere())
    job_id = submit(ingestion, "a.md", "b.md")
    for _ in range(2):
        with pytest.raises(Died):
            Worker(ingestion).work_off()
        ingestion.queue.requeue_abandoned()
    embedder.deadly = ()
    job = ingestion.queue.claim()
    assert job is not None
    stops = iter([False])
    ingested = ingestion.ingest(job, lambda: next(stops, True))
    assert [upload.uri for upload in ingested.left] == ["a.md", "b.md"]
    ingestion.queue.put_back(job_id)
    other = Ingestion(sqlite_catalog, originals, embedder, IngestSettings(), ReadHere())
    Worker(other).work_off()
    assert [outcome.state for outcome in other.queue.get(job_id).documents] == ["indexed", "indexed"]
