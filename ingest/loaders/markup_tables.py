"""Tables of Org and LaTeX as tables of Markdown. What is not written as a table has to be stays as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.loaders.blocks import table

_ORG_ROW = re.compile(r"[ \t]*\|")
_ORG_RULE = re.compile(r"[ \t]*\|-[-+|]*[ \t]*$")
_ORG_WIDTH = re.compile(r"(?:<[lrc]?\d{0,4}>)?")
_ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(\w+)", re.I)

_TABULAR = re.compile(
    r"\\begin\{(tabular|tabular\*|tabularx|longtable)\}|\\(begin|end)\{(?:verbatim|lstlisting|minted)\*?\}"
)
_TEX_ROW_END = re.compile(r"(?<!\\)\\\\(?:\*|\[[^\]\n]{0,40}\])?|\\tabularnewline\b")
_TEX_CELL_END = re.compile(r"(?<!\\)&")
_TEX_RULE = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot|(?:cmidrule|cline)(?:\([lr]{1,2}\))?\{[^}\n]{0,20}\})"
)
_TEX_OVER_COLUMNS = re.compile(r"\\multicolumn\{(\d{1,2})\}\{[^{}\n]{0,60}\}\{")
_LONGEST_FORM = 500  # characters of what stands before the first cell


def with_org_tables(lines: Sequence[str]) -> list[str]:
    """The lines with each table as one of Markdown; what stands in blocks stays as it is."""
    written: list[str] = []
    block = ""
    number = 0
    while number < len(lines):
        if mark := _ORG_BLOCK.match(lines[number]):
            name = mark[2].lower()
            block = (block or name) if mark[1].lower() == "begin" else "" if name == block else block
        end = number
        while not block and end < len(lines) and _ORG_ROW.match(lines[end]):
            end += 1
        rows = [_org_cells(line) for line in lines[number:end] if not _ORG_RULE.match(line)]
        rows = [row for row in rows if not all(_ORG_WIDTH.fullmatch(cell) for cell in row)]
        if rows:
            written += table(rows).split("\n")
        else:
            end = max(end, number + 1)
            written += lines[number:end]
        number = end
    return written


def _org_cells(line: str) -> list[str]:
    line = line.strip()[1:]
    return [cell.strip() for cell in line.removesuffix("|").split("|")]


def with_latex_tables(text: str) -> str:
    """The text with each table that has no other environment in it as one of Markdown, on lines of its own."""
    parts: list[str] = []
    position = done = 0
    in_code = False
    while (mark := _TABULAR.search(text, position)) is not None:
        position = mark.end()
        if mark[1] is None:
            in_code = mark[2] == "begin"
            continue
        closing = f"\\end{{{mark[1]}}}"
        nested = text.find("\\begin{", position)
        end = text.find(closing, position, nested if nested >= 0 else len(text))
        written = "" if in_code or end < 0 else _latex_table(text[position:end])
        if written:
            parts += [text[done : mark.start()].rstrip(" \t"), "\n\n", written, "\n\n"]
            done = position = end + len(closing)
    return "".join([*parts, text[done:]])


def _latex_table(source: str) -> str:
    """ "" where it is no table of several columns."""
    body = _behind_form(source)
    rows = []
    for row in _TEX_ROW_END.split(_TEX_RULE.sub("", body)):
        cells: list[str] = []
        for cell in _TEX_CELL_END.split(row):
            over = _TEX_OVER_COLUMNS.search(cell)
            if over is not None:
                cell = cell[: over.start()] + cell[over.end() :].rstrip().removesuffix("}")
            cells += [cell.replace("\\&", "&"), *[""] * (max(1, int(over[1])) - 1 if over else 0)]
        rows.append(cells)
    return table(rows) if any(len(row) > 1 for row in rows) else ""


def _behind_form(source: str) -> str:
    """What follows the arguments of the environment: its width, its place, its columns."""
    depth = 0
    for place, sign in enumerate(source[:_LONGEST_FORM]):
        depth += (sign in "{[") - (sign in "}]")
        if depth == 0 and sign not in "}] \t":
            return source[place:]
    return source
