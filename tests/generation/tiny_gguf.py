"""A GGUF model of 2 MB that always says the same: llama.cpp for real, without the weights of a real model.

Its vocabulary is the 256 bytes and some control tokens. A token's embedding is its own axis, attention and feed-forward
are zero, and the output matrix maps each token to the next one of `says`, so greedy decoding spells that text.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3).
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np

CONTROL = ("<|im_start|>", "<|im_end|>", "<|say|>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}<|say|>"
)
_WIDTH = 288  # of the embedding: a multiple of 32 that holds all tokens
_CONTROL_TYPE, _NORMAL_TYPE = 3, 1


def write_tiny_gguf(
    path: Path, says: str, chat_template: str = CHATML, trained_for: int = 1_000_000, layers: int = 1
) -> Path:
    """`says` must not repeat a byte; where it ends with "…" it begins again, without end. With 0 layers the file is
    one on which llama.cpp calls abort()."""
    tokens = [*_byte_characters(), *CONTROL]
    tensors = _tensors(_successors(says))
    fields = [
        _field("general.architecture", "llama"),
        _field("llama.context_length", trained_for),
        _field("llama.embedding_length", _WIDTH),
        _field("llama.block_count", layers),
        _field("llama.feed_forward_length", 32),
        _field("llama.attention.head_count", _WIDTH // 32),
        _field("llama.attention.layer_norm_rms_epsilon", 1e-6),
        _field("tokenizer.ggml.model", "gpt2"),
        _field("tokenizer.ggml.pre", "gpt-2"),
        _field("tokenizer.ggml.tokens", tokens + [f"<unused{n}>" for n in range(_WIDTH - len(tokens))]),
        _field("tokenizer.ggml.token_type", [_NORMAL_TYPE] * 256 + [_CONTROL_TYPE] * (_WIDTH - 256)),
        _field("tokenizer.ggml.merges", ["! !"]),
        _field("tokenizer.ggml.eos_token_id", 256 + CONTROL.index("<|im_end|>")),
        _field("tokenizer.ggml.add_bos_token", False),
        _field("tokenizer.chat_template", chat_template),
    ]
    infos, data = b"", b""
    for name, array in tensors.items():
        infos += _string(name) + struct.pack(f"<I{array.ndim}QIQ", array.ndim, *array.shape[::-1], 0, len(data))
        data += array.astype("<f4").tobytes()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields) + infos
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def _successors(says: str) -> dict[int, int]:
    endless = says.endswith("…")
    spoken = list(says.removesuffix("…").encode())
    if len(set(spoken)) != len(spoken):
        raise ValueError(f"{says!r} repeats a byte")
    chain = [256 + CONTROL.index("<|say|>"), *spoken, spoken[0] if endless else 256 + CONTROL.index("<|im_end|>")]
    return dict(itertools.pairwise(chain))


def _tensors(successors: dict[int, int]) -> dict[str, np.ndarray]:
    output = np.zeros((_WIDTH, _WIDTH), np.float32)
    for token, following in successors.items():
        output[following, token] = 1
    zeros = {f"attn_{part}": (_WIDTH, _WIDTH) for part in ("q", "k", "v", "output")}
    zeros |= {"ffn_gate": (32, _WIDTH), "ffn_up": (32, _WIDTH), "ffn_down": (_WIDTH, 32)}
    layer = {name: np.zeros(shape, np.float32) for name, shape in zeros.items()}
    layer |= {"attn_norm": np.ones(_WIDTH, np.float32), "ffn_norm": np.ones(_WIDTH, np.float32)}
    return {
        "token_embd.weight": np.eye(_WIDTH, dtype=np.float32),
        "output_norm.weight": np.ones(_WIDTH, np.float32),
        "output.weight": output,
        **{f"blk.0.{name}.weight": array for name, array in layer.items()},
    }


def _byte_characters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the order of the bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _field(name: str, value: str | bool | int | float | list[str] | list[int]) -> bytes:
    return _string(name) + _typed(value)


def _typed(value: str | bool | int | float | list[str] | list[int]) -> bytes:
    if isinstance(value, list):
        items = [_string(item) if isinstance(item, str) else struct.pack("<i", item) for item in value]
        return struct.pack("<IIQ", 9, 8 if isinstance(value[0], str) else 5, len(items)) + b"".join(items)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<II", 4, value)
