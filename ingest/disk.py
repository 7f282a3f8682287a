"""What makes a change of the file system last through a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import DataFolderUnusable, StorageFull


def sync_folder(folder: Path) -> None:
    """Returns when the names in `folder` are on the disk: those of files that were made, renamed or removed in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes the folder and those above it where they are missing; their names are on the disk when it returns.

    Raises OSError; then none is left that may not be there after a power cut, as the next call would rely on it.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in missing:
            sync_folder(path.parent)
    except OSError:
        for path in missing:
            path.rmdir()
        raise


def why_not_written(path: Path) -> str:
    """Why a file, or the files of a folder, can't be written, and what to do: of the system's errors that don't say."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}: make it, or name another one"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} is on a file system that is mounted read-only: mount it to be written, or name another folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is read-only for this user: give it the right to write there, or name another one"
    if path.is_file() and not os.access(path, os.R_OK | os.W_OK):
        return f"the file {path} is read-only for this user: give it the right to write it"
    return f"see to the permissions of {path}"


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Says what the system's errors mean to the user: raises StorageFull and DataFolderUnusable in their place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"no space left in {folder}: free some, then try again") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            said = f"{folder} can't be written ({error.strerror})"
            raise DataFolderUnusable(f"{said}: {why_not_written(folder)}") from error
        if error.errno == errno.EIO:
            raise DataFolderUnusable(f"the disk of {folder} does not work ({error.strerror}): see to it") from error
        raise
