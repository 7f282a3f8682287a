from __future__ import annotations

import pytest

from ingest.loaders.registry import extract

TABLE = """\
| Kind | Length |
| --- | --- |
| Smooth newt, common | 11 cm |
| Palmate newt | 9 cm |"""

GRID = """\
+--------------+--------+
| Kind         | Length |
+==============+========+
| Smooth newt, | 11 cm  |
| common       |        |
+--------------+--------+
| Palmate newt | 9 cm   |
+--------------+--------+"""

SIMPLE = """\
===================  ======
Kind                 Length
===================  ======
Smooth newt, common  11 cm

Palmate newt         9
                     cm
===================  ======"""

CSV = """\
.. csv-table::
   :header: Kind, Length
   :widths: 3, 1

   "Smooth newt, common", 11 cm
   Palmate newt, 9 cm"""

LISTED = """\
.. list-table::
   :header-rows: 1
   :widths: 3 1

   * - Kind
     - Length
   * - Smooth newt,
       common
     - 11 cm
   * - Palmate newt
     - 9 cm"""

ORG = """\
| Kind                | Length |
|---------------------+--------|
| <l>                 |        |
| Smooth newt, common | 11 cm  |
| Palmate newt        | 9 cm   |"""

LATEX = r"""\begin{tabular}{l|r}
\toprule
Kind & Length \\ \midrule
Smooth newt, common & 11 cm \\[2pt]
Palmate newt & 9 cm \\
\bottomrule
\end{tabular}"""


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("a.rst", GRID),
        ("a.rst", SIMPLE),
        ("a.rst", CSV),
        ("a.rst", LISTED),
        ("a.org", ORG),
        ("a.tex", LATEX),
    ],
)
def test_a_table_becomes_one_of_markdown(name: str, table: str) -> None:
    heading = {"a.rst": "Newts\n=====", "a.org": "* Newts", "a.tex": "\\section{Newts}"}[name]
    after = heading.replace("Newts", "Toads")
    extracted = extract(f"{heading}\n\nSeen:\n\n{table}\n\n{after}\n\nNone.\n".encode(), name)
    assert " ".join(extracted.text.split()) == " ".join(f"{heading} Seen: {TABLE} {after} None.".split())
    assert TABLE.split("\n")[2] in extracted.text.split("\n")
    assert [its.title for its in extracted.headings] == ["Newts", "Toads"]
    assert all(extracted.text.startswith(heading.replace("Newts", its.title), its.start) for its in extracted.headings)


def test_simple_tables_have_rows_of_several_lines_and_cells_over_columns() -> None:
    source = """\
=====  =====  ======
   Inputs     Output
------------  ------
  A      B    A or B
=====  =====  ======
False  False  False,
              of course
\\      True   True
=====  =====  ======

After.
"""
    assert extract(source.encode(), "a.rst").text == (
        "| Inputs / A | Inputs / B | Output / A or B |\n| --- | --- | --- |\n| False | False | False, of course |\n"
        "|  | True | True |\n\nAfter.\n"
    )


def test_cells_of_grids_go_over_rows_and_columns() -> None:
    source = """\
+--------+---------------+
| Region | Net           |
|        +-------+-------+
|        | 2022  | 2023  |
+========+=======+=======+
| North  | 1     | 2     |
|        +-------+-------+
|        | 3     | 4 +- 1|
+--------+-------+-------+
| 東京   | both          |
+--------+---------------+
"""
    assert extract(source.encode(), "a.rst").text == (
        "| Region | Net / 2022 | Net / 2023 |\n| --- | --- | --- |\n| North | 1 | 2 |\n| North | 3 | 4 +- 1 |\n"
        "| 東京 | both |  |\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        f"Code::\n\n    {GRID}\n".replace("\n+", "\n    +").replace("\n|", "\n    |"),
        "+---+---+\n| a | b |\n\nNo end.\n",
        "===  ===\nThis is only a sentence.\n\n===  ===\n",
        ".. csv-table:: Kinds\n   :file: /etc/hostname\n",
    ],
)
def test_what_is_no_table_stays_as_it_is(source: str) -> None:
    assert extract(source.encode(), "a.rst").text == source


def test_tables_in_blocks_of_code_stay_as_they_are() -> None:
    org = "#+BEGIN_SRC sh\n| a | b |\n|---+---|\n| 1 | 2 |\n#+END_SRC\n"
    assert extract(org.encode(), "a.org").text == org
    latex = "\\begin{verbatim}\n\\begin{tabular}{ll} a & b \\\\ \\end{tabular}\n\\end{verbatim}\n"
    assert extract(latex.encode(), "a.tex").text == latex


@pytest.mark.parametrize(
    "piece",
    [
        *("+--+--+\n", "+--+--+\n|a|b|\n", "==  ==\n", "==  ==\na\n", "==  ==\n\n", "||\n", "+-", "|--+"),
        *(".. list-table::\n   * - \n", '.. csv-table::\n\n   "\n', "\\begin{tabular}{ll}", "a & b \\\\ "),
    ],
)
def test_long_runs_of_what_tables_are_made_of_end(piece: str) -> None:
    words = "newts swim\n" * 2000
    for name in ("a.rst", "a.org", "a.tex"):
        extract((f"{words}\n{piece * 50_000}\n\n{words}").encode(), name)
