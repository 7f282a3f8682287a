"""Takes a backup while the service runs: one state of the catalog, and the originals that this state stands on.

The catalog is copied first. Originals never change, so they can be copied afterwards, unless one was taken away in
between, by an erasure or by retention: then a newer state of the catalog is copied and all begins anew. So a backup
holds a document with all that belongs to it, or not at all.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import func, select, update

import ragstone
from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.disk import sync_folder
from ingest.errors import CatalogUnavailable, NotFound, StorageFull
from ingest.jobs.queue import FINISHED, JobQueue
from ingest.originals import Originals
from ragstone.backups import archive
from ragstone.backups.archive import Manifest
from ragstone.backups.copies import copy_to_file, opened
from ragstone.errors import BadRequest

_ATTEMPTS = 5
_PIECE = 1 << 20
_COUNTED = ("documents", "versions", "chunks", "vectors", "occurrences", "jobs", "answers", "keys", "tombstones")

# Called with the step at hand, how many of its bytes are done, and how many there are.
Progress = Callable[[str, int, int], object]


class _Vanished(Exception):
    """An original that the copied catalog stands on was taken away meanwhile."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a backup is taken of. `data` is the folder in which no backup may be put."""

    catalog: Catalog
    originals: Originals
    data: Path


def take(source: Source, file: Path, *, force: bool, progress: Progress) -> Manifest:
    """Writes a backup to `file`, under a temporary name until it is complete and on the disk.

    Originals that are missing or damaged, and not because they were erased, are left out and named in the manifest.
    Raises BadRequest, StorageFull and CatalogUnavailable.
    """
    _check_place(source, file, force)
    part, copy = file.parent / f".{file.name}.part", file.parent / f".{file.name}.catalog"
    with _storage(file), _written_alone(part) as target:
        try:
            for _ in range(_ATTEMPTS):
                try:
                    manifest = _write(source, copy, target, progress)
                    break
                except _Vanished:
                    continue
            else:
                raise CatalogUnavailable("originals were removed each time they were to be copied: try again later")
            target.flush()
            os.fsync(target.fileno())
            if file.exists() and not force:
                raise BadRequest(f"{file} was made in the meantime: --force replaces it")
            os.rename(part, file)
            sync_folder(file.parent)
        finally:
            _remove_database(copy)
    return manifest


def _write(source: Source, copy: Path, target: IO[bytes], progress: Progress) -> Manifest:
    progress("catalog", 0, 2)
    _remove_database(copy)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
    copy_to_file(source.catalog, copy)
    progress("catalog", 1, 2)
    copied = opened(copy)
    try:
        present, absent = _originals(source, copied)
        values = _facts(copied)
    finally:
        copied.close()
    progress("catalog", 2, 2)
    size = copy.stat().st_size
    members = {archive.CATALOG: (size, _hash_of(copy))}
    members |= {
        archive.name_of_original(content_hash): (present[content_hash], content_hash) for content_hash in present
    }
    manifest = Manifest(**values, absent=tuple(absent), members=members)
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress("writing", done, manifest.size_bytes)

    def pieces(name: str) -> Iterator[bytes]:
        if name == archive.CATALOG:
            yield from _read(copy)
            return
        try:
            yield source.originals.read(name.rpartition("/")[2])
        except (NotFound, OSError) as error:
            raise _Vanished from error

    target.seek(0)
    target.truncate()
    archive.write(target, manifest, pieces, report)
    return manifest


def _originals(source: Source, copied: Catalog) -> tuple[dict[str, int], list[str]]:
    """The originals that the copy stands on, with their sizes, and those that can't be had.

    Raises _Vanished where one was taken away since: the copy is of no use then.
    """
    _withdraw_vanished(source, copied)
    with copied.reading() as connection:
        wanted = copied.content_hashes(connection) | JobQueue(copied).hashes_in_use(connection)
    present: dict[str, int] = {}
    missing: list[str] = []
    for content_hash in sorted(wanted):
        try:
            present[content_hash] = len(source.originals.read(content_hash))
        except (NotFound, OSError):
            missing.append(content_hash)
    with source.catalog.reading() as connection:
        still_wanted = source.catalog.content_hashes(connection)
    if not still_wanted.issuperset(missing):
        raise _Vanished
    return present, missing


def _withdraw_vanished(source: Source, copied: Catalog) -> None:
    """Uploads that waited when the catalog was copied, and whose files were refused and removed since."""
    jobs = schema.jobs
    with copied.writing() as connection:
        stand = copied.content_hashes(connection)
        there = source.originals.hashes() | stand
        waiting = select(jobs.c.number, jobs.c.payload).where(jobs.c.state.not_in(FINISHED))
        for number, payload in connection.execute(waiting).all():
            uploads = payload.get("uploads", [])
            kept = [item if item["content_hash"] in there else {**item, "erased": True} for item in uploads]
            if kept != uploads:
                its = jobs.c.number == number
                connection.execute(update(jobs).where(its).values(payload={**payload, "uploads": kept}))


def _facts(copied: Catalog) -> dict[str, Any]:
    with copied.reading() as connection:
        return {
            "made_by": f"ragstone {ragstone.__version__}",
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "catalog_id": copied.catalog_id,
            "schema": connection.execute(select(func.max(schema.migrations.c.number))).scalar_one(),
            "revision": statements.head(connection),
            "counts": {name: statements.count(connection, schema.metadata.tables[name]) for name in _COUNTED},
        }


def _check_place(source: Source, file: Path, force: bool) -> None:
    if file.is_dir() or not file.name:
        raise BadRequest(f"{file} is a folder: name a file in it")
    if not file.parent.is_dir():
        raise BadRequest(f"there is no folder {file.parent}: make it first")
    if file.exists() and not force:
        raise BadRequest(f"{file} is there already: --force replaces it")
    if file.resolve().is_relative_to(source.data.resolve()):
        raise BadRequest(
            f"{file} is inside the data folder, where an erased document must be in no file: name another place"
        )


@contextmanager
def _written_alone(part: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner may read: what is in a backup may be secret. On an error it is removed."""
    with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        busy = CatalogUnavailable(f"another backup is being written to {part}: wait until it is done")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        # Another one could have finished and renamed it before the lock was taken.
        if not part.exists() or not os.path.samestat(part.stat(), os.fstat(file.fileno())):
            raise busy
        try:
            yield file
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def _storage(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"there is no room for {file}: free some, or name another place") from error
        raise BadRequest(f"{file} can't be written: {error.strerror}; name another place") from error


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened_file:
        while piece := opened_file.read(_PIECE):
            yield piece


def _hash_of(file: Path) -> str:
    digest = hashlib.sha256()
    for piece in _read(file):
        digest.update(piece)
    return digest.hexdigest()


def _remove_database(file: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + end).unlink(missing_ok=True)
