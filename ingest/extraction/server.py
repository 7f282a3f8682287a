"""The process that reads uploads: it loads the loaders once, and forks for each file.

A request on standard input is a line of JSON and the file's bytes, a reply on standard output is one line of JSON. The
fork has limits on memory and processor time; this process watches its time and the size of what it says, and ends it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from ingest.config import ExtractionSettings, ScreeningSettings
from ingest.errors import CorruptDocument, LimitExceeded, RefusedDocument
from ingest.extraction import wire
from ingest.extraction.isolation import isolate, limit
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


def main(scratch: str) -> None:
    """Reads files until standard input ends."""
    folder = Path(scratch)
    code = Path(__file__).resolve().parents[2]
    given_up = isolate(folder, [code, *(Path(path) for path in sys.path if path)])
    os.nice(_NICER)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    replies.write(json.dumps({"gives_up": given_up}).encode("ascii") + b"\n")
    replies.flush()
    _warm_up()
    redactor: Redactor | None = None
    while line := requests.readline():
        head = json.loads(line)
        data = requests.read(head["size"])
        examination = wire.examination_of(head)
        if examination.redaction.kinds and redactor is None:  # built here once, since forks would each take seconds
            redactor = Redactor(examination.redaction)
        chosen = redactor if examination.redaction.kinds else None
        replies.write(_reply(data, head["name"], wire.reading_of(head), examination.screening, chosen))
        replies.flush()
        _empty(folder)


def _warm_up() -> None:
    """Loads what the first document would load, here once instead of in each fork."""
    wire.examine(extract(b"# A title\n\nSome words.", "warm.md", Reading()), ScreeningSettings(), None)


def _reply(
    data: bytes, name: str, reading: Reading, screening: ScreeningSettings, redactor: Redactor | None = None
) -> bytes:
    """Has a fork read the file; what becomes of it when it does not."""
    hearing, telling = os.pipe()
    process = os.fork()
    if process == 0:
        os.setpgid(0, 0)  # so that programs it starts end with it
        try:
            os.close(hearing)
            _silence()
            limit(reading.limits)
            _write(telling, _read(data, name, reading, screening, redactor))
        finally:
            os._exit(0)
    os.close(telling)
    most = reading.max_text_bytes * _REPLY_PER_TEXT + _MORE_REPLY
    try:
        said, why = _heard(hearing, most, reading.limits.wall_s)
    finally:
        os.close(hearing)
        _end(process)
        _, status, usage = os.wait4(process, 0)
    if said.endswith(b"\n"):
        return said
    return wire.refused(_broken(name, reading.limits, why, status, usage))


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


def _heard(hearing: int, most: int, wall_s: float) -> tuple[bytes, str]:
    """What the fork says, until it ends; and why it was not heard to its end, if so."""
    deadline = time.monotonic() + wall_s
    parts: list[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(hearing, select.POLLIN)
    poll.register(0, 0)  # only whether who asked is gone
    while True:
        left = deadline - time.monotonic()
        ready = dict(poll.poll(max(0, int(left * 1000))))
        if 0 in ready:
            return b"", "nobody waits for it"
        if hearing not in ready:
            return b"", f"reading it took over {wall_s:g} s, the limit of `ingest.extraction.wall_s`"
        part = os.read(hearing, _BLOCK)
        if not part:
            return b"".join(parts), ""
        parts.append(part)
        size += len(part)
        if size > most:
            return b"", f"what was read of it takes over {most / MIB:.0f} MiB"


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


def _end(process: int) -> None:
    for target in (-process, process):
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended, and all it started


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
