"""Who may call what: keys, actions, collections, users and limits, over HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from service import HOST, TRUE, application_in, service, upload

import ragstone.api
from generation.language_models.scripted import ScriptedLanguageModel
from ingest.catalog.catalog import Catalog
from ingest.catalog.keys import ACTIONS, Grant, KeyRing, Limits
from ingest.errors import CatalogUnavailable, DocumentTooLarge
from ingest.identity import document_id_of
from ragstone.api import access, unbuilt
from ragstone.api.access import PUBLIC_PATHS, Access
from ragstone.api.app import create_app
from ragstone.api.limits import Usage
from ragstone.commands.service import listening
from ragstone.errors import CannotListen, LimitReached
from ragstone.wiring import Application


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path) as client:
        yield client


def application(client: TestClient) -> Application:
    app: Any = client.app
    parts: Application = app.state.application
    return parts


def key(client: TestClient, *collections: str, actions: tuple[str, ...] = ACTIONS, **more: Any) -> dict[str, str]:
    """The header of a new key."""
    grant = Grant(name="x", collections=collections or None, actions=actions, **more)
    return {"Authorization": f"Bearer {KeyRing(application(client).catalog).create(grant)[1]}"}


def problem(reply: Any, status: int, code: str) -> str:
    """The detail of a refusal."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == f"/problems/{code}"
    return str(reply.json()["detail"])


# Keys


def test_the_first_key_closes_the_system_to_all_who_have_none(client: TestClient) -> None:
    assert client.get("/v1/index").status_code == 200
    refused = client.post("/v1/keys", json={"name": "reader"})
    assert "nobody could make another one" in problem(refused, 403, "forbidden")
    made = client.post("/v1/keys", json={"name": "me", "actions": ["admin", "read"]})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    for reply in (client.get("/v1/index"), client.get("/v1/nothing"), client.get("/metrics"), client.get("/v1/runs/1")):
        problem(reply, 401, "key-needed")
        assert reply.headers["www-authenticate"] == "Bearer"
    for path in PUBLIC_PATHS:
        assert client.get(path).status_code == 200
    header = {"Authorization": f"bearer {made.json()['key']}"}
    assert client.get("/v1/index", headers=header).status_code == 200
    (listed,) = client.get("/v1/keys", headers=header).json()["keys"]
    assert listed == {name: value for name, value in made.json().items() if name != "key"}


@pytest.mark.parametrize("header", ["Bearer rs_wrong", "Bearer", "Basic eDp5", "rs_wrong", "Bearer \udcff", ""])
def test_what_is_no_key_in_force_is_refused(client: TestClient, header: str) -> None:
    key(client)
    raw = header.encode("utf-8", "surrogateescape")
    problem(client.get("/v1/index", headers={b"Authorization": raw}), 401, "key-needed")


def test_a_request_without_a_key_is_refused_before_its_body_is_read(client: TestClient) -> None:
    key(client)

    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/search", "headers": []}
    asyncio.run(Access(create_app(application(client)), application(client), True)(scope, receive, send))
    assert sent[0]["status"] == 401


def test_a_key_that_another_process_revokes_ends_at_once(client: TestClient, tmp_path: Path) -> None:
    header, _ = key(client, actions=("read",)), key(client)
    assert client.get("/v1/index", headers=header).status_code == 200
    other = Catalog.in_folder(tmp_path)
    KeyRing(other).revoke(KeyRing(other).keys()[0].key_id)
    other.close()
    problem(client.get("/v1/index", headers=header), 401, "key-needed")


def test_a_revoked_key_is_refused_even_where_access_is_open_again(client: TestClient) -> None:
    header = key(client)
    ring = KeyRing(application(client).catalog)
    ring.revoke(ring.keys()[0].key_id)
    assert client.get("/v1/index").status_code == 200
    problem(client.get("/v1/index", headers=header), 401, "key-needed")


