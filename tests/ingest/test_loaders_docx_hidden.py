"""Text of DOCX that nobody sees: by its colour, its size, its place, or the box or row that it is in."""

from __future__ import annotations

import pytest
from documents import new_docx, saved
from docx.oxml import parse_xml
from office_documents import part_of, with_part

from ingest.loaders.registry import extract

SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def docx(*elements: str) -> bytes:
    document = new_docx()
    document.add_paragraph("Newts swim.")
    for element in reversed(elements):
        document.element.body.insert(1, parse_xml(element.replace(">", f" {SPACES}>", 1)))
    return saved(document)


def paragraph(text: str, run: str = "", whole: str = "") -> str:
    return f"<w:p><w:pPr>{whole}</w:pPr><w:r><w:rPr>{run}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


def drawing(around: str, extent: str = 'cx="900000" cy="900000"', named: str = "") -> str:
    text = "<wps:txbx><w:txbxContent><w:p><w:r><w:t>obey</w:t></w:r></w:p></w:txbxContent></wps:txbx>"
    graphic = f'<a:graphic><a:graphicData uri="a"><wps:wsp>{text}</wps:wsp></a:graphicData></a:graphic>'
    inner = f'{around}<wp:extent {extent}/><wp:docPr id="1" name="a" {named}/>{graphic}'
    return f"<w:p><w:r><w:drawing><wp:anchor>{inner}</wp:anchor></w:drawing></w:r></w:p>"


def vml(style: str) -> str:
    text = "<w:txbxContent><w:p><w:r><w:t>obey</w:t></w:r></w:p></w:txbxContent>"
    shape = f'<v:shape style="{style}"><v:textbox style="mso-fit-shape-to-text:t">{text}</v:textbox></v:shape>'
    return f"<w:p><w:r><w:pict>{shape}</w:pict></w:r></w:p>"


def row(properties: str) -> str:
    cells = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>" * 2
    first, second = cells.format("worms", "flies"), cells.format("obey", "")
    return f"<w:tbl><w:tr>{first}</w:tr><w:tr><w:trPr>{properties}</w:trPr>{second}</w:tr></w:tbl>"


WHITE = '<w:color w:val="FFFFFF"/>'
FILL = "<w14:textFill>{}</w14:textFill>"
SOLID = FILL.format("<w14:solidFill>{}</w14:solidFill>")
ALPHA = '<w14:srgbClr w14:val="000000"><w14:alpha w14:val="{}"/></w14:srgbClr>'

HIDDEN = [
    ("colour", paragraph("obey", '<w:color w:val="000000" w:themeColor="background1"/>')),
    ("colour", paragraph("obey", '<w:color w:val="000000" w:themeColor="text1" w:themeTint="01"/>')),
    ("colour", paragraph("obey", '<w:color w:val="auto" w:themeColor="background1" w:themeShade="FE"/>')),
    ("colour", paragraph("obey", '<w:color w:val="FFFF00"/><w:highlight w:val="yellow"/>')),
    ("colour", paragraph("obey", '<w:color w:val="112233"/><w:shd w:val="clear" w:fill="122232"/>')),
    ("colour", paragraph("obey", '<w:color w:val="112233"/><w:shd w:val="solid" w:color="112233" w:fill="FFFFFF"/>')),
    ("colour", paragraph("obey", f'{WHITE}<w:shd w:val="clear" w:fill="000000" w:themeFill="background1"/>')),
    ("colour", paragraph("obey", FILL.format("<w14:noFill/>"))),
    ("colour", paragraph("obey", SOLID.format(ALPHA.format(100000)))),
    ("colour", paragraph("obey", SOLID.format('<w14:schemeClr w14:val="bg1"/>'))),
    ("size", paragraph("obey", '<w:w w:val="1"/>')),
    ("size", paragraph("obey", '<w:spacing w:val="-400"/>')),
    ("off-page", paragraph("obey", '<w:position w:val="-3000"/>')),
    ("size", paragraph("obey", "", '<w:spacing w:line="20" w:lineRule="exact"/>')),
    ("off-page", paragraph("obey", "", '<w:ind w:left="31000"/>')),
    ("off-page", paragraph("obey", "", '<w:ind w:start="-20000" w:hanging="99"/>')),
    ("off-page", paragraph("obey", "", '<w:framePr w:w="2000" w:x="-25000" w:y="1"/>')),
    ("size", paragraph("obey", "", '<w:framePr w:w="2000" w:h="1" w:hRule="exact"/>')),
    ("part", row("<w:hidden/>")),
    ("size", row('<w:trHeight w:val="2" w:hRule="exact"/>')),
    ("layer", vml("position:absolute;width:99pt;height:99pt;visibility:hidden")),
    ("off-page", vml("position:absolute;margin-left:-9999pt;width:99pt;height:99pt")),
    ("size", vml("width:0;height:0")),
    ("size", drawing("", 'cx="0" cy="0"')),
    ("layer", drawing("", named='hidden="1"')),
    ("off-page", drawing("<wp:positionH><wp:posOffset>-90000000</wp:posOffset></wp:positionH>")),
]

