"""Text put together from blocks, for formats that are trees (HTML, DOCX). The result reads like Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.loaders.raised import settled
from ingest.loaders.text import clean
from ingest.types import Heading

_LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or a heading where `level` (from 1) is given. `tight` blocks (list items) stand line under line."""

    text: str
    level: int | None = None
    tight: bool = False


def join(blocks: Iterable[Block]) -> tuple[str, tuple[Heading, ...]]:
    """The blocks as one text, separated by blank lines, with its headings. Headings become `## Title` lines.

    What is raised is written as `raised.settled` has it.
    """
    parts: list[str] = []
    headings: list[Heading] = []
    length = 0
    previous: Block | None = None
    for block in blocks:
        text = settled(clean(block.text)).strip("\n")
        if block.level is not None:
            text = " ".join(text.split())
        if not text.strip():
            continue
        if previous is not None:
            separator = "\n" if previous.tight and block.tight else "\n\n"
            parts.append(separator)
            length += len(separator)
        if block.level is not None:
            headings.append(Heading(start=length, level=block.level, title=text))
            text = "#" * min(block.level, 6) + " " + text
        parts.append(text)
        length += len(text)
        previous = block
    return "".join(parts), tuple(headings)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as a Markdown table whose first row is the header. Empty rows and columns are left out.

    Short rows below the header are not padded: a hostile file could make that as large as it likes.
    """
    filled = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    filled = [row for row in filled if any(row)]
    if not filled:
        return ""
    columns = sorted({column for row in filled for column, cell in enumerate(row) if cell})
    filled[0] += [""] * (columns[-1] + 1 - len(filled[0]))
    lines = [_row([row[column] for column in columns if column < len(row)]) for row in filled]
    return "\n".join([lines[0], _row(["---"] * len(columns)), *lines[1:]])


def repeated(text: str) -> str:
    """`text` for the further cells of a merged one, as each row and column that it spans has it; "" for a long text.

    A long one is no label, and a hostile file could merge a million cells.
    """
    return text if len(text) <= _LONGEST_LABEL else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def fence(code: str) -> str:
    """`code` between fence lines that do not occur in it."""
    code = clean(code)
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}\n{code.strip(chr(10))}\n{mark}"


def under_title(headings: tuple[Heading, ...], title: str | None) -> tuple[Heading, ...]:
    """`headings`, below one more at offset 0 where the document states a title and has no heading of level 1.

    So the title stands at the head of the path of every chunk. A title taken from the file's name never does: the same
    content under two names stays the same chunks.
    """
    if not title or any(heading.level == 1 for heading in headings):
        return headings
    return (Heading(start=0, level=1, title=title), *headings)
