"""The embedded language model: llama.cpp in the machine's engine process.

Text of documents and users never becomes control tokens. The chat template is rendered around random words, and what is
between them (the template's own text) is tokenised with control tokens, the contents without. So `<|im_end|>` in a
document is six ordinary tokens, whatever the template. Tokens that a vocabulary calls "user defined" (in Qwen2.5
`<tool_call>`) have no such power, and llama.cpp recognises them in any text.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

from generation.config import LlamaCppSettings
from generation.engine import Engine, connect
from generation.errors import BadQuestion, ModelFailed, ModelUnavailable
from generation.language_models.server_sent_events import read_events
from generation.types import Message, Piece, Prompt, Sampling

_ANSWERS_AT_ONCE_S = 30  # for what needs no slot, on a busy machine
_REMEMBERED_TEXTS = 512
_REMEMBERED_TEMPLATES = 64

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's chat template for one sequence of roles, as tokens: `parts[0]`, content, `parts[1]`, content, …

    `order` says which message's content follows each part; the last part ends the prompt.
    """

    parts: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    def fill(self, contents: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """The prompt's tokens, for the tokens of each message's content."""
        token_ids = list(self.parts[0])
        for message, part in zip(self.order, self.parts[1:], strict=True):
            token_ids += contents[message]
            token_ids += part
        return tuple(token_ids)


def split_rendering(rendered: str, marks: Sequence[str]) -> tuple[list[str], list[int]]:
    """Splits a rendered chat template at the marks that stood for the contents.

    Returns the texts around the marks (one more than marks found) and the number of the mark after each text. Raises
    ModelFailed where a mark is gone: a template that drops or rewrites a message.
    """
    texts, order, start = [], [], 0
    places = sorted((rendered.find(mark), number) for number, mark in enumerate(marks))
    for place, number in places:
        if place < 0 or rendered.count(marks[number]) != 1:
            raise ModelFailed(
                f"the model's chat template does not show message {number + 1} of {len(marks)} once and unchanged: "
                "use another role for it, or another model"
            )
        texts.append(rendered[start:place])
        order.append(number)
        start = place + len(marks[number])
    return [*texts, rendered[start:]], order


def completion_request(token_ids: Sequence[int], sampling: Sampling, reuse_prefix: bool) -> dict[str, Any]:
    """The body of llama.cpp's `/completion`."""
    return {
        "prompt": list(token_ids),
        "stream": True,
        "return_tokens": True,
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": 0,  # off, as min_p: llama.cpp's defaults would cut more than the sampling says
        "min_p": 0.0,
        "seed": sampling.seed,
        "cache_prompt": reuse_prefix and not sampling.strict,
    }


class LlamaCpp:
    """A GGUF model in the shared engine. Use it from one event loop; it starts the engine at the first need.

    Each request opens a connection of its own: llama.cpp closes idle ones, and it stops work when one is closed.

    Args:
        runtime_folder: where to look for the engine, by default the user's (see generation.engine).
        silence_s: an answer has broken off when nothing comes for so long once it has begun. The engine sends a sign of
            life every 15 s, between two batches. How long a request waits for its slot is not limited.
    """

    def __init__(
        self,
        settings: LlamaCppSettings,
        model_file: Path,
        runtime_folder: Path | None = None,
        silence_s: float = 120,
    ) -> None:
        self._settings = settings
        self._model_file = model_file
        self._runtime_folder = runtime_folder
        self._silence_s = silence_s
        self._engine: Engine | None = None
        self._connecting = asyncio.Lock()
        self._context_tokens = settings.context_tokens
        self._templates: OrderedDict[tuple[str, ...], ChatTemplate] = OrderedDict()
        self._texts: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        # No proxy and no certificates: it only ever talks to this machine.
        self._http = httpx.AsyncClient(
            trust_env=False,
            verify=False,
            timeout=_ANSWERS_AT_ONCE_S,
            limits=httpx.Limits(max_connections=None),
            headers={"Connection": "close"},
        )

    @property
    def name(self) -> str:
        return Path(self._settings.model).name

    @property
    def context_tokens(self) -> int:
        """As set, or what the model was trained for where that is less (known after `start`)."""
        return self._context_tokens

    async def start(self) -> None:
        """Finds or starts the engine. Raises ModelUnavailable."""
        await self._running_engine()

    async def count_tokens(self, text: str) -> int:
        return len(await self._data_tokens(text))

    async def prepare(self, messages: Sequence[Message]) -> Prompt:
        """Renders the model's own chat template. Raises ModelFailed where it can't take these roles."""
        template = await self._template(tuple(message.role for message in messages))
        contents = [await self._data_tokens(message.content) for message in messages]
        token_ids = template.fill(contents)
        return Prompt(messages=tuple(messages), token_ids=token_ids, n_tokens=len(token_ids))

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Generates. The pieces' token ids include the end-of-turn token.

        With `strict` nothing cached is reused, and one slot gives the same tokens each time; with several slots only
        while nothing else runs, since llama.cpp computes what runs side by side in one batch.

        Raises BadQuestion for a prompt that fills the context, ModelUnavailable where no engine can be started, and
        ModelFailed where it breaks off.
        """
        token_ids = prompt.token_ids or (await self.prepare(prompt.messages)).token_ids or ()
        await self.start()
        if len(token_ids) >= self._context_tokens:
            raise BadQuestion(
                f"the prompt has {len(token_ids)} tokens, the model's context {self._context_tokens}: "
                "shorten the question, or raise context_tokens"
            )
        request = completion_request(token_ids, sampling, self._settings.reuse_prefix)
        response = await self._send("/completion", request, httpx.Timeout(_ANSWERS_AT_ONCE_S, read=None))
        try:
            async with aclosing(self._pieces(response)) as pieces:
                async for piece in pieces:
                    yield piece
        except httpx.HTTPError as error:
            raise ModelFailed(f"the engine broke off in the middle of an answer ({_said(error)}): ask again") from error
        except TimeoutError as error:
            raise ModelFailed(f"the engine was silent for {self._silence_s:g} s in the middle of an answer") from error
        finally:
            await response.aclose()  # llama.cpp sees it after the batch it is at, and frees the slot

    async def aclose(self) -> None:
        """Lets the engine go; it ends when nobody else uses it. Safe to call again."""
        await self._http.aclose()
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    async def _pieces(self, response: httpx.Response) -> AsyncGenerator[Piece, None]:
        held: tuple[int, ...] = ()  # tokens without text of their own, such as the end of the turn
        seen = 0
        async with aclosing(read_events(response, self._silence_s)) as events:
            async for payload in events:
                event = json.loads(payload)
                if "error" in event or "content" not in event:
                    raise ModelFailed(f"the engine answered with an error: {_error_text(event)}")
                if event["stop"]:
                    finish: Literal["stop", "length"] = "length" if event["stop_type"] == "limit" else "stop"
                    yield Piece(event["content"], held, finish, event["tokens_predicted"])
                    return
                held += await self._event_tokens(event, seen)
                seen = event["tokens_predicted"]
                if event["content"]:
                    yield Piece(event["content"], held)
                    held = ()
        raise ModelFailed("the engine ended an answer before it was complete: ask again")

    async def _event_tokens(self, event: dict[str, Any], seen: int) -> tuple[int, ...]:
        """The tokens behind an event's text.

        llama.cpp waits for the last token of a character that takes several, and then names only that one. The text
        gives the others, where its tokens are as many as were generated.
        """
        named = tuple(event["tokens"])
        missing = event["tokens_predicted"] - seen - len(named)
        if missing > 0:
            again = await self._data_tokens(event["content"])
            if len(again) == missing + len(named) and again[-len(named) :] == named:
                return again
        return named

    async def _template(self, roles: tuple[str, ...]) -> ChatTemplate:
        known = self._templates.get(roles)
        if known is not None:
            return known
        marks = [f"content{secrets.token_hex(16)}" for _ in roles]
        messages = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
        rendered = (await self._ask("/apply-template", {"messages": messages}))["prompt"]
        texts, order = split_rendering(rendered, marks)
        # Only the first part gets the model's begin-of-text token: llama.cpp takes it off the rendering.
        parts = [
            await self._tokenize(text, parse_special=True, add_special=position == 0)
            for position, text in enumerate(texts)
        ]
        template = ChatTemplate(tuple(parts), tuple(order))
        _remember(self._templates, roles, template, _REMEMBERED_TEMPLATES)
        return template

    async def _data_tokens(self, text: str) -> tuple[int, ...]:
        known = self._texts.get(text)
        if known is None:
            known = await self._tokenize(text, parse_special=False, add_special=False)
        _remember(self._texts, text, known, _REMEMBERED_TEXTS)
        return known

    async def _tokenize(self, text: str, *, parse_special: bool, add_special: bool) -> tuple[int, ...]:
        body = {"content": text, "parse_special": parse_special, "add_special": add_special}
        return tuple((await self._ask("/tokenize", body))["tokens"])

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._send(path, body)
        try:
            await response.aread()
        except httpx.HTTPError as error:
            raise ModelFailed(f"the engine broke off ({_said(error)}): ask again") from error
        finally:
            await response.aclose()
        answer: dict[str, Any] = response.json()
        return answer

    async def _send(self, path: str, body: dict[str, Any], timeout: httpx.Timeout | None = None) -> httpx.Response:
        """A successful response whose body is still to be read and closed.

        Where the engine has gone before it answered, the request goes to the next one: nothing was done for it yet.
        """
        last: httpx.HTTPError | None = None
        for _ in range(2):
            engine = await self._running_engine()
            request = self._http.build_request(
                "POST",
                engine.address.url + path,
                json=body,
                headers=_key(engine),
                timeout=timeout or self._http.timeout,
            )
            try:
                response = await self._http.send(request, stream=True)
            except httpx.HTTPError as error:
                if await _is_dying(engine):
                    last = error
                    continue
                raise ModelFailed(f"the engine does not answer ({_said(error)}): ask again") from error
            if response.is_success:
                return response
            await _raise_for_answer(response)
        raise ModelUnavailable("the engine ended twice before it answered: its log may say why") from last

    async def _running_engine(self) -> Engine:
        async with self._connecting:
            if self._engine is not None:
                if self._engine.is_alive():
                    return self._engine
                self._engine.close()
                self._engine = None
            self._templates.clear()  # the file may hold another model now
            self._texts.clear()
            abandoned = threading.Event()
            try:
                engine = await asyncio.to_thread(
                    connect, self._settings, self._model_file, self._runtime_folder, abandoned
                )
            except asyncio.CancelledError:
                abandoned.set()  # a thread can't be cancelled
                raise
            try:
                trained_for = await self._slot_context(engine)
            except BaseException:
                engine.close()
                raise
            self._context_tokens = min(self._settings.context_tokens, trained_for)
            self._engine = engine
            return engine

    async def _slot_context(self, engine: Engine) -> int:
        try:
            answer = await self._http.get(engine.address.url + "/props", headers=_key(engine))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ModelFailed(f"the engine does not describe its model ({_said(error)}): ask again") from error
        return int(answer.json()["default_generation_settings"]["n_ctx"])


async def _is_dying(engine: Engine) -> bool:
    """A process that is killed drops its connections a moment before its locks."""
    for _ in range(20):
        if not engine.is_alive():
            return True
        await asyncio.sleep(0.05)
    return False


def _key(engine: Engine) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.address.secret}"}


async def _raise_for_answer(response: httpx.Response) -> None:
    try:
        text = (await response.aread()).decode("utf-8", "replace")
    finally:
        await response.aclose()
    try:
        event = json.loads(text)
    except ValueError:
        event = {"error": text}
    message = f"the engine answered with status {response.status_code}: {_error_text(event)}"
    if "exceed_context_size_error" in text:
        raise BadQuestion(message)
    raise ModelFailed(message)


def _error_text(event: dict[str, Any]) -> str:
    error = event.get("error", event)
    return str(error.get("message", error) if isinstance(error, dict) else error)[:300]


def _said(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _remember(cache: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Puts the value last, and drops the one that was used longest ago."""
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > most:
        cache.popitem(last=False)
