"""Large pictures beside a text layer are read by OCR too, and only where the text layer has not got their text."""

from __future__ import annotations

import zlib

import pytest
from scans import COVERING, ScriptedOcr, drawn, scan, shown

from ingest.config import ExtractionSettings
from ingest.loaders import pdf
from ingest.loaders.ocr import OcrFailed
from ingest.loaders.reading import Reading
from ingest.types import Extracted

MISSING = "tesseract is not installed: install it (on Debian: apt install tesseract-ocr)"
STAMP = "RECEIVED 12 MAR 2024 by the registry office, file number 4711/2024, page 1 of 1"
CLAUSES = "The tenant shall pay 100 euros."
SENTENCE = "newts swim in ponds and eat small worms and sleep"


def pictured(content: str, *, size: tuple[int, int] = (300, 250), page: str = "") -> bytes:
    """A page on which `/Im Do` draws a picture, half of it white and half dark."""
    width, height = size
    pixels = zlib.compress((b"\xff" * (width // 2) + b"\x33" * (width - width // 2)) * height).decode("latin-1")
    body = (
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 8 /Filter /FlateDecode /Length {len(pixels)} >>\nstream\n{pixels}\nendstream"
    )
    return drawn(content, page=page, resources="/XObject << /Im 7 0 R >>", objects=[body])


def read(content: str, *answers: str | Exception, page: str = "", ocr: ScriptedOcr | None = None) -> Extracted:
    ocr = ocr or ScriptedOcr(list(answers))
    extracted = pdf.load(pictured(content, page=page), "a.pdf", Reading(), ocr)
    assert ocr.answers == []
    return extracted


@pytest.mark.parametrize("page", ["", "/Rotate 90", "/MediaBox [0 0 612 792] /CropBox [0 0 612 780]"])
def test_a_scan_with_a_long_stamp_is_read_and_the_stamp_kept(page: str) -> None:
    extracted = read(COVERING + shown(STAMP, 72, 20, size=8), CLAUSES, page=page)
    assert sorted(extracted.text.split("\n\n")) == sorted([CLAUSES, STAMP])
    assert extracted.notes == ()


def test_a_scan_on_a_part_of_the_page_stands_between_what_is_above_and_below() -> None:
    content = shown("Above the scan.", 72, 700) + "q 400 0 0 150 72 500 cm /Im Do Q " + shown("Below it.", 72, 400)
    ocr = ScriptedOcr([CLAUSES])
    assert read(content, ocr=ocr).text == f"Above the scan.\n\n{CLAUSES}\n\nBelow it."
    header, _, pixels = ocr.pictures[0].partition(b"255\n")
    _, width, height = header.split()
    assert abs(int(width) - 400 * 300 / 72) < 5 and abs(int(height) - 150 * 300 / 72) < 5
    assert (pixels[20], pixels[int(width) - 20]) == (0xFF, 0x33)  # that place and no other


def test_the_text_layer_is_not_in_the_picture_that_ocr_reads() -> None:
    ocr = ScriptedOcr([CLAUSES])
    read(COVERING + "1 g 0 0 306 792 re f 0 g " + shown(STAMP, 10, 20, size=8), ocr=ocr)
    assert set(ocr.pictures[0].partition(b"255\n")[2][-2550 * 200 :]) == {0xFF, 0x33}


def test_pictures_with_text_over_them_small_ones_and_coarse_ones_are_not_read() -> None:
    lines = "".join(shown(f"{SENTENCE} {SENTENCE}", 20, 780 - 14 * number) for number in range(55))
    assert read(COVERING + lines).text.startswith("newts swim")
    assert read("q 150 0 0 150 72 500 cm /Im Do Q " + shown(STAMP, 72, 20)).text == STAMP
    resources, objects = scan()
    coarse = drawn("q 400 0 0 150 72 500 cm /Im Do Q " + shown(STAMP, 72, 20), resources=resources, objects=objects)
    assert pdf.load(coarse, "a.pdf", Reading(), ScriptedOcr()).text == STAMP


def test_an_invisible_layer_over_a_scan_is_not_read_again() -> None:
    assert read(COVERING + shown(STAMP, 72, 600, how="3 Tr")).text == STAMP


def test_strips_of_one_scan_are_read_together() -> None:
    strips = "".join(f"q 612 0 0 66 0 {66 * number} cm /Im Do Q " for number in range(12))
    ocr = ScriptedOcr([CLAUSES])
    assert read(strips + shown(STAMP, 72, 20), ocr=ocr).text == f"{CLAUSES}\n\n{STAMP}"


@pytest.mark.parametrize("noise", ["", "aa\n\n| i SS", "=- ~ .. the _ -- ;; newt .: (( )) pond"])
def test_what_ocr_sees_in_a_photograph_is_left_out(noise: str) -> None:
    assert read(COVERING + shown(STAMP, 72, 20), noise).text == STAMP


def test_an_empty_picture_is_not_given_to_ocr() -> None:
    assert read(COVERING + "1 g 0 0 612 792 re f 0 g " + shown(STAMP, 72, 20)).text == STAMP


def test_without_ocr_or_where_it_fails_a_note_says_what_was_left_out() -> None:
    stamped = COVERING + shown(STAMP, 72, 20)
    missing = ScriptedOcr(missing=MISSING)
    note = f"page 1 is mostly a picture; only its text layer was read: {MISSING}"
    assert read(stamped, ocr=missing).notes == (note,)
    part = "q 400 0 0 150 72 500 cm /Im Do Q " + shown(STAMP, 72, 20)
    note = f"page 1 has a large picture; only its text layer was read: {MISSING}"
    assert read(part, ocr=missing).notes == (note,)
    extracted = read(stamped, OcrFailed("it took too long"))
    assert (extracted.text, extracted.notes) == (STAMP, ("pictures on page 1 could not be read: it took too long",))
    limits = ExtractionSettings(max_megapixels=0.01)
    extracted = pdf.load(pictured(stamped), "a.pdf", Reading(limits), ScriptedOcr())
    assert extracted.notes[0].startswith("pictures on page 1 could not be read: a picture on it has 0.1 megapixels")


def test_text_of_pictures_does_not_make_headings_of_the_rest() -> None:
    text = "".join(shown(SENTENCE, 72, 700 - 14 * number) for number in range(4))
    extracted = read("q 400 0 0 150 72 200 cm /Im Do Q " + text, "\n\n".join([SENTENCE] * 40))
    assert extracted.headings == ()
