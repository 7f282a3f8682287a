from __future__ import annotations

from ingest.loaders.registry import extract


def rows(source: str, name: str = "a.html") -> list[str]:
    return extract(source.encode(), name).text.splitlines()


def test_a_cell_over_several_rows_has_its_value_in_each() -> None:
    page = """<table><tr><th>Continent</th><th>Country</th><th>People</th></tr>
    <tr><td rowspan="2">Europe</td><td>Germany</td><td>83</td></tr><tr><td>France</td><td>67</td></tr>
    <tr><td>Asia</td><td rowspan="0">Japan</td><td>124</td></tr><tr><td>East</td><td>125</td></tr></table>"""
    assert rows(page) == [
        "| Continent | Country | People |",
        "| --- | --- | --- |",
        "| Europe | Germany | 83 |",
        "| Europe | France | 67 |",
        "| Asia | Japan | 124 |",
        "| East | Japan | 125 |",
    ]


def test_cells_do_not_leave_the_group_of_rows_they_stand_in() -> None:
    page = """<table><tbody><tr><td rowspan="9">a</td><td>1</td></tr></tbody>
    <tbody><tr><td>b</td><td>2</td></tr></tbody></table>"""
    assert rows(page)[2:] == ["| b | 2 |"]


def test_rows_of_a_header_become_one() -> None:
    page = """<table><thead><tr><th colspan="3">Sales</th></tr>
    <tr><th rowspan="2">Region</th><th colspan="2">Net</th></tr><tr><th>2022</th><th>2023</th></tr></thead>
    <tbody><tr><td>North</td><td>1</td><td>2</td></tr></tbody></table>"""
    assert rows(page) == ["| Sales / Region | Net / 2022 | Net / 2023 |", "| --- | --- | --- |", "| North | 1 | 2 |"]


def test_tables_of_articles_span_rows_and_columns_too() -> None:
    jats = """<article><p>See.</p><table><tr><th>a</th><th>b</th></tr><tr><td rowspan="2">x</td><td>1</td></tr>
    <tr><td>2</td></tr></table></article>"""
    assert rows(jats, "a.xml")[-2:] == ["| x | 1 |", "| x | 2 |"]
    cals = """<article><para>See.</para><informaltable><tgroup><colspec colname="c1"/><colspec colname="c2"/>
    <colspec colname="c3"/><thead><row><entry morerows="1">Region</entry><entry namest="c2" nameend="c3">Net</entry>
    </row><row><entry>2022</entry><entry>2023</entry></row></thead><tbody><row><entry morerows="1">North</entry>
    <entry>1</entry><entry>2</entry></row><row><entry>3</entry><entry>4</entry></row></tbody></tgroup></informaltable></article>"""
    assert rows(cals, "a.xml")[-4:] == [
        "| Region | Net / 2022 | Net / 2023 |",
        "| --- | --- | --- |",
        "| North | 1 | 2 |",
        "| North | 3 | 4 |",
    ]


def test_cells_over_very_many_rows_make_no_large_text_of_a_small_file() -> None:
    wide = f"<tr>{''.join(f'<td rowspan=65534>{letter * 100}' for letter in 'abcdefghij' * 10)}</tr>"
    page = f"<table>{wide}{'<tr><td>x' * 10_000}</table>"
    text = extract(page.encode(), "a.html").text
    assert len(text) < 4 * len(page)
    assert text.count("a" * 100) > 20  # as far as it is a table that somebody could have made
