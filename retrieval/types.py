"""What retrieval produces."""

from __future__ import annotations

from typing import Literal

from ingest.types import WireModel

Mode = Literal["hybrid", "dense", "lexical"]


class Scores(WireModel):
    """The scores of each stage; null where a stage did not see the passage."""

    dense: float | None = None  # cosine
    lexical: float | None = None  # BM25
    rerank: float | None = None


class Place(WireModel):
    """Another visible place where the same chunk stands."""

    document_id: str
    version: int
    start: int
    end: int


class Passage(WireModel):
    """A chunk as retrieved for a query. `text == version_text[start:end]`, always."""

    chunk_id: str
    document_id: str
    uri: str
    version: int
    title: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    start: int
    end: int
    text: str
    score: float
    scores: Scores = Scores()
    also_in: tuple[Place, ...] = ()


class SearchResult(WireModel):
    """Passages, best first, as of `revision`."""

    revision: int
    passages: tuple[Passage, ...]
