"""Tables as text, JSON, notebooks and XML."""

from __future__ import annotations

import json

import pytest

from ingest.errors import CorruptDocument
from ingest.loaders.registry import extract
from ingest.types import Heading


@pytest.mark.parametrize(
    "data",
    [
        "Kind,cm\nSmooth,11\nCrested,15\n",
        "Kind;cm\r\nSmooth;11\r\nCrested;15\r\n",
        "Kind\tcm\nSmooth\t11\nCrested\t15",
        "sep=|\nKind|cm\nSmooth|11\nCrested|15\n",
        '"Kind","cm"\n"Smooth","11"\n"Crested","15"\n',
    ],
)
def test_a_table_is_read_by_its_own_delimiter(data: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        assert extract(data.encode(encoding), "a.csv").text == (
            "| Kind | cm |\n| --- | --- |\n| Smooth | 11 |\n| Crested | 15 |"
        )


def test_rows_of_any_length_quotes_and_lines_within_cells_are_kept() -> None:
    data = b'a,b\n1,2,3\n"x, ""y""","two\nlines"\n,\nlast\n'
    assert extract(data, "a.csv").text == (
        '| a | b |  |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n| x, "y" | two lines |\n| last |'
    )


def test_a_quotation_mark_without_an_end_harms_its_own_line_only() -> None:
    assert extract(b'a,b\n"5 inch,1\nc,2\n', "a.csv").text == "| a | b |\n| --- | --- |\n| 5 inch,1 |\n| c | 2 |"
    long = b'a,b\n"' + b"x" * 300_000 + b'",2\n'
    assert extract(long, "a.csv").text.endswith("x | 2 |")


def test_a_table_in_another_encoding_is_read() -> None:
    data = "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n".encode("shift_jis")
    assert "| 佐藤太郎 | 30 | 東京 |" in extract(data, "a.csv").text


def test_json_becomes_lines_indented_by_nesting() -> None:
    value = {
        "name": "Newt",
        "cm": 11.50,
        "big": 10**5000,
        "wild": True,
        "note": None,
        "kinds": ["smooth", "crested"],
        "pond": {"depth": {"m": 2}, "fish": [{"name": "carp", "n": 3}, {"name": "tench"}]},
        "said": "one\ntwo",
    }
    data = json.dumps({**value, "big": 0}).replace("11.5", "11.50").replace('"big": 0', f'"big": 1{"0" * 5000}')
    assert extract(data.encode(), "a.json").text == (
        f"name: Newt\ncm: 11.50\nbig: 1{'0' * 5000}\nwild: true\nnote:\nkinds: smooth, crested\n"
        "pond:\n  depth:\n    m: 2\n  fish:\n    - name: carp\n      n: 3\n    - name: tench\nsaid: one\n  two"
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_each_record_is_a_block(name: str) -> None:
    assert extract(b'{"a": 1, "b": "x"}\n{"a": 2}\n\n', name).text == "a: 1\nb: x\n\na: 2"
    assert extract(b'[{"a": 1, "b": "x"}, {"a": 2}]', name).text == "a: 1\nb: x\n\na: 2"
    assert extract(b'{"a": 1}\n{"a": 2}\n{"a": ', name).text == 'a: 1\n\na: 2\n\n{"a": '


@pytest.mark.parametrize("data", ['{"name": "newt", ', "newts swim", '["newts", '])
def test_what_is_no_complete_json_stays_text_and_says_so(data: str) -> None:
    extracted = extract(data.encode(), "a.json")
    assert extracted.text == data
    assert extracted.notes == ("it is no complete JSON, so its text was taken as it is",)


def test_deep_json_ends() -> None:
    text = extract(b'{"a":' * 300 + b'"deep"' + b"}" * 300, "a.json").text
    assert "deep" in text
    assert len(text) < 10_000


def test_json_that_is_nested_too_deeply_says_so() -> None:
    data = "[" * 3000 + '"Newts swim in ponds, and toads do too."' + "]" * 3000
    extracted = extract(data.encode(), "a.json")
    assert extracted.notes == ("it is nested too deeply for its JSON to be read, so its text was taken as it is",)
    assert extracted.text == data


def cell(kind: str, source: object, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": kind, "source": source, "outputs": list(outputs)}


def test_a_notebook_is_its_cells_with_the_text_that_they_put_out() -> None:
    cells = [
        cell("markdown", ["# Newts\n", "They swim."]),
        cell(
            "code",
            "print(1)",
            {"output_type": "stream", "text": ["1\n", "2\n"]},
            {"output_type": "display_data", "data": {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}},
            {"output_type": "error", "ename": "ValueError", "evalue": "no newt", "traceback": ["..."]},
        ),
        cell("markdown", "## Care"),
        cell("code", "x" * 10, {"output_type": "stream", "text": "y" * 9000}),
        cell("raw", "raw"),
    ]
    extracted = extract(json.dumps({"nbformat": 4, "cells": cells}).encode(), "a.ipynb")
    begin = "# Newts\nThey swim.\n\n```\nprint(1)\n```\n\n```\n1\n2\n<Figure>\nValueError: no newt\n```\n\n## Care"
    assert extracted.text.startswith(begin)
    assert extracted.headings == (Heading(0, 1, "Newts"), Heading(begin.index("## Care"), 2, "Care"))
    assert extracted.text.count("y") == 4000 + 1
    assert extracted.notes == ("the output of 1 cell was shortened",)


@pytest.mark.parametrize("data", ["[]", '{"cells": 7}', "{", "[" * 100_000])
def test_what_is_no_notebook_is_refused(data: str) -> None:
    with pytest.raises(CorruptDocument, match=r"^a\.ipynb: .*notebook"):
        extract(data.encode(), "a.ipynb")


ARTICLE = """<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "http://pond.example/JATS.dtd">
<article xmlns:mml="http://www.w3.org/1998/Math/MathML"><front><journal-meta><journal-title>Pond</journal-title>
</journal-meta><article-meta><article-categories><subject>Biology</subject></article-categories>
<title-group><article-title>On <italic>newts</italic></article-title></title-group>
<contrib-group><contrib contrib-type="author"><name><surname>Lee</surname><given-names>Ann</given-names></name>
</contrib></contrib-group><abstract><p>They swim.</p></abstract></article-meta></front>
<body><sec><title>Care &alpha;</title><p>Give H<sub>2</sub>O<xref>1</xref>.<?p i?><!-- c --></p>
<sec><title>Food</title><list><list-item><p>worms</p></list-item><list-item><p>flies</p></list-item></list></sec>
<table-wrap><label>Table 1</label><caption><p>Kinds.</p></caption><table><thead><tr><th>Kind</th><th>cm</th></tr>
</thead><tbody><tr><td>Smooth</td><td>11</td></tr></tbody></table></table-wrap>
<fig><label>Fig 1</label><caption><p>A pond.</p></caption><graphic href="a.png"/></fig></sec></body>
<back><ref-list><ref><label>1</label><mixed-citation>Lee A. Ponds. 2020.</mixed-citation></ref></ref-list></back>
</article>
"""

ARTICLE_TEXT = """\
# On newts

Ann Lee

## Abstract

They swim.

## Care \u03b1

Give H2O1.

### Food

- worms
- flies

Table 1 Kinds.

| Kind | cm |
| --- | --- |
| Smooth | 11 |

Fig 1 A pond.

## References

1 Lee A. Ponds. 2020."""


@pytest.mark.parametrize("name", ["a.nxml", "a.xml"])
def test_an_article_is_read_by_its_sections(name: str) -> None:
    extracted = extract(ARTICLE.encode(), name)
    assert extracted.title == "On newts"
    assert extracted.text == ARTICLE_TEXT
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "On newts"),
        (2, "Abstract"),
        (2, "Care \u03b1"),
        (3, "Food"),
        (2, "References"),
    ]


def test_a_patent_is_read_by_its_headings_and_claims() -> None:
    patent = b"""<!DOCTYPE us-patent-application SYSTEM "us.dtd" [ ]><us-patent-application>
<us-bibliographic-data-application><country>US</country><invention-title>Newt trap</invention-title><inventors>
<inventor><addressbook><last-name>Lee</last-name><first-name>Ann</first-name></addressbook></inventor></inventors>
</us-bibliographic-data-application><abstract><p>A trap.</p></abstract><description>
<heading level="1">FIELD</heading><p>Traps.</p><heading level="2">Doors</heading><p>A door.</p></description>
<us-claim-statement>What is claimed is:</us-claim-statement>
<claims><claim><claim-text><b>1</b>. A trap:<claim-text>a door.</claim-text></claim-text></claim></claims>
</us-patent-application>"""
    assert extract(patent, "a.xml").text == (
        "# Newt trap\n\nAnn Lee\n\n## Abstract\n\nA trap.\n\n## FIELD\n\nTraps.\n\n### Doors\n\nA door.\n\n"
        "What is claimed is:\n\n## Claims\n\n1. A trap: a door."
    )


def test_other_xml_is_a_tree_of_facts() -> None:
    data = b'<pond><newt id="1"><name>Ann</name><said>I <b>swim</b>.</said></newt><newt><name>Bob</name></newt></pond>'
    assert extract(data, "a.xml").text == ("newt:\n  id: 1\n  name: Ann\n  said: I swim.\n\nnewt:\n  name: Bob")


def test_xml_bombs_are_refused_and_nothing_is_fetched() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "newt"><!ENTITY y "&x;&x;&x;&x;">]><a><p>&y;</p></a>'
    with pytest.raises(CorruptDocument, match=r"^a\.xml: its XML declares entities"):
        extract(bomb, "a.xml")
    outside = b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a><p>newt</p></a>'
    assert extract(outside, "a.xml").text == "newt"
    with pytest.raises(CorruptDocument, match=r"^a\.xml: is no XML that can be read"):
        extract(b"<a><p>newt</a>", "a.xml")


