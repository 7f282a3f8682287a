"""Checks that a data folder is sound: models, catalog, originals, chunks, vectors, and the index built from them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, delete, select

from ingest import schema, statements
from ingest.errors import DataFolderUnusable, NotFound
from ingest.jobs import JobQueue
from ragstone.errors import KnownError
from ragstone.models import EMBEDDED_MODELS
from ragstone.wiring import Application

log = logging.getLogger(__name__)

# Rows read together: some megabytes of vectors.
_BATCH = 4096
_FLOAT_BYTES = 4
# How far from 1 the length of a normalised float32 vector may be.
_LENGTH_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. `repair` mends it where that can be done without losing anything."""

    what: str
    repair: Callable[[], object] | None = None

    def mend(self) -> str | None:
        """Runs the repair, which there must be; returns why it failed, or None when the fault is gone."""
        assert self.repair is not None
        try:
            self.repair()
        except Exception as error:
            return _reason(error)
        return None


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    run: Callable[[Application], Iterator[Finding]]


def examine(application: Application) -> Iterator[tuple[Check, list[Finding]]]:
    """Runs each check in turn; that one can't be run is a finding. Raises DataFolderUnusable and nothing else."""
    for check in CHECKS:
        findings: list[Finding] = []
        try:
            findings.extend(check.run(application))
        except DataFolderUnusable:
            raise
        except Exception as error:
            findings.append(Finding(f"this check could not be run to its end: {_reason(error)}"))
        yield check, findings


def _reason(error: Exception) -> str:
    """The error in a sentence; what is not foreseen goes to the log with an id."""
    if isinstance(error, KnownError):
        return str(error)
    error_id = uuid.uuid4().hex[:12]
    log.info("error %s", error_id, exc_info=error)
    return f"error {error_id}, {type(error).__name__}: {error}"


def _models(application: Application) -> Iterator[Finding]:
    for model in EMBEDDED_MODELS.values():
        for file in application.models.missing(model):
            yield Finding(f"{model.name}/{file.name} is missing: run `ragstone models fetch`")
        for file in application.models.damaged(model):
            yield Finding(f"{model.name}/{file.name} is damaged: run `ragstone models fetch`")


def _catalog(application: Application) -> Iterator[Finding]:
    for problem in application.catalog.integrity_problems():
        yield Finding(f"the catalog is damaged: {problem}; restore a backup")


def _originals(application: Application) -> Iterator[Finding]:
    # Originals are written under the write lock: with it held, no upload is half done.
    with application.catalog.writing() as connection:
        wanted = application.catalog.content_hashes(connection)
        unfinished = application.originals.unfinished()
        unused = application.originals.hashes() - _hashes_in_use(application, connection)
    for content_hash in sorted(wanted):
        try:
            application.originals.read(content_hash)
        except NotFound as error:
            yield Finding(str(error))
        except OSError as error:
            yield Finding(f"the original {content_hash[:12]}… can't be read: {error.strerror}")
    for path in unfinished:
        yield Finding(f"{path} is what an interrupted upload left", partial(_remove_unfinished, application, path))
    for content_hash in sorted(unused):
        remove = partial(_remove_unused, application, content_hash)
        yield Finding(f"no version stands on the original {content_hash[:12]}…", remove)


def _hashes_in_use(application: Application, connection: Connection) -> set[str]:
    """As ingestion has it, which can't be asked where the embedder is missing."""
    catalog = application.catalog
    return catalog.content_hashes(connection) | JobQueue(catalog).hashes_in_use(connection)


def _remove_unfinished(application: Application, path: Path) -> None:
    with application.catalog.writing():
        path.unlink(missing_ok=True)


def _remove_unused(application: Application, content_hash: str) -> None:
    with application.catalog.writing() as connection:
        if content_hash not in _hashes_in_use(application, connection):
            application.originals.remove(content_hash)


def _chunks(application: Application) -> Iterator[Finding]:
    """A chunk is its version's text at its offsets, or a heading and that text: every citation rests on it."""
    versions = schema.versions
    with application.catalog.reading() as connection:
        keys = select(versions.c.document_id, versions.c.version).order_by(versions.c.document_id, versions.c.version)
        for document_id, version in connection.execute(keys).all():
            for ordinal in _wrong_chunks(connection, document_id, version):
                yield Finding(f"chunk {ordinal} of {document_id} version {version} is not its version's text")


