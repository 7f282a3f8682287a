"""Pictures and scanned pages, read by an OCR program that knows its answers, and by tesseract where it is installed."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from documents import pdf as text_pdf
from PIL import Image, ImageDraw, ImageFont
from scans import COVERING, ScriptedOcr, drawn, picture, scan, shown

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EmptyDocument, LimitExceeded, NeedsOcr
from ingest.loaders import images, pdf
from ingest.loaders.ocr import OcrFailed, Recogniser, Tesseract, text_of
from ingest.loaders.reading import Reading
from ingest.types import Page

MISSING = "tesseract is not installed: install it (on Debian: apt install tesseract-ocr)"
FORMS = {"PNG": "image/png", "JPEG": "image/jpeg", "TIFF": "image/tiff", "GIF": "image/gif", "WEBP": "image/webp"}

with_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not installed")


def scanned() -> bytes:
    resources, objects = scan()
    return drawn(COVERING, resources=resources, objects=objects)


@pytest.mark.parametrize(("form", "media_type"), [*FORMS.items(), ("BMP", "image/bmp")])
def test_a_picture_is_read_as_a_grey_one(form: str, media_type: str) -> None:
    ocr = ScriptedOcr(["Newts swim."])
    extracted = images.load(picture(form), "a.png", Reading(), ocr)
    assert (extracted.text, extracted.media_type, extracted.pages) == ("Newts swim.", media_type, ())
    assert ocr.pictures[0].startswith(b"P5 80 60 255\n")  # small pictures are doubled


def test_each_picture_of_a_tiff_is_a_page_and_one_without_text_is_empty() -> None:
    extracted = images.load(picture("TIFF", frames=3), "a.tif", Reading(), ScriptedOcr(["one", "", "three"]))
    assert (extracted.text, extracted.notes) == ("one\n\n\n\nthree", ())
    assert extracted.pages == (Page(1, 0), Page(2, 5), Page(3, 7))


def test_of_an_animation_the_first_picture_is_read() -> None:
    extracted = images.load(picture("GIF", frames=3), "a.gif", Reading(), ScriptedOcr(["one"]))
    assert (extracted.text, extracted.notes) == ("one", ("only the first picture of the animation was read",))


def test_what_is_transparent_is_white_and_cameras_turn_pictures_upright() -> None:
    clear = Image.new("RGBA", (2000, 1000), (0, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    stream = io.BytesIO()
    clear.save(stream, "PNG", exif=exif)
    ocr = ScriptedOcr(["x"])
    images.load(stream.getvalue(), "a.png", Reading(), ocr)
    assert ocr.pictures[0].startswith(b"P5 1000 2000 255\n\xff\xff\xff")


def test_pictures_of_16_bits_keep_their_contrast() -> None:
    deep = Image.new("I;16", (2000, 10), 1000)
    deep.paste(3000, (0, 0, 1000, 10))
    stream = io.BytesIO()
    deep.save(stream, "PNG")
    ocr = ScriptedOcr(["x"])
    images.load(stream.getvalue(), "a.png", Reading(), ocr)
    assert set(ocr.pictures[0][len(b"P5 2000 10 255\n") :]) == {0, 255}


def test_a_picture_over_the_limit_is_refused_before_it_is_decoded() -> None:
    data = picture("PNG", size=(2000, 1000))
    limits = ExtractionSettings(max_megapixels=1)
    with pytest.raises(LimitExceeded, match=r"^a\.png: a picture in it has 2\.0 megapixels, the limit is 1\."):
        images.load(data[: len(data) // 2], "a.png", Reading(limits), ScriptedOcr(["x"]))
    with pytest.raises(LimitExceeded, match=r"^a\.tif: has more than 2 pages"):
        limits = ExtractionSettings(max_pages=2)
        images.load(picture("TIFF", frames=3), "a.tif", Reading(limits), ScriptedOcr(["x"] * 3))


@pytest.mark.parametrize("form", FORMS)
def test_no_prefix_of_a_picture_raises_anything_unforeseen(form: str) -> None:
    data = picture(form, frames=2 if form == "TIFF" else 1, mode="RGB")
    read = 0
    for size in range(8, len(data), max(1, len(data) // 60)):
        try:
            images.load(data[:size], "a.bin", Reading(), ScriptedOcr(["x"] * 9))
            read += 1
        except (CorruptDocument, EmptyDocument) as refusal:
            assert str(refusal).startswith("a.bin: ")
    assert read < 60


def test_a_picture_without_ocr_is_refused_with_what_to_install_and_a_damaged_one_as_damaged() -> None:
    with pytest.raises(NeedsOcr, match=r"^a\.png: only pictures of text in it, and tesseract is not installed"):
        images.load(picture("PNG"), "a.png", Reading(), ScriptedOcr(missing=MISSING))
    with pytest.raises(CorruptDocument):
        images.load(picture("PNG")[:60], "a.png", Reading(), ScriptedOcr(missing=MISSING))
    with pytest.raises(NeedsOcr, match=r"switched off: set `ingest\.extraction\.ocr` to true"):
        images.load(picture("PNG"), "a.png", Reading(ExtractionSettings(ocr=False)), ScriptedOcr(["x"]))


def test_a_picture_without_text_is_empty_and_one_that_took_too_long_is_over_the_limit() -> None:
    with pytest.raises(EmptyDocument, match=r"^a\.png: no text was found in the picture\."):
        images.load(picture("PNG"), "a.png", Reading(), ScriptedOcr([""]))
    with pytest.raises(LimitExceeded, match=r"^a\.png: page 1 could not be read: it took too long"):
        images.load(picture("PNG"), "a.png", Reading(), ScriptedOcr([OcrFailed("it took too long")]))


def test_a_scanned_page_is_rendered_and_read() -> None:
    ocr = ScriptedOcr(["Newts swim.\n\nToads walk."])
    extracted = pdf.load(scanned(), "a.pdf", Reading(), ocr)
    assert (extracted.text, extracted.pages, extracted.headings) == ("Newts swim.\n\nToads walk.", (Page(1, 0),), ())
    assert ocr.pictures[0].startswith(b"P5 2550 330")  # 300 dots an inch


def test_a_scan_with_a_stamp_of_a_few_words_is_read_as_a_scan() -> None:
    resources, objects = scan()
    data = drawn(COVERING + shown("Received", 72, 700), resources=resources, objects=objects)
    assert pdf.load(data, "a.pdf", Reading(), ScriptedOcr(["Newts swim in ponds."])).text == (
        "Newts swim in ponds.\n\nReceived"
    )
    assert pdf.load(data, "a.pdf", Reading(), ScriptedOcr([""])).text == "Received"
    kept = pdf.load(data, "a.pdf", Reading(), ScriptedOcr(missing=MISSING))
    assert kept.text == "Received"
    assert kept.notes == (f"page 1 is mostly a picture; only its text layer was read: {MISSING}",)


def test_scans_without_ocr_are_refused_and_pages_without_anything_are_empty() -> None:
    with pytest.raises(NeedsOcr, match=r"^a\.pdf: only pictures of text in it, and tesseract is not installed"):
        pdf.load(scanned(), "a.pdf", Reading(), ScriptedOcr(missing=MISSING))
    with pytest.raises(EmptyDocument, match=r"^a\.pdf: no text on any of its pages \(2\)\."):
        pdf.load(text_pdf([[], []]), "a.pdf", Reading(), ScriptedOcr(missing=MISSING))


def test_a_page_that_takes_too_long_is_named_and_the_file_refused_if_that_was_all() -> None:
    with pytest.raises(LimitExceeded, match=r"^a\.pdf: page 1 could not be read: it took too long"):
        pdf.load(scanned(), "a.pdf", Reading(), ScriptedOcr([OcrFailed("it took too long")]))


def test_the_pixels_of_a_huge_page_are_bounded() -> None:
    resources, objects = scan()
    data = drawn(
        "q 90000 0 0 90000 0 0 cm /Im Do Q", resources=resources, objects=objects, page="/MediaBox [0 0 90000 90000]"
    )
    ocr = ScriptedOcr(["x"])
    pdf.load(data, "a.pdf", Reading(ExtractionSettings(max_megapixels=1)), ocr)
    assert ocr.pictures[0].startswith(b"P5 1000 1000 255\n")


def test_no_time_is_left_once_the_file_has_had_its_time() -> None:
    recogniser = Recogniser("a.pdf", ExtractionSettings(wall_s=1e-9), ScriptedOcr(["x"]))
    with pytest.raises(OcrFailed, match="no time was left"):
        recogniser.read(b"")


# -- tesseract

HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"


def word(text: str, left: int, top: int, line: int, *, conf: float = 95, width: int = 0, height: int = 40) -> str:
    return f"5\t1\t1\t1\t{line}\t1\t{left}\t{top}\t{width or 25 * len(text)}\t{height}\t{conf}\t{text}\n"


def test_lines_are_joined_words_made_whole_and_noise_is_left_out() -> None:
    rows = [word("Newts", 100, 100, 1), word("are", 250, 100, 1), word("sala-", 350, 100, 1)]
    rows += [
        word("manders", 100, 150, 2),
        word("~", 290, 150, 2, conf=10, width=5),
        word("that", 300, 150, 2, width=175),
    ]
    rows += [word("swim.", 100, 200, 3), word("@@x", 100, 900, 4, conf=12)]
    assert text_of(HEAD + "".join(rows)) == "Newts are salamanders that swim."


def test_rows_of_cells_become_a_table() -> None:
    cells = [("Newt", "Length", "Mass"), ("Smooth", "9", "3"), ("Olm", "30", "20")]
    rows = [
        word(text, 100 + 400 * at, 100 + 70 * line, line)
        for line, row in enumerate(cells)
        for at, text in enumerate(row)
    ]
    assert text_of(HEAD + "".join(rows)).startswith("| Newt | Length | Mass |\n| --- | --- | --- |\n| Smooth | 9 | 3 |")


def test_a_missing_program_a_missing_language_and_a_name_that_is_none_are_told(tmp_path: Path) -> None:
    assert Tesseract(program="no-such-program").why_not() == MISSING
    assert "name languages as in `eng+deu`" in str(Tesseract("--help").why_not())
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nprintf 'Languages:\\neng\\n'\n")
    program.chmod(0o755)
    assert Tesseract("eng", str(program)).why_not() is None
    assert "no data for deu: install it (on Debian: apt install tesseract-ocr-deu)" in str(
        Tesseract("eng+deu", str(program)).why_not()
    )


@pytest.mark.parametrize(("script", "said"), [("exit 1", "could not read"), ("sleep 9", "too long")])
def test_a_program_that_fails_or_hangs_is_a_failure_of_that_picture(tmp_path: Path, script: str, said: str) -> None:
    program = tmp_path / "tesseract"
    program.write_text(f'#!/bin/sh\n[ "$1" = --list-langs ] && exit\nexec {script}\n')
    program.chmod(0o755)
    with pytest.raises(OcrFailed, match=said):
        Tesseract("eng", str(program)).read(b"", 0.3)


@with_tesseract
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_tesseract_reads_a_page_whichever_way_it_lies(turns: int) -> None:
    page = Image.new("L", (1700, 2200), 255)
    text = "\n".join(f"{number}. Newts are small salamanders that live in ponds." for number in range(12))
    ImageDraw.Draw(page).text((150, 200), text, 0, font=ImageFont.load_default(50), spacing=30)
    stream = io.BytesIO()
    page.rotate(90 * turns, expand=True).save(stream, "PNG")
    extracted = images.load(stream.getvalue(), "a.png", Reading(ExtractionSettings(ocr_languages="eng")))
    assert extracted.text.count("Newts are small salamanders that live in ponds.") >= 10
