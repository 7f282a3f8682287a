"""DOCX by python-docx: paragraphs, lists and tables in the order of the document."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import docx

from ingest.errors import CorruptDocument
from ingest.loaders.blocks import Block, join, table, under_title
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted

_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MAX_SPAN = 50

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_PARAGRAPH, _TEXT, _TEXT_BOX = _W + "p", _W + "t", _W + "txbxContent"
_TABLE, _ROW, _CELL = _W + "tbl", _W + "tr", _W + "tc"
_CONTAINERS = frozenset(_W + name for name in ("sdt", "sdtContent", "ins", "customXml"))  # of paragraphs and tables
_CHARACTERS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}
_OUTSIDE = frozenset(  # the paragraph's running text: properties, what was deleted or moved away, drawings
    (*(_W + name for name in ("pPr", "rPr", "del", "moveFrom", "drawing", "pict")), _ALTERNATIVES)
)


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The body as Markdown-like text; the title is that of the properties, else the first heading, else the stem.

    Headers, footers, notes and comments are left out. Raises CorruptDocument.
    """
    try:
        document = docx.Document(io.BytesIO(data))
        stated = " ".join(clean(document.core_properties.title or "").split())
        text, headings = join(_blocks(document.element.body, _Styles(document)))
    except Exception as error:  # python-docx checks nothing: broken XML surfaces as any of a dozen built-in errors
        if isinstance(error, MemoryError):
            raise
        raise _corrupt(name, f"its content can't be read ({type(error).__name__})") from error
    return Extracted(
        text=text,
        title=stated or (headings[0].title if headings else stem(name)),
        media_type=_MEDIA_TYPE,
        headings=under_title(headings, stated),
    )


class _Styles:
    """What each paragraph style makes of a paragraph, found by its own name or that of a style it is based on."""

    def __init__(self, document: Any) -> None:
        self._parents: dict[str, str | None] = {}
        self._levels: dict[str, int] = {}
        self._lists: set[str] = set()
        for style in document.styles.element.style_lst:
            key = style.styleId
            if key is None:
                continue
            name = (style.name_val or "").lower()
            self._parents[key] = style.basedOn_val
            if name == "title":
                self._levels[key] = 0
            elif name.startswith("heading ") and name[8:].isdecimal():
                self._levels[key] = int(name[8:])
            if name.startswith(("list bullet", "list number")):
                self._lists.add(key)

    def heading_level(self, style: str | None) -> int | None:
        """0 for the title, 1 to 9 for headings."""
        return next((self._levels[key] for key in self._chain(style) if key in self._levels), None)

    def is_list(self, style: str | None) -> bool:
        return any(key in self._lists for key in self._chain(style))

    def _chain(self, style: str | None) -> Iterator[str]:
        seen: set[str] = set()
        while style is not None and style not in seen:
            seen.add(style)
            yield style
            style = self._parents.get(style)


def _blocks(body: Any, styles: _Styles) -> list[Block]:
    """All blocks; below a title, headings move down by one level."""
    blocks = list(_walk(body, styles))
    titled = any(block.level == 0 for block in blocks)
    shift = 1 if titled else 0
    return [block if block.level is None else Block(block.text, max(1, block.level + shift)) for block in blocks]


def _walk(container: Any, styles: _Styles) -> Iterator[Block]:
    for element in container:
        if element.tag == _PARAGRAPH:
            yield _paragraph(element, styles)
            for box in element.iter(_TEXT_BOX):
                if next(box.iterancestors(_PARAGRAPH)) is element and not _is_fallback(box):
                    yield from _walk(box, styles)
        elif element.tag == _TABLE:
            yield Block(table(_rows(element)))
        elif element.tag in _CONTAINERS:
            yield from _walk(element, styles)


def _paragraph(element: Any, styles: _Styles) -> Block:
    text = _text(element).strip()
    properties = element.pPr
    style = properties.style if properties is not None else None
    level = styles.heading_level(style)
    if level is not None:
        return Block(text, level)
    numbering = properties.numPr if properties is not None else None
    if text and _is_list_item(numbering, styles.is_list(style)):
        depth = numbering.ilvl.val if numbering is not None and numbering.ilvl is not None else 0
        return Block("  " * min(depth, 8) + "- " + text.replace("\n", " "), tight=True)
    return Block(text)


def _is_list_item(numbering: Any, style_is_list: bool) -> bool:
    """Number 0 takes a paragraph out of the list that its style puts it in."""
    if numbering is None or numbering.numId is None:
        return style_is_list
    return bool(numbering.numId.val != 0)


def _text(paragraph: Any) -> str:
    """The paragraph's own text: with links, insertions and formulas, without deletions and text boxes."""
    parts = []
    pending = list(reversed(paragraph))
    while pending:
        node = pending.pop()
        if node.tag in (_TEXT, _MATH_TEXT):
            parts.append(node.text or "")
        elif node.tag in _CHARACTERS:
            parts.append(_CHARACTERS[node.tag])
        elif node.tag not in _OUTSIDE:
            pending.extend(reversed(node))
    return "".join(parts)


def _rows(element: Any) -> Iterator[list[str]]:
    """The cells of each row; a table inside a cell becomes text of that cell."""
    for row in element.iter(_ROW):
        if next(row.iterancestors(_TABLE)) is element:
            yield [text for cell in row.iter(_CELL) for text in _cell(cell, row)]


def _cell(cell: Any, row: Any) -> list[str]:
    if next(cell.iterancestors(_ROW)) is not row:
        return []
    text = " ".join(_text(paragraph) for paragraph in cell.iter(_PARAGRAPH) if not _is_fallback(paragraph))
    return [text, *[""] * (min(cell.grid_span, _MAX_SPAN) - 1)]


def _is_fallback(element: Any) -> bool:
    """Text boxes are there twice: for new programs, and as a fallback for old ones."""
    return next(element.iterancestors(_FALLBACK), None) is not None


def _corrupt(name: str, why: str) -> CorruptDocument:
    return CorruptDocument(f"{name}: is no DOCX that can be read: {why}. Save it again as .docx in a word processor.")
