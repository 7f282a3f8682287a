"""A llama-index LLM that streams the last message in capitals, a word a piece. It has no field `max_tokens`.

In a module of its own, for the tests name it by its path, and llama-index takes seconds to import.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata

closed_streams: list[str] = []  # the last message of each stream that was closed


class CapitalLLM(CustomLLM):
    temperature: float = 1.0
    api_key: str = ""
    fails: bool = False

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1234)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        return self._capitals(messages[-1].content or "")

    async def _capitals(self, text: str) -> AsyncGenerator[ChatResponse, None]:
        try:
            for word in f"{text} at {self.temperature}".upper().split():
                yield ChatResponse(message=ChatMessage(content=""), delta=word + " ")
                if self.fails:
                    raise ConnectionError(f"refused {self.api_key}")
        finally:
            closed_streams.append(text)
