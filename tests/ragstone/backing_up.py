"""A service with some history, and what tests ask of it before and after a restore."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from service import application_in, upload

from ragstone.backups.archive import Manifest
from ragstone.backups.restoring import Restored, restore
from ragstone.backups.taking import Progress, Source, take
from ragstone.doctor import CHECKS, Finding, examine
from ragstone.wiring import Application

QUERIES = ("How heavy is the small pump?", "green doors", "reactor code", "warranty of the valve")


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def application_of(client: TestClient) -> Application:
    found: Any = client.app
    application: Application = found.state.application
    return application


def fill(client: TestClient) -> None:
    """Two versions of one document, another one, and one that was deleted."""
    upload(client, "pump.md", b"# Pump\n\nThe small pump weighs 11 kg.")
    upload(client, "pump.md", b"# Pump\n\nThe small pump weighs 12 kg.\n\nIts warranty lasts five years.")
    upload(client, "doors.md", b"Doors are painted green every spring.")
    gone = upload(client, "valve.md", b"The valve has no warranty.")["documents"][0]["document_id"]
    assert client.delete(f"/v1/documents/{gone}").status_code == 200


def back_up(application: Application, file: Path, progress: Progress = silent, *, force: bool = False) -> Manifest:
    source = Source(application.catalog, application.originals, application.settings.data)
    return take(source, file, force=force, progress=progress)


def restore_to(file: Path, data: Path, url: str | None = None, *, force: bool = False) -> Restored:
    return restore(file, data, url, force=force, progress=silent)


def found(client: TestClient, as_of: int | None = None) -> list[Any]:
    """What searches say, but for the revision."""
    replies = []
    for query in QUERIES:
        body = {"query": query} if as_of is None else {"query": query, "as_of": as_of}
        reply = client.post("/v1/search", json=body)
        assert reply.status_code == 200, reply.text
        replies.append(reply.json()["passages"])
    return replies


def erase(application: Application, document_id: str) -> None:
    """Erases a document, and waits until the worker that runs has done it."""
    _, job_id = application.erasure.request(document_id)
    application.worker.wake()
    deadline = time.monotonic() + 30
    while application.queue.get(job_id).state not in ("done", "failed") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert application.queue.get(job_id).state == "done"


def findings(application: Application) -> list[Finding]:
    """What the doctor finds, but for the embedded models."""
    checks = [check for check in CHECKS if check.name != "models"]
    return [finding for _, found in examine(application, checks) for finding in found]


def said_of(folder: Path) -> list[str]:
    application = application_in(folder)
    try:
        return [finding.what for finding in findings(application)]
    finally:
        application.close()


def holders(folder: Path, trace: bytes) -> list[str]:
    """Files of the folder that hold `trace`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path.relative_to(folder)) for path in files if trace in path.read_bytes()]


def said(folder: Path) -> list[str]:
    """What the doctor finds."""
    application = application_in(folder)
    whats = [finding.what for finding in findings(application)]
    application.close()
    return whats


def mend(folder: Path) -> None:
    """Mends what the doctor can."""
    application = application_in(folder)
    for finding in findings(application):
        if finding.repair is not None:
            assert finding.mend() is None, finding.what
    application.close()
