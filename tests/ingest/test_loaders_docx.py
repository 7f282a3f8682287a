from __future__ import annotations

from documents import new_docx, saved
from docx.enum.text import WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingest.loaders.registry import extract
from ingest.types import Heading

TEXT = """\
# Newts

Newts are small salamanders.
They swim.

## Care

- worms
1. flies
- alive

| Kind | cm |
| --- | --- |
| Smooth | 11 |
| a\\|b |  |

### Cold

After the table."""


def test_a_document_becomes_text_in_its_order() -> None:
    document = new_docx()
    document.add_heading("Newts", level=0)
    paragraph = document.add_paragraph("Newts are ")
    paragraph.add_run("small").bold = True
    paragraph.add_run(" salamanders.").add_break(WD_BREAK.LINE)
    paragraph.add_run("They swim.")
    document.add_heading("Care", level=1)
    document.add_paragraph("worms", style="List Bullet")
    document.add_paragraph("flies", style="List Number")
    document.add_paragraph("alive", style="List Bullet 2")
    table = document.add_table(rows=3, cols=2)
    for row, values in zip(table.rows, [("Kind", "cm"), ("Smooth", "11"), ("", "")], strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    table.cell(2, 0).merge(table.cell(2, 1)).text = "a|b"
    document.add_paragraph()
    document.add_heading("Cold", level=2)
    document.add_paragraph("After the table.")
    extracted = extract(saved(document), "newts.docx")
    assert extracted.text == TEXT
    assert extracted.title == "Newts"
    # Below a title, "Heading 1" is of level 2.
    assert extracted.headings == (
        Heading(start=0, level=1, title="Newts"),
        Heading(start=TEXT.index("## Care"), level=2, title="Care"),
        Heading(start=TEXT.index("### Cold"), level=3, title="Cold"),
    )


def test_the_title_comes_from_the_properties_else_the_first_heading_else_the_stem() -> None:
    for properties, heading, expected in (
        ("All newts", "Newts", "All newts"),
        ("", "Newts", "Newts"),
        ("", "", "pond"),
    ):
        document = new_docx(title=properties)
        if heading:
            document.add_heading(heading, level=2)
        document.add_paragraph("They swim.")
        assert extract(saved(document), "pond.docx").title == expected


def test_the_stated_title_heads_a_document_without_a_heading_of_level_one() -> None:
    document = new_docx(title="All newts")
    document.add_heading("Care", level=2)
    headings = extract(saved(document), "a.docx").headings
    assert headings == (Heading(0, 1, "All newts"), Heading(0, 2, "Care"))


def test_styles_based_on_a_heading_are_headings() -> None:
    document = new_docx()
    style = document.styles.add_style("Chapter", 1)
    style.base_style = document.styles["Heading 2"]
    document.add_paragraph("Care", style=style)
    assert extract(saved(document), "a.docx").headings == (Heading(0, 2, "Care"),)


def test_insertions_links_controls_formulas_and_text_boxes_are_read_and_deletions_are_not() -> None:
    document = new_docx()
    box = "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
    declarations = nsdecls("w", "m", "r") + ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    for xml in (
        f"""<w:p {declarations}><w:r><w:t xml:space="preserve">Newts </w:t></w:r>
        <w:del><w:r><w:delText>hop</w:delText><w:t>hop</w:t></w:r></w:del>
        <w:ins><w:r><w:t>swim</w:t></w:r></w:ins>
        <w:hyperlink><w:r><w:t xml:space="preserve"> well</w:t></w:r></w:hyperlink>
        <w:r><w:noBreakHyphen/><w:tab/></w:r><m:oMath><m:r><m:t>a=b</m:t></m:r></m:oMath>
        <w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>
        </w:p>""",
        f"<w:sdt {declarations}><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    ):
        document.element.body.insert_element_before(parse_xml(xml), "w:sectPr")
    assert extract(saved(document), "a.docx").text == "Newts swim well-\ta=b\n\nIn a box.\n\nIn a control."


def test_tables_inside_cells_are_read_once() -> None:
    document = new_docx()
    outer = document.add_table(rows=1, cols=2)
    outer.cell(0, 0).text = "outer"
    inner = outer.cell(0, 1).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "in", "ner"
    assert extract(saved(document), "a.docx").text.splitlines()[0].split() == ["|", "outer", "|", "in", "ner", "|"]


def test_paragraphs_taken_out_of_a_list_are_no_items() -> None:
    document = new_docx()
    paragraph = document.add_paragraph("Not an item.", style="List Bullet")
    paragraph._p.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = 0
    document.add_paragraph("An item.", style="List Bullet")
    assert extract(saved(document), "a.docx").text == "Not an item.\n\n- An item."
