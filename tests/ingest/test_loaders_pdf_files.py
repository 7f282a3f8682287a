"""Passwords, attachments, form fields, limits and damage of PDF files."""

from __future__ import annotations

import zlib

import pytest
from documents import pdf
from scans import COVERING, ScriptedOcr, drawn, locked, scan, shown

from ingest.config import ExtractionSettings
from ingest.errors import DocumentTooLarge, EncryptedDocument, LimitExceeded
from ingest.loaders import pdf as loader
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract

SEEN = shown("Newts swim.", 72, 700)


def test_a_password_opens_a_file_and_the_empty_one_needs_no_telling() -> None:
    assert extract(locked("Secret newts.", "pond"), "a.pdf", Reading(password="pond")).text == "Secret newts."
    assert extract(locked("Open newts.", ""), "a.pdf").text == "Open newts."
    assert extract(pdf([["Plain newts."]]), "a.pdf", Reading(password="pond")).text == "Plain newts."


@pytest.mark.parametrize("password", ["lake", "", "\ud800", "pond\0", "a" * 100_000])
def test_a_wrong_password_is_told_apart_from_none(password: str) -> None:
    data = locked("Secret newts.", "pond")
    with pytest.raises(EncryptedDocument, match=r"^a\.pdf: is protected by a password\. Upload it with the password"):
        extract(data, "a.pdf")
    with pytest.raises(EncryptedDocument, match=r"^a\.pdf: the password .*Upload it with the right one\."):
        extract(data, "a.pdf", Reading(password=password))


def attaching(*names: str, text: str = "Notes on newts.") -> bytes:
    embedded = [f"<< /Type /EmbeddedFile /Length {len(text)} >>\nstream\n{text}\nendstream"]
    specifications = [f"<< /Type /Filespec /F ({name}) /UF ({name}) /EF << /F 7 0 R >> >>" for name in names]
    listed = " ".join(f"({name}) {8 + at} 0 R" for at, name in enumerate(names))
    catalog = f"/Names << /EmbeddedFiles << /Names [{listed}] >> >>"
    return drawn(SEEN, catalog=catalog, objects=[*embedded, *specifications])


def test_attached_files_are_sections_of_the_text() -> None:
    extracted = extract(attaching("notes.txt", "more.md"), "a.pdf")
    assert extracted.text == "Newts swim.\n\n# notes.txt\n\nNotes on newts.\n\n# more.md\n\nNotes on newts."
    assert [page.number for page in extracted.pages] == [1, None]


def test_too_many_or_too_large_attachments_are_over_the_limit() -> None:
    data = attaching("a.txt", "b.txt", text="newts " * 2000)
    with pytest.raises(LimitExceeded, match=r"^a\.pdf: has 2 files attached, the limit is 1\."):
        extract(data, "a.pdf", Reading(ExtractionSettings(max_files=1)))
    with pytest.raises(LimitExceeded, match=r"^a\.pdf: its attached files have more than 0\.02 MiB"):
        extract(data, "a.pdf", Reading(ExtractionSettings(max_unpacked_mib=0.02)))


@pytest.mark.parametrize("drawn_by_file", [True, False])
def test_what_was_filled_into_a_form_is_text(drawn_by_file: bool) -> None:
    look = "BT /F1 12 Tf 2 4 Td (Crested newt) Tj ET"
    field = (
        "<< /Type /Annot /Subtype /Widget /FT /Tx /T (species) /V (Crested newt) /DA (/F1 12 Tf 0 g) "
        f"/Rect [150 590 350 610] /P 3 0 R {'/AP << /N 8 0 R >>' if drawn_by_file else ''} >>"
    )
    form = (
        f"<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F1 5 0 R >> >> "
        f"/Length {len(look)} >>\nstream\n{look}\nendstream"
    )
    catalog = (
        "/AcroForm << /Fields [7 0 R] /NeedAppearances true /DA (/F1 12 Tf 0 g) /DR << /Font << /F1 5 0 R >> >> >>"
    )
    data = drawn(shown("Species:", 72, 595), page="/Annots [7 0 R]", catalog=catalog, objects=[field, form])
    assert extract(data, "a.pdf").text.split() == ["Species:", "Crested", "newt"]


def test_more_pages_than_the_limit_are_refused() -> None:
    with pytest.raises(LimitExceeded, match=r"^a\.pdf: has 3 pages, the limit is 2\."):
        extract(pdf([["newts"]] * 3), "a.pdf", Reading(ExtractionSettings(max_pages=2)))


def test_one_text_on_very_many_pages_is_too_large_before_all_are_read() -> None:
    data = pdf([["newts " * 50]] * 40)
    with pytest.raises((LimitExceeded, DocumentTooLarge), match=r"^a\.pdf: its text has more than 0\.001 MiB"):
        extract(data, "a.pdf", Reading(max_text_mib=0.001))


def test_a_stream_that_unpacks_to_too_much_is_refused_and_a_picture_is_not() -> None:
    packed = zlib.compress(b"\0" * (3 * 1024 * 1024)).decode("latin-1")
    limits = ExtractionSettings(max_unpacked_mib=2)

    def holding(kind: str) -> bytes:
        stream = f"<< {kind} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n{packed}\nendstream"
        return drawn(SEEN, objects=[stream])

    with pytest.raises(LimitExceeded, match=r"^a\.pdf: a stream in it unpacks to more than 2 MiB"):
        extract(holding(""), "a.pdf", Reading(limits))
    assert extract(holding("/Subtype /Image"), "a.pdf", Reading(limits)).text == "Newts swim."


def test_forms_that_contain_themselves_end() -> None:
    inner = f"{SEEN} /Me Do"
    form = (
        "<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F1 5 0 R >> "
        f"/XObject << /Me 7 0 R >> >> /Length {len(inner)} >>\nstream\n{inner}\nendstream"
    )
    assert "Newts swim." in extract(drawn("/Me Do", resources="/XObject << /Me 7 0 R >>", objects=[form]), "a.pdf").text


def test_a_page_that_can_not_be_read_is_named_and_the_others_are_read() -> None:
    data = pdf([["Newts swim."], ["Toads walk."], ["Olms hide."]]).replace(b"6 0 R", b"0 0 R", 1)
    extracted = extract(data, "a.pdf")
    assert (extracted.text, len(extracted.pages)) == ("Newts swim.\n\n\n\nOlms hide.", 3)
    assert extracted.notes == ("page 2 could not be read: damaged",)


def test_some_scanned_pages_are_read_in_their_place() -> None:
    resources, objects = scan()
    data = drawn(COVERING, resources=resources, objects=objects)
    extracted = loader.load(data, "a.pdf", Reading(), ScriptedOcr(["From a scan."]))
    assert (extracted.text, extracted.notes) == ("From a scan.", ())
