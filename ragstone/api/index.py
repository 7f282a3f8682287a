"""The index: what is in it, and its revisions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ragstone.api.parts import Parts
from ragstone.status import IndexStatus, index_status

router = APIRouter(prefix="/v1/index", tags=["index"])


class RevisionPage(BaseModel):
    revisions: list[dict[str, Any]]


@router.get("")
def index(parts: Parts) -> IndexStatus:
    return index_status(parts)


@router.get("/revisions")
def revisions(parts: Parts, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> RevisionPage:
    """The newest first."""
    return RevisionPage(revisions=[asdict(revision) for revision in parts.catalog.revisions(limit)])
