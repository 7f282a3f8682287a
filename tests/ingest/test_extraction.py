"""Files are read by a process of their own, which no file can harm, and which harms nothing."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EmptyDocument, LimitExceeded, ReaderUnavailable, UnsupportedFormat
from ingest.extraction import process, server, wire
from ingest.extraction.process import ReadHere, ReadingEnded, ReadingProcesses
from ingest.extraction.wire import Examination, ReaderBug, Request
from ingest.loaders.formats import is_plain
from ingest.loaders.reading import Reading
from ingest.types import Extracted, Hidden, Page

EXAMINATION = Examination()
# For forks of this process, which other tests have made large: what ends with much memory is said to have run out.
ROOMY = ExtractionSettings(memory_mib=16_384)
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


def served_all(files: Sequence[bytes], limits: ExtractionSettings) -> list[bytes]:
    """The replies of a server in this process, which forks once for all of the files, in the order of the files."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as replies:
        hearing, telling = os.pipe()
        serving = server.Server(hearing, replies.fileno(), [server.Slot(Path(scratch) / "0", [])])
        reading = Reading(limits, max_text_mib=1)
        for number, data in enumerate(files):
            last = number == len(files) - 1
            os.write(telling, wire.request(Request(number, "a.txt", data, reading, EXAMINATION, with_next=not last)))
        said: list[bytes] = []
        while len(said) < len(files):
            assert serving.step()
            replies.seek(0)
            said = replies.readlines()
        os.close(telling)
        assert not serving.step()
        os.close(hearing)
        return [line for _, line in sorted((int(its.split()[0]), its.partition(b" ")[2]) for its in said)]


def served(data: bytes, limits: ExtractionSettings) -> Extracted:
    (reply,) = served_all([data], limits)
    return wire.examined_of(reply).extracted


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
        served(b"x", ROOMY)


def test_a_file_nested_too_deeply_for_python_is_refused(loader: list[object]) -> None:
    def down(data: bytes) -> None:
        down(data)

    loader.append(down)
    with pytest.raises(LimitExceeded, match=r"^a\.txt: is nested too deeply"):
        served(b"x", ExtractionSettings())


def test_programs_that_a_loader_started_end_with_it(loader: list[object]) -> None:
    hearing, telling = os.pipe()

    def start(data: bytes) -> None:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        os.write(telling, str(child).encode())
        spin(data)

    loader.append(start)
    with pytest.raises(LimitExceeded):
        served(b"x", ExtractionSettings(wall_s=0.5))
    started = Path("/proc") / os.read(hearing, 20).decode()
    deadline = time.monotonic() + 5
    while started.exists():
        state = (started / "stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
        if state == "Z":  # it has ended; whoever adopted it has not asked yet
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_small_files_of_plain_text_are_read_by_one_fork(loader: list[object]) -> None:
    loader.append(lambda data: Extracted(text=f"{data.decode()} by {os.getpid()}", title="", media_type="text/plain"))
    texts = [wire.examined_of(its).extracted.text for its in served_all([b"a", b"b", b"c"], ExtractionSettings())]
    assert [text[0] for text in texts] == ["a", "b", "c"]
    assert len({text[1:] for text in texts}) == 1


def test_what_is_handed_over_together_is_read_by_as_few_forks_as_can_be(
    processes: ReadingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Request] = []
    request = wire.request
    monkeypatch.setattr(wire, "request", lambda asked: told.append(asked) or request(asked))
    names = [*(f"{number}.md" for number in range(20)), "page.html", "last.md"]
    with processes.together():
        reading = [processes.submit(MARKDOWN, name, Reading(), EXAMINATION) for name in names]
        with pytest.raises(TimeoutError):
            reading[0].result(0.2)
        assert told == []
    assert len([future.result() for future in reading]) == 22
    ends = [asked.name for asked in told if not asked.with_next]
    assert ends == ["15.md", "19.md", "page.html", "last.md"]


def test_what_was_handed_over_before_an_error_is_read(processes: ReadingProcesses) -> None:
    with pytest.raises(KeyError), processes.together():
        reading = processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION)
        raise KeyError
    assert reading.result().extracted.headings


def test_a_file_costs_nothing_to_those_that_are_read_with_it(loader: list[object]) -> None:
    def read(data: bytes) -> Extracted:
        if data == b"bad":
            os.kill(os.getpid(), signal.SIGTRAP)
        return Extracted(text=data.decode(), title="", media_type="text/plain")

    loader.append(read)
    replies = served_all([b"a", b"bad", b"c", b"d"], ROOMY)
    with pytest.raises(CorruptDocument, match="SIGTRAP"):
        wire.examined_of(replies[1])
    assert [wire.examined_of(replies[its]).extracted.text for its in (0, 2, 3)] == ["a", "c", "d"]


def test_what_a_file_says_beyond_its_reply_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = b"".join(wire.refused(EmptyDocument(word)) for word in ("one", "two", "three"))
    monkeypatch.setattr(server, "_read", lambda *arguments: forged)
    with pytest.raises(EmptyDocument, match="one"):
        served(b"x", ExtractionSettings())


@pytest.mark.parametrize(
    ("name", "data", "plain"),
    [
        ("a.md", b"# Molche\n\tschwimmen\r\n", True),
        ("a.PY", b"def newt(): ...", True),
        ("a.md", b"\n%PDF-1.7 and so on", False),
        ("a.txt", b" {\\rtf1 Newts}", False),
        ("a.txt", b"GIF89a;", False),
        ("a.txt", b"BZh91AY&SY", False),
        ("a.txt", b"PK\x03\x04", False),
        ("a.txt", "Molche ä".encode("latin-1"), False),
        ("a.html", b"<p>Newts</p>", False),
        ("a.json", b"{}", False),
        ("a", b"Newts", False),
    ],
)
def test_only_what_python_alone_reads_is_read_with_others(name: str, data: bytes, plain: bool) -> None:
    assert is_plain(data, name) is plain


def test_a_process_that_was_killed_is_replaced(processes: ReadingProcesses) -> None:
    processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result()
    reading = processes.submit(b"x " * 8_000_000, "slow.txt", Reading(), EXAMINATION)
    running = processes._running
    assert running is not None
    running._process.kill()
    with pytest.raises(ReadingEnded):
        reading.result()
    assert processes.submit(MARKDOWN, "a.md", Reading(), EXAMINATION).result().extracted.title == "Tiere & “Pflanzen”"


def test_a_file_that_was_cancelled_is_not_read(processes: ReadingProcesses) -> None:
    slow = [processes.submit(b"x " * 8_000_000, "slow.txt", Reading(), EXAMINATION) for _ in range(40)]
    assert slow[-1].cancel()
    processes.close()
    with pytest.raises(ReadingEnded):
        slow[0].result()
    assert all(future.done() for future in slow)


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
    running = processes._running
    assert running is not None
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


@pytest.mark.skipif(os.uname().release < "5.13", reason="Landlock came with Linux 5.13")
def test_a_file_can_write_its_own_folder_and_not_that_of_another(loader: list[object]) -> None:
    def read(data: bytes) -> Extracted:
        Path("mine").write_text("x", "utf-8")
        (Path.cwd().parent / "1").mkdir()
        return Extracted(text="done", title="", media_type="text/plain")

    loader.append(read)
    with pytest.raises(ReaderBug, match=r"PermissionError.*/1'"):
        served(b"x", ExtractionSettings())


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
