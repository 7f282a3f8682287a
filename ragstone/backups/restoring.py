"""Restores a backup, such that a kill at any moment leaves the old data folder or the new one.

    1. unpack    everything into `.restore-…` within the data folder, each member checked against the manifest
    2. prepare   there: the catalog is migrated, gets a new id, and forgets what was erased since
    3. place     the originals beside those that are there: their names are their content, so neither catalog minds
    4. switch    the new catalog takes the place of the old one by one rename; up to here the old data folder holds,
                 from here on the new one
    5. clean up  the index of the old catalog, originals that nothing stands on any more, and `.restore-…`

Where step 5 was not reached, `ragstone doctor --repair` does it; the index of another catalog is never used, since
each catalog has an id. On PostgreSQL step 4 is the commit of one transaction, into a database that must be empty.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Table, update

from ingest.catalog import facts, migrations, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import Lease
from ingest.disk import sync_folder
from ingest.errors import CatalogDamaged, CatalogUnavailable, DataFolderUnusable, LeaseHeld, StorageFull
from ingest.jobs.hindrances import WORKER
from ingest.jobs.queue import JobQueue
from ingest.originals import Originals
from ragstone.backups import archive
from ragstone.backups.archive import BadBackup, Manifest
from ragstone.backups.copies import copy_rows, opened
from ragstone.backups.replacing import Replaced, obey, read_from_file
from ragstone.errors import BadRequest

_PREFIX = ".restore-"
_LOCK = "lock"
_SQLITE = "catalog.sqlite"
# What belongs to a catalog beside its file, as long as somebody has it open or was killed with it.
_BESIDE = (f"{_SQLITE}-wal", f"{_SQLITE}-shm", f"{_SQLITE}-journal")
_BUSY_S = 5.0
# Of a filesystem: what must be left when all is unpacked.
_MARGIN_BYTES = 16 << 20
# Tables that a catalog in which nothing was ever done may have rows in.
_OF_AN_EMPTY_CATALOG = (schema.migrations, schema.facts, schema.leases, schema.spaces)

# Called with the step at hand, how much of it is done, and how much it is.
Progress = Callable[[str, int, int], object]


@dataclass(frozen=True, slots=True)
class Restored:
    """`erased` counts documents that were erased after the backup was taken, and stayed so.

    `unknown` is why it can't be told what was erased since, where the catalog that was replaced could not be read.
    """

    manifest: Manifest
    erased: int
    unknown: str | None = None


def restore(file: Path, data: Path, url: str | None, *, force: bool, progress: Progress) -> Restored:
    """Puts what the backup `file` holds into the folder `data`, and its catalog into PostgreSQL where there is a `url`.

    Raises BadBackup, BadRequest and LeaseHeld, after which nothing has changed, and StorageFull and CatalogUnavailable.
    """
    try:
        with open(file, "rb") as backup:
            manifest = archive.read_manifest(backup)
            _check(manifest, data, url, force)
            backup.seek(0)
            return _restore(backup, manifest, data, url, progress)
    except BadBackup as error:
        raise BadBackup(f"{file}: {error}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"there is no room in {data} for what {file} holds: free some, then try again") from error
        place = error.filename or file
        raise BadRequest(f"{place} can't be used: {error.strerror}") from error


def leftovers(data: Path) -> list[Path]:
    """What restores that were killed have left in a data folder; not that of one that is at work."""
    return [path for path in sorted(data.glob(f"{_PREFIX}*")) if _is_abandoned(path)]


def _restore(backup: IO[bytes], manifest: Manifest, data: Path, url: str | None, progress: Progress) -> Restored:
    with _workplace(data) as place:
        # 1. Unpack.
        _unpack(backup, manifest, place, progress)
        if url is not None:
            return _restore_into(Catalog(url), manifest, place, data, progress)
        # 2. Prepare, with the old catalog shut to all others from here on.
        with _sole_use(data / _SQLITE) as old:
            erased = _prepare(place, manifest, old.replaced)
            progress("placing", 1, 5)
            # 3. Place.
            _place_originals(place, data)
            progress("placing", 2, 5)
            # 4. Switch.
            old.replace_by(place / _SQLITE)
            progress("placing", 3, 5)
        # 5. Clean up.
        _remove_index(data, place)
        progress("placing", 4, 5)
        _remove_unused_originals(opened(data / _SQLITE), data)
    progress("placing", 5, 5)
    return Restored(manifest, erased, old.unknown)


def _restore_into(catalog: Catalog, manifest: Manifest, place: Path, data: Path, progress: Progress) -> Restored:
    """The same into PostgreSQL, whose transaction does what the rename does elsewhere."""
    lease = Lease(catalog, WORKER)
    try:
        if not lease.acquire():
            raise LeaseHeld(f"{lease.holder()} works on this catalog: stop it, then restore")
        try:
            with _sole_use(data / _SQLITE) as old:
                erased = _prepare(place, manifest, old.replaced)
            progress("placing", 1, 3)
            _place_originals(place, data)
            prepared = opened(place / _SQLITE)
            try:
                with prepared.reading() as source, catalog.writing() as target:
                    lease.require(target)
                    filled = next((t.name for t in _tables_of_content() if statements.count(target, t)), None)
                    if filled is not None:
                        raise BadRequest(
                            f"the database of ingest.catalog_url is not empty ({filled} has rows): a backup is "
                            "restored into an empty one; create one, and name it there"
                        )
                    copy_rows(source, target)
            finally:
                prepared.close()
            progress("placing", 2, 3)
            _remove_index(data, place)
        finally:
            if lease.held:
                lease.release()
    finally:
        catalog.close()
    progress("placing", 3, 3)
    return Restored(manifest, erased, old.unknown)


def _check(manifest: Manifest, data: Path, url: str | None, force: bool) -> None:
    """What can be refused before anything is written."""
    known = len(migrations.STEPS) + 1
    if manifest.schema > known:
        raise BadBackup(
            f"the backup has schema {manifest.schema} and this version of Ragstone knows {known}: use the newer one"
        )
    if data.exists() and not data.is_dir():
        raise DataFolderUnusable(f"the data folder {data} can't be used: it is a file; name another")
    there = [path.name for path in data.iterdir() if not path.name.startswith(_PREFIX)] if data.exists() else []
    if there and url is None and not force:
        raise BadRequest(f"the data folder {data} is not empty: --force replaces what is in it by the backup")
    free = shutil.disk_usage(next(path for path in (data, *data.absolute().parents) if path.exists())).free
    if free < manifest.size_bytes + _MARGIN_BYTES:
        needed, there_is = manifest.size_bytes / 1e6, free / 1e6
        raise StorageFull(f"the backup needs {needed:,.0f} MB in {data} and {there_is:,.0f} MB are free: free some")


# 1. Unpack


@contextmanager
def _workplace(data: Path) -> Iterator[Path]:
    """A folder in the data folder, removed at the end; the lock in it tells that somebody is at work there."""
    made = not data.exists()
    data.mkdir(parents=True, exist_ok=True)
    place = data / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
    place.mkdir(mode=0o700)
    try:
        with open(place / _LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place
    finally:
        shutil.rmtree(place)
        if made and not any(data.iterdir()):
            data.rmdir()


def _is_abandoned(place: Path) -> bool:
    try:
        with open(place / _LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _unpack(backup: IO[bytes], manifest: Manifest, place: Path, progress: Progress) -> None:
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress("unpacking", done, manifest.size_bytes)

    def target(name: str) -> IO[bytes]:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")

    archive.unpack(backup, manifest, target, report)
    (place / "originals").mkdir(exist_ok=True)


# 2. Prepare


def _prepare(place: Path, manifest: Manifest, replaced: Replaced) -> int:
    """Makes the unpacked catalog one of its own; returns how many documents were erased from it."""
    try:
        catalog = opened(place / _SQLITE)
    except CatalogDamaged as error:
        raise BadBackup("the catalog in it is damaged") from error
    try:
        with catalog.writing() as connection:
            if statements.head(connection) != manifest.revision:
                raise BadBackup("the catalog in it is not the one that its manifest describes")
            # Whatever was derived from another catalog is foreign to this one, and no process works on it yet.
            facts.put(connection, migrations.CATALOG_ID, uuid.uuid4().hex)
            connection.execute(update(schema.leases).values(expires_at=None))
        erased = obey(catalog, replaced)
        _remove_unused_originals(catalog, place, close=False)
    finally:
        catalog.close()
    return erased


# 3. Place


def _place_originals(place: Path, data: Path) -> None:
    """Moves the unpacked originals to their places; what is there under the same name may be damaged, and is replaced.

    All files of the system are brought to the disk together: one by one it would take longer than all else.
    """
    os.sync()
    root = data / "originals"
    root.mkdir(exist_ok=True)
    for folder in sorted((place / "originals").iterdir()):
        (root / folder.name).mkdir(exist_ok=True)
        for path in folder.iterdir():
            os.rename(path, root / folder.name / path.name)
    os.sync()


# 4. Switch


class _Old:
    """The catalog that is replaced, shut to all others; or the place where there is none."""

    def __init__(self, file: Path, descriptor: int | None, replaced: Replaced, unknown: str | None) -> None:
        self._file = file
        self._descriptor = descriptor
        self.replaced = replaced
        self.unknown = unknown

    def replace_by(self, new: Path) -> None:
        """Puts the file `new` in its place, at once and for good."""
        # Of a sound catalog that was shut nothing is left beside it; what is left of another must not be taken for
        # the log of the new one.
        for name in _BESIDE:
            self._file.with_name(name).unlink(missing_ok=True)
        if self._descriptor is None:
            os.link(new, self._file)  # unlike a rename, this fails when somebody was quicker
        else:
            os.rename(new, self._file)
            # Who had just opened it and waits for the lock must not take it for the catalog.
            os.pwrite(self._descriptor, bytes(16), 0)
        sync_folder(self._file.parent)


@contextmanager
def _sole_use(file: Path) -> Iterator[_Old]:
    """Shuts a catalog to all other processes. Raises LeaseHeld and CatalogUnavailable where one has it open."""
    if not file.exists():
        yield _Old(file, None, Replaced(), None)
        return
    _require_free(file)
    raw = _shut(file)
    # Closing any descriptor of the file ends SQLite's locks on it: this one is closed after SQLite's own.
    descriptor = os.open(file, os.O_RDWR)
    try:
        replaced, unknown = _read(raw)
        yield _Old(file, descriptor, replaced, unknown)
    finally:
        if raw is not None:
            raw.close()
        os.close(descriptor)


def _read(raw: sqlite3.Connection | None) -> tuple[Replaced, str | None]:
    if raw is None:
        return Replaced(), "the catalog that was replaced is damaged"
    try:
        return read_from_file(raw), None
    except sqlite3.DatabaseError as error:
        return Replaced(), f"the catalog that was replaced is damaged ({error})"


def _require_free(file: Path) -> None:
    try:
        catalog = opened(file)
    except CatalogDamaged:
        return  # nobody can work on it
    try:
        holder = Lease(catalog, WORKER).holder()
    finally:
        catalog.close()
    if holder is not None:
        raise LeaseHeld(f"{holder} works on this data folder: stop it, then restore")


def _shut(file: Path) -> sqlite3.Connection | None:
    """A connection that nobody can pass. The WAL mode can be left by the only connection, and this empties the log.

    None where the file is too damaged for that.
    """
    raw = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)
    try:
        raw.execute("PRAGMA journal_mode=DELETE").fetchone()
        raw.execute("BEGIN EXCLUSIVE")
        if raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            raise sqlite3.OperationalError("another process was quicker")
    except sqlite3.OperationalError as error:
        raw.close()
        raise CatalogUnavailable(
            f"another process has the catalog {file} open ({error}): stop it, then restore"
        ) from error
    except sqlite3.DatabaseError:
        raw.close()
        return None
    return raw


# 5. Clean up


def _remove_index(data: Path, place: Path) -> None:
    """The index of the catalog before; its name is free at once, and what is left goes with `place`."""
    if (data / "index").exists():
        os.rename(data / "index", place / "index")


def _remove_unused_originals(catalog: Catalog, folder: Path, *, close: bool = True) -> None:
    originals = Originals(folder / "originals")
    try:
        with catalog.writing() as connection:
            wanted = catalog.content_hashes(connection) | JobQueue(catalog).hashes_in_use(connection)
            for content_hash in originals.hashes() - wanted:
                originals.remove(content_hash)
    finally:
        if close:
            catalog.close()


def _tables_of_content() -> list[Table]:
    return [table for table in schema.metadata.sorted_tables if table not in _OF_AN_EMPTY_CATALOG]
