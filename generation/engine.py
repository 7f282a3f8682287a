"""The llama.cpp engine: one process per machine, user and model, shared by all workers and command line calls.

`python -m generation.engine` is that process; `connect` finds it or starts it. They meet in a runtime folder that only
this user can read. The files there are named by a key, the hash of what was loaded and how:

    KEY.engine  locked by the engine from before it loads until it is gone. The client that finds it free locks it and
                hands the lock to the process it starts, so the kernel says who lives, also after kill -9.
    KEY.users   locked (shared) by each client. When the engine can lock it alone for `linger_s`, nobody uses it, and it
                leaves. The kernel drops the lock of a client that was killed.
    KEY.json    process id, port and secret; there when the engine is ready.
    KEY.log     what the engine wrote since it was started.

Locks are those of flock(2): Linux and macOS.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import math
import os
import resource
import secrets
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from generation.config import LlamaCppSettings
from generation.errors import ModelUnavailable

_POLL_S = 0.05  # a client's step while it waits for an engine
_WATCH_S = 0.25  # the engine's step while it looks for users
_LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where a ready engine listens. The secret goes into the `Authorization: Bearer` header of every request."""

    pid: int
    port: int
    secret: str = field(repr=False)
    model: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """The files by which clients and engine of one key find each other."""

    folder: Path
    key: str

    @property
    def engine(self) -> Path:
        return self.folder / f"{self.key}.engine"

    @property
    def users(self) -> Path:
        return self.folder / f"{self.key}.users"

    @property
    def address(self) -> Path:
        return self.folder / f"{self.key}.json"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.key}.log"


class Engine:
    """A client's hold on a running engine: the engine stays as long as one is open.

    A hold belongs to the process that opened it; after a fork the child must connect again.
    """

    def __init__(self, files: EngineFiles, address: EngineAddress, users: BinaryIO) -> None:
        self._files = files
        self._users = users
        self._owner = os.getpid()
        self.address = address

    def is_alive(self) -> bool:
        """Whether the very engine that this hold was opened on still runs, where a new client would look for it."""
        if os.getpid() != self._owner:
            raise RuntimeError("this hold on the engine was opened before a fork: connect again in the child")
        try:
            free = _try_lock(self._files.engine, fcntl.LOCK_SH)
        except FileNotFoundError:  # the system has cleaned the folder away
            return False
        if free is not None:
            free.close()
            return False
        return read_address(self._files) == self.address

    def close(self) -> None:
        """Lets the engine go. Safe to call again."""
        self._users.close()


