"""A backup is trusted for nothing: what is cut, changed, foreign or hostile is refused with a reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backing_up import application_of, back_up, fill, restore_to, said_of
from service import service

from ragstone.backups import archive
from ragstone.backups.archive import BadBackup
from ragstone.exit_codes import WRONG_REQUEST, exit_code_of

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("backup")
    with service(folder / "live") as client:
        fill(client)
        back_up(application_of(client), folder / "backup")
    return (folder / "backup").read_bytes()


def members_of(backup: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(backup)) as packed:
        found = [(info, packed.extractfile(info)) for info in packed]
        return [(info, file.read() if file else b"") for info, file in found]


def packed(members: Members, behind: bytes = b"") -> bytes:
    for info, data in members:
        info.size = len(data)
    body = b"".join(info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512) for info, data in members)
    return gzip.compress(body + bytes(1024) + behind, 1)


def with_manifest(backup: bytes, change: Callable[[dict[str, Any]], None]) -> Members:
    """The members, with a manifest that was changed and whose checksum fits."""
    (info, data), *others = members_of(backup)
    values = json.loads(data)
    del values["checksum"]
    change(values)
    values["checksum"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return [(info, json.dumps(values).encode()), *others]


def refused(data: bytes, tmp_path: Path) -> str:
    """Why a file is refused; nothing was made of it."""
    file, folder = tmp_path / "refused", tmp_path / "target"
    file.write_bytes(data)
    with pytest.raises(BadBackup) as raised:
        restore_to(file, folder)
    assert not folder.exists()
    assert exit_code_of(raised.value.code) == WRONG_REQUEST
    return str(raised.value)


def test_any_tar_program_can_unpack_a_backup(backup: bytes) -> None:
    members = members_of(backup)
    manifest = json.loads(members[0][1])
    assert [info.name for info, _ in members] == ["manifest.json", *manifest["members"]]
    for info, data in members[1:]:
        assert [len(data), hashlib.sha256(data).hexdigest()] == manifest["members"][info.name]


def test_what_is_packed_again_in_the_same_way_is_accepted(backup: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(packed(with_manifest(backup, lambda values: None)))
    restore_to(file, tmp_path / "target")
    assert said_of(tmp_path / "target") == []


def test_a_backup_that_was_cut_is_refused_wherever_it_was_cut(backup: bytes, tmp_path: Path) -> None:
    for length in (*range(0, len(backup), len(backup) // 40), len(backup) - 1, len(backup) - 8, len(backup) - 20):
        assert "backup" in refused(backup[:length], tmp_path)


class Kept(io.BytesIO):
    """A file that can still be read when it was closed."""

    def close(self) -> None:
        pass


def unpacked(backup: bytes) -> dict[str, bytes]:
    manifest = archive.read_manifest(io.BytesIO(backup))
    files: dict[str, Kept] = {}
    archive.unpack(io.BytesIO(backup), manifest, lambda name: files.setdefault(name, Kept()), lambda count: None)
    return {name: file.getvalue() for name, file in files.items()}


def test_a_flipped_bit_is_found_or_changes_nothing(backup: bytes) -> None:
    # The first bytes say when the file was packed, and equal runs can be packed in many ways: that changes nothing.
    sound, found = unpacked(backup), 0
    for place in (*range(16), *range(16, len(backup), len(backup) // 150), *range(len(backup) - 8, len(backup))):
        flipped = bytearray(backup)
        flipped[place] ^= 1 << place % 8
        try:
            assert unpacked(bytes(flipped)) == sound
        except BadBackup:
            found += 1
    assert found > 100


@pytest.mark.parametrize(
    "data",
    [b"", b"a letter", *(gzip.compress(data, mtime=0) for data in (b"", bytes(4096), b"x" * 4096))],
    ids=["nothing", "a letter", "gzip of nothing", "gzip of zeros", "gzip of letters"],
)
def test_a_file_that_is_no_backup_is_refused(data: bytes, tmp_path: Path) -> None:
    assert "refused: " in refused(data, tmp_path)


def test_a_tar_of_something_else_is_refused(tmp_path: Path) -> None:
    assert "does not begin with a manifest" in refused(packed([(tarfile.TarInfo("letter.txt"), b"mine")]), tmp_path)


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.update({key: value})


def _list(name: str, entry: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["members"].update({name: entry})


HASH = hashlib.sha256(b"evil").hexdigest()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("format", 2), "has format 2 and this version of Ragstone reads format 1"),
        (_set("schema", 99), "has schema 99"),
        (_set("revision", 4), "not the one that its manifest describes"),
        (_set("revision", "4"), "form"),
        (_set("surprise", 1), "form"),
        (_set("members", {}), "no catalog"),
        (_list("../evil", [4, HASH]), "does not belong"),
        (_list("/etc/evil", [4, HASH]), "does not belong"),
        (_list("originals/../evil", [4, HASH]), "does not belong"),
        (_list(f"originals/{HASH[:2]}/{HASH}\n", [4, HASH]), "does not belong"),
        (_list(f"originals/00/{HASH}", [4, HASH]), "not the name of its content"),
        (_list(f"originals/{HASH[:2]}/{HASH}", [4, "0" * 64]), "not the name of its content"),
        (_list(f"originals/{HASH[:2]}/{HASH}", [-1, HASH]), "does not belong"),
        (_list(f"originals/{HASH[:2]}/{HASH}", [True, HASH]), "does not belong"),
        (_list(f"originals/{HASH[:2]}/{HASH}", [4, HASH]), "or a damaged one"),
        (_list("catalog.sqlite", [4, HASH]), "where its list has"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(
    backup: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    assert reason in refused(packed(with_manifest(backup, change)), tmp_path)


def test_a_manifest_with_another_checksum_is_refused(backup: bytes, tmp_path: Path) -> None:
    (info, data), *others = members_of(backup)
    changed = data.replace(b'"revision": 5', b'"revision": 6')
    assert changed != data
    assert "manifest of the backup is damaged" in refused(packed([(info, changed), *others]), tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.XHDTYPE])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_member_that_is_no_plain_file_is_refused(backup: bytes, tmp_path: Path, kind: bytes, place: int) -> None:
    members = members_of(backup)
    info, _ = members[place]
    info.type, info.linkname = kind, "/etc/passwd"
    members[place] = (info, b"")
    assert "no plain file" in refused(packed(members), tmp_path)


def test_members_in_another_order_or_number_are_refused(backup: bytes, tmp_path: Path) -> None:
    members = members_of(backup)
    assert "where its list has" in refused(packed([members[0], *members[:0:-1]]), tmp_path)
    assert "file is no backup" in refused(packed(members[:-1]), tmp_path)
    more = (tarfile.TarInfo("originals/../../evil"), b"evil")
    assert "behind its last member" in refused(packed([*members, more]), tmp_path)
    assert "behind its last member" in refused(packed(members, behind=b"more"), tmp_path)
    assert not (tmp_path / "evil").exists()


def test_a_member_with_other_bytes_is_refused(backup: bytes, tmp_path: Path) -> None:
    members = members_of(backup)
    info, data = members[-1]
    members[-1] = (info, data[:-1] + bytes([data[-1] ^ 1]))
    assert f"{info.name} is damaged" in refused(packed(members), tmp_path)


def test_what_is_unpacked_is_never_more_than_the_manifest_says(backup: bytes, tmp_path: Path) -> None:
    (info, _), *others = members_of(backup)
    huge = packed([(info, b"{" + b" " * (64 << 20)), *others])
    assert len(huge) < 1 << 20
    assert "manifest of the backup is damaged" in refused(huge, tmp_path)
    grown = members_of(backup)
    grown[1] = (grown[1][0], grown[1][1] + bytes(64 << 20))
    assert "where its list has" in refused(packed(grown), tmp_path)


def test_a_backup_that_does_not_fit_is_refused_before_it_is_unpacked(backup: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(packed(with_manifest(backup, _list("catalog.sqlite", [1 << 62, HASH]))))
    with pytest.raises(Exception, match="MB are free") as raised:
        restore_to(file, tmp_path / "target")
    assert exit_code_of(raised.value.code) != WRONG_REQUEST  # type: ignore[attr-defined]
    assert not (tmp_path / "target").exists()
