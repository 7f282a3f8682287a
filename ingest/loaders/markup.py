"""Markup whose source reads well: reStructuredText, Org and LaTeX. The text stays the source, with its headings.

Tables become those of Markdown, so that they are cut into chunks as tables are.

Comments, and what else nobody sees of the page, are cut out of it.

The headings are found by a scan of lines. docutils would read the files that a text includes unless told not to, and
ends at the first section of a level that does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

from ingest.loaders.blocks import under_title
from ingest.loaders.encodings import decode
from ingest.loaders.markup_tables import with_latex_tables, with_org_tables
from ingest.loaders.reading import Reading
from ingest.loaders.restructuredtext_tables import with_tables
from ingest.loaders.text import clean, stem, undecoded
from ingest.loaders.unseen_markup import cut, unseen_latex, unseen_org, unseen_restructuredtext
from ingest.types import Extracted, Heading, Hidden

_Found = tuple[int, int, str]  # line, level from 1, title

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*$")
_RST_ROLE = re.compile(r":[\w.+-]{1,40}:(?=`)|[`*|]|(?<!_)_++(?=\W|$)")
_ORG_HEADING = re.compile(r"(\*+)[ \t]+(?:(?:TODO|DONE|NEXT|WAITING)[ \t]+)?(?:\[#\w\][ \t]+)?(.*)")
_ORG_TAGS = re.compile(r"(?<![ \t])[ \t]+:[\w@#%:]+:[ \t]*$")
_ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(\w+)", re.I)
_ORG_TITLE = re.compile(r"^#\+title:[ \t]*(\S[^\n]*)$", re.I | re.M)
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}
_TEX_HEADING = re.compile(
    r"[ \t]*\\(part|chapter|section|subsection|subsubsection)\*?(?:\[[^\]\n]{0,300}\])?\{(.{1,300})"
)
_TEX_TITLE = re.compile(r"\\title(?:\[[^\]\n]{0,300}\])?\{(.{1,300})")
_TEX_COMMAND = re.compile(r"\\[a-zA-Z]{1,30}\*?[ \t]*|[{}~$]")
_TEX_CODE = re.compile(r"[ \t]*\\(begin|end)\{(verbatim|lstlisting|minted)\*?\}")


def load_restructuredtext(data: bytes, name: str, reading: Reading) -> Extracted:
    """The source with headings at their titles; levels are those of the order in which adornments first appear.

    A single title of the outermost level is the document's. Raises UnsupportedFormat where the bytes are no text.
    """
    source = clean(decode(data, name))
    text, hidden = cut(source, unseen_restructuredtext(source.split("\n")))
    lines = with_tables(text.split("\n"))
    return _extracted(data, name, ("\n".join(lines), hidden), "text/x-rst", list(_restructuredtext(lines)), None)


def load_org(data: bytes, name: str, reading: Reading) -> Extracted:
    """The source with headings at their stars; `#+TITLE` is its title. Raises UnsupportedFormat."""
    source = clean(decode(data, name))
    text, hidden = cut(source, unseen_org(source.split("\n")))
    text = "\n".join(with_org_tables(text.split("\n")))
    title = _ORG_TITLE.search(text)
    stated = title[1].strip() if title else None
    return _extracted(data, name, (text, hidden), "text/x-org", list(_org(text.split("\n"))), stated)


def load_latex(data: bytes, name: str, reading: Reading) -> Extracted:
    r"""The source with headings at `\section` and the like; `\title` is its title. Raises UnsupportedFormat."""
    source = clean(decode(data, name))
    text, hidden = cut(source, unseen_latex(source))
    text = with_latex_tables(text)
    title = _TEX_TITLE.search(text)
    stated = _tex_words(_braced(title[1])) if title else None
    return _extracted(data, name, (text, hidden), "text/x-tex", list(_latex(text.split("\n"))), stated)


def _extracted(
    data: bytes,
    name: str,
    seen: tuple[str, tuple[Hidden, ...]],
    media_type: str,
    found: list[_Found],
    stated: str | None,
) -> Extracted:
    text, hidden = seen
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    headings = tuple(Heading(starts[line], min(level, 9), title) for line, level, title in found)
    first = next((heading.title for heading in headings if heading.level == 1 and heading.title), None)
    return Extracted(
        text=text,
        title=stated or first or stem(name),
        media_type=media_type,
        headings=under_title(headings, stated),
        hidden=hidden,
        notes=undecoded(data, text),
    )


def _restructuredtext(lines: list[str]) -> Iterator[_Found]:
    """Titles: a line above a run of one sign at least as long, after a blank line; or between two such runs."""
    levels: dict[tuple[str, bool], int] = {}
    taken = -1  # the last line of the title before
    for number in range(1, len(lines)):
        title, under = lines[number - 1], _ADORNMENT.match(lines[number])
        if under is None or number - 1 <= taken or not title.strip() or _ADORNMENT.match(title):
            continue
        over = _ADORNMENT.match(lines[number - 2]) if number >= 2 and number - 2 > taken else None
        is_over = over is not None and over[0].rstrip() == under[0].rstrip()
        begins = number - 2 if is_over else number - 1
        if not is_over and title[0].isspace():
            continue
        if begins > 0 and lines[begins - 1].strip() and begins - 1 != taken:
            continue
        # docutils takes a shorter underline with a warning, if it has four signs.
        if len(under[0].rstrip()) < min(len(title.rstrip()), 4):
            continue
        level = levels.setdefault((under[1], is_over), len(levels) + 1)
        taken = number
        yield begins, level, _RST_ROLE.sub("", title).strip()


def _org(lines: list[str]) -> Iterator[_Found]:
    block = ""
    for number, line in enumerate(lines):
        if mark := _ORG_BLOCK.match(line):
            if mark[1].lower() == "begin":
                block = block or mark[2].lower()
            elif mark[2].lower() == block:
                block = ""
        elif not block and (heading := _ORG_HEADING.match(line)):
            yield number, len(heading[1]), _ORG_TAGS.sub("", heading[2]).strip()


def _latex(lines: list[str]) -> Iterator[_Found]:
    in_code = False
    for number, line in enumerate(lines):
        if mark := _TEX_CODE.match(line):
            in_code = mark[1] == "begin"
        elif not in_code and (heading := _TEX_HEADING.match(line)):
            yield number, _TEX_LEVELS[heading[1]], _tex_words(_braced(heading[2]))


def _braced(source: str) -> str:
    """What stands before the brace that closes the one already open."""
    depth = 1
    for position, character in enumerate(source):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return source[:position]
    return source


def _tex_words(source: str) -> str:
    return " ".join(_TEX_COMMAND.sub(" ", source).split())
