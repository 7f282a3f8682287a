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
    """Another visible place where the same text stands, or (`near`) one that says the same in nearly the same words."""

    document_id: str
    version: int
    start: int
    end: int
    uri: str
    near: bool = False


class Lead(WireModel):
    """What stands elsewhere in the version and is needed to read a passage: `text == version_text[start:end]`."""

    start: int
    end: int
    text: str


class PageStart(WireModel):
    """Where a page begins in the version; null begins what is on no page."""

    page: int | None
    start: int


class Passage(WireModel):
    """A chunk as retrieved for a query. `text == version_text[start:end]`, always.

    It begins on `page` (null where there are no pages); `later_pages` begin within it.
    `lead` is the header of the table among whose rows the passage begins.
    """

    chunk_id: str
    document_id: str
    uri: str
    version: int
    title: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    later_pages: tuple[PageStart, ...] = ()
    start: int
    end: int
    text: str
    lead: Lead | None = None
    score: float
    scores: Scores = Scores()
    also_in: tuple[Place, ...] = ()

    @property
    def around(self) -> tuple[str, ...]:
        """What says what the text is about without being part of it."""
        return (self.title, *self.heading, *((self.lead.text,) if self.lead else ()))

    def page_at(self, offset: int) -> int | None:
        """The page on which the character at `offset` of the version stands, for one of the passage."""
        return next((its.page for its in reversed(self.later_pages) if its.start <= offset), self.page)


class SearchResult(WireModel):
    """Passages, best first, as of `revision`."""

    revision: int
    passages: tuple[Passage, ...]


class HalfReport(WireModel):
    """What one half of the index holds; `bytes` in memory, mapped files included."""

    chunks: int
    segments: int
    bytes: int


class IndexReport(WireModel):
    """The index as one process has it.

    `recall_at_10` is the share of the 10 nearest that a dense search finds, of those that scoring every chunk finds;
    null where there is nothing to ask. `problems` are files that were found damaged or foreign and are built anew.
    """

    revision: int
    space: str
    lexical: HalfReport
    dense: HalfReport
    recall_at_10: float | None
    problems: tuple[str, ...] = ()
