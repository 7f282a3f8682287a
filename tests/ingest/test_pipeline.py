from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from embedders import CountingEmbedder

from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings, RedactionSettings
from ingest.erasure import ERASE, Erasure
from ingest.errors import NotFound, StorageFull
from ingest.extraction.process import ReadHere
from ingest.identity import document_id_of
from ingest.jobs.queue import JobQueue
from ingest.originals import Originals
from ingest.pipeline import IncomingFile, Ingestion
from ingest.revisions.history import History
from ingest.types import DocumentOutcome, Job
from ingest.worker import Worker
from retrieval.hash_embedder import HashEmbedder

# Sections of about 30 words each, so that a chunk of 40 tokens holds one.
SECTIONS = [
    f"# Section {letter}\n\n" + " ".join(f"{letter}{number}" for number in range(30)) + "\n\n" for letter in "pqr"
]


def run(ingestion: Ingestion, folder: Path, *files: tuple[str, bytes], collection: str = "default") -> Job:
    """Submits files and does the job."""
    incoming = [IncomingFile(name, name, data) for name, data in files]
    job_id = ingestion.submit(incoming, collection, {})
    Worker(ingestion).work_off()
    return ingestion.queue.get(job_id)


def outcome_of(job: Job) -> DocumentOutcome:
    assert len(job.documents) == 1
    return job.documents[0]


def test_a_file_becomes_a_version_with_chunks_that_quote_it(
    ingestion: Ingestion, catalog: Catalog, tmp_path: Path
) -> None:
    text = "".join(SECTIONS)
    outcome = outcome_of(run(ingestion, tmp_path, ("a.md", text.encode())))
    assert (outcome.state, outcome.version) == ("indexed", 1)
    info = catalog.document(outcome.document_id)
    assert (info.uri, info.title, info.version, info.chunks) == ("a.md", "Section p", 1, 3)
    assert catalog.version_text(outcome.document_id, 1) == text
    assert catalog.head() == 1
    assert [(r.revision, r.added, r.removed, r.cause) for r in catalog.revisions()] == [
        (1, 3, 0, "ingest default/a.md")
    ]


def test_the_same_bytes_again_cost_nothing(
    ingestion: Ingestion, catalog: Catalog, tmp_path: Path, embedder: CountingEmbedder
) -> None:
    run(ingestion, tmp_path, ("a.md", "".join(SECTIONS).encode()))
    before = list(embedder.embedded)
    outcome = outcome_of(run(ingestion, tmp_path, ("a.md", "".join(SECTIONS).encode())))
    assert (outcome.state, outcome.version) == ("unchanged", 1)
    assert embedder.embedded == before
    assert catalog.head() == 1


def test_a_changed_paragraph_embeds_one_chunk(
    ingestion: Ingestion, catalog: Catalog, tmp_path: Path, embedder: CountingEmbedder
) -> None:
    run(ingestion, tmp_path, ("a.md", "".join(SECTIONS).encode()))
    embedder.embedded.clear()
    changed = "".join(SECTIONS).replace("q29", "changed")
    outcome = outcome_of(run(ingestion, tmp_path, ("a.md", changed.encode())))
    assert (outcome.state, outcome.version) == ("indexed", 2)
    assert len(embedder.embedded) == 1
    assert "changed" in embedder.embedded[0]
    versions = catalog.versions(outcome.document_id)
    assert [(v.version, v.revision_from, v.revision_to) for v in versions] == [(1, 1, 2), (2, 2, None)]
    assert catalog.counts()["chunks"] == 3
    assert catalog.counts()["chunks_kept"] == 4


def test_text_that_comes_back_embeds_nothing(ingestion: Ingestion, tmp_path: Path, embedder: CountingEmbedder) -> None:
    first, second = "".join(SECTIONS).encode(), "".join(SECTIONS[:2]).encode()
    for data in (first, second):
        run(ingestion, tmp_path, ("a.md", data))
    embedder.embedded.clear()
    outcome = outcome_of(run(ingestion, tmp_path, ("a.md", first)))
    assert (outcome.state, outcome.version) == ("indexed", 3)
    assert embedder.embedded == []


