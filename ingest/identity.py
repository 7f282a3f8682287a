"""What names a thing for good: hashes of content, and JSON in one form only."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def chunk_id_of(embedder_input: str) -> str:
    """The chunk's identity: the first 128 bits of SHA-256 over the exact input of the embedder, in hex."""
    return hashlib.sha256(embedder_input.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def document_id_of(collection: str, uri: str) -> str:
    """A document's identity: the first 80 bits of SHA-256 over collection and source URI, in hex."""
    return "d-" + hashlib.sha256(f"{collection}\x1f{uri}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so that it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
