"""Reads files by processes that have little to lose, several at a time."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

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


class Extractor(Protocol):
    """Turns files into text, some at a time, without harm from any."""

    def submit(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Future[Examined]:
        """The document, as `ingest.loaders.registry.extract` reads it or what it raises; ReaderBug for a bug.

        Then it is examined.
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
        except ReadingEnded:
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
        self.files = 0
        self._scratch = scratch = tempfile.mkdtemp(prefix="ragstone-reading-")
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *(path for path in sys.path if path)]),
            "LANG": "C.UTF-8",
            "TMPDIR": scratch,
            "HOME": scratch,
            "OPENBLAS_NUM_THREADS": "1",  # a process with threads must not fork
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ingest.extraction.server", scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=scratch,
            start_new_session=True,  # an interrupt of the terminal is for us
        )
        self._in, self._out = self._process.stdin, self._process.stdout
        self.gives_up: list[str] = []

    def read(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Examined:
        """Raises RefusedDocument, ReaderBug and ReadingEnded."""
        assert self._in is not None and self._out is not None
        try:
            if not self.files:
                self.gives_up = json.loads(self._out.readline())["gives_up"]
            self.files += 1
            self._in.write(wire.request(data, name, reading, examination))
            self._in.flush()
            reply = self._out.readline()
        except (OSError, ValueError) as error:
            raise ReadingEnded(f"the process that reads files ended: {error}") from error
        if not reply:
            raise ReadingEnded("the process that reads files ended")
        return wire.examined_of(reply)

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
        shutil.rmtree(self._scratch, ignore_errors=True)
