"""The reader of a source, by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ingest.config import WebSettings
from ingest.errors import RefusedDocument
from ingest.identity import document_id_of
from ingest.originals import Originals
from ingest.sources.bucket import BucketReader
from ingest.sources.folder import FolderReader
from ingest.sources.git import GitReader
from ingest.sources.register import Item
from ingest.sources.types import SourceInfo, SourceReader
from ingest.sources.web import WebReader


def open_source(
    source: SourceInfo, known: Mapping[str, Item], data: Path, web: WebSettings, originals: Originals
) -> SourceReader:
    """`known` are the items of the source by document; `data` is the folder where copies of repositories are kept.

    Raises RefusedDocument for a location that can't be one of its kind, and MissingDriver.
    """
    settings = source.settings
    if settings.kind == "folder":
        folder = Path(settings.location).expanduser()
        if not folder.is_absolute():
            raise RefusedDocument(f"{settings.location!r} is no folder: write its whole path")
        return FolderReader(folder)
    if settings.kind == "git":
        return GitReader(settings, data / f"{source.name}.git")
    if settings.kind == "bucket":
        return BucketReader(settings)

    def stored(uri: str) -> tuple[str | None, bytes] | None:
        item = known.get(document_id_of(settings.collection, uri))
        if item is None or item.content_hash is None:
            return None
        return item.mark, originals.read(item.content_hash)

    return WebReader(settings, web, stored)
