"""Documents: upload, list, versions, delete."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from ingest.errors import NotFound
from ingest.identity import document_id_of
from ingest.jobs.queue import FINISHED
from ingest.pipeline import IncomingFile
from ingest.types import DocumentInfo, DocumentOutcome, Job, VersionInfo
from ragstone.api.access import AnyCaller, Counts, Reader, Writer
from ragstone.api.events import while_connected
from ragstone.api.inputs import json_object
from ragstone.api.parts import Parts
from ragstone.errors import BadRequest
from ragstone.names import collection_name, document_uri
from ragstone.wiring import Application

router = APIRouter(prefix="/v1/documents", tags=["documents"])

# Between looks whether another process has ended a job.
_POLL_S = 0.2
_LONGEST_PASSWORD = 1000


VersionNumber = Annotated[int, Path(ge=1, lt=2**31)]


class Uploaded(BaseModel):
    job_id: str
    documents: list[DocumentOutcome]


class DocumentPage(BaseModel):
    documents: list[DocumentInfo]
    next_cursor: str | None


class Deleted(BaseModel):
    revision: int
    job_id: str | None = None
    affected_adapters: list[str] = []


@router.post("", status_code=202)
async def upload(
    parts: Parts,
    caller: Writer,
    usage: Counts,
    request: Request,
    response: Response,
    file: Annotated[list[UploadFile], File()],
    collection: Annotated[str, Form()] = "default",
    uri: Annotated[list[str] | None, Form()] = None,
    metadata: Annotated[str | None, Form()] = None,
    batch: Annotated[str | None, Form()] = None,
    password: Annotated[list[str] | None, Form()] = None,
    wait: bool = False,
) -> Uploaded:
    """Takes files in; replies once they are stored (202), or with `wait` once they can be searched (200).

    At most 1,000 files a request. Without `metadata`, a document keeps what it has. With `batch`, the new versions are
    staged in that batch. `password` opens files that are protected: one for all of them, or one for each (empty: none).
    It is kept until the job has ended, and shown nowhere.
    """
    collection = collection_name(collection)
    caller.need_collection(collection)
    attached = None if metadata is None else json_object(metadata, "metadata")
    usage.count_upload(caller.key_id, caller.limits, sum(part.size or 0 for part in file))
    incoming = await asyncio.to_thread(_incoming, file, uri, password)
    submit = partial(parts.ingestion.submit, incoming, collection, attached, batch, caller.readable)
    job_id = await asyncio.to_thread(submit)
    parts.jobs.wake()
    job = await asyncio.to_thread(parts.ingestion.queue.get, job_id)
    if wait:
        # Waiting holds no thread: uploads that wait must not keep others from being heard.
        job = await while_connected(request, _finished(parts, job))
        response.status_code = 200 if job.state in FINISHED else 202
    return Uploaded(job_id=job_id, documents=_outcomes(job, collection, incoming))


@router.get("")
def list_documents(
    parts: Parts,
    caller: Reader,
    collection: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> DocumentPage:
    documents, next_cursor = parts.catalog.documents(collection, limit, cursor, caller.readable)
    return DocumentPage(documents=documents, next_cursor=next_cursor)


@router.get("/{document_id}")
def document(parts: Parts, caller: Reader, document_id: str) -> DocumentInfo:
    return parts.catalog.document(document_id, caller.readable)


@router.get("/{document_id}/versions")
def versions(parts: Parts, caller: Reader, document_id: str) -> dict[str, list[VersionInfo]]:
    return {"versions": parts.catalog.versions(document_id, caller.readable)}


@router.get("/{document_id}/versions/{version}/text", response_class=PlainTextResponse)
def version_text(parts: Parts, caller: Reader, document_id: str, version: VersionNumber) -> PlainTextResponse:
    return PlainTextResponse(parts.catalog.version_text(document_id, version, caller.readable), headers=_INERT)


@router.get("/{document_id}/versions/{version}/original", response_class=Response)
def version_original(parts: Parts, caller: Reader, document_id: str, version: VersionNumber) -> Response:
    """The bytes as they were uploaded, as a download: a browser must not run what a document brings."""
    if parts.catalog.version_value(document_id, version, "redacted", caller.readable) is not None:
        raise NotFound("the original was not kept: personal data was replaced before the document was stored")
    data = parts.originals.read(parts.catalog.version_value(document_id, version, "content_hash", caller.readable))
    headers = {**_INERT, "Content-Disposition": f'attachment; filename="{document_id}-{version}"'}
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.delete("/{document_id}")
def delete(parts: Parts, caller: AnyCaller, document_id: str, erase: bool = False) -> Deleted:
    """Hides the document from a new revision on; with `erase` for good, and a job takes it out of every file."""
    if not erase:
        caller.need("write")
        return Deleted(revision=parts.history.delete_document(document_id, caller.readable))
    caller.need("erase")
    revision, job_id = parts.erasure.request(document_id, caller.readable)
    parts.jobs.wake()
    return Deleted(revision=revision, job_id=job_id)


_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


def _incoming(
    files: list[UploadFile], uris: list[str] | None, passwords: list[str] | None = None
) -> list[IncomingFile]:
    names = [file.filename or "" for file in files]
    if uris is not None and len(uris) != len(files):
        raise BadRequest(f"{len(uris)} URIs for {len(files)} files: give one for each file, or none", "uri")
    chosen = uris or names
    if len(set(chosen)) < len(chosen):
        twice = next(uri for uri in chosen if chosen.count(uri) > 1)
        raise BadRequest(f"two files of this request are {twice!r}: give each a URI of its own", "uri")
    given = passwords or [""]
    if len(given) not in (1, len(files)):
        raise BadRequest(
            f"{len(given)} passwords for {len(files)} files: give one for all, or one for each", "password"
        )
    if any(len(password) > _LONGEST_PASSWORD for password in given):
        raise BadRequest(f"a password has at most {_LONGEST_PASSWORD} characters", "password")
    each = given if len(given) == len(files) else given * len(files)
    return [
        IncomingFile(name, document_uri(uri), file.file.read(), password=password or None)
        for name, uri, file, password in zip(names, chosen, files, each, strict=True)
    ]


async def _finished(parts: Application, job: Job) -> Job:
    """The job when it has ended, or as it is after `server.wait_timeout_s`.

    The worker of this process says when; one of another process is found out by looking.
    """
    deadline = time.monotonic() + parts.settings.server.wait_timeout_s
    worked, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell(job_id: str) -> None:
        if job_id == job.job_id:
            loop.call_soon_threadsafe(worked.set)

    worked.set()  # it may have ended before we listen
    parts.jobs.listeners.add(tell)
    try:
        while job.state not in FINISHED and time.monotonic() < deadline:
            with suppress(TimeoutError):
                await asyncio.wait_for(worked.wait(), _POLL_S)
            worked.clear()
            job = await asyncio.to_thread(parts.ingestion.queue.get, job.job_id)
    finally:
        parts.jobs.listeners.discard(tell)
    return job


def _outcomes(job: Job, collection: str, incoming: list[IncomingFile]) -> list[DocumentOutcome]:
    """An outcome for every file in the order they came; those that the job has not reached are queued."""
    known: dict[str, DocumentOutcome] = {outcome.uri: outcome for outcome in job.documents}
    return [
        known.get(file.uri)
        or DocumentOutcome(document_id=document_id_of(collection, file.uri), uri=file.uri, state="queued")
        for file in incoming
    ]
