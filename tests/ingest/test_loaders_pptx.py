from __future__ import annotations

import io

import pytest
from docx import Document
from office_documents import part_of, with_part
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE
from pptx.enum.shapes import MSO_SHAPE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.util import Inches, Pt

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, LimitExceeded, UnsupportedFormat
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden, Page

TITLE_AND_TEXT, TITLE_ONLY, BLANK = 1, 5, 6
TEXT = """\
# Newts

- worms
- flies
  - of the pond

| Kind | Length | Length |
| --- | --- | --- |
| Smooth | 11 | 12 |
| Smooth | 13 | 14 |

## Notes

Say it slowly.

Just a box.
Second line.

# Last

- the
- end"""


def deck(title: str = ""):
    presentation = Presentation()
    presentation.core_properties.title = title
    return presentation


def add(presentation, layout: int = BLANK):
    return presentation.slides.add_slide(presentation.slide_layouts[layout])


def box(slide, text: str, left: float = 1, top: float = 1):
    shape = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(1))
    shape.text_frame.text = text
    return shape


def saved(presentation) -> bytes:
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


def one_slide() -> bytes:
    presentation = deck()
    box(add(presentation), "Newts swim.")
    return saved(presentation)


def test_slides_become_sections_on_pages_of_their_number() -> None:
    presentation = deck()
    slide = add(presentation, TITLE_AND_TEXT)
    slide.shapes.title.text = "Newts"
    frame = slide.placeholders[1].text_frame
    frame.text = "worms"
    frame.add_paragraph().text = "flies"
    inner = frame.add_paragraph()
    inner.text, inner.level = "of the pond", 1
    table = slide.shapes.add_table(3, 3, Inches(1), Inches(4), Inches(4), Inches(1)).table
    for row, values in enumerate([["Kind", "Length", ""], ["Smooth", "11", "12"], ["", "13", "14"]]):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    box(add(presentation), "Just a box.\vSecond line.")
    last = add(presentation, TITLE_AND_TEXT)
    last.shapes.title.text = "Last"
    last.placeholders[1].text_frame.text = "the\nend"
    extracted = extract(saved(presentation), "newts.pptx")
    assert extracted.text == TEXT
    assert extracted.title == "Newts"
    box_start, end = TEXT.index("Just a box"), TEXT.index("# Last")
    assert extracted.pages == (Page(1, 0), Page(2, box_start), Page(3, end))
    # The slide without a title does not stand under that of the slide before.
    assert extracted.headings == (
        Heading(0, 1, "Newts"),
        Heading(TEXT.index("## Notes"), 2, "Notes"),
        Heading(box_start, 1, "Slide 2"),
        Heading(end, 1, "Last"),
    )


def test_the_stated_title_heads_all_slides_but_not_one_that_nobody_chose() -> None:
    for stated, expected in (("All newts", ("All newts", "Newts")), ("PowerPoint Presentation", ("Newts",))):
        presentation = deck(stated)
        add(presentation, TITLE_ONLY).shapes.title.text = "Newts"
        extracted = extract(saved(presentation), "a.pptx")
        assert tuple(heading.title for heading in extracted.headings) == expected


def test_charts_groups_and_diagrams_are_read() -> None:
    presentation = deck()
    slide = add(presentation)
    data = CategoryChartData(number_format="0%")
    data.categories = ["Spring", "Autumn"]
    data.add_series("Smooth", (0.25, 0.5))
    data.add_series("Crested", (0.75, None))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(4), Inches(3), data)
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "In a group."
    extracted = extract(saved(presentation), "a.pptx")
    assert "|  | Smooth | Crested |\n| --- | --- | --- |\n| Spring | 25% | 75% |\n| Autumn | 50% |" in extracted.text
    assert "In a group." in extracted.text
    # The workbook behind the chart is no attachment.
    assert "Sheet1" not in extracted.text


