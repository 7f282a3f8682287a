"""Search."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

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


@router.post("/search")
def search(parts: Parts, body: SearchBody) -> SearchResult:
    if body.rerank:
        raise NotBuilt("the reranker is not built yet: leave `rerank` out")
    if body.filters:
        raise NotBuilt("filters are not built yet: leave `filters` out")
    collections = None if body.collection is None else frozenset([collection_name(body.collection)])
    return parts.searcher.search(
        SearchRequest(query=body.query, collections=collections, k=body.k, mode=body.mode, as_of=body.as_of)
    )
