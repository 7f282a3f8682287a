"""Bare copies of git repositories in the data folder. Any of them can be removed: it is fetched anew."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from ingest.disk import writing_to
from ingest.sources.types import SourceInfo


def copy_of(data: Path, source: SourceInfo) -> Path:
    """Where the copy of a source's repository is kept: another repository has another place."""
    place = hashlib.sha256(f"{source.location}\x1f{source.settings.branch}".encode("utf-8", "surrogatepass"))
    return data / f"{source.name}-{place.hexdigest()[:12]}.git"


def remove_copies_but(data: Path, sources: Iterable[SourceInfo]) -> None:
    """Removes the copies of repositories that belong to none of `sources`. Raises DataFolderUnusable."""
    kept = {copy_of(data, source).name for source in sources if source.kind == "git"}
    for folder in data.glob("*.git"):
        if folder.name not in kept:
            with writing_to(data):
                shutil.rmtree(folder)
