"""Any server with the OpenAI chat completions API: vLLM, llama.cpp's server, a hosted service named in the settings."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal

import httpx

from generation.config import OpenAICompatibleSettings
from generation.errors import BadQuestion, GenerationError, ModelFailed, ModelLoading, ModelUnavailable, QueueFull
from generation.language_models.opaque_prompt import estimate_tokens, opaque_prompt
from generation.language_models.server_sent_events import read_events
from generation.types import Message, Piece, Prompt, Sampling

_TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "maximum context length")


class OpenAICompatible:
    """Streams chat completions from `base_url`. There is no default server, and the environment's proxies are not used.

    The server keeps its tokenizer to itself: prompts have no token ids, counts are estimates from above, and control
    tokens in the contents are defused (see opaque_prompt). `strict` changes nothing here: the API has no word for it.
    Raises ModelUnavailable where `base_url` can't be read.
    """

    def __init__(self, settings: OpenAICompatibleSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._secret = settings.api_key.get_secret_value() if settings.api_key else ""
        # llama.cpp's server drops idle connections after 5 s, so each request has its own.
        headers = {"Connection": "close"} | ({"Authorization": f"Bearer {self._secret}"} if self._secret else {})
        self._http = httpx.AsyncClient(
            headers=headers, timeout=settings.timeout_s, trust_env=False, transport=transport
        )
        base = _url(settings.base_url)
        self._url = base.copy_with(path=base.path.rstrip("/") + "/chat/completions")
        self._shown_url = str(self._url.copy_with(userinfo=b"", query=None))

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def context_tokens(self) -> int:
        return self._settings.context_tokens

    async def start(self) -> None:
        """Nothing to do: the server is somebody else's, and the first question shows whether it is there."""

    async def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    async def prepare(self, messages: Sequence[Message]) -> Prompt:
        return opaque_prompt(messages)

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Generates. The last piece has no text; its count is None where the server does not report usage.

        Raises:
            BadQuestion: the server finds the prompt over its context.
            QueueFull: status 429, with the seconds of its `Retry-After` (at least 1).
            ModelLoading: status 503 that says so (llama.cpp's server, while it loads).
            ModelUnavailable: no connection, or status 401, 403 or 404.
            ModelFailed: any other status, silence for `timeout_s`, or an answer that breaks off.
        """
        body = self._completion_request(prompt, sampling)
        try:
            async with self._http.stream("POST", self._url, json=body) as response:
                if not response.is_success:
                    text = (await response.aread()).decode("utf-8", "replace")
                    raise self._refusal(response, text)
                async with aclosing(self._pieces(response)) as pieces:
                    async for piece in pieces:
                        yield piece
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise ModelUnavailable(f"{self._shown_url} can't be reached: {self._said(error)}") from error
        except httpx.TimeoutException as error:
            raise ModelFailed(f"{self._shown_url} was silent for {self._settings.timeout_s:g} s (timeout_s)") from error
        except httpx.HTTPError as error:
            raise ModelFailed(f"{self._shown_url} broke off: {self._said(error)}") from error

    async def aclose(self) -> None:
        await self._http.aclose()

    def _completion_request(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        return {
            "model": self._settings.model,
            "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    async def _pieces(self, response: httpx.Response) -> AsyncGenerator[Piece, None]:
        finish: Literal["stop", "length"] | None = None
        completion_tokens: int | None = None  # comes after the last choice, in an event of its own
        async with aclosing(read_events(response)) as events:
            async for payload in events:
                if payload == "[DONE]":
                    break
                event = self._parsed(payload)
                completion_tokens = (event.get("usage") or {}).get("completion_tokens", completion_tokens)
                for choice in event.get("choices") or ():
                    text = (choice.get("delta") or {}).get("content")
                    if text:
                        yield Piece(text)
                    finish = self._finish(choice.get("finish_reason")) or finish
        if finish is None:
            raise ModelFailed(f"{self._shown_url} ended an answer before it was complete: ask again")
        yield Piece("", (), finish, completion_tokens)

    def _parsed(self, payload: str) -> dict[str, Any]:
        try:
            event = json.loads(payload)
        except ValueError as error:
            raise ModelFailed(f"{self._shown_url} sent something else than JSON: {self._safe(payload)}") from error
        if not isinstance(event, dict) or "error" in event:
            raise ModelFailed(f"{self._shown_url} answered with an error: {self._safe(payload)}")
        return event

    def _finish(self, reason: str | None) -> Literal["stop", "length"] | None:
        if reason == "content_filter":
            raise ModelFailed(f"{self._shown_url} cut the answer off by its content filter")
        if reason is None:
            return None
        return "length" if reason == "length" else "stop"

    def _refusal(self, response: httpx.Response, text: str) -> GenerationError:
        status, said = response.status_code, f"status {response.status_code}: {self._safe(text)}"
        if status in (401, 403):
            return ModelUnavailable(f"{self._shown_url} refuses the api_key, {said}")
        if status == 404:
            return ModelUnavailable(
                f"{self._shown_url} knows no such address or model ({self._settings.model}): "
                f"base_url must end with /v1 for most servers; {said}"
            )
        if status == 429:
            return QueueFull(f"{self._shown_url} is busy, {said}", _retry_after_s(response))
        if status == 503 and "loading" in text.lower():
            return ModelLoading(f"{self._shown_url} is loading its model: try again in some seconds")
        if 400 <= status < 500 and any(sign in text for sign in _TOO_LONG):
            return BadQuestion(f"the prompt is over the context of {self._shown_url}, {said}")
        return ModelFailed(f"{self._shown_url} failed with {said}")

    def _said(self, error: httpx.HTTPError) -> str:
        return self._safe(f"{type(error).__name__}: {error}")

    def _safe(self, text: str) -> str:
        """A server's words, short, and without the key in case it repeats it."""
        return (text.replace(self._secret, "***") if self._secret else text).strip()[:300]


def _url(base_url: str) -> httpx.URL:
    try:
        return httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ModelUnavailable(f"base_url is not a web address: {error}") from error


def _retry_after_s(response: httpx.Response) -> int:
    """Seconds of `Retry-After`; 1 where it is missing or a date."""
    try:
        return max(1, math.ceil(float(response.headers.get("Retry-After", "1"))))
    except (ValueError, OverflowError):
        return 1
