"""Text in the source of markup that no reader of the page sees: comments, and HTML in it that is hidden.

Where the source itself is the text, such places are cut out of it. Code stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import lxml.etree
import lxml.html
from markdown_it import MarkdownIt

from ingest.loaders.css_matching import TooMuchToMatch
from ingest.loaders.text import clean
from ingest.loaders.unseen import take_unseen
from ingest.types import Hidden

Span = tuple[int, int, str]  # where a hidden text stands, and how it is hidden (`Hidden.how`)

_MAX_TAGS = 5000  # different ones, of one text, that are looked at
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9-]{0,30})(?P<rest>(?:\s(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+)?)>"
)
_MARK = re.compile(f"<!--|{_TAG.pattern}")
_TELLING = re.compile(r"\b(?:style|hidden|popover|color|bgcolor)\b", re.I)
_ALWAYS = frozenset(("script", "style", "template", "dialog", "datalist", "noembed", "noframes"))
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
_MARKDOWN = re.compile(
    r"<!--|\]:|<(?:[a-z]+\s[^<>]*\b(?:style|hidden|popover|(?:bg)?color)\b|script|style|template|d[ia]|no[ef])", re.I
)
_COMMENT = re.compile(r"<!--(?:>|->|.*?(?:-->|\Z))", re.S)
_TICKS = re.compile(r"`+|\n[ \t]*+(?=\n)")
_DEFINITION = re.compile(
    r"^ {0,3}\[(?P<label>[^\[\]\n]{1,200})\]:[ \t]*+\n?[ \t]*+(?:<[^<>\n]*>|[^\s<]\S*+)(?=\s)[ \t]*+(?:\n[ \t]*+)?"
    r"(?P<title>\"[^\"]{1,2000}\"|'[^']{1,2000}'|\([^()]{1,2000}\))[ \t]*+$",
    re.M,
)
_REFERENCE = re.compile(r"\[([^\[\]\n]{1,200})\]")


def cut(text: str, spans: Iterable[Span]) -> tuple[str, tuple[Hidden, ...]]:
    """`text` without the spans, and what stood there. A line that holds nothing else goes with it."""
    kept: list[str] = []
    hidden: list[Hidden] = []
    done = 0
    for start, end, how in sorted(spans):
        if start < done:
            continue
        if words := text[start:end].strip():
            hidden.append(Hidden(how, words))
        line = text.rfind("\n", done, start) + 1 or done
        begins = line == 0 or text[line - 1] == "\n"
        if begins and not text[line:start].strip() and text[end : end + 1] in ("\n", ""):
            start, end = line, end + 1
        kept.append(text[done:start])
        done = end
    kept.append(text[done:])
    return "".join(kept), tuple(hidden)


def seen_markdown(text: str) -> tuple[str, tuple[Hidden, ...]]:
    """Markdown without comments, definitions that are comments, and elements that are hidden. Code stays."""
    if not _MARKDOWN.search(text):
        return text, ()
    code = list(_code(text))
    spans = [*_html(text, code), *_unused_definitions(text, code)]
    return cut(text, spans) if spans else (text, ())


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Where code stands: blocks, and runs within backticks."""
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["block"])
    blocks = [
        (starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)])
        for token in parser.parse(text)
        if token.type in ("fence", "code_block") and token.map is not None
    ]
    yield from blocks
    waiting: dict[int, tuple[int, int]] = {}  # the run of each length that may begin a code span
    taken = 0
    for run in _TICKS.finditer(text):
        if run[0][0] == "\n":  # the paragraph ends
            waiting.clear()
            continue
        length = run.end() - run.start()
        begun = waiting.pop(length, None)
        if begun is not None and begun[0] >= taken:
            yield begun[0], run.end()
            taken = run.end()
        else:
            waiting[length] = run.start(), run.end()


