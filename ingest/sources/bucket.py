"""A bucket, by fsspec: S3 and what speaks like it, and any other file system that fsspec knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ingest.errors import DocumentTooLarge, MissingDriver, NotFound, RefusedDocument, TryAgain
from ingest.sources.types import Fetched, Listed, SourceSettings

_MIB = 1024 * 1024
# What tells that an object is another one, in the words of the file systems.
_MARKS = ("ETag", "etag", "md5", "content_hash", "LastModified", "mtime", "created", "updated")
# Files of this machine have a kind of source of their own, which minds links.
_REFUSED = frozenset(("file", "local", "simplecache", "filecache", "blockcache", "cached", "dir", "reference", "sftp"))


class BucketReader:
    """Marks are the objects' ETags, or else sizes and times: an unchanged object is never read."""

    def __init__(self, settings: SourceSettings) -> None:
        """Raises RefusedDocument for an address that is none, and MissingDriver without the package for it."""
        import fsspec

        protocol, separator, self._prefix = settings.location.partition("://")
        if not separator or protocol in _REFUSED or "::" in settings.location:
            raise RefusedDocument(f"{settings.location!r} is no bucket: write an address such as s3://bucket/folder")
        self._protocol = protocol
        try:
            self._files: Any = fsspec.filesystem(protocol, skip_instance_cache=True, **settings.options)
        except ImportError as error:
            raise MissingDriver(f"{protocol} needs a package: pip install 'ragstone[{protocol}]' ({error})") from error
        except ValueError as error:
            raise RefusedDocument(f"{protocol}:// is unknown to fsspec: write s3://bucket/folder") from error
        self._sizes: dict[str, int] = {}

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        """Raises TryAgain where the bucket can't be read."""
        self._files.invalidate_cache()
        try:
            found = self._files.find(self._prefix, detail=True)
        except Exception as error:
            raise TryAgain(f"{self._protocol}://{self._prefix} can't be listed: {_said(error)}") from error
        for path, info in sorted(found.items()):
            if info.get("type") != "file" or path.endswith("/"):
                continue
            self._sizes[path] = int(info.get("size") or 0)
            uri = f"{self._protocol}://{path.lstrip('/')}"
            yield Listed(path, uri, path.rsplit("/", 1)[-1], _mark(info))

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises NotFound, DocumentTooLarge and TryAgain."""
        if item.mark is not None and mark == item.mark:
            return None
        size = self._sizes.get(item.key, 0)
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


def _mark(info: dict[str, Any]) -> str | None:
    marks = [f"{name}={info[name]}" for name in _MARKS if info.get(name)]
    return f"{info.get('size')} {marks[0]}" if marks else None


def _said(error: Exception) -> str:
    """An error in a line; packages of fsspec raise what they like."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
