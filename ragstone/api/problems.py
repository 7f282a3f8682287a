"""Errors as RFC 9457 problem JSON. What is not foreseen is a bug: 500 with an id, the details in the log only."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from generation.errors import QueueFull
from ragstone.errors import BadRequest, KnownError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS_OF_CODE = {
    "refused-document": 422,
    "empty-document": 422,
    "unsupported-format": 415,
    "corrupt-document": 422,
    "encrypted-document": 422,
    "document-too-large": 413,
    "request-too-large": 413,
    "not-found": 404,
    "storage-full": 507,
    "catalog-unavailable": 503,
    "bad-query": 422,
    "bad-question": 422,
    "bad-request": 422,
    "bad-cases": 422,
    "bad-settings": 422,
    "empty-index": 409,
    "queue-full": 429,
    "model-loading": 503,
    "model-unavailable": 503,
    "models-missing": 503,
    "embedder-unavailable": 503,
    "missing-extra": 503,
    "model-failed": 502,
    "not-built": 501,
    "foreign-origin": 403,
}
RETRY_AFTER_S = {"model-loading": 5, "catalog-unavailable": 2}


def problem(status: int, code: str, detail: str, instance: str, **more: Any) -> dict[str, Any]:
    """The problem document; `type` is a relative reference that names the code."""
    title = code.replace("-", " ").capitalize()
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        **more,
    }


def problem_of(error: Exception, instance: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The problem document and headers of any exception; a bug is logged under the id that the document shows."""
    if not isinstance(error, KnownError):
        error_id = uuid.uuid4().hex[:12]
        log.error("bug %s at %s", error_id, instance, exc_info=error)
        detail = f"a bug in Ragstone; its log has the details under {error_id}"
        return problem(500, "internal-error", detail, instance, error_id=error_id), {}
    headers = {}
    retry_after = error.retry_after_s if isinstance(error, QueueFull) else RETRY_AFTER_S.get(error.code)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    more = {"field": error.field} if isinstance(error, BadRequest) and error.field else {}
    return problem(STATUS_OF_CODE.get(error.code, 500), error.code, str(error), instance, **more), headers


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem document."""

    async def known(request: Request, error: Exception) -> JSONResponse:
        document, headers = problem_of(error, request.url.path)
        return JSONResponse(document, document["status"], headers, MEDIA_TYPE)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        codes = {404: "not-found", 405: "method-not-allowed", 413: "request-too-large"}
        code = codes.get(error.status_code, "bad-request")
        document = problem(error.status_code, code, str(error.detail), request.url.path)
        return JSONResponse(document, error.status_code, error.headers, MEDIA_TYPE)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        _where, *path = first["loc"]
        field = ".".join(str(part) for part in path)
        document = problem(422, "bad-request", f"{field or 'the body'}: {first['msg']}", request.url.path, field=field)
        return JSONResponse(document, 422, None, MEDIA_TYPE)

    for kind in (*KnownError, Exception):
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
