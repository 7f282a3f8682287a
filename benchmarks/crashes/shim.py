"""`lossy_fs.c`, compiled at run time and put before the C library of a process that is started anew."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SOURCE = Path(__file__).with_name("lossy_fs.c")
VARIABLE = "LD_PRELOAD"
# One thread a library: a process with others is not forked from.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def compiled(place: Path) -> Path:
    """The shared object, made in `place` with the C compiler of the machine."""
    library = place / "lossy_fs.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl", "-lpthread"], check=True)
    return library


def is_loaded() -> bool:
    return hasattr(ctypes.CDLL(None), "lossy_arm")


def start_again(place: Path, arguments: Sequence[str]) -> None:
    """Replaces this process by one of the same program that the shim stands before."""
    environment = {**os.environ, **_ENVIRONMENT, VARIABLE: str(compiled(place))}
    os.execve(sys.executable, [sys.executable, *arguments], environment)


def arm(
    folder: Path,
    *,
    journal: int = -1,
    kill_at: int = 0,
    full: tuple[int, int] = (0, 0),
    read_only_from: int = 0,
    sync_fails_at: int = 0,
) -> None:
    """For this process from now on: what happens below `folder` is written to the open file `journal`.

    The process is killed at its change or message to a server number `kill_at`; changes within `full` find no space;
    from change `read_only_from` on all fail until it is armed again; one sync fails.
    """
    of_c = ctypes.CDLL(None).lossy_arm
    of_c.argtypes = [ctypes.c_char_p, ctypes.c_int, *[ctypes.c_long] * 5]
    of_c.restype = None
    of_c(os.fsencode(folder), journal, kill_at, *full, read_only_from, sync_fails_at)


def mark(word: str) -> None:
    """Puts a word into the journal, among the changes before and after it."""
    of_c = ctypes.CDLL(None).lossy_mark
    of_c.argtypes = [ctypes.c_char_p]
    of_c.restype = None
    of_c(word.encode())


def changes() -> int:
    """How many changes there were since the shim was armed."""
    of_c = ctypes.CDLL(None).lossy_changes
    of_c.restype = ctypes.c_long
    return int(of_c())


def syncs() -> int:
    of_c = ctypes.CDLL(None).lossy_syncs
    of_c.restype = ctypes.c_long
    return int(of_c())
