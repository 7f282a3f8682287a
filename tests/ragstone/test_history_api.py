"""Rollback, batches, pins and retention over the API and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from service import application_in, service, upload

from ingest.identity import document_id_of
from ingest.pipeline import IncomingFile
from ragstone.cli import cli


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path) as client:
        yield client


def found(client: TestClient, query: str, **body: Any) -> list[str]:
    """URIs by words, best first."""
    reply = client.post("/v1/search", json={"query": query, "mode": "lexical", **body})
    return [passage["uri"] for passage in reply.json()["passages"]]


def run(folder: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(cli, ["--data", str(folder), *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_rollback_brings_the_old_content_back_as_a_new_revision(client: TestClient) -> None:
    upload(client, "a.md", b"red pump")
    upload(client, "a.md", b"green valve")
    assert client.post("/v1/index/rollback", json={"revision": 1}).json() == {"revision": 3}
    assert found(client, "red") == ["a.md"]
    assert found(client, "green") == []
    assert found(client, "green", as_of=2) == ["a.md"]
    newest = client.get("/v1/index/revisions").json()["revisions"][0]
    assert (newest["revision"], newest["cause"]) == (3, "rollback to 1")


@pytest.mark.parametrize(("revision", "status", "code"), [(9, 422, "unknown-revision"), (-1, 422, "bad-request")])
def test_rollback_to_what_never_was_is_refused(client: TestClient, revision: int, status: int, code: str) -> None:
    upload(client, "a.md", b"red pump")
    reply = client.post("/v1/index/rollback", json={"revision": revision})
    assert (reply.status_code, reply.json()["type"]) == (status, f"/problems/{code}")


def test_a_batch_is_seen_by_those_who_name_it_until_it_is_promoted(client: TestClient) -> None:
    upload(client, "a.md", b"red pump")
    upload(client, "b.md", b"old valve")
    batch = client.post("/v1/batches", json={"note": "try"}).json()["batch_id"]
    document = client.get("/v1/documents").json()["documents"]
    removed = next(one["document_id"] for one in document if one["uri"] == "b.md")
    upload(client, "a.md", b"green pump", batch=batch)
    assert client.post(f"/v1/batches/{batch}/removals/{removed}").status_code == 204
    assert (found(client, "green"), found(client, "valve")) == ([], ["b.md"])
    assert (found(client, "green", batch=batch), found(client, "valve", batch=batch)) == (["a.md"], [])
    (shown,) = client.get("/v1/batches").json()["batches"]
    assert (shown["state"], shown["note"], shown["documents"]) == ("open", "try", 2)
    assert client.post(f"/v1/batches/{batch}/promote").json() == {"revision": 3}
    assert (found(client, "green"), found(client, "valve")) == (["a.md"], [])


def test_a_batch_whose_document_changed_meanwhile_is_refused(client: TestClient) -> None:
    batch = client.post("/v1/batches", json={}).json()["batch_id"]
    upload(client, "a.md", b"green pump", batch=batch)
    upload(client, "a.md", b"blue pump")
    reply = client.post(f"/v1/batches/{batch}/promote")
    assert (reply.status_code, reply.json()["type"]) == (409, "/problems/batch-conflict")
    assert client.delete(f"/v1/batches/{batch}").status_code == 204
    assert found(client, "blue") == ["a.md"]


def test_a_search_in_a_batch_that_is_closed_or_never_was_is_refused(client: TestClient) -> None:
    upload(client, "a.md", b"red pump")
    batch = client.post("/v1/batches", json={}).json()["batch_id"]
    assert found(client, "pump", batch=batch) == ["a.md"]
    client.delete(f"/v1/batches/{batch}")
    for name, status in ((batch, 409), ("nope", 404)):
        assert client.post("/v1/search", json={"query": "pump", "batch": name}).status_code == status


def test_an_upload_into_a_batch_that_is_not_open_is_refused_at_once(client: TestClient) -> None:
    batch = client.post("/v1/batches", json={}).json()["batch_id"]
    client.delete(f"/v1/batches/{batch}")
    for name, status in ((batch, 409), ("nope", 404)):
        reply = client.post("/v1/documents", files={"file": ("a.md", b"green pump")}, data={"batch": name})
        assert reply.status_code == status
    assert client.get("/v1/jobs").json() == {"jobs": [], "next_cursor": None}


def test_retention_takes_old_revisions_but_for_a_pinned_one(tmp_path: Path) -> None:
    with service(tmp_path, ingest__retention__keep_revisions=1) as client:
        for colour in ("red", "green", "blue"):
            upload(client, "a.md", f"{colour} pump".encode())
            if colour == "green":
                assert client.put("/v1/pins/keep", json={"revision": 2}).status_code == 204
        assert [pin["name"] for pin in client.get("/v1/pins").json()["pins"]] == ["keep"]
    assert run(tmp_path, "--set", "ingest.retention.keep_revisions=1", "purge") == {"versions": 1, "chunks": 1}
    with service(tmp_path) as client:
        assert found(client, "green", as_of=2) == ["a.md"]
        reply = client.post("/v1/search", json={"query": "red", "as_of": 1})
        assert (reply.status_code, reply.json()["type"]) == (410, "/problems/expired")
        assert client.delete("/v1/pins/keep").status_code == 204
        assert client.delete("/v1/pins/keep").status_code == 404


def test_the_command_line_rolls_back_and_handles_batches(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        upload(client, "a.md", b"red pump")
        upload(client, "a.md", b"green valve")
    assert run(tmp_path, "rollback", "1") == {"revision": 3}
    assert [row["revision"] for row in run(tmp_path, "revisions")["revisions"]] == [3, 2, 1]
    batch = run(tmp_path, "batch", "open", "--note", "later")["batch_id"]
    (shown,) = run(tmp_path, "batch", "list")["batches"]
    assert (shown["batch_id"], shown["state"]) == (batch, "open")
    assert run(tmp_path, "batch", "promote", batch) == {"revision": 4}


def test_counts_as_of_a_revision_or_a_time(client: TestClient, tmp_path: Path) -> None:
    upload(client, "a.md", b"red pump")
    upload(client, "b.md", b"green valve")
    client.delete(f"/v1/documents/{document_id_of('default', 'a.md')}")
    first, second = (row["created_at"] for row in client.get("/v1/index/revisions").json()["revisions"][:0:-1])

    def counted(**query: Any) -> tuple[int, ...]:
        body = client.get("/v1/index", params=query).json()
        return tuple(body[name] for name in ("revision", "documents", "chunks", "occurrences"))

    assert counted() == (3, 1, 1, 1)
    assert counted(as_of=2) == counted(as_of=second) == (2, 2, 2, 2)
    assert counted(as_of=1) == counted(as_of=first) == (1, 1, 1, 1)
    assert counted(as_of=0) == (0, 0, 0, 0)
    for asked, problem in ((4, "unknown-revision"), ("yesterday", "bad-request"), (-1, "bad-request")):
        reply = client.get("/v1/index", params={"as_of": asked})
        assert (reply.status_code, reply.json()["type"]) == (422, f"/problems/{problem}")
    assert run(tmp_path, "status", "--as-of", "2")["documents"] == 2
    secret = run(tmp_path, "keys", "create", "other", "--collection", "other")["key"]
    reply = client.get("/v1/index", params={"as_of": 2}, headers={"Authorization": f"Bearer {secret}"})
    assert (reply.status_code, reply.json()["documents"]) == (200, 0)


def test_a_revision_that_never_was_is_not_pinned(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        upload(client, "a.md", b"red pump")
        assert client.put("/v1/pins/keep", json={"revision": 2}).status_code == 422
        assert client.put("/v1/pins/keep", json={"revision": 1}).status_code == 204
    assert [(pin["name"], pin["revision"]) for pin in run(tmp_path, "pins")["pins"]] == [("keep", 1)]


def test_the_time_that_is_shown_of_a_revision_is_one_to_ask_for(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        for text in (b"red pump", b"green pump", b"blue pump"):
            upload(client, "a.md", text)
    shown = CliRunner().invoke(cli, ["--data", str(tmp_path), "revisions"], catch_exceptions=False)
    times = {line.split()[0]: line.split()[1] for line in shown.output.splitlines()}
    assert {number: str(run(tmp_path, "status", "--as-of", at)["revision"]) for number, at in times.items()} == {
        number: number for number in ("1", "2", "3")
    }


def test_the_command_line_lists_jobs_and_cancels_what_waits(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        upload(client, "a.md", b"red pump")
    application = application_in(tmp_path)
    waiting = application.ingestion.submit([IncomingFile("b.md", "b.md", b"green pump")], "default", None)
    application.close()
    newest, before = run(tmp_path, "jobs", "list")["jobs"]
    assert (newest["job_id"], newest["state"], before["state"]) == (waiting, "queued", "done")
    assert (newest["hindrance"], before["hindrance"]) == ("no-worker", None)
    first, second = CliRunner().invoke(cli, ["--data", str(tmp_path), "jobs", "list"]).output.splitlines()
    assert "ingest waits for a worker" in first
    assert "ingest done" in second
    assert run(tmp_path, "jobs", "cancel", waiting)["state"] == "cancelled"
