"""Any llama-index LLM, named by its class in the settings."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

from generation.config import LlamaIndexSettings
from generation.errors import MissingExtra, ModelFailed, ModelLoading, ModelUnavailable
from generation.language_models.opaque_prompt import estimate_tokens, opaque_prompt
from generation.types import Message, Piece, Prompt, Sampling

_SECRET_WORDS = ("key", "token", "secret", "password")


class LlamaIndexModel:
    """Wraps the LLM of `class_path`, made from `arguments`.

    `max_tokens`, `temperature`, `top_p` and `seed` of a request are given to the LLM where its class has a field of
    that name; for the rest its own arguments count. An LLM without a field `max_tokens` is stopped after that many
    pieces, of which each holds a token or more. llama-index has no common word for why a model stopped: `finish` is
    `length` only where the answer was stopped here. Prompts have no token ids, and counts are estimates (see
    opaque_prompt).
    """

    def __init__(self, settings: LlamaIndexSettings) -> None:
        self._settings = settings
        self._llm: Any = None
        self._starting = asyncio.Lock()

    @property
    def name(self) -> str:
        return str(self._settings.arguments.get("model", self._settings.class_path))

    @property
    def context_tokens(self) -> int:
        """As set, else what the LLM's metadata says. Raises ModelLoading before `start` where it is not set."""
        if self._settings.context_tokens is not None:
            return self._settings.context_tokens
        if self._llm is None:
            raise ModelLoading(f"{self._settings.class_path} is not loaded yet: try again in some seconds")
        return int(self._llm.metadata.context_window)

    async def start(self) -> None:
        """Imports the class and makes the LLM, in a thread: llama-index takes seconds to import.

        Raises MissingExtra where its package is not installed, and ModelUnavailable where class or arguments are wrong.
        """
        async with self._starting:
            if self._llm is None:
                self._llm = await asyncio.to_thread(make_llm, self._settings)

    async def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    async def prepare(self, messages: Sequence[Message]) -> Prompt:
        return opaque_prompt(messages)

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Generates. Raises ModelFailed for whatever the LLM raises."""
        await self.start()
        from llama_index.core.llms import ChatMessage

        fields = type(self._llm).model_fields
        asked = {name: getattr(sampling, name) for name in ("max_tokens", "temperature", "top_p", "seed")}
        llm = self._llm.model_copy(update={name: value for name, value in asked.items() if name in fields})
        most_pieces = None if "max_tokens" in fields else sampling.max_tokens
        messages = [ChatMessage(role=message.role, content=message.content) for message in prompt.messages]
        finish: Literal["stop", "length"] = "stop"
        try:
            responses = await llm.astream_chat(messages)
            try:
                n_pieces = 0
                async for response in responses:
                    if response.delta:
                        yield Piece(response.delta)
                        n_pieces += 1
                    if n_pieces == most_pieces:
                        finish = "length"
                        break
            finally:
                await responses.aclose()
        except Exception as error:  # each LLM has errors of its own
            raise ModelFailed(f"{self._settings.class_path} failed: {described(error, self._settings)}") from error
        yield Piece("", (), finish)

    async def aclose(self) -> None:
        """Forgets the LLM. llama-index has no common way to close one."""
        self._llm = None


def make_llm(settings: LlamaIndexSettings) -> Any:
    """The LLM object. Raises MissingExtra and ModelUnavailable."""
    found = _find_class(settings.class_path)
    from llama_index.core.llms import LLM

    if not (isinstance(found, type) and issubclass(found, LLM)):
        raise ModelUnavailable(f"{settings.class_path} is not a llama-index LLM: name a subclass of its LLM class")
    try:
        return found(**settings.arguments)
    except Exception as error:  # each class checks its arguments in its own way
        raise ModelUnavailable(
            f"{settings.class_path} can't be made from the given arguments: {described(error, settings)}"
        ) from error


def _find_class(class_path: str) -> object:
    module_path, _, class_name = class_path.rpartition(".")
    if not module_path:
        raise ModelUnavailable(f"{class_path} is not the path of a class: write it as package.module.Class")
    try:
        module = importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        raise MissingExtra(_missing(class_path, module_path, error.name or module_path)) from error
    if not hasattr(module, class_name):
        raise ModelUnavailable(f"{module_path} has no class {class_name}")
    return getattr(module, class_name)


def _missing(class_path: str, module_path: str, missing: str) -> str:
    if missing != module_path and not module_path.startswith(missing + "."):
        return f"{class_path} needs the module {missing}: install the package that provides it"
    parts = module_path.split(".")
    if parts[:2] == ["llama_index", "llms"] and len(parts) > 2:
        package = "-".join(parts[:3]).replace("_", "-")
        return f"{class_path} is not installed: pip install {package}"
    return f"{class_path} is not installed: install the package that provides {missing}"


def described(error: Exception, settings: LlamaIndexSettings) -> str:
    """The error in one short text, without the secrets among the arguments in case it repeats them."""
    text = f"{type(error).__name__}: {error}"
    for name, value in settings.arguments.items():
        if isinstance(value, str) and value and any(word in name.lower() for word in _SECRET_WORDS):
            text = text.replace(value, "***")
    return text[:300]
