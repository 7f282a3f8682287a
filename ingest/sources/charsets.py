"""Text of web servers by the encoding that they state: kept as UTF-8 with a mark, since bytes alone don't tell it."""

from __future__ import annotations

import codecs

from ingest.loaders.encodings import byte_order_mark, codec_of, try_decode

# What a server says of all its pages, whatever they are: text that is UTF-8 is that.
_SERVERS_DEFAULTS = ("cp1252", "ascii")
_WIDE = {"utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
# Of the characters beyond ASCII: with more, it is not what the server says.
_MAX_UNDECODABLE_SHARE = 0.1


def in_utf_8(data: bytes, charset: str | None) -> bytes:
    """Text as UTF-8 with a byte order mark, where `charset` (of `Content-Type`) says that it is anything else.

    It goes before what the text itself declares, and a byte order mark before it, as in browsers (WHATWG HTML,
    13.2.3.2). Text is left as it is where nothing is stated, or where it is not what is stated.
    """
    label = (charset or "").strip().lower()
    codec = _WIDE.get(label) or codec_of(label)
    if codec is None or byte_order_mark(data) or codecs.lookup(codec).name == "utf-8":
        return data
    if codec in _SERVERS_DEFAULTS and try_decode(data, "utf-8") is not None:
        return data
    text = data.decode(codec, "replace")
    beyond = sum(not character.isascii() for character in text)
    if not beyond or text.count("\ufffd") > _MAX_UNDECODABLE_SHARE * beyond:
        return data
    return codecs.BOM_UTF8 + text.encode("utf-8", "replace")
