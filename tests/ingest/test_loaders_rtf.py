from __future__ import annotations

import struct
import time
from contextlib import suppress

import pytest
from office_documents import ole_package

from ingest.errors import CorruptDocument, EmptyDocument
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden

HEAD = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Arial;}{\f2\fcharset128 Gothic;}}"
    r"{\colortbl;\red255\green255\blue255;\red0\green0\blue0;}"
    r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2 heading 2;}{\s3 Title;}{\*\cs9 Char;}}"
    r"{\info{\title Stated}{\author Nobody}}{\header Page header}"
)


def rtf(body: str, head: str = HEAD) -> bytes:
    return (head + body + "}").encode("latin-1")


def text(body: str) -> str:
    return extract(rtf(body), "a.rtf").text


def test_a_document_becomes_text_in_its_order() -> None:
    body = (
        r"\pard\s3 Newts\par\pard\s1 Pond\par\pard\s2 North\par\pard\plain "
        r"They \b swim\b0{\footnote\pard Only in spring.\par}"
        r" well{\*\atnauthor Ann}{\*\annotation\pard Really?\par}.\line And eat.\par"
        r"{\listtext 1.\tab}\ilvl0 worms\par\pard{\listtext\'b7\tab}\ilvl1 flies\par"
        r"\trowd\cellx100\cellx200\pard\intbl Kind\cell cm\cell\row"
        r"\trowd\clvmgf\cellx100\cellx200\pard\intbl Smooth\cell 11\par 12\cell\row"
        r"\trowd\clvmrg\cellx100\cellx200\pard\intbl\cell 13\cell\row\pard\plain After.\par"
    )
    extracted = extract(rtf(body), "newts.rtf")
    expected = (
        "# Newts\n\n## Pond\n\n### North\n\nThey swim[1] well.\nAnd eat.\n\n[1] Only in spring.\n\n"
        "1. worms\n  - flies\n\n"
        "| Kind | cm |\n| --- | --- |\n| Smooth | 11 12 |\n| Smooth | 13 |\n\nAfter.\n\n## Comments\n\n- Ann: Really?"
    )
    assert extracted.text == expected
    assert extracted.title == "Stated"
    assert extracted.headings[:3] == (
        Heading(0, 1, "Newts"),
        Heading(expected.index("## Pond"), 2, "Pond"),
        Heading(expected.index("### North"), 3, "North"),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"T\'fcte \u8364?uro \u-10179?\u-9062? \emdash\~\_", "Tüte €uro \U0001f49a \u2014\u00a0-"),
        (r"{\f1 \'f2\'f0\'e8\'f2\'ee\'ed} and \'f2", "тритон and ò"),
        (r"{\f2 \'90\'85 \'83A}", "水 ア"),
        (r"{\upr{ascii}{\*\ud{unicode}}}", "unicode"),
        (r"\uc2 a\u252 ??b\uc0\u252 c", "aübüc"),
        (r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}", "link"),
        (r"a{\*\unknown never}{\pict 0123456789abcdef}b", "ab"),
        (r"{\pict\bin5 }}}}}}after", "after"),
        (r"kept {\deleted gone}", "kept"),
        (r"\{braces\} and \\", "{braces} and \\"),
        ("line\\\nend", "line\n\nend"),
    ],
)
def test_characters_and_groups_read_as_they_are_meant(body: str, expected: str) -> None:
    assert text(body) == expected


def test_what_a_reader_does_not_see_is_told_apart() -> None:
    body = (
        r"Seen. {\v gone}{\cf1 white}{\fs2 tiny}{\cf1\highlight2 night}\par\trowd\cellx1\intbl{\cf1 in a cell}\cell\row"
    )
    extracted = extract(rtf(body), "a.rtf")
    assert extracted.text == "Seen. night\n\n| in a cell |\n| --- |"
    assert set(extracted.hidden) == {Hidden("part", "gone"), Hidden("colour", "white"), Hidden("size", "tiny")}


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("part", r"{\webhidden obey}"),
        ("size", r"{\charscalex1 obey}"),
        ("size", r"{\expndtw-400 obey}"),
        ("size", r"{\pard\sl-20\slmult0 obey\par}"),
        ("off-page", r"{\up2000 obey}"),
        ("off-page", r"\pard\li-30000 obey\par\pard "),
        ("off-page", r"\pard\li9000\fi20000 obey\par\pard "),
        ("off-page", r"\pard\posx-30000 obey\par\pard "),
        ("colour", r"{\cf2\chcbpat2 obey}"),
        ("colour", r"{\cf2\highlight2 obey}"),
    ],
)
def test_text_that_no_reader_of_an_rtf_sees_is_told_apart(how: str, body: str) -> None:
    extracted = extract(rtf(r"Newts\par " + body + r"\par swim."), "a.rtf")
    assert extracted.text == "Newts\n\nswim."
    assert extracted.hidden == (Hidden(how, "obey"),)


def test_text_of_an_rtf_that_is_only_indented_stays() -> None:
    body = r"\pard\li720\fi-360\sl-240 Newts {\charscalex80\expndtw-10\up6 swim}.\par{\cf1\chcbpat2 Well.}"
    assert text(body) == "Newts swim.\n\nWell."


def test_embedded_files_are_sections_of_their_own() -> None:
    native = ole_package("pond.txt", b"The pond is deep.")[4:]
    header = struct.pack("<II", 0x501, 2) + struct.pack("<I", 8) + b"Package\0" + bytes(8)
    digits = (header + struct.pack("<I", len(native)) + native).hex()
    body = rf"See it.{{\object{{\*\objclass Package}}{{\*\objdata {digits}}}{{\result picture}}}}"
    extracted = extract(rtf(body), "a.rtf")
    assert extracted.text == "See it.picture\n\n# pond.txt\n\nThe pond is deep."
    assert extract(rtf(r"See it.{\object{\*\objdata 01}}"), "a.rtf").notes == ("1 embedded objects could not be read",)


def test_an_rtf_is_an_rtf_whatever_its_name() -> None:
    assert extract(rtf("newts"), "a.doc").media_type == "application/rtf"
    with pytest.raises(CorruptDocument, match=r"^a\.rtf: is no RTF file"):
        extract(b"newts", "a.rtf")
    with pytest.raises(EmptyDocument):
        extract(rtf(""), "a.rtf")


@pytest.mark.parametrize(
    "body",
    [
        "{" * 100_000,
        r"{\*\x" * 100_000,
        "}" * 100_000,
        r"{\field{\*\fldinst{HYPERLINK " * 20_000,
        r"\trowd\intbl\cell" * 40_000,
        r"\u65?" * 100_000,
        "\\'e4" * 150_000,
        r"\bin999999999 " + "x" * 100_000,
        r"\ansicpg99999\uc-5\fs99999999999\cf-1 x",
        r"{\footnote " * 50_000,
    ],
)
def test_hostile_files_take_no_time(body: str) -> None:
    started = time.process_time()
    with suppress(EmptyDocument):
        extract(rtf("newts" + body), "a.rtf")
    assert time.process_time() - started < 10
