"""Plain text and Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RefusedDocument
from ingest.loaders.registry import extract
from ingest.loaders.text import clean
from ingest.types import Heading

UMLAUTS = "Molche übernachten\nim Teich.\n"


@pytest.mark.parametrize(
    "data",
    [
        UMLAUTS.encode(),
        UMLAUTS.encode("utf-8-sig"),
        UMLAUTS.encode("utf-16"),
        UMLAUTS.encode("utf-16-be"),
        UMLAUTS.encode("utf-16-le"),
        b"\xfe\xff" + UMLAUTS.encode("utf-16-be"),
        UMLAUTS.encode("utf-32"),
        UMLAUTS.encode("cp1252"),
        UMLAUTS.replace("\n", "\r\n").encode(),
        UMLAUTS.replace("\n", "\r").encode(),
    ],
)
def test_encodings_and_line_ends_give_the_same_text(data: bytes) -> None:
    assert extract(data, "a.txt").text == UMLAUTS


def test_text_has_its_stem_as_title_and_no_headings() -> None:
    extracted = extract(b"# not a heading in plain text", "notes\\2024/On newts.v2.txt")
    assert (extracted.title, extracted.headings, extracted.pages) == ("On newts.v2", (), ())


def test_a_name_that_is_no_unicode_gives_a_title_that_can_be_stored() -> None:
    assert extract(b"Newts swim.", "mol\udcffch.txt").title == "molch"
    assert extract(b"Newts swim.", "\udcff.txt").title == "untitled"


def test_stray_controls_are_removed_and_form_feeds_become_line_ends() -> None:
    assert extract(b"A newt" + b" swims" * 50 + b"\x08\x1b\x0cand\xc2\x85dives", "a.txt").text == (
        "A newt" + " swims" * 50 + "\nand\ndives"
    )


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore"))))
def test_any_bytes_become_storable_text_or_are_refused(data: bytes) -> None:
    for name in ("a.txt", "a.md", "a.html"):
        try:
            extracted = extract(data, name)
        except RefusedDocument as refusal:
            assert str(refusal).startswith(f"{name}: ")
        else:
            assert extracted.text.strip()
            assert "\0" not in extracted.text and "\r" not in extracted.text
            assert extracted.text.encode("utf-8").decode("utf-8") == extracted.text


def test_what_a_database_can_not_store_is_removed() -> None:
    assert clean("\ufeffa\ud83db\0c\ufffed\uffff\U0001f98e") == "abcd\U0001f98e"


MARKDOWN = """\
# Newts { #newts }

Newts are *salamanders*.

```python
# not a heading
```

Care of `Triturus` & <abbr title="x">co</abbr>
==========

- # in a list

> # in a quote

### [Food](https://example.org/#food) {: .wide #food }

Worms.

#

#tag is no heading
"""


def test_markdown_stays_its_source_with_headings_at_their_lines() -> None:
    extracted = extract(MARKDOWN.encode(), "newts.md")
    assert extracted.text == MARKDOWN
    assert extracted.title == "Newts"
    assert extracted.headings == (
        Heading(start=0, level=1, title="Newts"),
        Heading(start=MARKDOWN.index("Care"), level=1, title="Care of Triturus & co"),
        Heading(start=MARKDOWN.index("### "), level=3, title="Food"),
        Heading(start=MARKDOWN.index("#\n\n#tag"), level=1, title=""),
    )


def test_a_heading_with_hundreds_of_thousands_of_spaces_ends() -> None:
    heading = extract(b"# Newts" + b" \t" * 200_000 + b"swim {#a} \t\n", "a.md").headings[0]
    assert heading == Heading(start=0, level=1, title="Newts swim")


def test_front_matter_gives_the_title_and_leaves_the_text() -> None:
    extracted = extract(b"---\r\nid: 7\r\ntitle: 'All newts'\r\n---\r\n\r\n## Care\r\n\r\nFeed them.\r\n", "a.md")
    assert extracted.text == "\n## Care\n\nFeed them.\n"
    assert extracted.title == "All newts"
    # No heading of level 1 in the text: the stated title governs everything.
    assert extracted.headings == (
        Heading(start=0, level=1, title="All newts"),
        Heading(start=1, level=2, title="Care"),
    )


def test_a_title_of_level_one_is_not_doubled() -> None:
    extracted = extract(b"---\ntitle: All newts\n---\n# Newts\n\nThey swim.\n", "a.md")
    assert extracted.title == "All newts"
    assert extracted.headings == (Heading(start=0, level=1, title="Newts"),)


@pytest.mark.parametrize(
    "text",
    [
        "---\nA rule, then prose.\n---\nMore.\n",
        "---\ntitle: no end\n\nText.\n",
        "Text first.\n\n---\ntitle: too late\n---\n",
    ],
)
def test_rules_are_no_front_matter(text: str) -> None:
    assert extract(text.encode(), "a.md").text == text


def test_the_title_falls_back_to_the_first_heading_of_level_one_and_then_to_the_stem() -> None:
    assert extract(b"---\ndraft: true\n---\n## Care\n\n# Newts\n", "pond.md").title == "Newts"
    assert extract(b"---\ntitle: >\n  folded\n---\n## Care\n\nText.\n", "pond.md").title == "pond"
