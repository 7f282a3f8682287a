"""Folders of segments, and what a writer that was killed leaves in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval import segments
from retrieval.index_files import IndexFiles
from retrieval.segments import SegmentStore, drop_segments, remove_leftovers

IDENTITY = {"catalog": "one", "part": "dense-b"}


def store_of(folder: Path, *chunks: list[int]) -> SegmentStore:
    """One segment for each list of chunks."""
    store = SegmentStore(folder, IDENTITY)
    segments = [
        store.write({"chunks": np.array(its, dtype=np.uint32)}, {"first": its[0], "last": its[-1]}) for its in chunks
    ]
    store.commit(segments)
    return store


def kept(folder: Path) -> list[list[int]]:
    return [segment.arrays["chunks"].tolist() for segment in SegmentStore(folder, IDENTITY).open()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_who_gets_the_lock_takes_away_what_a_killed_writer_left(tmp_path: Path) -> None:
    folder = tmp_path / "dense-b"
    store_of(folder, [1, 2])
    before = names(folder)
    (folder / ".part-manifest.json").write_bytes(b"{")
    (folder / ".part-x").mkdir()
    (folder / "never-committed").mkdir()
    (tmp_path / "lexical" / ".part-first").mkdir(parents=True)
    files = IndexFiles(tmp_path, "one")
    assert files.try_lock()
    files.release()
    assert names(folder) == before
    assert names(tmp_path / "lexical") == set()
    assert kept(folder) == [[1, 2]]


def test_beside_a_manifest_that_is_damaged_all_stays(tmp_path: Path) -> None:
    store_of(tmp_path, [1, 2])
    (tmp_path / "manifest.json").write_bytes(b"{")
    before = names(tmp_path)
    remove_leftovers(tmp_path)
    drop_segments(tmp_path, lambda arrays: True)
    assert names(tmp_path) == before


def test_what_is_gone_is_forgotten_in_the_spaces_that_do_not_serve(tmp_path: Path) -> None:
    for name in ("dense-a", "dense-b"):
        store_of(tmp_path / name, [1, 2], [3, 4], [5, 6])
    IndexFiles(tmp_path, "one").forget_in_other_spaces(np.array([4, 9]), "a")
    assert kept(tmp_path / "dense-a") == [[1, 2], [3, 4], [5, 6]]
    assert kept(tmp_path / "dense-b") == [[1, 2], [5, 6]]
    assert len(names(tmp_path / "dense-b")) == 3
    assert SegmentStore(tmp_path / "dense-b", IDENTITY).problems == []


@pytest.mark.parametrize("values", [np.arange(6, dtype=np.int8).reshape(2, 3), np.zeros((0, 4), dtype=np.float32)])
def test_arrays_are_files_that_numpy_reads(tmp_path: Path, values: np.ndarray) -> None:
    segment = SegmentStore(tmp_path, IDENTITY).write({"values": values}, {"first": 0, "last": 1})
    read = np.load(tmp_path / segment.name / "values.npy", allow_pickle=False)
    assert read.dtype == values.dtype
    assert read.tolist() == values.tolist()
    assert read.shape == values.shape


def test_segments_that_are_replaced_while_they_are_opened_are_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "dense-b"
    store_of(folder, [1, 2], [3, 4])
    checked = segments._checksum_of_file
    replacing = iter([lambda: store_of(folder, [1, 2, 3, 4])])

    def checksum(path: Path) -> str:
        for replace in replacing:
            replace()
        return checked(path)

    monkeypatch.setattr(segments, "_checksum_of_file", checksum)
    reader = SegmentStore(folder, IDENTITY)
    assert [segment.arrays["chunks"].tolist() for segment in reader.open()] == [[1, 2, 3, 4]]
    assert reader.problems == []