def test_the_same_text_in_two_collections_is_embedded_once(
    ingestion: Ingestion, catalog: Catalog, tmp_path: Path, embedder: CountingEmbedder
) -> None:
    data = "".join(SECTIONS).encode()
    run(ingestion, tmp_path, ("a.md", data))
    embedded = len(embedder.embedded)
    run(ingestion, tmp_path, ("a.md", data), collection="other")
    assert len(embedder.embedded) == embedded
    assert catalog.counts()["documents"] == 2
    assert catalog.counts()["chunks"] == 3


def test_another_chunk_size_prepares_the_same_version_again(
    ingestion: Ingestion, catalog: Catalog, originals: Originals, tmp_path: Path
) -> None:
    data = "".join(SECTIONS).encode()
    run(ingestion, tmp_path, ("a.md", data))
    finer = Ingestion(catalog, originals, HashEmbedder(), IngestSettings(chunk_tokens=20), ReadHere())
    outcome = outcome_of(run(finer, tmp_path, ("a.md", data)))
    assert (outcome.state, outcome.version) == ("indexed", 1)
    assert len(catalog.versions(outcome.document_id)) == 1
    assert catalog.counts()["chunks"] > 3
    assert catalog.revisions()[0].cause == "re-chunk default/a.md"


def test_a_deleted_document_is_gone_from_the_head_and_its_history_stays(
    ingestion: Ingestion, catalog: Catalog, tmp_path: Path
) -> None:
    outcome = outcome_of(run(ingestion, tmp_path, ("a.md", SECTIONS[0].encode())))
    assert History(catalog).delete_document(outcome.document_id) == 2
    assert catalog.documents(None, 10, None) == ([], None)
    assert [v.revision_to for v in catalog.versions(outcome.document_id)] == [2]
    with pytest.raises(NotFound, match="deleted"):
        History(catalog).delete_document(outcome.document_id)
    back = outcome_of(run(ingestion, tmp_path, ("a.md", SECTIONS[0].encode())))
    assert (back.state, back.version) == ("indexed", 2)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.md", b"", "empty-document"),
        ("blank.md", b" \n\n ", "empty-document"),
        ("large.md", b"x" * 20_000, "document-too-large"),
        ("what.xyz", b"\0some text", "unsupported-format"),
        ("binary.txt", bytes(range(256)), "unsupported-format"),
        ("torn.pdf", b"%PDF-1.7\nnothing follows", "corrupt-document"),
        ("torn.docx", b"PK\x03\x04 no archive", "corrupt-document"),
    ],
)
def test_a_refused_file_is_named_and_leaves_nothing_behind(
    ingestion: Ingestion, catalog: Catalog, originals: Originals, tmp_path: Path, name: str, data: bytes, code: str
) -> None:
    job = run(ingestion, tmp_path, (name, data))
    outcome = outcome_of(job)
    assert job.state == "failed"
    assert outcome.state == "failed"
    assert outcome.problem is not None
    assert outcome.problem.code == code
    assert name in outcome.problem.detail
    assert job.problems == (outcome.problem,)
    assert catalog.head() == 0
    assert catalog.counts()["versions"] == 0
    assert originals.hashes() == set()
    assert originals.unfinished() == []


def test_one_refused_file_does_not_hinder_the_others(ingestion: Ingestion, catalog: Catalog, tmp_path: Path) -> None:
    job = run(ingestion, tmp_path, ("a.md", SECTIONS[0].encode()), ("b.xyz", b"\0text"), ("c.md", SECTIONS[1].encode()))
    assert job.state == "done"
    assert [(outcome.uri, outcome.state) for outcome in job.documents] == [
        ("a.md", "indexed"),
        ("b.xyz", "failed"),
        ("c.md", "indexed"),
    ]
    assert (job.done, job.total) == (3, 3)
    assert catalog.counts()["documents"] == 2


