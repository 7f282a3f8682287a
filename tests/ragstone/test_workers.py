"""Several processes over one data folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ragstone.models import ModelStore

pytestmark = pytest.mark.models


@contextmanager
def served_by(workers: int, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL of a service of so many processes, and the one above them. Ends it as Ctrl-C does."""
    command = [Path(sys.executable).with_name("ragstone"), "--data", folder, "serve", "--port", "0"]
    process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert address is not None
        yield address.group(), process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()


@contextmanager
def served_by_two(folder: Path) -> Iterator[tuple[str, int]]:
    """The URL of a service of two processes, and the id of the one above them."""
    with served_by(2, folder) as (url, process):
        yield url, process.pid


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and "spawn_main" in (path.parent / "cmdline").read_text():
            found.append(int(path.parent.name))
    return found


def when_it_answers(url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/healthz", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the service does not answer")


@pytest.mark.parametrize("workers", [1, 2])
def test_to_be_interrupted_is_the_ordinary_end(workers: int, tmp_path: Path) -> None:
    with served_by(workers, tmp_path) as (url, process):
        when_it_answers(url)
    assert process.returncode == 0


def revisions_seen(url: str, query: str) -> set[int]:
    """Of many searches, each on a connection of its own."""
    seen = set()
    for _ in range(20):
        reply = httpx.post(f"{url}/v1/search", json={"query": query, "k": 1}, timeout=60)
        seen.add(reply.json()["revision"])
    return seen


def test_no_process_outlives_the_one_above_them(tmp_path: Path, model_store: ModelStore) -> None:
    with served_by_two(tmp_path) as (url, parent):
        when_it_answers(url)
        below = children(parent)
        assert len(below) == 3
        os.kill(parent, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while alive := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < deadline, alive
            time.sleep(0.1)


def test_all_processes_show_a_commit_and_the_death_of_one_loses_nothing(
    tmp_path: Path, model_store: ModelStore
) -> None:
    with served_by_two(tmp_path) as (url, parent):
        when_it_answers(url)
        upload = f"{url}/v1/documents?wait=true"
        assert httpx.post(upload, files={"file": ("a.md", b"red pump")}, timeout=60).status_code == 200
        assert revisions_seen(url, "pump") == {1}
        before = children(parent)
        assert len(before) == 3  # two that serve, and the one that does the jobs
        for pid in before[:2]:
            os.kill(pid, signal.SIGKILL)
        when_it_answers(url)
        assert httpx.post(upload, files={"file": ("b.md", b"green pump")}, timeout=60).status_code == 200
        assert revisions_seen(url, "pump") == {2}
