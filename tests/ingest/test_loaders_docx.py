from __future__ import annotations

import pytest
from documents import new_docx, saved
from docx.enum.text import WD_BREAK, WD_COLOR_INDEX
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.shared import Pt, RGBColor
from office_documents import compound, ole_package, part_of, with_part

from ingest.errors import CorruptDocument
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden

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


def test_headings_and_list_items_are_numbered_as_a_word_processor_numbers_them() -> None:
    document = new_docx()
    numbering = document.part.numbering_part.element
    levels = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>{style}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for level, kind, text, style in (
            (0, "decimal", "%1", '<w:pStyle w:val="Heading1"/>'),
            (1, "decimal", "%1.%2", '<w:pStyle w:val="Heading2"/>'),
            (2, "lowerLetter", "(%3)", ""),
            (3, "upperRoman", "%4.", ""),
            (4, "bullet", "o", ""),
        )
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
    restarted = '<w:lvlOverride w:ilvl="3"><w:startOverride w:val="4"/></w:lvlOverride>'
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="91"><w:abstractNumId w:val="90"/>{restarted}</w:num>'))
    for level in (1, 2):
        properties = document.styles[f"Heading {level}"].element.get_or_add_pPr()
        properties.get_or_add_numPr().get_or_add_numId().val = 90
    for level, text in ((1, "Pond"), (2, "North"), (2, "South"), (1, "Lake"), (2, "West")):
        document.add_heading(text, level=level)
    for level, text, number in ((2, "a", 90), (2, "b", 90), (3, "one", 90), (3, "four", 91), (4, "point", 90)):
        properties = document.add_paragraph(text)._p.get_or_add_pPr().get_or_add_numPr()
        properties.get_or_add_ilvl().val = level
        properties.get_or_add_numId().val = number
    extracted = extract(saved(document), "a.docx")
    assert [heading.title for heading in extracted.headings] == [
        "1 Pond",
        "1.1 North",
        "1.2 South",
        "2 Lake",
        "2.1 West",
    ]
    assert extracted.text.endswith("    (a) a\n    (b) b\n      I. one\n      IV. four\n        - point")


def test_notes_stand_below_their_paragraph_and_comments_at_the_end() -> None:
    document = new_docx()
    document.add_heading("Newts", level=1)
    run = document.add_paragraph("Newts swim.").runs[0]
    document.add_comment(run, text="Really?", author="Ann")
    document.add_paragraph("They eat.")
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    path, types = "word/document.xml", "[Content_Types].xml"
    data = saved(document)
    body = part_of(data, path).replace("<w:t>They eat.</w:t></w:r>", f"<w:t>They eat.</w:t></w:r>{note}")
    footnotes = (
        f'<w:footnotes {nsdecls("w")}><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>Worms, mostly.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    relations = part_of(data, "word/_rels/document.xml.rels").replace(
        "</Relationships>", f'<Relationship Id="rId99" Type="{kind}" Target="footnotes.xml"/></Relationships>'
    )
    for place, content in (
        (path, body),
        ("word/footnotes.xml", footnotes),
        ("word/_rels/document.xml.rels", relations),
    ):
        data = with_part(data, place, content)
    extracted = extract(with_part(data, types, part_of(data, types)), "a.docx")
    assert extracted.text == (
        "# Newts\n\nNewts swim.\n\nThey eat.[1]\n\n[1] Worms, mostly.\n\n# Comments\n\n- Ann: Really?"
    )


