"""What names a thing for good: hashes of content, and JSON in one form only."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

MAX_URI_CHARACTERS = 2048
# What stands where the name of an erased document stood.
ERASED_NAME = "(erased)"


def chunk_id_of(embedder_input: str) -> str:
    """The chunk's identity: the first 128 bits of SHA-256 over the exact input of the embedder, in hex."""
    return hashlib.sha256(embedder_input.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def document_id_of(collection: str, uri: str) -> str:
    """A document's identity: the first 80 bits of SHA-256 over collection and source URI, in hex."""
    return "d-" + hashlib.sha256(f"{collection}\x1f{uri}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


def is_uri(text: str) -> bool:
    """Whether a document can have this name: one line that every file, log and database can hold."""
    # Half a character (a lone surrogate: a file name that is no UTF-8 has them) is not printable either.
    shown = all(c.isprintable() or unicodedata.category(c) == "Zs" for c in text)  # Zs: no-break and ideographic spaces
    return 1 <= len(text) <= MAX_URI_CHARACTERS and shown


def as_uri(text: str) -> str:
    """A name that can be shown and stored for one that `is_uri` refuses: what is not printable is written out."""
    if is_uri(text):
        return text
    shown = "".join(c if is_uri(c) else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= MAX_URI_CHARACTERS else shown[: MAX_URI_CHARACTERS - 1] + "…"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so that it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
