"""Fifty questions at once against a real server: the queue is bounded, the rest are told when to come back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
import pytest
from running import running
from service import TRUE, application_in

from generation.language_models.scripted import ScriptedLanguageModel

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class GatedModel(ScriptedLanguageModel):
    """Answers when the test, on its own thread, opens the gate."""

    def __init__(self) -> None:
        super().__init__([f"{TRUE} [1]"])
        self.gate = threading.Event()

    async def stream(self, prompt, sampling):  # type: ignore[no-untyped-def]
        self.running += 1
        try:
            while not self.gate.is_set():
                await asyncio.sleep(0.01)
        finally:
            self.running -= 1
        async for piece in super().stream(prompt, sampling):
            yield piece


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/ask", json={"question": "How heavy is the small pump?"})


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


async def test_fifty_questions_at_once(tmp_path: Path) -> None:
    model = GatedModel()
    application = application_in(tmp_path, model, generation__queue_size=8, generation__model__slots=1)
    with running(application) as url:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            await client.post("/v1/documents", params={"wait": True}, files={"file": ("p.md", TRUE.encode())})
            asked = [asyncio.create_task(ask(client)) for _ in range(50)]
            await until(lambda: sum(task.done() for task in asked) == 41)
            assert (await client.get("/healthz")).status_code == 200
            model.gate.set()
            replies = await asyncio.gather(*asked)
            refused = [reply for reply in replies if reply.status_code == 429]
            answered = [reply for reply in replies if reply.status_code == 200]
            assert (len(refused), len(answered)) == (41, 9)
            assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
            assert {reply.json()["text"] for reply in answered} == {f"{TRUE} [1]"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_leaves_frees_the_place(tmp_path: Path, stream: bool) -> None:
    model = GatedModel()
    application = application_in(tmp_path, model, generation__queue_size=0)
    with running(application) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await client.post("/v1/documents", params={"wait": True}, files={"file": ("p.md", TRUE.encode())})
            body = {"question": "How heavy is the small pump?", "stream": stream}
            leaving = asyncio.create_task(client.post("/v1/ask", json=body))
            await until(lambda: model.running == 1)
            assert (await ask(client)).status_code == 429
            leaving.cancel()
            await until(lambda: model.running == 0)
            await until(lambda: application.answerer.admission.serving == 0)
            model.gate.set()
            assert (await ask(client)).status_code == 200
