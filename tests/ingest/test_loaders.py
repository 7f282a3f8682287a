"""Which loader takes a file, and what each kind of bad file gets."""

from __future__ import annotations

import pytest
from documents import archive, new_docx, pdf, saved
from office_documents import compound, doc, locked, odf

from ingest.config import ExtractionSettings
from ingest.errors import (
    CorruptDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    RefusedDocument,
    UnsupportedFormat,
)
from ingest.loaders import images
from ingest.loaders.formats import COMPOUND_EXTENSIONS, EXTENSIONS, PACKAGE_EXTENSIONS
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract

OLE = bytes.fromhex("d0cf11e0a1b11ae1")
A_PDF = pdf([["A page about newts."]])


def a_docx() -> bytes:
    document = new_docx()
    document.add_paragraph("A letter about newts.")
    return saved(document)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.md", "text/markdown"),
        ("a.markdown", "text/markdown"),
        ("a.txt", "text/plain"),
        ("A.TEXT", "text/plain"),
        ("a.html", "text/html"),
        ("a.htm", "text/html"),
        ("folder/a.xhtml", "text/html"),
    ],
)
def test_the_extension_decides_for_text(name: str, media_type: str) -> None:
    extracted = extract(b"Newts have four legs.", name)
    assert (extracted.media_type, extracted.text) == (media_type, "Newts have four legs.")


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.docx", "a.bin", "a"])
def test_a_pdf_is_a_pdf_whatever_its_name(name: str) -> None:
    assert extract(A_PDF, name).media_type == "application/pdf"


@pytest.mark.parametrize("name", ["a.docx", "a.txt", "a.zip"])
def test_a_docx_is_a_docx_whatever_its_name(name: str) -> None:
    assert extract(a_docx(), name).text == "A letter about newts."


def test_a_text_that_only_mentions_pdf_stays_text() -> None:
    assert extract(b"Files begin with %PDF-1.4.", "a.txt").media_type == "text/plain"


@pytest.mark.parametrize("name", ["notes.xyz", "Makefile", "LICENSE", "a.vcf", "folder.d/README"])
def test_text_under_an_unknown_name_is_taken_as_text(name: str) -> None:
    extracted = extract(b"all: newts\n", name)
    assert (extracted.media_type, extracted.text) == ("text/plain", "all: newts\n")


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"<!DOCTYPE html><p>Newts</p>", "text/html"),
        (b"\n<html><p>Newts</p></html>", "text/html"),
        (b'<?xml version="1.0"?><pond><newt>Ann</newt></pond>', "application/xml"),
        (b"From: ann@pond\r\nDate: Mon, 1 Jan 2024\r\nSubject: Newts\r\n\r\nThey swim.", "message/rfc822"),
    ],
)
def test_what_its_first_lines_show_is_read_as_that_under_any_name(data: bytes, media_type: str) -> None:
    for name in ("page", "page.2024-01-01", "page.cgi"):
        assert extract(data, name).media_type == media_type
    assert extract(data, "page.txt").media_type == "text/plain"


def test_binary_data_under_an_unknown_name_is_refused_with_what_is_taken() -> None:
    with pytest.raises(UnsupportedFormat) as refusal:
        extract(b"\0\1\2newts", "pond.bin")
    assert str(refusal.value).startswith("pond.bin: the extension .bin is not known, and the file is no text. ")
    assert "PDF, DOCX, " in str(refusal.value)
    assert len(str(refusal.value)) < 200
    with pytest.raises(UnsupportedFormat, match=r"^pond: a name without an extension is not known"):
        extract(b"\0\1\2newts", "pond")


A_RTF = rb"{\rtf1{\fonttbl{\f0 A;}}{\stylesheet{\s1 heading 1;}}\pard\s1 T\'fcte\par\u8364?{\v x}\intbl a\cell\row}"
A_DOC = doc([("Newts\r", 1, b""), ("They swim.\r", 0, b"")])
AN_ODT = odf("text", "<text:p>They swim.</text:p>")
A_LOCKED_FILE = locked(a_docx(), "geheim")

