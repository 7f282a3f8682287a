"""Files are read by a process of their own, which no file can harm, and which harms nothing."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EmptyDocument, LimitExceeded, ReaderUnavailable, UnsupportedFormat
from ingest.extraction import process, server
from ingest.extraction.process import ReadHere, ReadingEnded, ReadingProcesses
from ingest.extraction.wire import Examination, ReaderBug
from ingest.loaders.reading import Reading
from ingest.types import Extracted, Hidden, Page

EXAMINATION = Examination()
MARKDOWN = (
    "---\ntitle: Tiere & “Pflanzen”\n---\n# Molche\n\nSie schwimmen \U0001f98e.\n\n## Futter\n\nWürmer.\n".encode()
)


@pytest.fixture
def processes() -> Iterator[ReadingProcesses]:
    reading = ReadingProcesses(1)
    yield reading
    reading.close()


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What reads the file in a fork of the server: the function that a test appends."""
    chosen: list[object] = []
    monkeypatch.setattr(server, "extract", lambda data, name, reading: chosen[0](data))  # type: ignore[operator]
    yield chosen


def served(data: bytes, limits: ExtractionSettings) -> Extracted:
    """As a reading process does it, in this one: `server._reply` forks."""
    from ingest.extraction.wire import examined_of

    return examined_of(server._reply(data, "a.txt", Reading(limits, max_text_mib=1), EXAMINATION.screening)).extracted


def test_a_file_is_read_as_it_would_be_here(processes: ReadingProcesses) -> None:
    here = ReadHere().submit(MARKDOWN, "tiere.md", Reading(), EXAMINATION).result()
    assert len(here.extracted.headings) == 2
    assert processes.submit(MARKDOWN, "tiere.md", Reading(), EXAMINATION).result() == here


def test_what_a_document_says_of_itself_comes_through(loader: list[object]) -> None:
    whole = Extracted(
        text="a\n\nb",
        title="\u2028",
        media_type="text/plain",
        pages=(Page(1, 0), Page(None, 3)),
        hidden=(Hidden("colour", "white words", 1), Hidden("size", "", None)),
        notes=("page 2 could not be read",),
    )
    loader.append(lambda data: whole)
    assert served(b"x", ExtractionSettings()) == whole


def test_refusals_come_through_with_their_words(processes: ReadingProcesses) -> None:
    for data, name, kind in (
        (b"", "empty.txt", EmptyDocument),
        (bytes(range(1, 9)) * 20, "a.txt", UnsupportedFormat),
        (b"%PDF-1.7 and no more", "a.pdf", CorruptDocument),
    ):
        with pytest.raises(kind) as here:
            ReadHere().submit(data, name, Reading(), EXAMINATION).result()
        with pytest.raises(kind) as there:
            processes.submit(data, name, Reading(), EXAMINATION).result()
        assert str(there.value) == str(here.value)


def test_a_bug_in_a_loader_is_told_with_its_traceback(loader: list[object]) -> None:
    loader.append(lambda data: 1 / 0)
    with pytest.raises(ReaderBug, match="ZeroDivisionError"):
        served(b"x", ExtractionSettings())


def spin(data: bytes) -> None:
    while True:
        pass


def test_a_file_that_takes_too_much_time_is_refused(loader: list[object]) -> None:
    loader.append(spin)
    with pytest.raises(
        LimitExceeded, match=r"^a\.txt: reading it took over 0\.2 s, the limit of `ingest\.extraction\.wall_s`"
    ):
        served(b"x", ExtractionSettings(wall_s=0.2))


def test_a_file_that_takes_too_much_processor_time_is_refused(loader: list[object]) -> None:
    loader.append(spin)
    with pytest.raises(LimitExceeded, match=r"^a\.txt: reading it took over 1 s of processor time"):
        served(b"x", ExtractionSettings(cpu_s=1, wall_s=60))


def test_a_file_that_takes_too_much_memory_is_refused(loader: list[object]) -> None:
    loader.append(lambda data: bytearray(400 * 1024 * 1024))
    with pytest.raises(LimitExceeded, match=r"^a\.txt: reading it takes more memory than 256 MiB"):
        served(b"x", ExtractionSettings(memory_mib=256))


def test_a_file_whose_text_never_ends_is_refused(loader: list[object]) -> None:
    loader.append(lambda data: Extracted(text="x" * 20 * 1024 * 1024, title="", media_type=""))
    with pytest.raises(LimitExceeded, match=r"^a\.txt: what was read of it takes over 11 MiB"):
        served(b"x", ExtractionSettings())


def test_a_file_that_breaks_the_loader_is_refused(loader: list[object]) -> None:
    loader.append(lambda data: os.kill(os.getpid(), signal.SIGTRAP))
    with pytest.raises(CorruptDocument, match=r"^a\.txt: the program that reads it broke down \(SIGTRAP\)"):
        served(b"x", ExtractionSettings())