def test_what_a_viewer_does_not_see_is_told_apart() -> None:
    presentation = deck()
    slide = add(presentation)
    for index, (text, colour, size) in enumerate(
        [("Seen. ", 0x00, 18), ("white", 0xFF, 18), ("tiny", 0x00, 1), (" Seen too.", 0x80, 18)]
    ):
        shape = slide.shapes[0] if index else box(slide, "")
        run = shape.text_frame.paragraphs[0].add_run()
        run.text, run.font.size, run.font.color.rgb = text, Pt(size), RGBColor(colour, colour, colour)
    box(slide, "beside the slide", left=40)
    named = box(slide, "switched off", top=3)
    named._element.nvSpPr.cNvPr.set("hidden", "1")
    other = add(presentation)
    box(other, "On a hidden slide.")
    other._element.set("show", "0")
    extracted = extract(saved(presentation), "a.pptx")
    assert extracted.text == "Seen.  Seen too."
    assert set(extracted.hidden) == {
        Hidden("colour", "white", 1),
        Hidden("size", "tiny", 1),
        Hidden("off-page", "beside the slide", 1),
        Hidden("part", "switched off", 1),
        Hidden("part", "On a hidden slide.", 2),
    }


def covered(slide, *, alpha: bool = False):
    cover = slide.shapes.add_shape(1, Inches(0), Inches(0), Inches(9), Inches(6))
    cover.fill.solid()
    cover.fill.fore_color.rgb = RGBColor(255, 255, 255)
    if alpha:
        cover._element.spPr.find(".//{*}srgbClr").append(parse_xml(f'<a:alpha {nsdecls("a")} val="40000"/>'))
    return cover


def test_text_without_a_fill_in_no_box_or_below_a_shape_is_told_apart() -> None:
    presentation = deck()
    slide = add(presentation)
    run = box(slide, "not filled").text_frame.paragraphs[0].runs[0]
    run._r.get_or_add_rPr().append(parse_xml(f"<a:noFill {nsdecls('a')}/>"))
    empty = box(slide, "in no box")
    empty.width = empty.height = 0
    empty.text_frame.word_wrap = True
    shrunk = box(slide, "shrunk")
    shrunk._element.txBody.bodyPr.append(parse_xml(f'<a:normAutofit {nsdecls("a")} fontScale="1000"/>'))
    other = add(presentation)
    box(other, "below")
    covered(other)
    box(other, "above")
    extracted = extract(saved(presentation), "a.pptx")
    assert extracted.text == "above"
    assert set(extracted.hidden) == {
        Hidden("colour", "not filled", 1),
        Hidden("size", "in no box", 1),
        Hidden("size", "shrunk", 1),
        Hidden("layer", "below", 2),
    }


def test_text_below_what_is_transparent_or_moves_is_seen() -> None:
    presentation = deck()
    slide, animated = add(presentation), add(presentation)
    box(slide, "below glass")
    covered(slide, alpha=True)
    box(animated, "shown later")
    covered(animated)
    animated._element.append(parse_xml(f"<p:timing {nsdecls('p')}/>"))
    extracted = extract(saved(presentation), "a.pptx")
    assert (extracted.text, extracted.hidden) == ("below glass\n\nshown later", ())


@pytest.mark.parametrize("behind", ["fill", "shape", "background"])
def test_white_text_on_something_else_than_white_is_seen(behind: str) -> None:
    presentation = deck()
    slide = add(presentation)
    if behind == "shape":
        slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, 0, 0, Inches(9), Inches(5))
    if behind == "background":
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = RGBColor(0, 0, 0)
    shape = box(slide, "white")
    if behind == "fill":
        shape.fill.solid()
        shape.fill.fore_color.rgb = RGBColor(0, 0, 0x80)
    shape.text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)
    extracted = extract(saved(presentation), "a.pptx")
    assert (extracted.text, extracted.hidden) == ("white", ())


