"""The engine process, with llama.cpp for real and a model of 2 MB."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tiny_gguf import write_tiny_gguf

from generation.config import LlamaCppSettings
from generation.engine import Engine, connect, engine_files, private_folder, read_address, runtime_folder
from generation.errors import ModelUnavailable

SETTINGS = LlamaCppSettings(context_tokens=256, threads=1, linger_s=0)
LINGERING = SETTINGS.model_copy(update={"linger_s": 1000.0})
LONGEST_WAIT_S = 60


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what the test waits for never came")
        time.sleep(0.02)


def is_locked(file: Path) -> bool:
    if not file.exists():
        return False
    with file.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def engine_is_gone(folder: Path) -> bool:
    return not any(is_locked(file) for file in folder.glob("*.engine"))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf", says="ok")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A runtime folder; the test ends when its engines have."""
    runtime = tmp_path / "run"
    yield runtime
    wait_until(lambda: engine_is_gone(runtime))


@pytest.fixture
def open_engine(model_file: Path, folder: Path) -> Iterator[Callable[[LlamaCppSettings], Engine]]:
    """Connects, and lets all go at the end; engines that would linger are told to end."""
    opened: list[Engine] = []

    def open_one(settings: LlamaCppSettings = SETTINGS) -> Engine:
        opened.append(connect(settings, model_file, folder))
        return opened[-1]

    yield open_one
    for engine in opened:
        if engine.is_alive():
            os.kill(engine.address.pid, signal.SIGTERM)
        engine.close()


