"""A data folder as it is: opened with embedders that need no models, and read row by row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

from crashes.answers import RELEASE, Stored, answer_differences
from crashes.documents import CHUNK_TOKENS, Name, chunk_ids
from crashes.model import COMMIT_FILES, FIRST_DIMENSION, Job, Shown, State
from ingest.catalog import facts, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings
from ingest.jobs.queue import FINISHED
from ingest.types import Embedder, Space
from ragstone.embedders import Embedders
from ragstone.settings import load_settings
from ragstone.wiring import Application
from retrieval import bm25, dense_index
from retrieval.config import EmbedderSettings
from retrieval.dense_upkeep import Upkeep
from retrieval.hash_embedder import HashEmbedder
from retrieval.snapshots import HybridIndex
from retrieval.tokens import Tokenizer


class HashEmbedders(Embedders):
    """Builds the in-tree fake instead of any model: of the model `hash-N` one of dimension N."""

    def built(self, settings: EmbedderSettings) -> Embedder:
        return HashEmbedder(int(settings.model.removeprefix("hash-")))


class SmallSegments(Application):
    """Writes and merges segments of the index after a few chunks, not thousands: both happen in a short life.

    `idle` is set whenever the worker has found that no upkeep is due.
    """

    @cached_property
    def idle(self) -> threading.Event:
        return threading.Event()

    def maintain(self) -> bool:
        worked = super().maintain()
        if not worked:
            self.idle.set()
        return worked

    def _index_of(self, space: Space) -> HybridIndex:
        files, dimension = self.index_files, space.dimension
        lexical_store = files.store("lexical", {"tokenizer": self.tokenizer.identity, "format": bm25.FORMAT})
        identity: dict[str, str | int] = {"space": space.space_id, "dimension": dimension, "format": dense_index.FORMAT}
        dense_store = files.store(f"dense-{space.space_id}", identity)
        lexical = bm25.Bm25Index(lexical_store, partition=64, sealed_at=8)
        dense = dense_index.DenseIndex(dense_store, dimension, upkeep=Upkeep(sealed=8, merged=3, full=100))
        return HybridIndex(self.catalog, space, dense, lexical, self.tokenizer, files)


def application_on(data: Path) -> SmallSegments:
    """With the settings of `ragstone.toml` beside the folder, where there is one: they can name another catalog."""
    file = data.with_name("ragstone.toml")
    flags: dict[str, Any] = {
        "data": data,
        "ingest.chunk_tokens": CHUNK_TOKENS,
        "ingest.commit_files": COMMIT_FILES,
        "retrieval.embedder.model": f"hash-{FIRST_DIMENSION}",
        "models.folder": data.parent / "no-models",
    }
    application = SmallSegments(load_settings(file if file.exists() else None, flags).settings)
    application.embedders = HashEmbedders(application)
    application.tokenizer = _tokenizer(application.settings.retrieval.language)
    return application


@lru_cache
def _tokenizer(language: str) -> Tokenizer:
    """It takes a third of a second to make, and holds nothing of a folder."""
    return Tokenizer(language)


# What stands in a revision: a document with the hash of its bytes, or one of its chunks by place and id.
Facts = set[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Truth:
    """All of a catalog that the model knows too."""

    head: int
    shown: list[Facts]  # by revision: (document, hash of the content)
    chunks: list[Facts]  # by revision: (document, ordinal, chunk)
    batches: dict[str, tuple[str, Facts]]  # by note: state, and (document, hash of the content or None)
    staged_chunks: dict[str, Facts]
    waiting: list[tuple[Any, ...]]
    tombstones: set[str]
    pins: dict[str, int]
    horizons: dict[str, int]
    dimension: int
    answers: dict[str, Stored]


def truth_of(catalog: Catalog) -> Truth:
    with catalog.reading() as connection:

        def rows(*columns: Any, joined: Any = None) -> list[Any]:
            query = select(*columns)
            return list(connection.execute(query if joined is None else query.select_from(joined)))

        head = statements.head(connection)
        versions, showings, staged = schema.versions.c, schema.showings.c, schema.staged.c
        its = (versions.document_id == showings.document_id) & (versions.version == showings.version)
        shown = rows(
            showings.document_id,
            versions.content_hash,
            showings.added_in,
            showings.removed_in,
            joined=schema.showings.join(schema.versions, its),
        )
        its = (versions.document_id == staged.document_id) & (versions.version == staged.version)
        staged_rows = rows(
            staged.batch_id,
            staged.document_id,
            versions.content_hash,
            joined=schema.staged.outerjoin(schema.versions, its),
        )
        standing = _standing(rows, schema.occurrences, ("added_in", "removed_in"))
        staged_chunks = _standing(rows, schema.staged_occurrences, ("batch_id",))
        batches = rows(schema.batches.c.batch_id, schema.batches.c.note, schema.batches.c.state)
        in_use = facts.get(connection, facts.SPACE_IN_USE)
        spaces = dict(rows(schema.spaces.c.space_id, schema.spaces.c.description))
        return Truth(
            head=head,
            shown=_by_revision(shown, head),
            chunks=_by_revision(standing, head),
            batches={
                note: (state, {(row[1], row[2]) for row in staged_rows if row[0] == batch_id})
                for batch_id, note, state in batches
            },
            staged_chunks={
                note: {row[:3] for row in staged_chunks if row[3] == batch_id} for batch_id, note, _ in batches
            },
            waiting=list(_waiting(rows, {batch_id: note for batch_id, note, _ in batches}, spaces)),
            tombstones={row[0] for row in rows(schema.tombstones.c.document_id)},
            pins=dict(rows(schema.pins.c.name, schema.pins.c.revision)),
            horizons=dict(rows(schema.collections.c.collection, schema.collections.c.horizon)),
            dimension=spaces[in_use]["dimension"] if in_use else FIRST_DIMENSION,
            answers=_answers(rows),
        )


def _answers(rows: Any) -> dict[str, Stored]:
    answers, feedback = schema.answers.c, schema.feedback.c
    said = rows(feedback.feedback_id, feedback.answer_id, feedback.rating, feedback.correction, feedback.reason)
    return {
        answer_id: Stored(state, record, prompt, [tuple(row[2:]) for row in sorted(said) if row[1] == answer_id])
        for answer_id, release, state, record, prompt in rows(
            answers.answer_id, answers.release_id, answers.state, answers.record, answers.prompt
        )
        if release == RELEASE
    }


def _standing(rows: Any, table: Any, more: tuple[str, ...]) -> list[Any]:
    columns = (table.c.document_id, table.c.ordinal, schema.chunks.c.chunk_id, *(table.c[name] for name in more))
    found = rows(*columns, joined=table.join(schema.chunks, schema.chunks.c.number == table.c.chunk))
    return [tuple(row) for row in found]


def _by_revision(rows: list[Any], head: int) -> list[Facts]:
    """Rows that end with the revisions that added and removed them, by the revisions that show them."""
    found: list[Facts] = [set() for _ in range(head + 1)]
    for *fact, added, removed in rows:
        for revision in range(added, head + 1 if removed is None else min(removed, head + 1)):
            found[revision].add(tuple(fact))
    return found


def _waiting(rows: Any, notes: dict[str, str], spaces: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    table = schema.jobs.c
    for _, kind, state, payload, done, total in sorted(
        rows(table.number, table.kind, table.state, table.payload, table.done, table.total)
    ):
        if state in FINISHED:
            continue
        if kind == "ingest":
            uploads = payload["uploads"]
            left = uploads[done - (total - len(uploads)) :]
            yield (
                kind,
                tuple(
                    None if each.get("erased") else (each["uri"], each["content_hash"], notes.get(each.get("batch")))
                    for each in left
                ),
            )
        elif kind == "erase":
            yield kind, payload["document_id"]
        else:
            yield "fill", spaces[payload["space_id"]]["dimension"]


# Against the model


def differences(truth: Truth, state: State) -> list[str]:
    """How the catalog differs from what it must hold; empty where it does not."""
    if truth.head != state.head:
        return [f"the newest revision is {truth.head}, not {state.head}"]
    found = []
    for revision, snapshot in enumerate(state.snapshots):
        kept = {name: shown for name, shown in snapshot.items() if state.holds(revision, name.collection)}
        known = _documents(state, revision)
        wanted: Facts = {(name.document_id, shown.content.content_hash) for name, shown in kept.items()}
        found += _compared(f"revision {revision}", truth.shown[revision], wanted, known)
        wanted = {fact for name, shown in kept.items() for fact in _chunks(name, shown)}
        found += _compared(f"chunks of revision {revision}", truth.chunks[revision], wanted, known)
    for note, batch in state.batches.items():
        its = {(name.document_id, shown and shown.content.content_hash) for name, shown in batch.staged.items()}
        if truth.batches.get(note) != (batch.state, its):
            found.append(f"{note} is {truth.batches.get(note)}, not {(batch.state, its)}")
        chunks = {fact for name, shown in batch.staged.items() if shown is not None for fact in _chunks(name, shown)}
        found += _compared(note, truth.staged_chunks.get(note, set()), chunks, None)
    for what, there, wanted_value in (
        ("batches", set(truth.batches), set(state.batches)),
        ("tombstones", truth.tombstones, {name.document_id for name in state.tombstones}),
        ("pins", truth.pins, dict(state.pins)),
        ("horizons", truth.horizons, dict(state.horizons)),
        ("the embedder's dimension", truth.dimension, state.dimension),
    ):
        if there != wanted_value:
            found.append(f"{what}: {there}, not {wanted_value}")
    return found + answer_differences(truth.answers, state.answers) + _waiting_differences(truth, state)


def _documents(state: State, revision: int) -> set[str]:
    """Ids of documents in collections of which the revision is not kept: nothing is said of them."""
    names = {name for snapshot in state.snapshots for name in snapshot}
    return {name.document_id for name in names if not state.holds(revision, name.collection)}


def _chunks(name: Name, shown: Shown) -> Facts:
    tokens = CHUNK_TOKENS if shown.dimension else IngestSettings().chunk_tokens
    chunks = chunk_ids(shown.content, name.uri, tokens)
    return {(name.document_id, ordinal, chunk_id) for ordinal, chunk_id in enumerate(chunks)}


def _compared(where: str, there: Facts, wanted: Facts, unknown: set[str] | None) -> list[str]:
    there = {fact for fact in there if fact[0] not in (unknown or ())}
    lost = [f"{where}: lost {fact}" for fact in sorted(wanted - there, key=str)[:2]]
    return lost + [f"{where}: ghost {fact}" for fact in sorted(there - wanted, key=str)[:2]]


def _waiting_differences(truth: Truth, state: State) -> list[str]:
    """Jobs that are to be done; of one that is done, only the note of it may be missing."""
    wanted = [_wanted(job) for job in state.jobs]
    must = [entry for entry, job in zip(wanted, state.jobs, strict=True) if not _is_done(job)]
    # An erasure or a filling that was applied can be repeated.
    found = [entry for entry in truth.waiting if entry[0] != "ingest" or entry[1]]
    extra = list(found)
    for entry in must:
        if entry not in extra:
            return [f"waiting: lost {entry}; there are {found}"]
        extra.remove(entry)
    again = [entry for entry in extra if entry[0] == "ingest"]
    return [f"waiting: ghost {again[0]}"] if again else []


def _wanted(job: Job) -> tuple[Any, ...]:
    if job.kind == "ingest":
        return "ingest", tuple(
            None if each.withdrawn else (each.name.uri, each.content.content_hash, each.batch) for each in job.uploads
        )
    return (job.kind, job.name.document_id) if job.name is not None else (job.kind, job.dimension)


def _is_done(job: Job) -> bool:
    return job.applied or (job.kind == "ingest" and not job.uploads)
