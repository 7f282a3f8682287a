"""What a process that reads uploads gives up before it reads any: the network, and all files but the system's.

Each is as good as the kernel: user namespaces can be switched off, and Landlock is not in every kernel. The limits on
memory and time hold everywhere.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ingest.config import ExtractionSettings

_MIB = 1024 * 1024
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# landlock(7); the numbers of the calls are the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULESET_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_WITHOUT_REFER = (1 << 13) - 1  # all that the first version knows
_ADDED = ((2, 1 << 13), (3, 1 << 14))  # by version: linking between folders, cutting files off
_TCP = 0b11  # bind, connect
_TCP_SINCE = 4

# Where programs and their data are. What is not below one of these can't be read, such as homes and data folders.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/etc", "/nix", "/proc", "/sys")

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def isolate(scratch: Path, readable: Sequence[Path]) -> list[str]:
    """Gives up what the kernel lets a process give up, for good; returns what that is: `network`, `files`.

    `scratch` alone can be written; beside the system's folders, `readable` can be read. The process has one thread.
    """
    given_up = []
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        given_up.append("network")
    ruleset = ruleset_of(scratch, readable)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and confine(ruleset):
        given_up.append("files")
    if ruleset is not None:
        os.close(ruleset)
    return given_up


def limit(settings: ExtractionSettings) -> None:
    """Limits the calling process, which ends with its parent."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    memory = _address_space() + settings.memory_mib * _MIB
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (settings.cpu_s, settings.cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings.memory_mib * _MIB, settings.memory_mib * _MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _address_space() -> int:
    """Bytes that this process maps by now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


def ruleset_of(scratch: Path, readable: Sequence[Path]) -> int | None:
    """A descriptor by which `confine` leaves a process `scratch` to write, and `readable` and the system to read.

    None where the kernel has no Landlock.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, _RULESET_VERSION)
    if version < 1:
        return None
    everything = _WITHOUT_REFER
    for since, right in _ADDED:
        everything |= right if version >= since else 0
    rules = _Ruleset(everything, _TCP if version >= _TCP_SINCE else 0)
    size = ctypes.sizeof(rules) if version >= _TCP_SINCE else 8
    ruleset = int(_libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0))
    if ruleset < 0:
        return None
    reading = _EXECUTE | _READ_FILE | _READ_DIR
    for folder in (*_SYSTEM, *map(str, readable), sys.prefix, sys.base_prefix):
        _allow(ruleset, folder, reading)
    _allow(ruleset, "/dev", _READ_FILE | _WRITE_FILE | _READ_DIR)
    _allow(ruleset, str(scratch), everything)
    return ruleset


def confine(ruleset: int | None) -> bool:
    """Leaves the calling process only what the ruleset says, for good, beside what it gave up before."""
    return ruleset is not None and _libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0


def _allow(ruleset: int, folder: str, access: int) -> None:
    if not os.path.isdir(folder):
        return
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, descriptor)
        _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
