"""What no reader of a page sees of the reStructuredText, Org and LaTeX it is made of: comments above all.

Where the source itself is the text, such places are cut out of it. Code stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain

from ingest.loaders.text import LETTER_OR_DIGIT
from ingest.loaders.unseen_markdown import Span, unseen_html
from ingest.types import Hidden


def cut(text: str, spans: Iterable[Span]) -> tuple[str, tuple[Hidden, ...]]:
    """`text` without the spans, and what stood there."""
    places, hidden = places_of(text, spans)
    return without(text, places), hidden


def places_of(text: str, spans: Iterable[Span]) -> tuple[list[tuple[int, int]], tuple[Hidden, ...]]:
    """What is to be cut out, in its order, and what stands there. A line that holds nothing else goes with it."""
    places: list[tuple[int, int]] = []
    hidden: list[Hidden] = []
    done = 0
    for start, end, how in sorted(spans):
        if start < done:
            continue
        if LETTER_OR_DIGIT.search(text, start, end):
            hidden.append(Hidden(how, text[start:end].strip()))
        line = text.rfind("\n", done, start) + 1 or done
        begins = line == 0 or text[line - 1] == "\n"
        if begins and not text[line:start].strip() and text[end : end + 1] in ("\n", ""):
            start, end = line, min(end + 1, len(text))
        places.append((start, end))
        done = end
    return places, tuple(hidden)


def without(text: str, places: Sequence[tuple[int, int]]) -> str:
    bounds = [0, *chain.from_iterable(places), len(text)]
    return "".join(text[start:end] for start, end in zip(bounds[::2], bounds[1::2], strict=True))


# -- reStructuredText

_EXPLICIT = re.compile(r"(?P<indent>[ \t]*)\.\.(?:[ \t]+(?P<rest>\S.*)|[ \t]*)$")
# Footnotes, targets, substitutions and directives.
_NO_COMMENT = re.compile(
    r"\[(?:\d+|[*#]|#?\w[\w.+:-]{0,60})\](?:[ \t]|$)|_(?:_:|`[^`]+`:|(?:[^\\:]|\\.|:(?=\S))+:(?:[ \t]|$))"
    r"|\|[^|]+\|[ \t]+[\w.+:-]+::|[\w.+:-]+[ \t]?::(?:[ \t]|$)"
)
# After such a line of the same indent, another may begin a block: an item, a field, or what rules off a title.
_ENDS = re.compile(r"[ \t]*(?:[-*+•][ \t]|(?:\w{1,5}|#)[.)][ \t]|:[^:]+:|([!-/:-@\[-`{-~])\1*[ \t]*$)")
LITERAL = re.compile(
    r"(?:(?![ \t]*\.\.[ \t]).*::|[ \t]*\.\.[ \t]+(?:code|code-block|code-cell|sourcecode|parsed-literal|math|prompt"
    r"|highlight|testcode|testoutput|doctest|ipython|graphviz|digraph|plantuml|mermaid)::.*)[ \t]*$"
)
_RAW = re.compile(r"raw[ \t]*::[ \t]*(\w+)")


def unseen_restructuredtext(lines: Sequence[str]) -> Iterator[Span]:
    """Comments, raw blocks that are no HTML, and what is hidden in those that are."""
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    number = 0
    while number < len(lines):
        line = lines[number]
        match = _EXPLICIT.match(line)
        end = block_end(lines, number)
        last = starts[end] - 1
        if match is None or _in_paragraph(lines, number, len(match["indent"])):
            number = end if LITERAL.match(line) else number + 1
            continue
        rest = match["rest"] or ""
        raw = _RAW.match(rest)
        if raw is not None and raw[1].lower() != "html":
            yield starts[number], last, "part"
        elif raw is not None:
            source = "\n".join(lines[number:end])
            yield from (
                (starts[number] + start, starts[number] + stop, how) for start, stop, how in unseen_html(source)
            )
        elif not _NO_COMMENT.match(rest) and (rest or end > number + 1):
            yield starts[number], last, "part"
        number = end if raw is not None or not _NO_COMMENT.match(rest) or LITERAL.match(line) else number + 1


def _in_paragraph(lines: Sequence[str], number: int, indent: int) -> bool:
    """Whether a line only goes on with the one before."""
    before = lines[number - 1] if number else ""
    if not before.strip() or indent_of(before) != indent:
        return False
    return not _EXPLICIT.match(before) and not _ENDS.match(before)


def block_end(lines: Sequence[str], number: int) -> int:
    """The line behind the block that a line begins: those below it that are indented further."""
    indent = indent_of(lines[number])
    end = last = number + 1
    if not _EXPLICIT.match(lines[number]) and not LITERAL.match(lines[number]):
        return end
    if re.fullmatch(r"[ \t]*\.\.[ \t]*", lines[number]) and (end == len(lines) or not lines[end].strip()):
        return end  # an empty comment takes nothing of what follows
    while end < len(lines) and (not lines[end].strip() or indent_of(lines[end]) > indent):
        end += 1
        if lines[end - 1].strip():
            last = end
    return last


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


# -- Org

_ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(\w+)", re.I)
_ORG_COMMENT = re.compile(r"[ \t]*#(?:[ \t]|$)")
_ORG_STARS = re.compile(r"(\*+)[ \t]+(COMMENT\b)?")


def unseen_org(lines: Sequence[str]) -> Iterator[Span]:
    """Lines and blocks of comment, and sections whose heading says COMMENT."""
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    block, began = "", 0
    section: tuple[int, int] | None = None  # the stars and the first line of one that is a comment
    for number, line in enumerate(lines):
        stars = None if block else _ORG_STARS.match(line)
        if stars and section is not None and len(stars[1]) <= section[0]:
            yield starts[section[1]], starts[number] - 1, "part"
            section = None
        if stars and stars[2] and section is None:
            section = len(stars[1]), number
        if section is not None:
            continue
        if mark := _ORG_BLOCK.match(line):
            if mark[1].lower() == "begin":
                block, began = (block or mark[2].lower()), (began if block else number)
            elif mark[2].lower() == block:
                if block == "comment":
                    yield starts[began], starts[number + 1] - 1, "part"
                block = ""
        elif not block and _ORG_COMMENT.match(line):
            yield starts[number], starts[number + 1] - 1, "part"
    if section is not None:
        yield starts[section[1]], starts[-1] - 1, "part"


# -- LaTeX

_TEX_MARK = re.compile(
    r"\\(?:url|href|path|nolinkurl|input|include|includegraphics)(?:\[[^\[\]\n]*\])?\{[^{}\n]*\}"
    r"|\\begin\{(?P<code>verbatim|lstlisting|minted|Verbatim)(?P<star>\*?)\}|\\(?:verb\*?|lstinline)(?P<sign>[^a-zA-Z*\s])"
    r"|\\begin\{comment\}|\\iffalse\b|\\end\{document\}"
    r"|\\(?P<ink>textcolor|color)(?:\[\w{1,20}\])?\{[ \t]*(?:white|1(?:\.0*)?[, ]+1(?:\.0*)?[, ]+1(?:\.0*)?|FFFFFF"
    r"|255, ?255, ?255)[ \t]*\}[ \t]*|\\(?P<other>color)(?=[\[{])|\\(?P<ghost>phantom|hphantom|vphantom)(?=\{)"
    r"|\\(?P<bound>begin|end)\{[a-zA-Z*]{1,40}\}|\\.|(?P<comment>%)|(?P<brace>[{}])",
    re.S | re.I,
)
# What may be coloured behind white text that stands soon after.
_TEX_BOX = re.compile(r"\\f?colorbox|\\(?:row|cell|column|page)color|tcolorbox|colback|fill|bg=|beamer|mdframed")
_FI = re.compile(r"\\fi(?![a-zA-Z])")


def unseen_latex(text: str) -> Iterator[Span]:
    """Comments, text in white, phantoms, and what follows the document's end. Verbatim text stays."""
    position = 0
    white: int | None = None  # where white text begins that lasts until its group ends
    depth = floor = 0
    while (mark := _TEX_MARK.search(text, position)) is not None:
        position = mark.end()
        start = mark.start()
        if mark["code"]:
            position = _behind(text, f"\\end{{{mark['code']}{mark['star']}}}", position)
        elif mark["sign"]:
            position = _behind(text, mark["sign"], position)
        elif mark["comment"]:
            line = text.find("\n", position)
            position = len(text) if line < 0 else line
            if white is None:
                yield start, position, "part"
        elif mark["brace"] or mark["bound"]:
            depth += 1 if mark["brace"] == "{" or mark["bound"] == "begin" else -1
            if white is not None and depth < floor:
                yield white, start, "colour"
                white = None
        elif mark["other"] and white is not None and depth == floor:
            yield white, start, "colour"
            white = None
        elif mark[0].startswith("\\begin{comment"):
            position = _behind(text, "\\end{comment}", position)
            yield start, position, "part"
        elif mark[0] == "\\iffalse":
            closed = _FI.search(text, position)
            position = len(text) if closed is None else closed.end()
            yield start, position, "part"
        elif mark[0] == "\\end{document}":
            break
        elif white is None and (
            mark["ghost"] or (mark["ink"] and not _TEX_BOX.search(text, max(0, start - 300), start))
        ):
            if mark["ink"] == "color":
                white, floor = start, depth
            elif text[position : position + 1] == "{":
                end = _group_end(text, position)
                yield start, end, "layer" if mark["ghost"] else "colour"
                position = end
    if white is not None:
        yield white, len(text), "colour"
    elif mark is not None:
        yield position, len(text), "part"


def _on_a_box(text: str, start: int) -> bool:
    return _TEX_BOX.search(text, max(0, start - 300), start) is not None


def _behind(text: str, end: str, position: int) -> int:
    found = text.find(end, position)
    return len(text) if found < 0 else found + len(end)


def _group_end(text: str, position: int) -> int:
    depth = 0
    for mark in re.compile(r"\\.|[{}]", re.S).finditer(text, position):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    return len(text)
