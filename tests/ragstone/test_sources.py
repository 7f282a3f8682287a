"""Sources by the API and the command line, and a worker of theirs that is killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from documents import new_docx, saved
from fastapi.testclient import TestClient
from office_documents import locked
from service import application_in, service, upload
from sqlalchemy import select, update
from test_access import key
from test_cli import ragstone, refused

from ingest.catalog.catalog import schema
from ingest.identity import document_id_of
from ingest.jobs.queue import FINISHED
from ragstone.doctor import CHECKS, Finding
from ragstone.wiring import Application
from ragstone.worker_process import WorkerProcess

PATIENCE_S = 90.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path / "data") as client:
        yield client


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < deadline, "that took too long"
        time.sleep(0.05)


def put(client: TestClient, name: str, **body: Any) -> Any:
    return client.put(f"/v1/sources/{name}", json=body)


def refresh(client: TestClient, **body: Any) -> Any:
    reply = client.post("/v1/index/refresh", json=body)
    assert reply.status_code == 202, reply.text
    for job_id in reply.json()["jobs"]:
        until(lambda job_id=job_id: client.get(f"/v1/jobs/{job_id}").json()["state"] in FINISHED)  # type: ignore[misc]
    return client.get(f"/v1/jobs/{reply.json()['job_id']}").json()


def findings(application: Application) -> list[str]:
    found: list[Finding] = [its for check in CHECKS if check.name != "models" for its in check.run(application)]
    return [finding.what for finding in found]


# -- the API


def test_a_source_is_added_refreshed_shown_and_removed(client: TestClient, folder: Path) -> None:
    (folder / "a.md").write_text("The small pump weighs 11 kg.")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 no")
    reply = put(client, "handbook", kind="folder", location=str(folder), watch=False)
    assert (reply.status_code, reply.json()["items"], reply.json()["last_run"]) == (200, 0, None)
    job = refresh(client, source="handbook")
    assert (job["kind"], job["state"], len(job["problems"])) == ("refresh", "done", 1)
    assert (job["source"], job["done"], job["total"]) == ("handbook", 2, 2)
    assert '"done": 2, "total": 2' in client.get(f"/v1/jobs/{job['job_id']}/events").text
    (source,) = client.get("/v1/sources").json()["sources"]
    run = source["last_run"]
    assert (source["items"], run["state"], run["taken"], run["failed"]) == (2, "done", 1, 1)
    (failed,) = client.get("/v1/sources/handbook/items", params={"state": "failed"}).json()["items"]
    assert (failed["uri"], failed["problem"]["code"]) == ("bad.pdf", "corrupt-document")
    first = client.get("/v1/sources/handbook/items", params={"limit": 1}).json()
    second = client.get("/v1/sources/handbook/items", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert {its["uri"] for its in first["items"] + second["items"]} == {"a.md", "bad.pdf"}
    found = client.post("/v1/search", json={"query": "pump"}).json()["passages"]
    assert [passage["uri"] for passage in found] == ["a.md"]
    assert client.delete("/v1/sources/handbook").status_code == 204
    assert client.get("/v1/sources").json() == {"sources": []}
    assert client.delete("/v1/sources/handbook").status_code == 404
    assert len(client.get("/v1/documents").json()["documents"]) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "folder", "location": "relative"}, "whole path"),
        ({"kind": "folder", "location": "/x", "schedule": "often"}, "no schedule"),
        ({"kind": "git", "location": "ext::sh -c id"}, "no address"),
        ({"kind": "git", "location": "https://ada:hunter2@example.org/x.git"}, "password"),
        ({"kind": "bucket", "location": "memory://b", "options": {"secret": "hunter2"}}, "environment"),
        ({"kind": "bucket", "location": "s3://KEY:hunter2@b/docs"}, "environment"),
        ({"kind": "web", "location": "https://example.org/?api_key=hunter2"}, "api_key"),
        ({"kind": "folder", "location": "/x", "colour": "red"}, ""),
        ({"kind": "folder", "location": "/x", "collection": "../x"}, "collection"),
        ({"kind": "ftp", "location": "/x"}, ""),
        ({"kind": "folder", "location": "/x", "depth": 3}, "depth means nothing"),
        ({"kind": "web", "location": "https://example.org/", "branch": "x"}, "branch means nothing"),
        ({"kind": "sitemap", "location": "https://example.org/", "depth": 1}, "depth means nothing"),
        ({"kind": "git", "location": "/x", "options": {"host": "x"}}, "options means nothing"),
    ],
)
def test_what_is_no_source_is_refused(client: TestClient, body: dict[str, Any], said: str) -> None:
    reply = put(client, "s", **body)
    assert reply.status_code == 422, reply.text
    assert said in reply.text
    assert "hunter2" not in reply.text
    assert client.get("/v1/sources").json() == {"sources": []}


def test_a_name_of_a_source_that_could_lead_out_of_its_folder_is_refused(client: TestClient) -> None:
    assert put(client, "..%2Fx", kind="folder", location="/x").status_code in (404, 422)
    assert put(client, "a b", kind="folder", location="/x").status_code == 422


def test_a_refresh_without_sources_or_of_an_unknown_one_is_not_found(client: TestClient) -> None:
    assert client.post("/v1/index/refresh").status_code == 404
    assert client.post("/v1/index/refresh", json={"source": "none"}).status_code == 404


def test_a_key_sees_and_changes_the_sources_of_its_collections_only(client: TestClient, folder: Path) -> None:
    put(client, "hidden", kind="folder", location=str(folder), collection="a")
    key(client)  # as long as there is none, everybody may do everything
    header = key(client, "b", actions=("read", "write", "admin"))
    assert client.get("/v1/sources", headers=header).json() == {"sources": []}
    body = {"kind": "folder", "location": str(folder)}
    assert client.put("/v1/sources/hidden", json={**body, "collection": "b"}, headers=header).status_code == 404
    assert client.put("/v1/sources/mine", json={**body, "collection": "a"}, headers=header).status_code == 403
    assert client.put("/v1/sources/mine", json={**body, "collection": "b"}, headers=header).status_code == 200
    for method, path in (("GET", "/v1/sources/hidden/items"), ("DELETE", "/v1/sources/hidden")):
        there = client.request(method, path, headers=header)
        nowhere = client.request(method, path.replace("hidden", "absent"), headers=header)
        assert there.status_code == nowhere.status_code == 404
        assert there.json()["detail"].replace("hidden", "absent") == nowhere.json()["detail"]
    refreshed = client.post("/v1/index/refresh", headers=header).json()
    assert len(refreshed["jobs"]) == 1


def test_a_watched_folder_is_followed_beside_serving(tmp_path: Path, folder: Path) -> None:
    application = application_in(tmp_path / "data")
    application.keep_sources_fresh()
    from ragstone.api.app import create_app

    with TestClient(create_app(application), base_url="http://127.0.0.1:8321") as client:
        put(client, "s", kind="folder", location=str(folder))
        (folder / "a.md").write_text("The small pump weighs 11 kg.")
        until(lambda: len(client.get("/v1/documents").json()["documents"]) == 1)
        (folder / "b.md").write_text("The large pump weighs 20 kg.")
        until(lambda: len(client.get("/v1/documents").json()["documents"]) == 2)
        (folder / "a.md").unlink()
        until(lambda: [its["uri"] for its in client.get("/v1/documents").json()["documents"]] == ["b.md"])


def test_an_erased_document_of_a_source_stays_away(client: TestClient, folder: Path) -> None:
    (folder / "secret-plan.md").write_text("The small pump weighs 11 kg.")
    put(client, "s", kind="folder", location=str(folder), watch=False)
    refresh(client)
    document_id = document_id_of("default", "secret-plan.md")
    erased = client.delete(f"/v1/documents/{document_id}", params={"erase": True}).json()
    until(lambda: client.get(f"/v1/jobs/{erased['job_id']}").json()["state"] == "done")
    (item,) = client.get("/v1/sources/s/items").json()["items"]
    assert (item["uri"], item["state"]) == ("(erased)", "erased")
    refresh(client, again=True)
    assert client.get("/v1/documents").json()["documents"] == []
    assert "secret-plan" not in client.get("/v1/jobs").text + client.get("/v1/sources").text


def test_a_git_copy_does_not_outlive_what_was_erased(tmp_path: Path) -> None:
    place = tmp_path / "repository"
    place.mkdir()
    (place / "a.md").write_text("an unmistakable sentence on pumps")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    with service(tmp_path / "data") as client:
        put(client, "s", kind="git", location=str(place))
        refresh(client)
        assert list((tmp_path / "data" / "sources").iterdir())
        document_id = document_id_of("default", "a.md")
        erased = client.delete(f"/v1/documents/{document_id}", params={"erase": True}).json()
        until(lambda: client.get(f"/v1/jobs/{erased['job_id']}").json()["state"] == "done")
        assert list((tmp_path / "data" / "sources").iterdir()) == []


# -- jobs that were given up, and passwords


def test_a_job_that_was_given_up_is_tried_again(client: TestClient, folder: Path, tmp_path: Path) -> None:
    (folder / "a.md").write_text("The small pump weighs 11 kg.")
    put(client, "s", kind="folder", location=str(folder), watch=False)
    job_id = refresh(client)["job_id"]
    reply = client.post(f"/v1/jobs/{job_id}/retry")
    assert (reply.status_code, reply.json()["detail"]) == (
        403,
        f"job {job_id} is done: only one that was given up is tried again",
    )
    assert client.post("/v1/jobs/j-none/retry").status_code == 404
    application = application_in(tmp_path / "data")
    with application.catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(state="dead"))
    application.close()
    reply = client.post(f"/v1/jobs/{job_id}/retry")
    assert (reply.status_code, reply.json()["problems"]) == (200, [])
    until(lambda: client.get(f"/v1/jobs/{job_id}").json()["state"] == "done")


def test_the_command_line_tries_a_job_again(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        job_id = upload(client, "a.md", b"The small pump weighs 11 kg.")["job_id"]
    application = application_in(tmp_path)
    with application.catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(state="dead"))
    assert findings(application) == []  # its original is kept for that
    application.close()
    done = ragstone(tmp_path, "jobs", "retry", job_id, "--json")
    assert json.loads(done.stdout)["state"] == "queued"
    assert "only one that was given up" in refused(ragstone(tmp_path, "jobs", "retry", job_id), 2)


def protected() -> bytes:
    document = new_docx()
    document.add_paragraph("The small pump weighs 11 kg.")
    return locked(saved(document), "hunter2")


def test_a_password_opens_a_file_and_is_forgotten(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        refused_at_first = upload(client, "a.docx", protected())
        assert refused_at_first["documents"][0]["problem"]["code"] == "encrypted-document"
        wrong = upload(client, "a.docx", protected(), password="wrong")
        assert wrong["documents"][0]["problem"]["code"] == "encrypted-document"
        taken = upload(client, "a.docx", protected(), password="hunter2")
        assert taken["documents"][0]["state"] == "indexed"
        assert "hunter2" not in client.get("/v1/jobs").text
    application = application_in(tmp_path)
    with application.catalog.reading() as connection:
        for table in schema.metadata.sorted_tables:
            assert not any("hunter2" in str(row) for row in connection.execute(select(table))), table.name
    application.close()


def test_passwords_are_one_for_all_files_or_one_for_each(client: TestClient) -> None:
    files = [("file", ("a.docx", protected())), ("file", ("b.md", b"The large pump weighs 20 kg."))]

    def states(**form: Any) -> Any:
        reply = client.post("/v1/documents", files=files, data=form, params={"wait": True})
        return [its["state"] for its in reply.json()["documents"]] if reply.status_code == 200 else reply.json()

    assert states(password=["", ""]) == ["failed", "indexed"]
    assert states(password=["hunter2", ""]) == ["indexed", "unchanged"]
    assert states(password="hunter2") == ["unchanged", "unchanged"]
    assert states(password=["1", "2", "3"])["field"] == "password"
    assert states(password="x" * 1001)["field"] == "password"


# -- the command line


def test_sources_are_managed_by_the_command_line(tmp_path: Path, folder: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    done = ragstone(data, "sources", "add", "handbook", "folder", "../folder", "--schedule", "10m", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["location"] == str(folder)
    assert "not looked at yet" in ragstone(data, "sources", "list").stdout
    (source,) = json.loads(ragstone(data, "sources", "list", "--json").stdout)["sources"]
    assert source["schedule"] == "10m"
    assert json.loads(ragstone(data, "sources", "items", "handbook", "--json").stdout) == {"items": []}
    assert "is not there" not in done.stderr
    gone = ragstone(data, "sources", "add", "gone", "folder", "/no/such/folder")
    assert (gone.returncode, gone.stderr.startswith("/no/such/folder is not there now")) == (0, True)
    ragstone(data, "sources", "remove", "gone")
    refusal = refused(ragstone(data, "sources", "add", "x", "folder", "/x", "--depth", "3", "--branch", "x"), 2)
    assert "depth means nothing for a source of the kind folder" in refusal
    assert "is a source no more" in ragstone(data, "sources", "remove", "handbook").stdout
    assert "no source handbook" in refused(ragstone(data, "sources", "remove", "handbook"), 2)
    assert "no name of a source" in refused(ragstone(data, "sources", "add", "../x", "folder", "/x"), 2)
    assert "no schedule" in refused(ragstone(data, "sources", "add", "x", "folder", "/x", "--schedule", "often"), 2)
    assert "no sources" in refused(ragstone(data, "refresh"), 2)
    assert "is no address" in refused(ragstone(data, "sources", "add", "x", "git", "ext::sh"), 2)


def test_items_of_another_source_are_told_of(tmp_path: Path, folder: Path) -> None:
    (folder / "a.md").write_text("The small pump weighs 11 kg.")
    with service(tmp_path) as client:
        for name in ("s", "t"):
            put(client, name, kind="folder", location=str(folder), watch=False)
            refresh(client, source=name)
        told = "failed: 1, such as a.md: it is a document of the source s: exclude it from one of the two"
        assert client.get("/v1/sources").json()["sources"][1]["last_run"]["notes"] == [told]
    done = ragstone(tmp_path, "sources", "items", "t", "--state", "failed")
    assert (done.stdout, done.stderr) == ("", f"the last refresh: {told}\n")
    assert ragstone(tmp_path, "sources", "items", "s").stderr == ""


def test_what_a_source_says_stays_on_its_line(tmp_path: Path) -> None:
    ragstone(tmp_path, "sources", "add", "x", "folder", "/no\nwhere\x1b[31m")
    shown = ragstone(tmp_path, "sources", "list").stdout
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown


def test_another_folder_of_the_same_name_does_not_take_the_place_of_a_watched_one(tmp_path: Path) -> None:
    (tmp_path / "a" / "docs").mkdir(parents=True)
    (tmp_path / "b" / "docs").mkdir(parents=True)
    ragstone(tmp_path, "sources", "add", "docs", "folder", str(tmp_path / "a" / "docs"))
    assert "another --name" in refused(ragstone(tmp_path, "watch", str(tmp_path / "b" / "docs")), 2)


def program(data: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from ragstone.cli import main; main()", "--data", str(data), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=data)


@pytest.mark.models
def test_refresh_watch_and_daemon_as_programs(tmp_path: Path, folder: Path, embedder_folder: Path) -> None:
    (folder / "a.md").write_text("The small pump weighs 11 kg.")
    data = tmp_path / "data"
    data.mkdir()
    ragstone(data, "sources", "add", "s", "folder", str(folder))
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("The large pump weighs 90 kg.")
    ragstone(data, "sources", "add", "t", "folder", str(other))
    done = ragstone(data, "refresh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("1 items, 1 new or changed") == 2
    assert "s 100 %, 1 of 1 items\n" in done.stdout
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 no")
    assert ragstone(data, "refresh", "s", "--json").returncode == 1
    assert "bad.pdf" in ragstone(data, "sources", "items", "s", "--state", "failed").stdout
    for command in (["daemon"], ["watch", str(folder), "--name", "s"]):
        process = program(data, *command)
        try:
            name = f"{command[0]}.md"
            (folder / name).write_text(f"A page about {name}.")
            until(lambda name=name: name in ragstone(data, "documents").stdout)  # type: ignore[misc]
        finally:
            process.send_signal(signal.SIGINT)
            said, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
        assert "items" in said


@pytest.mark.models
def test_the_command_line_reads_a_password_and_tells_of_notes(tmp_path: Path, embedder_folder: Path) -> None:
    (tmp_path / "a.docx").write_bytes(protected())
    command = [sys.executable, "-c", "from ragstone.cli import main; main()", "--data", str(tmp_path), "ingest"]
    given = [*command, "--password", "a.docx"]
    run = partial(subprocess.run, capture_output=True, text=True, cwd=tmp_path, timeout=300, env=os.environ)
    assert run([*command, "a.docx"]).returncode == 2
    none = run(given, input="")
    assert none.returncode == 2
    assert "where there is none" in none.stderr
    done = run(given, input="hunter2\n")
    assert done.returncode == 0, done.stderr
    assert "indexed" in done.stdout


# -- kills


def slow_application(folder: Path) -> Application:
    return application_in(folder, ingest__commit_files=2)


def test_a_worker_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path, folder: Path) -> None:
    """Whenever it is killed, a refresh makes the index equal to the folder in the end."""
    chance = random.Random(int(os.environ.get("TEST_SEED", "1")))
    rounds = int(os.environ.get("TEST_KILLS", "6"))
    data = tmp_path / "data"
    application = slow_application(data)
    application.sources.put("s", _settings(folder))
    killed_at: list[int] = []
    for number in range(rounds):
        _change(folder, chance, number)
        worker = WorkerProcess(partial(slow_application, data))
        (job_id,) = application.sources.request("s")
        worker.start()
        try:
            until(lambda job_id=job_id: application.queue.get(job_id).state != "queued")  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.6))
            killed_at.append(application.queue.get(job_id).done)
            started = worker._started
            assert started is not None
            os.kill(started[0].pid or 0, signal.SIGKILL)  # it is started again by itself
            until(lambda job_id=job_id: application.queue.get(job_id).state in FINISHED)  # type: ignore[misc]
        finally:
            worker.stop()
        assert application.queue.get(job_id).state == "done"
        documents, _ = application.catalog.documents(None, 1000, None)
        there = {path.name: path.read_text() for path in folder.iterdir()}
        shown = {its.uri: application.catalog.version_text(its.document_id, its.version) for its in documents}
        assert shown == there
    application.close()
    assert any(killed_at), killed_at  # some kills came in the middle
    after = slow_application(data)
    assert findings(after) == []
    after.close()


def _settings(folder: Path) -> Any:
    from ingest.sources.types import SourceSettings

    return SourceSettings(kind="folder", location=str(folder), watch=False)


def _change(folder: Path, chance: random.Random, number: int) -> None:
    """Adds, changes, renames and removes some files."""
    for index in range(12):
        (folder / f"{number}-{index}.md").write_text(f"Page {index} of round {number} has number {chance.random()}.")
    there = sorted(folder.iterdir())
    for path in chance.sample(there, min(2, len(there))):
        path.write_text(f"It was changed in round {number} to {chance.random()}.")
    for path in chance.sample(there, 2):
        path.rename(path.with_name(f"renamed-{number}-{path.name}"[:80]))
    for path in chance.sample(sorted(folder.iterdir()), 2):
        path.unlink()


def test_a_refresh_tells_of_each_try_and_what_only_a_person_can_mend_at_once(tmp_path: Path) -> None:
    data, repository, programs = tmp_path / "data", tmp_path / "repository", tmp_path / "programs"
    for place in (data, repository, programs):
        place.mkdir()
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        (repository / "a.md").write_text("The small pump weighs 11 kg.")
        subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=a@example.org", *command], cwd=repository, check=True
        )
    tries, path = tmp_path / "tries", f"{programs}:{os.environ['PATH']}"
    first_three = f"echo x >> {tries}; [ $(wc -l < {tries}) -gt 3 ] || {{ echo no route >&2; exit 1; }}"
    failing = f'case "$*" in *" fetch "*) {first_three};; esac'
    (programs / "git").write_text(f'#!/bin/sh\n{failing}\nexec {shutil.which("git")} "$@"\n')
    (programs / "git").chmod(0o755)
    assert ragstone(data, "sources", "add", "code", "git", str(repository)).returncode == 0
    done = ragstone(data, "refresh", "code", PATH=path)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("code: tried again at ")]
    assert len(told) == 3
    assert all("because" in line and "no route" in line for line in told)
    assert ragstone(data, "sources", "add", "code", "git", str(repository), "--branch", "gone").returncode == 0
    done = ragstone(data, "refresh", "code")
    assert "couldn't find remote ref" in done.stderr
    assert done.returncode != 0
    assert "tried again" not in done.stderr
    listed = ragstone(data, "sources", "list").stdout
    assert "failed: " in listed
    assert "couldn't find remote ref" in listed


# -- the doctor


def test_the_doctor_finds_what_sources_can_have_wrong(tmp_path: Path, folder: Path) -> None:
    (folder / "a.md").write_text("The small pump weighs 11 kg.")
    with service(tmp_path / "data") as client:
        put(client, "s", kind="folder", location=str(folder), watch=False)
        refresh(client)
    application = application_in(tmp_path / "data")
    assert findings(application) == []
    document_id = document_id_of("default", "a.md")
    with application.catalog.writing() as connection:
        values = {"versions": 9, "last_job": 0, "erased_at": select(schema.sources.c.created_at).scalar_subquery()}
        connection.execute(schema.tombstones.insert().values(document_id=document_id, **values))
    (check,) = [check for check in CHECKS if check.name == "sources"]
    (found,) = check.run(application)
    assert found.what == f"an item of a source tells of {document_id}, which was erased"
    assert found.repair is not None
    found.repair()
    assert list(check.run(application)) == []
    with application.catalog.writing() as connection:
        connection.execute(update(schema.source_items).values(state="lost"))
        connection.execute(update(schema.sources).values(settings={"kind": "moon"}))
    assert [its.what.split(":")[0] for its in check.run(application)] == [
        "the settings of the source s can't be read",
        "an item of a source has a state that there is not",
    ]
    application.close()


def test_the_doctor_forgets_items_of_no_source(tmp_path: Path, folder: Path) -> None:
    (folder / "a.md").write_text("The small pump weighs 11 kg.")
    with service(tmp_path / "data") as client:
        put(client, "s", kind="folder", location=str(folder), watch=False)
        refresh(client)
    application = application_in(tmp_path / "data")
    with application.catalog.writing() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = on")
        connection.execute(update(schema.source_items).values(source="s"))
    import sqlite3

    raw = sqlite3.connect(tmp_path / "data" / "catalog.sqlite")
    raw.execute("delete from sources")
    raw.commit()
    raw.close()
    (check,) = [check for check in CHECKS if check.name == "sources"]
    (found,) = check.run(application)
    assert found.what.startswith("there is no source to item d-")
    assert found.repair is not None
    found.repair()
    assert list(check.run(application)) == []
    application.close()
