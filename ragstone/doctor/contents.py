"""The database itself, and what it holds: texts, chunks, vectors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection, delete, select

from ingest.catalog import schema, statements
from ingest.catalog.vectors import BYTES_PER_NUMBER, decoded
from ingest.identity import chunk_id_of
from ragstone.doctor.findings import Finding
from ragstone.doctor.rebuilding import remove_parts

if TYPE_CHECKING:
    from ragstone.wiring import Application

# Rows read together: some megabytes of vectors.
_BATCH = 4096
# Texts read together.
_TEXTS = 16
# How far from 1 the length of a normalised vector may be.
_LENGTH_TOLERANCE = 2e-3


def database(application: Application) -> Iterator[Finding]:
    """What the database says of itself."""
    for problem in application.catalog.integrity_problems():
        yield Finding(f"the catalog is damaged: {problem}; restore a backup")


def texts(application: Application) -> Iterator[Finding]:
    """A version's text has its hash, and a chunk's id is the hash of its input."""
    versions, chunks = schema.versions, schema.chunks
    with application.catalog.reading() as connection:
        texts = select(versions.c.document_id, versions.c.version, versions.c.text, versions.c.text_hash)
        for document_id, version, text, text_hash in connection.execute(texts.execution_options(yield_per=_TEXTS)):
            if statements.hash_of(text) != text_hash:
                yield Finding(f"the text of {document_id} version {version} was changed: restore a backup")
        inputs = select(chunks.c.chunk_id, chunks.c.input).execution_options(yield_per=_BATCH)
        for chunk_id, stored in connection.execute(inputs):
            if chunk_id_of(stored) != chunk_id:
                yield Finding(f"the text of chunk {chunk_id} was changed: restore a backup")


def chunks(application: Application) -> Iterator[Finding]:
    """A chunk is its version's text at its offsets, below headings and a table's header: every citation rests on it."""
    versions = schema.versions
    with application.catalog.reading() as connection:
        keys = select(versions.c.document_id, versions.c.version).order_by(versions.c.document_id, versions.c.version)
        for document_id, version in connection.execute(keys).all():
            for ordinal in _wrong_chunks(connection, document_id, version):
                yield Finding(f"chunk {ordinal} of {document_id} version {version} is not its version's text")


def _wrong_chunks(connection: Connection, document_id: str, version: int) -> Iterator[int]:
    """Ordinals of the occurrences whose chunk does not stand in the text at their offsets; the text is read once."""
    versions, chunks = schema.versions, schema.chunks
    its_text = select(versions.c.text).where(versions.c.document_id == document_id, versions.c.version == version)
    text = connection.execute(its_text).scalar_one()
    for table in (schema.occurrences, schema.staged_occurrences):
        its_chunks = (
            select(table.c.ordinal, table.c.start, table.c.end, table.c.lead_start, table.c.lead_end, chunks.c.input)
            .join(chunks, chunks.c.number == table.c.chunk)
            .where(table.c.document_id == document_id, table.c.version == version)
            .order_by(table.c.ordinal)
        )
        for ordinal, start, end, lead_start, lead_end, stored in connection.execute(its_chunks):
            span = text[start:end]
            within = 0 <= start < end <= len(text)
            if lead_start is not None:
                within = within and 0 <= lead_start < lead_end <= start
                span = f"{text[lead_start:lead_end]}\n{span}"
            if not within or (stored != span and not stored.endswith(f"\n{span}")):
                yield ordinal


def vectors(application: Application) -> Iterator[Finding]:
    """A vector has its space's dimension, finite numbers, and length 1 where the space is normalised."""
    with application.catalog.reading() as connection:
        for space in connection.execute(select(schema.spaces)).all():
            dimension, normalised = space.description["dimension"], space.description["normalised"]
            damaged = list(damaged_vectors(connection, space.number, dimension, normalised))
            if damaged:
                yield Finding(
                    f"{len(damaged)} vectors of space {space.space_id} are damaged, such as that of chunk {damaged[0]}",
                    partial(_embed_again, application, space.number, damaged),
                )


def damaged_vectors(connection: Connection, space: int, dimension: int, normalised: bool) -> Iterator[int]:
    """The numbers of the chunks whose vectors can't be right."""
    table = schema.vectors
    query = select(table.c.chunk, table.c.vector).where(table.c.space == space).order_by(table.c.arrival)
    rows = connection.execute(query.execution_options(yield_per=_BATCH))
    for batch in rows.partitions():
        whole = [row for row in batch if len(row.vector) == dimension * BYTES_PER_NUMBER]
        yield from (row.chunk for row in batch if len(row.vector) != dimension * BYTES_PER_NUMBER)
        values = decoded([row.vector for row in whole], dimension, normalised=False)
        sound = np.asarray(np.isfinite(values).all(axis=1))
        if normalised:
            lengths = np.linalg.norm(np.where(sound[:, None], values, 0).astype(np.float64), axis=1)
            sound &= np.abs(lengths - 1) <= _LENGTH_TOLERANCE
        yield from (whole[position].chunk for position in np.flatnonzero(~sound))


def _embed_again(application: Application, space: int, chunks: list[int]) -> None:
    """Vectors of the current embedder are made anew at once, those of others when their embedder comes back."""
    application.embedders.in_use()  # fails before anything is removed
    table = schema.vectors
    with application.catalog.writing() as connection:
        for part in statements.parts(chunks):
            connection.execute(delete(table).where(table.c.space == space, table.c.chunk.in_(part)))
    fill_space(application)


def fill_space(application: Application) -> None:
    """Embeds what has no vector. The index may hold the vectors that these chunks had before: it is read anew."""
    application.ingestion.fill_space()
    remove_parts(application, "dense-*")