def runtime_folder() -> Path:
    """`$XDG_RUNTIME_DIR/ragstone`, or `ragstone-UID` in the folder for temporary files."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if given and Path(given).is_dir():
        return Path(given) / "ragstone"
    return Path(tempfile.gettempdir()) / f"ragstone-{os.getuid()}"


def private_folder(folder: Path, uid: int) -> Path:
    """Makes `folder` with mode 0700. Raises ModelUnavailable where it is a link or does not belong to user `uid`."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
            raise ModelUnavailable(
                f"the runtime folder {folder} is a link or belongs to user {found.st_uid}, not {uid}: remove it"
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise ModelUnavailable(f"the runtime folder {folder} can't be used: {error}") from error
    return folder.absolute()


def engine_files(folder: Path, settings: LlamaCppSettings, model_file: Path) -> EngineFiles:
    """The files of the engine that serves this model with these settings. Raises ModelUnavailable without the model."""
    try:
        found = model_file.stat()
    except OSError as error:
        raise ModelUnavailable(
            f"the model file {model_file} can't be read ({error.strerror}): run `ragstone models fetch`, "
            "or name another in generation.model.model"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise ModelUnavailable(f"the model file {model_file} is not a file")
    identity = [str(model_file.resolve()), found.st_size, found.st_mtime_ns]
    loaded_with = [settings.context_tokens, settings.slots, thread_count(settings), settings.batch_tokens]
    key = hashlib.sha256(json.dumps([identity, loaded_with]).encode()).hexdigest()[:16]
    return EngineFiles(folder, key)


def thread_count(settings: LlamaCppSettings) -> int:
    """`threads`, where 0 stands for the cores that this process may run on."""
    if settings.threads:
        return settings.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_address(files: EngineFiles) -> EngineAddress | None:
    """The address that the engine published, or None before it is ready."""
    try:
        return EngineAddress(**json.loads(files.address.read_text()))
    except FileNotFoundError:
        return None


def connect(
    settings: LlamaCppSettings,
    model_file: Path,
    folder: Path | None = None,
    abandoned: threading.Event | None = None,
) -> Engine:
    """Finds the engine for this model and these settings, or starts it, and waits until it is ready. Blocks.

    Args:
        folder: the runtime folder, by default `runtime_folder()`.
        abandoned: set it in another thread to stop waiting.

    Raises:
        ModelUnavailable: no such model file, the engine ended while loading (its last words are in the message), or
            it was not ready within `start_timeout_s`.
    """
    files = engine_files(private_folder(folder or runtime_folder(), os.getuid()), settings, model_file)
    patience = _Patience(settings.start_timeout_s, abandoned or threading.Event())
    try:
        # First: an engine never leaves while this is locked, so one that is found alive below stays.
        users = _lock_users(files, patience)
        try:
            return Engine(files, _find_or_start(settings, model_file.resolve(), files, patience), users)
        except BaseException:
            users.close()
            raise
    except OSError as error:
        raise ModelUnavailable(f"the engine can't be started with {files.folder}: {error}") from error


class _Patience:
    """How long a client waits: until a deadline, or until its caller has gone."""

    def __init__(self, timeout_s: float, abandoned: threading.Event) -> None:
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._abandoned = abandoned

    def wait(self, files: EngineFiles) -> None:
        if self._abandoned.wait(_POLL_S):
            raise ModelUnavailable("nobody waits for the engine any more")
        if time.monotonic() > self._deadline:
            raise ModelUnavailable(
                f"the engine was not ready after {self._timeout_s:g} s (start_timeout_s); {last_words(files)}"
            )


def _lock_users(files: EngineFiles, patience: _Patience) -> BinaryIO:
    while (users := _try_lock(files.users, fcntl.LOCK_SH)) is None:
        patience.wait(files)  # the engine is leaving, and holds the lock until it is gone
    return users


def _find_or_start(
    settings: LlamaCppSettings, model_file: Path, files: EngineFiles, patience: _Patience
) -> EngineAddress:
    started: subprocess.Popen[bytes] | None = None
    while True:
        lock = _try_lock(files.engine, fcntl.LOCK_EX)
        if lock is None:  # an engine is loading or ready
            address = read_address(files)
            if address is not None and _listens(address):
                return address
        else:
            with lock:
                if started is not None:
                    raise ModelUnavailable(_obituary(model_file, started, files))
                files.address.unlink(missing_ok=True)  # left by an engine that was killed
                started = _spawn(settings, model_file, files, lock.fileno())
        patience.wait(files)


def _listens(address: EngineAddress) -> bool:
    """False for the address of a dead engine, which lies there until the client that starts the next removes it."""
    try:
        socket.create_connection(("127.0.0.1", address.port), timeout=1).close()
    except OSError:
        return False
    return True


def _spawn(settings: LlamaCppSettings, model_file: Path, files: EngineFiles, lock: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "generation.engine", settings.model_dump_json()]
    command += [str(model_file), str(files.folder), files.key, str(lock)]
    # llama.cpp's threads meet hundreds of times a token, and by default spin until the last one is there. With other
    # work on the cores (an ingest) that made answers 3 times slower than a short spin, which costs 7 % without any.
    environment = {"GOMP_SPINCOUNT": "1000"} | os.environ
    descriptor = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as log:
        # A session of its own: Ctrl-C in the terminal of who started it must not end it for the others.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
            cwd="/",
            env=environment,
        )
    # Collects the exit status, so that a long-lived client keeps no zombie.
    threading.Thread(target=process.wait, name="ragstone-engine-exit", daemon=True).start()
    return process


def _obituary(model_file: Path, process: subprocess.Popen[bytes], files: EngineFiles) -> str:
    code = process.wait(timeout=10)
    how = f"exit code {code}"
    if code < 0:
        how = f"signal {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += ", which the system sends when memory runs out"
        elif -code == signal.SIGALRM:
            how += ": start_timeout_s was over"
    return f"the engine ended while loading {model_file} ({how}); {last_words(files)}"


def last_words(files: EngineFiles) -> str:
    """The last lines of the engine's log, for a message."""
    try:
        lines = files.log.read_text(errors="replace").strip().splitlines()[-_LOG_LINES:]
    except FileNotFoundError:
        lines = []
    return f"last lines of {files.log}:\n" + "\n".join(lines or ["(nothing)"])


def _try_lock(path: Path, kind: int) -> BinaryIO | None:
    """The file, locked until it is closed by this process and by those that inherited it; None if others hold it."""
    file = _open(path)
    if _lock_if_free(file, kind):
        return file
    file.close()
    return None


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)


