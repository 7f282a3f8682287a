"""The names that callers give: collections and URIs, checked alike by the API and the command line."""

from __future__ import annotations

from ingest.identity import MAX_URI_CHARACTERS, is_uri
from ragstone.errors import BadRequest

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
    if not is_uri(uri):
        raise BadRequest(
            f"{_shown(uri)} is no URI: use 1 to {MAX_URI_CHARACTERS} printable characters in valid UTF-8", "uri"
        )
    return uri


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
