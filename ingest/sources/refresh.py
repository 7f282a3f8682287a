"""The main path of a source: what changed in it is fetched and ingested, and what is gone is hidden."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from ingest.config import IngestSettings
from ingest.errors import TryAgain
from ingest.history import History
from ingest.identity import document_id_of
from ingest.jobs import FINISHED, ClaimedJob
from ingest.pipeline import MIB, IncomingFile, Ingestion
from ingest.sources.fetching import Fetching
from ingest.sources.hopper import Arrival
from ingest.sources.register import Item, SourceRegister
from ingest.sources.types import Fetched, LastRun, RunState, SourceInfo, SourceReader
from ingest.statements import Guard
from ingest.types import DocumentOutcome, Problem
from ingest.uploads import Upload

# How long a refresh that has nothing to ingest yet waits before it lets other jobs go first, and for how long then.
_PATIENCE_S, _MEANWHILE_S = 0.2, 0.5
# Files of one round: their bytes are in memory together.
_ROUND_FILES, _ROUND_BYTES = 64, 16 * MIB

# A document that another source brings.
OTHER_SOURCE = "other-source"

Report = Callable[[int, int], None]
Stop = Callable[[], bool]
Opener = Callable[[SourceInfo, Mapping[str, Item]], SourceReader]


@dataclass
class _Run:
    """A refresh under way. It outlives the turns of its job: the source goes on being fetched between them."""

    source: SourceInfo
    known: dict[str, Item]
    fetching: Fetching
    said: LastRun
    moved: dict[str, Item] = field(default_factory=dict)  # gone items by the hash of their content
    left: tuple[Upload, ...] = ()  # of the round at hand
    marks: dict[str, str | None] = field(default_factory=dict)  # of the round at hand, by document
    states: dict[str, str] = field(default_factory=dict)  # of all that was fetched, by document


class Refreshing:
    """Does jobs of the kind `refresh`: a task of the worker."""

    def __init__(
        self,
        register: SourceRegister,
        ingestion: Ingestion,
        history: History,
        settings: IngestSettings,
        open_reader: Opener,
        guard: Guard,
    ) -> None:
        self._register = register
        self._ingestion = ingestion
        self._history = history
        self._settings = settings
        self._open = open_reader
        self._guard = guard
        self._runs: dict[str, _Run] = {}  # by job

    def __call__(self, job: ClaimedJob, report: Report, stop: Stop) -> float | None:
        """None when it is done, else in how many seconds it goes on. Raises TryAgain, NotFound and RefusedDocument."""
        self._forget_cancelled(job)
        run = self._runs.get(job.job_id) or self._begun(job)
        try:
            # 1. A thread lists what the source has, and fetches what may have changed.
            if not self._is_listed(run, stop):
                return _MEANWHILE_S
            # 2. What arrived is ingested, some files at a time.
            while not stop():
                if not run.left:
                    arrivals = run.fetching.hopper.take(_ROUND_FILES, _ROUND_BYTES)
                    if not arrivals and run.fetching.ended.is_set():
                        break
                    if not arrivals:
                        run.fetching.hopper.wait(_PATIENCE_S)
                        if self._ingestion.queue.something_waits():
                            return _MEANWHILE_S
                        continue
                    run.left = self._stored(run, job, arrivals)
                if not self._ingested(run, job, stop):
                    return _MEANWHILE_S
            if stop():
                return 0
            if run.fetching.error is not None:
                raise run.fetching.error
            # 3. What the source has no more is hidden, in one revision.
            self._remove_gone(run)
        except Exception as error:
            problem = Problem(code=getattr(error, "code", "internal-error"), detail=str(error))
            self._end(job, run, "waiting" if isinstance(error, TryAgain) else "failed", problem)
            raise
        self._end(job, run, "done")
        report(run.fetching.to_fetch, run.fetching.to_fetch)
        return None

    def close(self) -> None:
        """Ends all looks; their jobs begin anew."""
        for run in self._runs.values():
            run.fetching.stop()
        self._runs.clear()

    # -- 1. looking

    def _begun(self, job: ClaimedJob) -> _Run:
        source = self._register.get(job.payload["source"])
        known = self._register.known(source.name)
        reader = self._open(source, known)
        max_bytes = int(self._settings.max_upload_mib * MIB)
        fetching = Fetching(reader, source.settings, known, max_bytes, job.payload["again"])
        run = _Run(source, known, fetching, LastRun(job_id=job.job_id, started_at=datetime.now(UTC)))
        self._runs[job.job_id] = run
        self._note(run)
        return run

    def _is_listed(self, run: _Run, stop: Stop) -> bool:
        fetching = run.fetching
        while not (fetching.is_listed.wait(_PATIENCE_S) or fetching.ended.is_set()):
            if stop() or self._ingestion.queue.something_waits():
                return False
        if fetching.error is not None:
            raise fetching.error
        if not run.moved:
            run.moved = {item.content_hash: item for item in self._gone(run) if item.content_hash is not None}
        return True

    def _gone(self, run: _Run) -> list[Item]:
        if run.source.settings.keep_missing:
            return []
        return [item for its, item in run.known.items() if its not in run.fetching.listed]

    # -- 2. ingesting

    def _stored(self, run: _Run, job: ClaimedJob, arrivals: Sequence[Arrival]) -> tuple[Upload, ...]:
        """The files that came with new content, as uploads of the job; what became of the others is noted."""
        owners = self._register.owners([_document(run, arrival) for arrival in arrivals])
        files: list[IncomingFile] = []
        outcomes: list[DocumentOutcome] = []
        run.marks = {}
        for arrival in arrivals:
            document_id, uri = _document(run, arrival), arrival.item.uri
            owner = owners.get(document_id, run.source.name)
            problem = arrival.problem
            if owner != run.source.name:
                detail = f"{uri} is a document of the source {owner}: exclude it from one of the two"
                problem = Problem(code=OTHER_SOURCE, detail=detail, uri=uri)
            if problem is not None:
                outcomes.append(DocumentOutcome(document_id=document_id, uri=uri, state="failed", problem=problem))
            elif arrival.fetched is None:
                run.states[document_id] = "unchanged"
            else:
                run.marks[document_id] = arrival.fetched.mark
                files.append(self._incoming(run, document_id, uri, arrival.fetched))
        uploads, refused = self._ingestion.add(job, files, run.source.collection)
        with self._ingestion.catalog.writing(may_be_lost=True) as connection:
            self._note_outcomes(connection, run, job, [*outcomes, *refused], {})
        return tuple(uploads)

    def _incoming(self, run: _Run, document_id: str, uri: str, fetched: Fetched) -> IncomingFile:
        """A file; one that was renamed or moved brings along what was noted of it."""
        moved = None if document_id in run.known else run.moved.get(hashlib.sha256(fetched.data).hexdigest())
        metadata = None
        if moved is not None:
            run.said.renamed += 1
            metadata = self._ingestion.catalog.metadata_of(moved.document_id)
        return IncomingFile(fetched.name, uri, fetched.data, metadata=metadata, source=run.source.name)

    def _ingested(self, run: _Run, job: ClaimedJob, stop: Stop) -> bool:
        """Whether the round is done with."""

        def note(connection: Connection, made: Sequence[tuple[Upload, DocumentOutcome]]) -> None:
            hashes = {upload.document_id: upload.content_hash for upload, _ in made}
            self._note_outcomes(connection, run, job, [outcome for _, outcome in made], hashes)

        ingested = self._ingestion.ingest(replace(job, uploads=run.left), stop, self._guard, note)
        run.left = ingested.left
        self._ingestion.remove_unused(ingested.unneeded - {upload.content_hash for upload in run.left})
        return not run.left

    def _note_outcomes(
        self,
        connection: Connection,
        run: _Run,
        job: ClaimedJob,
        outcomes: Sequence[DocumentOutcome],
        hashes: Mapping[str, str],
    ) -> None:
        if not outcomes:
            return
        run.states |= {outcome.document_id: outcome.state for outcome in outcomes}
        taken = {its.document_id: (run.marks.get(its.document_id), hashes.get(its.document_id)) for its in outcomes}
        own = [its for its in outcomes if its.problem is None or its.problem.code != OTHER_SOURCE]
        self._register.put_items(connection, run.source.name, taken, own)
        problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
        total = run.fetching.to_fetch + 1
        self._ingestion.queue.advance(connection, job.job_id, len(run.states), total, problems)

    # -- 3. ending

    def _remove_gone(self, run: _Run) -> None:
        gone = self._gone(run)
        if not gone:
            return

        def note(connection: Connection) -> None:
            self._register.forget_items(connection, [item.document_id for item in gone])

        run.said.removed = self._history.delete_documents([item.document_id for item in gone], self._guard, note)

    def _end(self, job: ClaimedJob, run: _Run, state: RunState, problem: Problem | None = None) -> None:
        run.fetching.stop()
        self._runs.pop(job.job_id, None)
        counted = Counter(run.states.values())
        run.said = run.said.model_copy(
            update={
                "state": state,
                "problem": problem,
                "finished_at": datetime.now(UTC),
                "listed": len(run.fetching.listed),
                "taken": counted["indexed"],
                "failed": counted["failed"],
                "quarantined": counted["quarantined"],
                "unchanged": len(run.fetching.listed) - counted["indexed"] - counted["failed"] - counted["quarantined"],
                "revision": self._ingestion.catalog.head(),
            }
        )
        self._note(run)

    def _note(self, run: _Run) -> None:
        with self._ingestion.catalog.writing(may_be_lost=True) as connection:
            self._guard(connection)
            self._register.note_run(connection, run.source.name, run.said)

    def _forget_cancelled(self, job: ClaimedJob) -> None:
        """Ends the looks of jobs that will not go on."""
        for job_id in [its for its in self._runs if its != job.job_id]:
            if self._ingestion.queue.get(job_id).state in FINISHED:
                self._runs.pop(job_id).fetching.stop()


def _document(run: _Run, arrival: Arrival) -> str:
    return document_id_of(run.source.collection, arrival.item.uri)
