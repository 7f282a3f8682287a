from __future__ import annotations

import struct

import pytest
from office_documents import compound, doc

from ingest.errors import CorruptDocument, UnsupportedFormat
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden

NORMAL, TITLE, CHAPTER = 0, 10, 11  # styles; the last is based on heading 2
CELL = struct.pack("<HB", 0x2416, 1)
ROW = CELL + struct.pack("<HB", 0x2417, 1)
ITEM = struct.pack("<HHHB", 0x460B, 1, 0x260A, 1)
VANISHED = struct.pack("<HB", 0x083C, 1)
DELETED = struct.pack("<HB", 0x0800, 1)
WHITE = struct.pack("<HI", 0x6870, 0x00FFFFFF)
TINY = struct.pack("<HH", 0x4A43, 2)


def test_a_document_becomes_text_in_its_order() -> None:
    data = doc(
        [
            ("Newts\r", TITLE, b""),
            ("Pond\r", 1, b""),
            ("North\r", CHAPTER, b""),
            ("They \x13 HYPERLINK x \x14swim\x15\x02 \U0001f98e\x05 well.\x0bAnd eat.\r", NORMAL, b""),
            ("worms\r", NORMAL, ITEM),
            ("Kind\x07", NORMAL, CELL),
            ("cm\x07", NORMAL, CELL),
            ("\x07", NORMAL, ROW),
            ("Smooth\x07", NORMAL, CELL),
            ("11\r", NORMAL, CELL),
            ("12\x07", NORMAL, CELL),
            ("\x07", NORMAL, ROW),
            ("After.\r", NORMAL, b""),
        ],
        notes=["Only in spring."],
        comments=["Really?"],
    )
    text = (
        "# Newts\n\n## Pond\n\n### North\n\nThey swim[1] \U0001f98e well.\nAnd eat.\n\n[1] Only in spring.\n\n"
        "  - worms\n\n"
        "| Kind | cm |\n| --- | --- |\n| Smooth | 11 12 |\n\nAfter.\n\n## Comments\n\n- Really?"
    )
    extracted = extract(data, "newts.doc")
    assert extracted.text == text
    assert extracted.title == "Newts"
    assert extracted.headings == (
        Heading(0, 1, "Newts"),
        Heading(text.index("## Pond"), 2, "Pond"),
        Heading(text.index("### North"), 3, "North"),
        Heading(text.index("## Comments"), 2, "Comments"),
    )


def test_what_a_reader_does_not_see_is_told_apart_and_deleted_text_is_gone() -> None:
    words = {"vanished": VANISHED, "white": WHITE, "tiny": TINY, "deleted": DELETED}
    data = doc([("Seen. vanished white tiny deleted end.\r", NORMAL, b"")], runs=list(words.items()))
    extracted = extract(data, "a.doc")
    assert extracted.text.split() == ["Seen.", "end."]
    assert set(extracted.hidden) == {Hidden("part", "vanished"), Hidden("colour", "white"), Hidden("size", "tiny")}


def test_documents_of_old_word_and_presentations_are_refused_with_what_to_do() -> None:
    with pytest.raises(UnsupportedFormat, match=r"^a\.doc: is of Word 95 or older\. Save it as \.docx"):
        extract(compound({"WordDocument": struct.pack("<H", 0xA5DC)}), "a.doc")
    with pytest.raises(UnsupportedFormat, match=r"^a\.ppt: is of PowerPoint 2003 or older\. Save it as \.pptx"):
        extract(compound({"PowerPoint Document": b"x"}), "a.ppt")
    with pytest.raises(UnsupportedFormat, match=r"^a\.bin: is a file of an old Office format"):
        extract(compound({"Anything": b"x"}), "a.bin")


def test_damage_is_told() -> None:
    data = doc([("Newts\r", NORMAL, b"")])
    for damaged in (
        data[:600],
        data.replace(b"\x02\x10\0\0\0", b"\x07\x10\0\0\0"),
        compound({"WordDocument": b"\xec\xa5"}),
    ):
        with pytest.raises(CorruptDocument, match=r"^a\.doc: is damaged or cut off"):
            extract(damaged, "a.doc")
