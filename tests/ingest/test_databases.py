"""What the catalog promises on each database alike."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from prepared import SPACE, commit, prepared
from sqlalchemy import URL, insert, select

from ingest.catalog import facts, migrations, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings
from ingest.erasure import Erasure
from ingest.errors import CatalogMisconfigured, CatalogUnavailable, NotFound
from ingest.extraction.process import ReadHere
from ingest.identity import document_id_of
from ingest.jobs.queue import JobQueue
from ingest.jobs.uploads import Upload
from ingest.originals import Originals
from ingest.pipeline import IncomingFile, Ingestion
from ingest.revisions.history import History
from ingest.worker import Worker
from retrieval.hash_embedder import HashEmbedder


def test_writers_at_once_take_turns(catalog: Catalog, catalog_url: URL) -> None:
    """Each reads a number and writes the next one: no number may be lost."""
    turns, writers = 25, 4
    start = threading.Barrier(writers)

    def count_up() -> None:
        own = Catalog(catalog_url)
        start.wait()
        for _ in range(turns):
            with own.writing() as connection:
                facts.count_up(connection, "count")
        own.close()

    with ThreadPoolExecutor(writers) as pool:
        for done in [pool.submit(count_up) for _ in range(writers)]:
            done.result()
    assert catalog.fact("count") == turns * writers


def test_a_reader_sees_one_state_while_others_write(catalog: Catalog, catalog_url: URL) -> None:
    commit(catalog, ["one"])
    other = Catalog(catalog_url)
    with catalog.reading() as connection:
        assert statements.head(connection) == 1
        commit(other, ["two"])
        assert statements.head(connection) == 1
        assert statements.count(connection, schema.chunks) == 1
    assert catalog.head() == 2
    other.close()


def test_a_write_that_fails_leaves_nothing(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), catalog.writing() as connection:
        facts.put(connection, "half", 1)
        raise ZeroDivisionError
    assert catalog.fact("half") is None


def test_a_write_waits_no_longer_than_it_was_told(catalog: Catalog, catalog_url: URL) -> None:
    with catalog.writing(), pytest.raises(CatalogUnavailable, match="try again later"):
        Catalog(catalog_url, busy_timeout_s=0.05)


def test_two_that_open_an_empty_database_at_once_share_one_catalog(empty_url: URL) -> None:
    start = threading.Barrier(2)

    def opened() -> str:
        start.wait()
        catalog = Catalog(empty_url)
        catalog.close()
        return catalog.catalog_id

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(opened), pool.submit(opened)
    assert first.result() == second.result()


def test_a_newer_catalog_is_refused(catalog: Catalog, catalog_url: URL) -> None:
    with catalog.writing() as connection:
        connection.execute(insert(schema.migrations).values(number=len(migrations.STEPS) + 2))
    with pytest.raises(CatalogUnavailable, match="use the newer one"):
        Catalog(catalog_url)


def test_an_url_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    for wrong in ("postgresql:very-secret@host", "postgresql://user:very-secret@host:port/name"):
        with pytest.raises(CatalogMisconfigured, match=r"ingest\.catalog_url is no URL") as caught:
            Catalog.in_folder(tmp_path, wrong)
        assert "very-secret" not in str(caught.value)
        assert caught.value.__suppress_context__


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(CatalogMisconfigured, match="names mysql"):
        Catalog("mysql://user:very-secret@host/name")


def test_names_that_no_database_holds_are_not_found(catalog: Catalog) -> None:
    commit(catalog, ["one"])
    for name in ("\0", "d-\0", "\ud800", "\U0001f600\udfff"):
        with pytest.raises(NotFound):
            catalog.document(name)
        assert catalog.documents(name, 10, None) == ([], None)
        assert catalog.documents(None, 10, None, readable={name}) == ([], None)


def test_notes_are_kept_but_for_what_no_database_holds(catalog: Catalog) -> None:
    history = History(catalog)
    history.open_batch("a\0b\ud800c \U0001f600")
    assert history.batches()[0].note == "a\ufffdb\ufffdc \U0001f600"


def test_metadata_holds_whatever_json_can_spell(catalog: Catalog) -> None:
    commit(catalog, ["one"])
    document_id = document_id_of("default", "a.md")
    metadata = {"nul": "a\0b", "half": "\ud800", "large": 2**70, "small": 1e-300, "words": ["\u2028", "ß", "\\u0000"]}
    catalog.set_metadata(document_id, metadata)
    assert catalog.document(document_id).metadata == metadata


def test_uris_of_any_length_name_documents_of_their_own(catalog: Catalog, originals: Originals) -> None:
    # Of many different characters: PostgreSQL packs what repeats before it looks whether it fits into an index.
    longest = "".join(chr(0x4E00 + number) for number in range(5000))
    uris = [longest, longest[:-1], longest[:-1] + "\u4e00"]
    ingestion = Ingestion(catalog, originals, HashEmbedder(), IngestSettings(), ReadHere())
    for uri in uris:
        ingestion.submit([IncomingFile("a.md", uri, b"some text")], "default", {})
        Worker(ingestion).work_off()
    found, _ = catalog.documents("default", 10, None)
    assert sorted(info.uri for info in found) == sorted(uris)


def test_names_are_ordered_by_their_characters(catalog: Catalog) -> None:
    uris = ["b", "A", "a", "B", "_", "-", "a b", "ab", "ä", "z", "Z", "\uffee", "\U0001f600"]
    for uri in uris:
        commit(catalog, ["one"], uri=uri)
    table = schema.documents
    with catalog.reading() as connection:
        found = connection.execute(select(table.c.uri).order_by(table.c.uri)).scalars().all()
        above = connection.execute(select(table.c.uri).where(table.c.uri > "a b")).scalars().all()
    assert found == sorted(uris)
    assert sorted(above) == sorted(uri for uri in uris if uri > "a b")


def test_pages_of_documents_join_without_gap_or_overlap(catalog: Catalog) -> None:
    for number in range(23):
        commit(catalog, ["one"], uri=f"{number}.md")
    ids: list[str] = []
    cursor = None
    while not ids or cursor is not None:
        page, cursor = catalog.documents(None, 5, cursor)
        ids += [info.document_id for info in page]
    assert ids == sorted(document_id_of("default", f"{number}.md") for number in range(23))


def test_times_come_back_in_utc_and_compare_across_zones(catalog: Catalog) -> None:
    commit(catalog, ["one"])
    made = catalog.revisions()[0].created_at
    assert made.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=5)
    far = timezone(timedelta(hours=-11))
    with catalog.reading() as connection:
        assert catalog.revision_at(connection, made.astimezone(far)) == 1
        assert catalog.revision_at(connection, (made - timedelta(microseconds=1)).astimezone(far)) == 0


def test_numbers_beyond_32_bits_are_stored(catalog: Catalog) -> None:
    with catalog.writing() as connection:
        connection.execute(insert(schema.chunks).values(number=2**40, chunk_id="00" * 16, input="far"))
        assert statements.chunk_numbers(connection, ["00" * 16]) == {"00" * 16: 2**40}


def test_a_file_of_more_than_two_gigabytes_has_its_size(catalog: Catalog) -> None:
    large = prepared(["one"])
    size = 3 * 2**30
    with catalog.writing() as connection:
        statements.put_documents(connection, [large], {})
        statements.put_versions(connection, [large], {})
        connection.execute(schema.versions.update().values(size_bytes=size))
        assert connection.execute(select(schema.versions.c.size_bytes)).scalar_one() == size


def test_promoted_occurrences_are_numbered_as_they_stand(catalog: Catalog) -> None:
    paragraphs = [f"paragraph {number}" for number in range(300)]
    history = History(catalog)
    batch = history.open_batch()
    history.stage_version(batch, prepared(paragraphs), SPACE)
    history.promote(batch)
    table = schema.occurrences
    with catalog.reading() as connection:
        ordinals = connection.execute(select(table.c.ordinal).order_by(table.c.occurrence_id)).scalars().all()
    assert ordinals == list(range(300))


def test_a_document_of_a_long_uri_is_erased_from_jobs_and_answers(catalog: Catalog) -> None:
    # More than SQLite takes as a pattern, once it is written as JSON.
    uri = "".join(chr(0x1F300 + number % 500) for number in range(5000))
    document_id = document_id_of("default", uri)
    commit(catalog, ["one"], uri=uri)
    queue = JobQueue(catalog)
    with catalog.writing() as connection:
        queue.enqueue(connection, [Upload("default", uri, uri, "00", 3, None)], [], "default")
        values = {"answer_id": "a-1", "created_at": datetime.now(UTC), "release_id": "r", "revision": 1}
        record = {"passages": [{"document_id": document_id}]}
        connection.execute(
            insert(schema.answers).values(**values, collection="default", record=record, prompt={"a": 1}, state="kept")
        )
    erasure = Erasure(catalog, queue, lambda record: {"text": ""})
    erasure.request(document_id)
    erasure.purge(document_id)
    job = queue.claim()
    assert job is not None
    assert [(upload.uri, upload.name, upload.erased) for upload in job.uploads] == [("(erased)", "(erased)", True)]
    with catalog.reading() as connection:
        (answer,) = connection.execute(select(schema.answers)).mappings()
        assert statements.count(connection, schema.documents) == 0
    assert (answer["record"], answer["prompt"], answer["state"]) == ({"text": ""}, {}, "erased")