def test_a_full_disk_stores_no_half_of_an_upload(catalog: Catalog, tmp_path: Path) -> None:
    full = Originals(tmp_path / "full", opener=lambda path, flags: os.open("/dev/full", os.O_WRONLY))
    ingestion = Ingestion(catalog, full, HashEmbedder(), IngestSettings(), ReadHere())
    with pytest.raises(StorageFull, match="free some"):
        ingestion.submit([IncomingFile("a.md", "a.md", b"some text")], "default", {})
    assert full.hashes() == set()
    assert full.unfinished() == []
    assert ingestion.queue.list() == []


def test_a_full_catalog_stores_no_half_of_an_upload(sqlite_catalog: Catalog, originals: Originals) -> None:
    ingestion = Ingestion(sqlite_catalog, originals, HashEmbedder(), IngestSettings(), ReadHere())
    with sqlite_catalog.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        # The limit holds for this connection, which the pool hands out again.
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFull, match="free some space"):
        ingestion.submit([IncomingFile("a.md", f"a-{'x' * 8000}.md", b"some text")], "default", {})
    assert originals.hashes() == set()
    assert ingestion.queue.list() == []


def test_a_new_embedder_fills_its_space_for_chunks_that_are_there(
    ingestion: Ingestion, catalog: Catalog, originals: Originals, tmp_path: Path
) -> None:
    run(ingestion, tmp_path, ("a.md", "".join(SECTIONS).encode()))
    other = Ingestion(catalog, originals, HashEmbedder(dimension=32), IngestSettings(embed_batch=2), ReadHere())
    assert other.fill_space() == 3
    assert other.fill_space() == 0
    assert sorted(catalog.vectors_by_space().values()) == [3, 3]


def test_document_ids_follow_collection_and_uri() -> None:
    ids = {document_id_of(collection, uri) for collection in ("a", "b") for uri in ("x", "y")}
    assert len(ids) == 4
    assert document_id_of("a", "x") in ids


class InterruptedEmbedder(HashEmbedder):
    """Something happens once, while texts that hold a word are embedded."""

    def __init__(self, word: str, happens: Callable[[], object]) -> None:
        super().__init__()
        self._word, self._happens, self._happened = word, happens, False

    def embed_documents(self, texts):  # type: ignore[no-untyped-def]
        if not self._happened and any(self._word in text for text in texts):
            self._happened = True
            self._happens()
        return super().embed_documents(texts)


SMALL_CHUNKS = IngestSettings(chunk_tokens=40, chunk_overlap_tokens=0)
SHARED, OTHER = SECTIONS[0].encode(), (SECTIONS[0] + SECTIONS[1]).encode()


def test_vectors_that_go_while_a_file_is_prepared_are_made_again(catalog: Catalog, originals: Originals) -> None:
    history = History(catalog)
    batch = history.open_batch()
    embedder = InterruptedEmbedder("q1 ", lambda: history.drop_batch(batch))
    ingestion = Ingestion(catalog, originals, embedder, SMALL_CHUNKS, ReadHere())
    ingestion.submit([IncomingFile("a.md", "a.md", SHARED)], "default", None, batch)
    Worker(ingestion).work_off()
    job_id = ingestion.submit([IncomingFile("b.md", "b.md", OTHER)], "default", None)
    Worker(ingestion).work_off()
    assert [outcome.state for outcome in ingestion.queue.get(job_id).documents] == ["indexed"]
    assert catalog.counts()["chunks"] == 2
    assert catalog.chunk_inputs_without_vector(embedder.space, 10) == {}


