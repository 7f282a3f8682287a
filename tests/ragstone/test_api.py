from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import pdf
from fastapi.testclient import TestClient
from service import HOST, TRUE, application_in, service, upload
from sqlalchemy import update

from generation.errors import ModelFailed
from generation.language_models.scripted import ScriptedLanguageModel
from ingest.catalog import schema
from ingest.extraction.process import ReadHere
from ingest.originals import Originals
from ingest.pipeline import IncomingFile
from ragstone.api.app import create_app
from ragstone.api.unbuilt import UNBUILT
from ragstone.settings import load_settings
from ragstone.wiring import Application
from retrieval.hash_embedder import HashEmbedder


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path) as client:
        yield client


def problem(reply: Any, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refused request."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = reply.json()
    assert document["type"] == f"/problems/{code}"
    assert document["status"] == status
    assert {"title", "detail", "instance"} <= set(document)
    return document


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


# The main path


def test_upload_ask_and_get_a_cited_verified_answer(client: TestClient) -> None:
    taken = upload(client, "pump.md", f"# Pump\n\n{TRUE}".encode())
    (document,) = taken["documents"]
    assert (document["state"], document["version"], document["problem"]) == ("indexed", 1, None)
    answer = client.post("/v1/ask", json={"question": "How heavy is the small pump?"}).json()
    assert answer["text"] == f"{TRUE} [1]"
    assert answer["faithfulness"]["verdict"] == "supported"
    (citation,) = answer["citations"]
    text = client.get(f"/v1/documents/{citation['document_id']}/versions/{citation['version']}/text").text
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert client.get(f"/v1/answers/{answer['answer_id']}").json() == answer


def test_a_streamed_answer_brings_passages_draft_verdict_and_answer(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    reply = client.post("/v1/ask", json={"question": "How heavy is the small pump?", "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    found = events(reply.text)
    names = [name for name, _ in found]
    assert names[0] == "passages"
    assert names[-2:] == ["verdict", "done"]
    tokens = [data for name, data in found if name == "token"]
    assert "".join(token["text"] for token in tokens) == f"{TRUE} [1]"
    assert all(token["draft"] for token in tokens)
    assert found[-1][1]["text"] == f"{TRUE} [1]"


def test_search_finds_passages(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    result = client.post("/v1/search", json={"query": "small pump", "k": 1}).json()
    assert result["revision"] == 1
    assert [passage["uri"] for passage in result["passages"]] == ["pump.md"]


def test_a_new_version_is_what_is_asked_and_the_old_revision_can_be_asked_still(client: TestClient) -> None:
    upload(client, "pump.md", b"The warranty lasts two years.")
    upload(client, "pump.md", b"The warranty lasts five years.")

    def text(**body: Any) -> str:
        found = client.post("/v1/search", json={"query": "warranty", **body}).json()
        return str(found["passages"][0]["text"])

    assert text() == "The warranty lasts five years."
    assert text(as_of=1) == "The warranty lasts two years."
    when = client.get("/v1/index/revisions").json()["revisions"][-1]["created_at"]
    assert text(as_of=when) == "The warranty lasts two years."


def test_documents_are_listed_read_and_deleted(client: TestClient) -> None:
    for name in ("a.md", "b.md", "c.md"):
        upload(client, name, f"text of {name}".encode(), metadata='{"team": "pumps"}')
    first = client.get("/v1/documents", params={"limit": 2}).json()
    second = client.get("/v1/documents", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    listed = first["documents"] + second["documents"]
    assert sorted(document["uri"] for document in listed) == ["a.md", "b.md", "c.md"]
    assert second["next_cursor"] is None
    document = listed[0]
    assert document["metadata"] == {"team": "pumps"}
    path = f"/v1/documents/{document['document_id']}"
    assert client.get(path).json() == document
    assert [version["version"] for version in client.get(f"{path}/versions").json()["versions"]] == [1]
    original = client.get(f"{path}/versions/1/original")
    assert original.content == f"text of {document['uri']}".encode()
    assert original.headers["content-disposition"].startswith("attachment")
    assert client.delete(path).json()["revision"] == 4
    problem(client.get(path), 404, "not-found")
    assert len(client.get("/v1/documents").json()["documents"]) == 2


def test_an_upload_without_waiting_is_a_job_that_can_be_watched(client: TestClient) -> None:
    taken = upload(client, "a.md", b"some text", wait=False)
    assert [document["state"] for document in taken["documents"]] in (["queued"], ["indexed"])
    watched = events(client.get(f"/v1/jobs/{taken['job_id']}/events").text)
    name, job = watched[-1]
    assert (name, job["state"], job["done"], job["total"]) == ("done", "done", 1, 1)
    assert client.get(f"/v1/jobs/{taken['job_id']}").json() == job
    assert [listed["job_id"] for listed in client.get("/v1/jobs").json()["jobs"]] == [taken["job_id"]]
    assert client.post(f"/v1/jobs/{taken['job_id']}/cancel").json()["state"] == "done"


def test_the_same_file_twice_is_unchanged(client: TestClient) -> None:
    upload(client, "a.md", b"some text")
    (document,) = upload(client, "a.md", b"some text")["documents"]
    assert (document["state"], document["version"]) == ("unchanged", 1)


def test_index_health_and_metrics(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    index = client.get("/v1/index").json()
    assert (index["revision"], index["documents"], index["chunks"]) == (1, 1, 1)
    assert index["bytes"] > 0
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json()["ready"]
    assert "ragstone_documents 1\n" in client.get("/metrics").text


def test_the_console_is_at_the_root(client: TestClient) -> None:
    reply = client.get("/")
    assert reply.headers["content-type"].startswith("text/html")
    assert "Ragstone" in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]


# Bad input


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.md", b"", "empty-document"),
        ("what.xyz", b"\0some text", "unsupported-format"),
        ("binary.txt", bytes(range(256)), "unsupported-format"),
        ("torn.pdf", b"%PDF-1.7\nnothing", "corrupt-document"),
    ],
)
def test_a_bad_file_is_named_and_the_service_goes_on(client: TestClient, name: str, data: bytes, code: str) -> None:
    (document,) = upload(client, name, data)["documents"]
    assert document["state"] == "failed"
    assert document["problem"]["code"] == code
    assert name in document["problem"]["detail"]
    assert client.get("/v1/index").json()["revision"] == 0
    (good,) = upload(client, "good.md", b"some text")["documents"]
    assert good["state"] == "indexed"


def test_a_file_over_the_limit_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    with service(tmp_path, ingest__max_upload_mib=0.001) as client:
        (document,) = upload(client, "big.md", b"x" * 2000)["documents"]
        assert document["problem"]["code"] == "document-too-large"
        assert "big.md" in document["problem"]["detail"]
        assert list((tmp_path / "originals").iterdir()) == []


def test_a_request_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    with service(tmp_path, server__max_request_mib=0.01) as client:
        files = {"file": ("big.md", b"x" * 20_000)}
        problem(client.post("/v1/documents", files=files), 413, "request-too-large")
        problem(client.post("/v1/search", content=endless()), 413, "request-too-large")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/search", {}, "query"),
        ("/v1/search", {"query": "x", "k": 0}, "k"),
        ("/v1/search", {"query": "x", "mode": "magic"}, "mode"),
        ("/v1/search", {"query": "x", "colour": "red"}, "colour"),
        ("/v1/search", {"query": "x", "collection": "../etc"}, "collection"),
        ("/v1/ask", {"question": "x", "seed": -1}, "seed"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, path: str, body: dict[str, Any], field: str) -> None:
    assert problem(client.post(path, json=body), 422, "bad-request")["field"] == field


@pytest.mark.parametrize("form", [{"collection": "a b"}, {"metadata": "[]"}, {"metadata": "{"}, {"uri": "a\nb"}])
def test_a_wrong_form_field_is_named(client: TestClient, form: dict[str, str]) -> None:
    reply = client.post("/v1/documents", files={"file": ("a.md", b"text")}, data=form)
    assert problem(reply, 422, "bad-request")["field"] == next(iter(form))


def test_bodies_that_are_no_json_and_unknown_paths_are_problems_too(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    problem(client.post("/v1/search", content=b"{", headers=headers), 422, "bad-request")
    problem(client.get("/v1/nothing"), 404, "not-found")
    problem(client.put("/v1/search"), 405, "method-not-allowed")
    problem(client.get("/v1/jobs/j-none"), 404, "not-found")
    problem(client.get("/v1/answers/a-none"), 404, "not-found")
    problem(client.get("/v1/documents/d-none/versions/1/text"), 404, "not-found")


def test_an_empty_index_says_what_to_do(client: TestClient) -> None:
    for path, body in (("/v1/search", {"query": "x"}), ("/v1/ask", {"question": "x"})):
        assert "upload some first" in problem(client.post(path, json=body), 409, "empty-index")["detail"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_question_over_the_models_context_is_refused(client: TestClient, stream: bool) -> None:
    upload(client, "pump.md", TRUE.encode())
    body = {"question": "word " * 3000, "stream": stream}
    reply = client.post("/v1/ask", json=body)
    if stream:
        name, data = events(reply.text)[-1]
        assert (name, data["type"]) == ("error", "/problems/bad-question")
    else:
        assert "too long" in problem(reply, 422, "bad-question")["detail"]


def test_what_is_not_built_says_so(client: TestClient) -> None:
    for method, path in UNBUILT:
        problem(client.request(method, f"/v1{path}"), 501, "not-built")
    problem(client.post("/v1/search", json={"query": "x", "filters": {"a": 1}}), 501, "not-built")
    problem(client.post("/v1/search", json={"query": "x", "rerank": True}), 501, "not-built")


def test_a_failing_model_is_an_error_and_the_service_goes_on(tmp_path: Path) -> None:
    model = ScriptedLanguageModel([TRUE], fail_with=ModelFailed("the model's server broke off"), fail_after=1)
    with service(tmp_path, model) as client:
        upload(client, "pump.md", TRUE.encode())
        problem(client.post("/v1/ask", json={"question": "How heavy?"}), 502, "model-failed")
        streamed = events(client.post("/v1/ask", json={"question": "How heavy?", "stream": True}).text)
        assert streamed[-1][0] == "error"
        assert streamed[-1][1]["type"] == "/problems/model-failed"
        assert client.post("/v1/search", json={"query": "pump"}).status_code == 200


def test_a_bug_shows_an_id_and_no_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def buggy(_: object) -> str:
        raise ZeroDivisionError("secret detail")

    with service(tmp_path, ScriptedLanguageModel(buggy)) as client:
        upload(client, "pump.md", TRUE.encode())
        document = problem(client.post("/v1/ask", json={"question": "How heavy?"}), 500, "internal-error")
        assert "secret" not in json.dumps(document)
        assert document["error_id"] in caplog.text
        assert "secret detail" in caplog.text


def test_other_sites_and_names_are_kept_out(client: TestClient) -> None:
    body = {"query": "x"}
    problem(client.post("/v1/search", json=body, headers={"origin": "http://evil.example"}), 403, "foreign-origin")
    problem(client.post("/v1/search", json=body, headers={"host": "evil.example"}), 403, "foreign-origin")
    problem(client.get("/healthz", headers={"host": ""}), 403, "foreign-origin")
    assert client.post("/v1/search", json=body, headers={"origin": f"http://{HOST}"}).status_code == 409
    assert client.get("/healthz", headers={"host": "localhost:1"}).status_code == 200


def test_a_job_that_was_queued_before_a_restart_is_done_after_it(tmp_path: Path) -> None:
    stopped = application_in(tmp_path)
    job_id = stopped.ingestion.submit([IncomingFile("a.md", "a.md", b"some text")], "default", {})
    stopped.catalog.close()
    with service(tmp_path) as client:
        for _ in range(200):
            job = client.get(f"/v1/jobs/{job_id}").json()
            if job["state"] == "done":
                break
            time.sleep(0.05)
        assert job["state"] == "done"
        assert client.get("/v1/index").json()["documents"] == 1


def test_without_the_language_model_search_works_and_asking_says_what_to_do(tmp_path: Path) -> None:
    settings = load_settings(flags={"data": tmp_path / "data", "models.folder": tmp_path / "none"}).settings
    application = Application(settings, embedder=HashEmbedder(), extractor=ReadHere())
    with TestClient(create_app(application), base_url=f"http://{HOST}") as client:
        upload(client, "pump.md", TRUE.encode())
        assert client.post("/v1/search", json={"query": "pump"}).status_code == 200
        refusal = problem(client.post("/v1/ask", json={"question": "How heavy?"}), 503, "model-unavailable")
        assert "ragstone models fetch" in refusal["detail"]
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "ragstone models fetch" in ready.json()["model"]


def test_while_the_model_is_loading_callers_are_told_to_come_back(tmp_path: Path) -> None:
    class SlowModel(ScriptedLanguageModel):
        async def start(self) -> None:
            await asyncio.Event().wait()

    with service(tmp_path, SlowModel([TRUE])) as client:
        upload(client, "pump.md", TRUE.encode())
        reply = client.post("/v1/ask", json={"question": "How heavy?"})
        problem(reply, 503, "model-loading")
        assert int(reply.headers["retry-after"]) >= 1
        assert client.get("/readyz").json()["model"] == "loading"


def test_a_full_disk_is_said_to_be_and_the_service_goes_on(tmp_path: Path) -> None:
    application = application_in(tmp_path)
    application.originals = Originals(tmp_path / "full", opener=lambda path, flags: os.open("/dev/full", os.O_WRONLY))
    with TestClient(create_app(application), base_url=f"http://{HOST}") as client:
        reply = client.post("/v1/documents", files={"file": ("a.md", b"text")})
        assert "free some" in problem(reply, 507, "storage-full")["detail"]
        assert client.get("/v1/jobs").json() == {"jobs": [], "next_cursor": None}
        assert client.get("/healthz").status_code == 200


def test_an_encrypted_pdf_is_named_as_such(client: TestClient) -> None:
    (document,) = upload(client, "secret.pdf", pdf([["Text that nobody may read"]], encrypted=True))["documents"]
    assert document["problem"]["code"] == "encrypted-document"
    assert "secret.pdf" in document["problem"]["detail"]


def test_the_openapi_description_names_the_calls_that_are_built(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/documents", "/v1/search", "/v1/ask", "/v1/jobs/{job_id}", "/v1/index", "/readyz"} <= set(paths)
    assert not {"/v1/runs", "/v1/releases"} & set(paths)


def test_jobs_are_listed_by_state_in_pages_and_tell_of_their_files_in_pages(client: TestClient) -> None:
    for _ in range(3):
        upload(client, "pump.md", b"# Pump")
    sent = client.post("/v1/documents", files=[("file", (f"{n}.md", b"" if n % 2 else b"x")) for n in range(7)])
    job_id = sent.json()["job_id"]
    deadline = time.monotonic() + 30
    while client.get(f"/v1/jobs/{job_id}").json()["state"] != "done" and time.monotonic() < deadline:
        time.sleep(0.02)
    listed = client.get("/v1/jobs?state=done&state=queued&limit=3").json()
    assert listed["jobs"][0]["counts"] == {"failed": 3, "indexed": 4}
    assert "documents" not in listed["jobs"][0]
    assert len(listed["jobs"][0]["problems"]) == listed["jobs"][0]["problems_total"] == 3
    rest = client.get(f"/v1/jobs?state=done&limit=3&cursor={listed['next_cursor']}").json()
    assert (len(listed["jobs"]), len(rest["jobs"]), rest["next_cursor"]) == (3, 1, None)
    assert client.get("/v1/jobs?state=dead").json() == {"jobs": [], "next_cursor": None}
    for wrong in ("/v1/jobs?state=lost", "/v1/jobs?limit=0", f"/v1/jobs/{job_id}/documents?cursor=x"):
        problem(client.get(wrong), 422, "bad-request")
    problem(client.get("/v1/jobs?cursor=j-none"), 404, "not-found")
    whole = client.get(f"/v1/jobs/{job_id}").json()["documents"]
    found, cursor = [], "0"
    while cursor is not None:
        page = client.get(f"/v1/jobs/{job_id}/documents?limit=2&cursor={cursor}").json()
        found, cursor = found + page["documents"], page["next_cursor"]
    assert found == whole
    assert len(found) == 7
    failed = client.get(f"/v1/jobs/{job_id}/documents?state=failed").json()["documents"]
    assert [its["uri"] for its in failed] == ["1.md", "3.md", "5.md"]


def test_a_job_of_very_many_files_is_capped_and_counted(client: TestClient) -> None:
    job_id = upload(client, "pump.md", b"# Pump")["job_id"]
    outcome = client.get(f"/v1/jobs/{job_id}").json()["documents"][0]
    with client.app.state.application.catalog.writing() as connection:  # type: ignore[attr-defined]
        connection.execute(update(schema.jobs).values(outcomes=[outcome] * 1500))
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (len(job["documents"]), job["counts"]) == (1000, {"indexed": 1500})
    assert len(client.get(f"/v1/jobs/{job_id}/documents?limit=1000&cursor=1000").json()["documents"]) == 500
