"""Files of this machine into a data folder, for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ingest.identity import document_id_of
from ingest.pipeline import IncomingFile
from ingest.types import DocumentOutcome, Problem
from ragstone.errors import BadRequest
from ragstone.following import watched
from ragstone.names import document_uri
from ragstone.wiring import Application

# Files that one job takes: their bytes are in memory together while they are stored.
FILES_A_JOB = 32


@dataclass(frozen=True, slots=True)
class LocalFile:
    path: Path
    uri: str


def files_under(paths: Sequence[Path], uri: str | None) -> list[LocalFile]:
    """The files named, and those in the folders named but for hidden ones; a URI is the path within its folder."""
    if uri is not None and (len(paths) != 1 or not paths[0].is_file()):
        raise BadRequest("--uri names one document: give it with a single file")
    if uri is not None:
        document_uri(uri)
    files: list[LocalFile] = []
    for path in paths:
        if path.is_dir():
            within = sorted(found for found in path.rglob("*") if found.is_file() and not _hidden(found, path))
            files += [LocalFile(found, found.relative_to(path).as_posix()) for found in within]
        elif path.is_file():
            files.append(LocalFile(path, path.name if uri is None else uri))
        else:
            raise BadRequest(f"there is no file or folder {path}")
    if not files:
        raise BadRequest(f"there are no files in {', '.join(map(str, paths))}")
    return _once_each(files)


def _once_each(files: Sequence[LocalFile]) -> list[LocalFile]:
    """A file that is named twice is taken once. Raises BadRequest for two files that would be one document."""
    first: dict[str, LocalFile] = {}
    for file in files:
        known = first.setdefault(file.uri, file)
        if known.path.resolve() != file.path.resolve():
            raise BadRequest(
                f"{known.path} and {file.path} would both be the document {file.uri}: "
                "take them in one by one with --uri, or from a folder above both"
            )
    return list(first.values())


def ingest_files(
    application: Application,
    files: Sequence[LocalFile],
    collection: str,
    report: Callable[[DocumentOutcome], None],
    batch: str | None = None,
    password: str | None = None,
    progress: Callable[[float], None] = lambda part: None,
) -> list[DocumentOutcome]:
    """Ingests in this process, or has the running service's worker do it; reports each file as it is done.

    `progress` takes how many files the work comes to that is done beside those.

    With `batch` the versions are staged in it; `password` opens files that are protected. Raises NotFound and
    BatchConflict where the batch is not open.
    """
    application.worker.start()
    try:
        remaining = iter(files)
        outcomes: list[DocumentOutcome] = []
        while together := list(islice(remaining, FILES_A_JOB)):
            for outcome in _ingested(application, together, collection, batch, password, progress):
                outcomes.append(outcome)
                report(outcome)
        return outcomes
    finally:
        application.worker.stop()


def _ingested(
    application: Application,
    files: Sequence[LocalFile],
    collection: str,
    batch: str | None,
    password: str | None,
    progress: Callable[[float], None],
) -> Iterator[DocumentOutcome]:
    """The outcomes of some files; what can't be read or named is refused here, the others are one job."""
    incoming: list[IncomingFile] = []
    for file in files:
        try:
            uri, data = document_uri(file.uri), file.path.read_bytes()
            incoming.append(IncomingFile(_storable(file.path.name), uri, data, password=password))
        except BadRequest as error:
            yield _refusal(file, collection, f"{error}; rename the file, or take it in alone with --uri")
        except OSError as error:
            yield _refusal(file, collection, f"{file.path} can't be read: {error.strerror}")
    if incoming:
        job_id = application.ingestion.submit(incoming, collection, None, batch)
        application.worker.wake()
        seen = 0
        for job in watched(application, job_id):
            yield from job.documents[seen:]
            seen = len(job.documents)
            progress(job.part)


def _refusal(file: LocalFile, collection: str, detail: str) -> DocumentOutcome:
    uri = _storable(file.uri)
    problem = Problem(code=BadRequest.code, detail=_storable(detail), uri=uri)
    return DocumentOutcome(document_id=document_id_of(collection, file.uri), uri=uri, state="failed", problem=problem)


def _storable(name: str) -> str:
    """No JSON and no database can hold the bytes of a file name that is no UTF-8: they are shown instead."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
