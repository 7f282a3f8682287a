"""Source code: its own lines, with classes and functions as headings."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate

from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, undecoded
from ingest.types import Extracted, Heading

# fmt: off
_C_LIKE = (".c", ".cc", ".cpp", ".cu", ".cxx", ".h", ".hpp", ".m", ".mm")
EXTENSIONS = (
    *_C_LIKE, ".bash", ".bat", ".clj", ".cmake", ".cs", ".css", ".dart", ".erl", ".ex", ".exs", ".f90", ".fs", ".go",
    ".gradle", ".groovy", ".hs", ".java", ".jl", ".js", ".jsx", ".kt", ".kts", ".lua", ".ml", ".mjs", ".nim", ".php",
    ".pl", ".pm", ".proto", ".ps1", ".py", ".pyi", ".r", ".rb", ".rs", ".scala", ".scss", ".sh", ".sol", ".sql",
    ".swift", ".tf", ".ts", ".tsx", ".v", ".vb", ".vue", ".zig", ".zsh",
)
# fmt: on
# A line at the margin that begins a type or a function: in most languages some words, then one of these and a name.
_MOST = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|sealed|open|data|async|unsafe|pub"
    r"|pub\(\w+\)|inline|extern|declare|partial)[ \t]+){0,5}"
    r"(?:class|interface|struct|enum|trait|impl|union|record|object|protocol|extension|module|namespace|actor|contract"
    r"|message|service|type|func|fun|fn|function|def|sub|defmodule|macro_rules!)\b[ \t]*"
    r"(?:<[^<>\n]{0,80}>[ \t]*|\([^()\n]{0,80}\)[ \t]*)?[\w.:$]+"
)
_PYTHON = re.compile(r"(?:async[ \t]+)?(?:class|def)[ \t]+\w+")
_C = re.compile(
    rf"{_MOST}(?![^\n]*;)|(?!typedef\b|return\b|else\b)[A-Za-z_][\w \t*&:<>,~]{{1,100}}\([^;{{}}\n]*(?=\{{|$)"
)
_SQL = re.compile(
    r"create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:table|view|function|procedure|trigger|type)[ \t]+[\w.\"`]+", re.I
)
_PATTERNS = {".py": _PYTHON, ".pyi": _PYTHON, ".sql": _SQL} | dict.fromkeys(_C_LIKE, _C)
_OTHERS = re.compile(_MOST)
# Comments, decorators and attributes.
_BELONGS_TO_NEXT = (
    "@",
    "#!",
    "# ",
    "#[",
    "//",
    "/*",
    "*",
    " *",
    "--",
    "[",
    ";",
)  # comments, decorators and attributes above
_MAX_ABOVE = 50


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The file as it is; the title is its name. Headings are the lines at the margin that begin a class or a function.

    Found by their look, not by a parser: any of some sixty languages, complete or not. Raises UnsupportedFormat where
    the bytes are no text.
    """
    text = clean(decode(data, name))
    title = clean(name.replace("\\", "/").rpartition("/")[2]) or "untitled"
    extension = "." + title.rpartition(".")[2].lower()
    return Extracted(
        text=text,
        title=title,
        media_type="text/x-source",
        headings=_headings(text, _PATTERNS.get(extension, _OTHERS).match),
        notes=undecoded(data, text),
    )


def _headings(text: str, begins: Callable[[str], re.Match[str] | None]) -> tuple[Heading, ...]:
    """Each at the comments and decorators that stand right above its line."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    headings: list[Heading] = []
    last = -1
    for number, line in enumerate(lines):
        found = begins(line)
        if found is None:
            continue
        first = number
        while first - 1 > last and number - first < _MAX_ABOVE and lines[first - 1].startswith(_BELONGS_TO_NEXT):
            first -= 1
        headings.append(Heading(start=starts[first], level=1, title=" ".join(found.group().split())))
        last = number
    return tuple(headings)
