"""The main path of retrieval: a query becomes the passages of one snapshot, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ingest import schema
from ingest.catalog import Catalog
from ingest.types import Embedder
from retrieval.config import RetrievalSettings
from retrieval.errors import BadQuery, EmptyIndex
from retrieval.fusion import convex, rrf
from retrieval.ranking import Ranking, Visible, nothing
from retrieval.snapshots import HybridIndex
from retrieval.types import Mode, Passage, Place, Scores, SearchResult

MAX_QUERY_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """`collections` are those that the caller may read and asks for; None means all. `k` None means the setting."""

    query: str
    collections: frozenset[str] | None = None
    k: int | None = None
    mode: Mode = "hybrid"
    as_of: int | datetime | None = None


class Searcher:
    """Searches one hybrid index. May be called from any thread."""

    def __init__(self, catalog: Catalog, index: HybridIndex, embedder: Embedder, settings: RetrievalSettings) -> None:
        self._catalog = catalog
        self._index = index
        self._embedder = embedder
        self._settings = settings

    def search(self, request: SearchRequest) -> SearchResult:
        """Raises BadQuery for what can't be asked and EmptyIndex where there is nothing to search."""
        k = request.k if request.k is not None else self._settings.k
        # 1. Refuse what can't be answered.
        query = _checked_query(request.query)
        # 2. Choose the snapshot, and what of it the caller sees.
        revision = self._revision(request.as_of)
        visible = self._index.visible(revision, request.collections)
        if not visible.any():
            raise EmptyIndex(_nothing_there(request.collections, revision))
        # 3. Ask both halves, under the same visibility.
        wanted = max(k, self._settings.candidates)
        dense = self._dense(query, wanted, visible) if request.mode != "lexical" else None
        lexical = self._index.search_lexical(query, wanted, visible) if request.mode != "dense" else None
        # 4. Fuse them; ties go by chunk id, so that the order never depends on arrival.
        ranked = self._fuse(dense, lexical)
        best = sorted(ranked, key=lambda hit: (-hit.score, hit.chunk_id))[:k]
        # 5. Look up where the chunks stand.
        return SearchResult(revision=revision, passages=self._passages(best, revision, request.collections))

    def follow(self) -> int:
        """Reads what was committed since the last time, and returns the head revision; a search does so by itself."""
        return self._index.follow()

    def _revision(self, as_of: int | datetime | None) -> int:
        head = self.follow()
        if as_of is None:
            return head
        revision = as_of if isinstance(as_of, int) else self._catalog.revision_at(as_of)
        if not 0 <= revision <= head:
            raise BadQuery(f"revision {revision} was never committed: the newest is {head}")
        return revision

    def _dense(self, query: str, k: int, visible: Visible) -> Ranking:
        return self._index.search_dense(self._embedder.embed_query(query), k, visible)

    def _fuse(self, dense: Ranking | None, lexical: Ranking | None) -> list[_Hit]:
        if dense is None or lexical is None:
            rows, scores = dense or lexical or nothing()
        elif self._settings.fusion == "rrf":
            rows, scores = rrf([dense[0], lexical[0]], self._settings.rrf_k)
        else:
            rows, scores = convex(dense, lexical, self._settings.dense_weight)
        dense_scores = _score_of(dense)
        lexical_scores = _score_of(lexical)
        return [
            _Hit(chunk_id, float(score), Scores(dense=dense_scores.get(row), lexical=lexical_scores.get(row)))
            for chunk_id, row, score in zip(self._index.chunk_ids(rows), rows.tolist(), scores, strict=True)
        ]

    def _passages(self, hits: Sequence[_Hit], revision: int, collections: frozenset[str] | None) -> tuple[Passage, ...]:
        occurrences, versions, documents = schema.occurrences, schema.versions, schema.documents
        length = occurrences.c.end - occurrences.c.start
        query = (
            select(
                occurrences,
                documents.c.uri,
                versions.c.title,
                func.substr(versions.c.text, occurrences.c.start + 1, length).label("text"),
            )
            .join(documents, documents.c.document_id == occurrences.c.document_id)
            .join(
                versions,
                (versions.c.document_id == occurrences.c.document_id) & (versions.c.version == occurrences.c.version),
            )
            .where(
                occurrences.c.chunk_id.in_([hit.chunk_id for hit in hits]),
                occurrences.c.added_in <= revision,
                occurrences.c.removed_in.is_(None) | (occurrences.c.removed_in > revision),
            )
            .order_by(documents.c.uri, occurrences.c.ordinal, occurrences.c.occurrence_id)
        )
        if collections is not None:
            query = query.where(occurrences.c.collection.in_(sorted(collections)))
        places: dict[str, list[_PlaceRow]] = {}
        with self._catalog.reading() as connection:
            for row in connection.execute(query).mappings():
                places.setdefault(row["chunk_id"], []).append(dict(row))
        return tuple(_passage(hit, places[hit.chunk_id]) for hit in hits if hit.chunk_id in places)


@dataclass(frozen=True, slots=True)
class _Hit:
    chunk_id: str
    score: float
    scores: Scores


_PlaceRow = dict[str, object]


def _passage(hit: _Hit, places: list[_PlaceRow]) -> Passage:
    """A chunk shows at its first place, by URI and position; the others are named in `also_in`."""
    first, *others = places
    shown = ("document_id", "uri", "version", "title", "heading", "page", "start", "end", "text")
    also_in = [Place.model_validate({name: place[name] for name in Place.model_fields}) for place in others]
    values = {name: first[name] for name in shown}
    return Passage.model_validate(
        {**values, "chunk_id": hit.chunk_id, "score": hit.score, "scores": hit.scores, "also_in": also_in}
    )


def _score_of(half: Ranking | None) -> dict[int, float]:
    return {} if half is None else dict(zip(half[0].tolist(), half[1].tolist(), strict=True))


def _checked_query(query: str) -> str:
    stripped = query.strip()
    if not stripped:
        raise BadQuery("the query is empty: ask something")
    if len(stripped) > MAX_QUERY_CHARACTERS:
        raise BadQuery(f"the query has {len(stripped):,} characters and the limit is {MAX_QUERY_CHARACTERS:,}")
    return stripped


def _nothing_there(collections: frozenset[str] | None, revision: int) -> str:
    where = "any collection" if collections is None else f"collection {', '.join(sorted(collections))}"
    return f"there is no document in {where} at revision {revision}: upload some first (`ragstone ingest PATH`)"
