from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings
from ingest.extraction.process import ReadHere
from ingest.identity import document_id_of
from ingest.originals import Originals
from ingest.pipeline import IncomingFile, Ingestion
from ingest.revisions.history import History
from ingest.types import Embedder, Extracted, Page
from ingest.worker import Worker
from retrieval.config import RetrievalSettings
from retrieval.engines import dense_half, lexical_half
from retrieval.errors import BadQuery, EmptyIndex
from retrieval.hash_embedder import HashEmbedder
from retrieval.live import LiveIndex, Serving
from retrieval.search import Searcher, SearchRequest
from retrieval.snapshots import HybridIndex
from retrieval.tokens import Tokenizer
from retrieval.types import Mode, Passage, SearchResult


class Library:
    """A data folder with a searcher that follows it."""

    def __init__(self, folder: Path, embedder: Embedder | None = None, **settings: Any) -> None:
        self.catalog = Catalog.in_folder(folder)
        self.history = History(self.catalog)
        self.embedder = embedder or HashEmbedder()
        self.ingestion = Ingestion(
            self.catalog, Originals(folder / "originals"), self.embedder, IngestSettings(chunk_tokens=40), ReadHere()
        )
        self._worker = Worker(self.ingestion)
        self._settings = RetrievalSettings(**settings)
        self.searcher = self.new_searcher()

    def new_searcher(self) -> Searcher:
        """A searcher as another process would start it."""
        tokenizer = Tokenizer("english")
        self.index = HybridIndex(
            self.catalog,
            self.embedder.space,
            dense_half(self.embedder.space, self._settings, None),
            lexical_half(self._settings, tokenizer, None),
            tokenizer,
        )
        live = LiveIndex(self.catalog, lambda space_id: Serving(self.index, lambda: self.embedder))
        return Searcher(self.catalog, live, self._settings)

    def put(self, uri: str, text: str, collection: str = "default") -> str:
        self.ingestion.submit([IncomingFile(uri, uri, text.encode())], collection, {})
        self._worker.work_off()
        return document_id_of(collection, uri)

    def find(self, query: str, searcher: Searcher | None = None, **request: Any) -> SearchResult:
        return (searcher or self.searcher).search(SearchRequest(query=query, **request))

    def uris(self, query: str, **request: Any) -> list[str]:
        return [passage.uri for passage in self.find(query, **request).passages]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    yield library
    library.catalog.close()


def test_passages_quote_their_version(library: Library) -> None:
    library.put(
        "pumps.md", "# Pumps\n\nThe small pump weighs eleven kilograms.\n\n# Valves\n\nValves are closed by hand."
    )
    result = library.find("how heavy is the small pump")
    best = result.passages[0]
    text = library.catalog.version_text(best.document_id, best.version)
    assert text[best.start : best.end] == best.text
    assert "eleven kilograms" in best.text
    assert (best.uri, best.version, best.title) == ("pumps.md", 1, "Pumps")
    assert result.revision == 1