BAD_FILES = [
    ("empty.md", b"", EmptyDocument, "no bytes"),
    ("blank.txt", b" \r\n\t\n", EmptyDocument, "white space"),
    ("comment.md", b"<!-- Newts swim. -->\n", EmptyDocument, "all that it says is hidden"),
    ("mark.txt", b"\xef\xbb\xbf \n", EmptyDocument, "no text"),
    ("matter.md", b"---\ntitle: Newts\n---\n", EmptyDocument, "no text"),
    ("scripts.html", b"<html><script>newts()</script></html>", EmptyDocument, "no text"),
    ("marks.md", b"# \n## \n", EmptyDocument, "not one letter or digit"),
    ("marks.txt", "\u2014 * \u2014 _ \U0001f98e\n".encode(), EmptyDocument, "not one letter or digit"),
    ("marks.html", b"<h1>#</h1><p>...</p>", EmptyDocument, "not one letter or digit"),
    ("brackets.txt", b"[" * 100_000 + b"x" + b"]" * 100_000, EmptyDocument, "1 letters or digits among 200,001"),
    ("brackets.json", b"[" * 100_000 + b"x" + b"]" * 100_000, EmptyDocument, "1 letters or digits among 200,001"),
    ("braces.rtf", b"{\\rtf1 " + b"{" * 300_000 + b"x", EmptyDocument, "1 letters or digits among 300,001"),
    ("comment.html", b"<!-- newts -->", EmptyDocument, "no text"),
    ("empty.docx", saved(new_docx()), EmptyDocument, "no text"),
    ("blank.pdf", pdf([[], []]), EmptyDocument, "no text on any of its pages (2)"),
    ("nul.txt", b"newts\0and more", UnsupportedFormat, "binary data, not text"),
    ("nul.md", b"newts\0\0and more", UnsupportedFormat, "binary data, not text"),
    ("picture.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", CorruptDocument, "no picture that can be read"),
    ("text.png", b"not a picture at all", CorruptDocument, "no picture that can be read"),
    ("nul.html", b"<p>newts\0</p>", UnsupportedFormat, "binary data, not text"),
    ("controls.txt", bytes(range(1, 9)) * 20, UnsupportedFormat, "control characters"),
    ("high.txt", bytes(range(128, 256)) * 4, UnsupportedFormat, "no text in an encoding that can be told"),
    ("half.txt", b"\xff\xfe\x00\xd8n\x00", UnsupportedFormat, "cut off"),
    ("old.doc", OLE + b"\0" * 600, CorruptDocument, "damaged or cut off"),
    ("old.bin", compound({"Anything": b"x"}), UnsupportedFormat, "old Office format"),
    ("sheet.xlsx", archive(xl__workbook_xml=b"<workbook/>"), CorruptDocument, "has no sheets"),
    ("cut.zip", archive(a=b"newts")[:20], CorruptDocument, "damaged or cut off"),
    ("text.pdf", b"not a PDF at all", CorruptDocument, "no PDF that can be read"),
    ("cut.pdf", A_PDF[:300], CorruptDocument, "no PDF that can be read"),
    ("text.docx", b"not a zip at all", CorruptDocument, "no zip archive"),
    ("cut.docx", a_docx()[:2000], CorruptDocument, "damaged or cut off"),
    ("text.doc", b"not a compound file at all", CorruptDocument, "no compound file"),
    ("other.docx", archive(program_xml=b"<program/>"), CorruptDocument, "main part is missing"),
    ("bare.docx", archive(word__document_xml=b"<a/>"), CorruptDocument, "content can't be read"),
    ("locked.pdf", pdf([["newts"]], encrypted=True), EncryptedDocument, "Upload it with the password"),
    ("locked.docx", A_LOCKED_FILE, EncryptedDocument, "Upload it with the password"),
]


@pytest.mark.parametrize(("name", "data", "error", "words"), BAD_FILES, ids=[name for name, *_ in BAD_FILES])
def test_bad_files_are_refused_by_name(name: str, data: bytes, error: type[RefusedDocument], words: str) -> None:
    with pytest.raises(error) as refusal:
        extract(data, name)
    assert type(refusal.value) is error
    assert str(refusal.value).startswith(f"{name}: ")
    assert words in str(refusal.value)


LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{8 * '4d7a2146'}\nsize 12345\n"


@pytest.mark.parametrize(
    "name", ["manual.pdf", "photo.png", "sheet.xlsx", "notes.md", "page.html", "data.bin", "LICENSE"]
)
@pytest.mark.parametrize("pointer", [LFS, LFS[:-1], LFS.replace("\n", "\r\n")])
def test_a_pointer_of_git_lfs_is_no_document(name: str, pointer: str) -> None:
    with pytest.raises(UnsupportedFormat, match=r"pointer of Git LFS.*git lfs pull") as caught:
        extract(pointer.encode(), name)
    assert str(caught.value).startswith(f"{name}: ")


