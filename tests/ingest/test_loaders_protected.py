"""Files under a password, and those that are refused whatever the password."""

from __future__ import annotations

import io
import zipfile

import pytest
from documents import new_docx, saved
from office_documents import compound, locked, packed

from ingest.errors import CorruptDocument, EncryptedDocument, UnsupportedFormat
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract


def letter() -> bytes:
    document = new_docx()
    document.add_paragraph("A letter about newts.")
    return saved(document)


def test_a_document_under_a_password_is_read_with_it() -> None:
    data = locked(letter(), "geheim ü")
    assert extract(data, "a.docx", Reading(password="geheim ü")).text == "A letter about newts."
    with pytest.raises(
        EncryptedDocument, match=r"^a\.docx: is protected by a password\. Upload it with the password\.$"
    ):
        extract(data, "a.docx")
    with pytest.raises(EncryptedDocument, match=r"^a\.docx: the password is not the right one"):
        extract(data, "a.docx", Reading(password="wrong"))


def test_a_workbook_that_excel_opens_without_asking_is_read_without_a_password() -> None:
    assert extract(locked(letter(), "VelvetSweatshop"), "a.docx").text == "A letter about newts."


def test_a_password_is_no_harm_for_a_file_without_one() -> None:
    assert extract(letter(), "a.docx", Reading(password="geheim")).text == "A letter about newts."


def test_damaged_and_unknown_encryption_is_refused() -> None:
    data = locked(letter(), "geheim")
    package = compound({"EncryptedPackage": b"x", "EncryptionInfo": b"\x04\0\x04\0\x40\0\0\0<encryption"})
    with pytest.raises(CorruptDocument, match=r"^a\.docx: is encrypted, and damaged"):
        extract(package, "a.docx", Reading(password="geheim"))
    unknown = compound({"EncryptedPackage": b"x", "EncryptionInfo": b"\x03\0\x03\0\x40\0\0\0"})
    with pytest.raises((UnsupportedFormat, CorruptDocument), match=r"^a\.docx: is encrypted"):
        extract(unknown, "a.docx", Reading(password="geheim"))
    with pytest.raises((CorruptDocument, EncryptedDocument), match=r"^a\.docx: "):
        extract(data[: len(data) // 2], "a.docx", Reading(password="geheim"))


def test_documents_of_iwork_are_refused_and_told_apart() -> None:
    for parts, error, words in (
        ({"Index/Document.iwa": "x"}, UnsupportedFormat, r"is an iWork document .* Export it as \.docx"),
        ({"Index/Document.iwa": "x", ".iwpv2": "x"}, EncryptedDocument, "under a password"),
        ({"buildVersionHistory.plist": "x", "index.xml": "x"}, UnsupportedFormat, "is an iWork document"),
    ):
        with (
            pytest.raises(error, match=rf"^a\.pages: {words}")
            if words.startswith("is")
            else pytest.raises(error, match=rf"^a\.pages: .*{words}")
        ):
            extract(packed(parts), "a.pages")


def test_an_old_document_of_iwork_under_a_password_names_a_compression_of_its_own() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        package.writestr("buildVersionHistory.plist", "newts")
    data = bytearray(stream.getvalue())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.index(signature) + offset
        data[place : place + 2] = (25451).to_bytes(2, "little")
    with pytest.raises(EncryptedDocument, match=r"^a\.pages: .*under a password"):
        extract(bytes(data), "a.pages")
