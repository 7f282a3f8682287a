"""Processes that end with the one that started them, and those that end at the latest after a while."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.ending import ending_with_this

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "that took too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def started(program: str, *arguments: object, path: str = "") -> subprocess.Popen[str]:
    """A Python program that says something when it is ready."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path + os.environ["PATH"]}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_command_is_what_it_was_and_says_what_it_says() -> None:
    done = subprocess.run(ending_with_this(["sh", "-c", "echo said; exit 3"]), stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (3, "said\n")
    done = subprocess.run(ending_with_this(["no-such-program"]), stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "no-such-program can't be started: No such file or directory\n")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_ends_with_who_started_it(how: signal.Signals) -> None:
    program = (
        "import subprocess\n"
        "from ingest.ending import ending_with_this\n"
        "command = ending_with_this(['sh', '-c', 'echo $$; exec sleep 600'])\n"
        "subprocess.Popen(command).wait()\n"
    )
    with started(program) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.send_signal(how)
        process.wait(PATIENCE_S)
        until(lambda: not alive(pid))


def test_a_command_whose_starter_ended_before_does_not_begin(tmp_path: Path) -> None:
    command = ending_with_this(["touch", str(tmp_path / "begun")])
    command[4] = "1"  # another process than ours
    assert subprocess.run(command).returncode == -signal.SIGTERM
    assert not (tmp_path / "begun").exists()


def test_a_git_that_waits_for_the_network_ends_with_who_started_it(tmp_path: Path) -> None:
    git = tmp_path / "git"
    git.write_text(f'#!/bin/sh\ncase "$*" in *" fetch "*) echo $$ > {tmp_path}/pid.part; ')
    with git.open("a") as file:
        file.write(f"mv {tmp_path}/pid.part {tmp_path}/pid; exec sleep 600;; esac\n")
    git.chmod(0o755)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ingest.sources.git import GitReader\n"
        "from ingest.sources.types import SourceSettings\n"
        "settings = SourceSettings(kind='git', location='https://git.example.org/x.git')\n"
        "list(GitReader(settings, Path(sys.argv[1])).list(lambda: False))\n"
    )
    with started(program, tmp_path / "copy", path=f"{tmp_path}{os.pathsep}") as process:
        until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert alive(pid)
        process.kill()
        process.wait(PATIENCE_S)
        until(lambda: not alive(pid))


def test_what_hangs_is_ended_by_the_kernel() -> None:
    program = (
        "import signal, time\n"
        "from ingest.ending import end_within\n"
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        "end_within(0.2)\n"
        "while True:\n"
        "    time.sleep(600)\n"
    )
    with started(program) as process:
        assert process.wait(PATIENCE_S) == -signal.SIGALRM
