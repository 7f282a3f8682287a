"""Folders whose names are on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ingest.disk import make_folder
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
