"""The worker in a process of its own, so that what is ingested takes nothing of the interpreter that answers."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Protocol

from ingest.bugs import logged_bug
from ingest.ending import end_with, end_within
from ragstone import logs
from ragstone.errors import KnownError
from ragstone.wiring import Application

log = logging.getLogger(__name__)

# How often the process looks whether its worker has a problem, and says that it lives.
_LOOK_S = 0.5
# One that has said nothing for so long is not waited for any more, and later counts as hung: it is replaced.
_SILENT_S, _HUNG_S = 10.0, 120.0
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
    """Wakes the worker from any process that it was handed to when that was spawned. Any number of wakes are one.

    A process that it was handed to can end with the one that made it.
    """

    def __init__(self) -> None:
        self.wakes, self._waking = _CONTEXT.Pipe(duplex=False)
        self._end, self._alive = _CONTEXT.Pipe(duplex=False)  # nothing is sent: the kernel closes it with its process

    def __getstate__(self) -> dict[str, Connection]:
        return {"_waking": self._waking, "_end": self._end}

    def end_with_service(self) -> None:
        """Asks this process to end, as by SIGTERM, when the one that made this is no more."""

        def wait_for_end() -> None:
            wait([self._end])
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait_for_end, name="service-end", daemon=True).start()

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
    """Starts the process, and starts it again when it ends. It ends with this one, whatever ends this one.

    When this one is killed it is killed too, and loses what the death of a worker loses: the job at hand begins anew.
    """

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
        self._silent = False
        self._failure: str | None = None  # why the process that ended last never worked, in its own words

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
        if started is None:
            return
        process, told = started
        with suppress(OSError):  # it has ended by itself
            told.send("stop")
        # Only the thread that watches waits for the process: of two that do, one is told nothing.
        self._watching.join(_SILENT_S if self._silent else _PATIENCE_S)
        if self._watching.is_alive():
            log.error("the process that does the jobs did not end in time and is killed")
            process.kill()
            self._watching.join()

    def kill(self) -> None:
        """Ends it at once, with whatever it hangs at; the job at hand goes on in the next one."""
        self._stopping.set()
        started = self._started
        if started is not None:
            started[0].kill()

    def _watch(self) -> None:
        # Inherited by what this thread starts: an interrupt of the terminal goes to all processes of the service.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                with self._starting:
                    if self._stopping.is_set():
                        return
                    process, told = self._started = self._spawned()
                lasted = self._hear(process, told)
                process.join()
                told.close()
                why = f"the process that does the jobs ended ({_how(process.exitcode)})"
            except OSError as error:
                lasted, why = False, f"the process that does the jobs can't be started ({error})"
            if self._stopping.is_set():
                return
            pause = _FIRST_PAUSE_S if lasted else min(2 * pause, _LONGEST_PAUSE_S)
            self._problem = self._failure or f"{why}: it is started again"
            log.error("%s in %g s", f"{why}: it is started again", pause)
            self._stopping.wait(pause)

    def _spawned(self) -> tuple[multiprocessing.process.BaseProcess, Connection]:
        told, telling = _CONTEXT.Pipe()
        its = (self._build, telling, self.waker.wakes, logs.level())
        process = _CONTEXT.Process(target=_work, args=its, name="ragstone-worker")
        process.start()
        telling.close()
        return process, told

    def _hear(self, process: multiprocessing.process.BaseProcess, told: Connection) -> bool:
        """Passes on what the process says until it ends, and ends it when it hangs; whether it ever did its work."""
        working = False
        self._failure = None
        heard = time.monotonic()
        while True:
            try:
                if not told.poll(_SILENT_S):
                    self._silent = working
                    if working and time.monotonic() > heard + _HUNG_S:
                        process.kill()
                        return working
                    if working:
                        self._problem = "the process that does the jobs does not answer: it is replaced if it stays so"
                    continue
                problem, job_id = told.recv()
                heard, self._silent = time.monotonic(), False
            except (EOFError, OSError):  # it ended
                self._failure = None if working else self._problem
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
    above = multiprocessing.parent_process()
    assert above is not None and above.pid is not None
    end_with(above.pid)
    logs.log_from(log_level)
    saying = threading.Lock()

    def say(problem: str | None, job_id: str | None = None) -> None:
        with saying:
            try:
                telling.send((problem, job_id))
            except OSError:
                return  # nobody is there any more, which the loop below sees as well

    try:
        application = build()
        worker = application.worker
        application.keep_sources_fresh()
    except KnownError as error:
        say(str(error))
        sys.exit(1)
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
            if worker.problem != said or not ready:  # or to say that it lives
                said = worker.problem
                say(said)
    finally:
        end_within(_PATIENCE_S)
        worker.stop()
        application.close()


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by signal {-exit_code}"
    return f"exit code {exit_code}"
