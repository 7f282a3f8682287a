"""A folder of this machine: what is in it, and nothing that a link leads to outside."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from ingest.errors import DocumentTooLarge, NotFound, RefusedDocument, SourceUnusable, TryAgain
from ingest.sources.types import Fetched, LeftOut, Listed, Unlisted

# A file written so lately can be written again without a change of its times: its mark is not trusted yet.
_SETTLED_S = 2.0
_MIB = 1024 * 1024
_STAYS = "Nothing is removed."
# What programs leave while they write.
_UNFINISHED = (".part", ".partial", ".crdownload", ".tmp", ".swp", "~")


class FolderReader:
    """Files below a folder but for hidden ones. Marks are size, times and number of the file: nothing is read."""

    def __init__(self, root: Path, now: Callable[[], float] = time.time) -> None:
        """`now` tells seconds since 1970."""
        self._root = root
        self._now = now

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed | Unlisted | LeftOut]:
        """By name, those of a folder before those of the folders in it. Raises SourceUnusable, and TryAgain.

        A link to a file is that file when it is in the folder too. All other links are left out.
        """
        root = os.path.realpath(self._root)
        if not os.path.isdir(root):
            raise SourceUnusable(f"there is no folder {self._root}: put it there, or remove the source. {_STAYS}")
        waiting = [(root, "")]
        while waiting and not stop():
            folder, prefix = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except FileNotFoundError as error:
                if not prefix:
                    raise TryAgain(f"the folder {folder} went away: nothing is removed") from error
                continue
            except OSError as error:
                if not prefix:
                    said = f"the folder {folder} can't be read: {error.strerror}. Mend its rights."
                    raise SourceUnusable(f"{said} {_STAYS}") from error
                yield Unlisted(prefix, f"the folder {_shown(prefix)} can't be read: {error.strerror}. Mend its rights.")
                continue
            below = []
            for entry in entries:
                if entry.name.startswith((".", "~$")) or entry.name.endswith(_UNFINISHED):
                    continue
                key = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    below.append((entry.path, f"{key}/"))
                elif entry.is_symlink() and (reason := _why_not_followed(entry, root)):
                    yield LeftOut(key, reason)
                elif (state := self._state(entry)) is not None:
                    yield Listed(key, key, _shown(entry.name), self._mark(state))
            waiting.extend(reversed(below))

    def may_be_empty(self, since: datetime) -> bool:
        """An empty folder that was not touched since it had files is the place where another one should be mounted."""
        try:
            changed = os.stat(self._root).st_mtime
            with os.scandir(self._root) as found:
                return changed >= since.timestamp() or any(True for _ in found)
        except OSError:
            return False

    def _state(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        """Of a regular file; a link counts when what it leads to is in the folder too."""
        try:
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(state.st_mode):
                state = entry.stat() if _is_inside(entry.path, os.path.realpath(self._root)) else state
        except OSError:  # it has gone meanwhile, or the link leads nowhere
            return None
        return state if stat.S_ISREG(state.st_mode) else None

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises NotFound, DocumentTooLarge, and RefusedDocument where the file can't be read."""
        with os.fdopen(self._opened(item), "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise NotFound(f"{item.uri} is no file")
            data = b"" if before.st_size > max_bytes else file.read(max_bytes + 1)
            after = os.fstat(file.fileno())
        if max(len(data), before.st_size) > max_bytes:
            raise DocumentTooLarge(
                f"{item.uri} has {before.st_size / _MIB:.1f} MiB and the limit is {max_bytes / _MIB:g}: split it, "
                "or raise ingest.max_upload_mib"
            )
        return Fetched(data, self._mark(before) if _same(before, after) else None, item.name)

    def _opened(self, item: Listed) -> int:
        """A descriptor of the file. No link is followed that was put there since it was seen where it leads."""
        root = os.path.realpath(self._root)
        path = os.path.realpath(os.path.join(root, item.key))
        if not _is_inside(path, root):
            raise NotFound(f"{item.uri} is a link that leads out of its folder")
        *folders, name = os.path.relpath(path, root).split(os.sep)
        at = -1
        try:
            at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for folder in folders:
                above, at = at, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.close(above)
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"{item.uri} is gone") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotFound(f"{item.uri} became a link while it was opened") from error
            raise RefusedDocument(f"{item.uri} can't be read: {error.strerror}. Mend its rights.") from error
        finally:
            if at >= 0:
                os.close(at)

    def close(self) -> None:
        """Holds nothing."""

    def _mark(self, state: os.stat_result) -> str | None:
        now = self._now()
        if any(abs(now - changed) < _SETTLED_S for changed in (state.st_mtime, state.st_ctime)):
            return None
        return "-".join(map(str, _numbers(state)))


def _why_not_followed(link: os.DirEntry[str], root: str) -> str:
    """Why a link is left out; "" for one that leads to a file within `root`."""
    if not _is_inside(link.path, root):
        return "links that lead out of the folder"
    try:
        return "links to folders" if link.is_dir() else "" if link.is_file() else "links to no file"
    except OSError:
        return "links that lead to themselves"


def folders_below(root: str) -> list[str]:
    """`root` and all folders in it, but for hidden ones, and without following a link."""
    found = []
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if not name.startswith((".", "~$"))]
        found.append(folder)
    return found


def _is_inside(path: str, root: str) -> bool:
    return os.path.commonpath([root, os.path.realpath(path)]) == root


def _shown(name: str) -> str:
    """A name as text: bytes that are no UTF-8 are written out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return _numbers(before) == _numbers(after)


def _numbers(state: os.stat_result) -> tuple[int, ...]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino
