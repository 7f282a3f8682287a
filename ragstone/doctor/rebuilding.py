"""Taking parts of the index away, so that they are made again from the catalog."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import CatalogUnavailable

if TYPE_CHECKING:
    from ragstone.wiring import Application


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """The lock of the index's writer. Raises CatalogUnavailable where a service has it."""
    with open(root / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CatalogUnavailable("a running service writes the index: stop it, then repair") from None
        yield


def remove_parts(application: Application, parts: str = "*") -> None:
    """Removes the folders of the index that match `parts`, and lets go of the index that this process has opened."""
    root = application.settings.data / "index"
    root.mkdir(exist_ok=True)
    with alone(root):
        for folder in root.glob(parts):
            if folder.is_dir():
                shutil.rmtree(folder)
    if "live" in vars(application):
        del application.live
