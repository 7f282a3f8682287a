"""Who calls, and what they may do.

`Access` tells the caller of every request by its key, before anything of its body is read. Routers name the action they
need (`Reader`, `Asker`, …) and hand the caller's collections down to what they call: the rules are applied in the
queries themselves, never to their results. What lies in a collection that the caller may not read is, in every reply,
not there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.catalog.keys import ACTIONS, Action, Key, KeyRing, Limits
from ingest.errors import CatalogUnavailable, NotAllowed
from ragstone.api.limits import Usage
from ragstone.api.problems import MEDIA_TYPE, problem_of
from ragstone.errors import KeyNeeded, LimitReached
from ragstone.wiring import Application
from retrieval.errors import EmptyIndex

# What anybody may call: whether the service is alive and ready (in bare words), and the page of the console.
ALIVE = "/healthz"
PUBLIC_PATHS = frozenset({"/", "/healthz", "/readyz"})

_CALLER = "ragstone.caller"
_USAGE = "ragstone.usage"

UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. As long as there are no keys that is anybody on this machine, who may do all."""

    key_id: str | None = None
    readable: frozenset[str] | None = None  # None: all collections
    actions: frozenset[Action] = frozenset(ACTIONS)
    user: str | None = None
    limits: Limits = UNLIMITED

    @classmethod
    def of(cls, key: Key) -> Caller:
        readable = None if key.collections is None else frozenset(key.collections)
        return cls(key.key_id, readable, frozenset(key.actions), key.user, key.limits)

    def may_read(self, collection: str) -> bool:
        return self.readable is None or collection in self.readable

    def among(self, collection: str | None) -> frozenset[str] | None:
        """What to search for one who asks for `collection` (None: all that he may read); None means all there are."""
        if collection is None:
            return self.readable
        return frozenset([collection]) if self.may_read(collection) else frozenset()

    def need(self, action: Action) -> None:
        """Raises NotAllowed when the key lacks the action."""
        if action not in self.actions:
            raise NotAllowed(f"this key lacks the action `{action}`")

    def need_collection(self, collection: str) -> None:
        """Raises NotAllowed in words that don't tell whether there is such a collection."""
        if not self.may_read(collection):
            raise NotAllowed(f"this key is not for the collection {collection}")

    def need_everywhere(self, action: Action) -> None:
        """Raises NotAllowed for what concerns the whole index, such as a rollback, when the key is for a part of it."""
        self.need(action)
        if self.readable is not None:
            raise NotAllowed("this concerns the whole index and needs a key for all collections")


# One without a key, at a path that anybody may call.
NOBODY = Caller(readable=frozenset(), actions=frozenset())


class Access:
    """Lets those in who have a key in force, or anybody as long as there are no keys and `may_be_open`.

    `may_be_open` is for services that only this machine can reach.
    """

    def __init__(self, app: ASGIApp, application: Application, may_be_open: bool) -> None:
        self._app = app
        self._application = application
        self._may_be_open = may_be_open
        self._usage = Usage()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            secret = _secret(Headers(scope=scope).get("authorization"))
            caller = await run_in_threadpool(self._caller, secret, scope["path"])
            self._usage.count_request(caller.key_id, caller.limits)
        except (KeyNeeded, LimitReached) as error:
            document, headers = problem_of(error, scope["path"])
            await JSONResponse(document, document["status"], headers, MEDIA_TYPE)(scope, receive, send)
            return
        scope[_CALLER], scope[_USAGE] = caller, self._usage
        await self._app(scope, receive, send)

    def _caller(self, secret: str | None, path: str) -> Caller:
        """Raises KeyNeeded, and CatalogUnavailable but where it is asked whether the process lives."""
        try:
            return self._known_caller(secret, path in PUBLIC_PATHS)
        except CatalogUnavailable:
            if path != ALIVE:
                raise
            return NOBODY

    def _known_caller(self, secret: str | None, public: bool) -> Caller:
        """Raises KeyNeeded and CatalogUnavailable."""
        ring = KeyRing(self._application.catalog)
        key = None if secret is None else ring.find(secret)
        if key is not None and key.revoked_at is None:
            return Caller.of(key)
        # A revoked key is refused even where no key is needed any more: its holder should learn of it.
        if key is None and self._may_be_open and not ring.any_in_force():
            return Caller()
        if public:
            return NOBODY
        if secret is None:
            raise KeyNeeded("send an API key, as the header `Authorization: Bearer KEY`")
        raise KeyNeeded("this API key is not known, or was revoked: ask whoever runs this service for another one")


def is_open(scope: Scope) -> bool:
    """Whether the request was let in without a key because there are none."""
    caller: Caller = scope[_CALLER]
    return caller == Caller()


async def _caller_of(request: Request) -> Caller:
    caller: Caller = request.scope[_CALLER]
    return caller


async def _usage_of(request: Request) -> Usage:
    usage: Usage = request.scope[_USAGE]
    return usage


def may(action: Action) -> Callable[[Caller], Coroutine[Any, Any, Caller]]:
    """A dependency: the caller, if he may do this."""

    async def permitted(caller: AnyCaller) -> Caller:
        caller.need(action)
        return caller

    return permitted


def may_everywhere(action: Action) -> Callable[[Caller], Coroutine[Any, Any, Caller]]:
    """A dependency: the caller, if he may do this to the whole index."""

    async def permitted(caller: AnyCaller) -> Caller:
        caller.need_everywhere(action)
        return caller

    return permitted


AnyCaller = Annotated[Caller, Depends(_caller_of)]
Reader = Annotated[Caller, Depends(may("read"))]
Asker = Annotated[Caller, Depends(may("ask"))]
Writer = Annotated[Caller, Depends(may("write"))]
Administrator = Annotated[Caller, Depends(may("admin"))]
Stager = Annotated[Caller, Depends(may_everywhere("write"))]
Operator = Annotated[Caller, Depends(may_everywhere("admin"))]
Counts = Annotated[Usage, Depends(_usage_of)]


@contextmanager
def told_by_name(collection: str | None) -> Iterator[None]:
    """Words an empty index by what was asked for: the same whether it is empty, not there, or not to be read."""
    try:
        yield
    except EmptyIndex as error:
        where = "" if collection is None else f" in collection {collection}"
        raise EmptyIndex(
            f"there is no document{where} at that revision: upload some first (`ragstone ingest PATH`)"
        ) from error


def _secret(header: str | None) -> str | None:
    """What follows `Bearer` in the header; another scheme is as none."""
    scheme, _, secret = (header or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None
