"""Erasing leaves no byte of a document in any file of the data folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import application_in, service, upload
from sqlalchemy import select

from generation.language_models.scripted import ScriptedLanguageModel
from generation.types import Message, Prompt
from ingest.catalog import schema
from ingest.errors import NotFound
from ingest.identity import document_id_of
from ragstone.wiring import Application

SECRET = "The reactor code is velociraptor seventeen."
SHARED = "Doors are painted green every spring."
NAME = "plutonium-plans.md"
DOCUMENT = document_id_of("default", NAME)
TRACES = (b"velociraptor", b"plutonium-plans", b"Reactor", b"zanzibar")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path, ScriptedLanguageModel([SECRET])) as client:
        yield client


def application(client: TestClient) -> Application:
    found: Any = client.app
    application: Application = found.state.application
    return application


def fill(client: TestClient) -> str:
    """Two versions of the secret document, another document that shares a paragraph, and an answer; returns its id."""
    metadata = '{"team": "zanzibar"}'
    upload(client, NAME, f"# Reactor\n\n{SECRET}".encode(), metadata=metadata)
    upload(client, NAME, f"{SHARED}\n\n# Reactor\n\n{SECRET} Tell nobody.".encode())
    upload(client, "doors.md", SHARED.encode())
    answer: dict[str, Any] = client.post("/v1/ask", json={"question": "What is the code?"}).json()
    assert answer["citations"], answer
    return str(answer["answer_id"])


def erase(client: TestClient, document_id: str = DOCUMENT) -> int:
    parts = application(client)
    revision, job_id = parts.erasure.request(document_id)
    parts.worker.wake()
    deadline = time.monotonic() + 30
    while (job := parts.queue.get(job_id)).state not in ("done", "failed") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert job.state == "done", job
    return revision


def holders(folder: Path) -> list[tuple[str, bytes]]:
    """Files of the folder that hold a trace."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [(str(path.relative_to(folder)), trace) for trace in TRACES if trace in data]
    return found


def test_documents_that_wait_to_be_erased_are_taken_together(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client)
    for number in range(4):
        upload(client, f"{number}.md", f"Plan {number} of velociraptor {number}".encode())
    application(client).worker.stop()
    application(client).let_go()
    parts = application_in(tmp_path)
    rewritten = []
    rewrite = parts.catalog.database.rewrite
    monkeypatch.setattr(parts.catalog.database, "rewrite", lambda: (rewritten.append(1), rewrite()))
    names = [NAME, *(f"{number}.md" for number in range(4))]
    jobs = [parts.erasure.request(document_id_of("default", name))[1] for name in names]
    assert parts.worker.work_off()
    assert [parts.queue.get(job).state for job in jobs] == ["done"] * 5
    assert len(rewritten) == 1
    assert holders(tmp_path) == []
    parts.close()


def test_no_file_holds_the_bytes_of_an_erased_document(client: TestClient, tmp_path: Path) -> None:
    fill(client)
    assert {trace for _, trace in holders(tmp_path)} == set(TRACES)
    erase(client)
    assert holders(tmp_path) == []


def test_what_another_document_shares_stays_and_can_be_found(client: TestClient) -> None:
    fill(client)
    revision = erase(client)
    found = client.post("/v1/search", json={"query": "Which colour have the doors?"}).json()
    assert found["revision"] == revision
    assert [(passage["uri"], passage["text"]) for passage in found["passages"]] == [("doors.md", SHARED)]
    assert found["passages"][0]["also_in"] == []


@pytest.mark.parametrize("as_of", [1, 2, 3])
def test_an_erased_document_is_in_no_old_revision(client: TestClient, as_of: int) -> None:
    fill(client)
    upload(client, "first.md", b"This was always here.")
    erase(client)
    reply = client.post("/v1/search", json={"query": "reactor code velociraptor", "as_of": as_of})
    assert "velociraptor" not in reply.text
    assert all(passage["document_id"] != DOCUMENT for passage in reply.json().get("passages", []))


def test_rollback_does_not_bring_it_back(client: TestClient) -> None:
    fill(client)
    erase(client)
    parts = application(client)
    parts.history.rollback(2)
    reply = client.post("/v1/search", json={"query": "velociraptor"})
    assert "velociraptor" not in reply.text.replace('"instance"', "")


def test_an_answer_that_quoted_it_says_so_and_quotes_no_more(client: TestClient) -> None:
    answer_id = fill(client)
    erase(client)
    reply = client.get(f"/v1/answers/{answer_id}")
    assert reply.status_code == 200
    assert reply.json()["notes"] == ["a document that this answer quoted was erased"]
    assert "velociraptor" not in reply.text
    with application(client).catalog.reading() as connection:
        assert connection.execute(select(schema.answers.c.state)).scalars().all() == ["erased"]


