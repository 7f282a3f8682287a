"""Models, originals, and what was interrupted while it was written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from ingest.catalog import schema
from ingest.errors import NotFound
from ingest.jobs.queue import FINISHED, JobQueue
from ingest.jobs.uploads import left_of
from ragstone.backups.restoring import leftovers
from ragstone.doctor.findings import Finding
from ragstone.models import EMBEDDED_MODELS
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from ragstone.wiring import Application


def models(application: Application) -> Iterator[Finding]:
    """The files of the embedded models."""
    for model in EMBEDDED_MODELS.values():
        for file in application.models.missing(model):
            yield Finding(f"{model.name}/{file.name} is missing: run `ragstone models fetch`")
        for file in application.models.damaged(model):
            yield Finding(f"{model.name}/{file.name} is damaged: run `ragstone models fetch`")


def embedder(application: Application) -> Iterator[Finding]:
    """The embedder of the space in use can be built, and is the one that the space was filled by."""
    try:
        application.embedders.in_use()
    except RetrievalError as error:
        yield Finding(str(error))


def originals(application: Application) -> Iterator[Finding]:
    """What versions and waiting uploads stand on is there and whole; nothing else is there."""
    # Originals are written under the write lock: with it held, no upload is half done.
    with application.catalog.writing() as connection:
        wanted = application.catalog.content_hashes(connection)
        waiting = _waiting(connection)
        unfinished = application.originals.unfinished()
        unused = application.originals.hashes() - _hashes_in_use(application, connection)
    for content_hash in sorted(wanted):
        try:
            application.originals.read(content_hash)
        except NotFound as error:
            yield Finding(str(error))
        except OSError as error:
            yield Finding(f"the original {content_hash[:12]}… can't be read: {error.strerror}")
    there = application.originals.hashes()
    for content_hash, uri in sorted(waiting.items()):
        if content_hash not in there | wanted:
            yield Finding(f"the file of {uri}, which waits to be taken in, is missing: upload it again")
    for path in unfinished:
        yield Finding(f"{path} is what an interrupted upload left", partial(_remove_unfinished, application, path))
    for content_hash in sorted(unused):
        remove = partial(_remove_unused, application, content_hash)
        yield Finding(f"no version stands on the original {content_hash[:12]}…", remove)
    for folder in leftovers(application.settings.data):
        yield Finding(f"{folder} is what an interrupted restore left", partial(shutil.rmtree, folder))


def _waiting(connection: Connection) -> dict[str, str]:
    """The URI of each upload that is to be done, by the hash of its file."""
    table = schema.jobs
    rows = connection.execute(
        select(table.c.payload, table.c.total, table.c.outcomes).where(table.c.state.not_in(FINISHED))
    )
    left = [upload for payload, total, outcomes in rows for upload in left_of(payload, total, outcomes)]
    return {upload.content_hash: upload.uri for upload in left if not upload.erased}


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
