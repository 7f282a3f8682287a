"""Original files, content-addressed: `originals/ab/abcdef…`, named by the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ingest.disk import make_folder, sync_folder, writing_to
from ingest.errors import NotFound

Opener = Callable[[str, int], int]

_AT_A_TIME = 8


class Originals:
    """A folder of immutable files, complete once they have their names: written aside, synced, renamed, folder synced.

    `opener` opens the temporary file, as in the built-in `open`.
    """

    def __init__(self, root: Path, opener: Opener | None = None) -> None:
        """Makes the folder. Raises StorageFull and DataFolderUnusable."""
        self._root = root
        self._opener = opener
        with writing_to(root):
            make_folder(root)

    def put(self, data: bytes, anew: bool = False) -> str:
        """Stores `data` and returns its SHA-256 in hex. Raises StorageFull and DataFolderUnusable; then nothing
        is left behind.

        With `anew` bytes that are there already are written once more, so that the time it takes tells nothing.
        """
        content_hash = hashlib.sha256(data).hexdigest()
        path = self._path(content_hash)
        there = path.exists()
        if there and not anew and path.read_bytes() == data:  # one that was damaged is mended
            return content_hash
        part = self._root / f".part-{uuid.uuid4().hex}"
        with writing_to(self._root):
            try:
                make_folder(path.parent)
                with open(part, "wb", opener=self._opener) as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(part, path)
                sync_folder(path.parent)
            except OSError:
                part.unlink(missing_ok=True)
                if not there:  # a file that may not be on the disk must not be taken for one that is
                    path.unlink(missing_ok=True)
                raise
        return content_hash

    def put_all(self, files: Sequence[bytes], anew: bool = False) -> list[str]:
        """As `put`, for several at a time: a disk that is waited for by some takes little longer than for one."""
        hashes = [hashlib.sha256(data).hexdigest() for data in files]
        different = dict(zip(hashes, files, strict=True))
        if len(different) == 1:
            self.put(files[0], anew)
            return hashes
        before = {content_hash for content_hash in different if self._path(content_hash).exists()}
        with ThreadPoolExecutor(_AT_A_TIME, "originals") as threads:
            futures = [threads.submit(self.put, data, anew) for data in different.values()]
        try:
            for future in futures:
                future.result()
        except Exception:
            for content_hash in different.keys() - before:
                self.remove(content_hash)
            raise
        return hashes

    def read(self, content_hash: str) -> bytes:
        """The bytes, checked against their hash. Raises NotFound if they are missing or damaged."""
        path = self._path(content_hash)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"the original {content_hash[:12]}… is missing from {self._root}") from error
        if hashlib.sha256(data).hexdigest() != content_hash:
            raise NotFound(f"the original {path} is damaged: its bytes no longer match its name; upload the file again")
        return data

    def remove(self, content_hash: str) -> None:
        """Removes the file for good: it does not come back after a power cut. Raises DataFolderUnusable."""
        path = self._path(content_hash)
        if path.exists():
            with writing_to(self._root):
                path.unlink()
                sync_folder(path.parent)

    def hashes(self) -> set[str]:
        """The names of all complete files."""
        return {path.name for path in self._root.glob("??/*")}

    def unfinished(self) -> list[Path]:
        """What a write that never ended has left behind."""
        return sorted(self._root.glob(".part-*"))

    def remove_unfinished(self) -> None:
        """For when nothing is being written. Raises DataFolderUnusable."""
        with writing_to(self._root):
            for path in self.unfinished():
                path.unlink(missing_ok=True)

    def _path(self, content_hash: str) -> Path:
        return self._root / content_hash[:2] / content_hash
