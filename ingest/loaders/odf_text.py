"""The content of OpenDocument files as blocks: paragraphs, lists, tables, notes, text boxes, formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ingest.loaders.blocks import Block, repeated, table
from ingest.loaders.odf_styles import WHITE, OdfStyles
from ingest.loaders.ooxml import local
from ingest.loaders.raised import raised, settled
from ingest.loaders.text import clean

DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
HREF = "{http://www.w3.org/1999/xlink}href"
_DEEPEST_LIST = 8
_MAX_SPAN = 50
_MAX_SPACES = 100
# fmt: off
_PASSED_OVER = frozenset((
    "tracked-changes", "sequence-decls", "forms", "variable-decls", "user-field-decls", "alphabetical-index-mark",
    "note-citation", "annotation-end", "table-column", "table-columns", "title", "desc",
))
# fmt: on
_CELLS = (TABLE + "table-cell", TABLE + "covered-table-cell")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The list that paragraphs stand in: its style, depth from 1, and the label that the next one gets."""

    style: str | None = None
    depth: int = 0
    label: str = ""


class OdfWriter:
    """Walks the elements of a body. Elements are at most 255 deep (the parser's limit), so recursion is safe.

    `embedded` reads what a frame shows from another part of the package (a formula, a chart).
    """

    def __init__(self, styles: OdfStyles, embedded: Callable[[str], Iterator[Block]]) -> None:
        self.hidden: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self._styles = styles
        self._embedded = embedded
        self._counts: list[int] = []  # of headings, by level
        self._referred: list[tuple[int, Any]] = []
        self._notes = 0
        self._anchored: list[Any] = []  # frames that stand in the paragraph that is being read
        self._counted: dict[tuple[str, int], int] = {}  # items of the lists that go on

    def walk(self, container: Any, behind: str | None = WHITE) -> Iterator[Block]:
        """The blocks below `container`; `behind` is the colour behind its text, None where it is not known."""
        for element in container:
            yield from self._element(element, _Listing(), behind)

    def _element(self, element: Any, listing: _Listing, behind: str | None) -> Iterator[Block]:
        kind = local(element.tag)
        if kind in _PASSED_OVER or not kind:
            return
        if kind in ("p", "h"):
            yield self._paragraph(element, listing, behind)
            yield from self._hanging(behind)
        elif kind == "list":
            yield from self._list(element, listing, behind)
        elif kind == "table":
            yield Block(table(self._rows(element, behind)))
            yield from self._hanging(behind)
        elif kind == "annotation":
            self._comment(element)
        elif kind == "section" and element.get(TEXT + "display") == "none":
            self.hidden.append(("part", "\n".join(block.text for block in self.walk(element, None))))
        elif kind == "frame":
            yield from self._frame(element, listing, behind)
        elif kind in ("custom-shape", "rect", "ellipse", "text-box", "line", "connector", "path", "polygon"):
            yield from self.walk(element, None)
        else:
            for child in element:
                yield from self._element(child, listing, behind)

    def _paragraph(self, element: Any, listing: _Listing, behind: str | None) -> Block:
        style = element.get(TEXT + "style-name")
        own = self._styles.background("paragraph", style, "paragraph-properties")
        text = self._inline(element, "paragraph", own or behind if behind else None).strip()
        if not text:
            return Block("")
        if local(element.tag) == "h":
            level = element.get(TEXT + "outline-level") or "1"
            level_number = min(int(level), 10) if level.isdecimal() and len(level) < 4 else 1
            label = self._count(max(1, level_number)) if element.get(TEXT + "is-list-header") != "true" else ""
            return Block(f"{label} {text}".strip(), max(1, level_number))
        if self._styles.is_title(style):
            return Block(text, 0)
        if listing.depth:
            indent = "  " * min(listing.depth - 1, _DEEPEST_LIST)
            return Block(f"{indent}{listing.label} {' '.join(text.split())}", tight=True)
        return Block(text)

    def _count(self, level: int) -> str:
        while len(self._counts) < level:
            self._counts.append(self._styles.outline_start(len(self._counts) + 1) - (len(self._counts) + 1 == level))
        del self._counts[level:]
        self._counts[level - 1] += 1
        return self._styles.outline_label(self._counts)

    def _list(self, element: Any, outer: _Listing, behind: str | None) -> Iterator[Block]:
        depth = outer.depth + 1
        name = element.get(TEXT + "style-name") or outer.style
        if name is None:
            first = next(element.iter(TEXT + "p"), None)
            name = None if first is None else self._styles.list_of(first.get(TEXT + "style-name"))
        level = self._styles.list_level(name, depth)
        key = (name or "", depth)
        goes_on = element.get(TEXT + "continue-numbering") == "true" or element.get(TEXT + "continue-list") is not None
        count = self._counted.get(key, level.start - 1) if goes_on else level.start - 1
        for item in element:
            if local(item.tag) not in ("list-item", "list-header"):
                continue
            has_own = any(local(child.tag) in ("p", "h") for child in item)
            count += has_own
            label = level.label(count)
            for child in item:
                yield from self._element(child, _Listing(name, depth, label), behind)
                if local(child.tag) == "p":
                    label = " " * len(label)  # further paragraphs of the item
        self._counted[key] = count

    def _inline(self, element: Any, family: str, behind: str | None) -> str:
        """The text of a paragraph or span as far as it is seen."""
        how = self._styles.hides(family, element.get(TEXT + "style-name"), behind)
        own = self._pieces(element, behind)
        if how is None:
            return raised(own) if family == "text" and self._styles.raises(element.get(TEXT + "style-name")) else own
        if own.strip():
            self.hidden.append((how, settled(own)))
        return ""

    def _pieces(self, element: Any, behind: str | None) -> str:
        parts = [element.text or ""]
        for child in element:
            parts.append(self._piece(child, local(child.tag), behind))
            parts.append(child.tail or "")
        return "".join(parts)

    def _piece(self, child: Any, kind: str, behind: str | None) -> str:
        if kind == "span":
            return self._inline(child, "text", behind)
        if kind == "s":
            count = child.get(TEXT + "c") or "1"
            return " " * min(int(count) if count.isdecimal() and len(count) < 9 else 1, _MAX_SPACES)
        if kind in ("tab", "line-break"):
            return "\t" if kind == "tab" else "\n"
        if kind == "note":
            self._notes += 1
            self._referred.append((self._notes, child))
            return f"[{self._notes}]"
        if kind == "annotation":
            self._comment(child)
        elif kind in ("hidden-text", "hidden-paragraph"):
            self.hidden.append(("part", child.get(TEXT + "string-value") or "".join(child.itertext())))
        elif kind == "ruby":
            return "".join("".join(its.itertext()) for its in child.iter(TEXT + "ruby-base"))
        elif child.tag is not None and isinstance(child.tag, str) and child.tag.startswith(DRAW) and kind != "a":
            self._anchored.append(child)
        elif kind and kind not in _PASSED_OVER:
            return self._pieces(child, behind)
        return ""

    def _hanging(self, behind: str | None) -> Iterator[Block]:
        """What stands in the paragraph before: text boxes, formulas, and its notes."""
        anchored, self._anchored = self._anchored, []
        for frame in anchored:
            yield from self._element(frame, _Listing(), behind)
        referred, self._referred = self._referred, []
        for number, note in referred:
            bodies = note.iterchildren(TEXT + "note-body")
            text = " ".join(block.text for body in bodies for block in self.walk(body, behind))
            yield Block(f"[{number}] {' '.join(text.split())}")

    def _frame(self, element: Any, listing: _Listing, behind: str | None) -> Iterator[Block]:
        """A text box, a table, or an object: the first thing in the frame that can be read; others stand in for it."""
        for child in element:
            kind = local(child.tag)
            if kind == "text-box":
                yield from self.walk(child, None)
                return
            if kind == "table":
                yield from self._element(child, listing, behind)
                return
            if kind == "object" and child.get(HREF):
                blocks = list(self._embedded(child.get(HREF)))
                yield from blocks
                if blocks:
                    return

    def _comment(self, element: Any) -> None:
        author = " ".join("".join(its.text or "" for its in element if local(its.tag) == "creator").split())
        text = " ".join(" ".join("".join(its.itertext()) for its in element.iter(TEXT + "p")).split())
        if text:
            self.comments.append(f"{author}: {text}" if author else text)

    def _rows(self, element: Any, behind: str | None) -> Iterator[list[str]]:
        """The cells of each row; merged cells repeat their text, as each of their rows and columns has it."""
        below: dict[int, tuple[str, int]] = {}  # by column: a text that goes on, and for how many rows
        for row in element.iter(TABLE + "table-row"):
            if next(row.iterancestors(TABLE + "table")) is not element:
                continue
            cells: list[str] = []
            for cell in row.iterchildren(*_CELLS):
                column = len(cells)
                if cell.tag == _CELLS[1]:
                    text, rows = below.get(column, ("", 0))
                    cells.append(repeated(text) if rows else self._across(cells, cell))
                    below[column] = (text, max(0, rows - 1))
                    continue
                text = self._cell(cell, behind)
                wide, high = _span(cell, "number-columns-spanned"), _span(cell, "number-rows-spanned")
                cells += [text, *[repeated(text)] * (_span(cell, "number-columns-repeated") - 1)]
                for offset in range(wide):
                    below[column + offset] = (text, high - (offset == 0))
            yield cells

    def _across(self, cells: list[str], cell: Any) -> str:
        alone = cells and cell.get(TABLE + "number-columns-repeated") is None
        return repeated(cells[-1]) if alone else ""

    def _cell(self, cell: Any, behind: str | None) -> str:
        own = self._styles.background("table-cell", cell.get(TABLE + "style-name"), "table-cell-properties")
        texts = (block.text.strip() for block in self.walk(cell, (own or behind) if behind else None))
        return " ".join(text.removeprefix("- ") for text in texts if text)


def cell_text(cell: Any) -> str:
    """What a cell of a spreadsheet shows."""
    lines = []
    for paragraph in cell.iterchildren(TEXT + "p"):
        pieces: list[str] = []
        for node in paragraph.iter():
            if local(node.tag) == "s":
                count = node.get(TEXT + "c") or "1"
                pieces.append(" " * min(int(count) if count.isdecimal() and len(count) < 9 else 1, _MAX_SPACES))
            if local(node.tag) != "annotation":
                pieces.append(node.text or "")
            if node is not paragraph:
                pieces.append(node.tail or "")
        lines.append("".join(pieces))
    return clean("\n".join(lines)).strip()


def _span(cell: Any, attribute: str) -> int:
    text = cell.get(TABLE + attribute) or "1"
    return max(1, min(int(text), _MAX_SPAN)) if text.isdecimal() and len(text) < 9 else 1
