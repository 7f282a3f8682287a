"""Files of this machine into a data folder, for the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ingest.jobs import FINISHED
from ingest.pipeline import IncomingFile
from ingest.types import DocumentOutcome, Job
from ragstone.errors import BadRequest
from ragstone.wiring import Application

# Files that one job takes: their bytes are in memory together while they are stored.
FILES_A_JOB = 32

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class LocalFile:
    path: Path
    uri: str


def files_under(paths: Sequence[Path], uri: str | None) -> list[LocalFile]:
    """The files named, and those in the folders named but for hidden ones; a URI is the path within its folder."""
    if uri is not None and (len(paths) != 1 or not paths[0].is_file()):
        raise BadRequest("--uri names one document: give it with a single file")
    files: list[LocalFile] = []
    for path in paths:
        if path.is_dir():
            within = sorted(found for found in path.rglob("*") if found.is_file() and not _hidden(found, path))
            files += [LocalFile(found, found.relative_to(path).as_posix()) for found in within]
        elif path.is_file():
            files.append(LocalFile(path, uri or path.name))
        else:
            raise BadRequest(f"there is no file or folder {path}")
    if not files:
        raise BadRequest(f"there are no files in {', '.join(map(str, paths))}")
    return files


def ingest_files(
    application: Application, files: Sequence[LocalFile], collection: str, report: Callable[[DocumentOutcome], None]
) -> list[DocumentOutcome]:
    """Ingests in this process, or has the running service's worker do it; reports each file as it is done."""
    application.worker.start()
    try:
        remaining = iter(files)
        outcomes: list[DocumentOutcome] = []
        while batch := list(islice(remaining, FILES_A_JOB)):
            incoming = [IncomingFile(file.path.name, file.uri, file.path.read_bytes()) for file in batch]
            job_id = application.ingestion.submit(incoming, collection, {})
            application.worker.wake()
            for outcome in _outcomes(application, job_id):
                outcomes.append(outcome)
                report(outcome)
        return outcomes
    finally:
        application.worker.stop()


def _outcomes(application: Application, job_id: str) -> Iterator[DocumentOutcome]:
    """The job's outcomes as they come in."""
    seen = 0
    while True:
        job: Job = application.ingestion.queue.get(job_id)
        yield from job.documents[seen:]
        seen = len(job.documents)
        if job.state in FINISHED:
            return
        time.sleep(_POLL_S)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
