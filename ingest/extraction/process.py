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
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Protocol

from ingest.errors import ReaderUnavailable
from ingest.extraction import wire
from ingest.extraction.wire import Examination, Examined, Request, examine
from ingest.loaders.formats import is_plain
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.redaction import Redactor

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
# Of our environment, what a loader or a program that it starts may need.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "TZ")
# So large are files of which some are read by one fork, which takes some 8 ms.
_SMALL = 1 << 16
_TOGETHER = 16
_ENDED = "the process that reads files ended"
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

    def together(self) -> AbstractContextManager[None]:
        """What is submitted within is begun at its end, when it is known what can be read with less effort at once."""
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

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        """Nothing is left to end."""

    def _redactor(self, examination: Examination) -> Redactor | None:
        return Redactor(examination.redaction) if examination.redaction.kinds else None


class ReadingProcesses:
    """A process reads the files, by a fork for each; it is started with the first one, and again after it ended."""

    def __init__(self, at_a_time: int) -> None:
        """`at_a_time` files are read beside those that take long."""
        self._at_a_time = at_a_time + _SLOW
        self._running: ReadingServer | None = None
        self._lock = threading.Lock()

    def submit(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Future[Examined]:
        with self._lock:
            return self._server().submit(data, name, reading, examination)

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._lock:
            server = self._server()
        with server.together():
            yield

    def close(self) -> None:
        """Ends what is being read; the next file starts anew."""
        with self._lock:
            self._forget()

    def _server(self) -> ReadingServer:
        if self._running is None or self._running.ended:
            self._forget()
            self._running = ReadingServer(self._at_a_time)
        return self._running

    def _forget(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.end()


class ReadingEnded(Exception):
    """The process that reads has ended: it was closed, or killed from outside."""


class ReadingServer:
    """A process of `ingest.extraction.server`, a thread that tells it what to read, and one that hears its replies."""

    def __init__(self, at_a_time: int) -> None:
        """Raises ReaderUnavailable."""
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
                [sys.executable, "-P", "-m", "ingest.extraction.server", scratch, str(at_a_time)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=environment,
                cwd=scratch,
                start_new_session=True,  # an interrupt of the terminal is for us
            )
        except OSError as error:
            self._said.close()
            shutil.rmtree(scratch, ignore_errors=True)
            raise _unavailable(str(error)) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.gives_up: list[str] = []
        self.ended = False
        self._numbers = count()
        self._waiting: deque[_Asked] = deque()
        self._asked: dict[int, Future[Examined]] = {}
        self._held = 0  # by so many what is submitted is not begun yet
        self._change = threading.Condition()  # of all above
        self._threads = [threading.Thread(target=act, name="extraction") for act in (self._tell, self._listen)]
        for thread in self._threads:
            thread.start()

    def submit(self, data: bytes, name: str, reading: Reading, examination: Examination) -> Future[Examined]:
        """As `Extractor.submit`; the future can also raise ReadingEnded, and ReaderUnavailable if it never began."""
        future: Future[Examined] = Future()
        small = len(data) <= _SMALL and not examination.redaction.kinds and is_plain(data, name)
        request = Request(next(self._numbers), name, data, reading, examination, with_next=False)
        with self._change:
            if self.ended:
                future.set_exception(ReadingEnded(_ENDED))
            else:
                self._waiting.append(_Asked(request, small, future))
                self._change.notify()
        return future

    @contextmanager
    def together(self) -> Iterator[None]:
        """As `Extractor.together`."""
        with self._change:
            self._held += 1
        try:
            yield
        finally:
            with self._change:
                self._held -= 1
                self._change.notify()

    def _await_start(self) -> None:
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
        with self._change:
            self.ended = True
            self._change.notify()
        self._process.terminate()  # it ends what it does
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        with suppress(OSError):
            self._in.close()  # what is still in its buffer is for nobody
        self._out.close()
        self._said.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _tell(self) -> None:
        while (together := self._next()) is not None:
            last = together[-1]
            try:
                for asked in together:
                    self._in.write(wire.request(replace(asked.request, with_next=asked is not last)))
                self._in.flush()
            except (OSError, ValueError):
                return  # it has ended, and whoever listens tells of it

    def _next(self) -> list[_Asked] | None:
        """What is to be read next by one fork: a file, or some small ones; None at the end."""
        together: list[_Asked] = []
        with self._change:
            while not together:
                self._change.wait_for(lambda: (self._waiting and not self._held) or self.ended)
                if self.ended:
                    return None
                while self._waiting and len(together) < _TOGETHER:
                    if together and not (together[-1].small and self._waiting[0].small):
                        break
                    asked = self._waiting.popleft()
                    if asked.future.set_running_or_notify_cancel():
                        self._asked[asked.request.number] = asked.future
                        together.append(asked)
        return together

    def _listen(self) -> None:
        why: Exception
        try:
            self._await_start()
            while reply := self._out.readline():
                number, _, said = reply.partition(b" ")
                with self._change:
                    future = self._asked.pop(int(number))
                _settle(future, said)
            why = ReadingEnded(f"{_ENDED}: {self._last_words()}")
        except ReaderUnavailable as error:
            why = ReadingEnded(_ENDED) if self.ended else error
        with self._change:
            self.ended = True
            self._change.notify()
            left = [*self._asked.values(), *(asked.future for asked in self._waiting)]
            self._asked.clear()
            self._waiting.clear()
        for future in left:
            if future.running() or future.set_running_or_notify_cancel():
                future.set_exception(why)


@dataclass(frozen=True, slots=True)
class _Asked:
    """`small`: other small files may be read by the same fork."""

    request: Request
    small: bool
    future: Future[Examined]


def _settle(future: Future[Examined], said: bytes) -> None:
    try:
        future.set_result(wire.examined_of(said))
    except Exception as error:
        future.set_exception(error)


def _unavailable(why: str) -> ReaderUnavailable:
    return ReaderUnavailable(
        f"the program that reads files could not be started: {why}. Mend that, or install Ragstone again; "
        "what was uploaded waits until then."
    )
