"""Text of PDF pages that nobody sees is told apart from the text; what is seen stays, however it looks."""

from __future__ import annotations

import struct

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


def annotated(content: str, subtype: str, paint: str, more: str = "") -> bytes:
    """A page with an annotation over its second line, which paints what `paint` says."""
    appearance = (
        "<< /Type /XObject /Subtype /Form /BBox [0 0 300 40] /Resources << /ExtGState << /Multiply << /BM /Multiply >> "
        f">> >> /Length {len(paint)} >>\nstream\n{paint}\nendstream"
    )
    annotation = (
        f"<< /Type /Annot /Subtype /{subtype} /Rect [60 590 360 630] /F 4 /AP << /N 7 0 R >> "
        f"/QuadPoints [60 630 360 630 60 590 360 590] {more} >>"
    )
    return drawn(content, page="/Annots [8 0 R]", objects=[appearance, annotation])


def test_text_below_what_an_annotation_paints_is_hidden() -> None:
    content = SEEN + shown(NOTE, 72, 600)
    extracted = extract(annotated(content, "Square", "1 g 0 0 300 40 re f"), "a.pdf")
    assert (extracted.text, extracted.hidden) == ("Newts swim.", (Hidden("layer", NOTE, 1),))


def test_text_that_shows_through_an_annotation_is_seen() -> None:
    content = SEEN + shown(NOTE, 72, 600)
    for data in (
        annotated(content, "Highlight", "/Multiply gs 1 1 0 rg 0 0 300 40 re f"),
        annotated(content, "Square", "1 0 0 RG 1 1 298 38 re S"),
        annotated(content, "Square", "1 g 0 0 300 40 re f").replace(b"/F 4", b"/F 2"),
    ):
        extracted = extract(data, "a.pdf")
        assert (extracted.text, extracted.hidden) == (f"Newts swim.\n\n{NOTE}", ())


def test_text_that_a_soft_mask_leaves_nothing_of_is_hidden() -> None:
    group = "/Group << /S /Transparency /CS /DeviceGray >>"
    form = f"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] {group} /Length 20 >>"
    mask = f"{form}\nstream\n0 g 0 0 612 792 re f\nendstream"
    for paint, text in (("0 g", "Newts swim."), ("1 g", f"Newts swim.\n\n{NOTE}")):
        data = drawn(
            SEEN + shown(NOTE, 72, 600, how="/Gs gs"),
            resources="/ExtGState << /Gs << /SMask << /Type /Mask /S /Luminosity /G 7 0 R >> >> >>",
            objects=[mask.replace("0 g", paint)],
        )
        assert extract(data, "a.pdf").text == text


def test_letters_squeezed_to_lines_are_hidden() -> None:
    squeezed = f"q BT /F1 12 Tf 1 Tz 1 0 0 1 72 600 Tm ({NOTE}) Tj ET Q "
    narrow = "q BT /F1 12 Tf 60 Tz 1 0 0 1 72 500 Tm (They eat worms.) Tj ET Q "
    extracted = extract(drawn(SEEN + squeezed + narrow), "a.pdf")
    assert extracted.text == "Newts swim.\n\nThey eat worms."
    assert [its.how for its in extracted.hidden] == ["size"]


def with_drawn_letters(letter: str, kind: str = "/Type3") -> bytes:
    """A page whose second line is set in a font of type 3 that draws each letter by `letter`."""
    codes = range(32, 127)
    font = (
        f"<< /Type /Font /Subtype {kind} /FontBBox [0 0 1000 1000] /FontMatrix [.001 0 0 .001 0 0] /FirstChar 32 "
        f"/LastChar 126 /CharProcs << /a 8 0 R >> /Encoding << /Differences [32 {'/a ' * len(codes)}] >> "
        f"/Widths [{'500 ' * len(codes)}] /ToUnicode 9 0 R /Resources << >> >>"
    )
    names = (
        "begincmap 1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <20> <7e> <0020> endbfrange endcmap"
    )
    streams = [f"<< /Length {len(its)} >>\nstream\n{its}\nendstream" for its in (letter, names)]
    content = SEEN + f"BT /T3 12 Tf 72 600 Td ({NOTE}) Tj ET "
    return drawn(content, resources="", objects=[font, *streams]).replace(b"/F2 6 0 R", b"/T3 7 0 R")


@pytest.mark.parametrize("letter", ["500 0 d0", "500 0 0 0 500 500 d1", "500 0 0 0 500 500 d1 1 1 1 rg"])
def test_letters_that_draw_nothing_are_hidden(letter: str) -> None:
    extracted = extract(with_drawn_letters(letter), "a.pdf")
    assert (extracted.text, [its.text for its in extracted.hidden]) == ("Newts swim.", [NOTE])


def test_letters_drawn_by_the_file_itself_are_seen() -> None:
    extracted = extract(with_drawn_letters("500 0 0 0 500 500 d1 0 0 400 400 re f"), "a.pdf")
    assert (extracted.text, extracted.hidden) == (f"Newts swim.\n\n{NOTE}", ())


