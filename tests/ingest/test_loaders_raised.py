from __future__ import annotations

import io
import zipfile

import pptx
import pytest
from documents import new_docx, saved

from ingest.loaders.raised import raised, settled
from ingest.loaders.registry import extract


@pytest.mark.parametrize(
    ("before", "number", "after", "expected"),
    [
        ("6.02 x 10", "23", " atoms", "6.02 x 10^23 atoms"),
        ("10", "\u22126", " m", "10^-6 m"),
        ("5,400", "2", " people", "5,400^2 people"),
        ("the word", "12", " goes on", "the word[12] goes on"),
        ("The end.", "3", "", "The end.[3]"),
        ("as shown", "1,2", ".", "as shown[1,2]."),
        ("an area of 20 km", "2", "", "an area of 20 km^2"),
        ("Area (m", "2", ")", "Area (m^2)"),
        ("9.81 m/s", "2", "", "9.81 m/s^2"),
        ("a speed of 5 m s", "-1", "", "a speed of 5 m s^-1"),
        ("y = x", "2", " + 1", "y = x^2 + 1"),
        ("in the 1990s", "4", "", "in the 1990s[4]"),
        ("the 2nd", "3", "", "the 2nd[3]"),
        ("on the 1", "st", " of May", "on the 1st of May"),
        ("Ca", "2+", " ions", "Ca2+ ions"),
        ("the ", "14", "C method", "the 14C method"),
        ("5", "1", "/2 inches", "5 1/2 inches"),
        ("where M", "11 ", "is one", "where M[11] is one"),
        ("the metal M", "1", "8MgSi", "the metal M^{1}8MgSi"),
        ("\u03bcmol m", "\u22122 ", "s", "\u03bcmol m^-2 s"),
        ("(x + 1)", "2", " newts", "(x + 1)^2 newts"),
        ("(see above)", "2", "", "(see above)[2]"),
        ("(2020)", "2", "", "(2020)[2]"),
        ("only $19", "99", "", "only $19.99"),
    ],
)
def test_raised_numbers_are_told_from_digits_on_the_line(before: str, number: str, after: str, expected: str) -> None:
    assert settled(before + raised(number) + after) == expected


def test_a_number_that_is_raised_in_two_runs_is_one() -> None:
    assert settled(f"10{raised('-')}{raised('6')}") == "10^-6"


def test_a_page_has_exponents_and_the_marks_of_its_notes() -> None:
    page = """<h1>Moles<sup>1</sup></h1><p>Avogadro is 6.02 x 10<sup>2<b>3</b></sup>, of H<sub>2</sub>O.</p>
    <p>The town has 5,400<sup><a href="#n">2</a></sup> people,<a href="#fn3"><sup>3</sup></a> the 1<sup>st</sup>.</p>
    <table><tr><th>Area (km<sup>2</sup>)</th><th>n</th></tr>
    <tr><td>10<sup>6</sup></td><td>4<sup></sup></td></tr></table>
    <p><a href="/x">E = mc<sup>2</sup> by Einstein</a></p>"""
    extracted = extract(page.encode(), "moles.html")
    assert extracted.text == (
        "# Moles[1]\n\nAvogadro is 6.02 x 10^23, of H2O.\n\nThe town has 5,400[2] people,[3] the 1st.\n\n"
        "| Area (km^2) | n |\n| --- | --- |\n| 10^6 | 4 |\n\nE = mc^2 by Einstein"
    )
    assert extracted.title == "Moles[1]"


def test_an_article_has_exponents_and_the_marks_of_its_notes() -> None:
    article = """<article><body><sec><title>Results</title><p>It grew to 10<sup>23</sup> cells, as others
    found<sup><xref ref-type="bibr" rid="b4">4</xref></sup>.</p></sec></body></article>"""
    assert "It grew to 10^23 cells, as others found[4]." in extract(article.encode(), "a.xml").text


def test_a_docx_has_exponents() -> None:
    document = new_docx()
    paragraph = document.add_paragraph("Avogadro is 6.02 x 10")
    paragraph.add_run("2").font.superscript = True
    paragraph.add_run("3").font.superscript = True
    paragraph.add_run(" per mole of H")
    paragraph.add_run("2").font.subscript = True
    paragraph.add_run("O.")
    assert extract(saved(document), "a.docx").text == "Avogadro is 6.02 x 10^23 per mole of H2O."


def test_a_presentation_has_exponents() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Avogadro"
    frame = slide.shapes.add_textbox(0, 0, 3_000_000, 900_000).text_frame
    paragraph = frame.paragraphs[0]
    paragraph.add_run().text = "6 x 10"
    for text, baseline in (("23", "30000"), (" per mole, CO", None), ("2", "-25000")):
        run = paragraph.add_run()
        run.text = text
        if baseline:
            run._r.get_or_add_rPr().set("baseline", baseline)
    file = io.BytesIO()
    presentation.save(file)
    assert "6 x 10^23 per mole, CO2" in extract(file.getvalue(), "a.pptx").text


def test_an_odt_has_exponents() -> None:
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"' for short in ("office", "style", "text")
    )
    content = f"""<office:document-content {spaces}><office:automatic-styles>
    <style:style style:name="T1" style:family="text"><style:text-properties style:text-position="super 58%"/>
    </style:style><style:style style:name="T2" style:family="text">
    <style:text-properties style:text-position="-33% 58%"/></style:style></office:automatic-styles>
    <office:body><office:text><text:p>6 x 10<text:span text:style-name="T1">23</text:span> of
    H<text:span text:style-name="T2">2</text:span>O</text:p></office:text></office:body></office:document-content>"""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        package.writestr("content.xml", content)
    assert " ".join(extract(file.getvalue(), "a.odt").text.split()) == "6 x 10^23 of H2O"


def test_an_rtf_has_exponents() -> None:
    source = rb"{\rtf1\ansi 6 x 10{\super 23} per mole of H{\sub 2}O, 10\super -6\nosupersub  m.{\super \'b9}\par}"
    assert extract(source, "a.rtf").text.startswith("6 x 10^23 per mole of H2O, 10^-6 m.")