def test_an_answer_that_was_being_written_is_stored_without_its_quotes(client: TestClient) -> None:
    parts = application(client)
    answer = parts.answers.get(fill(client))
    prompt = Prompt((Message("user", "Of the velociraptor?"),), (1, 2), 2)
    erase(client)
    parts.answers.save(answer.model_copy(update={"answer_id": "late"}), prompt, ())
    assert "velociraptor" not in client.get("/v1/answers/late").text
    with parts.catalog.reading() as connection:
        of_it = schema.answers.c.answer_id == "late"
        state, prompt_kept = connection.execute(
            select(schema.answers.c.state, schema.answers.c.prompt).where(of_it)
        ).one()
    assert (state, prompt_kept) == ("erased", {})
    (again,) = upload(client, NAME, b"The velociraptor came again.")["documents"]
    assert again["state"] == "indexed"
    passages = (answer.passages[0].model_copy(update={"version": again["version"], "also_in": ()}),)
    parts.answers.save(answer.model_copy(update={"answer_id": "new", "passages": passages}), prompt, ())
    assert "velociraptor" in client.get("/v1/answers/new").text


def test_an_upload_that_waited_while_its_document_was_erased_is_refused(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        upload(client, NAME, SECRET.encode())
        parts = application(client)
        parts.worker.stop()
        waiting = upload(client, NAME, f"{SECRET} Again.".encode(), wait=False)["job_id"]
        parts.erasure.request(DOCUMENT)
    with service(tmp_path) as client:
        erased = application(client).queue
        deadline = time.monotonic() + 30
        while any(job.state in ("queued", "running") for job in erased.list()) and time.monotonic() < deadline:
            time.sleep(0.02)
        (outcome,) = client.get(f"/v1/jobs/{waiting}").json()["documents"]
        assert (outcome["state"], outcome["problem"]["code"]) == ("failed", "erased")
    assert holders(tmp_path) == []


def test_an_upload_that_came_after_the_request_is_a_new_document(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        upload(client, NAME, SECRET.encode())
        parts = application(client)
        parts.worker.stop()
        parts.erasure.request(DOCUMENT)
        upload(client, NAME, b"A harmless text.", wait=False)
    with service(tmp_path) as client:
        wait_until_idle(client)
        assert client.get(f"/v1/documents/{DOCUMENT}").json()["version"] == 2
        assert client.get(f"/v1/documents/{DOCUMENT}/versions/2/text").text == "A harmless text."


def wait_until_idle(client: TestClient) -> None:
    queue = application(client).queue
    deadline = time.monotonic() + 30
    while any(job.state in ("queued", "running") for job in queue.list()) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_between_request_and_job_neither_rollback_nor_a_batch_shows_it(client: TestClient) -> None:
    parts = application(client)
    upload(client, NAME, SECRET.encode())
    batch = parts.history.open_batch()
    upload(client, NAME, f"{SECRET} Again.".encode(), batch=batch)
    upload(client, "other.md", b"Something else.", batch=batch)
    parts.worker.stop()
    parts.erasure.request(DOCUMENT)
    parts.history.rollback(1)
    assert [one["uri"] for one in client.get("/v1/documents").json()["documents"]] == []
    parts.history.promote(batch)
    assert [one["uri"] for one in client.get("/v1/documents").json()["documents"]] == ["other.md"]


def test_a_job_that_was_killed_behind_the_catalog_goes_on_with_files_and_index(tmp_path: Path) -> None:
    with service(tmp_path, ScriptedLanguageModel([SECRET])) as client:
        fill(client)
        parts = application(client)
        parts.worker.stop()
        parts.erasure.request(DOCUMENT)
        parts.erasure.purge(DOCUMENT)  # and here it was killed
    assert holders(tmp_path) != []
    with service(tmp_path, ScriptedLanguageModel([SECRET])) as client:
        wait_until_idle(client)
        (erased,) = [job for job in application(client).queue.list() if job.kind == "erase"]
        assert erased.state == "done"
    assert holders(tmp_path) == []


def test_many_small_documents_leave_nothing_in_the_gaps_of_pages(tmp_path: Path) -> None:
    # With secure_delete alone SQLite leaves remains of some of them.
    names = [f"plutonium-plans-{number}.md" for number in range(40)]
    with service(tmp_path) as client:
        for number, name in enumerate(names):
            upload(client, name, f"velociraptor {'word ' * (number % 7)}".encode())
            upload(client, f"kept-{number}.md", f"kept {'word ' * (number % 5)}".encode())
        parts = application(client)
        for name in names:
            parts.erasure.request(document_id_of("default", name))
        parts.worker.wake()
        wait_until_idle(client)
        assert len(client.get("/v1/documents").json()["documents"]) == 40
        assert holders(tmp_path) == []


def test_the_document_can_come_again_and_its_versions_go_on(client: TestClient) -> None:
    fill(client)
    erase(client)
    (document,) = upload(client, NAME, SECRET.encode())["documents"]
    assert (document["state"], document["version"]) == ("indexed", 3)
    assert client.post("/v1/search", json={"query": "velociraptor"}).json()["passages"][0]["version"] == 3


def test_erasing_twice_or_what_never_was_is_not_found(client: TestClient) -> None:
    fill(client)
    erase(client)
    for document_id in (DOCUMENT, "d-none"):
        with pytest.raises(NotFound):
            application(client).erasure.request(document_id)


def test_a_deleted_document_can_still_be_erased(client: TestClient, tmp_path: Path) -> None:
    fill(client)
    application(client).history.delete_document(DOCUMENT)
    erase(client)
    assert holders(tmp_path) == []