@pytest.mark.parametrize("staged", [False, True])
def test_a_file_keeps_the_vectors_of_one_that_is_erased_beside_it(
    catalog: Catalog, originals: Originals, *, staged: bool
) -> None:
    erasure = Erasure(catalog, JobQueue(catalog), lambda record: record)
    first = document_id_of("default", "a.md")
    embedder = InterruptedEmbedder("q1 ", lambda: erasure.request(first))
    ingestion = Ingestion(catalog, originals, embedder, SMALL_CHUNKS, ReadHere())
    ingestion.submit([IncomingFile("a.md", "a.md", b"Before.")], "default", None)
    Worker(ingestion).work_off()
    batch = History(catalog).open_batch() if staged else None
    files = [
        IncomingFile("a.md", "a.md", SHARED),
        IncomingFile("b.md", "b.md", OTHER),
    ]
    job_id = ingestion.submit(files, "default", None, batch)
    Worker(ingestion, {ERASE: lambda *_: True}).work_off()
    assert [outcome.state for outcome in ingestion.queue.get(job_id).documents] == ["failed", "indexed"]
    assert catalog.chunk_inputs_without_vector(embedder.space, 10) == {}


def test_personal_data_is_replaced_before_anything_is_stored(
    catalog: Catalog, originals: Originals, tmp_path: Path
) -> None:
    kinds = RedactionSettings(kinds=("EMAIL_ADDRESS",))
    ingestion = Ingestion(catalog, originals, HashEmbedder(), IngestSettings(redaction=kinds), ReadHere())
    text = b"# Newts\n\nAsk ann@pond.org about newts.\n\n## Care\n\nFeed them."
    job = run(ingestion, tmp_path, ("a.md", text), ("b.md", b"Toads hop."))
    assert [outcome.state for outcome in job.documents] == ["indexed", "indexed"]
    assert job.documents[0].notes == ("personal data was replaced: 1 EMAIL_ADDRESS",)
    stored = catalog.version_text(job.documents[0].document_id, 1)
    assert "Ask <EMAIL_ADDRESS> about newts." in stored
    assert "## Care" in stored
    # The file would still have it: neither it nor that of a file without any is kept, nor told to be missing.
    ingestion.remove_unused(originals.hashes())
    assert originals.hashes() == set()
    with catalog.reading() as connection:
        assert catalog.content_hashes(connection) == set()
    again = run(ingestion, tmp_path, ("a.md", text))
    assert [outcome.state for outcome in again.documents] == ["unchanged"]


def test_a_file_that_can_not_even_be_handed_over_costs_only_itself(
    catalog: Catalog, originals: Originals, tmp_path: Path
) -> None:
    class Faulty(ReadHere):
        def submit(self, data, name, *more):  # type: ignore[no-untyped-def]
            if name == "b.md":
                raise TypeError("a bug")
            return super().submit(data, name, *more)

    ingestion = Ingestion(catalog, originals, HashEmbedder(), IngestSettings(), Faulty())
    job = run(ingestion, tmp_path, ("a.md", b"Newts swim."), ("b.md", b"Toads hop."), ("c.md", b"Frogs leap."))
    assert [(its.uri, its.state) for its in job.documents] == [
        ("a.md", "indexed"),
        ("b.md", "failed"),
        ("c.md", "indexed"),
    ]
    assert job.documents[1].problem is not None
    assert job.documents[1].problem.code == "internal-error"


def test_a_large_file_that_gives_way_again_and_again_is_embedded_once(
    catalog: Catalog, originals: Originals, tmp_path: Path
) -> None:
    embedded: list[str] = []

    class Counting(HashEmbedder):
        def embed_documents(self, texts):  # type: ignore[no-untyped-def]
            embedded.extend(texts)
            return super().embed_documents(texts)

    settings = IngestSettings(chunk_tokens=20, embed_batch=2)
    ingestion = Ingestion(catalog, originals, Counting(), settings, ReadHere())
    text = "\n\n".join(f"## Newt {number}\n\nIt swims in pond {number} all day long." for number in range(12))
    job_id = ingestion.submit([IncomingFile("large.md", "large.md", text.encode())], "default", None)
    job = ingestion.queue.claim()
    assert job is not None
    for _ in range(20):
        begun = len(embedded)
        if not ingestion.ingest(job, lambda: len(embedded) >= begun + 4).left:  # noqa: B023
            break
    outcome = ingestion.queue.get(job_id).documents[0]
    assert outcome.state == "indexed"
    assert len(embedded) == len(set(embedded)) == catalog.counts()["chunks"]