def test_the_events_of_a_job_end_when_the_key_is_revoked(client: TestClient) -> None:
    header = key(client)
    parts = application(client)
    parts.worker.stop()
    job_id = client.post("/v1/documents", files={"file": ("a.md", b"text")}, headers=header).json()["job_id"]
    ring = KeyRing(parts.catalog)
    revoking = threading.Timer(0.3, lambda: ring.revoke(ring.keys()[0].key_id))
    revoking.start()
    events = client.get(f"/v1/jobs/{job_id}/events", headers=header).text
    revoking.join()
    assert "event: progress" in events
    assert "event: done" not in events


def test_without_keys_a_service_that_others_can_reach_is_closed(tmp_path: Path) -> None:
    app = create_app(application_in(tmp_path), only_this_machine=False)
    with TestClient(app, base_url="http://ragstone.example") as client:
        problem(client.get("/v1/index"), 401, "key-needed")
        header = key(client)
        assert client.get("/v1/index", headers=header).status_code == 200  # under whatever name it is called


def test_every_call_asks_for_an_action() -> None:
    def asks(dependant: Dependant) -> bool:
        return dependant.call is access._caller_of or any(asks(part) for part in dependant.dependencies)

    modules = [import_module(f"ragstone.api.{found.name}") for found in iter_modules(ragstone.api.__path__)]
    routers = [module.router for module in modules if hasattr(module, "router") and module is not unbuilt]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    unguarded = {route.path for route in routes if not asks(route.dependant)}
    assert unguarded == {"/healthz"}
    assert {"/v1/search", "/v1/keys", "/metrics"} <= {route.path for route in routes}


