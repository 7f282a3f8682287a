"""Prompts for servers that keep their tokenizer to themselves: estimated token counts, defused control tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from generation.types import Message, Prompt

MESSAGE_OVERHEAD = 8  # tokens that a chat template puts around one message; 5 in ChatML

_CONTROL = re.compile(r"<(?=\||\uff5c|/?s>|(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>)|\[(?=/?INST\])")
# A word with at most one capital, capitals, a blank before a digit, a gap, white space but the blank, any other sign.
_UNIT = re.compile(r"([A-Z]?[a-z]+)|([A-Z]+)| (?=\d)|[^\S\n]{2,}|[^\S ]|\S")


def defuse(text: str) -> str:
    """Puts a space into what looks like a control token: `<|im_end|>` becomes `< |im_end|>`.

    The server turns the text into tokens, and many servers take such strings for the real thing. This covers the
    spellings of the common model families (`<|…|>`, `<s>`, `[INST]`, `<start_of_turn>`). It lowers the risk that a
    document speaks as the system or ends its turn; it can't exclude it, since the server's vocabulary is unknown.
    """
    return _CONTROL.sub(lambda found: found[0] + " ", text)


def estimate_tokens(text: str) -> int:
    """Estimates the tokens of `text` from above.

    A word counts one token for each 4 letters begun, a run of capitals one for each 2, and a digit, a sign, a line
    feed, a blank before a digit and a wider gap one each. A character outside ASCII counts its UTF-8 bytes less one.

    On 390 English texts (prose, Markdown, code, JSON) this was 1.13 to 2 times what Qwen2.5's tokenizer counts, and 1.6
    times in the middle; UTF-8 bytes / 3 fell to 0.55 where there were many numbers. Random letters can still have more.
    """
    return sum(_unit_tokens(found) for found in _UNIT.finditer(text))


def _unit_tokens(found: re.Match[str]) -> int:
    word, capitals = found.groups()
    if word:
        return -(-len(word) // 4)
    if capitals:
        return -(-len(capitals) // 2)
    return 1 if found[0].isascii() else len(found[0].encode("utf-8", "replace")) - 1


def opaque_prompt(messages: Sequence[Message]) -> Prompt:
    """The messages, defused, with `n_tokens` estimated from above and without token ids."""
    defused = tuple(replace(message, content=defuse(message.content)) for message in messages)
    n_tokens = sum(estimate_tokens(message.content) + MESSAGE_OVERHEAD for message in defused)
    return Prompt(messages=defused, token_ids=None, n_tokens=n_tokens)
