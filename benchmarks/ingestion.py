"""Ingestion, measured end to end: throughput, memory, and the sweep of a folder in which nothing changed.

    python benchmarks/ingestion.py throughput --documents DIR [--rounds N]
    python benchmarks/ingestion.py memory [--mib N]
    python benchmarks/ingestion.py sweep [--files N]

`throughput`: chunks a second from files in a folder to passages that are found, over chunks a second of the bare
embedder on the same inputs, one after the other in each round. `memory`: what the processes of `ragstone refresh` hold
while they take in a folder of so many MiB, made here: office files and PDFs with pictures, long texts, many short ones.
`sweep`: a refresh of a folder of so many small files, of which none has changed.

Every command works in a temporary folder, with the embedder that the settings name; prints a table, or `--json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ingest.chunks.chunking import chunk
from ingest.config import IngestSettings
from ingest.loaders.registry import extract
from ingest.preparing import SPECIAL_TOKENS
from ingest.sources.types import SourceSettings
from ragstone.settings import Settings
from ragstone.wiring import Application
from retrieval.hash_embedder import HashEmbedder

MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


def throughput(arguments: argparse.Namespace) -> dict[str, Any]:
    """Each round: the bare embedder over all inputs, then the same files from an empty data folder."""
    inputs = _inputs(arguments.documents)
    rows: list[dict[str, float]] = []
    for _ in range(arguments.rounds):
        with _application() as application:
            embedder = application.embedder
            embedder.embed_documents(inputs[:32])
            started = time.perf_counter()
            embedder.embed_documents(sorted(inputs, key=len, reverse=True))
            bare = len(inputs) / (time.perf_counter() - started)
            started = time.perf_counter()
            application.sources.put("docs", SourceSettings(kind="folder", location=str(arguments.documents)))
            _refresh(application)
            application.searcher.follow()
            seconds = time.perf_counter() - started
            chunks = application.catalog.counts()["chunks"]
        rows.append({"bare": bare, "end_to_end": chunks / seconds, "ratio": chunks / seconds / bare, "chunks": chunks})
    names = ("bare", "end_to_end", "ratio")
    return {
        "inputs": len(inputs),
        "chunks": rows[0]["chunks"],
        **{name: statistics.median(row[name] for row in rows) for name in names},
        "rounds": rows,
    }


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Resident memory of `ragstone refresh` and the processes that it starts, twice a second."""
    work = Path(tempfile.mkdtemp(prefix="ragstone-memory-"))
    try:
        written = _make_folder(work / "documents", arguments.mib)
        command = [str(Path(sys.executable).with_name("ragstone")), "--data", str(work / "data")]
        add = [*command, "sources", "add", "docs", "folder", str(work / "documents")]
        subprocess.run(add, check=True, capture_output=True)
        started = time.perf_counter()
        process = subprocess.Popen([*command, "refresh", "docs"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        samples = []
        while process.poll() is None:
            samples.append((time.perf_counter() - started, _resident(process.pid)))
            time.sleep(0.5)
        said = process.stdout.read().decode() if process.stdout else ""
        seconds = time.perf_counter() - started
    finally:
        shutil.rmtree(work, ignore_errors=True)
    totals = [sum(parts.values()) / MIB for _, parts in samples]
    tenth = max(1, len(totals) // 10)
    return {
        "files": written["files"],
        "mib": round(written["bytes"] / MIB),
        "seconds": seconds,
        "peak_mib": max(totals),
        "median_mib": statistics.median(totals),
        "tenths_mib": [round(max(totals[start : start + tenth])) for start in range(0, len(totals), tenth)],
        "exit_code": process.returncode,
        "said": said.strip().splitlines()[-1:],
    }


def sweep(arguments: argparse.Namespace) -> dict[str, Any]:
    """Files of one sentence, taken in once with vectors that cost nothing; then refreshes that find nothing new."""
    work = Path(tempfile.mkdtemp(prefix="ragstone-sweep-"))
    try:
        folder = work / "documents"
        for number in range(arguments.files):
            path = folder / f"{number % 100:02}" / f"{number}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# Note {number}\n\nThe valve {number} is opened in spring.\n", "utf-8")
        time.sleep(2.5)  # until their times are trusted
        with _application(HashEmbedder()) as application:
            application.sources.put("notes", SourceSettings(kind="folder", location=str(folder)))
            started = time.perf_counter()
            _refresh(application)
            first = time.perf_counter() - started
            times = []
            for _ in range(arguments.rounds):
                before = application.catalog.head()
                started = time.perf_counter()
                _refresh(application)
                times.append(time.perf_counter() - started)
                assert application.catalog.head() == before
        return {"files": arguments.files, "first_s": first, "sweep_s": statistics.median(times), "rounds": times}
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _application:
    """An application over an empty data folder, which goes with it."""

    def __init__(self, embedder: Any = None) -> None:
        self._folder = tempfile.mkdtemp(prefix="ragstone-ingest-")
        self._application = Application(Settings(data=Path(self._folder)), embedder=embedder)

    def __enter__(self) -> Application:
        self._application.embedders.in_use()
        self._application.worker.start()
        return self._application

    def __exit__(self, *failure: object) -> None:
        self._application.worker.stop()
        self._application.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _refresh(application: Application) -> None:
    told = threading.Event()
    application.worker.listeners.add(lambda job_id: told.set())
    (job_id,) = application.sources.request()
    application.worker.wake()
    while (job := application.queue.get(job_id)).state not in ("done", "failed", "dead"):
        told.wait(1)  # to look more often takes more than the work does
        told.clear()
    (source,) = application.sources.all()
    if job.state != "done" or source.last_run is None or source.last_run.failed:
        raise SystemExit(f"the refresh went wrong: {job}")


def _inputs(documents: Path) -> list[str]:
    """What the embedder is given of these files, each once."""
    settings = IngestSettings()
    with _application() as application:
        embedder = application.embedder
        found: dict[str, None] = {}
        for path in sorted(documents.rglob("*")):
            if path.is_file():
                extracted = extract(path.read_bytes(), path.name)
                tokens = min(settings.chunk_tokens, embedder.max_tokens - SPECIAL_TOKENS)
                spans = chunk(extracted, count_tokens=embedder.count_tokens, chunk_tokens=tokens, overlap_tokens=0)
                found.update(dict.fromkeys(span.input for span in spans))
        return list(found)


def _resident(pid: int) -> dict[int, int]:
    """Bytes that the process and its descendants hold, each page of what they share counted for its share (PSS)."""
    found: dict[int, int] = {}
    waiting = [pid]
    while waiting:
        its = waiting.pop()
        try:
            rollup = Path(f"/proc/{its}/smaps_rollup").read_text("ascii")
            children = Path(f"/proc/{its}/task/{its}/children").read_text("ascii").split()
            for task in Path(f"/proc/{its}/task").iterdir():
                children += (task / "children").read_text("ascii").split()
        except (OSError, ProcessLookupError):
            continue  # it ended meanwhile
        pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        found[its] = int(pss.split()[1]) * 1024
        waiting += [int(child) for child in set(children) if int(child) not in found]
    return found


def _make_folder(folder: Path, mib: int) -> dict[str, int]:
    """Two fifths pictures in DOCX files, two fifths long texts of paragraphs that recur, one fifth binary refusals."""
    import docx

    folder.mkdir(parents=True)
    dice = random.Random(7)
    words = [f"w{number:04}" for number in range(3000)]
    paragraphs = [" ".join(dice.choices(words, k=70)) for _ in range(600)]
    files = size = 0

    def noted(path: Path) -> None:
        nonlocal files, size
        files += 1
        size += path.stat().st_size

    while size < mib * MIB * 2 // 5:
        picture = _png(dice.randbytes(4 * MIB))
        document = docx.Document()
        document.add_heading(f"Report {files}", 1)
        document.add_paragraph(dice.choice(paragraphs))
        (folder / "picture.png").write_bytes(picture)
        document.add_picture(str(folder / "picture.png"))
        (folder / "picture.png").unlink()
        path = folder / f"report{files}.docx"
        document.save(str(path))
        noted(path)
    while size < mib * MIB * 4 // 5:
        path = folder / f"log{files}.md"
        sections = (f"## Section {dice.randrange(4)}\n\n{dice.choice(paragraphs)}\n\n" for _ in range(20_000))
        path.write_text("".join(sections), "utf-8")
        noted(path)
    while size < mib * MIB:
        path = folder / f"data{files}.bin"
        path.write_bytes(dice.randbytes(5 * MIB))
        noted(path)
    return {"files": files, "bytes": size}


def _png(data: bytes) -> bytes:
    """Grey noise, which can't be packed: a picture as large as `data`."""
    import struct
    import zlib

    width = 2048
    height = len(data) // width
    rows = b"".join(b"\0" + data[row * width : (row + 1) * width] for row in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows, 1)) + part(b"IEND", b"")


def _shown(found: dict[str, Any]) -> Iterator[str]:
    for name, value in found.items():
        if name == "rounds":
            continue
        yield f"{name:<12} {value:.3f}" if isinstance(value, float) else f"{name:<12} {value}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    commands = parser.add_subparsers(required=True)
    measured: tuple[tuple[str, Callable[[argparse.Namespace], dict[str, Any]]], ...] = (
        ("throughput", throughput),
        ("memory", memory),
        ("sweep", sweep),
    )
    for name, act in measured:
        command = commands.add_parser(name)
        command.set_defaults(act=act)
        command.add_argument("--rounds", type=int, default=3)
        if name == "throughput":
            command.add_argument("--documents", type=Path, required=True)
        if name == "memory":
            command.add_argument("--mib", type=int, default=500)
        if name == "sweep":
            command.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    found = arguments.act(arguments)
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(_shown(found)))


if __name__ == "__main__":
    main()
