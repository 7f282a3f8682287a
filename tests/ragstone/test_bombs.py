"""Files made to harm the reader, uploaded to a running service: each ends soon, with a reason, and harms no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bombs import BOMBS, LIMITS, SHOWN
from fastapi.testclient import TestClient
from service import HOST, TRUE, upload

from generation.language_models.scripted import ScriptedLanguageModel
from ingest.extraction.process import ReadingProcesses
from ingest.jobs.queue import FINISHED
from ragstone.api.app import create_app
from ragstone.settings import load_settings
from ragstone.wiring import Application
from retrieval.hash_embedder import HashEmbedder

MIB = 1024 * 1024
SETTINGS = {f"ingest.extraction.{name}": value for name, value in LIMITS.items()}
# What a reading process has before it reads anything: Python and the loaders.
BASE_MIB = 128


class Watched:
    """A running service with its reading processes, and the most memory that any of these was seen to have."""

    def __init__(self, client: TestClient, processes: ReadingProcesses) -> None:
        self.client = client
        self.peak_mib = 0
        self._processes = processes

    def look(self) -> None:
        running = self._processes._running
        assert running is not None
        server = running._process.pid
        children = _read(f"/proc/{server}/task/{server}/children").split()
        for pid in (str(server), *children):
            for line in _read(f"/proc/{pid}/status").splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_mib = max(self.peak_mib, int(line.split()[1]) // 1024)


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError:  # it has ended
        return ""


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    settings = load_settings(flags={"data": folder, **SETTINGS}).settings
    processes = ReadingProcesses(settings.ingest.extraction.processes)
    model = ScriptedLanguageModel([TRUE])
    application = Application(settings, embedder=HashEmbedder(), language_model=model, extractor=processes)
    with TestClient(create_app(application), base_url=f"http://{HOST}") as client:
        upload(client, "warm.md", b"The first file starts a process.")
        watching = Watched(client, processes)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.003):
                watching.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield watching
        finally:
            ended.set()
            thread.join()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("bombs")) as watching:
        yield watching


def finished(client: TestClient, job_id: str, within_s: float = 30) -> Any:
    deadline = time.monotonic() + within_s
    while (job := client.get(f"/v1/jobs/{job_id}").json())["state"] not in FINISHED:
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return job


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_with_a_reason_and_others_go_in(service: Watched, name: str) -> None:
    bomb, client = BOMBS[name], service.client
    data = bomb.make()
    service.peak_mib = 0
    job_id = upload(client, name, data, wait=False)["job_id"]
    # The one behind it can be searched, whatever becomes of the bomb.
    word = f"heron{''.join(character for character in name if character.isalnum())}"
    good = upload(client, f"good-{name}.md", f"# Notes\n\nA {word} stands in the pond.".encode())
    assert [document["state"] for document in good["documents"]] == ["indexed"]
    (passage, *_) = client.post("/v1/search", json={"query": word, "k": 1}).json()["passages"]
    assert passage["uri"] == f"good-{name}.md"
    job = finished(client, job_id)
    (document,) = job["documents"]
    if bomb.says is None:
        assert (document["state"], document["problem"]) == ("indexed", None)
        assert [note for note in document["notes"] if bomb.note in note] or not bomb.note
    else:
        assert (document["state"], job["state"]) == ("failed", "failed")
        problem = document["problem"]
        assert problem["code"] == bomb.code
        assert problem["detail"].startswith(f"{name}: ")
        assert bomb.says in problem["detail"]
        assert problem["detail"].count(". ") >= 1, "it says what to do too"
    assert service.peak_mib < BASE_MIB + LIMITS["memory_mib"]


def test_what_is_beside_a_bomb_is_found(service: Watched) -> None:
    """Of those that are documents all the same, what a reader sees is in the index."""
    for name, words in SHOWN.items():
        upload(service.client, name, BOMBS[name].make())
        found = service.client.post("/v1/search", json={"query": words, "k": 3}).json()["passages"]
        assert name in [passage["uri"] for passage in found], name


def test_while_a_file_is_read_that_takes_all_its_time_others_go_in(service: Watched) -> None:
    client = service.client
    slow = b"# The *b* and `c` of [d](e)\n\n" * 120_000  # so many headings take longer to parse than they may
    job_id = upload(client, "slow.md", slow, wait=False)["job_id"]
    upload(client, "good.md", b"# Herons\n\nA heron stands in the pond.")
    found = client.post("/v1/search", json={"query": "heron pond", "k": 1}).json()["passages"]
    assert [passage["uri"] for passage in found] == ["good.md"]
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] not in FINISHED
    problem = finished(client, job_id)["documents"][0]["problem"]
    assert problem["code"] == "limit-exceeded"
    assert problem["detail"].startswith("slow.md: reading it took over 5 s of processor time")
