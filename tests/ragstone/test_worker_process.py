"""The worker in a process of its own: what it did is told, and its end is not the end of the jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from service import TRUE, application_in

from ingest.errors import CatalogUnavailable
from ingest.jobs.queue import FINISHED
from ingest.pipeline import IncomingFile
from ingest.types import Job, Vectors
from ragstone import worker_process
from ragstone.errors import ModelsMissing
from ragstone.wiring import Application
from ragstone.worker_process import WorkerElsewhere, WorkerProcess
from retrieval.hash_embedder import HashEmbedder

PATIENCE_S = 60.0
WAITS = "the catalog is away"


@contextmanager
def worker_of(folder: Path, build: Callable[[Path], Application] = application_in) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(partial(build, folder))
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def submit(application: Application, name: str) -> str:
    return application.ingestion.submit([IncomingFile(name, name, TRUE.encode())], "default", None)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "that took too long"
        time.sleep(0.02)


def ended(application: Application, job_id: str) -> Job:
    until(lambda: application.queue.get(job_id).state in FINISHED)
    return application.queue.get(job_id)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_submitted_is_done_there_and_told_here(tmp_path: Path) -> None:
    application = application_in(tmp_path)
    told: Queue[str] = Queue()
    with worker_of(tmp_path) as worker:
        worker.listeners.add(told.put)
        job_id = submit(application, "a.md")
        worker.wake()
        assert told.get(timeout=PATIENCE_S) == job_id
        assert application.queue.get(job_id).state == "done"
        pid = worker.pid
        assert pid is not None and pid != os.getpid()
        assert worker.problem is None
        # Any process can wake it.
        job_id = submit(application, "b.md")
        WorkerElsewhere(worker.waker).wake()
        assert told.get(timeout=PATIENCE_S) == job_id
    assert not alive(pid)
    application.close()


def test_many_wakes_that_nobody_hears_hold_no_caller_up() -> None:
    worker = WorkerProcess(application_in)  # type: ignore[arg-type]  # never started
    for _ in range(200_000):
        worker.wake()


def test_one_that_is_killed_is_started_again(tmp_path: Path) -> None:
    application = application_in(tmp_path)
    with worker_of(tmp_path) as worker:
        ended(application, submit(application, "a.md"))
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: worker.problem is not None)
        assert worker.problem == "the process that does the jobs ended (killed by signal 9): it is started again"
        assert ended(application, submit(application, "b.md")).state == "done"
        until(lambda: worker.problem is None)
        assert worker.pid != first
    application.close()


class KilledByPoison(HashEmbedder):
    """Ends its process at some texts, as a fault in a library would."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if any("poison" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_documents(texts)


def poisonable(folder: Path) -> Application:
    application = application_in(folder)
    application.embedder = KilledByPoison()
    return application


def test_a_file_that_kills_it_each_time_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_FIRST_PAUSE_S", 0.1)
    application = application_in(tmp_path)
    texts = {"a.md": TRUE, "b.md": "poison", "c.md": "The large pump weighs 30 kg."}
    files = [IncomingFile(name, name, text.encode()) for name, text in texts.items()]
    job_id = application.ingestion.submit(files, "default", None)
    with worker_of(tmp_path, poisonable):
        job = ended(application, job_id)
    assert {its.uri: its.state for its in job.documents} == {"a.md": "indexed", "b.md": "failed", "c.md": "indexed"}
    assert [(its.state, its.problems) for its in application.queue.list() if its.job_id != job_id] == [
        ("dead", job.problems)
    ]
    application.close()


def without_catalog(folder: Path) -> Application:
    application = application_in(folder)

    def away() -> object:
        raise CatalogUnavailable(WAITS)

    application.worker._step = away  # type: ignore[assignment,method-assign]
    return application


def test_its_problem_is_known_here(tmp_path: Path) -> None:
    with worker_of(tmp_path, without_catalog) as worker:
        until(lambda: worker.problem is not None)
        assert worker.problem == WAITS


