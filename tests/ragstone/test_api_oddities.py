"""What a hostile or careless client can send, and what waiting callers must not block."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from running import running
from service import HOST, TRUE, application_in, service, upload

from generation.language_models.scripted import ScriptedLanguageModel
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import Lease
from ingest.jobs.hindrances import WORKER
from ingest.jobs.queue import JobQueue


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path) as client:
        yield client


def refused(reply: Any, status: int = 422) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = reply.json()
    return document


@pytest.mark.parametrize(
    "metadata",
    [
        '{"a": "\\ud800"}',
        "[" * 20_000,
        '{"a": ' + "[" * 20_000,
        '{"a": ' + "1" * 5_000 + "}",
        '{"a": NaN}',
        '"text"',
    ],
    ids=["surrogate", "deep list", "deep object", "long number", "NaN", "no object"],
)
def test_metadata_that_cannot_be_stored_is_refused_and_the_list_goes_on(client: TestClient, metadata: str) -> None:
    reply = client.post("/v1/documents", files={"file": ("a.md", b"text")}, data={"metadata": metadata})
    assert refused(reply)["field"] == "metadata"
    assert client.get("/v1/documents").json() == {"documents": [], "next_cursor": None}


def test_new_metadata_on_the_same_bytes_is_taken_and_none_keeps_the_old(client: TestClient) -> None:
    def metadata() -> Any:
        return client.get("/v1/documents").json()["documents"][0]["metadata"]

    upload(client, "a.md", b"text", metadata='{"team": "old"}')
    upload(client, "a.md", b"text", metadata='{"team": "new"}')
    assert metadata() == {"team": "new"}
    upload(client, "a.md", b"text")
    upload(client, "a.md", b"other text")
    assert metadata() == {"team": "new"}
    upload(client, "a.md", b"other text", metadata="{}")
    assert metadata() == {}


def test_two_files_of_one_uri_in_a_request_are_refused(client: TestClient) -> None:
    files = [("file", ("a.md", b"one")), ("file", ("a.md", b"two"))]
    assert refused(client.post("/v1/documents", files=files))["field"] == "uri"
    assert client.get("/v1/jobs").json() == {"jobs": [], "next_cursor": None}


@pytest.mark.parametrize("as_of", [3.5, True, "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "yesterday", -1, "5"])
def test_an_as_of_that_is_no_revision_and_no_time_is_refused(client: TestClient, as_of: Any) -> None:
    for path, body in (("/v1/search", {"query": "x"}), ("/v1/ask", {"question": "x"})):
        document = refused(client.post(path, json={**body, "as_of": as_of}))
        assert document["field"].startswith("as_of")


def test_half_characters_are_refused(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    for path, field in (("/v1/search", "query"), ("/v1/ask", "question")):
        content = json.dumps({field: "\ud800 x"})
        reply = client.post(path, content=content, headers={"content-type": "application/json"})
        assert refused(reply)["field"] == field


def test_half_characters_of_a_model_are_replaced(tmp_path: Path) -> None:
    with service(tmp_path, ScriptedLanguageModel([f"{TRUE} \ud83d"]), generation__unsupported="annotate") as client:
        upload(client, "pump.md", TRUE.encode())
        answer = client.post("/v1/ask", json={"question": "How heavy is the small pump?"}).json()
        assert TRUE in answer["text"]
        assert "?" in answer["text"]


def test_odd_hosts_origins_and_versions_are_no_bugs(client: TestClient) -> None:
    refused(client.get("/healthz", headers={"host": "[::1"}), 403)
    refused(client.get("/healthz", headers={"origin": "http://[x"}), 403)
    refused(client.get(f"/v1/documents/x/versions/{10**30}/text"))
    refused(client.get("/v1/documents/"), 404)


def test_bodies_that_do_not_fit_are_explained(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    assert "not JSON" in refused(client.post("/v1/search", content=b"{", headers=headers))["detail"]
    assert "missing" in refused(client.post("/v1/search"))["detail"]
    nameless = refused(client.post("/v1/documents", files={"file": ("", b"text")}))
    assert nameless["field"] == "file"
    assert "UploadFile" not in nameless["detail"]
    nowhere = refused(client.put("/v1/sources/docs", json={"kind": "folder", "location": "docs"}))
    assert nowhere["detail"] == "location: 'docs' is no folder: write its whole path"


def test_probes_may_use_head(client: TestClient) -> None:
    assert client.head("/healthz").status_code == 200
    assert client.head("/").status_code == 200


def test_documents_are_served_inert(client: TestClient) -> None:
    (document,) = upload(client, "page.html", b"<p>text <script>alert(1)</script></p>")["documents"]
    for part in ("text", "original"):
        headers = client.get(f"/v1/documents/{document['document_id']}/versions/1/{part}").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("sandbox")
        assert not headers["content-type"].startswith("text/html")


def test_refused_callers_and_answers_are_counted(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    admission = client.app.state.application.answerer.admission  # type: ignore[attr-defined]
    admission.refused = 3
    client.post("/v1/ask", json={"question": "How heavy is the small pump?"})
    metrics = client.get("/metrics").text
    assert "ragstone_callers_refused_total 3\n" in metrics
    assert "ragstone_answers_made_total 1\n" in metrics


def test_who_asked_is_kept_with_the_answer(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    body = {"question": "How heavy is the small pump?", "user": "ada", "session": "s1"}
    answer = client.post("/v1/ask", json=body).json()
    assert (answer["user"], answer["session"]) == ("ada", "s1")


def test_after_a_bug_the_connection_goes_on(tmp_path: Path) -> None:
    def buggy(_: object) -> str:
        raise ZeroDivisionError

    with running(application_in(tmp_path, ScriptedLanguageModel(buggy))) as url, httpx.Client(base_url=url) as client:
        client.post("/v1/documents", params={"wait": True}, files={"file": ("p.md", TRUE.encode())})
        for _ in range(3):
            assert client.post("/v1/ask", json={"question": "How heavy?"}).status_code == 500


def test_waiting_uploads_keep_nobody_from_being_heard(tmp_path: Path) -> None:
    """Another process has the worker's lease and does nothing: all uploads wait, and the service answers."""
    catalog = Catalog.in_folder(tmp_path)
    lease = Lease(catalog, WORKER)
    assert lease.acquire()
    with closing(catalog), running(application_in(tmp_path)) as url:
        replies: list[int] = []

        def wait_for_upload(number: int) -> None:
            name = f"{number}.md"
            files = {"file": (name, f"text {number}".encode())}
            reply = httpx.post(f"{url}/v1/documents", params={"wait": True}, files=files, timeout=60)
            replies.append(reply.status_code)

        threads = [threading.Thread(target=wait_for_upload, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        queue = JobQueue(catalog)
        while len(queue.list()) < 60:
            pass
        assert httpx.get(f"{url}/healthz", timeout=10).status_code == 200
        assert httpx.get(f"{url}/v1/documents", timeout=10).status_code == 200
        assert replies == []
        lease.release()
        for thread in threads:
            thread.join()
    assert replies == [200] * 60


def test_the_host_of_the_service_is_its_own_name(client: TestClient) -> None:
    assert client.get("/healthz", headers={"host": HOST}).status_code == 200
