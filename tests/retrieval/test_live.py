"""Another embedder without downtime: filled in the background, switched when complete, taken back at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.catalog.catalog import Catalog
from ingest.catalog.marks import Mark
from ingest.config import IngestSettings
from ingest.errors import NotAllowed, NotFound
from ingest.extraction.process import ReadHere
from ingest.jobs.queue import JobQueue
from ingest.originals import Originals
from ingest.pipeline import IncomingFile, Ingestion
from ingest.revisions import spaces
from ingest.revisions.spaces import Spaces
from ingest.types import Embedder
from ingest.worker import Worker
from retrieval.config import RetrievalSettings
from retrieval.engines import dense_half, lexical_half
from retrieval.errors import ModelUnavailable
from retrieval.hash_embedder import HashEmbedder
from retrieval.live import LiveIndex, Serving
from retrieval.search import Searcher, SearchRequest
from retrieval.snapshots import HybridIndex
from retrieval.tokens import Tokenizer

OLD, NEW = HashEmbedder(dimension=64), HashEmbedder(dimension=32)


class House:
    """A catalog whose embedders are two fakes; `missing` are spaces whose embedder can't be opened."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog.in_folder(folder)
        self.spaces = Spaces(self.catalog, JobQueue(self.catalog))
        self.missing: set[str] = set()
        for embedder in (OLD, NEW):
            self.spaces.begin(embedder.space, {"model": str(embedder.space.dimension)})
        self.ingestion = Ingestion(
            self.catalog, Originals(folder / "originals"), self.in_use, IngestSettings(), ReadHere()
        )
        self.worker = Worker(self.ingestion, {"fill-space": self.fill})
        self.live = LiveIndex(self.catalog, self.open_space)
        self.searcher = Searcher(self.catalog, self.live, RetrievalSettings())

    def in_use(self) -> Embedder:
        found = self.spaces.in_use()
        assert found is not None
        return OLD if found[0] == OLD.space.space_id else NEW

    def open_space(self, space_id: str | None) -> Serving:
        embedder = next((one for one in (OLD, NEW) if one.space.space_id == space_id), self.in_use())

        def build() -> Embedder:
            if embedder.space.space_id in self.missing:
                raise ModelUnavailable("its files are gone")
            return embedder

        settings, tokenizer = RetrievalSettings(), Tokenizer("english")
        halves = dense_half(embedder.space, settings, None), lexical_half(settings, tokenizer, None)
        return Serving(HybridIndex(self.catalog, embedder.space, *halves, tokenizer), build)

    def fill(self, job, report, stop):  # type: ignore[no-untyped-def]
        embedder = OLD if job.payload["space_id"] == OLD.space.space_id else NEW
        self.ingestion.fill_space(stop, embedder)
        return None if not stop() and self.spaces.finish(job.payload) else 0

    def put(self, uri: str, text: str) -> None:
        self.ingestion.submit([IncomingFile(uri, uri, text.encode())], "default", None)

    def cosine_of(self, uri: str) -> float | None:
        passages = self.searcher.search(SearchRequest(query="valves")).passages
        return next(passage.scores.dense for passage in passages if passage.uri == uri)

    def dimension(self) -> int:
        """That of the space that answers a search now, which must find the document by its vector too."""
        passages = self.searcher.search(SearchRequest(query="pumps move water")).passages
        assert passages[0].uri == "a.md"
        assert passages[0].scores.dense == pytest.approx(1)
        return self.live.serving.embedder.space.dimension


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.put("a.md", "pumps move water")
    house.worker.work_off()
    yield house
    house.catalog.close()


def test_the_space_before_serves_until_the_new_one_is_complete(house: House) -> None:
    house.spaces.request(NEW.space, {})
    assert house.dimension() == 64
    house.worker.work_off()
    assert house.dimension() == 32


def test_a_space_that_lacks_a_vector_is_not_put_in_use(house: House) -> None:
    house.spaces.request(NEW.space, {})
    assert not house.spaces.put_in_use(NEW.space.space_id)
    assert house.spaces.filled(NEW.space.space_id) == (0, 1)
    assert house.dimension() == 64


