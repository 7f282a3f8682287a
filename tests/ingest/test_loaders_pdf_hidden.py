"""Text of PDF pages that nobody sees is told apart from the text; what is seen stays, however it looks."""

from __future__ import annotations

import pytest
from scans import COVERING, ScriptedOcr, drawn, scan, shown

from ingest.errors import EmptyDocument
from ingest.loaders import pdf
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.types import Hidden

SEEN = shown("Newts swim.", 72, 700)
NOTE = "Obey the newts"
BLACK_BOX, WHITE_BOX = "0 g 60 590 300 40 re f ", "1 g 60 590 300 40 re f 0 g "

HIDDEN = {
    "white": ("colour", shown(NOTE, 72, 600, how="1 g")),
    "nearly white": ("colour", shown(NOTE, 72, 600, how="0.98 g")),
    "black on black": ("colour", BLACK_BOX + shown(NOTE, 72, 600, how="0 g")),
    "transparent": ("layer", shown(NOTE, 72, 600, how="/Gs gs")),
    "never painted": ("layer", shown(NOTE, 72, 600, how="3 Tr")),
    "covered": ("layer", shown(NOTE, 72, 600) + WHITE_BOX),
    "clipped away": ("layer", shown(NOTE, 72, 600, how="0 0 9 9 re W n")),
    "switched off": ("layer", "/OC /Mc BDC " + shown(NOTE, 72, 600) + "EMC "),
    "tiny": ("size", shown(NOTE, 72, 600, size=1)),
    "made tiny": ("size", shown(NOTE, 7200, 60000, size=100, how=".01 0 0 .01 0 0 cm")),
    "below the page": ("off-page", shown(NOTE, 72, -50)),
}


def with_layers(content: str) -> bytes:
    """A page with a transparent graphics state Gs, and optional content Mc that is switched off."""
    return drawn(
        content,
        resources="/ExtGState << /Gs << /ca 0 /CA 0 >> >> /Properties << /Mc 7 0 R >>",
        catalog="/OCProperties << /OCGs [7 0 R] /D << /OFF [7 0 R] >> >>",
        objects=["<< /Type /OCG /Name (Off) >>"],
    )


@pytest.mark.parametrize(("how", "content"), HIDDEN.values(), ids=HIDDEN)
def test_hidden_text_is_told_with_its_page_and_is_no_text(how: str, content: str) -> None:
    extracted = extract(with_layers(SEEN + content), "a.pdf")
    assert extracted.text == "Newts swim."
    assert extracted.hidden == (Hidden(how=how, text=NOTE, page=1),)


@pytest.mark.parametrize(
    "content",
    [
        BLACK_BOX + shown(NOTE, 72, 600, how="1 g"),
        WHITE_BOX + shown(NOTE, 72, 600),
        shown(NOTE, 72, 600, how="0.6 g"),
        shown(NOTE, 72, 600, how="1 1 0 rg"),
        shown(NOTE, 72, 600, how="60 590 300 40 re W n"),
        shown(NOTE, 72, 600, size=4),
    ],
    ids=["white on black", "on a white box", "grey", "yellow", "within its clip", "small print"],
)
def test_visible_text_of_any_look_is_text(content: str) -> None:
    extracted = extract(with_layers(SEEN + content), "a.pdf")
    assert extracted.text.split("\n\n") == ["Newts swim.", NOTE]
    assert extracted.hidden == ()


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_turned_pages_and_shifted_crop_boxes_are_looked_at_in_the_right_place(rotate: int) -> None:
    page = f"/Rotate {rotate} /MediaBox [0 0 612 792] /CropBox [50 300 550 750]"
    content = SEEN + BLACK_BOX + shown("White on black.", 72, 600, how="1 g") + shown(NOTE, 72, 400, how="1 g")
    extracted = extract(drawn(content + shown("Cut off.", 72, 100), page=page), "a.pdf")
    assert extracted.text == "Newts swim.\n\nWhite on black."
    assert sorted((its.how, its.text) for its in extracted.hidden) == [("colour", NOTE), ("off-page", "Cut off.")]


def test_the_hidden_part_of_a_word_is_told_apart() -> None:
    content = "BT /F1 12 Tf 72 700 Td (Newts) Tj 1 g (obey) Tj 0 g (swim) Tj ET"
    extracted = extract(drawn(content), "a.pdf")
    assert (extracted.text, extracted.hidden) == ("Newts swim", (Hidden("colour", "obey", 1),))


def test_the_invisible_layer_over_a_scan_is_its_text() -> None:
    resources, objects = scan()
    layer = shown("Newts as OCR read them.", 72, 600, how="3 Tr")
    ocr = ScriptedOcr()
    for content in (COVERING + layer, layer + COVERING):
        extracted = pdf.load(drawn(content, resources=resources, objects=objects), "a.pdf", Reading(), ocr)
        assert (extracted.text, extracted.hidden) == ("Newts as OCR read them.", ())
    assert ocr.pictures == []


def test_invisible_text_beside_visible_text_on_a_scan_is_hidden() -> None:
    resources, objects = scan()
    content = COVERING + shown("A stamp that can be read.", 72, 600) + shown(NOTE, 72, 500, how="3 Tr")
    ocr = ScriptedOcr([""])
    extracted = pdf.load(drawn(content, resources=resources, objects=objects), "a.pdf", Reading(), ocr)
    assert (extracted.text, extracted.hidden) == ("A stamp that can be read.", (Hidden("layer", NOTE, 1),))


def test_a_file_with_nothing_but_hidden_text_is_empty() -> None:
    with pytest.raises(EmptyDocument, match=r"^a\.pdf: no text on any of its pages \(1\), all of it hidden\."):
        extract(drawn(shown(NOTE, 72, 600, how="1 g")), "a.pdf")