def _wrong_chunks(connection: Connection, document_id: str, version: int) -> Iterator[int]:
    """Ordinals of the occurrences whose chunk does not stand in the text at their offsets; the text is read once."""
    versions, occurrences, chunks = schema.versions, schema.occurrences, schema.chunks
    its_text = select(versions.c.text).where(versions.c.document_id == document_id, versions.c.version == version)
    its_chunks = (
        select(occurrences.c.ordinal, occurrences.c.start, occurrences.c.end, chunks.c.input)
        .join(chunks, chunks.c.chunk_id == occurrences.c.chunk_id)
        .where(occurrences.c.document_id == document_id, occurrences.c.version == version)
        .order_by(occurrences.c.ordinal)
    )
    text = connection.execute(its_text).scalar_one()
    for ordinal, start, end, stored in connection.execute(its_chunks):
        span = text[start:end]
        within = 0 <= start < end <= len(text)
        if not within or (stored != span and not stored.endswith(f"\n{span}")):
            yield ordinal


def _vectors(application: Application) -> Iterator[Finding]:
    """A vector has its space's dimension, finite numbers, and length 1 where the space is normalised."""
    with application.catalog.reading() as connection:
        spaces = connection.execute(select(schema.spaces)).all()
        for space_id, description in spaces:
            damaged = list(_damaged_vectors(connection, space_id, description["dimension"], description["normalised"]))
            if damaged:
                yield Finding(
                    f"{len(damaged)} vectors of space {space_id} are damaged, such as that of chunk {damaged[0]}",
                    partial(_embed_again, application, space_id, damaged),
                )


def _damaged_vectors(connection: Connection, space_id: str, dimension: int, normalised: bool) -> Iterator[str]:
    """The chunk ids of vectors that can't be right."""
    table = schema.vectors
    query = select(table.c.chunk_id, table.c.vector).where(table.c.space_id == space_id).order_by(table.c.chunk_id)
    rows = connection.execute(query.execution_options(yield_per=_BATCH))
    for batch in rows.partitions():
        whole = [row for row in batch if len(row.vector) == dimension * _FLOAT_BYTES]
        yield from (row.chunk_id for row in batch if len(row.vector) != dimension * _FLOAT_BYTES)
        values = np.frombuffer(b"".join(row.vector for row in whole), dtype="<f4").reshape(len(whole), dimension)
        sound = np.isfinite(values).all(axis=1)
        if normalised:
            lengths = np.linalg.norm(np.where(sound[:, None], values, 0).astype(np.float64), axis=1)
            sound &= np.abs(lengths - 1) <= _LENGTH_TOLERANCE
        yield from (whole[position].chunk_id for position in np.flatnonzero(~sound))


def _embed_again(application: Application, space_id: str, chunk_ids: list[str]) -> None:
    """Vectors of the current embedder are made anew at once, those of others when their embedder comes back."""
    ingestion = application.ingestion  # before anything is removed: it fails where the embedder is missing
    table = schema.vectors
    with application.catalog.writing() as connection:
        for part in statements.parts(chunk_ids):
            connection.execute(delete(table).where(table.c.space_id == space_id, table.c.chunk_id.in_(part)))
    ingestion.fill_space()


def _index(application: Application) -> Iterator[Finding]:
    space = application.embedder.space
    if application.catalog.chunk_inputs_without_vector(space, 1):
        yield Finding("chunks have no vector of the current embedder", application.ingestion.fill_space)
    with application.catalog.reading() as connection:
        if any(_damaged_vectors(connection, space.space_id, space.dimension, space.normalised)):
            yield Finding("the index can't be built from damaged vectors")
            return
    application.index.follow()
    shown = int(application.index.visible(application.index.revision, None).sum())
    counted = application.catalog.counts()["chunks"]
    if shown != counted:
        yield Finding(f"the index shows {shown} chunks where the catalog has {counted}")


CHECKS = (
    Check("models", _models),
    Check("catalog", _catalog),
    Check("originals", _originals),
    Check("chunks", _chunks),
    Check("vectors", _vectors),
    Check("index", _index),
)
