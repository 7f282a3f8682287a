"""Checks that a data folder is sound: models, catalog, originals, chunks, and the index built from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, select

from ingest import schema
from ingest.errors import NotFound
from ragstone.models import EMBEDDED_MODELS
from ragstone.wiring import Application


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. `repair` mends it where that can be done without losing anything."""

    what: str
    repair: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    run: Callable[[Application], Iterator[Finding]]


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
    with application.catalog.reading() as connection:
        wanted = application.catalog.content_hashes(connection)
    for content_hash in sorted(wanted):
        try:
            application.originals.read(content_hash)
        except NotFound as error:
            yield Finding(str(error))
    for path in application.originals.unfinished():
        yield Finding(f"{path} is what an interrupted upload left", path.unlink)
    for content_hash in sorted(application.ingestion.unused_originals()):
        remove = partial(application.ingestion.remove_unused, {content_hash})
        yield Finding(f"no version stands on the original {content_hash[:12]}…", remove)


def _chunks(application: Application) -> Iterator[Finding]:
    """A chunk is its version's text at its offsets, or a heading and that text: every citation rests on it."""
    occurrences, versions, chunks = schema.occurrences, schema.versions, schema.chunks
    length = occurrences.c.end - occurrences.c.start
    text = func.substr(versions.c.text, occurrences.c.start + 1, length)
    query = (
        select(occurrences.c.document_id, occurrences.c.version, occurrences.c.ordinal)
        .join(chunks, chunks.c.chunk_id == occurrences.c.chunk_id)
        .join(
            versions,
            (versions.c.document_id == occurrences.c.document_id) & (versions.c.version == occurrences.c.version),
        )
        .where(chunks.c.input != text, func.substr(chunks.c.input, func.length(chunks.c.input) - length) != "\n" + text)
    )
    with application.catalog.reading() as connection:
        for row in connection.execute(query):
            yield Finding(f"chunk {row.ordinal} of {row.document_id} version {row.version} is not its version's text")


def _index(application: Application) -> Iterator[Finding]:
    lacking = application.catalog.chunk_inputs_without_vector(application.embedder.space, 1)
    if lacking:
        yield Finding("chunks have no vector of the current embedder", application.ingestion.fill_space)
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
    Check("index", _index),
)


def examine(application: Application) -> Iterator[tuple[Check, list[Finding]]]:
    """Runs each check in turn. Errors of a part that can't even be opened are raised as they are."""
    for check in CHECKS:
        yield check, list(check.run(application))
