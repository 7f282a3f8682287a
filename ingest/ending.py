"""Processes that end with the one that started them, whatever ends that: the kernel sees to it (prctl(2), on Linux).

    python ingest/ending.py PID COMMAND...

becomes COMMAND, which is asked to end (SIGTERM) when the process PID that started it does. Elsewhere than on Linux
neither holds, and who needs it watches a pipe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def end_with(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Has the kernel send `by` to the calling process when the thread of the process `parent` ends that started it."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)
    if os.getppid() != parent:  # it had ended before it was asked for
        os.kill(os.getpid(), by)


def ending_with_this(command: Sequence[str]) -> list[str]:
    """A command that does the same as `command`, and is asked to end when the thread that started it does."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def end_within(seconds: float) -> None:
    """Has the kernel end the calling process after so many seconds, whatever it hangs at. For the main thread."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> None:
    end_with(int(sys.argv[1]), signal.SIGTERM)
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main()
