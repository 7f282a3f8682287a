"""Calls of the contract that are not built yet: they say so, and never make up a result."""

from __future__ import annotations

from fastapi import APIRouter, Request

from ragstone.errors import NotBuilt

router = APIRouter(prefix="/v1", include_in_schema=False)

UNBUILT = (
    ("POST", "/answers/{id}/replay"),
    ("GET", "/users/{user}/memory"),
    ("DELETE", "/users/{user}/memory"),
    ("GET", "/releases"),
    ("POST", "/releases"),
    ("GET", "/releases/{id}"),
    ("POST", "/releases/{id}/evaluate"),
    ("GET", "/channels"),
    ("PUT", "/channels/canary"),
    ("POST", "/channels/stable/promote"),
    ("POST", "/channels/stable/rollback"),
    ("POST", "/runs"),
    ("GET", "/runs/{id}"),
    ("GET", "/adapters"),
    ("GET", "/cases"),
    ("POST", "/cases"),
    ("POST", "/evals"),
    ("GET", "/evals/{id}"),
    ("POST", "/chat/completions"),
    ("GET", "/models"),
)


async def _not_built(request: Request) -> None:
    raise NotBuilt(f"{request.method} {request.url.path} is part of the contract and not built yet")


for _method, _path in UNBUILT:
    router.add_api_route(_path, _not_built, methods=[_method])