def test_a_passage_tells_the_page_of_each_character(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Newts swim.\n\nFrogs jump.\n\nToads walk."
    pages = (Page(1, 0), Page(2, text.index("Frogs")), Page(3, text.index("Toads")))
    extracted = Extracted(text, "a", "application/pdf", pages=pages)
    monkeypatch.setattr("ingest.extraction.process.extract", lambda *arguments: extracted)
    library.put("pages.pdf", "not read")

    def check(passage: Passage) -> None:
        found = {word: passage.page_at(text.index(word)) for word in ("Newts", "swim", "Frogs", "jump", "Toads")}
        assert found == {"Newts": 1, "swim": 1, "Frogs": 2, "jump": 2, "Toads": 3}

    check(library.find("toads").passages[0])
    library.history.rollback(0)
    library.history.rollback(1)
    check(library.find("toads").passages[0])
    check(library.find("toads", as_of=1).passages[0])


HEADER = "| Pump | Height |\n| --- | --- |"
TABLE = "\n".join([HEADER, *(f"| model {number} | {number} m |" for number in range(40))])


def test_rows_come_with_the_header_of_their_table(library: Library) -> None:
    document = library.put("pumps.md", f"# Pumps\n\n{TABLE}")

    def check(result: SearchResult) -> None:
        text = library.catalog.version_text(document, 1)
        row = result.passages[0]
        assert "| model 33 | 33 m |" in row.text and text[row.start : row.end] == row.text
        assert row.lead is not None and row.lead.text == HEADER == text[row.lead.start : row.lead.end]

    asked = library.find("height of model 33")
    check(asked)
    assert next(its for its in asked.passages if "model 0 " in its.text).lead is None
    assert all("| Pump |" in its.text or its.lead for its in library.find("pump", mode="lexical").passages)
    library.history.rollback(0)
    library.history.rollback(1)
    check(library.find("height of model 33"))
    check(library.find("height of model 33", as_of=1))


def test_staged_rows_come_with_the_header_of_their_table(library: Library) -> None:
    library.put("valves.md", "Valves close pipes.")
    batch = library.history.open_batch()
    library.ingestion.submit([IncomingFile("pumps.md", "pumps.md", TABLE.encode())], "default", None, batch)
    Worker(library.ingestion).work_off()
    for found in (library.find("height of model 33", batch=batch), None):
        if found is None:
            library.history.promote(batch)
            found = library.find("height of model 33")
        lead = found.passages[0].lead
        assert lead is not None and lead.text == HEADER


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_each_mode_finds_the_document_about_it(library: Library, mode: Mode) -> None:
    for uri, text in {"a.md": "pumps move water", "b.md": "valves close pipes", "c.md": "filters hold sand"}.items():
        library.put(uri, text)
    passages = library.find("what do valves close", mode=mode).passages
    assert passages[0].uri == "b.md"
    assert (passages[0].scores.dense is None) == (mode == "lexical")
    assert (passages[0].scores.lexical is None) == (mode == "dense")


@pytest.mark.parametrize("options", [{"fusion": "rrf"}, {"lexical_engine": "rank-bm25"}])
def test_other_fusion_and_engine_find_it_too(tmp_path: Path, options: dict[str, str]) -> None:
    library = Library(tmp_path, **options)
    for uri, text in {"a.md": "pumps move water", "b.md": "valves close pipes", "c.md": "filters hold sand"}.items():
        library.put(uri, text)
    assert library.uris("what do valves close")[0] == "b.md"


def test_update_replaces_old_passages(library: Library) -> None:
    library.put("a.md", "The warranty lasts two years.")
    assert "two years" in library.find("warranty").passages[0].text
    library.put("a.md", "The warranty lasts five years.")
    texts = [passage.text for passage in library.find("warranty").passages]
    assert texts == ["The warranty lasts five years."]


def test_an_old_revision_and_an_old_moment_show_what_was_there(library: Library) -> None:
    library.put("a.md", "The warranty lasts two years.")
    between = datetime.now(UTC)
    library.put("a.md", "The warranty lasts five years.")
    for as_of in (1, between):
        result = library.find("warranty", as_of=as_of)
        assert result.revision == 1
        assert [(p.text, p.version) for p in result.passages] == [("The warranty lasts two years.", 1)]
    with pytest.raises(EmptyIndex):
        library.find("warranty", as_of=between - timedelta(days=1))
    with pytest.raises(BadQuery, match="never committed"):
        library.find("warranty", as_of=3)


def test_a_deleted_document_is_not_found_and_old_revisions_still_show_it(library: Library) -> None:
    document_id = library.put("a.md", "pumps move water")
    library.put("b.md", "valves close pipes")
    library.history.delete_document(document_id)
    assert library.uris("pumps water") == ["b.md"]
    assert library.uris("pumps water", as_of=2)[0] == "a.md"


def test_collections_do_not_show_each_other(library: Library) -> None:
    library.put("a.md", "pumps move water", collection="mine")
    library.put("b.md", "pumps move water and sand", collection="yours")
    assert library.uris("pumps", collections=frozenset({"mine"})) == ["a.md"]
    assert set(library.uris("pumps")) == {"a.md", "b.md"}
    with pytest.raises(EmptyIndex, match="other"):
        library.find("pumps", collections=frozenset({"other"}))


def test_the_same_text_is_one_passage_with_all_its_visible_places(library: Library) -> None:
    first = library.put("a.md", "pumps move water", collection="mine")
    library.put("b.md", "pumps move water", collection="yours")
    third = library.put("c.md", "pumps move water", collection="mine")
    everything = library.find("pumps").passages
    assert len(everything) == 1
    assert len(everything[0].also_in) == 2
    (mine,) = library.find("pumps", collections=frozenset({"mine"})).passages
    assert mine.document_id == first
    assert [place.document_id for place in mine.also_in] == [third]


def test_lexical_statistics_are_those_of_what_is_visible(library: Library, tmp_path: Path) -> None:
    """Hidden documents, old or of other collections, change no score."""
    library.put("a.md", "pumps move water")
    library.put("b.md", "valves close pipes")
    alone = library.find("pumps", mode="lexical").passages[0].scores.lexical
    library.put("c.md", "pumps pumps pumps", collection="other")
    library.put("b.md", "pumps again and again")
    library.put("b.md", "valves close pipes")
    again = library.find("pumps", mode="lexical", collections=frozenset({"default"})).passages[0].scores.lexical
    assert again == pytest.approx(alone, abs=1e-12)


def test_k_beyond_the_corpus_returns_what_there_is(library: Library) -> None:
    library.put("a.md", "pumps move water")
    assert len(library.find("pumps", k=1000).passages) == 1


@pytest.mark.parametrize("query", ["", "  \n "])
def test_an_empty_query_is_refused(library: Library, query: str) -> None:
    library.put("a.md", "pumps move water")
    with pytest.raises(BadQuery, match="empty"):
        library.find(query)


def test_a_long_query_works_and_an_absurd_one_is_refused(library: Library) -> None:
    library.put("a.md", "pumps move water")
    assert library.uris("pumps " * 2_000) == ["a.md"]
    with pytest.raises(BadQuery, match="characters"):
        library.find("x" * 100_001)


def test_an_empty_index_says_what_to_do(library: Library) -> None:
    with pytest.raises(EmptyIndex, match="ragstone ingest"):
        library.find("anything")


def test_chunks_of_a_new_embedder_are_found_by_words_until_they_have_vectors(tmp_path: Path) -> None:
    Library(tmp_path).put("a.md", "pumps move water")
    library = Library(tmp_path, embedder=HashEmbedder(dimension=32))
    passage = library.find("pumps").passages[0]
    assert passage.scores.dense is None
    assert library.index.chunks_without_vector == 1
    library.ingestion.fill_space()
    assert library.find("pumps").passages[0].scores.dense is not None
    assert library.index.chunks_without_vector == 0


_CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abc"), st.sampled_from(["red", "green", "blue"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_CHANGES)
def test_a_searcher_that_followed_equals_one_that_starts_now(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, str]]
) -> None:
    """At every revision, after any changes, and so do both halves."""
    library = Library(tmp_path_factory.mktemp("library"))
    library.put("anchor.md", "red green blue")
    here: set[str] = set()
    for action, name, word in changes:
        if action == "put":
            library.put(f"{name}.md", f"{word} is the colour of {name}")
            here.add(name)
        elif name in here:
            library.history.delete_document(document_id_of("default", f"{name}.md"))
            here.discard(name)
        library.find("red")
    followed, fresh = library.searcher, library.new_searcher()
    for revision in range(1, library.catalog.head() + 1):
        for query in ("red", "colour of green"):
            expected = library.find(query, fresh, as_of=revision)
            assert library.find(query, followed, as_of=revision) == expected
    library.catalog.close()


def test_a_search_needs_one_connection_to_the_catalog(library: Library) -> None:
    library.put("a.md", "pumps move water")
    library.put("a.md", "pumps move much water")
    batch = library.history.open_batch()
    pool = library.catalog.database.engine.pool
    asked: list[dict[str, Any]] = [{}, {"as_of": 1}, {"as_of": datetime.now(UTC)}, {"batch": batch}]
    with ExitStack() as taken:
        # One that waits for a second one while it holds one waits for those who do the same.
        while pool.checkedout() < pool.size() + pool._max_overflow - 1:  # type: ignore[attr-defined]
            taken.enter_context(library.catalog.reading())
        for number, request in enumerate(asked):
            found = library.uris("pumps", collections=frozenset({"default", f"not asked before {number}"}), **request)
            assert found == ["a.md"]
