"""Search."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ragstone.api.access import Reader, told_by_name
from ragstone.api.inputs import AsOf, Text
from ragstone.api.parts import Parts
from ragstone.errors import NotBuilt
from ragstone.names import collection_name
from retrieval.search import SearchRequest
from retrieval.types import Mode, SearchResult

router = APIRouter(prefix="/v1", tags=["search"])


class SearchBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Text
    collection: str | None = None
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    mode: Mode = "hybrid"
    rerank: bool | None = None
    as_of: AsOf = None
    filters: dict[str, Any] | None = None
    batch: Text | None = None


@router.post("/search")
def search(parts: Parts, caller: Reader, body: SearchBody) -> SearchResult:
    """Without `collection`, searches all that the caller may read. Revision numbers are those of the whole index."""
    if body.rerank:
        raise NotBuilt("the reranker is not built yet: leave `rerank` out")
    if body.filters:
        raise NotBuilt("filters are not built yet: leave `filters` out")
    collection = None if body.collection is None else collection_name(body.collection)
    with told_by_name(collection):
        return parts.searcher.search(
            SearchRequest(
                query=body.query,
                collections=caller.among(collection),
                k=body.k,
                mode=body.mode,
                as_of=body.as_of,
                batch=body.batch,
            )
        )