def test_a_file_nested_too_deeply_for_python_is_refused(loader: list[object]) -> None:
    def down(data: bytes) -> None:
        down(data)

    loader.append(down)
    with pytest.raises(LimitExceeded, match=r"^a\.txt: is nested too deeply"):
        served(b"x", ExtractionSettings())


def test_programs_that_a_loader_started_end_with_it(loader: list[object], tmp_path: Path) -> None:
    noted = tmp_path / "pid"

    def start(data: bytes) -> None:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        noted.write_text(str(child), "ascii")
        spin(data)

    loader.append(start)
    with pytest.raises(LimitExceeded):
        served(b"x", ExtractionSettings(wall_s=0.5))
    deadline = time.monotonic() + 5
    while Path(f"/proc/{noted.read_text('ascii')}").exists():
        state = Path(f"/proc/{noted.read_text('ascii')}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
        if state == "Z":  # it has ended; whoever adopted it has not asked yet
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_was_killed_is_replaced(processes: ReadingProcesses) -> None:
    processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result()
    (running,) = processes._running
    running._process.kill()
    running._process.wait()
    with pytest.raises(ReadingEnded):
        processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result()
    assert processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result().extracted.title == "Tiere & “Pflanzen”"


def test_a_process_that_can_never_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = ReadingProcesses(1)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "broken" / "ingest").mkdir(parents=True)
    (tmp_path / "broken" / "ingest" / "__init__.py").write_text("raise ImportError('libxml2.so is missing')\n")
    for name, value, why in (
        ("ingest.extraction.process._ROOT", tmp_path / "broken", r"ImportError: libxml2\.so is missing\. Mend that"),
        ("sys.executable", str(tmp_path / "gone"), r"No such file or directory"),
    ):
        with monkeypatch.context() as broken:
            broken.setattr(name, value)
            for _ in range(2):
                with pytest.raises(ReaderUnavailable, match=rf"^the program that reads files could not be.*{why}"):
                    processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result()
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
    assert processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result().extracted.headings
    processes.close()


def test_a_process_that_says_nothing_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "__init__.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(process, "_ROOT", tmp_path)
    monkeypatch.setattr(process, "_START_S", 0.5)
    monkeypatch.setattr(process, "_PATIENCE_S", 0.1)
    processes = ReadingProcesses(1)
    with pytest.raises(ReaderUnavailable, match=r"it said nothing for 0\.5 s"):
        processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result()
    processes.close()


def test_closing_ends_what_is_being_read_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    processes = ReadingProcesses(1)
    processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result()
    (running,) = processes._running
    assert [path.name for path in tmp_path.iterdir()] == [Path(running._scratch).name]
    processes.close()
    assert running._process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_slow_files_leave_room_for_others(processes: ReadingProcesses) -> None:
    # A text whose clean-up takes a while, four times, and one small file behind them.
    slow = [processes.submit(b"x " * 8_000_000, "slow.txt", Reading(), EXAMINATION) for _ in range(4)]
    assert processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result().extracted.headings
    assert not all(future.done() for future in slow)


@pytest.mark.skipif(os.uname().release < "5.13", reason="Landlock came with Linux 5.13")
def test_a_reading_process_gives_up_network_and_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of another", "utf-8")
    listener = socket.create_server(("127.0.0.1", 0))
    said: dict[str, object] = {}

    def attempt() -> dict[str, str]:
        from ingest.extraction.isolation import isolate

        scratch = tmp_path / "scratch"
        scratch.mkdir()
        found = {"given up": " ".join(isolate(scratch, []))}
        for what, act in (
            ("read", lambda: secret.read_text("utf-8")),
            ("write", lambda: (tmp_path / "new").write_text("x", "utf-8")),
            ("connect", lambda: socket.create_connection(listener.getsockname(), 1)),
            ("scratch", lambda: (scratch / "new").write_text("x", "utf-8")),
            ("program", lambda: Path("/bin/sh").read_bytes()),
        ):
            try:
                act()
                found[what] = "done"
            except OSError as error:
                found[what] = type(error).__name__
        return found

    said = _in_a_fork(attempt)
    assert said.pop("given up") == "network files"
    assert said.pop("connect") != "done"
    assert said == {"read": "PermissionError", "write": "PermissionError", "scratch": "done", "program": "done"}
    listener.close()


def _in_a_fork(act) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """What `act` returns in a process of its own: isolation is for good."""
    import json

    assert threading.active_count() >= 1
    hearing, telling = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.write(telling, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(telling)
    with os.fdopen(hearing, "rb") as stream:
        said: dict[str, str] = json.loads(stream.read())
    os.waitpid(process, 0)
    return said
