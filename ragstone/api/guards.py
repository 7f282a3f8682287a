"""What every request passes: a limit on its size, and proof that no foreign web page sent it.

As long as the API is open on loopback, any page in the user's browser could reach it: by a form or script of its own
(told by `Origin`), or by a name of its own that resolves to 127.0.0.1 (told by `Host`). Where a key is needed, neither
helps such a page: it has no key, and no browser adds one by itself.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.api.access import is_open
from ragstone.api.problems import MEDIA_TYPE, problem

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class SizeLimit:
    """Refuses bodies over `limit_mib`, by their stated length, or as soon as more than that has come in."""

    def __init__(self, app: ASGIApp, limit_mib: float) -> None:
        self._app = app
        self._limit = int(limit_mib * 1024 * 1024)
        self._detail = (
            f"the request has over {limit_mib:g} MiB: send fewer files at once, or raise server.max_request_mib"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > self._limit:
            await _refuse(413, "request-too-large", self._detail, scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)


class SameOrigin:
    """Where access is open, refuses requests for another host than this one, or that another site's page has sent."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | {host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_open(scope):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            host, origin = headers.get("host", ""), headers.get("origin")
            if _part(f"//{host}", "hostname") not in self._names:
                detail = f"this service does not answer under the name {host!r}"
                await _refuse(403, "foreign-origin", detail, scope, receive, send)
                return
            if origin is not None and _part(origin, "netloc") != host:
                detail = f"a page of {origin} may not call this service"
                await _refuse(403, "foreign-origin", detail, scope, receive, send)
                return
        await self._app(scope, receive, send)


def _part(url: str, name: str) -> str | None:
    """A part of a URL; None where it is no URL."""
    try:
        value: str | None = getattr(urlsplit(url), name)
    except ValueError:
        return None
    return value


async def _refuse(status: int, code: str, detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    document = problem(status, code, detail, scope["path"])
    headers = {"Connection": "close"} if status == 413 else None
    await JSONResponse(document, status, headers, MEDIA_TYPE)(scope, receive, send)