@contextmanager
def client_process(model_file: Path, folder: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process, killed at the end if need be.

    `settings`, `model_file` and `folder` are set in it, and `connect` is imported.
    """
    head = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from generation.config import LlamaCppSettings\n"
        "from generation.engine import connect\n"
        "settings = LlamaCppSettings.model_validate_json(sys.argv[1])\n"
        "model_file, folder = Path(sys.argv[2]), Path(sys.argv[3])\n"
    )
    command = [sys.executable, "-c", head + script, SETTINGS.model_dump_json(), str(model_file), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_two_clients_share_one_process(open_engine: Callable[..., Engine]) -> None:
    assert open_engine().address == open_engine().address


def test_clients_that_come_at_once_start_one_process(model_file: Path, folder: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        engines = list(threads.map(lambda _: connect(SETTINGS, model_file, folder), range(8)))
    assert len({engine.address.pid for engine in engines}) == 1
    for engine in engines:
        engine.close()


def test_other_settings_have_another_process(open_engine: Callable[..., Engine]) -> None:
    other = SETTINGS.model_copy(update={"context_tokens": 512})
    assert open_engine(SETTINGS).address.pid != open_engine(other).address.pid


def test_what_is_not_loaded_with_does_not_matter(model_file: Path, tmp_path: Path) -> None:
    other = SETTINGS.model_copy(update={"linger_s": 5.0, "reuse_prefix": False, "start_timeout_s": 9.0})
    assert engine_files(tmp_path, SETTINGS, model_file) == engine_files(tmp_path, other, model_file)


def test_a_changed_model_file_has_another_key(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"one")
    os.utime(file, ns=(1, 1))
    before = engine_files(tmp_path, SETTINGS, file)
    os.utime(file, ns=(2, 2))
    assert engine_files(tmp_path, SETTINGS, file) != before


def test_requests_without_the_secret_are_refused(open_engine: Callable[..., Engine]) -> None:
    address = open_engine().address
    with httpx.Client(base_url=address.url, trust_env=False) as client:
        bodies = {
            "/tokenize": {"content": "x"},
            "/completion": {"prompt": [1]},
            "/v1/chat/completions": {"messages": []},
        }
        for path, body in bodies.items():
            assert client.post(path, json=body).status_code == 401
            assert client.post(path, json=body, headers={"Authorization": "Bearer guess"}).status_code == 401
        answer = client.post(
            "/tokenize", json=bodies["/tokenize"], headers={"Authorization": f"Bearer {address.secret}"}
        )
        assert answer.json() == {"tokens": [ord("x")]}


def test_the_secret_is_only_in_a_private_file(open_engine: Callable[..., Engine], folder: Path) -> None:
    address = open_engine().address
    process = Path(f"/proc/{address.pid}")
    assert address.secret.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert address.secret not in repr(address)
    holding = [file for file in folder.iterdir() if address.secret in file.read_text()]
    assert [file.suffix for file in holding] == [".json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_engine_leaves_after_its_last_user(open_engine: Callable[..., Engine], folder: Path) -> None:
    first, second = open_engine(), open_engine()
    first.close()
    time.sleep(0.6)  # two looks of the engine at its users
    assert second.is_alive()
    second.close()
    wait_until(lambda: engine_is_gone(folder))
    assert not list(folder.glob("*.json"))
    assert not second.is_alive()


def test_engine_lingers_for_the_next_user(open_engine: Callable[..., Engine]) -> None:
    first = open_engine(LINGERING)
    first.close()
    time.sleep(0.6)
    assert open_engine(LINGERING).address == first.address


def test_engine_leaves_when_its_user_is_killed(model_file: Path, folder: Path) -> None:
    script = "engine = connect(settings, model_file, folder)\nprint(engine.address.pid, flush=True)\ntime.sleep(1000)\n"
    with client_process(model_file, folder, script) as user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        os.kill(pid, 0)  # it is there
        user.kill()
    wait_until(lambda: engine_is_gone(folder))


def test_engine_leaves_when_its_starter_is_killed_while_it_loads(model_file: Path, folder: Path) -> None:
    script = (
        "import threading\n"
        "threading.Thread(target=connect, args=(settings, model_file, folder), daemon=True).start()\n"
        "while not list(folder.glob('*.log')): time.sleep(0.001)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with client_process(model_file, folder, script) as starter:
        assert starter.wait(LONGEST_WAIT_S) == -signal.SIGKILL
    files = engine_files(folder, SETTINGS, model_file)
    wait_until(lambda: engine_is_gone(folder))
    assert read_address(files) is None
    engine = connect(SETTINGS, model_file, folder)
    assert engine.is_alive()
    engine.close()


def test_interrupting_the_starter_leaves_the_engine_to_the_others(
    open_engine: Callable[..., Engine], model_file: Path, folder: Path
) -> None:
    script = "engine = connect(settings, model_file, folder)\nprint('up', flush=True)\ntime.sleep(1000)\n"
    with client_process(model_file, folder, script) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        mine = open_engine()
        assert os.getsid(mine.address.pid) != os.getsid(starter.pid)  # out of reach of the terminal's Ctrl-C
        starter.kill()
    time.sleep(0.6)
    assert mine.is_alive()


def test_a_killed_engine_is_replaced(open_engine: Callable[..., Engine]) -> None:
    first = open_engine()
    os.kill(first.address.pid, signal.SIGKILL)
    wait_until(lambda: not first.is_alive())
    second = open_engine()
    assert second.address.pid != first.address.pid
    assert second.is_alive() and not first.is_alive()


def test_an_address_left_behind_is_not_believed(
    open_engine: Callable[..., Engine], model_file: Path, folder: Path
) -> None:
    private_folder(folder, os.getuid())
    stale = {"pid": os.getpid(), "port": 9, "secret": "s", "model": "m"}
    engine_files(folder, SETTINGS, model_file).address.write_text(json.dumps(stale))
    assert open_engine().address.pid != os.getpid()


def test_no_exit_status_is_left_uncollected(open_engine: Callable[..., Engine]) -> None:
    engine = open_engine()
    os.kill(engine.address.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{engine.address.pid}").exists())


def test_a_missing_model_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no-such\.gguf can't be read \(No such file"):
        connect(SETTINGS, tmp_path / "no-such.gguf", folder)
    with pytest.raises(ModelUnavailable, match="is not a file"):
        connect(SETTINGS, tmp_path, folder)


def test_a_file_that_is_no_model_is_named_with_the_reason(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.gguf"
    file.write_text("hello")
    with pytest.raises(ModelUnavailable, match=r"loading .*text\.gguf \(exit code 1\)[\s\S]*expected 'GGUF'"):
        connect(SETTINGS, file, folder)


def test_a_truncated_model_is_named_with_the_reason(folder: Path, model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "half.gguf"
    file.write_bytes(model_file.read_bytes()[:1_000_000])
    with pytest.raises(ModelUnavailable, match="corrupted or incomplete"):
        connect(SETTINGS, file, folder)


def test_an_abort_of_llama_cpp_is_reported(folder: Path, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "abort.gguf", says="ok", layers=0)
    with pytest.raises(ModelUnavailable, match=r"signal SIGABRT[\s\S]*GGML_ASSERT"):
        connect(SETTINGS, file, folder)


def test_too_little_memory_is_reported(folder: Path, model_file: Path) -> None:
    script = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "try: connect(settings.model_copy(update={'context_tokens': 1_000_000}), model_file, folder)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    with client_process(model_file, folder, script) as client:
        said = client.communicate(timeout=LONGEST_WAIT_S)[0]
    assert said.startswith("ModelUnavailable the engine ended while loading")
    assert "failed to allocate" in said


def test_a_start_that_takes_too_long_is_given_up(folder: Path, model_file: Path) -> None:
    hasty = SETTINGS.model_copy(update={"start_timeout_s": 0.01})
    with pytest.raises(ModelUnavailable, match=r"not ready after 0\.01 s \(start_timeout_s\)"):
        connect(hasty, model_file, folder)


def test_a_caller_that_is_gone_ends_the_wait(folder: Path, model_file: Path) -> None:
    abandoned = threading.Event()
    abandoned.set()
    with pytest.raises(ModelUnavailable, match="nobody waits"):
        connect(SETTINGS, model_file, folder, abandoned)


def test_a_hold_is_not_used_across_a_fork(model_file: Path, folder: Path) -> None:
    script = (
        "engine = connect(settings, model_file, folder)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: engine.is_alive()\n"
        "    except RuntimeError as error: os._exit(7 if 'fork' in str(error) else 8)\n"
        "    os._exit(9)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    with client_process(model_file, folder, script) as client:
        assert client.communicate(timeout=LONGEST_WAIT_S)[0] == "7\n"


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="belongs to user"):
        private_folder(tmp_path / "run", uid=os.getuid() + 1)


def test_a_link_is_no_runtime_folder(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(ModelUnavailable, match="is a link"):
        private_folder(tmp_path / "link", uid=os.getuid())


def test_an_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    assert stat.S_IMODE(private_folder(tmp_path / "run", os.getuid()).stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="file/run can't be used"):
        connect(SETTINGS, model_file, tmp_path / "file" / "run")


def test_runtime_folder_is_the_sessions_own_or_a_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_folder() == tmp_path / "ragstone"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert runtime_folder().name == f"ragstone-{os.getuid()}"