def test_one_that_hangs_is_told_of_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_SILENT_S", 1.5)
    monkeypatch.setattr(worker_process, "_HUNG_S", 4.0)
    application = application_in(tmp_path)
    with worker_of(tmp_path) as worker:
        ended(application, submit(application, "a.md"))
        until(lambda: worker.problem is None)
        hung = worker.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        until(lambda: worker.problem is not None)
        assert worker.problem is not None and "does not answer" in worker.problem
        assert ended(application, submit(application, "b.md")).state == "done"
        assert worker.pid != hung
        until(lambda: worker.problem is None)
    application.close()


def test_one_that_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_FIRST_PAUSE_S", 0.1)
    application = application_in(tmp_path)
    worker = WorkerProcess(partial(application_in, tmp_path))
    spawned, failures = worker._spawned, [OSError("no more processes")]

    def fail_first() -> Any:
        if failures:
            raise failures.pop()
        return spawned()

    monkeypatch.setattr(worker, "_spawned", fail_first)
    worker.start()
    try:
        until(lambda: worker.problem is not None)
        assert "can't be started (no more processes)" in str(worker.problem)
        assert ended(application, submit(application, "a.md")).state == "done"
    finally:
        worker.stop()
        application.close()


def without_models(folder: Path) -> Application:
    raise ModelsMissing("run `ragstone models fetch`")


def test_what_hinders_its_start_is_known_here(tmp_path: Path) -> None:
    with worker_of(tmp_path, without_models) as worker:
        until(lambda: worker.problem is not None)
        time.sleep(1)
        assert worker.problem == "run `ragstone models fetch`"


@contextmanager
def started(script: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A program that knows the modules of the tests; killed at the end if need be."""
    tests = Path(__file__).parents[1]
    known = [str(tests / "ragstone"), str(tests / "generation"), str(tests.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(known)}
    command = [sys.executable, str(script), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("at", ["its start", "a job that hangs", "a halt"])
def test_it_ends_with_the_process_that_started_it(tmp_path: Path, how: signal.Signals, at: str) -> None:
    program = (
        "import sys, time\n"
        "from functools import partial\n"
        "from pathlib import Path\n"
        "from hanging import hanging_in\n"
        "from ragstone.worker_process import WorkerProcess\n"
        "if __name__ == '__main__':\n"
        "    worker = WorkerProcess(partial(hanging_in, Path(sys.argv[1])))\n"
        "    worker.start()\n"
        "    while worker.pid is None:\n"
        "        time.sleep(0.01)\n"
        "    print(worker.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    script = tmp_path / "service_alone.py"
    script.write_text(program)
    with started(script, tmp_path) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        if at != "its start":
            application = application_in(tmp_path)
            job_id = submit(application, "a.md")
            until(lambda: application.queue.get(job_id).state == "running")
            application.close()
        if at == "a halt":  # as at native code that never lets Python go on
            os.kill(pid, signal.SIGSTOP)
        assert alive(pid)
        process.send_signal(how)
        process.wait(timeout=PATIENCE_S)
        until(lambda: not alive(pid))


@pytest.mark.parametrize(
    ("signals", "patience_s"),
    [
        ([signal.SIGKILL], 600),
        ([signal.SIGTERM], 2),
        ([signal.SIGINT], 2),
        ([signal.SIGINT, signal.SIGINT], 600),
        ([signal.SIGTERM, signal.SIGINT], 600),
        ([signal.SIGTERM, signal.SIGKILL], 600),
    ],
)
def test_a_service_whose_job_hangs_leaves_no_process_behind(
    tmp_path: Path, signals: list[signal.Signals], patience_s: int
) -> None:
    with started(Path(__file__).with_name("hanging.py"), tmp_path, patience_s) as process:
        assert process.stdout is not None
        below = [int(pid) for pid in process.stdout.readline().split()]
        assert len(below) == 2 and all(map(alive, below))  # the worker, and the engine of the language model
        for number, its in enumerate(signals):
            if number:
                time.sleep(1)  # a person looks whether it ends
            process.send_signal(its)
        process.wait(timeout=PATIENCE_S)
        until(lambda: not any(map(alive, below)))