def test_footers_are_read_once_and_slide_numbers_never() -> None:
    presentation = deck()
    for number in (1, 2):
        slide = add(presentation)
        for index, kind in enumerate(("ftr", "sldNum")):
            shape = box(slide, "Confidential" if kind == "ftr" else str(number), top=index)
            holder = shape._element.nvSpPr.nvPr.makeelement(
                "{http://schemas.openxmlformats.org/presentationml/2006/main}ph", {"type": kind, "idx": str(10 + index)}
            )
            shape._element.nvSpPr.nvPr.append(holder)
        box(slide, f"Text {number}.", top=4)
    assert extract(saved(presentation), "a.pptx").text == "Confidential\n\nText 1.\n\nText 2."


def test_embedded_files_are_sections_of_their_own() -> None:
    document = Document()
    document.add_paragraph("A letter about newts.")
    letter = io.BytesIO()
    document.save(letter)
    presentation = deck()
    slide = add(presentation)
    box(slide, "See the letter.", top=3)
    slide.shapes.add_ole_object(io.BytesIO(letter.getvalue()), "Word.Document.12", 0, 0, Inches(1), Inches(1))
    extracted = extract(saved(presentation), "a.pptx")
    assert "See the letter." in extracted.text
    assert extracted.text.endswith("\n\nA letter about newts.")
    assert extracted.pages[-1].number is None


def test_comments_are_a_section_at_the_end() -> None:
    data = one_slide()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/comments"
    path = "ppt/slides/_rels/slide1.xml.rels"
    relation = f'<Relationship Id="rId9" Type="{kind}" Target="../comments/comment1.xml"/></Relationships>'
    data = with_part(data, path, part_of(data, path).replace("</Relationships>", relation))
    types = part_of(data, "[Content_Types].xml")
    content = "application/vnd.openxmlformats-officedocument.presentationml.comments+xml"
    override = f'<Override PartName="/ppt/comments/comment1.xml" ContentType="{content}"/></Types>'
    data = with_part(data, "[Content_Types].xml", types.replace("</Types>", override))
    space = "http://schemas.openxmlformats.org/presentationml/2006/main"
    comment = f'<p:cmLst xmlns:p="{space}"><p:cm authorId="0" idx="1"><p:text>Really?</p:text></p:cm></p:cmLst>'
    extracted = extract(with_part(data, "ppt/comments/comment1.xml", comment), "a.pptx")
    assert extracted.text == "Newts swim.\n\n# Comments\n\n- Slide 1: Really?"
    assert extracted.pages == (Page(1, 0), Page(None, 13))


def test_slide_shows_and_templates_are_presentations() -> None:
    types = part_of(one_slide(), "[Content_Types].xml")
    for kind in ("slideshow", "template"):
        changed = types.replace("presentationml.presentation.main", f"presentationml.{kind}.main")
        assert changed != types
        assert extract(with_part(one_slide(), "[Content_Types].xml", changed), "a.ppsx").text == "Newts swim."


def test_too_many_slides_are_refused_by_number() -> None:
    presentation = deck()
    for _ in range(3):
        add(presentation)
    with pytest.raises(LimitExceeded, match=r"^a\.pptx: has 3 slides, the limit is 2\."):
        extract(saved(presentation), "a.pptx", Reading(ExtractionSettings(max_pages=2)))


def test_entities_strict_documents_and_damage_are_refused() -> None:
    data, path = one_slide(), "ppt/slides/slide1.xml"
    bomb = '<!DOCTYPE a [<!ENTITY a "newts"><!ENTITY b "&a;&a;">]><p:sld'
    with pytest.raises(CorruptDocument, match=r"^a\.pptx: its XML declares entities"):
        extract(with_part(data, path, part_of(data, path).replace("<p:sld", bomb, 1)), "a.pptx")
    strict = part_of(data, "_rels/.rels").replace(
        "http://schemas.openxmlformats.org/officeDocument", "http://purl.oclc.org/ooxml/officeDocument"
    )
    with pytest.raises(UnsupportedFormat, match=r'^a\.pptx: is saved as "Strict Open XML"'):
        extract(with_part(data, "_rels/.rels", strict), "a.pptx")
    with pytest.raises(CorruptDocument, match=r"^a\.pptx: is no presentation that can be read"):
        extract(with_part(data, path, "<p:sld"), "a.pptx")
