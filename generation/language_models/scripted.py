"""The in-tree fake: a language model that says what the test wrote. Public, for your tests as for ours."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence

from generation.errors import BadQuestion, GenerationError
from generation.types import Message, Piece, Prompt, Sampling

Script = Callable[[Sequence[Message]], str]


class ScriptedLanguageModel:
    """Streams its replies word by word.

    Args:
        replies: texts given in turn (the last one again and again), or a function of the messages.
        context_tokens: size of the context; a token is a word with the white space before it.
        ready: each stream waits for it before its first piece.
        go_on: each stream waits for it before every later piece.
        fail_with: raised in each stream after `fail_after` pieces.

    What it was asked is kept in `prompts` and `samplings`. `running` counts open streams, `completed` those that came
    to their end, and `abandoned` those that were closed, cancelled or failed before.
    """

    def __init__(
        self,
        replies: Sequence[str] | Script,
        *,
        context_tokens: int = 2048,
        ready: asyncio.Event | None = None,
        go_on: asyncio.Event | None = None,
        fail_with: GenerationError | None = None,
        fail_after: int = 0,
    ) -> None:
        if isinstance(replies, str) or not (callable(replies) or replies):
            raise ValueError("replies must be a function, or a sequence of at least one text")
        self._replies = replies
        self._context_tokens = context_tokens
        self._ready = ready
        self._go_on = go_on
        self._fail_with = fail_with
        self._fail_after = fail_after
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []
        self.started = self.closed = False
        self.running = self.completed = self.abandoned = 0

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    async def start(self) -> None:
        self.started = True

    async def count_tokens(self, text: str) -> int:
        return len(words(text))

    async def prepare(self, messages: Sequence[Message]) -> Prompt:
        """One token for each role and each word."""
        token_ids: list[int] = []
        for message in messages:
            token_ids.append(token_id(f"<{message.role}>"))
            token_ids += [token_id(word) for word in words(message.content)]
        return Prompt(messages=tuple(messages), token_ids=tuple(token_ids), n_tokens=len(token_ids))

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        if prompt.n_tokens >= self._context_tokens:
            raise BadQuestion(f"the prompt has {prompt.n_tokens} tokens, the model's context {self._context_tokens}")
        reply = words(self._reply(prompt.messages))
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        said = reply[: sampling.max_tokens]
        whole = False
        self.running += 1
        try:
            for number, word in enumerate(said):
                await self._wait(number)
                yield Piece(word, (token_id(word),))
            await self._wait(len(said))
            whole = True
            yield Piece("", (), "stop" if said == reply else "length", len(said))
        finally:
            self.running -= 1
            self.completed += whole
            self.abandoned += not whole

    async def aclose(self) -> None:
        self.closed = True

    def _reply(self, messages: Sequence[Message]) -> str:
        if callable(self._replies):
            return self._replies(messages)
        return self._replies[min(len(self.prompts), len(self._replies) - 1)]

    async def _wait(self, number: int) -> None:
        event = self._ready if number == 0 else self._go_on
        if event is not None:
            await event.wait()
        else:
            await asyncio.sleep(0)  # a stream lets others run, as a real one does
        if self._fail_with is not None and number == self._fail_after:
            raise self._fail_with


def words(text: str) -> list[str]:
    """Words with the white space before them; white space at the end is a word of its own. They join to `text`."""
    return re.findall(r"\s*\S+|\s+$", text)


def token_id(word: str) -> int:
    """The same word has the same id, in every process."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))
