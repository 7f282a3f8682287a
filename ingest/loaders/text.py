"""Plain text, and what every loader needs to make its text storable: decoding, cleaning, the name's stem."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath

from ingest.errors import UnsupportedFormat
from ingest.loaders.reading import Reading
from ingest.types import Extracted

# The UTF-32 marks come first: the little-endian one begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
# Controls other than tab and newline, lone surrogates, noncharacters, and byte order marks inside the text.
_UNSTORABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_BINARY_CONTROLS = re.compile("[\x01-\x07\x0e-\x1a\x1c-\x1f]")
_MAX_CONTROL_SHARE = 0.01
# Western European prose has a few per cent of bytes above 127; Cyrillic, Greek or Japanese has mostly those.
_MAX_HIGH_SHARE = 0.3
_MIN_UTF_16_NULS = 0.9


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Plain text as it is, without headings. Raises UnsupportedFormat where the bytes are no text."""
    return Extracted(text=clean(decode(data, name)), title=stem(name), media_type="text/plain")


def clean(text: str) -> str:
    r"""`text` with every line end as "\n", and without NUL, other controls and lone surrogates."""
    return _UNSTORABLE.sub("", _LINE_ENDS.sub("\n", text))


def stem(name: str) -> str:
    """The file's name without folders and extension: the title of a document that states none."""
    return clean(PurePosixPath(name.replace("\\", "/")).stem) or "untitled"


def byte_order_mark(data: bytes) -> str | None:
    """The codec that the first bytes announce."""
    return next((codec for mark, codec in _BYTE_ORDER_MARKS if data.startswith(mark)), None)


def decode(data: bytes, name: str) -> str:
    """Bytes to characters: by byte order mark, else as UTF-16 or UTF-8, else as Windows-1252 if it looks Western.

    Raises UnsupportedFormat for binary data and for encodings that can't be told apart safely: a wrong guess would
    fill the index with unreadable words.
    """
    codec = byte_order_mark(data) or _unmarked_utf_16(data)
    if codec is None:
        refuse_binary(data, name)
    text = try_decode(data, codec or "utf-8")
    if text is None and codec is not None:
        raise UnsupportedFormat(
            f"{name}: begins like {codec.upper()} text but does not decode: it is cut off, or no text. "
            "Save it as UTF-8 and upload it again."
        )
    if text is None and _looks_western(data):
        text = try_decode(data, "cp1252")
    if text is None:
        raise UnsupportedFormat(
            f"{name}: is neither UTF-8 nor Western European text: it is binary data or in another encoding. "
            "Save text as UTF-8 and upload it again; give binary files the extension of their format."
        )
    _refuse_controls(text, name)
    return text


def try_decode(data: bytes, codec: str) -> str | None:
    """The text, or None where one byte does not fit."""
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def refuse_binary(data: bytes, name: str) -> None:
    """Raises UnsupportedFormat where NUL bytes show that `data` is no text. UTF-16 and UTF-32 have them, and a mark."""
    if byte_order_mark(data) in (None, "utf-8-sig") and b"\0" in data:
        raise UnsupportedFormat(_binary(name, "it contains NUL bytes"))


def _unmarked_utf_16(data: bytes) -> str | None:
    """UTF-16 without a mark shows in Western text: every other byte is NUL, and none of those between."""
    for codec, upper, lower in (("utf-16-be", data[::2], data[1::2]), ("utf-16-le", data[1::2], data[::2])):
        if len(upper) == len(lower) and 0 not in lower and upper.count(0) >= _MIN_UTF_16_NULS * len(upper):
            return codec
    return None


def _looks_western(data: bytes) -> bool:
    return sum(byte > 127 for byte in data) <= _MAX_HIGH_SHARE * len(data)


def _refuse_controls(text: str, name: str) -> None:
    if len(_BINARY_CONTROLS.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise UnsupportedFormat(_binary(name, "it is full of control characters"))


def _binary(name: str, why: str) -> str:
    return (
        f"{name}: is binary data, not text, whatever its name says ({why}). "
        "Give it the extension of its format, or save it as UTF-8 text."
    )
