"""What each refresh costs when one release of a documentation after another is put into a watched folder.

    python benchmarks/versions.py --documents DIR [--releases N] [--embedder NAME] [--data FOLDER] [--json]

DIR is a folder of releases (see `versioned_docs.py`). Each release is checked out over the one before, and one source
of kind `folder` is refreshed as `ragstone refresh` does it. Beside that, the same release is ingested into an empty
data folder, and the chunks of both must be the same. Both times are of an application of its own, from the request of
the refresh until the index is written and closed; the embedder is loaded before. `CPU ratio` is that of the seconds of
all processors. `new` are chunks that no release before had: only these are embedded.

In the end every question is asked as of the revision that each refresh left: how many find a passage among the first k
that holds what that release says, and every passage must be in that release's files. Ends with 1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.versioned_docs import Changes, Question, Releases, misfits, questions, rank, refresh
from ingest.catalog import schema
from ingest.catalog.statements import visible_at
from ingest.sources.types import LastRun, SourceSettings
from ingest.types import Embedder
from ragstone.settings import load_settings
from ragstone.wiring import Application
from retrieval.hash_embedder import HashEmbedder
from retrieval.search import SearchRequest
from retrieval.types import Mode

SOURCE = "docs"
FIRST = (1, 3, 5, 10)
# A file written so lately is not trusted to stay as it is, and would be read once more by the next refresh.
SETTLED_S = 2.2
# Of what is wrong.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and of all processors together, those of the processes that read files included."""

    seconds: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A release as a refresh left it, beside a full ingest of the same; `run` is what the source says of itself."""

    release: str
    changes: Changes
    run: LastRun
    refresh: Spent
    full: Spent
    chunks: int
    new_chunks: int
    same_as_full: bool
    not_taken: list[str]  # why, of each file that failed or was held back

    @property
    def share(self) -> float:
        """Of the chunks, those that are new."""
        return self.new_chunks / self.chunks

    @property
    def ratio(self) -> float:
        """Of the time of a full ingest, that of the refresh."""
        return self.refresh.seconds / self.full.seconds

    @property
    def cpu_ratio(self) -> float:
        """The same of the time of processors, which says more where others use them too."""
        return self.refresh.cpu_s / self.full.cpu_s


@dataclass(frozen=True, slots=True)
class Found:
    """What the questions found as of one release: the rank of each answer, None where it is not among the first."""

    release: str
    ranks: dict[str, int | None]  # by question, of those of which the release says something
    silent: int  # questions of which it says nothing
    passages: int
    foreign: list[str]  # sentences about passages that are not in the release

    def among(self, k: int) -> int:
        return sum(place is not None and place <= k for place in self.ranks.values())


class Bench:
    """A watched folder, the data folder that follows it, and one embedder for all that is measured."""

    def __init__(self, releases: Releases, scratch: Path, data: Path, flags: Mapping[str, Any]) -> None:
        self.releases = releases
        self._documents = scratch / "documents"
        self._documents.mkdir()
        self._scratch = scratch
        self._data = data
        self._flags = {name: value for name, value in flags.items() if value is not None}
        self._embedder: Embedder | None = None
        if self._flags.get("retrieval.embedder") == "hash":
            del self._flags["retrieval.embedder"]
            self._embedder = HashEmbedder()
        else:
            self._embedder = self.application(data).embedder
        self._embedder.embed_documents(["The first text is slower than others."])

    def application(self, data: Path) -> Application:
        settings = load_settings(flags={"data": data, **self._flags}).settings
        return Application(settings, embedder=self._embedder)

    def refreshed(self, release: str) -> Refreshed:
        """Puts a release in place of the one before."""
        changes = self.releases.check_out(release, self._documents)
        time.sleep(SETTLED_S)
        newest = self._newest_chunk()
        spent, run = self.take_in(self._data)
        with tempfile.TemporaryDirectory(dir=self._scratch) as empty:
            in_full, full_run = self.take_in(Path(empty))
            wanted = self._chunks(Path(empty), full_run.revision)
        chunks = self._chunks(self._data, run.revision)
        new = sum(number > newest for number in chunks)
        same = set(chunks.values()) == set(wanted.values())
        return Refreshed(release, changes, run, spent, in_full, len(chunks), new, same, self._not_taken())

    def take_in(self, data: Path) -> tuple[Spent, LastRun]:
        """What a refresh of the watched folder into a data folder took, and what it says."""
        application = self.application(data)
        application.sources.put(SOURCE, SourceSettings(kind="folder", location=str(self._documents)))
        began, began_cpu = time.perf_counter(), sum(os.times()[:4])
        run = refresh(application, SOURCE)
        application.close()
        return Spent(time.perf_counter() - began, sum(os.times()[:4]) - began_cpu), run

    def asked(self, revisions: Mapping[str, int], asked: Sequence[Question], mode: Mode) -> list[Found]:
        """All questions, as of each release."""
        application = self.application(self._data)
        try:
            return [self._asked_of(application, its, revision, asked, mode) for its, revision in revisions.items()]
        finally:
            application.close()

    def _asked_of(
        self, application: Application, release: str, revision: int, asked: Sequence[Question], mode: Mode
    ) -> Found:
        found = Found(release, {}, sum(its.expected[release].text is None for its in asked), 0, [])
        count = 0
        for question in asked:
            request = SearchRequest(question.question, k=max(FIRST), mode=mode, as_of=revision)
            passages = application.searcher.search(request).passages
            count += len(passages)
            found.foreign.extend(self.releases.foreign(release, passages))
            if question.expected[release].text is not None:
                found.ranks[question.question] = rank(passages, question.expected[release])
        return Found(release, found.ranks, found.silent, count, found.foreign)

    def _not_taken(self) -> list[str]:
        application = self.application(self._data)
        items = [
            its for state in ("failed", "quarantined") for its in application.sources.items(SOURCE, 100, None, state)
        ]
        application.close()
        return [f"{its.uri} {its.state}: {its.problem.detail if its.problem else 'nobody knows why'}" for its in items]

    def _newest_chunk(self) -> int:
        application = self.application(self._data)
        with application.catalog.reading() as connection:
            newest = connection.execute(select(func.max(schema.chunks.c.number))).scalar()
        application.close()
        return newest or 0

    def _chunks(self, data: Path, revision: int | None) -> dict[int, str]:
        """The ids of the chunks that a revision shows, by number."""
        chunks, occurrences = schema.chunks, schema.occurrences
        shown = select(occurrences.c.chunk).where(visible_at(occurrences, revision))
        application = self.application(data)
        with application.catalog.reading() as connection:
            rows = connection.execute(select(chunks.c.number, chunks.c.chunk_id).where(chunks.c.number.in_(shown)))
            found = {row.number: row.chunk_id for row in rows}
        application.close()
        return found


def show(refreshed: Sequence[Refreshed], found: Sequence[Found], unchanged: Spent) -> None:
    """Two tables, and what went wrong."""
    columns = "files, changed, added, removed, renamed, chunks, new, share, refresh s, full s, ratio, CPU ratio"
    print(f"| release | {columns.replace(', ', ' | ')} |")
    print("|---" + "|--:" * (columns.count(",") + 1) + "|")
    for its in refreshed:
        change = its.changes
        print(
            f"| {its.release} | {change.files} | {change.changed} | {change.added} | {change.removed} "
            f"| {change.renamed} | {its.chunks:,} | {its.new_chunks:,} | {its.share:.0%} | {its.refresh.seconds:.1f} "
            f"| {its.full.seconds:.1f} | {its.ratio:.0%} | {its.cpu_ratio:.0%} |"
        )
    print(f"\nA refresh with nothing changed: {unchanged.seconds:.1f} s.\n")
    print(f"| as of | questions | {' | '.join(f'among {k}' for k in FIRST)} | nothing said | passages | foreign |")
    print("|---" + "|--:" * (len(FIRST) + 4) + "|")
    for release in found:
        among = " | ".join(str(release.among(k)) for k in FIRST)
        print(
            f"| {release.release} | {len(release.ranks)} | {among} | {release.silent} | {release.passages} "
            f"| {len(release.foreign)} |"
        )
    total = sum(len(release.ranks) for release in found)
    print(f"\nOf {total}: " + ", ".join(f"{sum(its.among(k) for its in found)} among the first {k}" for k in FIRST))
    wrong = problems(refreshed, found)
    for said in wrong[:_SHOWN]:
        print(f"- {said}")
    if len(wrong) > _SHOWN:
        print(f"- and {len(wrong) - _SHOWN} more: see --json")


def problems(refreshed: Sequence[Refreshed], found: Sequence[Found]) -> list[str]:
    """What must not be, a sentence for each."""
    said = [sentence for release in found for sentence in release.foreign]
    for its in refreshed:
        if not its.same_as_full:
            said.append(f"{its.release}: the refresh left other chunks than a full ingest of the same files")
        said += [f"{its.release}: {reason}" for reason in its.not_taken]
        # To the source, a renamed file is one that was taken in. That all that is gone is hidden show the chunks.
        counted = (its.run.taken + its.run.failed + its.run.quarantined, its.run.renamed)
        wanted = (its.changes.changed + its.changes.added + its.changes.renamed, its.changes.renamed)
        if counted != wanted:
            said.append(f"{its.release}: the source tells of {counted} files taken and renamed, and it is {wanted}")
    return said


def as_json(refreshed: Sequence[Refreshed], found: Sequence[Found], unchanged: Spent) -> str:
    """All that was measured."""
    rows = []
    for its in refreshed:
        row = {"release": its.release, **asdict(its.changes), "run": its.run.model_dump(mode="json")}
        row |= {"refresh": asdict(its.refresh), "full": asdict(its.full)}
        names = ("chunks", "new_chunks", "share", "ratio", "cpu_ratio", "same_as_full", "not_taken")
        rows.append(row | {name: getattr(its, name) for name in names})
    asked = [asdict(its) | {f"among_{k}": its.among(k) for k in FIRST} for its in found]
    report = {"refreshes": rows, "unchanged": asdict(unchanged), "asked": asked, "problems": problems(refreshed, found)}
    return json.dumps(report, ensure_ascii=False, indent=2)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, required=True, help="a folder of releases with versions.jsonl")
    parser.add_argument("--releases", type=int, metavar="N", help="only the first N")
    parser.add_argument("--data", type=Path, help="a new data folder, which is kept")
    parser.add_argument(
        "--embedder", metavar="NAME", help="by default that of the settings; `hash` is one without model"
    )
    parser.add_argument("--mode", choices=get_args(Mode), default="hybrid")
    parser.add_argument("--set", dest="assignments", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.data is not None and options.data.exists() and any(options.data.iterdir()):
        parser.error(f"{options.data} is not empty: name a folder that is new")
    releases = Releases(options.documents)
    asked = questions(releases.names)
    if unfit := list(misfits(releases, asked)):
        parser.error("\n".join(unfit))
    flags = dict(assignment.split("=", 1) for assignment in options.assignments)
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder) / "data"
        bench = Bench(releases, Path(folder), data, {**flags, "retrieval.embedder": options.embedder})
        refreshed = []
        for release in releases.names[: options.releases]:
            refreshed.append(bench.refreshed(release))
            last = refreshed[-1]
            took = f"{last.refresh.seconds:.1f} s for {last.share:.0%} of the chunks, in full {last.full.seconds:.1f} s"
            print(f"{release}: {took}", file=sys.stderr)
        unchanged, _ = bench.take_in(data)
        found = bench.asked({its.release: its.run.revision or 0 for its in refreshed}, asked, options.mode)
    if options.json:
        print(as_json(refreshed, found, unchanged))
    else:
        show(refreshed, found, unchanged)
    return 1 if problems(refreshed, found) else 0


if __name__ == "__main__":
    sys.exit(main())
