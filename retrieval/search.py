"""The main path of retrieval: a query becomes the passages of one snapshot, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from ingest.catalog import schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import visible_at
from ingest.errors import CatalogDamaged
from ingest.identity import chunk_id_of
from retrieval.config import RetrievalSettings
from retrieval.errors import BadQuery, EmptyIndex
from retrieval.fusion import convex, rrf
from retrieval.live import LiveIndex, Serving
from retrieval.near_duplicates import Grouping
from retrieval.ranking import Ranking, nothing
from retrieval.types import Lead, Mode, PageStart, Passage, Place, Scores, SearchResult

MAX_QUERY_CHARACTERS = 100_000
# Passages that are looked at for near duplicates, so that `k` of them differ.
_MOST_COMPARED = 100


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """`collections` are those that the caller may read and asks for; None means all. `k` None means the setting."""

    query: str
    collections: frozenset[str] | None = None
    k: int | None = None
    mode: Mode = "hybrid"
    as_of: int | datetime | None = None
    batch: str | None = None  # a staged batch that is seen on top of the head


class Searcher:
    """Searches the hybrid index of the space in use. May be called from any thread."""

    def __init__(self, catalog: Catalog, live: LiveIndex, settings: RetrievalSettings) -> None:
        self._catalog = catalog
        self._live = live
        self._settings = settings

    def search(self, request: SearchRequest) -> SearchResult:
        """Raises BadQuery for what can't be asked and EmptyIndex where there is nothing to search."""
        k = request.k if request.k is not None else self._settings.k
        # 1. Refuse what can't be answered.
        query = _checked_query(request.query)
        if request.batch is not None and request.as_of is not None:
            raise BadQuery("a batch is seen on top of the head: leave as_of out")
        # 2. Embed the query, before a connection is held.
        before = self._live.serving
        vector = None if request.mode == "lexical" else before.embedder.embed_query(query)
        with self._catalog.reading() as connection:
            # 3. Choose the snapshot, and what of it the caller sees.
            revision, serving = self._snapshot(connection, request.as_of)
            index = serving.index
            visible = index.visible(connection, revision, request.collections, request.batch)
            if not visible.count:
                raise EmptyIndex(_nothing_there(request, revision))
            # 4. Ask both halves, under the same visibility.
            spare = k if self._settings.collapse else 0  # for those that say the same
            wanted = max(k, self._settings.candidates) if request.mode == "hybrid" else k + spare
            dense = lexical = None
            if vector is not None:
                if serving.space_id != before.space_id:  # another one was put in use in this moment
                    vector = serving.embedder.embed_query(query)
                dense = index.search_dense(vector, wanted, visible)
            if request.mode != "dense":
                lexical = index.search_lexical(query, wanted, visible)
            # 5. Fuse them; ties go by chunk id, so that the order never depends on arrival.
            best = index.ordered(self._fuse(dense, lexical), wanted)
            # 6. Look up where the chunks stand; those that say the same are one passage.
            scores = _Scores(dict(_pairs(best)), dict(_pairs(dense)), dict(_pairs(lexical)))
            groups = self._groups(connection, best[0].tolist(), k, revision, request)
        passages = tuple(_passage(group, scores) for group in groups)
        return SearchResult(revision=revision, passages=passages)

    def follow(self) -> int:
        """Reads what was committed since the last time, and returns the head revision; a search does so by itself."""
        return self._live.followed()[0]

    def _snapshot(self, connection: Connection, as_of: int | datetime | None) -> tuple[int, Serving]:
        head, serving = self._live.followed(connection)
        if as_of is None:
            return head, serving
        revision = as_of if isinstance(as_of, int) else self._catalog.revision_at(connection, as_of)
        if not 0 <= revision <= head:
            raise BadQuery(f"revision {revision} was never committed: the newest is {head}")
        return revision, serving

    def _fuse(self, dense: Ranking | None, lexical: Ranking | None) -> Ranking:
        if dense is None or lexical is None:
            return dense or lexical or nothing()
        if self._settings.fusion == "rrf":
            return rrf([dense[0], lexical[0]], self._settings.rrf_k)
        return convex(dense, lexical, self._settings.dense_weight)

    def _groups(
        self, connection: Connection, ranked: Sequence[int], k: int, revision: int, request: SearchRequest
    ) -> list[_Group]:
        """The places of the `k` best passages, each with those of its near duplicates among the best."""
        found: list[tuple[int, list[_Place]]] = []
        groups: list[_Group] = []
        grouping = Grouping()
        for start in range(0, len(ranked), k):
            numbers = ranked[start : start + k]
            places = self._places(connection, numbers, revision, request)
            more = [(number, places[number]) for number in numbers if number in places]
            found += more
            if not self._settings.collapse:
                return [[its] for its in found]
            for _, of_chunk in more:
                grouping.add(str(of_chunk[0]["text"]))
            alike = grouping.groups()
            groups = [[found[index] for index in indices] for indices in alike[:k]]
            if len(alike) >= k or len(found) >= _MOST_COMPARED:
                break
        return groups

    def _places(
        self, connection: Connection, numbers: Sequence[int], revision: int, request: SearchRequest
    ) -> dict[int, list[_Place]]:
        """Where each chunk stands for this caller, by URI and position."""
        values = {"numbers": numbers, "revision": revision, "batch": request.batch}
        values["collections"] = sorted(request.collections or ())
        limited = request.collections is not None
        found = [_SHOWN[limited]] if request.batch is None else [_BESIDE_BATCH[limited], _STAGED[limited]]
        places: dict[int, list[_Place]] = {}
        for query in found:
            for row in connection.execute(query, values).mappings():
                places.setdefault(row["chunk"], []).append(_checked(row))
        for of_chunk in places.values():
            of_chunk.sort(key=lambda place: (str(place["uri"]), int(place["start"]), str(place["document_id"])))
        return places


