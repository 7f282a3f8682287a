"""XLSX, XLS and ODS: what is on their sheets, what is hidden there, and what hostile ones get."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
import xlsxwriter
import xlwt
from office_documents import odf, packed, part_of, with_part

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EmptyDocument, LimitExceeded, UnsupportedFormat
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden

TABLE = """\
# Pond

| Kind | Seen | Share |
| --- | --- | --- |
| Smooth | 2024-03-05 | 25.6% |
| a\\|b | 2024-03-06 14:30 | 50.0% |"""

_RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def xlsx(fill, **options) -> bytes:
    """A workbook that `fill` writes."""
    stream = io.BytesIO()
    workbook = xlsxwriter.Workbook(stream, {"in_memory": True, **options})
    fill(workbook)
    workbook.close()
    return stream.getvalue()


def sheet_of(cells: dict[str, object]) -> bytes:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        for place, value in cells.items():
            sheet.write(place, value)

    return xlsx(fill)


def lines(data: bytes, name: str = "pond.xlsx") -> list[str]:
    return extract(data, name).text.splitlines()


def seen(workbook) -> None:
    sheet = workbook.add_worksheet("Pond")
    day = workbook.add_format({"num_format": "dd/mm/yyyy"})
    moment = workbook.add_format({"num_format": "dd/mm/yyyy hh:mm"})
    share = workbook.add_format({"num_format": "0.0%"})
    sheet.write_row("A1", ["Kind", "Seen", "Share"])
    sheet.write("A2", "Smooth")
    sheet.write_datetime("B2", datetime(2024, 3, 5), day)
    sheet.write("C2", 0.256, share)
    sheet.write("A3", "a|b")
    sheet.write_datetime("B3", datetime(2024, 3, 6, 14, 30), moment)
    sheet.write("C3", 0.5, share)


def test_a_sheet_is_a_heading_and_a_table_of_what_its_cells_show() -> None:
    extracted = extract(xlsx(seen), "pond.xlsx")
    assert extracted.text == TABLE
    assert extracted.title == "pond"
    assert extracted.headings == (Heading(0, 1, "Pond"),)
    assert extracted.media_type.endswith("spreadsheetml.sheet")


def test_strings_within_cells_and_shared_ones_read_alike() -> None:
    assert extract(xlsx(seen, strings_to_numbers=False), "a.xlsx").text == TABLE
    assert extract(xlsx(seen, constant_memory=True), "a.xlsx").text == TABLE  # this option writes them into the cells


def test_the_same_sheet_reads_alike_in_the_old_format() -> None:
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Pond")
    cells = [
        ["Kind", "Seen", "Share"],
        ["Smooth", datetime(2024, 3, 5), 0.256],
        ["a|b", datetime(2024, 3, 6, 14, 30), 0.5],
    ]
    formats = ["General", "dd/mm/yyyy", "0.0%"]
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            code = "dd/mm/yyyy hh:mm" if (row, column) == (2, 1) else formats[column] if row else "General"
            sheet.write(row, column, value, xlwt.easyxf(num_format_str=code))
    stream = io.BytesIO()
    workbook.save(stream)
    extracted = extract(stream.getvalue(), "pond.xls")
    assert (extracted.text, extracted.media_type) == (TABLE, "application/vnd.ms-excel")


def test_the_same_sheet_reads_alike_in_open_document() -> None:
    def row(*values: str) -> str:
        cells = "".join(f"<table:table-cell><text:p>{value}</text:p></table:table-cell>" for value in values)
        return f"<table:table-row>{cells}</table:table-row>"

    rows = row("Kind", "Seen", "Share") + row("Smooth", "2024-03-05", "25.6%") + row("a|b", "2024-03-06 14:30", "50.0%")
    padding = '<table:table-row table:number-rows-repeated="1048573"><table:table-cell/></table:table-row>'
    data = odf("spreadsheet", f'<table:table table:name="Pond">{rows}{padding}</table:table>')
    assert extract(data, "pond.ods").text == TABLE


def test_tables_apart_on_one_sheet_are_tables_of_their_own() -> None:
    cells = {"A1": "Kind", "B1": "cm", "A2": "Smooth", "B2": 11, "D1": "Food", "E1": "Price", "D2": "worms", "E2": 2}
    cells |= {"A5": "Pond", "B5": "Depth", "A6": "North", "B6": 3}
    assert extract(sheet_of(cells), "a.xlsx").text.split("\n\n")[1:] == [
        "| Kind | cm |\n| --- | --- |\n| Smooth | 11 |",
        "| Food | Price |\n| --- | --- |\n| worms | 2 |",
        "| Pond | Depth |\n| --- | --- |\n| North | 3 |",
    ]


def test_a_table_goes_on_below_an_empty_row_where_no_new_header_stands() -> None:
    cells = {"A1": "Kind", "B1": "cm", "A2": "Smooth", "B2": 11, "A4": "Crested", "B4": 16}
    assert lines(sheet_of(cells))[2:] == ["| Kind | cm |", "| --- | --- |", "| Smooth | 11 |", "| Crested | 16 |"]


def test_tables_that_touch_at_a_corner_are_two() -> None:
    cells = {"A1": "a", "B1": "b", "A2": 1, "B2": 2, "C3": "c", "D3": "d", "C4": 3, "D4": 4}
    assert len(extract(sheet_of(cells), "a.xlsx").text.split("\n\n")) == 3


def test_a_title_above_a_table_and_a_single_column_are_no_tables() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        sheet.merge_range("A1:B1", "All newts")
        sheet.write_row("A2", ["Kind", "cm"])
        sheet.write_row("A3", ["Smooth", 11])
        sheet.write_column("D1", ["Read", "me"])

    assert extract(xlsx(fill), "a.xlsx").text.split("\n\n")[1:] == [
        "All newts",
        "| Kind | cm |\n| --- | --- |\n| Smooth | 11 |",
        "Read\nme",
    ]


def test_merged_cells_show_their_text_in_each_row_and_column() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        sheet.write("A1", "Kind")
        sheet.merge_range("B1:C1", "Length")
        sheet.merge_range("A2:A3", "Smooth")
        sheet.write_row("B2", [1, 2])
        sheet.write_row("B3", [3, 4])

    assert lines(xlsx(fill))[2:] == [
        "| Kind | Length | Length |",
        "| --- | --- | --- |",
        "| Smooth | 1 | 2 |",
        "| Smooth | 3 | 4 |",
    ]


def hiding(workbook) -> None:
    sheet = workbook.add_worksheet("Pond")
    sheet.write_row("A1", ["Kind", "cm", "Secret"])
    sheet.write_row("A2", ["Smooth", 11, "column"])
    sheet.write_row("A3", ["row", 1, 2])
    sheet.write("A5", "white", workbook.add_format({"font_color": "#FFFFFF"}))
    sheet.write("A6", "shown", workbook.add_format({"font_color": "#FFFFFF", "bg_color": "#000000"}))
    sheet.write("A7", "tiny", workbook.add_format({"font_size": 1}))
    sheet.write("A8", 4711, workbook.add_format({"num_format": ";;;"}))
    sheet.write("A9", "red", workbook.add_format({"font_color": "#FF0000", "bg_color": "#FF0000"}))
    sheet.set_column("C:C", None, None, {"hidden": True})
    sheet.set_row(2, None, None, {"hidden": True})
    workbook.add_worksheet("Vault").write("A1", "password")
    workbook.get_worksheet_by_name("Vault").hide()


def test_what_is_hidden_on_a_sheet_is_told_apart() -> None:
    extracted = extract(xlsx(hiding), "a.xlsx")
    assert extracted.text == "# Pond\n\n| Kind | cm |\n| --- | --- |\n| Smooth | 11 |\n\nshown"
    assert set(extracted.hidden) == {
        Hidden("part", "Secret\ncolumn\nrow\n1\n2\n4711"),
        Hidden("colour", "white\nred"),
        Hidden("size", "tiny"),
        Hidden("part", "Vault\npassword"),
    }


def unseen(workbook) -> None:
    sheet = workbook.add_worksheet("Pond")
    sheet.write("A1", "Newts")
    sheet.write("A2", "obey by format", workbook.add_format({"num_format": '0;0;0;" "'}))
    sheet.write("A3", "obey in white", workbook.add_format({"num_format": "0;0;0;[White]@"}))
    sheet.write("A4", 4711, workbook.add_format({"num_format": "[Color 2]0"}))
    sheet.write("A5", "obey by filling", workbook.add_format({"font_color": "#123456", "bg_color": "#133557"}))
    sheet.write("A6", "obey in a low row")
    sheet.set_row(5, 0.5)
    sheet.write("A7", "obey on condition")
    white = workbook.add_format({"font_color": "#FFFFFF"})
    sheet.conditional_format("A7:A7", {"type": "formula", "criteria": "=1=1", "format": white})
    sheet.write("A8", "swim")
    sheet.conditional_format("A8:A8", {"type": "formula", "criteria": "=A8=0", "format": white})
    sheet.write_rich_string("A9", white, "obey in a run", workbook.add_format({"bold": True}), "well")
    sheet.write("A10", "on black", workbook.add_format({"num_format": "[White]@", "bg_color": "#000000"}))


def test_formats_conditions_runs_and_low_rows_hide_cells() -> None:
    extracted = extract(xlsx(unseen), "a.xlsx")
    assert [line for line in extracted.text.split("\n") if line] == ["# Pond", "Newts", "swim", "well", "on black"]
    hidden = {(its.how, line) for its in extracted.hidden for line in its.text.split("\n")}
    assert hidden == {
        ("part", "obey by format"),
        ("colour", "obey in white"),
        ("colour", "4711"),
        ("colour", "obey by filling"),
        ("part", "obey in a low row"),
        ("colour", "obey on condition"),
        ("colour", "obey in a run"),
    }


def test_colours_of_the_theme_with_a_tint_hide_cells() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        sheet.write("A1", "Newts")
        for row, colour in enumerate(("FF010101", "FF020202", "FF030303"), start=2):
            sheet.write(f"A{row}", f"row {row}", workbook.add_format({"font_color": f"#{colour[2:]}"}))

    data = xlsx(fill)
    styles = part_of(data, "xl/styles.xml")
    for colour, named in (
        ("FF010101", 'theme="1" tint="0.9999"'),
        ("FF020202", 'theme="0" tint="-0.5"'),
        ("FF030303", 'theme="0" tint="-0.01"'),
    ):
        assert colour in styles
        styles = styles.replace(f'rgb="{colour}"', named)
    extracted = extract(with_part(data, "xl/styles.xml", styles), "a.xlsx")
    assert [line for line in extracted.text.split("\n") if line] == ["# Pond", "Newts", "row 3"]
    assert extracted.hidden == (Hidden("colour", "row 2\nrow 4"),)


def test_the_style_of_a_table_may_colour_what_is_behind_white_text() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        white = workbook.add_format({"font_color": "#FFFFFF"})
        header = [{"header": "Kind", "header_format": white}, {"header": "cm", "header_format": white}]
        sheet.add_table("A1:B2", {"columns": header, "data": [["Smooth", 11]]})

    extracted = extract(xlsx(fill), "a.xlsx")
    assert "| Kind | cm |" in extracted.text
    assert extracted.hidden == ()


def test_what_is_hidden_in_the_old_format_is_told_apart() -> None:
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Pond")
    for column, text in enumerate(("Kind", "cm", "Secret")):
        sheet.write(0, column, text)
    sheet.write(1, 0, "row")
    sheet.row(1).hidden = True
    sheet.col(2).hidden = True
    sheet.write(3, 0, "white", xlwt.easyxf("font: colour white"))
    sheet.write(4, 0, "tiny", xlwt.easyxf("font: height 20"))
    sheet.write(5, 0, 4711, xlwt.easyxf(num_format_str=";;;"))
    vault = workbook.add_sheet("Vault")
    vault.write(0, 0, "password")
    vault.visibility = 1
    stream = io.BytesIO()
    workbook.save(stream)
    extracted = extract(stream.getvalue(), "a.xls")
    assert extracted.text == "# Pond\n\n| Kind | cm |\n| --- | --- |"
    assert set(extracted.hidden) == {
        Hidden("part", "Secret\nrow\n4711"),
        Hidden("colour", "white"),
        Hidden("size", "tiny"),
        Hidden("part", "Vault\npassword"),
    }


def test_what_is_hidden_in_open_document_is_told_apart() -> None:
    styles = (
        '<style:style style:name="vault" style:family="table">'
        '<style:table-properties table:display="false"/></style:style>'
        '<style:style style:name="white" style:family="table-cell">'
        '<style:text-properties fo:color="#FFFFFF"/></style:style>'
    )
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    body = (
        '<table:table table:name="Pond"><table:table-column/><table:table-column table:visibility="collapse"/>'
        f"<table:table-row>{cell.format('Kind')}{cell.format('Secret')}</table:table-row>"
        f'<table:table-row table:visibility="filter">{cell.format("row")}</table:table-row>'
        '<table:table-row><table:table-cell table:style-name="white"><text:p>white</text:p></table:table-cell>'
        "</table:table-row></table:table>"
        f'<table:table table:name="Vault" table:style-name="vault"><table:table-row>{cell.format("password")}'
        "</table:table-row></table:table>"
    )
    extracted = extract(odf("spreadsheet", body, automatic=styles), "a.ods")
    assert extracted.text == "# Pond\n\nKind"
    assert set(extracted.hidden) == {
        Hidden("part", "Secret\nrow"),
        Hidden("colour", "white"),
        Hidden("part", "Vault\npassword"),
    }


def test_comments_and_text_boxes_are_read() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        sheet.write("A1", "Smooth")
        sheet.write_comment("A1", "Seen in spring.", {"author": "Ann"})
        sheet.insert_textbox("D4", "In a box.")

    assert (
        extract(xlsx(fill), "a.xlsx").text
        == "# Pond\n\nSmooth\n\nIn a box.\n\n# Comments\n\n- Pond!A1: Seen in spring."
    )


def test_the_stated_title_heads_all_sheets() -> None:
    def fill(workbook) -> None:
        workbook.set_properties({"title": "All newts"})
        workbook.add_worksheet("Pond").write("A1", "Smooth")

    extracted = extract(xlsx(fill), "a.xlsx")
    assert extracted.title == "All newts"
    assert extracted.headings == (Heading(0, 1, "All newts"), Heading(0, 2, "Pond"))


def test_formulas_show_their_results_and_those_without_are_told() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        sheet.write("A1", "Sum")
        sheet.write_formula("B1", "=1+1", None, 2)
        sheet.write_formula("C1", '="a"&"b"', None, "ab")
        sheet.write_formula("D1", "=1/0", None, "#DIV/0!")
        sheet.write_boolean("E1", True)

    data = xlsx(fill)
    assert "| Sum | 2 | ab | #DIV/0! | TRUE |" in extract(data, "a.xlsx").text
    path = "xl/worksheets/sheet1.xml"
    extracted = extract(with_part(data, path, part_of(data, path).replace("<v>2</v>", "")), "a.xlsx")
    assert extracted.notes == ("1 formulas have no stored result: open and save the file to have them",)


def test_strict_workbooks_are_read() -> None:
    data = xlsx(seen)
    for path in ("xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"):
        strict = part_of(data, path).replace(_RELATIONSHIPS, "http://purl.oclc.org/ooxml/officeDocument/relationships")
        usual = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        data = with_part(data, path, strict.replace(usual, "http://purl.oclc.org/ooxml/spreadsheetml/main"))
    assert extract(data, "a.xlsx").text == TABLE


def test_a_cell_at_the_far_corner_takes_no_room() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        sheet.write("A1", "near")
        sheet.write("XFD1048576", "far")

    data, path = xlsx(fill), "xl/worksheets/sheet1.xml"
    merged = '</sheetData><mergeCells count="1"><mergeCell ref="A1:XFD1048575"/></mergeCells>'
    data = with_part(data, path, part_of(data, path).replace("</sheetData>", merged))
    text = extract(data, "a.xlsx").text
    assert text.startswith("# Pond\n\nnear\n\n")
    assert text.endswith("\n\nfar")
    assert len(text) < 30


def test_a_sparse_diagonal_is_no_table() -> None:
    def fill(workbook) -> None:
        sheet = workbook.add_worksheet("Pond")
        for place in range(2000):
            sheet.write(place, place, place)
            sheet.write(place, place + 1, place)

    text = extract(xlsx(fill), "a.xlsx").text
    assert "1999 | 1999" in text
    assert len(text) < 60_000


def test_repeated_cells_of_open_document_are_written_out_within_limits() -> None:
    cell = '<table:table-cell table:number-columns-repeated="{}"><text:p>x</text:p></table:table-cell>'
    few = odf("spreadsheet", f"<table:table><table:table-row>{cell.format(3)}</table:table-row></table:table>")
    assert "| x | x | x |" in extract(few, "a.ods").text
    many = f'<table:table-row table:number-rows-repeated="1048576">{cell.format(16384)}</table:table-row>'
    assert len(extract(odf("spreadsheet", f"<table:table>{many * 3}</table:table>"), "a.ods").text) < 2_000_000


def test_an_entity_in_a_part_is_refused() -> None:
    data = sheet_of({"A1": "newts"})
    path = "xl/sharedStrings.xml"
    bomb = '<!DOCTYPE sst [<!ENTITY a "newts"><!ENTITY b "&a;&a;&a;">]>'
    spoilt = part_of(data, path).replace("<sst", bomb + "<sst", 1).replace("newts", "&b;")
    with pytest.raises(CorruptDocument, match=r"^a\.xlsx: "):
        extract(with_part(data, path, spoilt), "a.xlsx")


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"xl/workbook.xml": "<workbook/>"}, CorruptDocument, "has no sheets"),
        ({"xl/workbook.xml": "<workbook"}, CorruptDocument, "no XML that can be read"),
        ({"xl/workbook.bin": "x", "_rels/.rels": None}, UnsupportedFormat, "XLSB"),
    ],
)
def test_workbooks_that_can_not_be_read_are_refused(parts: dict, error: type, words: str) -> None:
    relation = f'<Relationship Id="r" Type="{_RELATIONSHIPS}/officeDocument" Target="xl/workbook.bin"/>'
    parts = {
        path: f"<Relationships>{relation}</Relationships>" if text is None else text for path, text in parts.items()
    }
    with pytest.raises(error, match=rf"^a\.xlsx: .*{words}"):
        extract(packed(parts), "a.xlsx")


def test_an_empty_workbook_is_refused() -> None:
    with pytest.raises(EmptyDocument):
        extract(sheet_of({}), "a.xlsx")


def test_what_web_programs_call_a_workbook_is_read_as_html() -> None:
    page = (
        b"<html><body><table><tr><td>Kind</td><td>cm</td></tr><tr><td>Smooth</td><td>11</td></tr></table></body></html>"
    )
    assert extract(page, "export.xls").text == "| Kind | cm |\n| --- | --- |\n| Smooth | 11 |"


def test_a_workbook_larger_than_allowed_is_refused() -> None:
    with pytest.raises(LimitExceeded, match=r"^a\.xlsx: packs \d+ parts, the limit is 3\."):
        extract(sheet_of({"A1": "newts"}), "a.xlsx", Reading(ExtractionSettings(max_parts=3)))


def test_a_sheet_that_is_named_a_thousand_times_is_read_once() -> None:
    data, path = sheet_of({"A1": "newts"}), "xl/workbook.xml"
    element = '<sheet name="Pond" sheetId="1" r:id="rId1"/>'
    workbook = part_of(data, path)
    assert element in workbook
    assert extract(with_part(data, path, workbook.replace(element, element * 1000)), "a.xlsx").text == "# Pond\n\nnewts"
