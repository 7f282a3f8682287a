"""What a data folder must hold: a plain-Python model of the catalog, which knows nothing of how it is kept.

A state is a value. `steps` gives the states that an operation passes through, one for each of its commits: after a kill
the folder must be in the state that the last acknowledged operation left, or in one of those that the operation at hand
passes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from crashes.answers import Kept
from crashes.documents import Content, Name

COMMIT_FILES = 3
FIRST_DIMENSION = 64


@dataclass(frozen=True, slots=True)
class Shown:
    """A content, and the dimension of the space that it was prepared with (0: before there were spaces)."""

    content: Content
    dimension: int


Snapshot = Mapping[Name, Shown]


@dataclass(frozen=True, slots=True)
class Upload:
    name: Name
    content: Content
    batch: str | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """`kind` is ingest, erase or fill. `applied`: only the note that it is done may be missing."""

    number: int
    kind: str
    uploads: tuple[Upload, ...] = ()
    name: Name | None = None
    dimension: int = 0
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    base: int
    staged: Mapping[Name, Shown | None]
    state: str = "open"


@dataclass(frozen=True, slots=True)
class State:
    snapshots: tuple[Snapshot, ...] = ({},)  # by revision; the first is that of 0
    changed: Mapping[Name, int] = field(default_factory=dict)  # the last revision that changed each document
    jobs: tuple[Job, ...] = ()
    last_job: int = 0
    tombstones: Mapping[Name, int] = field(default_factory=dict)  # the last job before the erasure
    batches: Mapping[str, Batch] = field(default_factory=dict)  # by their notes
    pins: Mapping[str, int] = field(default_factory=dict)
    horizons: Mapping[str, int] = field(default_factory=dict)  # by collection
    dimension: int = FIRST_DIMENSION
    dimension_before: int | None = None
    answers: Mapping[str, Kept] = field(default_factory=dict)  # by their ids

    @property
    def head(self) -> int:
        return len(self.snapshots) - 1

    def kept(self, revision: int) -> bool:
        """Whether a rollback to it is possible."""
        return revision >= max(self.horizons.values(), default=0) or revision in self.pins.values()

    def holds(self, revision: int, collection: str) -> bool:
        """Whether what the revision shows in the collection must still be there."""
        return revision >= self.horizons.get(collection, 0) or revision in self.pins.values()

    def erasing(self, name: Name) -> bool:
        """Whether the document was erased and the job that takes it away is still to do."""
        return any(job.kind == "erase" and job.name == name and not job.applied for job in self.jobs)


# Operations


@dataclass(frozen=True, slots=True)
class Submit:
    uploads: tuple[Upload, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """All waiting jobs, as the worker does them; with `idle` it also does all upkeep that is due."""

    idle: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    name: Name


@dataclass(frozen=True, slots=True)
class DeleteCollection:
    collection: str


@dataclass(frozen=True, slots=True)
class Rollback:
    target: int


@dataclass(frozen=True, slots=True)
class OpenBatch:
    note: str


@dataclass(frozen=True, slots=True)
class StageRemoval:
    note: str
    name: Name


@dataclass(frozen=True, slots=True)
class Promote:
    note: str


@dataclass(frozen=True, slots=True)
class Drop:
    note: str


@dataclass(frozen=True, slots=True)
class Pin:
    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class Unpin:
    name: str


@dataclass(frozen=True, slots=True)
class Purge:
    keep_revisions: int


@dataclass(frozen=True, slots=True)
class Erase:
    name: Name


@dataclass(frozen=True, slots=True)
class UseEmbedder:
    dimension: int


@dataclass(frozen=True, slots=True)
class EmbedderBack:
    pass


@dataclass(frozen=True, slots=True)
class Reply:
    answer_id: str
    answer: Kept


@dataclass(frozen=True, slots=True)
class Correct:
    answer_id: str
    correction: str


@dataclass(frozen=True, slots=True)
class Maintain:
    pass


@dataclass(frozen=True, slots=True)
class Search:
    query: str
    mode: str


@dataclass(frozen=True, slots=True)
class Backup:
    pass


Operation = (
    Submit
    | Work
    | Delete
    | DeleteCollection
    | Rollback
    | OpenBatch
    | StageRemoval
    | Promote
    | Drop
    | Pin
    | Unpin
    | Purge
    | Erase
    | UseEmbedder
    | EmbedderBack
    | Reply
    | Correct
    | Maintain
    | Search
    | Backup
)


def steps(state: State, operation: Operation) -> list[State]:
    """The states after each commit of the operation; empty where it commits nothing."""
    if isinstance(operation, Work):
        return list(_worked(state))
    after = _after(state, operation)
    return [] if after is state else [after]


def conflicts(state: State, note: str) -> bool:
    """Whether a document of the batch was changed after the batch was opened."""
    batch = state.batches[note]
    return any(state.changed.get(name, 0) > batch.base for name in batch.staged)


def _after(state: State, operation: Operation) -> State:
    match operation:
        case Submit(uploads):
            return _enqueued(state, Job(state.last_job + 1, "ingest", uploads))
        case Delete(name):
            return _appended(state, {key: shown for key, shown in state.snapshots[-1].items() if key != name})
        case DeleteCollection(collection):
            left = {key: shown for key, shown in state.snapshots[-1].items() if key.collection != collection}
            return state if len(left) == len(state.snapshots[-1]) else _appended(state, left)
        case Rollback(target):
            hidden = {name for name in state.snapshots[target] if state.erasing(name)}
            return _appended(state, {k: v for k, v in state.snapshots[target].items() if k not in hidden})
        case OpenBatch(note):
            return replace(state, batches={**state.batches, note: Batch(state.head, {})})
        case StageRemoval(note, name):
            return _staged(state, note, name, None)
        case Promote(note):
            return _promoted(state, note)
        case Drop(note):
            closed = replace(state.batches[note], staged={}, state="dropped")
            return replace(state, batches={**state.batches, note: closed})
        case Pin(name, revision):
            return replace(state, pins={**state.pins, name: revision})
        case Unpin(name):
            return replace(state, pins={key: value for key, value in state.pins.items() if key != name})
        case Purge(keep):
            horizons = {key: max(value, state.head - keep + 1) for key, value in state.horizons.items()}
            return state if horizons == state.horizons else replace(state, horizons=horizons)
        case Erase(name):
            return _erase_requested(state, name)
        case UseEmbedder(dimension):
            return _enqueued(state, Job(state.last_job + 1, "fill", dimension=dimension))
        case EmbedderBack():
            return _back(state)
        case Reply(answer_id, answer):
            return replace(state, answers={**state.answers, answer_id: answer})
        case Correct(answer_id, correction):
            answer = state.answers[answer_id]
            corrected = replace(answer, corrections=(*answer.corrections, correction))
            return replace(state, answers={**state.answers, answer_id: corrected})
        case _:
            return state


def _appended(state: State, snapshot: Snapshot) -> State:
    head, before = state.head + 1, state.snapshots[-1]
    touched = {name for name in {**before, **snapshot} if before.get(name) != snapshot.get(name)}
    changed = {**state.changed, **{name: head for name in touched}}
    return replace(state, snapshots=(*state.snapshots, snapshot), changed=changed)


def _enqueued(state: State, job: Job) -> State:
    return replace(state, jobs=(*state.jobs, job), last_job=job.number)


def _staged(state: State, note: str, name: Name, shown: Shown | None) -> State:
    batch = state.batches[note]
    return replace(state, batches={**state.batches, note: replace(batch, staged={**batch.staged, name: shown})})


def _promoted(state: State, note: str) -> State:
    if conflicts(state, note):
        return state
    batch = state.batches[note]
    snapshot = dict(state.snapshots[-1])
    for name, shown in batch.staged.items():
        if shown is None or state.erasing(name):
            snapshot.pop(name, None)
        else:
            snapshot[name] = shown
    after = _appended(state, snapshot)
    changed = {**after.changed, **{name: after.head for name in batch.staged}}
    closed = replace(batch, staged={}, state="promoted")
    return replace(after, changed=changed, batches={**state.batches, note: closed})


def _erase_requested(state: State, name: Name) -> State:
    before = state.last_job
    if name in state.snapshots[-1]:
        state = _after(state, Delete(name))
    state = replace(state, tombstones={**state.tombstones, name: before})
    return _enqueued(state, Job(state.last_job + 1, "erase", name=name))


def _back(state: State) -> State:
    if state.dimension_before is None or state.dimension_before == state.dimension:
        return state
    # What lacks a vector of the space is embedded by a job, if there is any: nothing that can be seen hangs on it.
    job = Job(state.last_job + 1, "fill", dimension=state.dimension_before, applied=True)
    return replace(_enqueued(state, job), dimension=state.dimension_before, dimension_before=state.dimension)


# The worker


def _worked(state: State) -> Iterator[State]:
    # An erasure that was killed before it was noted as done is done again, and takes all that wait by now with it,
    # though they were asked for after other jobs: whether it was noted can't be seen from outside.
    early = state
    for job in _erasures(state):
        early = _purged(early, job)
        yield early
    if early is not state:
        yield from _in_turn(early)
    yield from _in_turn(state)


def _in_turn(state: State) -> Iterator[State]:
    while state.jobs:
        # Filling a space lets all other jobs go first.
        job = min(state.jobs, key=lambda job: (job.kind == "fill", job.number))
        if job.kind == "ingest":
            for after in _ingested(state, job):
                state = after
                yield state
        elif job.kind == "erase" and not job.applied:
            # All that wait to be erased are taken together.
            for each in _erasures(state):
                state = _purged(state, each)
                yield state
        elif not job.applied:
            state = _switched(state, job)
            yield state
        state = replace(state, jobs=tuple(other for other in state.jobs if other.number != job.number))
        yield state


def _erasures(state: State) -> list[Job]:
    return [job for job in state.jobs if job.kind == "erase" and not job.applied]


def _ingested(state: State, job: Job) -> Iterator[State]:
    left = list(next(each for each in state.jobs if each.number == job.number).uploads)
    while left:
        group: list[Upload] = []
        keys: set[object] = set()
        for upload in left[:COMMIT_FILES]:
            key = (upload.name.collection, "" if upload.withdrawn else upload.name.word)
            if key in keys:
                break
            keys.add(key)
            group.append(upload)
        snapshot, commits = dict(state.snapshots[-1]), False
        # What is unchanged is told before anything of the group is committed.
        for upload in group:
            shown = Shown(upload.content, state.dimension)
            if upload.withdrawn or state.tombstones.get(upload.name, -1) >= job.number:
                continue
            if upload.batch is not None:
                if state.batches[upload.batch].state == "open":
                    state = _staged(_with_collection(state, upload.name), upload.batch, upload.name, shown)
                    yield state
            elif snapshot.get(upload.name) != shown:
                snapshot[upload.name] = shown
                state = _with_collection(state, upload.name)
                commits = True
        left = left[len(group) :]
        if commits:
            again = [name for name, shown in snapshot.items() if shown != state.snapshots[-1].get(name)]
            state = _appended(state, snapshot)
            state = replace(state, changed={**state.changed, **{name: state.head for name in again}})
        state = _with_job(state, replace(job, uploads=tuple(left)))
        yield state


def _with_collection(state: State, name: Name) -> State:
    if name.collection in state.horizons:
        return state
    return replace(state, horizons={**state.horizons, name.collection: 0})


def _with_job(state: State, job: Job) -> State:
    return replace(state, jobs=tuple(job if other.number == job.number else other for other in state.jobs))


def _purged(state: State, job: Job) -> State:
    """Without the document in any revision, batch, answer, or upload that came before it was erased."""
    assert job.name is not None
    name = job.name
    last = state.tombstones[name]
    snapshots = tuple({key: shown for key, shown in snapshot.items() if key != name} for snapshot in state.snapshots)
    batches = {
        note: replace(batch, staged={key: shown for key, shown in batch.staged.items() if key != name})
        for note, batch in state.batches.items()
    }
    jobs = tuple(
        replace(
            other,
            uploads=tuple(
                replace(upload, withdrawn=True) if upload.name == name and other.number <= last else upload
                for upload in other.uploads
            ),
        )
        for other in state.jobs
    )
    changed = {key: revision for key, revision in state.changed.items() if key != name}
    answers = {
        answer_id: replace(answer, erased=answer.erased or name in dict(answer.quoted))
        for answer_id, answer in state.answers.items()
    }
    purged = replace(state, snapshots=snapshots, batches=batches, jobs=jobs, changed=changed, answers=answers)
    return _with_job(purged, replace(job, applied=True))


def _switched(state: State, job: Job) -> State:
    if job.dimension != state.dimension:
        state = replace(state, dimension=job.dimension, dimension_before=state.dimension)
    return _with_job(state, replace(job, applied=True))
