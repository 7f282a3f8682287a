"""The process that reads uploads: it loads the loaders once, and forks for each file.

Requests come on standard input, and replies go to standard output as they are there (see `wire`). A fork has limits on
memory and processor time, and a folder of its own; this process watches its time and the size of what it says, and ends
it. Some small files of plain text are read by one fork, as forking would take longer than reading them; where that one
does not reply, each of them gets its own.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.config import ExtractionSettings, ScreeningSettings
from ingest.errors import CorruptDocument, LimitExceeded, RefusedDocument
from ingest.extraction import wire
from ingest.extraction.isolation import confine, isolate, limit, ruleset_of
from ingest.extraction.wire import Request
from ingest.loaders.reading import MIB, Reading
from ingest.loaders.registry import extract
from ingest.redaction import Redactor

_NICER = 10  # answers go first: see nice(1)
_BLOCK = 1 << 20
# JSON of a text is longer than the text: each quote and line end takes two bytes, and there are headings.
_REPLY_PER_TEXT = 3
_MORE_REPLY = 8 * MIB
# Of the memory that it may take: what had so much when a library ended its process, asked for twice that and ran out.
_MOSTLY = 0.5


def main(scratch: str, at_a_time: int) -> None:
    """Reads so many files at a time until standard input ends."""
    folder = Path(scratch)
    code = [Path(__file__).resolve().parents[2], *(Path(path) for path in sys.path if path)]
    slots = [Slot(folder / str(number), code) for number in range(at_a_time)]
    given_up = isolate(folder, code)
    os.nice(_NICER)
    _write(1, json.dumps({"gives_up": given_up}).encode("ascii") + b"\n")
    _warm_up()
    server = Server(0, 1, slots)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    try:
        while server.step():
            pass
    finally:
        server.close()


def _warm_up() -> None:
    """Loads what the first document would load, here once instead of in each fork."""
    wire.examine(extract(b"# A title\n\nSome words.", "warm.md", Reading()), ScreeningSettings(), None)


class Slot:
    """A folder that one fork at a time may write."""

    def __init__(self, folder: Path, readable: Sequence[Path]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ruleset = ruleset_of(folder, readable)

    def empty(self) -> None:
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Fork:
    """A process that reads some files."""

    process: int
    files: Sequence[Request]
    slot: Slot
    hearing: int
    deadline: float
    most: int  # bytes that it may say
    said: list[bytes] = field(default_factory=list)
    size: int = 0


class Server:
    """Has forks read what is asked for."""

    def __init__(self, requests: int, replies: int, slots: Sequence[Slot]) -> None:
        """`requests` and `replies` are file descriptors; each of `slots` serves one fork at a time."""
        self._requests = requests
        self._replies = replies
        self._free = list(slots)
        self._forks: dict[int, _Fork] = {}  # by what they are heard on
        self._again: deque[Request] = deque()  # files of forks that did not reply
        self._redactor: Redactor | None = None

    def step(self) -> bool:
        """Waits for what comes first and deals with it; False once nobody waits for anything."""
        while self._again and self._free:
            self._start([self._again.popleft()])
        poll = select.poll()
        poll.register(self._requests, select.POLLIN if self._free else 0)
        for hearing in self._forks:
            poll.register(hearing, select.POLLIN)
        left = min((fork.deadline for fork in self._forks.values()), default=None)
        ready = poll.poll(None if left is None else max(0, 1000 * (left - time.monotonic())))
        for descriptor, event in ready:
            if descriptor != self._requests:
                self._hear(self._forks[descriptor])
            elif not event & select.POLLIN or not self._take():
                return False
        for fork in list(self._forks.values()):
            if fork.deadline <= time.monotonic():
                limits = fork.files[0].reading.limits
                self._end(fork, f"reading it took over {limits.wall_s:g} s, the limit of `ingest.extraction.wall_s`")
        return True

    def _take(self) -> bool:
        """Has the next files read that are asked for together. False where there is nobody to ask."""
        files: list[Request] = []
        while not files or files[-1].with_next:
            request = wire.request_from(self._requests)
            if request is None:
                return False
            files.append(request)
        self._start(files)
        return True

    def _start(self, files: Sequence[Request]) -> None:
        redaction = files[0].examination.redaction
        if redaction.kinds and self._redactor is None:  # built here once, since forks would each take seconds
            self._redactor = Redactor(redaction)
        slot = self._free.pop()
        hearing, telling = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.setpgid(0, 0)  # so that programs it starts end with it
                for other in (hearing, *self._forks):
                    os.close(other)
                self._in_fork(files, slot, telling)
            finally:
                os._exit(0)
        os.close(telling)
        reading = files[0].reading
        most = len(files) * (reading.max_text_bytes * _REPLY_PER_TEXT + _MORE_REPLY)
        deadline = time.monotonic() + reading.limits.wall_s
        self._forks[hearing] = _Fork(process, files, slot, hearing, deadline, most)

    def _in_fork(self, files: Sequence[Request], slot: Slot, telling: int) -> None:
        _silence()
        os.chdir(slot.folder)
        os.environ["TMPDIR"] = os.environ["HOME"] = tempfile.tempdir = str(slot.folder)
        confine(slot.ruleset)
        limit(files[0].reading.limits)
        redactor = self._redactor if files[0].examination.redaction.kinds else None
        for file in files:
            _write(telling, _read(file.data, file.name, file.reading, file.examination.screening, redactor))

    def _hear(self, fork: _Fork) -> None:
        part = os.read(fork.hearing, _BLOCK)
        fork.said.append(part)
        fork.size += len(part)
        if not part:
            self._end(fork, "")
        elif fork.size > fork.most:
            fork.said.clear()
            self._end(fork, f"what was read of it takes over {fork.most / MIB:.0f} MiB")

    def _end(self, fork: _Fork, why: str) -> None:
        """Ends a fork, and passes on what it said; of what it did not say, `why` if that is known."""
        _kill(fork.process)
        _, status, usage = os.wait4(fork.process, 0)
        del self._forks[fork.hearing]
        os.close(fork.hearing)
        fork.slot.empty()
        self._free.append(fork.slot)
        lines = b"".join(fork.said).split(b"\n")[:-1]  # the last is empty, or was cut off
        for file, line in zip(fork.files, lines, strict=False):
            self._reply(file, line + b"\n")
        missing = fork.files[len(lines) :]
        if missing and len(fork.files) == 1:
            (file,) = fork.files
            self._reply(file, wire.refused(_broken(file.name, file.reading.limits, why, status, usage)))
        else:
            self._again.extend(missing)

    def _reply(self, file: Request, line: bytes) -> None:
        _write(self._replies, b"%d %s" % (file.number, line))

    def close(self) -> None:
        """Ends what is being read."""
        for fork in self._forks.values():
            _kill(fork.process)
            os.waitpid(fork.process, 0)


def _read(data: bytes, name: str, reading: Reading, screening: ScreeningSettings, redactor: Redactor | None) -> bytes:
    try:
        return wire.read(wire.examine(extract(data, name, reading), screening, redactor))
    except RefusedDocument as error:
        return wire.refused(error)
    except MemoryError:
        return wire.refused(LimitExceeded(f"{name}: {_memory(reading.limits)}"))
    except RecursionError:
        return wire.refused(LimitExceeded(f"{name}: is nested too deeply. Simplify it, or save it as text."))
    except Exception:
        return wire.bug(traceback.format_exc())


def _broken(
    name: str, limits: ExtractionSettings, why: str, status: int, usage: resource.struct_rusage
) -> RefusedDocument:
    """Why a fork has not replied."""
    if why:
        return LimitExceeded(f"{name}: {why}. Split the file, or raise the limit.")
    out_of_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    if out_of_time or usage.ru_utime + usage.ru_stime >= limits.cpu_s:
        return LimitExceeded(
            f"{name}: reading it took over {limits.cpu_s} s of processor time, the limit of `ingest.extraction.cpu_s`. "
            "Split the file, or raise the limit."
        )
    if os.WIFSIGNALED(status) and usage.ru_maxrss * 1024 < _MOSTLY * limits.memory_mib * MIB:
        how = signal.Signals(os.WTERMSIG(status)).name
        return CorruptDocument(
            f"{name}: the program that reads it broke down ({how}): it is damaged, or made to do that, or takes more "
            f"memory than `ingest.extraction.memory_mib` ({limits.memory_mib}). Save it again, or in another format."
        )
    return LimitExceeded(f"{name}: {_memory(limits)}")


def _memory(limits: ExtractionSettings) -> str:
    return (
        f"reading it takes more memory than {limits.memory_mib} MiB, the limit of `ingest.extraction.memory_mib`. "
        "Split the file, or raise the limit."
    )


def _silence() -> None:
    """What loaders and their libraries print is neither a request nor a reply, nor for our terminal."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _write(descriptor: int, reply: bytes) -> None:
    view = memoryview(reply)
    while view:
        view = view[os.write(descriptor, view) :]


def _kill(process: int) -> None:
    for target in (-process, process):
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended, and all it started


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
