"""Children that are forked from a process which has imported everything and opened nothing, and may be killed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from crashes.checks import Found

_LONGEST_S = 120.0


def forked(work: Callable[[], None]) -> int:
    """Runs `work` in a child and returns its process id. An exception goes to the standard error."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        logging.disable(logging.CRITICAL)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(pid: int, within_s: float = _LONGEST_S) -> int | None:
    """The exit status of the child (negative: the signal that ended it), or None when it had to be killed for that."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def looked_at(look: Callable[[], Found], place: Path) -> Found:
    """Runs `look` in a child; `place` is a file for what it found. A crash of it is a problem like any other."""
    place.unlink(missing_ok=True)
    said = place.with_suffix(".said")

    def work() -> None:
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 2)
        place.write_bytes(look().encoded())

    status = ended(forked(work))
    if status == 0:
        return Found.decoded(place.read_bytes())
    lines = said.read_text(errors="replace").strip().splitlines() or ["nothing was said"]
    why = "did not end" if status is None else lines[-1]
    return Found(problems=[f"the look at the folder failed: {why}\n" + "\n".join(lines[-30:])])