def test_going_back_is_one_write_and_later_uploads_are_embedded_afterwards(house: House) -> None:
    house.spaces.request(NEW.space, {})
    house.worker.work_off()
    house.put("b.md", "valves stop water")
    house.worker.work_off()
    assert house.spaces.back() == OLD.space.space_id
    assert house.dimension() == 64
    assert house.cosine_of("b.md") is None
    house.worker.work_off()
    assert house.cosine_of("b.md") is not None
    assert house.spaces.back() == NEW.space.space_id


def test_there_is_nothing_to_go_back_to_at_first(house: House) -> None:
    with pytest.raises(NotFound, match="the one in use is the first"):
        house.spaces.back()


def test_uploads_go_before_the_filling_of_a_space(house: House) -> None:
    house.spaces.request(NEW.space, {})
    house.put("b.md", "valves stop water")
    house.worker.work_off()
    assert [(job.kind, job.state) for job in house.ingestion.queue.list()] == [
        ("ingest", "done"),
        ("fill-space", "done"),
        ("ingest", "done"),
    ]
    done = sorted(house.ingestion.queue.list(), key=lambda job: str(job.finished_at))
    assert [job.kind for job in done] == ["ingest", "ingest", "fill-space"]
    assert house.spaces.filled(NEW.space.space_id) == (2, 2)


def test_a_space_whose_embedder_is_gone_is_not_served_and_the_one_before_goes_on(house: House) -> None:
    house.missing.add(NEW.space.space_id)
    house.spaces.request(NEW.space, {})
    house.worker.work_off()
    assert house.dimension() == 64
    assert house.live.problem == "the embedder in use can't be opened: its files are gone"


def test_no_search_fails_while_the_embedder_is_changed_to_and_fro(house: House) -> None:
    failures: list[BaseException] = []
    seen: set[int] = set()
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            try:
                seen.add(house.dimension())
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    house.spaces.request(NEW.space, {})
    house.worker.work_off()
    for _ in range(6):
        house.spaces.back()
        house.dimension()
    while len(seen) < 2 and not failures:
        house.spaces.back()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == {32, 64}


def test_a_space_that_is_not_in_use_can_be_dropped_and_filled_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces, "_DROPPED_TOGETHER", 2)
    for number in range(5):
        house.put(f"{number}.md", f"pump number {number}")
    house.worker.work_off()
    old, new = OLD.space.space_id, NEW.space.space_id
    with pytest.raises(NotAllowed, match="put another embedder in use first"):
        house.spaces.drop(old)
    house.spaces.request(NEW.space, {})
    with pytest.raises(NotAllowed, match="wait, or end it"):
        house.spaces.drop(new)
    house.worker.work_off()
    assert house.dimension() == 32
    assert house.spaces.drop(old) == 6
    assert house.catalog.vectors_by_space() == {new: 6}
    assert [space.space_id for space in house.spaces.all()] == [new]
    with pytest.raises(NotFound):
        house.spaces.back()
    with pytest.raises(NotFound):
        house.spaces.drop(old)
    assert house.dimension() == 32
    house.spaces.request(OLD.space, {"model": "64"})
    house.worker.work_off()
    assert house.dimension() == 64


def test_going_back_twice_stays_where_it_went(house: House) -> None:
    house.spaces.request(NEW.space, {})
    house.worker.work_off()
    house.put("b.md", "valves stop water")
    house.worker.work_off()
    assert house.spaces.back() == OLD.space.space_id  # which adds a job that fills it
    assert house.spaces.back() == NEW.space.space_id
    house.worker.work_off()
    assert house.dimension() == 32


def test_going_back_ends_what_would_put_another_embedder_in_use(house: House) -> None:
    house.spaces.request(NEW.space, {})
    house.worker.work_off()
    house.put("b.md", "valves stop water")
    house.worker.work_off()
    house.spaces.request(NEW.space, {})
    assert house.spaces.back() == OLD.space.space_id
    house.worker.work_off()
    assert house.dimension() == 64
    assert house.cosine_of("b.md") is not None


def test_an_index_of_another_catalog_is_made_anew_for_the_space_in_use_there(house: House) -> None:
    opened: list[str | None] = []

    def open_space(space_id: str | None) -> Serving:
        opened.append(space_id)
        return house.open_space(space_id)

    live = LiveIndex(house.catalog, open_space)
    live.followed()
    live.serving.index._mark = Mark(10**6, "of a catalog that is no more there")
    head, serving = live.followed()
    assert (head, len(serving.index.held()[0])) == (1, 1)
    assert opened == [None, None]  # the space before may not be known there
