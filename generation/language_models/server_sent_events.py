"""Reading a stream of server-sent events, as far as language model servers use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx


async def read_events(response: httpx.Response, silence_s: float | None = None) -> AsyncGenerator[str, None]:
    """Yields the payload of each `data:` (or, from llama.cpp, `error:`) line; comments and other fields are left out.

    Raises TimeoutError where not a byte comes for `silence_s`, besides what the request's own timeout raises.

    Lines end at a line feed only. `httpx.Response.aiter_lines` also breaks at U+2028 and its like, which JSON texts may
    contain as they are. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    buffer = bytearray()
    pieces = response.aiter_bytes()
    while True:
        async with asyncio.timeout(silence_s):
            piece = await anext(pieces, None)
        if piece is None:
            break
        buffer += piece
        *lines, rest = buffer.split(b"\n")
        for line in lines:
            payload = _payload(bytes(line))
            if payload:
                yield payload
        buffer = rest
    payload = _payload(bytes(buffer))
    if payload:
        yield payload


def _payload(line: bytes) -> str:
    name, _, value = line.partition(b":")
    return value.strip().decode("utf-8", "replace") if name in (b"data", b"error") else ""
