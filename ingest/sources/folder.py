"""A folder of this machine: what is in it, and nothing that a link leads to outside."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ingest.errors import DocumentTooLarge, NotFound, RefusedDocument, TryAgain
from ingest.sources.types import Fetched, Listed

# A file written so lately can be written again without a change of its times: its mark is not trusted yet.
_SETTLED_S = 2.0
_MIB = 1024 * 1024
# What programs leave while they write.
_UNFINISHED = (".part", ".partial", ".crdownload", ".tmp", ".swp", "~")


class FolderReader:
    """Files below a folder but for hidden ones. Marks are size, times and number of the file: nothing is read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        """By name. Raises TryAgain where the folder, or one in it, can't be read."""
        root = os.path.realpath(self._root)
        if not os.path.isdir(root):
            raise TryAgain(f"there is no folder {self._root}: it is looked for again later, and nothing is removed")
        yield from self._below(root, "", stop)

    def _below(self, folder: str, prefix: str, stop: Callable[[], bool]) -> Iterator[Listed]:
        if stop():
            return
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise TryAgain(f"the folder {folder} can't be read: {error.strerror}") from error
        for entry in entries:
            if entry.name.startswith((".", "~$")) or entry.name.endswith(_UNFINISHED):
                continue
            key = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(entry.path, f"{key}/", stop)
                continue
            state = self._state(entry)
            if state is not None:
                shown = key.encode("utf-8", "backslashreplace").decode("utf-8")
                yield Listed(key, shown, shown.rsplit("/", 1)[-1], _mark(state))

    def _state(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        """Of a regular file; a link counts when what it leads to is in the folder too."""
        try:
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(state.st_mode):
                state = entry.stat() if self._is_inside(entry.path) else state
        except OSError:  # it has gone meanwhile, or the link leads nowhere
            return None
        return state if stat.S_ISREG(state.st_mode) else None

    def _is_inside(self, path: str) -> bool:
        root = os.path.realpath(self._root)
        return os.path.commonpath([root, os.path.realpath(path)]) == root

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises NotFound, DocumentTooLarge, and RefusedDocument where the file can't be read."""
        path = os.path.join(os.path.realpath(self._root), item.key)
        if not self._is_inside(path):
            raise NotFound(f"{item.uri} is a link that leads out of its folder")
        try:
            descriptor = os.open(os.path.realpath(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"{item.uri} is gone") from error
        except OSError as error:
            raise RefusedDocument(f"{item.uri} can't be read: {error.strerror}. Mend its rights.") from error
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise NotFound(f"{item.uri} is no file")
            if before.st_size > max_bytes:
                raise DocumentTooLarge(
                    f"{item.uri} has {before.st_size / _MIB:.1f} MiB and the limit is {max_bytes / _MIB:g}: split it, "
                    "or raise ingest.max_upload_mib"
                )
            data = file.read(max_bytes + 1)[:max_bytes]
            after = os.fstat(descriptor)
        settled = _mark(before) if _mark(before) == _mark(after) else None
        return Fetched(data, settled, item.name)


def _mark(state: os.stat_result) -> str | None:
    if time.time() - max(state.st_mtime, state.st_ctime) < _SETTLED_S:
        return None
    return f"{state.st_size}-{state.st_mtime_ns}-{state.st_ctime_ns}-{state.st_ino}"
