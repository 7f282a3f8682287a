"""The hybrid index with its files: whatever happens to them, it answers as one that is built from the catalog now."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import PreparedVersion
from ingest.config import RetentionSettings
from ingest.erasure import Erasure
from ingest.errors import DataFolderUnusable, RevisionGone, StorageFull
from ingest.identity import document_id_of
from ingest.jobs.queue import JobQueue
from ingest.revisions.history import History
from ingest.revisions.retention import Retention
from ingest.types import ChunkSpan, Extracted
from retrieval import snapshots
from retrieval.config import RetrievalSettings
from retrieval.engines import dense_half, lexical_half
from retrieval.hash_embedder import HashEmbedder
from retrieval.index_files import IndexFiles
from retrieval.live import LiveIndex, Serving
from retrieval.search import Searcher, SearchRequest
from retrieval.snapshots import HybridIndex
from retrieval.tokens import Tokenizer
from retrieval.types import SearchResult

EMBEDDER = HashEmbedder()
WORDS = ("red", "green", "blue", "pump", "valve", "water")


class Reader:
    """A process that serves the catalog in `folder`, over the index files there or without any."""

    alive: ClassVar[list[Reader]] = []

    def __init__(self, folder: Path, catalog: Catalog, *, files: bool = True) -> None:
        self.alive.append(self)
        self.catalog = catalog
        self.files = IndexFiles(folder / "index", catalog.catalog_id, catalog.has_mark) if files else None
        self.live = LiveIndex(self.catalog, self._open, self.files)
        self.searcher = Searcher(catalog, self.live, RetrievalSettings())

    def _open(self, space_id: str | None) -> Serving:
        chosen, tokenizer = RetrievalSettings(), Tokenizer("english")
        halves = dense_half(EMBEDDER.space, chosen, self.files), lexical_half(chosen, tokenizer, self.files)
        index = HybridIndex(self.catalog, EMBEDDER.space, *halves, tokenizer, self.files)
        return Serving(index, lambda: EMBEDDER)

    def find(self, query: str, **request: Any) -> SearchResult:
        return self.searcher.search(SearchRequest(query=query, **request))

    def write_all(self) -> None:
        """Upkeep until there is none, and what is in memory as well."""
        assert self.files is not None
        self.searcher.follow()
        while self.live.maintain():
            pass
        self.live.serving.index.write()

    def close(self) -> None:
        if self.files is not None:
            self.files.release()


def prepared(uri: str, paragraphs: list[str], collection: str = "default") -> PreparedVersion:
    spans, start = [], 0
    for ordinal, paragraph in enumerate(paragraphs):
        spans.append(ChunkSpan(ordinal, start, start + len(paragraph), (), None, paragraph))
        start += len(paragraph) + 1
    text = "\n".join(paragraphs)
    vectors = EMBEDDER.embed_documents(paragraphs)
    return PreparedVersion(
        document_id=document_id_of(collection, uri),
        collection=collection,
        uri=uri,
        metadata=None,
        content_hash=f"hash of {text}",
        prepared_with="test",
        size_bytes=len(text),
        extracted=Extracted(text=text, title=uri, media_type="text/plain"),
        spans=spans,
        vectors={span.chunk_id: vector for span, vector in zip(spans, vectors, strict=True)},
    )


@pytest.fixture(autouse=True)
def readers() -> Iterator[None]:
    yield
    while Reader.alive:
        Reader.alive.pop().close()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.in_folder(tmp_path)
    yield catalog
    catalog.close()


def put(catalog: Catalog, uri: str, *paragraphs: str, collection: str = "default") -> None:
    History(catalog).commit_version(prepared(uri, list(paragraphs), collection), EMBEDDER.space)


def fill(catalog: Catalog) -> None:
    for number in range(30):
        put(catalog, f"{number % 10}.md", f"{WORDS[number % 6]} number {number}", f"{WORDS[number % 5]} again")


def assert_alike(reader: Reader, folder: Path, revisions: list[int]) -> None:
    """The reader finds in each revision what one finds that is built from the catalog now, in files of its own none."""
    fresh = Reader(folder, reader.catalog, files=False)
    for revision in revisions:
        for query in ("red pump", "blue water again", "number 7"):
            assert reader.find(query, as_of=revision) == fresh.find(query, as_of=revision)


def test_a_second_start_reads_the_files_and_only_what_came_since(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    first = Reader(tmp_path, catalog)
    first.write_all()
    first.close()
    put(catalog, "late.md", "water came late")
    second = Reader(tmp_path, catalog)
    index = second.live.serving.index
    assert index.revision == 30
    assert len(index.held()[0]) > 0
    assert_alike(second, tmp_path, [1, 15, 31])
    assert second.files is not None
    assert second.files.problems() == []


def test_a_folder_that_is_gone_is_built_anew(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    first = Reader(tmp_path, catalog)
    first.write_all()
    first.close()
    shutil.rmtree(tmp_path / "index")
    assert_alike(Reader(tmp_path, catalog), tmp_path, [1, 15, 30])


def files_of_the_index(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "index").rglob("*") if path.is_file() and path.name != "lock")


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "empty"])
def test_any_damaged_file_is_named_and_what_it_held_is_built_anew(
    catalog: Catalog, tmp_path: Path, damage: str
) -> None:
    fill(catalog)
    first = Reader(tmp_path, catalog)
    first.write_all()
    first.close()
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "index", kept)
    names = [path.relative_to(tmp_path / "index") for path in files_of_the_index(tmp_path)]
    assert len(names) > 10
    for name in names:
        shutil.rmtree(tmp_path / "index")
        shutil.copytree(kept, tmp_path / "index")
        spoil(tmp_path / "index" / name, damage)
        reader = Reader(tmp_path, catalog)
        assert reader.files is not None
        assert reader.files.problems(), name
        assert_alike(reader, tmp_path, [3, 30])
        reader.write_all()
        reader.close()
        mended = Reader(tmp_path, catalog)
        assert mended.files is not None
        assert mended.files.problems() == [], name
        assert_alike(mended, tmp_path, [3, 30])


def spoil(path: Path, damage: str) -> None:
    data = path.read_bytes()
    if damage == "flip":
        place = len(data) * 2 // 3
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()


def test_the_index_of_another_catalog_is_not_taken(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    first = Reader(tmp_path, catalog)
    first.write_all()
    first.close()
    other_folder = tmp_path / "other"
    other = Catalog.in_folder(other_folder)
    put(other, "x.md", "red pump of another house")
    shutil.copytree(tmp_path / "index", other_folder / "index")
    reader = Reader(other_folder, other)
    assert [passage.uri for passage in reader.find("red pump").passages] == ["x.md"]
    assert reader.files is not None
    assert all("another catalog" in problem for problem in reader.files.problems())
    assert len(reader.files.problems()) == 3
    other.close()


def test_a_process_that_takes_over_reads_what_the_writer_before_it_wrote(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    writer, heir = Reader(tmp_path, catalog), Reader(tmp_path, catalog)
    heir.find("red")
    writer.write_all()
    assert not heir.live.maintain()
    put(catalog, "more.md", "green water")
    writer.write_all()
    writer.close()
    heir.write_all()
    heir.close()
    last = Reader(tmp_path, catalog)
    assert last.files is not None
    assert last.files.problems() == []
    assert_alike(last, tmp_path, [1, 31])


def test_a_staged_batch_is_seen_by_those_who_name_it_only(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, "a.md", "red pump")
    put(catalog, "b.md", "red pump", collection="other")
    reader, history = Reader(tmp_path, catalog), History(catalog)
    batch = history.open_batch()
    history.stage_version(batch, prepared("a.md", ["green valve"]), EMBEDDER.space)
    history.stage_version(batch, prepared("new.md", ["green water"]), EMBEDDER.space)

    def uris(query: str, **request: Any) -> list[str]:
        return sorted(passage.uri for passage in reader.find(query, mode="lexical", **request).passages)

    assert uris("green") == []
    assert uris("green", batch=batch) == ["a.md", "new.md"]
    assert uris("red", batch=batch) == ["b.md"]
    assert uris("red", batch=batch, collections=frozenset({"default"})) == []
    (found,) = reader.find("red", batch=batch).passages[:1]
    assert (found.uri, found.also_in) == ("b.md", ())
    # What changes after a search is seen by the next one: the batch, and what is below it.
    put(catalog, "c.md", "red hose, valve and water")
    assert uris("red", batch=batch, k=1) == ["b.md"]
    history.stage_removal(batch, document_id_of("other", "b.md"))
    assert uris("red", batch=batch, k=1) == ["c.md"]
    history.promote(batch)
    assert uris("green") == ["a.md", "new.md"]


def test_a_revision_that_retention_took_is_refused_and_the_index_forgets_its_chunks(
    catalog: Catalog, tmp_path: Path
) -> None:
    fill(catalog)
    reader = Reader(tmp_path, catalog)
    reader.write_all()
    Retention(catalog, RetentionSettings(keep_revisions=5)).purge()
    with pytest.raises(RevisionGone):
        reader.find("red", as_of=3)
    reader.write_all()
    with catalog.reading() as connection:
        kept = [row[0] for row in connection.exec_driver_sql("SELECT number FROM chunks ORDER BY number")]
    lexical, dense = reader.live.serving.index.held()
    assert set(kept) <= set(lexical.tolist())
    assert len(lexical) < 40 and len(dense) < 40
    assert_alike(reader, tmp_path, [26, 30])


def test_no_half_holds_an_erased_chunk(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    put(catalog, "secret.md", "velociraptor", "red pump")
    reader = Reader(tmp_path, catalog)
    reader.write_all()
    erasure = Erasure(catalog, JobQueue(catalog), lambda record: record)
    erasure.request(document_id_of("default", "secret.md"))
    chunks = erasure.purge(document_id_of("default", "secret.md"))
    assert len(chunks) == 2
    reader.live.forget_gone()
    for held in reader.live.serving.index.held():
        assert np.intersect1d(held, chunks).tolist() == []
    reader.close()
    again = Reader(tmp_path, catalog)
    for held in again.live.serving.index.held():
        assert np.intersect1d(held, chunks).tolist() == []
    assert_alike(again, tmp_path, [1, 31])


def test_a_reader_lets_go_of_what_was_taken_out_of_the_files(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    put(catalog, "secret.md", "velociraptor", "red pump")
    writer, reader = Reader(tmp_path, catalog), Reader(tmp_path, catalog)
    writer.write_all()
    reader.searcher.follow()
    erasure = Erasure(catalog, JobQueue(catalog), lambda record: record)
    erasure.request(document_id_of("default", "secret.md"))
    chunks = erasure.purge(document_id_of("default", "secret.md"))
    reader.live.keep_up()  # in between, which must not be the last time
    writer.live.forget_gone()
    reader.live.keep_up()
    for held in reader.live.serving.index.held():
        assert np.intersect1d(held, chunks).tolist() == []
    assert_alike(reader, tmp_path, [1, 31])


def test_a_reader_opens_what_the_writer_has_written_in_place_of_its_memory(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_MUCH_UNWRITTEN", 20)
    writer, reader = Reader(tmp_path, catalog), Reader(tmp_path, catalog)
    fill(catalog)
    reader.live.keep_up()
    held_in_memory = reader.live.serving.index
    assert held_in_memory.much_unwritten
    writer.write_all()
    writer.live.keep_up()  # who writes has all that it wrote
    reader.live.keep_up()
    assert reader.live.serving.index is not held_in_memory
    assert not reader.live.serving.index.much_unwritten
    opened = reader.live.serving.index
    put(catalog, "new.md", "green valve")
    reader.live.keep_up()
    assert reader.live.serving.index is opened
    assert_alike(reader, tmp_path, [1, 31])


def went_two_ways(folder: Path, catalog: Catalog) -> None:
    """An index of one way, and the catalog as it went the other way since: as many revisions, chunks and vectors."""
    fill(catalog)
    copy = folder / "copy.sqlite"
    with closing(sqlite3.connect(copy)) as target, closing(sqlite3.connect(folder / "catalog.sqlite")) as source:
        source.backup(target)
    for number in range(3):
        put(catalog, f"late{number}.md", f"pump of the first way {number}")
    first = Reader(folder, catalog)
    first.write_all()
    first.close()
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(folder / "catalog.sqlite")) as target:
        source.backup(target)
    for number in range(3):
        put(catalog, f"late{number}.md", f"pump of the other way {number}")


def test_an_index_of_another_way_of_the_catalog_is_not_believed(catalog: Catalog, tmp_path: Path) -> None:
    went_two_ways(tmp_path, catalog)
    reader = Reader(tmp_path, catalog)
    assert reader.files is not None
    assert all("went another way" in problem for problem in reader.files.problems())
    assert len(reader.files.problems()) == 3
    assert_alike(reader, tmp_path, [1, 30, 31, 33])
    assert "other way" in reader.find("way").passages[0].text
    reader.write_all()
    reader.close()
    again = Reader(tmp_path, catalog)
    assert again.files is not None
    assert again.files.problems() == []
    assert again.live.serving.index.revision == 33
    assert_alike(again, tmp_path, [1, 30, 31, 33])


def test_a_catalog_that_is_replaced_under_a_service_is_noticed(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    copy = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(copy)) as target, closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as source:
        source.backup(target)
    reader = Reader(tmp_path, catalog)
    for number in range(3):
        put(catalog, f"late{number}.md", f"pump of the first way {number}")
    reader.write_all()
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as target:
        source.backup(target)
    reader.live.maintain()  # whoever asks first: a process that does jobs searches nothing
    reader.live.forget_gone()
    assert_alike(reader, tmp_path, [1, 30])
    for number in range(5):
        put(catalog, f"late{number}.md", f"pump of the other way {number}")
    assert_alike(reader, tmp_path, [1, 30, 31, 35])
    reader.write_all()
    assert_alike(Reader(tmp_path, catalog), tmp_path, [1, 30, 31, 35])


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)),
        st.tuples(st.just("delete"), st.sampled_from("abc"), st.none()),
        st.tuples(st.just("rollback"), st.integers(1, 9), st.none()),
        st.tuples(st.just("purge"), st.integers(2, 5), st.none()),
        st.tuples(st.just("erase"), st.sampled_from("abc"), st.none()),
        st.tuples(st.sampled_from(["write", "reopen", "search"]), st.none(), st.none()),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_after_any_changes_every_kept_revision_is_found_as_by_a_fresh_reader(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, Any, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("library")
    catalog = Catalog.in_folder(folder)
    put(catalog, "anchor.md", "red green blue pump again")
    reader = Reader(folder, catalog)
    oldest = 1
    for action, name, detail in changes:
        reader = changed(folder, reader, action, name, detail)
        if action == "purge":
            oldest = max(oldest, catalog.head() - name + 1)
    assert_alike(reader, folder, list(range(oldest, catalog.head() + 1)))
    reader.close()
    catalog.close()


def changed(folder: Path, reader: Reader, action: str, name: Any, detail: Any) -> Reader:
    catalog = reader.catalog
    history, document_id = History(catalog), document_id_of("default", f"{name}.md")
    shown = document_id in catalog.current_versions([document_id])
    if action == "put":
        put(catalog, f"{name}.md", *[f"{word} {name} {number}" for number, word in enumerate(detail)])
    elif action == "delete" and shown:
        history.delete_document(document_id)
    elif action == "rollback" and name <= catalog.head():
        try:
            history.rollback(name)
        except RevisionGone:
            return reader
    elif action == "purge":
        Retention(catalog, RetentionSettings(keep_revisions=name)).purge()
    elif action == "erase" and shown:
        erasure = Erasure(catalog, JobQueue(catalog), lambda record: record)
        erasure.request(document_id)
        erasure.purge(document_id)
        reader.live.forget_gone()
    elif action == "write":
        reader.write_all()
    elif action == "reopen":
        reader.close()
        return Reader(folder, catalog)
    elif action == "search":
        reader.find("red pump")
    return reader


def test_bitmaps_of_heads_that_were_are_let_go(catalog: Catalog, tmp_path: Path) -> None:
    reader = Reader(tmp_path, catalog)
    for number in range(50):
        put(catalog, "a.md", f"water number {number}")
        for collections in (None, frozenset({"default"})):
            assert reader.find("water", collections=collections).passages[0].text == f"water number {number}"
    assert len(reader.live.serving.index._views) <= 32
    assert reader.find("water", as_of=3).passages[0].text == "water number 2"


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (errno.ENOSPC, StorageFull, "no space left in .*index"),
        (errno.EROFS, DataFolderUnusable, "can't be written"),
        (errno.EIO, DataFolderUnusable, "does not work"),
    ],
)
def test_upkeep_says_what_is_wrong_with_the_disk_and_goes_on_later(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], said: str
) -> None:
    fill(catalog)
    Retention(catalog, RetentionSettings(keep_revisions=15)).purge()  # so that there is something to write
    reader = Reader(tmp_path, catalog)
    reader.searcher.follow()
    with monkeypatch.context() as broken:

        def fail(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        broken.setattr("retrieval.segments.os.fsync", fail)
        with pytest.raises(error, match=said):
            while reader.live.maintain():
                pass
    assert_alike(reader, tmp_path, [20, 30])
    reader.write_all()
    reader.close()
    assert_alike(Reader(tmp_path, catalog), tmp_path, [20, 30])
