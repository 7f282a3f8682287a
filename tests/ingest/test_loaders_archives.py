"""ZIP, TAR and packed files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from documents import pdf

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EmptyDocument, EncryptedDocument, LimitExceeded
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract

MEMBERS = {"a.txt": b"They swim.", "../b/c.md": b"# Toads\n\nThey hop.", "/etc/d.pdf": pdf([["They croak."]])}
TEXT = "# a.txt\n\nThey swim.\n\n# ../b/c.md\n\n# Toads\n\nThey hop.\n\n# /etc/d.pdf\n\nThey croak."
# Made by the zip program with the password "newt": a.txt, "They swim.\n" encrypted in the traditional way.
LOCKED = bytes.fromhex(
    "504b03040a00090000003081765d7a6f3120170000000b00000005000000612e7478745a5e6b695fced0c5c9beec508813cf96513eb2"
    "ae0b85d4504b07087a6f3120170000000b000000504b01021e030a00090000003081765d7a6f3120170000000b000000050000000000"
    "000001000000a48100000000612e747874504b05060000000001000100330000004a0000000000"
)


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            package.writestr(name, data)
    return file.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.zip", zipped(MEMBERS)),
        ("a.tar", tarred(MEMBERS)),
        ("a.tar.gz", gzip.compress(tarred(MEMBERS))),
        ("a.tgz", gzip.compress(tarred(MEMBERS))),
        ("a.tar.bz2", bz2.compress(tarred(MEMBERS))),
        ("a.tar.xz", lzma.compress(tarred(MEMBERS))),
        ("a", zipped(MEMBERS)),
    ],
)
def test_each_member_is_a_section_and_no_name_leads_anywhere(name: str, data: bytes) -> None:
    extracted = extract(data, name)
    assert extracted.text == TEXT
    assert [heading.title for heading in extracted.headings] == ["a.txt", "../b/c.md", "Toads", "/etc/d.pdf"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_single_packed_file_is_read_under_its_own_name(pack: Callable[[bytes], bytes]) -> None:
    assert extract(pack(b"# Newts\n\nThey swim."), "pond/newts.md.gz").text == "# newts.md\n\n# Newts\n\nThey swim."


def test_nested_archives_are_read_as_deep_as_the_limit_says() -> None:
    data = zipped({"a.txt": b"deep"})
    for _ in range(4):
        data = zipped({"inner.zip": data})
    assert "deep" in extract(data, "a.zip", Reading(ExtractionSettings(max_depth=5))).text
    with pytest.raises(EmptyDocument, match=r"^a\.zip: no text in it, .*nested 4 deep"):
        extract(data, "a.zip")


def test_what_systems_put_beside_the_files_is_left_out() -> None:
    data = zipped({"a.txt": b"They swim.", "__MACOSX/._a.txt": b"x", "b/.DS_Store": b"x", "b/": b""})
    assert extract(data, "a.zip").text == "# a.txt\n\nThey swim."


def test_members_that_are_no_files_are_passed_over() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        info = tarfile.TarInfo("a.txt")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"newts"))
    assert extract(file.getvalue(), "a.tar").text == "# a.txt\n\nnewts"


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    zeros = b"\0" * (12 * 1024 * 1024)
    bombs = {"a.zip": zipped({"a.txt": zeros}), "a.gz": gzip.compress(zeros), "a.xz": lzma.compress(zeros)}
    for name, data in bombs.items():
        with pytest.raises(LimitExceeded, match=r"^a\.\w+: unpacks to .* times its size"):
            extract(data, name)
        with pytest.raises(LimitExceeded, match=r"^a\.\w+: unpacks to .* MiB"):
            extract(data, name, Reading(ExtractionSettings(max_unpacked_mib=5)))
    many = {f"{number}.txt": b"x" for number in range(30)}
    for name, data in (("a.zip", zipped(many)), ("a.tar", tarred(many))):
        with pytest.raises(LimitExceeded, match=r"^a\.\w+: packs (more than 20|30) files"):
            extract(data, name, Reading(ExtractionSettings(max_files=20)))


@pytest.mark.parametrize("size", range(20, 240, 20))
def test_cut_archives_are_damaged_or_tell_what_is_missing(size: int) -> None:
    for name, data in (("a.tgz", gzip.compress(tarred(MEMBERS))), ("a.zip", zipped(MEMBERS))):
        with pytest.raises(CorruptDocument, match=r"damaged or cut off"):
            extract(data[:size], name)


def test_a_damaged_member_is_left_out_with_a_note() -> None:
    data = bytearray(zipped({"a.txt": b"They swim in ponds." * 9, "b.txt": b"They hop."}))
    data[45] ^= 0xFF
    extracted = extract(bytes(data), "a.zip")
    assert extracted.text == "# b.txt\n\nThey hop."
    assert extracted.notes == ("a.txt was left out: it is damaged, or packed in a way that can't be read",)


def test_a_locked_archive_is_opened_by_its_password_alone() -> None:
    assert extract(LOCKED, "a.zip", Reading(password="newt")).text == "# a.txt\n\nThey swim.\n"
    with pytest.raises(EncryptedDocument, match=r"^a\.zip: is protected by a password\. Upload it with its password\."):
        extract(LOCKED, "a.zip")
    with pytest.raises(EncryptedDocument, match=r"^a\.zip: its password is another one"):
        extract(LOCKED, "a.zip", Reading(password="toad"))


def test_names_in_utf_8_that_are_not_marked_as_such_are_read() -> None:
    data = zipped({"a" * len("Kröten.txt".encode()): b"They hop."}).replace(b"a" * 11, "Kröten.txt".encode())
    assert extract(data, "a.zip").headings[0].title == "Kröten.txt"
