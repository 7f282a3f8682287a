"""The main path of a source: what changed in it is fetched and ingested, and what is gone is hidden."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from ingest import source_items
from ingest.catalog.collection_settings import own_settings
from ingest.catalog.statements import Guard
from ingest.config import IngestSettings
from ingest.errors import CatalogUnavailable, Erased, IngestError, LeaseLost, StorageFull, TryAgain
from ingest.jobs.queue import FINISHED, ClaimedJob
from ingest.jobs.statements import MOST_ATTEMPTS
from ingest.jobs.uploads import Upload, payload_of
from ingest.pipeline import MIB, IncomingFile, Ingestion
from ingest.quarantine.quarantine import QUARANTINED
from ingest.revisions.history import History
from ingest.source_items import Item, Taken
from ingest.sources.fetching import Fetching
from ingest.sources.hopper import Arrival
from ingest.sources.register import BEGUN, OTHER_SOURCE, SourceRegister
from ingest.sources.run import Run
from ingest.sources.shifts import Shifting, drop_if_open, drop_left_batches, needs_care
from ingest.sources.types import LastRun, RunState, SourceInfo, SourceReader
from ingest.types import DocumentOutcome, Problem

# How long a refresh that has nothing to ingest yet waits before it lets other jobs go first, and for how long then.
_PATIENCE_S, _MEANWHILE_S = 0.2, 0.5
# After so long other sources have their turn, and the index is seen to.
_TURN_S = 5.0
# Files that are taken from the source together: their bytes are in memory together.
_ROUND_FILES, _ROUND_BYTES = 64, 16 * MIB
# Files that take long to read, while others go on.
_MOST_LEFT = 256
# What hinders all jobs: this one is begun anew when it is over.
_OF_ALL_JOBS = (CatalogUnavailable, LeaseLost, StorageFull)

Report = Callable[[int, int], None]
Stop = Callable[[], bool]
Opener = Callable[[SourceInfo, Mapping[str, Item]], SourceReader]


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
        self._runs: dict[str, Run] = {}  # by job

    def __call__(self, job: ClaimedJob, report: Report, stop: Stop) -> float | None:
        """None when it is done, else in how many seconds it goes on.

        Raises TryAgain, and for what is not tried again NotFound, SourceUnusable and RefusedDocument.
        """
        queue = self._ingestion.queue
        run = self._runs.get(job.job_id) or self._begun(job)
        try:
            goes_on = self._turn(run, job, stop)
        except _OF_ALL_JOBS:
            self._drop(run)
            raise
        except Exception as error:
            known = isinstance(error, IngestError)
            problem = Problem(code=getattr(error, "code", "internal-error"), detail=str(error) if known else _BUG)
            goes_on_later = isinstance(error, TryAgain) and queue.get(job.job_id).attempts < MOST_ATTEMPTS
            self._end(run, "waiting" if goes_on_later else "failed", problem)
            raise
        if goes_on is None:
            held = run.said.problem
            self._end(run, "done" if held is None else "held", held or run.not_listed())
            report(run.fetching.to_fetch, run.fetching.to_fetch)
        elif queue.cancel_requested(job.job_id):
            self._end(run, "cancelled")
        return goes_on

    def end_cancelled(self) -> None:
        """Ends the looks of jobs that were cancelled while they waited for their turn."""
        for run in list(self._runs.values()):
            if self._ingestion.queue.get(run.job_id).state in FINISHED:
                self._end(run, "cancelled")

    def close(self) -> None:
        """Ends all looks; their jobs begin anew, here or elsewhere."""
        for run in list(self._runs.values()):
            self._drop(run)

    def _turn(self, run: Run, job: ClaimedJob, stop: Stop) -> float | None:
        until = time.monotonic() + _TURN_S
        # 1. A thread lists what the source has, and fetches what may have changed.
        if not self._is_listed(run, until, stop):
            return self._pause()
        # 2. What arrived is ingested, some files at a time.
        while not stop():
            if time.monotonic() > until:
                return self._pause()
            fetched_all = run.fetching.ended.is_set()
            room = len(run.left) < _MOST_LEFT
            arrivals = run.fetching.hopper.take(_ROUND_FILES, _ROUND_BYTES) if room else []
            if arrivals:
                self._store(run, job, arrivals)
            if run.left:
                self._ingest(run, job, until, stop)
            elif not arrivals and fetched_all:
                break
            elif not arrivals:
                run.fetching.hopper.wait(_PATIENCE_S)
        if stop():
            return 0
        if run.fetching.error is not None:
            raise run.fetching.error
        # 3. What the source has no more is hidden, in one revision.
        if run.batch is None:
            self._remove_gone(run)
        else:
            self._settle(run)
        return None

    def _pause(self) -> float:
        return _MEANWHILE_S if self._ingestion.queue.anything_waits() else 0

    # -- 1. looking

    def _begun(self, job: ClaimedJob) -> Run:
        source = self._register.get(job.payload["source"])
        self._drop_batch(job.payload.get("batch"))  # of a worker that was killed
        drop_left_batches(self._ingestion, self._history)
        said = LastRun(job_id=job.job_id, started_at=datetime.now(UTC))
        with self._ingestion.catalog.writing(may_be_lost=True) as connection:
            self._guard(connection)
            self._ingestion.queue.set_payload(connection, job.job_id, uploads=[], batch=None, **{BEGUN: True})
            self._ingestion.queue.begin(connection, job.job_id, None)
            self._register.note_run(connection, source.name, said)
        # What a worker stored that was killed then is fetched again, if the source still has it.
        self._ingestion.remove_unused({upload.content_hash for upload in job.uploads})
        known = self._register.known(source.name)
        try:
            reader = self._open(source, known)
        except IngestError as error:
            problem = Problem(code=error.code, detail=str(error))
            self._note(source.name, said.model_copy(update=_ended("failed", problem)))
            raise

        def barred(document_ids: Sequence[str]) -> Mapping[str, Problem]:
            return self._register.barred(source.name, known.keys(), document_ids)

        again, max_bytes = job.payload["again"], int(self._settings.max_upload_mib * MIB)
        fetching = Fetching(reader, source.settings, known, barred, max_bytes, again)
        run = self._runs[job.job_id] = Run(job.job_id, again, source, known, fetching, said)
        return run

    def _is_listed(self, run: Run, until: float, stop: Stop) -> bool:
        fetching = run.fetching
        while not (fetching.is_listed.wait(_PATIENCE_S) or fetching.ended.is_set()):
            if stop() or time.monotonic() > until:
                return False
        if not fetching.is_listed.is_set():
            assert fetching.error is not None
            raise fetching.error
        if not run.is_looked_at:
            self._look_at_list(run)
            run.is_looked_at = True
        return True

    def _look_at_list(self, run: Run) -> None:
        """What the list tells before anything is fetched."""
        catalog, queue = self._ingestion.catalog, self._ingestion.queue
        back = [
            its for its, item in run.known.items() if item.state == source_items.KEPT and its in run.fetching.listed
        ]
        with catalog.writing(may_be_lost=True) as connection:
            self._guard(connection)
            source_items.came_back(connection, back)
            queue.begin(connection, run.job_id, run.fetching.to_fetch)
        if self._needs_care(run):
            # Noted in the transaction that opens it: whoever is killed leaves none that nobody knows of.
            run.batch = self._history.open_batch(
                f"refresh of the source {run.source.name}",
                self._guard,
                lambda connection, batch: queue.set_payload(connection, run.job_id, batch=batch),
            )
        run.moved = {item.content_hash: item for item in run.gone() if item.content_hash is not None}

    def _needs_care(self, run: Run) -> bool:
        """Whether so much changes that it is staged first."""
        if run.again or self._policy_of(run) == "off":
            return False
        coming = sum(its not in run.known for its in run.fetching.listed)
        changing = run.fetching.to_fetch - coming
        return needs_care(len(run.known), changing, coming, len(run.gone()), self._settings.screening)

    def _policy_of(self, run: Run) -> str:
        with self._ingestion.catalog.reading() as connection:
            return str(own_settings(connection, run.source.collection).get("quarantine", "suspicious"))

    # -- 2. ingesting

    def _store(self, run: Run, job: ClaimedJob, arrivals: Sequence[Arrival]) -> None:
        """The files that came with new content become uploads of the job; what became of the others is noted."""
        files: list[IncomingFile] = []
        outcomes: list[DocumentOutcome] = []
        marks: dict[str, str | None] = {}  # of those that are as they were
        before_these = len(run.states)
        for arrival in arrivals:
            document_id, item, problem = arrival.document_id, arrival.item, arrival.problem
            if problem is not None:
                before = run.known.get(document_id)
                run.taken[document_id] = Taken(item.mark, None if before is None else before.content_hash)
                failed = DocumentOutcome(document_id=document_id, uri=item.uri, state="failed", problem=problem)
                outcomes.append(failed)
            elif arrival.left_out is not None:
                run.left_out[document_id], run.states[document_id] = arrival.left_out, "left out"
            elif arrival.fetched is None:
                run.states[document_id] = "unchanged"
            else:
                content_hash = hashlib.sha256(arrival.fetched.data).hexdigest()
                known = run.known.get(document_id)
                same = known is not None and (known.content_hash, known.state != "failed") == (content_hash, True)
                if known is not None and same and not run.again:
                    run.states[document_id] = "unchanged"
                    if known.mark != arrival.fetched.mark:
                        marks[document_id] = arrival.fetched.mark
                    continue
                run.taken[document_id] = Taken(arrival.fetched.mark, content_hash)
                files.append(self._incoming(run, arrival, content_hash))
        if files:
            uploads, refused = self._ingestion.add(job, files, run.source.collection, run.left, run.batch)
            run.left = (*uploads, *run.left)
            outcomes += refused
        if outcomes or marks:
            with self._ingestion.catalog.writing(may_be_lost=True) as connection:
                self._guard(connection)
                source_items.set_marks(connection, marks)
                self._note_outcomes(connection, run, outcomes)
        if not outcomes and len(run.states) > before_these:
            self._ingestion.queue.report(run.job_id, *run.progress())

    def _incoming(self, run: Run, arrival: Arrival, content_hash: str) -> IncomingFile:
        """A file; one that was renamed or moved brings along what was noted of it."""
        assert arrival.fetched is not None
        moved = None if arrival.document_id in run.known else run.moved.get(content_hash)
        metadata = None
        if moved is not None:
            run.said.renamed += 1
            metadata = self._ingestion.catalog.metadata_of(moved.document_id)
        fetched = arrival.fetched
        return IncomingFile(fetched.name, arrival.item.uri, fetched.data, metadata=metadata, source=run.source.name)

    def _ingest(self, run: Run, job: ClaimedJob, until: float, stop: Stop) -> None:
        """Ingests what was stored; files that take long to read are left when others have come."""
        left = list(run.left)

        def note(connection: Connection, made: Sequence[tuple[Upload, DocumentOutcome]]) -> None:
            done = {id(upload) for upload, _ in made}
            left[:] = [upload for upload in left if id(upload) not in done]
            self._ingestion.queue.set_payload(connection, job.job_id, uploads=payload_of(left))
            self._note_outcomes(connection, run, [outcome for _, outcome in made])

        def more() -> bool:
            has_room = len(run.left) < _MOST_LEFT
            return time.monotonic() > until or (has_room and not run.fetching.hopper.is_empty())

        ingested = self._ingestion.ingest(replace(job, uploads=run.left), stop, self._guard, note, more)
        run.left = ingested.left
        self._ingestion.remove_unused(ingested.unneeded - {upload.content_hash for upload in run.left})

    def _note_outcomes(self, connection: Connection, run: Run, outcomes: Sequence[DocumentOutcome]) -> None:
        """What became of items, in the transaction that decides it."""
        problems = {its.document_id: its.problem.code for its in outcomes if its.problem is not None}
        run.note_of_others(outcomes)
        own = [its for its in outcomes if problems.get(its.document_id) not in (OTHER_SOURCE, Erased.code)]
        if run.batch is not None:  # nothing is as it was until the batch is settled
            run.staged += own
            own = []
        source_items.put(connection, run.source.name, {its.document_id: run.kept_of(its) for its in own}, own)
        erased = [document_id for document_id, code in problems.items() if code == Erased.code]
        run.states |= {its.document_id: its.state for its in outcomes} | dict.fromkeys(erased, "unchanged")
        source_items.put_erased(connection, run.source.name, erased)
        run.unsaid += [its.problem for its in outcomes if its.problem is not None and its.problem.code != Erased.code]
        # What can't be had now is no progress: a job that is tried again for it would be at its first attempt for ever.
        if any(problems.get(its.document_id) != TryAgain.code for its in outcomes):
            self._say(connection, run)

    def _say(self, connection: Connection, run: Run) -> None:
        """Notes how far the job is, and the problems that it met."""
        self._ingestion.queue.advance(connection, run.job_id, *run.progress(), run.unsaid)
        run.unsaid = []

    # -- 3. ending

    def _remove_gone(self, run: Run) -> None:
        gone = [item.document_id for item in run.gone()]
        if gone:
            run.said.removed = self._history.delete_documents(
                gone, self._guard, lambda connection: source_items.forget(connection, gone)
            )

    def _settle(self, run: Run) -> None:
        """Shows what was staged, or has it held back."""
        assert run.batch is not None
        name, collection, outcomes = run.source.name, run.source.collection, run.staged

        def note(connection: Connection) -> None:
            source_items.put(connection, name, {its.document_id: run.kept_of(its) for its in outcomes}, outcomes)
            self._ingestion.queue.set_payload(connection, run.job_id, batch=None)  # from here on it is no longer ours

        gone = [item.document_id for item in run.gone()]
        shifting = Shifting(self._ingestion.catalog, self._history, self._settings.screening, self._guard)
        findings = shifting.settle(run.batch, name, collection, len(run.known), gone, note)
        run.batch = None
        if findings:
            detail = f"the refresh is held back until somebody decides: {findings[0].reason}"
            run.said.problem = Problem(code=QUARANTINED, detail=detail)
        else:
            run.said.removed = len(gone)

    def _end(self, run: Run, state: RunState, problem: Problem | None = None) -> None:
        self._drop(run)
        with self._ingestion.catalog.writing(may_be_lost=True) as connection:
            self._guard(connection)
            # A job that is tried again later begins anew, so that what changes until then needs no other one.
            self._ingestion.queue.set_payload(connection, run.job_id, uploads=[], **{BEGUN: state != "waiting"})
            if state == "done" and run.unsaid:
                self._say(connection, run)
            counts = {**run.counts(), "notes": run.notes(), "revision": self._ingestion.catalog.head()}
            said = run.said.model_copy(update={**counts, **_ended(state, problem)})
            self._register.note_run(connection, run.source.name, said)
        self._ingestion.remove_unused({upload.content_hash for upload in run.left})

    def _drop(self, run: Run) -> None:
        run.fetching.stop()
        self._runs.pop(run.job_id, None)
        self._drop_batch(run.batch)
        run.batch = None

    def _drop_batch(self, batch: str | None) -> None:
        """What was staged and never settled."""
        if batch is not None:
            drop_if_open(self._ingestion, self._history, batch)

    def _note(self, name: str, said: LastRun) -> None:
        with self._ingestion.catalog.writing(may_be_lost=True) as connection:
            self._guard(connection)
            self._register.note_run(connection, name, said)


_BUG = "a bug in Ragstone; its log has the details"


def _ended(state: RunState, problem: Problem | None) -> dict[str, object]:
    return {"state": state, "problem": problem, "finished_at": datetime.now(UTC)}
