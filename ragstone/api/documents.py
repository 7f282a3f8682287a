"""Documents: upload, list, versions, delete."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from ingest.identity import document_id_of
from ingest.jobs import FINISHED
from ingest.pipeline import IncomingFile
from ingest.types import DocumentInfo, DocumentOutcome, Job, VersionInfo
from ragstone.api.parts import Parts
from ragstone.errors import BadRequest, NotBuilt

router = APIRouter(prefix="/v1/documents", tags=["documents"])

_POLL_S = 0.05
MAX_URI_CHARACTERS = 2048


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
def upload(
    parts: Parts,
    response: Response,
    file: Annotated[list[UploadFile], File()],
    collection: Annotated[str, Form()] = "default",
    uri: Annotated[list[str] | None, Form()] = None,
    metadata: Annotated[str, Form()] = "{}",
    wait: bool = False,
) -> Uploaded:
    """Takes files in; replies once they are stored (202), or with `wait` once they can be searched (200)."""
    incoming = _incoming(file, uri)
    job_id = parts.ingestion.submit(incoming, collection_name(collection), _metadata(metadata))
    parts.worker.wake()
    job = parts.ingestion.queue.get(job_id)
    if wait:
        job = _waited_for(parts, job_id)
        response.status_code = 200 if job.state in FINISHED else 202
    return Uploaded(job_id=job_id, documents=_outcomes(job, collection, incoming))


@router.get("")
def list_documents(
    parts: Parts,
    collection: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> DocumentPage:
    documents, next_cursor = parts.catalog.documents(collection, limit, cursor)
    return DocumentPage(documents=documents, next_cursor=next_cursor)


@router.get("/{document_id}")
def document(parts: Parts, document_id: str) -> DocumentInfo:
    return parts.catalog.document(document_id)


@router.get("/{document_id}/versions")
def versions(parts: Parts, document_id: str) -> dict[str, list[VersionInfo]]:
    return {"versions": parts.catalog.versions(document_id)}


@router.get("/{document_id}/versions/{version}/text", response_class=PlainTextResponse)
def version_text(parts: Parts, document_id: str, version: int) -> PlainTextResponse:
    return PlainTextResponse(parts.catalog.version_text(document_id, version), headers=_INERT)


@router.get("/{document_id}/versions/{version}/original", response_class=Response)
def version_original(parts: Parts, document_id: str, version: int) -> Response:
    """The bytes as they were uploaded, as a download: a browser must not run what a document brings."""
    data = parts.originals.read(parts.catalog.version_hash(document_id, version))
    headers = {**_INERT, "Content-Disposition": f'attachment; filename="{document_id}-{version}"'}
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.delete("/{document_id}")
def delete(parts: Parts, document_id: str, erase: bool = False) -> Deleted:
    if erase:
        raise NotBuilt(
            "erasing a document everywhere is not built yet; without ?erase it is hidden from a new revision"
        )
    return Deleted(revision=parts.catalog.delete_document(document_id))


_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


def collection_name(name: str) -> str:
    """Checks a collection's name: what it allows is safe in paths, logs and URLs."""
    if not (1 <= len(name) <= 64 and name.replace("-", "").replace("_", "").isalnum() and name.isascii()):
        raise BadRequest(f"{name!r} is no collection name: use 1 to 64 letters, digits, - and _", "collection")
    return name


def _incoming(files: list[UploadFile], uris: list[str] | None) -> list[IncomingFile]:
    names = [file.filename or "" for file in files]
    if uris is not None and len(uris) != len(files):
        raise BadRequest(f"{len(uris)} URIs for {len(files)} files: give one for each file, or none", "uri")
    incoming = []
    for name, uri, file in zip(names, uris or names, files, strict=True):
        if not uri or len(uri) > MAX_URI_CHARACTERS or not uri.isprintable():
            raise BadRequest(f"{uri!r} is no URI: use 1 to {MAX_URI_CHARACTERS} printable characters", "uri")
        incoming.append(IncomingFile(name, uri, file.file.read()))
    return incoming


def _metadata(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadRequest(f"metadata is not JSON: {error}", "metadata") from error
    if not isinstance(value, dict):
        raise BadRequest('metadata is a JSON object, such as {"team": "pumps"}', "metadata")
    return value


def _waited_for(parts: Parts, job_id: str) -> Job:
    deadline = time.monotonic() + parts.settings.server.wait_timeout_s
    job = parts.ingestion.queue.get(job_id)
    while job.state not in FINISHED and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        job = parts.ingestion.queue.get(job_id)
    return job


def _outcomes(job: Job, collection: str, incoming: list[IncomingFile]) -> list[DocumentOutcome]:
    """An outcome for every file in the order they came; those that the job has not reached are queued."""
    known: dict[str, DocumentOutcome] = {outcome.uri: outcome for outcome in job.documents}
    return [
        known.get(file.uri)
        or DocumentOutcome(document_id=document_id_of(collection, file.uri), uri=file.uri, state="queued")
        for file in incoming
    ]