def font_file(box: tuple[int, int, int, int] | None) -> bytes:
    """A TrueType font that draws every letter as this box, or as nothing."""
    glyph = b""
    if box is not None:
        left, bottom, right, top = box
        steps = struct.pack(">8h", left, right - left, 0, left - right, bottom, 0, top - bottom, 0)
        glyph = struct.pack(">5hHH4B", 1, *box, 3, 0, 1, 1, 1, 1) + steps
    head = struct.pack(">4I2H2q4h2H3h", 1 << 16, 1 << 16, 0, 0x5F0F3CF5, 0, 1000, 0, 0, 0, 0, 1000, 1000, 0, 8, 2, 1, 0)
    cmap = struct.pack(">2H2HI3H256B", 0, 1, 1, 0, 12, 0, 262, 0, *[1] * 256)
    tables = {
        b"cmap": cmap,
        b"glyf": glyph + bytes(4),
        b"head": head,
        b"hhea": struct.pack(">I3hH11hH", 1 << 16, 800, -200, 0, 500, *[0] * 11, 2),
        b"hmtx": struct.pack(">4H", 500, 0, 500, 0),
        b"loca": struct.pack(">3I", 0, 0, len(glyph)),
        b"maxp": struct.pack(">I14H", 1 << 16, 2, 4, 1, *[0] * 11),
    }
    place = 12 + 16 * len(tables)
    directory, bodies = struct.pack(">I4H", 1 << 16, len(tables), 64, 2, 48), b""
    for tag, body in tables.items():
        directory += tag + struct.pack(">3I", 0, place + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    return directory + bodies


@pytest.mark.parametrize(("box", "is_seen"), [((0, 0, 400, 600), True), (None, False)])
def test_letters_of_a_font_without_outlines_are_hidden(box: tuple[int, int, int, int] | None, is_seen: bool) -> None:
    program = font_file(box).hex()
    objects = [
        "<< /Type /Font /Subtype /TrueType /BaseFont /Newt /FirstChar 32 /LastChar 126 "
        f"/Widths [{'500 ' * 95}] /FontDescriptor 8 0 R /Encoding /WinAnsiEncoding >>",
        "<< /Type /FontDescriptor /FontName /Newt /Flags 32 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 "
        "/Descent -200 /CapHeight 700 /StemV 80 /FontFile2 9 0 R >>",
        f"<< /Length {len(program)} /Filter /ASCIIHexDecode >>\nstream\n{program}\nendstream",
    ]
    data = drawn(SEEN + shown(NOTE, 72, 600, font="F2"), objects=objects).replace(b"/F2 6 0 R", b"/F2 7 0 R")
    extracted = extract(data, "a.pdf")
    assert (NOTE in extracted.text, [its.text for its in extracted.hidden]) == (is_seen, [] if is_seen else [NOTE])


def said(text: str, shows: str, before: str = "") -> str:
    return f"{before}/Span << /ActualText ({text}) >> BDC BT /F1 12 Tf {shows} ET EMC "


@pytest.mark.parametrize("depth", [0, 20])
def test_what_letters_show_outweighs_what_they_are_said_to_be(depth: int) -> None:
    line = said(NOTE, "72 600 Td (They eat worms.) Tj ( and flies.) Tj")
    extracted = extract(drawn(SEEN + line + "/P BMC " * depth + line.replace("600", "500") + "EMC " * depth), "a.pdf")
    assert extracted.text == "\n\n".join(("Newts swim.", *["They eat worms. and flies."] * 2))
    assert extracted.hidden == (Hidden("layer", NOTE, 1),)


def test_letters_said_one_by_one_to_be_others_are_what_they_show() -> None:
    one_by_one = "".join(
        said(letter, f"{72 + 7 * at} 600 Td ({shown}) Tj")
        for at, (letter, shown) in enumerate(zip("obeymecat", "newtsswim", strict=True))
    )
    extracted = extract(drawn(SEEN + one_by_one), "a.pdf")
    assert extracted.text.replace(" ", "") == "Newtsswim.\n\nnewtsswim"
    assert "".join(its.text for its in extracted.hidden) == "obeymecat"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (said("They eat worms.", "72 600 Td (They) Tj 30 0 Td (eat) Tj 20 0 Td (worms.) Tj"), "They eat worms."),
        (said("fi", "72 600 Td (\\256) Tj"), "fi"),
        (said("-", "72 600 Td (l) Tj") + shown("worms", 90, 600), "- worms"),
    ],
)
def test_what_letters_are_said_to_be_counts_where_it_is_what_they_show(line: str, text: str) -> None:
    extracted = extract(drawn(SEEN + line), "a.pdf")
    assert (extracted.text, extracted.hidden) == (f"Newts swim.\n\n{text}", ())


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
