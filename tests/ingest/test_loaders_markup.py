"""reStructuredText, Org, LaTeX and AsciiDoc."""

from __future__ import annotations

import pytest

from ingest.loaders.registry import extract
from ingest.types import Extracted

RST = """\
=====
Newts
=====

.. include:: /etc/hostname

Code::

    Not a title
    ===========

Care of ``them``
----------------

Food
^^^^
- worms

More
----

=====  =====
A      B
=====  =====
1      2
=====  =====

------

not a title, as the line above it is text
of two lines
------------
"""


def shape(extracted: Extracted) -> list[tuple[int, str, str]]:
    """Level, title and line of each heading."""
    return [(one.level, one.title, extracted.text[one.start :].split("\n")[0]) for one in extracted.headings]


def test_restructuredtext_stays_its_source_with_headings_at_its_titles() -> None:
    extracted = extract(RST.encode(), "a.rst")
    drawn = "=====  =====\nA      B\n=====  =====\n1      2\n=====  =====\n"
    assert extracted.text == RST.replace(drawn, "| A | B |\n| --- | --- |\n| 1 | 2 |\n")
    assert (extracted.title, extracted.media_type) == ("Newts", "text/x-rst")
    assert shape(extracted) == [
        (1, "Newts", "====="),
        (2, "Care of them", "Care of ``them``"),
        (3, "Food", "Food"),
        (2, "More", "More"),
    ]


def test_a_title_may_be_longer_than_its_line_or_stand_within_two() -> None:
    assert shape(extract(b"A long title\n=====\n\nx\n\n ----\n", "a.rst")) == [(1, "A long title", "A long title")]
    assert shape(extract(b"\n======\n Newts\n======\nx", "a.rst")) == [(1, "Newts", "======")]
    assert shape(extract(b"Title\n==\n\nx", "a.rst")) == []


ORG = """\
#+TITLE: All newts
Before.
* TODO [#A] Care of them  :pond:water:
** Food
#+BEGIN_SRC sh
* no heading
#+END_SRC
*bold* is none
"""


def test_org_has_headings_at_its_stars_but_not_in_code() -> None:
    extracted = extract(ORG.encode(), "a.org")
    assert (extracted.text, extracted.title) == (ORG, "All newts")
    assert shape(extracted) == [
        (1, "Care of them", "* TODO [#A] Care of them  :pond:water:"),
        (2, "Food", "** Food"),
    ]


LATEX = r"""\documentclass{article}
\title{On \emph{newts} and~toads}
\begin{document}
\section{Care of \textbf{them}}\label{care}
\begin{verbatim}
\section{none}
\end{verbatim}
\subsection*[short]{Food}
Worms.
"""


def test_latex_has_headings_at_its_sections() -> None:
    extracted = extract(LATEX.encode(), "a.tex")
    assert (extracted.text, extracted.title) == (LATEX, "On newts and toads")
    assert [(one.level, one.title) for one in extracted.headings] == [
        (1, "On newts and toads"),
        (2, "Care of them"),
        (3, "Food"),
    ]


ASCIIDOC = """\
= Newts
Ann <ann@pond.example>
:toc: left

// not for readers
They swim.

////
== neither is this
////

[source,python]
----
== not a heading
----

== Care
include::/etc/hostname[]
* worms
** earth worms
. first
+
image::pond.png[A pond, 300]

.Kinds
[cols="1,2"]
|===
|Kind |Length

|Smooth
|11 cm,
at most
2+|a\\|b
|===

====
NOTE: They bite.
====
"""

ASCIIDOC_TEXT = """\
# Newts

Ann <ann@pond.example>

They swim.

```
== not a heading
```

## Care

- worms
  - earth worms
1. first

A pond

Kinds

| Kind | Length |
| --- | --- |
| Smooth | 11 cm, at most |
| a\\|b |  |

NOTE: They bite."""


def test_asciidoc_becomes_text_like_markdown_and_includes_nothing() -> None:
    extracted = extract(ASCIIDOC.encode(), "a.adoc")
    assert extracted.text == ASCIIDOC_TEXT
    assert extracted.title == "Newts"
    assert shape(extracted) == [(1, "Newts", "# Newts"), (2, "Care", "## Care")]
    assert extracted.notes == ("it includes /etc/hostname, which was not read",)