def test_wide_and_deep_xml_ends() -> None:
    wide = b"<a>" + b"<b c='d'>e</b>" * 100_000 + b"</a>"
    assert extract(wide, "a.xml").text.count("b: e") == 100_000
    deep = b"<p>" * 250 + b"newt" + b"</p>" * 250
    assert extract(deep, "a.xml").text == "newt"
    facts = b"<b>" * 250 + b"newt" + b"</b>" * 250
    assert "newt" in extract(facts, "a.xml").text


SALES = "| Region | Q1 | Q2 |\n| --- | --- | --- |\n| North | 1 | 2 |"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "Report of sales\nGenerated 2024\n\nRegion,Q1,Q2\nNorth,1,2\nSouth,3,4\n",
            f"Report of sales\nGenerated 2024\n\n{SALES}\n| South | 3 | 4 |",
        ),
        (
            "Sales,,\n,,\nRegion,Q1,Q2\nNorth,1,2\n",
            f"Sales\n\n{SALES}",
        ),
        (
            "Sales\nBy,Ann\nIn,2024\n\nRegion,Q1,Q2\nNorth,1,2\nSouth,3,4\nWest,5,6\n",
            f"Sales\nBy, Ann\nIn, 2024\n\n{SALES}\n| South | 3 | 4 |\n| West | 5 | 6 |",
        ),
        ("Name,\nNewt,1\nToad,2\n", "| Name |  |\n| --- | --- |\n| Newt | 1 |\n| Toad | 2 |"),
        (",Q1,Q2\nNorth,1,2\n", "|  | Q1 | Q2 |\n| --- | --- | --- |\n| North | 1 | 2 |"),
        ("a,b\n1,2,3\n4,5,6\n", "| a | b |  |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n| 4 | 5 | 6 |"),
        ("newts\ntoads\nfrogs\n", "| newts |\n| --- |\n| toads |\n| frogs |"),
    ],
)
def test_lines_above_a_table_are_text_and_its_header_is_the_first_row(source: str, expected: str) -> None:
    assert extract(source.encode(), "sales.csv").text == expected
