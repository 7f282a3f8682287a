"""Source code and subtitles."""

from __future__ import annotations

import pytest

from ingest.chunks.chunking import chunk
from ingest.loaders.code import EXTENSIONS
from ingest.loaders.registry import extract

PYTHON = '''\
"""Newts."""

import os

# Swims.
@cache
async def swim(newt: str) -> None:
    def inner() -> None: ...


class Newt:
    def dive(self) -> None:
        pass


default = 3
'''


def titles(source: str, name: str) -> list[str]:
    return [heading.title for heading in extract(source.encode(), name).headings]


def test_code_stays_as_it_is_under_the_name_of_its_file() -> None:
    extracted = extract(PYTHON.encode(), "pond/newts.py")
    assert (extracted.text, extracted.title) == (PYTHON, "newts.py")
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "async def swim"),
        (1, "class Newt"),
    ]
    assert PYTHON[extracted.headings[0].start :].startswith("# Swims.\n@cache\nasync def swim")


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.js", "export default async function swim() {}\nclass Newt extends Toad {}\nlet a = 1\n", 2),
        ("a.ts", "export interface Newt {}\nexport abstract class Pond {}\nconst f = 1\n", 2),
        ("a.go", "// Swims.\nfunc (n *Newt) Swim() error {\n\tfunc() {}()\n}\ntype Pond struct {\n}\n", 2),
        (
            "a.rs",
            "#[derive(Debug)]\npub struct Newt;\nimpl<T> Swim for Newt<T> {\n    fn a() {}\n}\npub(crate) fn b() {}\n",
            3,
        ),
        ("A.java", "import a.b;\npublic final class Newt {\n    void swim() {}\n}\n", 1),
        ("a.c", "int depth;\nstatic int swim(struct newt *n)\n{\n    dive(n);\n}\nint dive(void);\n", 1),
        ("a.cpp", "class Newt {\n};\nvoid Newt::swim(int far) {\n}\n", 2),
        ("a.sql", "CREATE TABLE pond.newts (id int);\ncreate or replace view v as select 1;\n", 2),
        ("a.rb", "class Newt\n  def swim\n  end\nend\nmodule Pond\nend\n", 2),
        ("a.sh", "function swim() {\n}\nls\n", 1),
        ("a.php", "<?php\nfinal class Newt {}\nfunction swim() {}\n", 2),
        ("a.kt", "data class Newt(val a: Int)\nfun swim() {}\n", 2),
    ],
)
def test_types_and_functions_at_the_margin_are_headings(name: str, source: str, expected: int) -> None:
    assert len(titles(source, name)) == expected


def test_every_function_that_fits_is_a_chunk_of_its_own() -> None:
    source = "".join(f"def swim_{n}(far):\n    newts = {n}\n\n    return newts * far + {n} * 2\n\n\n" for n in range(5))
    extracted = extract(source.encode(), "a.py")
    chunks = chunk(extracted, count_tokens=lambda text: len(text.split()), chunk_tokens=20, overlap_tokens=0)
    assert [source[one.start : one.end] for one in chunks] == [part for part in source.split("\n\n\n") if part]
    assert [one.heading for one in chunks] == [(f"def swim_{n}",) for n in range(5)]


@pytest.mark.parametrize("extension", sorted({".py", ".c", ".sql", ".js"} & set(EXTENSIONS)))
@pytest.mark.parametrize(
    "piece", ["a ", "pub ", "export default ", "(", "a::", "function <", "# \n", "create ", "int a("]
)
def test_long_lines_end(extension: str, piece: str) -> None:
    words = "newts " * 500  # a file of nothing but signs is refused
    extract((piece * 200_000 + words).encode(), "a" + extension)


def test_subtitles_are_paragraphs_of_a_minute_behind_their_time() -> None:
    srt = (
        "1\n00:00:01,000 --> 00:00:02,000\n<i>Newts</i> &amp; toads\n\n2\n00:00:03,000 --> 00:00:59,000\nswim.\n\n"
        "3\n00:01:02,500 --> 00:01:04,000\n{\\an8}They dive.\n\n4\n01:00:00,000 --> 01:00:01,000\nEnd.\n"
    )
    assert (
        extract(srt.encode(), "a.srt").text
        == "[00:00:01] Newts & toads swim.\n\n[00:01:02] They dive.\n\n[01:00:00] End."
    )


def test_webvtt_has_its_notes_left_out_and_lines_that_roll_once() -> None:
    vtt = (
        "WEBVTT\n\nNOTE not said\n\nSTYLE\n::cue {}\n\nintro\n00:01.000 --> 00:02.000 align:start\n<v Ann>Newts\n\n"
        "00:02.000 --> 00:03.000\nNewts\nswim.\n"
    )
    assert extract(vtt.encode(), "a.vtt").text == "[00:00:01] Newts swim."
    assert extract(b"WEBVTT\n\nnothing timed", "a.vtt").text == "WEBVTT\n\nnothing timed"
