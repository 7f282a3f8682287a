"""Measures one system in its own process: full ingest, sweeps without a change, updates of a file, opening it again.

The same for every system: the same files, the same embedder, the same edits in the same order. One JSON line a stage on
stdout. A system's module calls `main` with what opens it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from index_peers.measure import Reporter, bytes_under, versions

from ingest_peers.embedding import CountedEmbedder, open_embedder
from ingest_peers.files import Documents, Edit, SmallFiles

K = 10
PROBES = 20
CHUNK_TOKENS = 200  # the default of Ragstone, given to all that can be told
UPDATES_BEFORE = 2  # updates that are made before the clock is looked at: the second one shows what became of the first
SHOWN_WITHIN_S = 10.0

Found = tuple[str, str]  # the file's name below the folder, and the text of the chunk


@dataclass(frozen=True)
class About:
    """What a reader of the tables must know of a system."""

    name: str
    packages: Sequence[str]  # distributions whose versions are reported
    cutting: str
    index: str
    refresh: str  # how it learns what changed
    durable: str  # what has been kept, and how, when `refresh` returns


class Saving:
    """Counts the seconds that a system spends writing what it has in memory: `with saving(): ...`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began


class System(Protocol):
    """A system over a folder of documents, with a folder of its own for what it keeps."""

    @property
    def about(self) -> About: ...

    def refresh(self, saving: Saving) -> None:
        """Takes in what changed in the folder of documents, whatever that is; it outlives the process then."""
        ...

    def counts(self) -> Mapping[str, int]:
        """`files` and `chunks` that can be found, and files `held_back`."""
        ...

    def search(self, query: str, k: int) -> list[Found]:
        """What is found, best first."""
        ...

    def close(self) -> None: ...


# The documents, the folder that the system keeps its files in, which may hold what it saved before, and the embedder.
OpenSystem = Callable[[Path, Path, CountedEmbedder], System]
Files = Documents | SmallFiles


def main(systems: Mapping[str, OpenSystem]) -> None:
    arguments = _parser(list(systems)).parse_args()
    reporter = Reporter()
    folder: Path = arguments.folder.resolve()
    documents, kept = folder / "documents", folder / "kept"
    for made in (documents, kept):
        made.mkdir()
    files: Files
    if arguments.small_files is not None:
        files, embedder = SmallFiles(documents, arguments.small_files), open_embedder(None, arguments.max_tokens)
    else:
        files = Documents(arguments.documents, documents, arguments.files)
        embedder = open_embedder(arguments.embedder, arguments.max_tokens)
    opened = systems[arguments.system]
    system = opened(documents, kept, embedder)
    reporter.stage("start", {**asdict(system.about), "versions": versions(system.about.packages)})
    reporter.stage("full", full(system, files, embedder))
    reporter.stage("unchanged", unchanged(system, embedder, arguments.sweeps, arguments.limit_s))
    edits = list(islice(files.edits(), arguments.updates))
    made_edits = update(system, edits, embedder, arguments.limit_s)
    reporter.stage("update", made_edits)
    system.close()
    last = edits[made_edits["updates"] - 1]
    reporter.stage("reopen", reopen(lambda: opened(documents, kept, embedder), last, kept))
    # Threads that a library left behind must not keep the process.
    sys.stderr.flush()
    os._exit(0)


def full(system: System, files: Files, embedder: CountedEmbedder) -> dict[str, Any]:
    """Seconds until all files are taken in, in parts; what the embedder takes alone for what it was given; a check."""
    taken = _refreshed(system, embedder)
    counts = dict(system.counts())
    probes = files.probes(PROBES)
    names = [file.relative_to(files.folder).as_posix() for file, _ in probes]
    found = sum(
        any(place == name for place, _ in system.search(query, K))
        for name, (_, query) in zip(names, probes, strict=True)
    )
    return {
        **taken,
        "alone_s": embedder.alone_s(),
        "listed": len(files.files),
        **counts,
        "probes": len(probes),
        "found": found,
    }


def unchanged(system: System, embedder: CountedEmbedder, count: int, limit_s: float) -> dict[str, Any]:
    """Seconds of looks at a folder in which nothing has changed. Raises RuntimeError where something else comes out."""
    before = dict(system.counts())
    taken: list[dict[str, Any]] = []
    began = time.perf_counter()
    while len(taken) < count and (not taken or time.perf_counter() - began < limit_s):
        taken.append(_refreshed(system, embedder))
    if system.counts() != before:
        raise RuntimeError(f"a look at unchanged files left {system.counts()}, and there was {before}")
    return _joined(taken)


def update(system: System, edits: Sequence[Edit], embedder: CountedEmbedder, limit_s: float) -> dict[str, Any]:
    """Seconds from writing a changed file until a search finds its new words, and how often the old ones still came."""
    taken: list[dict[str, Any]] = []
    never = stale = 0
    stages_began = time.perf_counter()
    for edit in edits:
        if len(taken) >= UPDATES_BEFORE and time.perf_counter() - stages_began > limit_s:
            break
        began = time.perf_counter()
        edit.file.write_text(edit.text, "utf-8")
        parts = _refreshed(system, embedder)
        shown = _is_shown(system, edit)
        taken.append({**parts, "s": time.perf_counter() - began})
        never += not shown
        if edit.gone is not None:
            stale += any(edit.gone in text for _, text in system.search(edit.query.replace(edit.word, edit.gone), K))
    return {**_joined(taken), "updates": len(taken), "never_shown": never, "old_text_still_found": stale}


def reopen(opened: Callable[[], System], last: Edit, kept: Path) -> dict[str, Any]:
    """Seconds from what was kept on disk to an answer, in the same process, and whether it has the last edit."""
    began = time.perf_counter()
    system = opened()
    shown = _is_shown(system, last)
    seconds = time.perf_counter() - began
    system.close()
    return {"s": seconds, "has_last_edit": shown, "bytes": bytes_under(kept)}


def _refreshed(system: System, embedder: CountedEmbedder) -> dict[str, Any]:
    """Seconds in all, in the embedder, and writing what was in memory; and how many texts were embedded."""
    embedder.forget()
    saving = Saving()
    began = time.perf_counter()
    system.refresh(saving)
    seconds = time.perf_counter() - began
    return {"s": seconds, "embedding_s": embedder.seconds, "saving_s": saving.seconds, "embedded": len(embedder.texts)}


def _is_shown(system: System, edit: Edit) -> bool:
    deadline = time.perf_counter() + SHOWN_WITHIN_S
    while True:
        if any(edit.word in text for _, text in system.search(edit.query, K)):
            return True
        if time.perf_counter() > deadline:
            return False


def _joined(taken: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values by name, one each sample."""
    return {name: [sample[name] for sample in taken] for name in taken[0]}


def _parser(systems: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--system", choices=systems, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the files and what is kept")
    parser.add_argument("--documents", type=Path, help="Markdown files, which are copied")
    parser.add_argument("--files", type=int, help="so many of them")
    parser.add_argument("--small-files", type=int, help="instead: so many made at random, with hashed vectors")
    parser.add_argument("--embedder", type=Path, help="its folder")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--updates", type=int, default=6)
    parser.add_argument("--sweeps", type=int, default=5)
    parser.add_argument("--limit-s", type=float, default=60, help="of samples of one kind")
    return parser