def _html(text: str, code: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Comments and hidden elements outside of code."""
    inside = _Places(code)
    known: dict[str, str | None] = {}
    position = 0
    opened: list[tuple[str, int, str]] = []  # of the hidden element that is read: its name alone counts
    depth = 0
    for match in _MARK.finditer(text):
        if match.start() < position or (not opened and inside.holds(match.start())):
            continue
        if match[0].startswith("<!--"):
            comment = _COMMENT.match(text, match.start())
            assert comment is not None
            position = comment.end()
            if not opened:
                yield match.start(), position, "part"
            continue
        name = match["name"].lower()
        if opened:
            if name == opened[0][0]:
                depth += -1 if match["end"] else 0 if name in _VOID or match[0].endswith("/>") else 1
            if depth == 0:
                yield opened[0][1], match.end(), opened[0][2]
                opened.clear()
            continue
        if match["end"] or name in _VOID or match[0].endswith("/>"):
            continue
        if name in _ALWAYS or _TELLING.search(match["rest"]):
            how = _how(match[0], known)
            if how is not None:
                opened.append((name, match.start(), how))
                depth = 1
    if opened:  # without an end: up to that of the text, as in a browser
        yield opened[0][1], len(text), opened[0][2]


class _Places:
    """Spans that are asked for in their order."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = sorted(spans)
        self._at = 0

    def holds(self, position: int) -> bool:
        while self._at < len(self._spans) and self._spans[self._at][1] <= position:
            self._at += 1
        return self._at < len(self._spans) and self._spans[self._at][0] <= position


def _how(tag: str, known: dict[str, str | None]) -> str | None:
    """How an element that begins with `tag` is hidden."""
    if tag in known or len(known) >= _MAX_TAGS:
        return known.get(tag, "layer")
    try:
        page = lxml.html.document_fromstring(f"<p>a</p>{clean(tag)}text")
        known[tag] = next((its.how for its in take_unseen(page) if "text" in its.text), None)
    except (lxml.etree.ParserError, TooMuchToMatch, RecursionError):
        known[tag] = "layer"
    return known[tag]


def _unused_definitions(text: str, code: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Link definitions with a title whose label nothing refers to, such as `[//]: # (a comment)`."""
    found = list(_DEFINITION.finditer(text))
    if not found:
        return
    used = Counter(" ".join(its[1].split()).casefold() for its in _REFERENCE.finditer(text))
    inside = _Places(code)
    for match in found:
        if used[" ".join(match["label"].split()).casefold()] < 2 and not inside.holds(match.start()):
            yield match.start(), match.end(), "part"


# -- reStructuredText

_EXPLICIT = re.compile(r"(?P<indent>[ \t]*)\.\.(?:[ \t]+(?P<rest>\S.*)|[ \t]*)$")
_NO_COMMENT = re.compile(r"\[[^\]]+\]|_|\|[^|]+\||[\w.+:-]+[ \t]*::")
_LITERAL = re.compile(
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
        end = _block_end(lines, number)
        last = starts[end] - 1
        if match is None:
            number = end if _LITERAL.match(line) else number + 1
            continue
        rest = match["rest"] or ""
        raw = _RAW.match(rest)
        if raw is not None and raw[1].lower() != "html":
            yield starts[number], last, "part"
        elif raw is not None:
            source = "\n".join(lines[number:end])
            yield from ((starts[number] + start, starts[number] + stop, how) for start, stop, how in _html(source, ()))
        elif not _NO_COMMENT.match(rest) and (rest or end > number + 1):
            yield starts[number], last, "part"
        number = end if raw is not None or not _NO_COMMENT.match(rest) or _LITERAL.match(line) else number + 1


def _block_end(lines: Sequence[str], number: int) -> int:
    """The line behind the block that a line begins: those below it that are indented further."""
    indent = _indent(lines[number])
    end = last = number + 1
    if not _EXPLICIT.match(lines[number]) and not _LITERAL.match(lines[number]):
        return end
    if re.fullmatch(r"[ \t]*\.\.[ \t]*", lines[number]) and (end == len(lines) or not lines[end].strip()):
        return end  # an empty comment takes nothing of what follows
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
        if lines[end - 1].strip():
            last = end
    return last


def _indent(line: str) -> int:
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
    r"\\begin\{(?P<code>verbatim|lstlisting|minted|Verbatim)(?P<star>\*?)\}|\\verb\*?(?P<sign>[^a-zA-Z*\s])"
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