def _lock_if_free(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# ---- the engine process -------------------------------------------------------------------------------------------


def serve(settings: LlamaCppSettings, model_file: Path, files: EngineFiles) -> NoReturn:
    """Loads the model, publishes the address, and ends the process when nobody has used it for `linger_s`."""
    # llama.cpp may abort(): no core file of the model's size, and no debugger for its backtrace.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["GGML_NO_BACKTRACE"] = "1"
    # llama.cpp holds Python's lock while it loads, so only the kernel can end a load that hangs.
    signal.alarm(math.ceil(settings.start_timeout_s))
    users = _open(files.users)
    secret = secrets.token_urlsafe(32)
    server = _load(settings, model_file, secret)
    signal.alarm(0)
    port = int(server.listening_address.rpartition(":")[2])
    address = EngineAddress(os.getpid(), port, secret, str(model_file))
    _publish(files, address)
    _lock_when_unused(users, settings.linger_s)
    if read_address(files) == address:  # else the folder was cleaned away, and a new engine has moved in
        files.address.unlink(missing_ok=True)
    # Both locks go with the process. llama.cpp's own shutdown would finish work that nobody waits for.
    os._exit(0)


def _load(settings: LlamaCppSettings, model_file: Path, secret: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file)
    params.n_ctx = settings.context_tokens * settings.slots  # llama.cpp counts over all slots
    params.n_parallel = settings.slots
    params.n_batch = params.n_ubatch = settings.batch_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = thread_count(settings)
    params.fit_params = False  # fail for lack of memory rather than shrink the context
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [secret]
    params.n_threads_http = 16 + 4 * settings.slots  # a stream keeps its thread; others must still be heard
    params.sse_ping_interval = 15
    params.ui = params.endpoint_slots = params.cache_idle_slots = False
    params.offline = True
    params.cache_ram_mib = 0  # state of one request must never reach another (docs: "Answers")
    params.verbosity = 2  # warnings and errors: no questions in the log, and it stays small
    return xllamacpp.Server(params)


def _publish(files: EngineFiles, address: EngineAddress) -> None:
    new = files.address.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(address), file)
    os.replace(new, files.address)


def _lock_when_unused(users: BinaryIO, linger_s: float) -> None:
    """Returns with the users file locked for this process alone: who comes now waits until the engine is gone."""
    unused_since: float | None = None
    while True:
        if _lock_if_free(users, fcntl.LOCK_EX):
            now = time.monotonic()
            unused_since = now if unused_since is None else unused_since
            if now - unused_since >= linger_s:
                return
            fcntl.flock(users, fcntl.LOCK_UN)
        else:
            unused_since = None
        time.sleep(_WATCH_S)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m generation.engine", description="Started by Ragstone itself.")
    parser.add_argument("settings", type=LlamaCppSettings.model_validate_json)
    parser.add_argument("model_file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("key")
    parser.add_argument("lock", type=int, help="descriptor of KEY.engine, locked; kept until the process ends")
    given = parser.parse_args()
    try:
        serve(given.settings, given.model_file, EngineFiles(given.folder, given.key))
    except RuntimeError as error:  # llama.cpp has written its reasons already
        sys.exit(f"llama.cpp: {error}")


if __name__ == "__main__":
    main()
