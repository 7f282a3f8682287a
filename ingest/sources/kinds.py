"""The reader of a source, by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ingest.config import WebSettings
from ingest.errors import NotFound
from ingest.identity import document_id_of
from ingest.originals import Originals
from ingest.source_items import Item
from ingest.sources.bucket import BucketReader
from ingest.sources.copies import copy_of
from ingest.sources.folder import FolderReader
from ingest.sources.git import GitReader
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
        return FolderReader(Path(settings.location).expanduser())
    if settings.kind == "git":
        return GitReader(settings, copy_of(data, source))
    if settings.kind == "bucket":
        return BucketReader(settings)

    def stored(uri: str) -> tuple[str | None, bytes] | None:
        item = known.get(document_id_of(settings.collection, uri))
        if item is None or item.content_hash is None:
            return None
        try:
            return item.mark, originals.read(item.content_hash)
        except NotFound:  # nothing stands on it any more
            return None

    return WebReader(settings, web, stored)
