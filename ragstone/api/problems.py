"""Errors as RFC 9457 problem JSON. What is not foreseen is a bug: 500 with an id, the details in the log only."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from generation.errors import QueueFull
from ragstone.errors import BadRequest, KeyNeeded, KnownError, LimitReached

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
    "key-needed": 401,
    "forbidden": 403,
    "limit-reached": 429,
    "unknown-revision": 422,
    "expired": 410,
    "erased": 410,
    "batch-conflict": 409,
    "quarantine-conflict": 409,
    "limit-exceeded": 422,
    "needs-ocr": 422,
    "try-again": 503,
    "lease-held": 503,
    "lease-lost": 503,
    "job-not-done": 503,
    "storage-full": 507,
    "catalog-unavailable": 503,
    "catalog-damaged": 500,
    "data-folder-unusable": 500,
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
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, KeyNeeded) else {}
    said = error.retry_after_s if isinstance(error, QueueFull | LimitReached) else None
    retry_after = said or RETRY_AFTER_S.get(error.code)
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
        detail, field = _explained(error.errors()[0])
        more = {"field": field} if field else {}
        return JSONResponse(problem(422, "bad-request", detail, request.url.path, **more), 422, None, MEDIA_TYPE)

    for kind in KnownError:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _explained(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """What is wrong with a request that did not fit its form, and the field it concerns, if one."""
    _where, *path = error["loc"]
    if error["type"] == "json_invalid":
        return f"the body is not JSON: {error['ctx']['error']}", None
    if not path and error["type"] == "value_error":  # of the body as a whole: one field that does not fit another
        return str(error["msg"]).removeprefix("Value error, "), None
    if not path:
        return "the body is missing or is not of the form that is asked for", None
    if path[0] == "file":
        return "file: send at least one file with a name, as multipart/form-data", "file"
    field = ".".join(str(part) for part in path)
    return f"{field}: {error['msg'].removeprefix('Value error, ')}", field


class LastResort:
    """Answers what no handler knew: a bug, or an error raised beneath the router. The connection goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.info("the caller of %s left", scope["path"])
        except Exception as error:
            document, headers = problem_of(error, scope["path"])
            if not started:
                await JSONResponse(document, document["status"], headers, MEDIA_TYPE)(scope, receive, send)
