"""A bucket, by fsspec: S3 and what speaks like it, and any other file system that fsspec knows."""

from __future__ import annotations

import ftplib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from ingest.errors import DocumentTooLarge, MissingDriver, NotFound, RefusedDocument, SourceUnusable, TryAgain
from ingest.sources.protocols import package_of
from ingest.sources.types import Fetched, Listed, SourceSettings, Unlisted

_MIB = 1024 * 1024
# Of botocore, the Azure SDK, google-auth and paramiko.
_FOR_A_PERSON = (
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ClientAuthenticationError"),
    *("ResourceNotFoundError", "DefaultCredentialsError", "AuthenticationException", "BadHostKeyException"),
)
# What tells that an object is another one, in the words of the file systems.
_MARKS = ("ETag", "etag", "md5", "content_hash", "LastModified", "mtime", "created", "updated")


class BucketReader:
    """Marks are the objects' ETags, or else sizes and times: an unchanged object is never read."""

    def __init__(self, settings: SourceSettings) -> None:
        """Raises RefusedDocument for an address that is none, and MissingDriver without the package for it."""
        import fsspec

        protocol, _, self._prefix = settings.location.partition("://")
        self._protocol = protocol
        try:
            self._files: Any = fsspec.filesystem(protocol, skip_instance_cache=True, **settings.options)
        except ImportError as error:
            raise MissingDriver(f"{protocol}:// needs a package: pip install {package_of(protocol)}") from error
        except Exception as error:
            raise RefusedDocument(f"{protocol}:// can't be opened: {_said(error)}") from error
        self._sizes: dict[str, int] = {}

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed | Unlisted]:
        """Raises TryAgain where the bucket can't be read, and SourceUnusable where it is not there or not for us."""
        self._files.invalidate_cache()
        try:
            found = self._found()
        except Exception as error:
            message = f"{self._protocol}://{self._prefix} can't be listed: {_said(error)}"
            if _is_for_a_person(error):
                raise SourceUnusable(f"{message}. Mend the address or the rights. Nothing is removed.") from error
            raise TryAgain(message) from error
        for path, info in sorted(found.items()):
            if info.get("type") != "file" or path.endswith("/"):
                continue
            self._sizes[path] = int(info.get("size") or 0)
            uri = f"{self._protocol}://{path.lstrip('/')}"
            yield Listed(path, uri, path.rsplit("/", 1)[-1], _mark(info))

    def _found(self) -> dict[str, Any]:
        """What is known of each object, by its path."""
        from fsspec.asyn import AsyncFileSystem
        from fsspec.spec import AbstractFileSystem

        kind = type(self._files)
        if kind.find is not AbstractFileSystem.find and getattr(kind, "_find", None) is not AsyncFileSystem._find:
            found: dict[str, Any] = self._files.find(self._prefix, detail=True)
            return found
        # The plain `find` passes over folders that can't be read, and what is in them would be taken for gone.
        found, waiting, seen = {}, [self._prefix], set()
        while waiting:
            folder = waiting.pop()
            for info in self._files.ls(folder, detail=True):
                path = info["name"]
                if info["type"] != "directory":
                    found[path] = info
                elif path.rstrip("/") != folder.rstrip("/") and path not in seen:
                    seen.add(path)
                    waiting.append(path)
        return found

    def may_be_empty(self, since: datetime) -> bool:
        """A bucket that is not there looks like an empty one."""
        return False

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises NotFound, DocumentTooLarge and TryAgain."""
        if item.mark is not None and mark == item.mark:
            return None
        size = self._sizes.get(item.key, 0)
        data = b""
        if size <= max_bytes:
            try:
                with self._files.open(item.key, "rb") as stream:
                    data = stream.read(max_bytes + 1)
            except FileNotFoundError as error:
                raise NotFound(f"{item.uri} is gone") from error
            except Exception as error:
                raise TryAgain(f"{item.uri} can't be read: {_said(error)}") from error
            size = len(data)
        if size > max_bytes:
            raise DocumentTooLarge(
                f"{item.uri} has more than {max_bytes / _MIB:g} MiB: split it, or raise ingest.max_upload_mib"
            )
        return Fetched(data, item.mark, item.name)

    def close(self) -> None:
        """Holds nothing."""


def _mark(info: dict[str, Any]) -> str | None:
    marks = [f"{name}={info[name]}" for name in _MARKS if info.get(name)]
    return f"{info.get('size')} {marks[0]}" if marks else None


def _is_for_a_person(error: Exception) -> bool:
    """Whether an error does not pass by itself: packages of fsspec have their own ways to say so."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError | ftplib.error_perm):
        return True
    response = getattr(error, "response", None)
    stated = [getattr(its, name, None) for its in (error, response) for name in ("code", "status", "status_code")]
    return any(str(its) in ("401", "403", "404") for its in stated) or type(error).__name__ in _FOR_A_PERSON


def _said(error: Exception) -> str:
    """An error in a line; packages of fsspec raise what they like."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
