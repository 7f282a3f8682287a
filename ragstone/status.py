"""What a data folder holds and whether it can serve, for the API and the command line alike."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from ingest.catalog.catalog import Readable
from ragstone.errors import KnownError
from ragstone.wiring import Application
from retrieval.types import IndexReport


class ReadableStatus(BaseModel):
    """What a key for some collections is told: the counts are those of its collections, `bytes` is not for it."""

    revision: int
    documents: int
    versions: int
    chunks: int
    occurrences: int
    space: str
    bytes: int | None = None


class IndexStatus(ReadableStatus):
    """`vectors` counts them by space; `bytes` is the data folder on disk, `bytes_by_part` what each part takes."""

    vectors: dict[str, int]
    bytes: int
    bytes_by_part: dict[str, int]


def readable_status(
    application: Application, readable: Readable = None, as_of: int | datetime | None = None
) -> ReadableStatus:
    """Counts of a revision (None: the head), from the catalog alone: no model is loaded.

    `versions` are those that are kept in all. Raises UnknownRevision and RevisionGone.
    """
    counts = application.catalog.counts(readable, as_of)
    shown = {name: counts[name] for name in ("revision", "documents", "versions", "chunks", "occurrences")}
    return ReadableStatus(space=embedder_in_use(application), **shown)


def index_status(application: Application, as_of: int | datetime | None = None) -> IndexStatus:
    """The same over all collections, with what it takes on disk."""
    return IndexStatus(
        **readable_status(application, None, as_of).model_dump(exclude={"bytes"}),
        vectors=application.catalog.vectors_by_space(),
        bytes=folder_bytes(application.settings.data),
        bytes_by_part=_bytes_by_part(application.settings.data),
    )


def index_report(application: Application) -> IndexReport | str:
    """The index as it answers now, or why it can't be opened."""
    try:
        application.searcher.follow()
        return application.index.report()
    except KnownError as error:
        return f"the index can't be opened: {error}"


def embedder_in_use(application: Application) -> str:
    """The name of the model whose vectors searches use; before the first start that of the settings."""
    found = next((space.model for space in application.spaces.all() if space.in_use), None)
    return found or application.settings.retrieval.embedder.model


def _bytes_by_part(data: Path) -> dict[str, int]:
    """Catalog (texts, vectors and history), originals, and each part of the index."""
    parts = {"catalog": sum(_size(path) for path in data.glob("catalog.sqlite*"))}
    parts["originals"] = folder_bytes(data / "originals")
    index = data / "index"
    parts |= {f"index/{path.name}": folder_bytes(path) for path in sorted(index.glob("*")) if path.is_dir()}
    return parts


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`; one that is removed meanwhile counts for nothing."""
    return sum(_size(path) for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