def test_a_text_about_pointers_of_git_lfs_is_one() -> None:
    for text in (f"A pointer is:\n\n{LFS}", LFS + "and that was it\n", LFS.replace("4d7a", "4D7A"), LFS[:60]):
        assert "git-lfs" in extract(text.encode(), "a.md").text


def test_a_pointer_of_git_lfs_in_an_archive_is_left_out() -> None:
    packed = extract(archive(**{"a.md": b"Newts.", "b.pdf": LFS.encode()}), "a.zip")
    assert "oid sha256" not in packed.text
    assert any("b.pdf was left out" in note for note in packed.notes)


@pytest.mark.parametrize("text", ["# \n## \n###### x", "7", "\u0e01", "\u6c34", "\u0928\u092e"])
def test_a_single_letter_or_digit_of_any_script_is_text(text: str) -> None:
    assert extract(text.encode(), "a.md").text == text


def test_too_much_text_is_refused_with_both_sizes() -> None:
    data = "newts ü ".encode() * 131_072  # 9 bytes each
    assert len(extract(data, "long.txt", Reading(max_text_mib=1.125)).text) == 8 * 131_072
    with pytest.raises(DocumentTooLarge, match=r"^long\.txt: its text has 1\.1 MiB, the limit is 1 MiB\."):
        extract(data, "long.txt", Reading(max_text_mib=1))


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = archive(word__document_xml=b"<a/>", word__media=b"\0" * (3 * 1024 * 1024))
    assert len(bomb) < 10_000
    for limits, said in (
        (ExtractionSettings(max_unpacked_mib=2), r"unpacks to 3\.0 MiB, the limit is 2 MiB"),
        (ExtractionSettings(max_parts=1), r"packs 2 parts, the limit is 1"),
    ):
        with pytest.raises(LimitExceeded, match=rf"^bomb\.docx: {said}\."):
            extract(bomb, "bomb.docx", Reading(limits))
    larger = archive(word__document_xml=b"<a/>", word__media=b"\0" * (11 * 1024 * 1024))
    with pytest.raises(LimitExceeded, match=r"^bomb\.docx: unpacks to \d+ times its size, the limit is 200\."):
        extract(larger, "bomb.docx")


@pytest.mark.parametrize("name", sorted(EXTENSIONS))
def test_no_prefix_of_a_file_raises_anything_unforeseen(name: str) -> None:
    samples = {".pdf": A_PDF, ".docx": a_docx(), ".ipynb": b'{"cells": [{"cell_type": "code", "source": ["1"]}]}'}
    samples |= dict.fromkeys(images.EXTENSIONS, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    samples |= dict.fromkeys(
        (".dita", ".fb2", ".jats", ".nxml", ".rss", ".svg", ".xml"), b"<a><title>A</title><p>newts</p></a>"
    )
    samples |= {".rtf": A_RTF, ".doc": A_DOC, ".odt": AN_ODT}
    packed = {*PACKAGE_EXTENSIONS, *COMPOUND_EXTENSIONS}
    data = samples.get(name, "# Tüte\n<p>newts</p>\n".encode())
    taken = 0
    for size in range(0, len(data), max(1, len(data) // 150)):
        try:
            extracted = extract(data[:size], "a" + name)
        except RefusedDocument as refusal:
            assert str(refusal).startswith(f"a{name}: ")
        else:
            taken += 1
            extracted.text.encode("utf-8")
    assert taken > 0 or name in samples or name in packed


def test_a_file_whose_text_is_many_times_as_large_is_refused() -> None:
    table = b"kind,signs\n" + b"newts," + b"a|" * 4_000_000  # a bar is written as two signs
    with pytest.raises(LimitExceeded, match=r"its text is 1\.5 times as large as the file, the limit is 1\."):
        extract(table, "a.csv", Reading(ExtractionSettings(max_expansion=1)))
    assert extract(table[:6_000_000], "a.csv", Reading(ExtractionSettings(max_expansion=1))).title == "a"  # small
    assert extract(table, "a.csv", Reading(ExtractionSettings(max_expansion=2))).title == "a"