def test_what_a_reader_does_not_see_is_told_apart() -> None:
    def highlight(font) -> None:
        font.highlight_color = WD_COLOR_INDEX.BLACK

    document = new_docx()
    paragraph = document.add_paragraph("Seen. ")
    for text, change in (
        ("vanished", lambda font: setattr(font, "hidden", True)),
        ("white", lambda font: setattr(font.color, "rgb", RGBColor(0xFF, 0xFF, 0xFF))),
        ("whitish", lambda font: setattr(font.color, "rgb", RGBColor(0xFE, 0xFF, 0xFE))),
        ("tiny", lambda font: setattr(font, "size", Pt(1))),
        ("highlighted", lambda font: (setattr(font.color, "rgb", RGBColor(255, 255, 255)), highlight(font))),
    ):
        change(paragraph.add_run(text).font)
    style = document.styles.add_style("Secret", 1)
    style.font.hidden = True
    document.add_paragraph("by style", style=style)
    extracted = extract(saved(document), "a.docx")
    assert extracted.text == "Seen. highlighted"
    assert set(extracted.hidden) == {
        Hidden("part", "vanished\nby style"),
        Hidden("colour", "white\nwhitish"),
        Hidden("size", "tiny"),
    }


def test_white_text_in_shaded_cells_is_seen() -> None:
    document = new_docx()
    table = document.add_table(rows=1, cols=2)
    for cell, shade in zip(table.rows[0].cells, ("000000", "auto"), strict=True):
        cell.paragraphs[0].add_run(f"on {shade}").font.color.rgb = RGBColor(255, 255, 255)
        cell._tc.get_or_add_tcPr().append(parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:fill="{shade}"/>'))
    extracted = extract(saved(document), "a.docx")
    assert "on 000000" in extracted.text
    assert extracted.hidden == (Hidden("colour", "on auto"),)


def test_merged_cells_repeat_their_text_and_deleted_rows_are_gone() -> None:
    document = new_docx()
    table = document.add_table(rows=4, cols=3)
    for row, values in zip(
        table.rows, (["Kind", "Length", ""], ["Smooth", "1", "2"], ["", "3", "4"], "xyz"), strict=True
    ):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    table.rows[3]._tr.get_or_add_trPr().append(parse_xml(f"<w:del {nsdecls('w')}/>"))
    assert extract(saved(document), "a.docx").text.splitlines() == [
        "| Kind | Length | Length |",
        "| --- | --- | --- |",
        "| Smooth | 1 | 2 |",
        "| Smooth | 3 | 4 |",
    ]


def test_formulas_keep_their_structure() -> None:
    def part(name: str, inner: str) -> str:
        return f"<m:{name}>{inner}</m:{name}>"

    def text(its: str) -> str:
        return f"<m:r><m:t>{its}</m:t></m:r>"

    formulas = {
        part("f", part("num", text("a")) + part("den", text("b"))): "\\frac{a}{b}",
        part(
            "f", '<m:fPr><m:type m:val="noBar"/></m:fPr>' + part("num", text("n")) + part("den", text("k"))
        ): "\\binom{n}{k}",
        part("f", '<m:fPr><m:type m:val="lin"/></m:fPr>' + part("num", text("n")) + part("den", text("k"))): "n/k",
        part(
            "f", '<m:fPr><m:type m:val="skw"/></m:fPr>' + part("num", text("n+1")) + part("den", text("k"))
        ): "(n+1)/k",
        part("sSup", part("e", text("x")) + part("sup", text("2"))): "x^{2}",
        part("sSubSup", part("e", text("x")) + part("sub", text("i")) + part("sup", text("2"))): "x_{i}^{2}",
        part("rad", part("deg", text("3")) + part("e", text("x"))): "\\sqrt[3]{x}",
        part("d", part("e", text("x")) + part("e", text("y"))): "(x|y)",
        part(
            "nary",
            '<m:naryPr><m:chr m:val="∑"/></m:naryPr>'
            + part("sub", text("n=1"))
            + part("sup", text("∞"))
            + part("e", text("n")),
        ): "\\sum_{n=1}^{∞}n",
        part(
            "m", part("mr", part("e", text("a")) + part("e", text("b"))) + part("mr", part("e", text("c")))
        ): "a & b \\\\ c",
        part("acc", '<m:accPr><m:chr m:val="\u20d7"/></m:accPr>' + part("e", text("v"))): "\\vec{v}",
    }
    document = new_docx()
    for xml in formulas:
        paragraph = f"<w:p {nsdecls('w', 'm')}><m:oMathPara><m:oMath>{xml}</m:oMath></m:oMathPara></w:p>"
        document.element.body.insert_element_before(parse_xml(paragraph), "w:sectPr")
    assert extract(saved(document), "a.docx").text.split("\n\n") == list(formulas.values())


def test_embedded_files_and_ole_packages_are_sections_of_their_own() -> None:
    inner = new_docx()
    inner.add_paragraph("A letter about newts.")
    document = new_docx()
    document.add_paragraph("See the enclosed.")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    data, path = saved(document), "word/_rels/document.xml.rels"
    relations = (
        f'<Relationship Id="r1" Type="{kind}package" Target="embeddings/letter.docx"/>'
        f'<Relationship Id="r2" Type="{kind}oleObject" Target="embeddings/oleObject1.bin"/>'
        f'<Relationship Id="r3" Type="{kind}oleObject" Target="embeddings/oleObject2.bin"/></Relationships>'
    )
    data = with_part(data, path, part_of(data, path).replace("</Relationships>", relations))
    data = with_part(data, "word/embeddings/letter.docx", saved(inner))
    native = compound({"\x01Ole10Native": ole_package("pond.txt", b"The pond is deep.")})
    data = with_part(data, "word/embeddings/oleObject1.bin", native)
    data = with_part(data, "word/embeddings/oleObject2.bin", compound({"Equation Native": b"x"}))
    extracted = extract(data, "a.docx")
    assert extracted.text == (
        "See the enclosed.\n\n# letter.docx\n\nA letter about newts.\n\n# pond.txt\n\nThe pond is deep."
    )
    assert extracted.notes == ("The embedded object oleObject2.bin could not be read",)


def test_documents_with_macros_templates_and_strict_documents_are_read() -> None:
    document = new_docx()
    document.add_heading("Newts", level=1)
    data, types = saved(document), "[Content_Types].xml"
    macros = part_of(data, types).replace(
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        "application/vnd.ms-word.document.macroEnabled.main+xml",
    )
    assert extract(with_part(data, types, macros), "a.docm").text == "# Newts"
    for path in ("word/document.xml", "word/styles.xml", "word/_rels/document.xml.rels", "_rels/.rels"):
        word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
        strict = part_of(data, path).replace(word, "http://purl.oclc.org/ooxml/wordprocessingml/main")
        usual = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        data = with_part(data, path, strict.replace(usual, "http://purl.oclc.org/ooxml/officeDocument/relationships"))
    assert extract(data, "a.docx").headings == (Heading(0, 1, "Newts"),)


def test_an_entity_in_any_part_that_is_read_is_refused() -> None:
    document = new_docx()
    document.add_paragraph("newts")
    data = saved(document)
    for path, root in (("word/document.xml", "<w:document"), ("word/styles.xml", "<w:styles")):
        bomb = f'<!DOCTYPE a [<!ENTITY a "newts"><!ENTITY b "&a;&a;">]>{root}'
        spoilt = part_of(data, path).replace(root, bomb, 1)
        with pytest.raises(CorruptDocument, match=r"^a\.docx: its XML declares entities"):
            extract(with_part(data, path, spoilt), "a.docx")


def test_elements_nested_as_deep_as_the_parser_takes_them_are_read() -> None:
    document = new_docx()
    deep = 80
    fraction = "<m:f><m:num>" * deep + "<m:r><m:t>x</m:t></m:r>" + "</m:num></m:f>" * deep
    tables = "<w:tbl><w:tr><w:tc>" * deep + "<w:p><w:r><w:t>y</w:t></w:r></w:p>" + "</w:tc></w:tr></w:tbl>" * deep
    tables = tables.replace("<w:tbl>", f"<w:tbl {nsdecls('w')}>", 1)
    for xml in (f"<w:p {nsdecls('w', 'm')}><m:oMath>{fraction}</m:oMath></w:p>", tables):
        document.element.body.insert_element_before(parse_xml(xml), "w:sectPr")
    text = extract(saved(document), "a.docx").text
    assert text.count("\\frac") == deep
    assert "| y |" in text
