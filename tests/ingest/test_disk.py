"""Folders whose names are on the disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from ingest.catalog.database import _translated
from ingest.disk import make_folder, why_not_written, writing_to
from ingest.errors import DataFolderUnusable
from ingest.originals import Originals


def failing_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)


def test_a_folder_whose_name_could_not_be_synced_is_made_and_synced_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        failing_sync(patched)
        with pytest.raises(OSError, match="Input/output error"):
            make_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    make_folder(tmp_path / "a" / "b")
    assert set(synced) == {str(tmp_path), str(tmp_path / "a")}


def test_a_disk_that_fails_under_the_originals_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_sync(monkeypatch)
    with pytest.raises(DataFolderUnusable, match="originals does not work"):
        Originals(tmp_path / "originals")


def test_a_folder_that_cannot_be_written_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system tells it: whoever runs the tests may be allowed everything."""
    path = tmp_path / "catalog.sqlite"
    assert f"there is no folder {tmp_path / 'gone'}" in why_not_written(tmp_path / "gone" / path.name)
    path.write_bytes(b"")
    refused: set[Path] = set()
    monkeypatch.setattr(os, "access", lambda its, mode: Path(its) not in refused)
    for its, said in (
        (path, f"the file {path} is read-only for this user"),
        (tmp_path, f"the folder {tmp_path} is read-only for this user"),
    ):
        refused.add(its)
        for message in ("unable to open database file", "attempt to write a readonly database"):
            error = OperationalError("", {}, sqlite3.OperationalError(message))
            assert f"({message}): {said}" in str(_translated(error, message, str(path)))
    flags = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda its: flags)
    with pytest.raises(DataFolderUnusable, match="is on a file system that is mounted read-only"), writing_to(tmp_path):
        raise OSError(errno.EROFS, "Read-only file system")
