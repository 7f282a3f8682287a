"""Operations at random, and how each is done on an application."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from crashes.answers import Kept, answer_of, prompt_of, said_of
from crashes.documents import Content, Name, new_content, new_word, queries
from crashes.folder import SmallSegments
from crashes.model import (
    Backup,
    Correct,
    Delete,
    DeleteCollection,
    Drop,
    EmbedderBack,
    Erase,
    Maintain,
    OpenBatch,
    Operation,
    Pin,
    Promote,
    Purge,
    Reply,
    Rollback,
    Search,
    StageRemoval,
    State,
    Submit,
    Unpin,
    Upload,
    UseEmbedder,
    Work,
    conflicts,
)
from ingest.errors import BatchConflict
from ingest.jobs.queue import FINISHED
from ingest.pipeline import IncomingFile
from ragstone.backups.taking import Source, take
from ragstone.wiring import Application
from retrieval.config import OnnxEmbedderSettings
from retrieval.errors import EmptyIndex
from retrieval.search import SearchRequest

COLLECTIONS = ("default", "manuals", "letters")
DIMENSIONS = (64, 48, 32)
_MODES = ("hybrid", "dense", "lexical")
_NAMES = 30
_PATIENCE_S = 60.0


class Stuck(Exception):
    """The worker met a problem or did not come to its end, or an operation did what it must not."""


def choose(random: Random, state: State) -> Operation:
    """The next operation, which is possible in `state`. The same for the same `random` and state."""
    kinds = {
        _submit: 30,
        _work: 24,
        _delete: 6,
        _delete_collection: 1,
        _rollback: 6,
        _batch: 14,
        _pin: 2,
        _purge: 3,
        _erase: 6,
        _embedder: 2,
        _reply: 10,
        _correct: 6,
        _maintain: 5,
        _search: 4,
        _backup: 2,
    }
    while True:
        (kind,) = random.choices(list(kinds), list(kinds.values()))
        operation = kind(random, state)
        if operation is not None:
            return operation


def perform(application: SmallSegments, operation: Operation, state: State, backup: Path) -> None:
    """Does what `operation` says; when this returns, it is acknowledged. `state` is the one before."""
    history = application.history
    match operation:
        case Submit(uploads):
            files = [IncomingFile(each.name.uri, each.name.uri, each.content.text.encode()) for each in uploads]
            batch = uploads[0].batch
            collection = uploads[0].name.collection
            application.ingestion.submit(files, collection, None, batch and _batch_id(application, batch))
        case Work(idle):
            work(application, idle=idle)
        case Delete(name):
            history.delete_document(name.document_id)
        case DeleteCollection(collection):
            history.delete_collection(collection)
        case Rollback(target):
            history.rollback(target)
        case OpenBatch(note):
            history.open_batch(note)
        case StageRemoval(note, name):
            application.ingestion.remove_unused(history.stage_removal(_batch_id(application, note), name.document_id))
        case Promote(note):
            _promote(application, note, conflicts(state, note))
        case Drop(note):
            application.ingestion.remove_unused(history.drop_batch(_batch_id(application, note)))
        case Pin(name, revision):
            application.retention.pin(name, revision)
        case Unpin(name):
            application.retention.unpin(name)
        case Purge(keep):
            purge(application, keep)
        case Erase(name):
            application.erasure.request(name.document_id)
        case UseEmbedder(dimension):
            application.embedders.request(OnnxEmbedderSettings(model=f"hash-{dimension}"))
        case EmbedderBack():
            application.spaces.back()
        case Reply(answer_id, answer):
            tokens = prompt_of(answer).token_ids or ()
            application.answers.save(answer_of(answer_id, answer), prompt_of(answer), tokens)
        case Correct(answer_id, correction):
            application.answers.add_feedback(answer_id, said_of(correction))
        case Maintain():
            application.live.maintain()
        case Search(query, mode):
            search(application, query, mode, None)
        case Backup():
            source = Source(application.catalog, application.originals, application.settings.data)
            take(source, backup, force=True, progress=lambda step, done, total: None)


def work(application: SmallSegments, *, idle: bool) -> None:
    """Has a worker do all jobs, as a service that starts and stops; with `idle`, all upkeep that is due as well.

    Raises Stuck when the worker meets a problem, and leaves it running.
    """
    worker = application.worker
    worker.start()
    _wait(lambda: _all_done(application) or worker.problem is not None)
    application.idle.clear()
    _wait(lambda: not idle or application.idle.is_set() or worker.problem is not None)
    if worker.problem is not None:
        raise Stuck(worker.problem)
    _stop(application)


def work_once_mended(application: SmallSegments, mend: Callable[[], object]) -> None:
    """Has the worker meet what an operation met, and do all jobs and upkeep after `mend` has taken it away."""
    worker = application.worker
    if worker.problem is None:
        worker.start()
    _wait(lambda: worker.problem is not None)
    mend()
    worker.wake()
    _wait(lambda: worker.problem is None and _all_done(application))
    application.idle.clear()
    _wait(application.idle.is_set)
    _stop(application)


def _stop(application: SmallSegments) -> None:
    application.worker.stop()
    del application.worker  # one is for one start


def _all_done(application: SmallSegments) -> bool:
    return all(job.state in FINISHED for job in application.queue.list(10_000))


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise Stuck("the worker does not get on")
        time.sleep(0.002)


def purge(application: Application, keep_revisions: int) -> None:
    from ingest.config import RetentionSettings
    from ingest.revisions.retention import Retention

    purged = Retention(application.catalog, RetentionSettings(keep_revisions=keep_revisions)).purge()
    if purged.occurrences:
        application.ingestion.sweep()


def search(application: Application, query: str, mode: str, as_of: int | None) -> list[tuple[str, str, float]]:
    """Chunk, URI and score of the passages, best first."""
    request = SearchRequest(query, mode=mode, as_of=as_of, k=12)  # type: ignore[arg-type]
    try:
        found = application.searcher.search(request)
    except EmptyIndex:
        return []
    return [(passage.chunk_id, passage.uri, passage.score) for passage in found.passages]


def _promote(application: Application, note: str, conflicting: bool) -> None:
    try:
        application.history.promote(_batch_id(application, note))
    except BatchConflict:
        if not conflicting:
            raise
    else:
        if conflicting:
            raise Stuck(f"batch {note} was promoted over a conflict")


def _batch_id(application: Application, note: str) -> str:
    return next(batch.batch_id for batch in application.history.batches() if batch.note == note)


# Choosing


def _submit(random: Random, state: State) -> Operation:
    collection = random.choice(COLLECTIONS)
    return Submit(tuple(_upload(random, state, collection, None) for _ in range(random.choice((1, 1, 2, 4, 6)))))


def _upload(random: Random, state: State, collection: str, batch: str | None) -> Upload:
    known = sorted({name for snapshot in state.snapshots[-8:] for name in snapshot} | set(state.tombstones))
    mine = [name for name in known if name.collection == collection]
    new = not mine or (len(known) < _NAMES and random.random() < 0.5)
    name = Name(collection, new_word(random, "n")) if new else random.choice(mine)
    # The same bytes again, of the same document or of another one, but never of one that was erased.
    present = [shown.content for shown in state.snapshots[-1].values()]
    again = bool(present) and name not in state.tombstones and random.random() < 0.3
    return Upload(name, random.choice(present) if again else new_content(random), batch)


def _work(random: Random, state: State) -> Operation | None:
    return Work(idle=random.random() < 0.2) if state.jobs else None


def _delete(random: Random, state: State) -> Operation | None:
    names = sorted(state.snapshots[-1])
    return Delete(random.choice(names)) if names else None


def _delete_collection(random: Random, state: State) -> Operation:
    return DeleteCollection(random.choice(COLLECTIONS))


def _rollback(random: Random, state: State) -> Operation:
    kept = [revision for revision in range(state.head + 1) if state.kept(revision)]
    return Rollback(random.choice(kept[-20:]))


def _batch(random: Random, state: State) -> Operation:
    notes = sorted(note for note, batch in state.batches.items() if batch.state == "open")
    if not notes or (len(notes) < 3 and random.random() < 0.3):
        return OpenBatch(f"batch {len(state.batches)}")
    note = random.choice(notes)
    kind = random.choice(("submit", "submit", "remove", "promote", "promote", "drop"))
    if kind == "submit":
        collection = random.choice(COLLECTIONS)
        return Submit(tuple(_upload(random, state, collection, note) for _ in range(random.choice((1, 2)))))
    names = sorted(name for name in state.snapshots[-1] if not state.erasing(name))
    if kind == "remove" and names:
        return StageRemoval(note, random.choice(names))
    # A purge takes what tells of a conflict as well, so an old batch is not promoted here.
    recent = state.batches[note].base >= max(state.horizons.values(), default=0)
    return Promote(note) if kind == "promote" and recent else Drop(note)


def _pin(random: Random, state: State) -> Operation | None:
    if state.pins and random.random() < 0.4:
        return Unpin(random.choice(sorted(state.pins)))
    kept = [revision for revision in range(1, state.head + 1) if state.kept(revision)]
    return Pin(f"pin {random.randrange(4)}", random.choice(kept)) if kept else None


def _purge(random: Random, state: State) -> Operation:
    return Purge(random.randrange(5, 40))


def _erase(random: Random, state: State) -> Operation | None:
    names = {
        name
        for revision in range(max(0, state.head - 10), state.head + 1)
        for name in state.snapshots[revision]
        if state.holds(revision, name.collection) and not state.erasing(name)
    }
    quoted = {name for answer in state.answers.values() if not answer.erased for name, _ in answer.quoted}
    preferred = names & quoted if random.random() < 0.5 else names
    return Erase(random.choice(sorted(preferred or names))) if names else None


def _embedder(random: Random, state: State) -> Operation | None:
    if any(job.kind == "fill" for job in state.jobs):
        return None
    if state.dimension_before is not None and random.random() < 0.4:
        return EmbedderBack()
    return UseEmbedder(random.choice([dimension for dimension in DIMENSIONS if dimension != state.dimension]))


def _reply(random: Random, state: State) -> Operation | None:
    """One that quotes what is shown, or was when its question came: it may wait to be erased by now."""
    shown = state.snapshots[random.randrange(max(0, state.head - 3), state.head + 1)]
    if not shown:
        return None
    names = random.sample(sorted(shown), min(len(shown), 2))
    quoted = tuple((name, shown[name].content) for name in names)
    return Reply(new_word(random, "a-"), Kept(queries(random, 1)[0], state.head, quoted))


def _correct(random: Random, state: State) -> Operation | None:
    """One that quotes the document once more."""
    answers = [answer_id for answer_id, answer in sorted(state.answers.items()) if not answer.erased]
    if not answers:
        return None
    answer_id = random.choice(answers)
    return Correct(answer_id, state.answers[answer_id].quoted[0][1].text)


def _maintain(random: Random, state: State) -> Operation:
    return Maintain()


def _search(random: Random, state: State) -> Operation:
    return Search(queries(random, 1)[0], random.choice(_MODES))


def _backup(random: Random, state: State) -> Operation:
    return Backup()


def contents_of(state: State) -> dict[Name, set[Content]]:
    """What each document held at a kept revision, holds in a batch, or is to hold when the jobs are done."""
    found: dict[Name, set[Content]] = {}
    for snapshot in state.snapshots:
        for name, shown in snapshot.items():
            found.setdefault(name, set()).add(shown.content)
    for batch in state.batches.values():
        for name, staged in batch.staged.items():
            if staged is not None:
                found.setdefault(name, set()).add(staged.content)
    for job in state.jobs:
        for upload in job.uploads:
            if not upload.withdrawn:
                found.setdefault(upload.name, set()).add(upload.content)
    return found