ALLOWED_BY = {
    "read": [
        "/v1/documents",
        "/v1/documents/d-0",
        "/v1/jobs",
        "/v1/index",
        "/v1/index/revisions",
        "/v1/collections",
        "/v1/sources",
    ],
    "ask": ["/v1/answers/a-0"],
    "write": ["/v1/batches"],
    "admin": ["/v1/keys", "/metrics", "/v1/pins"],
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_key_does_what_its_actions_say_and_no_more(client: TestClient, action: str) -> None:
    header = key(client, actions=(action,))
    for needed, paths in ALLOWED_BY.items():
        for path in paths:
            reply = client.get(path, headers=header)
            assert (reply.status_code == 403) == (needed != action), (path, reply.text)
    changes = {
        ("POST", "/v1/search", "read"): {"json": {"query": "x"}},
        ("POST", "/v1/ask", "ask"): {"json": {"question": "x"}},
        ("POST", "/v1/answers/a-0/feedback", "ask"): {"json": {"rating": "up"}},
        ("POST", "/v1/documents", "write"): {"files": {"file": ("a.md", b"text")}},
        ("DELETE", "/v1/documents/d-0", "write"): {},
        ("POST", "/v1/jobs/j-0/cancel", "write"): {},
        ("POST", "/v1/jobs/j-0/retry", "write"): {},
        ("POST", "/v1/index/refresh", "write"): {"json": {"source": "none"}},
        ("PUT", "/v1/sources/s", "admin"): {"json": {"kind": "folder", "location": "/nowhere"}},
        ("DELETE", "/v1/sources/none", "admin"): {},
        ("DELETE", "/v1/documents/d-0?erase=true", "erase"): {},
        ("PUT", "/v1/collections/a", "admin"): {"json": {}},
        ("DELETE", "/v1/collections/b", "admin"): {},
        ("DELETE", "/v1/keys/k-0", "admin"): {},
        ("POST", "/v1/index/rollback", "admin"): {"json": {"revision": 0}},
    }
    for (method, path, needed), more in changes.items():
        reply = client.request(method, path, headers=header, **more)  # type: ignore[arg-type]
        assert (reply.status_code == 403) == (needed != action), (method, path, reply.text)


def test_what_concerns_the_whole_index_needs_a_key_for_all_collections(client: TestClient) -> None:
    header = key(client, "a")
    for method, path in (("POST", "/v1/index/rollback"), ("POST", "/v1/batches"), ("PUT", "/v1/pins/x")):
        body = {"revision": 0} if path != "/v1/batches" else {}
        assert "all collections" in problem(client.request(method, path, json=body, headers=header), 403, "forbidden")


def test_keys_are_given_and_ended_within_ones_own_reach(client: TestClient) -> None:
    admin, team = key(client), key(client, "a", actions=("admin", "read"))
    more = client.post("/v1/keys", json={"name": "y", "actions": ["read"]}, headers=team)
    assert "more collections" in problem(more, 403, "forbidden")
    made = client.post("/v1/keys", json={"name": "y", "collections": ["a"], "actions": ["read"]}, headers=team).json()
    assert len(client.get("/v1/keys", headers=admin).json()["keys"]) == 3
    assert [found["collections"] for found in client.get("/v1/keys", headers=team).json()["keys"]] == [["a"], ["a"]]
    assert client.delete(f"/v1/keys/{made['key_id']}", headers=team).json()["revoked_at"] is not None
    problem(client.get("/v1/index", headers={"Authorization": f"Bearer {made['key']}"}), 401, "key-needed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "actions": ["fly"]}, "actions.0"),
        ({"name": "x", "limits": {"speed": 1}}, "limits.speed"),
        ({"name": "x", "collections": ["a b"]}, "collections.0"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({}, "name"),
    ],
)
def test_an_unknown_action_or_limit_is_named(client: TestClient, body: dict[str, Any], field: str) -> None:
    reply = client.post("/v1/keys", json=body)
    problem(reply, 422, "bad-request")
    assert reply.json()["field"] == field


# Collections


def test_a_key_reads_and_writes_its_collections_only(client: TestClient) -> None:
    for collection in ("a", "b"):
        upload(client, "pump.md", TRUE.encode(), collection=collection)
    header = key(client, "a")
    found = client.post("/v1/search", json={"query": "pump"}, headers=header).json()["passages"]
    assert [(passage["document_id"], passage["also_in"]) for passage in found] == [(document_id_of("a", "pump.md"), [])]
    index = client.get("/v1/index", headers=header).json()
    assert (index["documents"], index["occurrences"], index["bytes"]) == (1, 1, None)
    assert "vectors" not in index
    assert "ragstone_documents 1\n" in client.get("/metrics", headers=header).text
    assert "ragstone_answers" not in client.get("/metrics", headers=header).text
    (listed,) = client.get("/v1/collections", headers=header).json()["collections"]
    assert (listed["name"], listed["documents"], listed["chunks"]) == ("a", 1, 1)
    foreign, missing = (
        client.post("/v1/documents", files={"file": ("a.md", b"text")}, data={"collection": name}, headers=header)
        for name in ("b", "c")
    )
    assert problem(foreign, 403, "forbidden").replace("b", "c") == problem(missing, 403, "forbidden").replace("b", "c")


def test_what_a_key_uploads_is_written_anew_though_others_have_the_same_bytes(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode(), collection="b")
    (original,) = (application(client).settings.data / "originals").glob("??/*")
    before = original.stat().st_ino
    header = key(client, "a")
    client.post("/v1/documents", files={"file": ("x.md", TRUE.encode())}, data={"collection": "a"}, headers=header)
    assert original.stat().st_ino != before


def test_settings_of_a_collection_are_kept_and_what_is_not_built_says_so(client: TestClient) -> None:
    path = "/v1/collections/a"
    made = client.put(path, json={"retention": {"keep_days": 30}, "language": "english"}).json()
    assert made["settings"] == {"retention": {"keep_days": 30}, "language": "english"}
    assert (made["documents"], made["chunks"]) == (0, 0)
    assert client.get("/v1/collections").json() == {"collections": [made]}
    for body in ({"language": "german"}, {"gate": "on"}):
        assert next(iter(body)) in problem(client.put(path, json=body), 501, "not-built")
    for wrong in ({"colour": "red"}, {"retention": {"keep_days": -1}}, {"retention": {"keep": 1}}, {"gate": "ajar"}):
        problem(client.put(path, json=wrong), 422, "bad-request")
    problem(client.put("/v1/collections/a b", json={}), 422, "bad-request")


def test_a_deleted_collection_is_hidden_in_one_revision_and_its_history_stays(client: TestClient) -> None:
    for name in ("a.md", "b.md"):
        upload(client, name, TRUE.encode(), collection="a")
    assert client.delete("/v1/collections/a").json() == {"revision": 3}
    problem(client.post("/v1/search", json={"query": "pump", "collection": "a"}), 409, "empty-index")
    assert client.post("/v1/search", json={"query": "pump", "collection": "a", "as_of": 2}).json()["passages"]
    (listed,) = client.get("/v1/collections").json()["collections"]
    assert listed["documents"] == 0
    assert "no collection" in problem(client.delete("/v1/collections/b"), 404, "not-found")


def test_erasing_over_http_takes_the_document_away_for_good(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    path = f"/v1/documents/{document_id_of('default', 'pump.md')}"
    deleted = client.delete(path, params={"erase": True}).json()
    assert (deleted["revision"], deleted["affected_adapters"]) == (2, [])
    deadline = time.monotonic() + 30
    while client.get(f"/v1/jobs/{deleted['job_id']}").json()["state"] != "done" and time.monotonic() < deadline:
        time.sleep(0.02)
    problem(client.get(f"{path}/versions"), 404, "not-found")


# Answers


def test_answers_belong_to_the_collection_and_the_user_of_the_key(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode(), collection="a")
    alice, bob = key(client, "a", user="alice"), key(client, "a", user="bob")
    body = {"question": "How heavy is the small pump?", "collection": "a"}
    answer = client.post("/v1/ask", json=body, headers=alice).json()
    assert answer["user"] == "alice"
    refused = client.post("/v1/ask", json={**body, "user": "alice"}, headers=bob)
    assert "bob" in problem(refused, 403, "forbidden")
    path = f"/v1/answers/{answer['answer_id']}"
    assert client.get(path, headers=alice).json() == client.get(path, headers=key(client, "a")).json() == answer
    for header in (bob, key(client, "b"), key(client, "b", user="alice")):
        detail = problem(client.get(path, headers=header), 404, "not-found")
        missing = problem(client.get("/v1/answers/a-none", headers=header), 404, "not-found")
        assert detail.replace(answer["answer_id"], "a-none") == missing
        problem(client.post(f"{path}/feedback", json={"rating": "up"}, headers=header), 404, "not-found")


def test_feedback_is_kept_with_the_answer(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    answer_id = client.post("/v1/ask", json={"question": "How heavy is the small pump?"}).json()["answer_id"]
    path = f"/v1/answers/{answer_id}/feedback"
    assert client.post(path, json={"rating": "down", "correction": "It weighs 12 kg."}).status_code == 204
    assert client.post(path, json={"reason": "out of date"}).status_code == 204
    with application(client).catalog.reading() as connection:
        rows = connection.exec_driver_sql("SELECT answer_id, rating, correction, reason FROM feedback").all()
    assert rows == [(answer_id, "down", "It weighs 12 kg.", None), (answer_id, None, None, "out of date")]
    for wrong in ({}, {"rating": "sideways"}, {"reason": ""}, {"correction": "x" * 20_001}, {"stars": 5}):
        problem(client.post(path, json=wrong), 422, "bad-request")


# Limits


def test_requests_over_the_limit_of_a_key_are_refused_and_others_are_not(client: TestClient) -> None:
    header, other = key(client, limits=Limits(requests_per_minute=2)), key(client)
    assert [client.get("/v1/index", headers=header).status_code for _ in range(3)] == [200, 200, 429]
    reply = client.get("/v1/index", headers=header)
    problem(reply, 429, "limit-reached")
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert client.get("/v1/index", headers=other).status_code == 200


def test_uploads_over_the_limit_of_a_key_are_refused(client: TestClient) -> None:
    header = key(client, limits=Limits(upload_mib_per_day=0.001))

    def status(size: int) -> int:
        return client.post("/v1/documents", files={"file": ("a.md", b"x" * size)}, headers=header).status_code

    assert [status(2000), status(1000), status(1000)] == [413, 202, 429]


def test_a_key_asks_as_many_questions_at_a_time_as_it_may(tmp_path: Path) -> None:
    ready = asyncio.Event()
    model = ScriptedLanguageModel([TRUE], ready=ready)
    with service(tmp_path, model) as client:
        upload(client, "pump.md", TRUE.encode())
        header = key(client, limits=Limits(concurrent_answers=1))
        body = {"question": "How heavy is the small pump?"}
        replies: list[int] = []

        def ask() -> None:
            replies.append(client.post("/v1/ask", json=body, headers=header).status_code)

        first = threading.Thread(target=ask)
        first.start()
        while not model.running:
            time.sleep(0.01)
        refused = client.post("/v1/ask", json=body, headers=header)
        problem(refused, 429, "limit-reached")
        assert int(refused.headers["retry-after"]) >= 1
        portal: Any = client.portal
        portal.call(ready.set)
        first.join()
        assert client.post("/v1/ask", json={**body, "stream": True}, headers=header).status_code == 200
        ask()
        assert replies == [200, 200]


class FixedClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_lets_in_again_what_was_let_in_a_span_ago() -> None:
    clock = FixedClock()
    usage = Usage(clock)
    limits = Limits(requests_per_minute=2, upload_mib_per_day=2)
    for clock.now in (0.0, 30.0):
        usage.count_request("k", limits)
    for clock.now, after in ((31.0, 29), (59.5, 1)):
        with pytest.raises(LimitReached) as refusal:
            usage.count_request("k", limits)
        assert refusal.value.retry_after_s == after
    clock.now = 60.0
    usage.count_request("k", limits)
    usage.count_upload("k", limits, 1024 * 1024)
    usage.count_upload("k", limits, 1024 * 1024)
    with pytest.raises(LimitReached) as full:
        usage.count_upload("k", limits, 1)
    assert full.value.retry_after_s == 24 * 3600
    with pytest.raises(DocumentTooLarge):
        usage.count_upload("k", limits, 3 * 1024 * 1024)
    usage.count_upload("other", limits, 1)
    usage.count_upload(None, limits, 3 * 1024 * 1024)


# What those without a key are told


def test_readiness_tells_no_details_to_those_who_may_not_administer(client: TestClient) -> None:
    upload(client, "pump.md", TRUE.encode())
    assert client.get("/readyz").json()["index"] == "at revision 1"
    admin, reader = key(client), key(client, "a")
    assert client.get("/readyz", headers=admin).json()["index"] == "at revision 1"
    bare = {"ready": True, "index": "complete", "model": "loaded", "worker": "working"}
    assert client.get("/readyz", headers=reader).json() == client.get("/readyz").json() == bare
    assert client.get("/healthz", headers={"Authorization": "Bearer rs_wrong"}).status_code == 200


def test_a_limited_key_can_take_nothing_out_of_a_batch_that_nobody_sees(client: TestClient) -> None:
    batch = client.post("/v1/batches", json={}).json()["batch_id"]
    upload(client, "staged.md", TRUE.encode(), collection="a", batch=batch)
    staged = document_id_of("a", "staged.md")
    limited = key(client, "a")
    admin = key(client)
    for params in ({}, {"erase": True}):
        reply = client.delete(f"/v1/documents/{staged}", headers=limited, params=params)
        assert (reply.status_code, reply.json()["detail"]) == (404, f"no document {staged}")
    (shown,) = client.get("/v1/batches", headers=admin).json()["batches"]
    assert shown["documents"] == 1


def test_the_service_says_that_it_is_alive_whatever_else_is_away(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> object:
        raise CatalogUnavailable("it is away")

    monkeypatch.setattr(KeyRing, "any_in_force", away)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_other_sites_are_kept_out_where_access_is_open_and_need_a_key_where_it_is_not(client: TestClient) -> None:
    foreign = {"origin": "http://evil.example"}
    problem(client.get("/v1/index", headers=foreign), 403, "foreign-origin")
    header = key(client)
    problem(client.get("/v1/index", headers=foreign), 401, "key-needed")
    assert client.get("/v1/index", headers={**header, "host": "ragstone.example"}).status_code == 200
    assert json.loads(client.get("/v1/index", headers={**header, "origin": f"http://{HOST}"}).text)["revision"] == 0


def test_other_addresses_than_loopback_are_listened_on_with_keys_only() -> None:
    with pytest.raises(CannotListen, match="without an API key"), listening("0.0.0.0", 0):
        pass
    with listening("0.0.0.0", 0, keys=True) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"