_Place = dict[str, Any]
# Chunks that say the same, the best first, by number, each with where it stands.
_Group = list[tuple[int, list[_Place]]]


@dataclass(frozen=True, slots=True)
class _Scores:
    """Scores by chunk number; `final` in the order of the result."""

    final: dict[int, float]
    dense: dict[int, float]
    lexical: dict[int, float]


# Of a table of occurrences.
_PLACE = ("chunk", "document_id", "version", "start", "end", "page", "later_pages", "heading", "lead_start", "lead_end")


def _places_query(table: Any, limited: bool) -> Any:
    """Where chunks stand, of `table` with its texts; `limited` to some collections."""
    chunks, versions, documents = schema.chunks, schema.versions, schema.documents
    query = (
        select(
            *(table.c[name] for name in _PLACE),
            chunks.c.chunk_id,
            chunks.c.input,
            documents.c.uri,
            versions.c.title,
        )
        .join(chunks, chunks.c.number == table.c.chunk)
        .join(documents, documents.c.document_id == table.c.document_id)
        .join(versions, (versions.c.document_id == table.c.document_id) & (versions.c.version == table.c.version))
        .where(table.c.chunk.in_(bindparam("numbers", expanding=True)))
    )
    return query.where(table.c.collection.in_(bindparam("collections", expanding=True))) if limited else query


# Built once, since every search asks one of them; by whether it is limited to some collections.
_VISIBLE = visible_at(schema.occurrences, bindparam("revision"))
_REPLACED = select(schema.staged.c.document_id).where(schema.staged.c.batch_id == bindparam("batch"))
_SHOWN = {limited: _places_query(schema.occurrences, limited).where(_VISIBLE) for limited in (False, True)}
_BESIDE_BATCH = {
    limited: query.where(schema.occurrences.c.document_id.not_in(_REPLACED)) for limited, query in _SHOWN.items()
}
_STAGED = {
    limited: _places_query(schema.staged_occurrences, limited).where(
        schema.staged_occurrences.c.batch_id == bindparam("batch")
    )
    for limited in (False, True)
}


def _checked(row: Any) -> _Place:
    """The row with the chunk's text, which is the end of the embedder's input. Raises CatalogDamaged."""
    place = dict(row)
    stored = place.pop("input")
    if chunk_id_of(stored) != place["chunk_id"]:
        raise CatalogDamaged(
            f"the text of chunk {place['chunk_id']} is not what was stored: restore a backup (see `ragstone doctor`)"
        )
    begin = len(stored) - (place["end"] - place["start"])
    place["text"] = stored[begin:]
    start, end = place.pop("lead_start"), place.pop("lead_end")
    place["later_pages"] = [PageStart(page=page, start=at) for page, at in place["later_pages"] or ()]
    place["lead"] = None
    if start is not None:  # it stands on the lines before
        place["lead"] = Lead(start=start, end=end, text=stored[begin - 1 - (end - start) : begin - 1])
    return place


def _passage(group: _Group, scores: _Scores) -> Passage:
    """A chunk shows at its first place; the others, and those of its near duplicates, are named in `also_in`."""
    (number, (first, *others)), *near = group
    shown = ("chunk_id", "document_id", "uri", "version", "title", "heading", "page", "later_pages", "start", "end")
    also_in = [_place(place, near=False) for place in others]
    also_in += [_place(place, near=True) for _, places in near for place in places]
    stages = Scores(dense=scores.dense.get(number), lexical=scores.lexical.get(number))
    values = {name: first[name] for name in (*shown, "text", "lead")}
    return Passage.model_validate({**values, "score": scores.final[number], "scores": stages, "also_in": also_in})


def _place(place: _Place, *, near: bool) -> Place:
    return Place(**{name: place[name] for name in Place.model_fields if name != "near"}, near=near)


def _pairs(ranking: Ranking | None) -> Iterator[tuple[int, float]]:
    """Chunk numbers with their scores, best first."""
    numbers, scores = nothing() if ranking is None else ranking
    return zip(numbers.tolist(), scores.tolist(), strict=True)


def _checked_query(query: str) -> str:
    stripped = query.strip()
    if not stripped:
        raise BadQuery("the query is empty: ask something")
    if len(stripped) > MAX_QUERY_CHARACTERS:
        raise BadQuery(f"the query has {len(stripped):,} characters and the limit is {MAX_QUERY_CHARACTERS:,}")
    return stripped


def _nothing_there(request: SearchRequest, revision: int) -> str:
    where = "any collection" if request.collections is None else f"collection {', '.join(sorted(request.collections))}"
    mend = "upload some first (`ragstone ingest PATH`)" if request.as_of is None else "ask as of a later one"
    return f"there is no document in {where} at revision {revision}: {mend}"
