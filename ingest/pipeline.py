"""The main path of ingestion: one uploaded file becomes one committed version, or a clear reason why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ingest import source_items
from ingest.background import background
from ingest.catalog import facts
from ingest.catalog.catalog import Catalog, Readable
from ingest.catalog.statements import Guard, PreparedVersion, unguarded
from ingest.config import IngestSettings
from ingest.embedding_ahead import Begun
from ingest.errors import (
    BatchConflict,
    DocumentTooLarge,
    EmptyDocument,
    Erased,
    NotFound,
    RefusedDocument,
    VectorsGone,
)
from ingest.extraction.process import Extractor
from ingest.identity import document_id_of
from ingest.jobs.queue import INGEST, UNFINISHED, ClaimedJob, JobQueue
from ingest.jobs.suspects import Suspects
from ingest.jobs.uploads import Upload, has_passwords, payload_of
from ingest.originals import Originals
from ingest.preparing import Prepared, Preparing
from ingest.quarantine.quarantine import Held, hold
from ingest.reading_ahead import ReadingAhead
from ingest.revisions.batches import require_open
from ingest.revisions.history import NOT_COMMITTED, Committed, History
from ingest.types import DocumentOutcome, Embedder, Job, Problem, Space

MIB = 1024 * 1024
# How often it is said how far the files at hand are.
_REPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as it arrives. `uri` identifies its document within the collection; `name` tells the format."""

    name: str
    uri: str
    data: bytes
    password: str | None = None
    metadata: dict[str, Any] | None = None  # None: that of the upload
    source: str | None = None  # the source that has it


