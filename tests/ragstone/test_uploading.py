from __future__ import annotations

import os
from pathlib import Path

import pytest
from service import TRUE, application_in

from ingest.catalog import facts
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import Lease
from ingest.errors import CatalogDamaged, CatalogUnavailable, DataFolderUnusable
from ingest.jobs.hindrances import WORKER
from ingest.types import DocumentOutcome
from ragstone.commands.options import echo_json
from ragstone.errors import BadRequest
from ragstone.rendering import outcome_line
from ragstone.uploading import LocalFile, files_under, ingest_files
from retrieval.search import SearchRequest


def ingested(data: Path, files: list[LocalFile]) -> list[DocumentOutcome]:
    reported: list[DocumentOutcome] = []
    outcomes = ingest_files(application_in(data), files, "default", reported.append)
    assert reported == outcomes
    return outcomes


@pytest.mark.parametrize("uri", ["", "two\nlines", "\x1b[31m", "\udcff", "a" * 2049])
def test_what_is_no_uri_is_refused(tmp_path: Path, uri: str) -> None:
    (tmp_path / "a.md").write_text("text")
    with pytest.raises(BadRequest, match="is no URI") as refusal:
        files_under([tmp_path / "a.md"], uri)
    assert refusal.value.field == "uri"


def test_the_same_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    assert files_under([tmp_path, tmp_path / "a.md"], None) == [LocalFile(tmp_path / "a.md", "a.md")]


def test_two_files_of_one_uri_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(folder)
    with pytest.raises(BadRequest, match=r"one/a\.md and .*two/a\.md .*--uri"):
        files_under([tmp_path / "one", tmp_path / "two" / "a.md"], None)
    assert len(files_under([tmp_path], None)) == 2


def test_names_that_are_no_uri_fail_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in (b"good.md", b"a\xff.md", b"two\nlines.md", b"\x1b[31m.md"):
        with open(os.fsencode(folder) + b"/" + name, "w") as file:
            file.write("The pump weighs 11 kg.")
    outcomes = ingested(tmp_path / "data", files_under([folder], None))
    assert sorted(outcome.state for outcome in outcomes) == ["failed", "failed", "failed", "indexed"]
    for outcome in outcomes:
        line = outcome_line(outcome)
        assert line.isprintable()
        assert line.isascii()
        assert ("is no URI" in line) == (outcome.state == "failed")
    echo_json([outcome.model_dump(mode="json") for outcome in outcomes])
    assert "a\\\\udcff.md" in capsys.readouterr().out


def test_a_strange_file_name_goes_in_under_a_uri(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.md"))
    path.write_text("The pump weighs 11 kg.")
    (outcome,) = ingested(tmp_path / "data", files_under([path], "a.md"))
    assert (outcome.uri, outcome.state) == ("a.md", "indexed")


def test_a_file_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The pump weighs 11 kg.")
    gone = LocalFile(tmp_path / "gone.md", "gone.md")
    outcomes = ingested(tmp_path / "data", [gone, LocalFile(tmp_path / "a.md", "a.md")])
    assert [(outcome.uri, outcome.state) for outcome in outcomes] == [("gone.md", "failed"), ("a.md", "indexed")]
    assert outcomes[0].problem is not None
    assert "gone.md can't be read: No such file" in outcomes[0].problem.detail


def test_a_worker_that_cannot_go_on_is_not_waited_for(tmp_path: Path) -> None:
    file = LocalFile(tmp_path / "a.md", "a.md")
    file.path.write_text("The pump weighs 11 kg.")
    (done,) = ingested(tmp_path / "data", [file])
    application = application_in(tmp_path / "data")
    with application.catalog.writing() as connection:
        connection.exec_driver_sql("create trigger t before update on jobs begin select raise(abort, 'no'); end")
    file.path.write_text("The pump weighs 12 kg.")
    with pytest.raises(CatalogUnavailable, match="stays in the queue"):
        ingest_files(application, [file], "default", lambda _: None)
    assert done.state == "indexed"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    Catalog.in_folder(tmp_path).close()
    catalog = Catalog(f"sqlite:///file:{tmp_path}/catalog.sqlite?mode=ro&uri=true")
    with (
        pytest.raises(DataFolderUnusable, match=r"can't be written.*catalog\.sqlite"),
        catalog.writing() as connection,
    ):
        connection.exec_driver_sql("create table anything (number integer)")
    catalog.close()


def test_a_catalog_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"something else " * 1000)
    with pytest.raises(CatalogDamaged, match="restore a backup"):
        Catalog.in_folder(tmp_path)


def test_any_folder_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "100% sure? #1"
    Catalog.in_folder(folder).close()
    assert (folder / "catalog.sqlite").is_file()


def test_other_settings_of_the_embedder_change_the_space_when_a_worker_has_them_and_not_when_a_reader_has(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.md").write_text(TRUE)
    data = tmp_path / "data"
    ingested(data, [LocalFile(tmp_path / "a.md", "a.md")])
    reader = application_in(data, retrieval__embedder__query_prefix="query: ")
    assert reader.searcher.search(SearchRequest(query="pump")).passages
    assert [job.kind for job in reader.queue.list()] == ["ingest"]
    reader.worker.work_off()
    (tmp_path / "b.md").write_text("The valve is red.")
    ingest_files(reader, [LocalFile(tmp_path / "b.md", "b.md")], "default", lambda outcome: None)
    assert "fill-space" in [job.kind for job in reader.queue.list()]


def test_what_waits_beside_a_service_that_cannot_work_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    service = application_in(tmp_path / "data")
    lease = Lease(service.catalog, WORKER)
    assert lease.acquire()
    try:
        with service.catalog.writing() as connection:
            problem = {"said": "there is no model there", "uploads_only": True, "term": lease.term()}
            facts.put(connection, facts.WORKER_PROBLEM, problem)
        with pytest.raises(CatalogUnavailable, match="there is no model there; what is left stays in the queue"):
            ingested(tmp_path / "data", [LocalFile(tmp_path / "a.md", "a.md")])
    finally:
        lease.release()
    assert [job.state for job in service.queue.list()] == ["queued"]
    service.close()