def test_tables_of_asciidoc_may_have_all_cells_of_a_row_on_a_line_or_be_csv() -> None:
    rows = "|a|b\n|1||2\n||3"
    assert (
        extract(f"|===\n{rows}\n|===".encode(), "a.adoc").text
        == "| a | b |  |\n| --- | --- | --- |\n| 1 |  | 2 |\n|  | 3 |"
    )
    assert extract(b",===\na,b\n1,2\n,===", "a.adoc").text == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert (
        extract(b"[cols=2*]\n|===\n|a\n|b\n3*|x\n|===", "a.adoc").text == "| a | b |\n| --- | --- |\n| x | x |\n| x |"
    )


@pytest.mark.parametrize(
    "source",
    [
        '[format=csv]\n|===\nkind,cm\n"Newt, smooth",11\n|===',
        '[%header,format="csv",separator=;]\n|===\nkind;cm\n"Newt, smooth";11\n|===',
        "[%header,format=dsv]\n|===\nkind:cm\nNewt, smooth:11\n|===",
        "[format=tsv]\n|===\nkind\tcm\nNewt, smooth\t11\n|===",
        "[cols=2*,separator=!]\n|===\n!kind !cm\n!Newt, smooth\n!11\n|===",
        ":===\nkind:cm\nNewt, smooth:11\n:===",
    ],
)
def test_tables_of_asciidoc_are_read_in_each_format(source: str) -> None:
    text = extract(f"= T\n\n{source}\n\nAfter.\n".encode(), "a.adoc").text
    assert text == "# T\n\n| kind | cm |\n| --- | --- |\n| Newt, smooth | 11 |\n\nAfter."


def test_attributes_of_asciidoc_are_replaced() -> None:
    source = """= Newts {ver}
:name: Newt
:full: {name} {ver}

== The {full}

{name} {ver} swims{nbsp}well, \\{name} and {other} stay.

:ver: 1.2

|===
|{name} |{ver}
|===

----
{name}
----
"""
    extracted = extract(source.replace("= Newts {ver}\n", "= Newts\n:ver: 1.1\n", 1).encode(), "a.adoc")
    assert extracted.text == (
        "# Newts\n\n## The Newt 1.1\n\nNewt 1.1 swims\u00a0well, {name} and {other} stay.\n\n"
        "| Newt | 1.2 |\n| --- | --- |\n\n```\n{name}\n```"
    )


def test_attributes_of_asciidoc_that_double_each_other_make_no_large_text() -> None:
    doubled = "".join(f":a{number}: {{a{number - 1}}}{{a{number - 1}}}\n" for number in range(1, 60))
    source = f":a0: newts newts\n{doubled}\n{'{a59} ' * 20_000}"
    assert len(extract(source.encode(), "a.adoc").text) < 500_000


def test_footnotes_of_asciidoc_stand_below_what_they_belong_to() -> None:
    source = """They swim.footnote:[Not all,
see link:/x[*above*].] And bite.footnote:bite[Rarely.]

* a toadfootnote:bite[]
* a frogfootnote:[Green.]

The end.
"""
    assert extract(source.encode(), "a.adoc").text == (
        "They swim.[1] And bite.[2]\n\n[1] Not all, see link:/x[*above*].\n\n[2] Rarely.\n\n"
        "- a toad[2]\n- a frog[3]\n\n[3] Green.\n\nThe end."
    )


def test_repeated_cells_of_asciidoc_make_no_large_text_of_a_small_file() -> None:
    small = "|===\n|kind|a|b|c\n|size 3*|11 cm\n|===\n"
    assert extract(small.encode(), "a.adoc").text.endswith("| size | 11 cm | 11 cm | 11 cm |")
    for cell in (f"999*|{'x' * 20_000}", "\n999*|newts" * 2000, "\n999+|newts" * 2000):
        text = extract(f"|===\n{cell}\n|===\n".encode(), "a.adoc").text
        assert "newts" in text or "xxx" in text
        assert len(text) < 300_000


@pytest.mark.parametrize(
    "piece",
    ["|", "=", "[", ".", "*", "2+|", ":a", "x |", "\\|", " ", "1*|", "{", "{a", "footnote:[", "\\section{", "~"],
)
def test_long_runs_of_markup_end(piece: str) -> None:
    for name in ("a.adoc", "a.rst", "a.org", "a.tex"):
        table = f"\n|===\n{piece * 50_000}\n|===\n"
        words = "\nnewts swim" * 2000  # of signs alone there would be no text
        extract((f"newt {piece * 100_000}\n" + table + piece * 50_000 + words).encode(), name)
        extract((f"{piece}\n" * 30_000 + words).encode(), name)