# Notes in the transaction that commits some files what became of each.
Note = Callable[[Connection, Sequence[tuple[Upload, DocumentOutcome]]], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of the files of a job: `unneeded` are hashes of originals that no version was made of.

    `left` are those that are not done. `later`: they take long to read, and other jobs go first.
    """

    unneeded: set[str]
    left: tuple[Upload, ...] = ()
    later: bool = False


class Ingestion:
    """Takes files in: `submit` stores them with a job, `ingest` does the work for one of them."""

    def __init__(
        self,
        catalog: Catalog,
        originals: Originals,
        embedder: Embedder | Callable[[], Embedder],
        settings: IngestSettings,
        extractor: Extractor,
    ) -> None:
        """`embedder` can be a function that returns the one in use: another may come while this one works."""
        self.catalog = catalog
        self._history = History(catalog)
        self._originals = originals
        self._embedder = embedder if callable(embedder) else lambda: embedder
        self._in_use: Embedder | None = None  # as far as is known: a commit fails where another one is by now
        self._settings = settings
        self._reading = ReadingAhead(originals, extractor, settings)
        self._begun = Begun()
        self._slow: dict[str, ClaimedJob] = {}  # by document: a later job must not overtake the file that is being read
        self.queue = JobQueue(catalog)
        self._suspects = Suspects(catalog, self.queue)

    def close(self) -> None:
        """Ends what is being read. Nothing can be ingested any more."""
        self._reading.close()

    def submit(
        self,
        files: Sequence[IncomingFile],
        collection: str,
        metadata: dict[str, Any] | None,
        batch: str | None = None,
        readable: Readable = None,
    ) -> str:
        """Stores the files and the job that will ingest them, in one commit, and returns the job's id.

        With `batch` the new versions are staged in it; `readable` are the collections that the uploader may read.
        Raises NotFound and BatchConflict for a batch that is not open.

        Files over the size limit and empty ones are refused at once, in the job's outcomes; nothing of them is stored.
        """
        stored: list[Upload] = []
        committing = False
        try:
            # The write lock is held while the originals are written, so that no other writer takes them for unused.
            with self.catalog.writing() as connection:
                if batch is not None:
                    require_open(connection, batch)
                refused = self._store(files, collection, metadata, stored, batch, readable)
                job_id = self.queue.enqueue(connection, stored, refused, collection)
                committing = True
            return job_id
        except Exception:
            # A commit that failed can still be found in the database's log after a crash: then its files must be there.
            if not committing:
                self.remove_unused({upload.content_hash for upload in stored})
            raise

    def add(
        self,
        job: ClaimedJob,
        files: Sequence[IncomingFile],
        collection: str,
        left: Sequence[Upload] = (),
        batch: str | None = None,
    ) -> tuple[list[Upload], list[DocumentOutcome]]:
        """Stores more files for a running job beside those that are `left`; and what became of those it refuses."""
        stored: list[Upload] = []
        with self.catalog.writing() as connection:
            refused = self._store(files, collection, None, stored, batch)
            self.queue.set_payload(connection, job.job_id, uploads=payload_of([*left, *stored]))
        return stored, refused

    def _store(
        self,
        files: Sequence[IncomingFile],
        collection: str,
        metadata: dict[str, Any] | None,
        stored: list[Upload],
        batch: str | None = None,
        readable: Readable = None,
    ) -> list[DocumentOutcome]:
        """Adds the files to the originals and to `stored`; returns what became of those that are refused at once."""
        refused = []
        accepted = []
        for file in files:
            try:
                self._check_size(file)
                accepted.append(file)
            except RefusedDocument as error:
                refused.append(_refusal(document_id_of(collection, file.uri), file.uri, error))
        # One with limits must not learn, by the time it takes, that others have the same bytes.
        hashes = self._originals.put_all([file.data for file in accepted], anew=readable is not None)
        for file, content_hash in zip(accepted, hashes, strict=True):
            upload = Upload(
                collection=collection,
                uri=file.uri,
                name=file.name,
                content_hash=content_hash,
                size_bytes=len(file.data),
                metadata=metadata if file.metadata is None else file.metadata,
                batch=batch,
                readable=None if readable is None else sorted(readable),
                password=file.password,
                source=file.source,
            )
            stored.append(upload)
        return refused

    def ingest(
        self,
        job: ClaimedJob,
        stop: Callable[[], bool] = lambda: False,
        guard: Guard = unguarded,
        note: Note | None = None,
        more: Callable[[], bool] = lambda: False,
    ) -> Ingested:
        """Ingests the files of a job, in groups of which each is one revision, to its end or until `stop` says True.

        `note` says what became of them, and by default the job's outcomes do. `more` tells that further files of the
        job have come.

        A file that is refused, or that meets a bug, costs nothing but itself: its outcome in the job says why. When the
        process is killed, the groups before that at hand are done; the one file that kills it each time is given up. A
        job of which only files are left that take long to read lets other jobs go first.
        """
        noted = note or partial(self._record, job)
        left, unneeded = self._without_culprit(job, guard, noted)
        alone = self._suspects.alone(job)
        passed_over: set[int] = set()  # since something was done last
        reported = time.monotonic()

        def report(files: float) -> None:
            nonlocal reported
            if time.monotonic() > reported + _REPORT_S:
                self.queue.report_part(job.job_id, files)
                reported = time.monotonic()

        self._reading.keep_only([*left, *(its for other in self._slow.values() for its in other.uploads)])
        while left and not stop():
            # 1. Prepare some files: bytes to text, text to chunks, chunks to vectors.
            embedder = self._in_use = self._in_use or self._embedder()
            preparing = Preparing(self.catalog, self._reading, self._settings, embedder, stop, self._begun, report)
            if alone:
                self._suspects.note(job, left[0], guard)
            group = preparing.group(left[:1] if alone else left, lambda upload: self._is_overtaking(upload, job))
            self._note_slow(job, group.slow)
            # 2. One transaction shows all of them and notes what became of each.
            if group.prepared:
                unneeded_here = self._commit_group(group.prepared, embedder.space, job, guard, noted)
                if unneeded_here is None:  # another embedder was put in use, or vectors were taken away: once more
                    self._in_use = None
                    continue
                unneeded |= unneeded_here
            # 3. Go on with the others; those that take long to read come last, and wait for no other job.
            done = {id(upload) for upload, _ in group.prepared}
            slow = {id(upload) for upload in group.slow}
            passed_over = slow if done else passed_over | slow
            left = [its for its in left if id(its) not in done | slow] + group.slow
            later = bool(left) and passed_over >= {id(its) for its in left}
            if later and (more() or self.queue.something_waits()):
                break
        else:
            later = False
        if alone and left:
            self._suspects.note(job, None, guard)
        return Ingested(unneeded, tuple(left), later)

    def _without_culprit(self, job: ClaimedJob, guard: Guard, note: Note) -> tuple[list[Upload], set[str]]:
        """The files of the job but for one that ended another process, and originals that nobody needs any more."""
        left = list(job.uploads)
        culprit = self._suspects.culprit(job, left)
        if culprit is None:
            return left, set()
        outcome = self._suspects.outcome(culprit)
        assert outcome.problem is not None
        with self.catalog.writing() as connection:
            guard(connection)
            if job.kind == INGEST:
                self.queue.add_given_up(connection, culprit, outcome.problem)
            note(connection, [(culprit, outcome)])
        left.remove(culprit)
        return left, {culprit.content_hash}

    def fill_space(
        self,
        stop: Callable[[], bool] = lambda: False,
        embedder: Embedder | None = None,
        report: Callable[[int], None] = lambda filled: None,
    ) -> int:
        """Embeds the chunks that lack a vector of the embedder (default: the one in use); returns how many.

        `report` takes the number so far. What is done is kept when it is stopped or killed.
        """
        embedder = embedder or self._embedder()
        filled = last = 0
        while not stop():
            inputs = self.catalog.chunk_inputs_without_vector(embedder.space, self._settings.embed_batch, last)
            if not inputs:
                break
            last = max(inputs)
            with background():
                vectors = embedder.embed_documents(list(inputs.values()))
            self.catalog.commit_vectors(dict(zip(inputs, vectors, strict=True)), embedder.space)
            filled += len(inputs)
            report(filled)
        return filled

    def unused_originals(self) -> set[str]:
        """Originals that no version and no unfinished job stands on."""
        with self.catalog.reading() as connection:
            in_use = self.catalog.content_hashes(connection) | self.queue.hashes_in_use(connection)
        return self._originals.hashes() - in_use

    def sweep(self) -> None:
        """Removes all originals that nothing stands on, and what writes that never ended have left.

        For when nobody knows which they are: after a kill, or when a batch let go of versions.
        """
        with self.catalog.writing():  # no other upload is being written meanwhile
            self._originals.remove_unfinished()
        self.remove_unused(self.unused_originals())

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop after the files at hand: see `JobQueue.request_cancel`. What it has done stays."""
        job = self.queue.request_cancel(job_id)
        if job.state == "cancelled":  # it waited; a running one is tidied up after by the worker
            self.remove_unused(self.queue.originals_of(job_id))
        return job

    def remove_unused(self, content_hashes: Collection[str]) -> None:
        """Removes those of `content_hashes` that no version and no unfinished job stands on."""
        if not content_hashes:
            return
        with self.catalog.writing() as connection:
            in_use = self.catalog.content_hashes(connection, content_hashes) | self.queue.hashes_in_use(connection)
            for content_hash in set(content_hashes) - in_use:
                self._originals.remove(content_hash)

    def wait_for(self, job: ClaimedJob, left: Sequence[Upload]) -> None:
        """Files of these documents that later jobs have wait for the job, which gives way to others."""
        self._note_slow(job, left)

    def _note_slow(self, job: ClaimedJob, slow: Sequence[Upload]) -> None:
        """Remembers the files of the job that take long to read, and forgets those that did."""
        for document_id in [its for its, other in self._slow.items() if other.job_id == job.job_id]:
            del self._slow[document_id]
        for upload in slow:
            self._slow.setdefault(upload.document_id, job)

    def _is_overtaking(self, upload: Upload, job: ClaimedJob) -> bool:
        """Whether an older file of the same document, of another job, is still being read."""
        other = self._slow.get(upload.document_id)
        if other is None or other.number >= job.number:
            return False
        if self.queue.get(other.job_id).state in UNFINISHED:
            return True
        del self._slow[upload.document_id]  # it was cancelled
        return False

    def _record(self, job: ClaimedJob, connection: Connection, made: Sequence[tuple[Upload, DocumentOutcome]]) -> None:
        outcomes = [outcome for _, outcome in made]
        source_items.set_states(connection, made)
        self.queue.record(connection, job.job_id, outcomes, secret=has_passwords(job.payload))

    def _commit_group(
        self, group: Sequence[Prepared], space: Space, job: ClaimedJob, guard: Guard, note: Note
    ) -> set[str] | None:
        """Commits a group's versions and the outcomes of all its files; None when they are to be prepared anew.

        Returns the hashes of the originals that no version was made of.
        """
        unneeded: set[str] = set()
        try:
            group = [
                (upload, self._staged(upload, prepared, space, job, guard, unneeded)) for upload, prepared in group
            ]
        except VectorsGone:
            return None
        versions = [prepared for _, prepared in group if isinstance(prepared, PreparedVersion)]

        def record(connection: Connection, results: Sequence[Committed]) -> None:
            if facts.get(connection, facts.SPACE_IN_USE) not in (None, space.space_id):
                raise _SpaceChanged
            committed = {its.document_id: result for its, result in zip(versions, results, strict=True)}
            unneeded.update(hold(connection, [its for _, its in group if isinstance(its, Held)]))
            made = [(upload, _outcome(upload, its, committed)) for upload, its in group]
            note(connection, made)
            kept = ("indexed", "quarantined")
            unneeded.update(upload.content_hash for upload, outcome in made if outcome.state not in kept)
            unneeded.update(its.content_hash for its in versions if its.redacted is not None)

        try:
            self._history.commit_versions(versions, space, job.number, guard, record)
        except (_SpaceChanged, VectorsGone):
            return None
        return unneeded

    def _staged(
        self,
        upload: Upload,
        prepared: PreparedVersion | Held | DocumentOutcome,
        space: Space,
        job: ClaimedJob,
        guard: Guard,
        unneeded: set[str],
    ) -> PreparedVersion | Held | DocumentOutcome:
        """The outcome of a version that goes into a batch, which is a commit of its own; all else as it is.

        Hashes of originals that only the version before it in the batch needed are added to `unneeded`.
        """
        if upload.batch is None or not isinstance(prepared, PreparedVersion):
            return prepared
        try:
            staged = self._history.stage_version(upload.batch, prepared, space, job.number, guard)
        except (BatchConflict, NotFound) as error:
            return upload.failed(error.code, str(error))
        unneeded |= staged.freed
        return _outcome(upload, prepared, {prepared.document_id: staged})

    def _check_size(self, file: IncomingFile) -> None:
        limit = self._settings.max_upload_mib
        if len(file.data) > limit * MIB:
            size = len(file.data) / MIB
            raise DocumentTooLarge(
                f"{file.name} has {size:.1f} MiB and the limit is {limit:g}: split it, or raise ingest.max_upload_mib"
            )
        if not file.data.strip():
            raise EmptyDocument(f"{file.name} is empty: check the file and upload it again")


def _refusal(document_id: str, uri: str, error: RefusedDocument) -> DocumentOutcome:
    problem = Problem(code=error.code, detail=str(error), uri=uri)
    return DocumentOutcome(document_id=document_id, uri=uri, state="failed", problem=problem)


def _outcome(
    upload: Upload, prepared: PreparedVersion | Held | DocumentOutcome, committed: Mapping[str, Committed]
) -> DocumentOutcome:
    if isinstance(prepared, DocumentOutcome):
        return prepared
    if isinstance(prepared, Held):
        return prepared.outcome
    result = committed[prepared.document_id]
    if result == NOT_COMMITTED:
        return upload.failed(Erased.code, "the document was erased after this upload")
    return DocumentOutcome(
        document_id=prepared.document_id,
        uri=upload.uri,
        version=result.version,
        state="indexed",
        notes=prepared.notes,
    )


class _SpaceChanged(Exception):
    """Another embedder was put in use while a group was prepared."""
