"""What a data folder holds and whether it can serve, for the API and the command line alike."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from ragstone.wiring import Application


class IndexStatus(BaseModel):
    """`vectors` counts them by space, `bytes` is the whole data folder on disk."""

    revision: int
    documents: int
    versions: int
    chunks: int
    occurrences: int
    space: str
    vectors: dict[str, int]
    bytes: int


def index_status(application: Application) -> IndexStatus:
    """Counts of the head revision, from the catalog alone: no model is loaded."""
    counts = application.catalog.counts()
    return IndexStatus(
        revision=application.catalog.head(),
        documents=counts["documents"],
        versions=counts["versions"],
        chunks=counts["chunks"],
        occurrences=counts["occurrences"],
        space=application.settings.retrieval.embedder.model,
        vectors=application.catalog.vectors_by_space(),
        bytes=folder_bytes(application.settings.data),
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`; one that is removed meanwhile counts for nothing."""
    return sum(_size(path) for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
