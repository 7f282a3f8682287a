"""The index: what is in it, and its revisions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ragstone.api.access import Reader
from ragstone.api.inputs import RevisionOrTime
from ragstone.api.parts import Parts
from ragstone.status import IndexStatus, ReadableStatus, index_status, readable_status

router = APIRouter(prefix="/v1/index", tags=["index"])


class RevisionPage(BaseModel):
    revisions: list[dict[str, Any]]


@router.get("")
def index(parts: Parts, caller: Reader, as_of: RevisionOrTime = None) -> IndexStatus | ReadableStatus:
    """Counts as of now, or as of a revision or a time.

    Revisions are numbered over all collections: the number tells how often any of them was changed.
    """
    if caller.readable is None:
        return index_status(parts, as_of)
    return readable_status(parts, caller.readable, as_of)


@router.get("/revisions")
def revisions(parts: Parts, caller: Reader, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> RevisionPage:
    """The newest first; for a key for some collections, those that changed a document of these."""
    return RevisionPage(revisions=[asdict(revision) for revision in parts.catalog.revisions(limit, caller.readable)])
