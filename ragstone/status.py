"""What a data folder holds and whether it can serve, for the API and the command line alike."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from ragstone.errors import KnownError
from ragstone.wiring import Application
from retrieval.types import IndexReport


class IndexStatus(BaseModel):
    """`vectors` counts them by space; `bytes` is the data folder on disk, `bytes_by_part` what each part takes."""

    revision: int
    documents: int
    versions: int
    chunks: int
    occurrences: int
    space: str
    vectors: dict[str, int]
    bytes: int
    bytes_by_part: dict[str, int]


def index_status(application: Application) -> IndexStatus:
    """Counts of the head revision, from the catalog alone: no model is loaded."""
    counts = application.catalog.counts()
    return IndexStatus(
        revision=application.catalog.head(),
        documents=counts["documents"],
        versions=counts["versions"],
        chunks=counts["chunks"],
        occurrences=counts["occurrences"],
        space=embedder_in_use(application),
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
