"""The OpenAI form, against a small server on loopback that does what each test needs.

With a real model it is in test_language_models.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from generation.config import OpenAICompatibleSettings
from generation.errors import BadQuestion, GenerationError, ModelFailed, ModelLoading, ModelUnavailable, QueueFull
from generation.language_models.openai_compatible import OpenAICompatible
from generation.types import Message, Piece, Sampling

pytestmark = pytest.mark.anyio

Script = Callable[["Exchange"], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Exchange:
    """One request as the server saw it, and the means to answer it byte by byte."""

    def __init__(self, head: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.body: dict[str, Any] = json.loads(body)
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def begin(self, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def event(self, payload: object) -> None:
        await self.send(f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode())

    async def client_has_left(self) -> None:
        await self._reader.read()


@asynccontextmanager
async def serving(script: Script, **changes: Any) -> AsyncGenerator[tuple[OpenAICompatible, list[Exchange]], None]:
    """A model whose server follows the script, and the requests that came."""
    exchanges: list[Exchange] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        exchanges.append(Exchange(head, await reader.readexactly(length), reader, writer))
        await script(exchanges[-1])
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = {"kind": "openai-compatible", "base_url": f"http://127.0.0.1:{port}/v1", "model": "m"} | changes
    model = OpenAICompatible(OpenAICompatibleSettings.model_validate(settings))
    async with server:
        yield model, exchanges
    await model.aclose()


def delta(text: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]}


def answering(status: str, body: str = "", *headers: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.begin(status, *headers)
        await exchange.send(body.encode())

    return script


async def said(model: OpenAICompatible, question: str = "why?") -> list[Piece]:
    prompt = await model.prepare([Message("system", "be brief"), Message("user", question)])
    return [piece async for piece in model.stream(prompt, Sampling(9, temperature=0.5, top_p=0.9, seed=3))]


async def whole_answer(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(b": a comment\n\nevent: message\n")
    for text in ("It", " is", " so."):
        await exchange.event(delta(text))
    await exchange.event(delta(None, "stop"))
    await exchange.event({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 4}})
    await exchange.send(b"data: [DONE]\n\n")


async def test_an_answer_is_streamed_with_finish_and_usage() -> None:
    async with serving(whole_answer) as (model, _):
        assert await said(model) == [Piece("It"), Piece(" is"), Piece(" so."), Piece("", (), "stop", 4)]


async def test_the_request_is_in_openais_form() -> None:
    async with serving(whole_answer, api_key=SecretStr("sk-1")) as (model, exchanges):
        await said(model, "what is <|im_end|>?")
    assert exchanges[0].head.startswith("POST /v1/chat/completions HTTP/1.1")
    assert "authorization: bearer sk-1" in exchanges[0].head.lower()
    assert exchanges[0].body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "what is < |im_end|>?"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_without_a_key_none_is_sent() -> None:
    async with serving(whole_answer) as (model, exchanges):
        await said(model)
    assert "authorization" not in exchanges[0].head.lower()


async def test_a_prompt_has_an_estimate_and_no_token_ids() -> None:
    async with serving(whole_answer) as (model, _):
        prompt = await model.prepare([Message("user", "why")])
        assert prompt.token_ids is None
        assert prompt.n_tokens == await model.count_tokens("why") + 8


async def test_events_may_be_cut_anywhere_and_hold_any_line_separator() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        text = json.dumps(delta("één\u2028🫠\x85 zwei"), ensure_ascii=False)
        for byte in f"data: {text}\r\n\r\ndata:{json.dumps(delta(None, 'length'))}".encode():
            await exchange.send(bytes([byte]))

    async with serving(script) as (model, _):
        assert await said(model) == [Piece("één\u2028🫠\x85 zwei"), Piece("", (), "length", None)]


async def test_a_caller_who_leaves_closes_the_connection() -> None:
    left = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event(delta("It"))
        await exchange.client_has_left()
        left.set()

    async with serving(script) as (model, _):
        prompt = await model.prepare([Message("user", "?")])
        stream = model.stream(prompt, Sampling(9))
        assert (await anext(stream)).text == "It"
        assert not left.is_set()
        await stream.aclose()
        await asyncio.wait_for(left.wait(), 30)


async def test_a_cancelled_caller_closes_the_connection() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        asked.set()
        await exchange.client_has_left()
        left.set()

    async with serving(script) as (model, _):
        caller = asyncio.create_task(said(model))
        await asyncio.wait_for(asked.wait(), 30)
        caller.cancel()
        await asyncio.wait_for(left.wait(), 30)
        with pytest.raises(asyncio.CancelledError):
            await caller


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        (
            answering("401 Unauthorized", "bad key sk-1"),
            ModelUnavailable,
            "refuses the api_key, status 401: bad key ***",
        ),
        (answering("403 Forbidden"), ModelUnavailable, "refuses the api_key"),
        (answering("404 Not Found", "no model m"), ModelUnavailable, "no such address or model (m)"),
        (answering("429 Too Many Requests", "slow down"), QueueFull, "is busy, status 429: slow down"),
        (answering("503 Service Unavailable", '{"error":"Loading model"}'), ModelLoading, "is loading its model"),
        (answering("503 Service Unavailable", "overloaded"), ModelFailed, "status 503: overloaded"),
        (answering("500 Internal Server Error", "sk-1 oops"), ModelFailed, "status 500: *** oops"),
        (answering("400 Bad Request", '{"type":"exceed_context_size_error"}'), BadQuestion, "over the context"),
        (answering("400 Bad Request", "no seed here"), ModelFailed, "status 400: no seed here"),
        (answering("302 Found", "", "Location: http://127.0.0.1:1/"), ModelFailed, "status 302"),
        (answering("200 OK", "<html>hello</html>"), ModelFailed, "before it was complete"),
        (answering("200 OK", "data: <html>\n\n"), ModelFailed, "something else than JSON"),
        (answering("200 OK", 'data: {"error": {"message": "sk-1 oops"}}\n\n'), ModelFailed, '"*** oops"'),
        (answering("200 OK", 'error: {"code": 500}\n\n'), ModelFailed, "before it was complete"),
    ],
)
async def test_failures_of_the_server_are_told_apart(script: Script, error: type[GenerationError], says: str) -> None:
    async with serving(script, api_key=SecretStr("sk-1")) as (model, _):
        with pytest.raises(error) as failure:
            await said(model)
    assert type(failure.value) is error
    assert says in str(failure.value)
    assert "http://127.0.0.1:" in str(failure.value)
    assert "sk-1" not in str(failure.value)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("0", 1), ("1.2", 2), ("Fri, 31 Dec 1999 23:59:59 GMT", 1)])
async def test_retry_after_of_a_busy_server_is_passed_on(header: str, seconds: int) -> None:
    async with serving(answering("429 Too Many Requests", "", f"Retry-After: {header}")) as (model, _):
        with pytest.raises(QueueFull) as refused:
            await said(model)
    assert refused.value.retry_after_s == seconds


async def test_an_answer_that_breaks_off_is_a_failure_after_its_pieces() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin("200 OK", "Content-Length: 100000")
        await exchange.event(delta("It"))

    seen = []
    async with serving(script) as (model, _):
        prompt = await model.prepare([Message("user", "?")])
        with pytest.raises(ModelFailed, match="broke off"):
            async for piece in model.stream(prompt, Sampling(9)):
                seen.append(piece.text)
    assert seen == ["It"]


async def test_a_filtered_answer_is_a_failure() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event(delta(None, "content_filter"))

    async with serving(script) as (model, _):
        with pytest.raises(ModelFailed, match="content filter"):
            await said(model)


async def test_a_silent_server_is_given_up() -> None:
    async with serving(Exchange.client_has_left, timeout_s=0.2) as (model, _):
        with pytest.raises(ModelFailed, match=r"silent for 0\.2 s \(timeout_s\)"):
            await said(model)


async def test_a_server_that_is_not_there_is_named() -> None:
    async with serving(whole_answer) as (model, _):
        pass
    model = OpenAICompatible(model._settings)
    with pytest.raises(ModelUnavailable, match=r"http://127\.0\.0\.1:\d+/v1/chat/completions can't be reached"):
        await said(model)
    await model.aclose()


async def test_credentials_in_the_address_are_not_shown() -> None:
    settings = OpenAICompatibleSettings(
        kind="openai-compatible", base_url="http://me:hidden@127.0.0.1:1/v1?token=hidden", model="m"
    )
    model = OpenAICompatible(settings)
    with pytest.raises(ModelUnavailable) as failure:
        await said(model)
    assert "127.0.0.1:1/v1/chat/completions" in str(failure.value) and "hidden" not in str(failure.value)
    await model.aclose()


async def test_an_address_of_another_kind_is_refused() -> None:
    settings = OpenAICompatibleSettings(kind="openai-compatible", base_url="ftp://127.0.0.1/v1", model="m")
    model = OpenAICompatible(settings)
    with pytest.raises(ModelUnavailable, match="can't be reached"):
        await said(model)
    await model.aclose()
    with pytest.raises(ModelUnavailable, match="not a web address"):
        OpenAICompatible(settings.model_copy(update={"base_url": "http://127.0.0.1:port/v1"}))


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serving(whole_answer) as (model, _):
        assert (await said(model))[-1].finish == "stop"
