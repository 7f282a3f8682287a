"""The worker in a process of its own, so that what is ingested takes nothing of the interpreter that answers."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Protocol

from ingest.bugs import logged_bug
from ragstone import logs
from ragstone.wiring import Application

log = logging.getLogger(__name__)

# How often the process looks whether its worker has a problem to tell of.
_LOOK_S = 0.5
# Until a process that ended is started again: twice as long after each that did not last.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
# How long the end may take: what is in memory of the index is written.
_PATIENCE_S = 60.0
_WAKES = 65536

# Spawned, not forked: neither FAISS nor a database connection survives a fork.
_CONTEXT = multiprocessing.get_context("spawn")


class Jobs(Protocol):
    """Whoever does the jobs, as a process that takes them from callers knows it: `ingest.worker.Worker` or another."""

    listeners: set[Callable[[str], None]]

    @property
    def problem(self) -> str | None:
        """Why the queue waits, while it does."""
        ...

    def start(self) -> None: ...

    def wake(self) -> None: ...

    def stop(self) -> None: ...


class Waker:
    """Wakes the worker from any process that it was handed to when that was spawned. Any number of wakes are one."""

    def __init__(self) -> None:
        self.wakes, self._waking = _CONTEXT.Pipe(duplex=False)

    def wake(self) -> None:
        os.set_blocking(self._waking.fileno(), False)
        try:
            os.write(self._waking.fileno(), b".")
        except BlockingIOError:
            return  # it is full of wakes that were not heard yet, which do as well


class WorkerElsewhere:
    """Jobs are done by a process that another one started: it is woken, and what it did is found by looking."""

    problem: str | None = None

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self.listeners: set[Callable[[str], None]] = set()

    def start(self) -> None:
        """It was started."""

    def stop(self) -> None:
        """Who started it stops it."""

    def wake(self) -> None:
        self._waker.wake()


class WorkerProcess:
    """Starts the process, and starts it again when it ends. It ends with this one, whatever ends this one."""

    def __init__(self, build: Callable[[], Application]) -> None:
        """`build` is called in the new process; it must be one that can be pickled."""
        self.waker = Waker()
        self.listeners: set[Callable[[str], None]] = set()
        self._build = build
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="worker-watch", daemon=True)
        self._started: tuple[multiprocessing.process.BaseProcess, Connection] | None = None
        self._starting = threading.Lock()

    @property
    def problem(self) -> str | None:
        return self._problem

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        started = self._started
        return None if started is None else started[0].pid

    def start(self) -> None:
        self._watching.start()

    def wake(self) -> None:
        self.waker.wake()

    def stop(self) -> None:
        """Ends after the batch of chunks at hand; the job at hand goes back to the queue."""
        self._stopping.set()
        with self._starting:
            started = self._started
        if started is not None:
            process, told = started
            with suppress(OSError):  # it has ended by itself
                told.send("stop")
            process.join(_PATIENCE_S)
            if process.is_alive():
                log.error("the worker's process did not end within %g s and is killed", _PATIENCE_S)
                process.kill()
        if self._watching.is_alive():
            self._watching.join()

    def _watch(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            with self._starting:
                if self._stopping.is_set():
                    return
                process, told = self._started = self._spawned()
            lasted = self._hear(told)
            process.join()
            told.close()
            if self._stopping.is_set():
                return
            pause = _FIRST_PAUSE_S if lasted else min(2 * pause, _LONGEST_PAUSE_S)
            self._problem = f"the process that does the jobs ended ({_how(process.exitcode)}): it is started again"
            log.error("%s in %g s", self._problem, pause)
            self._stopping.wait(pause)

    def _spawned(self) -> tuple[multiprocessing.process.BaseProcess, Connection]:
        told, telling = _CONTEXT.Pipe()
        its = (self._build, telling, self.waker.wakes, logs.level())
        process = _CONTEXT.Process(target=_work, args=its, name="ragstone-worker")
        process.start()
        telling.close()
        return process, told

    def _hear(self, told: Connection) -> bool:
        """Passes on what the process says until it ends; whether it ever did its work."""
        working = False
        while True:
            try:
                problem, job_id = told.recv()
            except (EOFError, OSError):  # it ended
                return working
            if job_id is None:
                self._problem = problem
                working = working or problem is None
            for tell in tuple(self.listeners) if job_id is not None else ():
                try:
                    tell(job_id)
                except Exception:
                    logged_bug(f"while telling of the end of job {job_id}")


def _work(build: Callable[[], Application], telling: Connection, wakes: Connection, log_level: int) -> None:
    """The main function of the process: works until it is told to stop, or whoever started it is no more."""
    logs.log_from(log_level)
    # What asks the service to end may go to all of its processes: this one ends when the service does.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)
    application = build()
    worker = application.worker
    saying = threading.Lock()

    def say(problem: str | None, job_id: str | None = None) -> None:
        with saying:
            try:
                telling.send((problem, job_id))
            except OSError:
                return  # nobody is there any more, which the loop below sees as well

    worker.listeners.add(lambda job_id: say(None, job_id))
    worker.start()
    try:
        said = worker.problem
        say(said)
        while True:
            ready = wait([telling, wakes], _LOOK_S)
            if telling in ready:
                return
            if wakes in ready:
                os.read(wakes.fileno(), _WAKES)
                worker.wake()
            if worker.problem != said:
                said = worker.problem
                say(said)
    finally:
        worker.stop()
        application.close()


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by signal {-exit_code}"
    return f"exit code {exit_code}"