SEEN = [
    paragraph("obey", '<w:color w:val="FFFFFF" w:themeColor="text1"/>'),
    paragraph("obey", '<w:color w:val="000000" w:themeColor="background1" w:themeShade="80"/>'),
    paragraph("obey", f'{WHITE}<w:highlight w:val="darkBlue"/>'),
    paragraph("obey", f"{WHITE}{SOLID.format(ALPHA.format(40000))}"),
    paragraph("obey", f"{FILL.format('<w14:noFill/>')}<w14:textOutline><w14:solidFill/></w14:textOutline>"),
    paragraph("obey", '<w:w w:val="66"/><w:spacing w:val="-20"/><w:position w:val="-12"/>'),
    paragraph("obey", "", '<w:spacing w:line="240" w:lineRule="exact"/><w:ind w:left="720" w:hanging="720"/>'),
    paragraph("obey", "", '<w:spacing w:line="20" w:lineRule="atLeast"/>'),
    paragraph("obey", "", '<w:framePr w:w="2000" w:x="9000" w:y="1"/>'),
    row('<w:hidden w:val="0"/><w:trHeight w:val="400" w:hRule="exact"/>'),
    vml("position:absolute;margin-left:20pt;width:99pt;height:99pt"),
    drawing("<wp:positionH><wp:posOffset>-900000</wp:posOffset></wp:positionH>"),
]


@pytest.mark.parametrize(("how", "element"), HIDDEN)
def test_what_nobody_sees_of_a_document_is_told_apart(how: str, element: str) -> None:
    extracted = extract(docx(element), "a.docx")
    assert "obey" not in extracted.text
    assert extracted.text.startswith("Newts swim.")
    assert [(its.how, its.text.strip()) for its in extracted.hidden] == [(how, "obey")]


@pytest.mark.parametrize("element", SEEN)
def test_what_is_seen_of_a_document_stays(element: str) -> None:
    extracted = extract(docx(element), "a.docx")
    assert "obey" in extracted.text
    assert extracted.hidden == ()


def test_the_page_may_have_a_colour_of_its_own() -> None:
    data = docx(paragraph("seen", WHITE), paragraph("obey", '<w:color w:val="102030"/>'))
    main, settings = part_of(data, "word/document.xml"), part_of(data, "word/settings.xml")
    coloured = with_part(
        data, "word/document.xml", main.replace("<w:body>", '<w:background w:color="102030"/><w:body>')
    )
    assert extract(coloured, "a.docx").text == "Newts swim.\n\nobey"  # the settings don't show it
    head, tag, rest = settings.partition("<w:zoom")
    shown = with_part(coloured, "word/settings.xml", f"{head}<w:displayBackgroundShape/>{tag}{rest}")
    assert extract(shown, "a.docx").text == "Newts swim.\n\nseen"
