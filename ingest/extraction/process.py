"""Reads files by processes that have little to lose, several at a time."""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ingest.errors import ReaderUnavailable
from ingest.extraction import wire
from ingest.extraction.wire import Examination, Examined, examine
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.redaction import Redactor

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
# Of our environment, what a loader or a program that it starts may need.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "TZ")
# A process that serves many files is replaced now and then: whatever a library keeps goes with it.
_FILES_A_PROCESS = 1000
# What may go on beside the files that are read at a time: those that take long must not keep others from being read.
_SLOW = 4
_PATIENCE_S = 2.0
# How long a process may take until it can read: it loads all loaders.
_START_S = 120.0
_LAST_WORDS = 500  # characters of what a process said that ended


class Extractor(Protocol):
    """Turns files into text, some at a time, without harm from any."""

    def submit(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Future[Examined]:
        """The document, as `ingest.loaders.registry.extract` reads it or what it raises; ReaderBug for a bug.

        Then it is examined. ReaderUnavailable, which is no fault of the file, where nothing can be read at all.
        """
        ...

    def close(self) -> None:
        """Ends what is being read."""
        ...


class ReadHere:
    """Reads at once, in this process and without limits on memory and time: for tests."""

    def submit(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Future[Examined]:
        future: Future[Examined] = Future()
        try:
            future.set_result(examine(extract(data, name, reading), examination.screening, self._redactor(examination)))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing is left to end."""

    def _redactor(self, examination: Examination) -> Redactor | None:
        return Redactor(examination.redaction) if examination.redaction.kinds else None


class ReadingProcesses:
    """Each of a few threads has a process of its own, started when it is first needed, and again after it ended."""

    def __init__(self, at_a_time: int) -> None:
        """`at_a_time` files are read beside those that take long."""
        self._at_a_time = at_a_time
        self._threads: ThreadPoolExecutor | None = None
        self._own = threading.local()
        self._running: set[ReadingProcess] = set()
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Future[Examined]:
        with self._lock:
            if self._threads is None:
                self._closed = False
                self._own = threading.local()
                self._threads = ThreadPoolExecutor(self._at_a_time + _SLOW, "extraction")
            return self._threads.submit(self._read, data, name, reading, examination)

    def close(self) -> None:
        """Ends what is being read, and all processes; the next file starts new ones."""
        with self._lock:
            threads, self._threads = self._threads, None
            running, self._running = list(self._running), set()
            self._closed = True
        if threads is None:
            return
        threads.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.end()
        threads.shutdown()

    def _read(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Examined:
        process: ReadingProcess | None = getattr(self._own, "process", None)
        if process is None or process.files >= _FILES_A_PROCESS:
            if process is not None:
                self._forget(process)
            process = self._own.process = ReadingProcess()
            with self._lock:
                self._running.add(process)
                if self._closed:
                    process.end()
        try:
            return process.read(data, name, reading, examination)
        except (ReadingEnded, ReaderUnavailable):
            self._forget(process)
            self._own.process = None
            raise

    def _forget(self, process: ReadingProcess) -> None:
        process.end()
        with self._lock:
            self._running.discard(process)


class ReadingEnded(Exception):
    """The process that reads has ended: it was closed, or killed from outside."""


class ReadingProcess:
    """One process of `ingest.extraction.server`; used by one thread."""

    def __init__(self) -> None:
        """Raises ReaderUnavailable."""
        self.files = 0
        self.gives_up: list[str] = []
        try:
            self._start()
        except OSError as error:
            raise _unavailable(str(error)) from error

    def _start(self) -> None:
        self._scratch = scratch = tempfile.mkdtemp(prefix="ragstone-reading-")
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *(path for path in sys.path if path)]),
            "LANG": "C.UTF-8",
            "TMPDIR": scratch,
            "HOME": scratch,
            "OPENBLAS_NUM_THREADS": "1",  # a process with threads must not fork
        }
        self._said = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - it is open as long as the process
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ingest.extraction.server", scratch],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=environment,
                cwd=scratch,
                start_new_session=True,  # an interrupt of the terminal is for us
            )
        except OSError:
            self._said.close()
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        self._in, self._out = self._process.stdin, self._process.stdout

    def read(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Examined:
        """Raises RefusedDocument, ReaderBug, ReadingEnded, and ReaderUnavailable from a process that never began."""
        assert self._in is not None and self._out is not None
        if not self.files:
            self._await_start()
        self.files += 1
        try:
            self._in.write(wire.request(data, name, reading, examination))
            self._in.flush()
            reply = self._out.readline()
        except (OSError, ValueError) as error:
            raise ReadingEnded(f"the process that reads files ended: {self._last_words() or error}") from error
        if not reply:
            raise ReadingEnded(f"the process that reads files ended: {self._last_words()}")
        return wire.examined_of(reply)

    def _await_start(self) -> None:
        assert self._out is not None
        poll = select.poll()
        try:
            poll.register(self._out, select.POLLIN)
            if not poll.poll(_START_S * 1000):
                raise _unavailable(f"it said nothing for {_START_S:g} s")
            self.gives_up = json.loads(self._out.readline())["gives_up"]
        except (OSError, ValueError) as error:
            raise _unavailable(self._last_words() or "it ended without a word") from error

    def _last_words(self) -> str:
        """The last line of what the process wrote to its error output; all of it goes to the log."""
        try:
            self._said.seek(0)
            said = self._said.read().decode("utf-8", "replace").strip()
        except (OSError, ValueError):  # it was closed
            return ""
        if said:
            log.error("the process that reads files said: %s", said)
        return said.rpartition("\n")[2][:_LAST_WORDS]

    def end(self) -> None:
        """Ends the process, and what it is reading."""
        assert self._in is not None and self._out is not None
        with suppress(OSError):
            self._in.close()  # it sees that nobody waits, and ends what it does
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._said.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _unavailable(why: str) -> ReaderUnavailable:
    return ReaderUnavailable(
        f"the program that reads files could not be started: {why}. Mend that, or install Ragstone again; "
        "what was uploaded waits until then."
    )
