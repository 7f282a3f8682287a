# ruff: noqa: RUF001
"""Outlook messages, made as compound files."""

from __future__ import annotations

import struct

import pytest
from compound_files import Tree, compound_file

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded
from ingest.loaders import outlook
from ingest.loaders.compressed_rtf import decompressed
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.types import Attachment


def text(**values: str) -> Tree:
    return {f"__substg1.0_{int(key[1:], 16):04X}001F": value.encode("utf-16-le") for key, value in values.items()}


def properties(*, inner: bool = False, **fixed: int) -> Tree:
    """`x39_40=5` is property 0x0039 of type 0x0040 with the value 5."""
    entries = b""
    for key, value in fixed.items():
        number, kind = (int(part, 16) for part in key[1:].split("_"))
        entries += struct.pack("<HHIQ", kind, number, 6, value)
    return {"__properties_version1.0": b"\0" * (24 if inner else 32) + entries}


def attachment(name: str, data: bytes, **values: str) -> Tree:
    return {
        "__properties_version1.0": b"\0" * 8,
        "__substg1.0_37010102": data,
        **text(x3707=name, **values),
    }


LETTER: Tree = {
    **properties(x39_40=133_793_856_000_000_000),
    **text(x1A="IPM.Note", x37="Newts", xC1A="Ann", x5D01="ann@pond.example", xE04="Bob", x1000="They swim.\r\n"),
}


def test_a_message_is_its_headers_and_its_body() -> None:
    extracted = extract(compound_file(LETTER), "a.msg")
    assert extracted.text == (
        "From: Ann <ann@pond.example>\nTo: Bob\nDate: Mon, 23 Dec 2024 00:00:00 +0000\nSubject: Newts\n\nThey swim."
    )
    assert (extracted.title, extracted.media_type) == ("Newts", "application/vnd.ms-outlook")
    assert [(heading.start, heading.title) for heading in extracted.headings] == [(0, "Newts")]


def test_text_of_old_messages_is_read_in_its_code_page() -> None:
    tree: Tree = {
        **properties(x3FFD_3=1251),
        "__substg1.0_0037001E": "Тритоны".encode("cp1251"),
        "__substg1.0_1000001E": "Живут в пруду.".encode("cp1251"),
    }
    assert extract(compound_file(tree), "a.msg").text == "Subject: Тритоны\n\nЖивут в пруду."


def test_what_is_attached_becomes_sections_pictures_in_the_text_do_not() -> None:
    tree: Tree = {
        **LETTER,
        "__attach_version1.0_#00000001": attachment("b.txt", b"They dive. " * 500),
        "__attach_version1.0_#00000000": attachment("a.md", b"They hop."),
        "__attach_version1.0_#00000002": attachment("logo.png", b"\x89PNG", x3712="logo@pond"),
    }
    extracted = extract(compound_file(tree), "a.msg")
    assert extracted.text.endswith("They swim.\n\n# a.md\n\nThey hop.\n\n# b.txt\n\n" + "They dive. " * 500)
    assert extracted.notes == ("pictures within the message were left out (1)",)


def test_a_message_within_a_message_is_a_section_with_what_is_attached_to_it() -> None:
    inner: Tree = {
        **properties(inner=True),
        **text(x37="Toads", x1000="They hop."),
        "__attach_version1.0_#00000000": attachment("a.txt", b"Deep."),
    }
    tree: Tree = {**LETTER, "__attach_version1.0_#00000000": {**properties(), "__substg1.0_3701000D": inner}}
    extracted = extract(compound_file(tree), "a.msg")
    assert extracted.text.endswith("# Toads\n\nSubject: Toads\n\nThey hop.\n\n# a.txt\n\nDeep.")
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "Newts"),
        (1, "Toads"),
        (1, "a.txt"),
    ]
    flat = extract(compound_file(tree), "a.msg", Reading(ExtractionSettings(max_depth=0)))
    assert "Toads" not in flat.text
    assert flat.notes == ("a message in it was left out: it is nested 1 deep",)


def test_the_page_is_taken_where_the_plain_text_says_less() -> None:
    page = b"<p>They swim, dive, hop and crawl.</p>"
    tree: Tree = {**LETTER, **text(x1000="They swim."), "__substg1.0_10130102": page}
    assert extract(compound_file(tree), "a.msg").text.endswith("\n\nThey swim, dive, hop and crawl.")


def test_encrypted_messages_are_named_and_signed_ones_are_read() -> None:
    signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nThey swim.\r\n--b--\r\n"
    head = text(x1A="IPM.Note.SMIME.MultipartSigned", x37="Newts")
    tree: Tree = {**properties(), **head, "__attach_version1.0_#00000000": attachment("smime.p7m", signed)}
    assert extract(compound_file(tree), "a.msg").text.endswith("They swim.")
    tree["__attach_version1.0_#00000000"] = attachment("smime.p7m", b"\x30\x80\x06\x09")
    with pytest.raises(EncryptedDocument, match=r"^a\.msg: its body is encrypted by S/MIME"):
        extract(compound_file(tree), "a.msg")


def test_limits_hold_and_damage_is_named() -> None:
    tree: Tree = {
        **LETTER,
        **{f"__attach_version1.0_#{number:08X}": attachment("a.txt", b"Newts " * 300) for number in range(9)},
    }
    data = compound_file(tree)
    with pytest.raises(LimitExceeded, match=r"^a\.msg: has more than 8 attachments"):
        extract(data, "a.msg", Reading(ExtractionSettings(max_files=8)))
    with pytest.raises(LimitExceeded, match=r"^a\.msg: unpacks to more than 0\.01 MiB"):
        extract(data, "a.msg", Reading(ExtractionSettings(max_unpacked_mib=0.01)))
    head = data.index("__properties".encode("utf-16-le"))
    with pytest.raises(CorruptDocument, match=r"^a\.msg: is damaged or cut off"):
        extract(data[:512] + data[head:], "a.msg")


# The examples of [MS-OXRTFCP], sections 4.1 and 4.2, which the package compressed-rtf reads alike.
SIMPLE = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
REPEATING = "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0"


def test_compressed_rtf_is_that_of_the_specification() -> None:
    simple = bytes.fromhex(SIMPLE)
    expected = b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompressed(simple, "a.msg", Reading()) == expected
    assert decompressed(bytes.fromhex(REPEATING), "a.msg", Reading()) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert decompressed(struct.pack("<II4sI", 20, 5, b"MELA", 0) + b"newts", "a.msg", Reading()) == b"newts"
    for size in range(len(simple)):
        try:
            assert expected.startswith(decompressed(simple[:size], "a.msg", Reading()))
        except CorruptDocument as error:
            assert str(error).startswith("a.msg: ")


def test_a_body_that_is_rtf_alone_becomes_a_file_of_its_own() -> None:
    tree: Tree = {**properties(), **text(x37="Newts"), "__substg1.0_10090102": bytes.fromhex(REPEATING)}
    letter = outlook.load(compound_file(tree), "a.msg", Reading())
    assert letter.attachments == (Attachment("message.rtf", b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),)
