"""The names that callers give: collections and URIs, checked alike by the API and the command line."""

from __future__ import annotations

import unicodedata

from ragstone.errors import BadRequest

MAX_URI_CHARACTERS = 2048
_SHOWN_CHARACTERS = 100


def collection_name(name: str) -> str:
    """Checks a collection's name: what it allows is safe in paths, logs and URLs. Raises BadRequest."""
    if not (1 <= len(name) <= 64 and name.replace("-", "").replace("_", "").isalnum() and name.isascii()):
        raise BadRequest(f"{_shown(name)} is no collection name: use 1 to 64 letters, digits, - and _", "collection")
    return name


def source_name(name: str) -> str:
    """Checks a source's name, which is that of a folder too. Raises BadRequest."""
    if not (1 <= len(name) <= 64 and name.replace("-", "").replace("_", "").isalnum() and name.isascii()):
        raise BadRequest(f"{_shown(name)} is no name of a source: use 1 to 64 letters, digits, - and _", "name")
    return name


def document_uri(uri: str) -> str:
    """Checks a document's URI: one line that every file, log and database can hold. Raises BadRequest."""
    # Half a character (a lone surrogate: a file name that is no UTF-8 has them) is not printable either.
    shown = all(c.isprintable() or unicodedata.category(c) == "Zs" for c in uri)  # Zs: no-break and ideographic spaces
    if not (1 <= len(uri) <= MAX_URI_CHARACTERS and shown):
        raise BadRequest(
            f"{_shown(uri)} is no URI: use 1 to {MAX_URI_CHARACTERS} printable characters in valid UTF-8", "uri"
        )
    return uri


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
