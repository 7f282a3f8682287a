"""DOCX by lxml: paragraphs, lists, tables, text boxes, formulas and charts in the order of the document.

python-docx would only parse: it neither counts numbers of headings and lists, nor reads text boxes, formulas, footnotes
or what is hidden, and it takes neither templates nor documents with macros.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.errors import CorruptDocument, RefusedDocument
from ingest.loaders.blocks import Block, join, repeated, table, under_title
from ingest.loaders.charts import chart_blocks
from ingest.loaders.docx_colours import WHITE, Theme
from ingest.loaders.docx_formulas import formula
from ingest.loaders.docx_names import MC, STRICT, M, R, W, integer, switched, value
from ingest.loaders.docx_numbering import BULLET, Numbering
from ingest.loaders.docx_places import Pages, hides_row
from ingest.loaders.docx_styles import Styles
from ingest.loaders.ooxml import embedded_files, local, main_part, relationships, stated_title
from ingest.loaders.packages import open_package, parse_xml, part
from ingest.loaders.raised import raised
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Hidden

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MAX_SPAN = 50
_DEEPEST_LIST = 8
_PARAGRAPH, _RUN, _TEXT, _TEXT_BOX = W + "p", W + "r", W + "t", W + "txbxContent"
_TABLE, _ROW, _CELL = W + "tbl", W + "tr", W + "tc"
_CONTAINERS = frozenset(W + name for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml"))
_CHARACTERS = {W + "tab": "\t", W + "br": "\n", W + "cr": "\n", W + "noBreakHyphen": "-"}
_NOTES = {W + "footnoteReference": "footnotes", W + "endnoteReference": "endnotes"}
_OUTSIDE = frozenset(  # the paragraph's running text: properties, what was deleted or moved away, drawings, phonetics
    (
        *(W + name for name in ("pPr", "rPr", "del", "moveFrom", "drawing", "pict", "object", "rt")),
        MC + "AlternateContent",
    )
)
_NO_NOTE = ("separator", "continuationSeparator", "continuationNotice")


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The body as Markdown-like text; the title is that of the properties, else the first heading, else the stem.

    Notes stand below the paragraph that refers to them, comments in a section at the end; headers and footers, which
    repeat on each page, are left out. Raises CorruptDocument, LimitExceeded.
    """
    package = open_package(data, name, reading)
    main = main_part(package, name) or "word/document.xml"
    root = _parsed(package, main, name)
    body = root.find(W + "body")
    if body is None:
        raise CorruptDocument(
            f"{name}: is no DOCX: its content can't be read, it has no body. Save it again in a word processor."
        )
    parts = _parts(package, main, name)
    writer = _Writer(package, name, parts)
    blocks = writer.document(body)
    stated = stated_title(package, name)
    text, headings = join(blocks)
    attachments, notes = embedded_files(package, name)
    return Extracted(
        text=text,
        title=stated or (headings[0].title if headings else stem(name)),
        media_type=MEDIA_TYPE,
        headings=under_title(headings, stated),
        hidden=tuple(Hidden(how, clean("\n".join(texts))) for how, texts in writer.hidden.items()),
        notes=tuple(notes),
        attachments=tuple(attachments),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts beside the document, parsed; by kind, and by key those that it points to from within."""

    by_kind: dict[str, Any] = field(default_factory=dict)
    path_of: dict[str, str] = field(default_factory=dict)


def _parts(package: zipfile.ZipFile, main: str, name: str) -> _Parts:
    parts = _Parts()
    for its in relationships(package, main, name):
        parts.path_of[its.key] = its.target
        if its.kind in ("styles", "numbering", "footnotes", "endnotes", "comments"):
            parts.by_kind[its.kind] = _parsed(package, its.target, name)
        elif its.kind in ("theme", "settings"):
            try:
                parts.by_kind[its.kind] = _parsed(package, its.target, name)
            except RefusedDocument:  # only colours are told by it
                continue
    return parts


def _parsed(package: zipfile.ZipFile, path: str, name: str) -> Any:
    source = part(package, path, name)
    for strict, usual in STRICT.items():
        source = source.replace(strict, usual)
    return parse_xml(source, name)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a paragraph stands: the colour behind it (None: not known), and whether that is hidden as a whole."""

    behind: str | None = WHITE
    hidden: str | None = None  # how all of it is (`Hidden.how`)


class _Writer:
    """Walks the elements of a document and makes blocks of them."""

    def __init__(self, package: zipfile.ZipFile, name: str, parts: _Parts) -> None:
        self.hidden: dict[str, list[str]] = {}
        self._package, self._name, self._parts = package, name, parts
        self._theme = Theme(parts.by_kind.get("theme"))
        self._styles = Styles(parts.by_kind.get("styles"), self._theme)
        self._numbering = Numbering(parts.by_kind.get("numbering"))
        self._notes = {kind: _by_id(parts.by_kind.get(kind)) for kind in ("footnotes", "endnotes")}
        self._comments = _by_id(parts.by_kind.get("comments"))
        self._commented: list[str] = []
        self._referred: list[tuple[int, str, str]] = []  # notes of the paragraph that is being read
        self._count = 0  # of notes

    def document(self, body: Any) -> list[Block]:
        """All blocks; below a title, headings move down by one level. Comments come last."""
        self._pages = Pages(body)
        blocks = list(self._walk(body, _Place(self._page_colour(body))))
        titled = any(block.level == 0 for block in blocks)
        shift = 1 if titled else 0
        blocks = [block if block.level is None else Block(block.text, max(1, block.level + shift)) for block in blocks]
        comments = [Block(f"- {text}", tight=True) for key in self._commented if (text := self._comment(key))]
        return [*blocks, Block("Comments", level=1 + shift), *comments] if comments else blocks

    def _page_colour(self, body: Any) -> str:
        """White, but where the document has another and its settings show that."""
        settings, colour = self._parts.by_kind.get("settings"), body.getparent().find(W + "background")
        if colour is None or not switched(settings, "displayBackgroundShape"):
            return WHITE
        return self._theme.colour(colour, "Color") or WHITE

    def _walk(self, container: Any, place: _Place) -> Iterator[Block]:
        for element in container:
            if element.tag == _PARAGRAPH:
                yield self._paragraph(element, place)
                yield from self._drawn(element)
                yield from self._noted()
            elif element.tag == _TABLE:
                yield Block(table(self._rows(element, place)))
                yield from self._noted()
            elif element.tag in _CONTAINERS:
                yield from self._walk(element, place)

    def _paragraph(self, element: Any, place: _Place) -> Block:
        text = self._text(element, place).strip()
        properties = element.find(W + "pPr")
        style = value(properties, "pStyle")
        level = self._styles.heading_level(style)
        if not text:
            return Block("")
        label, depth = self._label(properties, style)
        if level is not None:
            return Block(text if label in ("", BULLET) else f"{label} {text}", level)
        if label:
            return Block("  " * min(depth, _DEEPEST_LIST) + f"{label} " + text.replace("\n", " "), tight=True)
        return Block(text)

    def _label(self, properties: Any, style: str | None) -> tuple[str, int]:
        """What stands before a paragraph in a list, and how deep that is; "" for a paragraph in none.

        Number 0 takes a paragraph out of the list that its style puts it in.
        """
        own = None if properties is None else properties.find(W + "numPr")
        number, depth = value(own, "numId"), value(own, "ilvl")
        by_style = self._styles.numbering(style)
        if number is None and by_style is not None:
            number, level, styled = by_style
            depth = depth or str(self._numbering.level_of_style(number, styled) if level is None else level)
        if number == "0" or (number is None and not self._styles.is_list(style)):
            return "", 0
        level = integer(depth, 0)
        return (BULLET if number is None else self._numbering.next(number, level)), level

    def _text(self, paragraph: Any, place: _Place) -> str:
        """The paragraph's own text: with links, insertions and formulas, without deletions and text boxes."""
        properties = paragraph.find(W + "pPr")
        style = value(properties, "pStyle")
        chain = self._styles.paragraph(properties, style)
        shade = next((found for its in chain if (found := self._theme.behind(its)) is not None), None)
        behind = (shade or place.behind) if place.behind else None
        whole = place.hidden or self._pages.hides_paragraph(chain)
        parts: list[str] = []
        raises = False  # the run that is being read
        pending = list(reversed(paragraph))
        while pending:
            node = pending.pop()
            if node.tag == _RUN:
                how = whole or self._styles.hides(node, style, behind)
                if how is not None:
                    self.hidden.setdefault(how, []).append("".join(text.text or "" for text in node.iter(_TEXT)))
                    continue
                raises = self._styles.raises(node)
            if node.tag == _TEXT:
                parts.append(raised(node.text or "") if raises else node.text or "")
            elif node.tag == M + "oMath":
                parts.append("" if whole else _spaced(parts, formula(node)))
            elif node.tag in _CHARACTERS:
                parts.append(_CHARACTERS[node.tag])
            elif node.tag in _NOTES:
                parts.append(self._refer(_NOTES[node.tag], node.get(W + "id") or ""))
            elif node.tag == W + "commentReference":
                self._commented.append(node.get(W + "id") or "")
            elif node.tag not in _OUTSIDE:
                pending.extend(reversed(node))
        return "".join(parts)

    def _refer(self, kind: str, key: str) -> str:
        if key not in self._notes[kind]:
            return ""
        self._count += 1
        self._referred.append((self._count, kind, key))
        return f"[{self._count}]"

    def _noted(self) -> Iterator[Block]:
        """The notes that the paragraph or table before refers to. Each note is written once."""
        referred, self._referred = self._referred, []
        for number, kind, key in referred:
            note = self._notes[kind].pop(key, None)
            if note is not None:
                text = " ".join(self._text(paragraph, _Place()) for paragraph in note.iter(_PARAGRAPH))
                yield Block(f"[{number}] {' '.join(text.split())}")
        self._referred = []

    def _comment(self, key: str) -> str:
        comment = self._comments.pop(key, None)
        if comment is None:
            return ""
        text = " ".join(" ".join(self._text(paragraph, _Place()) for paragraph in comment.iter(_PARAGRAPH)).split())
        author = " ".join((comment.get(W + "author") or "").split())
        return f"{author}: {text}" if author and text else text

    def _drawn(self, paragraph: Any) -> Iterator[Block]:
        """Text boxes, charts and diagrams that hang on the paragraph."""
        for node in paragraph.iter(_TEXT_BOX, "{*}chart", "{*}relIds"):
            if next(node.iterancestors(_PARAGRAPH)) is not paragraph or _is_fallback(node):
                continue
            if node.tag == _TEXT_BOX:
                yield from self._walk(node, _Place(behind=None, hidden=self._pages.hides_box(node)))
                continue
            path = self._parts.path_of.pop(node.get(R + "id") or node.get(R + "dm") or "", None)
            try:
                root = None if path is None else _parsed(self._package, path, self._name)
            except RefusedDocument:  # a damaged chart is no reason to refuse the text around it
                continue
            if root is not None and local(node.tag) == "chart":
                yield from chart_blocks(root)
            elif root is not None:
                lines = (" ".join("".join(text.itertext()).split()) for text in root.iter("{*}t"))
                yield from (Block(f"- {line}", tight=True) for line in lines if line)

    def _rows(self, element: Any, place: _Place) -> Iterator[list[str]]:
        """The cells of each row; a table inside a cell becomes text of that cell. Merged cells repeat their text."""
        properties = element.find(W + "tblPr")
        styled = self._styles.shades(value(properties, "tblStyle"))
        behind = None if styled or place.behind is None else self._theme.behind(properties) or place.behind
        above: list[str] = []
        for row in element.iter(_ROW):
            if next(row.iterancestors(_TABLE)) is not element or _is_gone(row):
                continue
            hidden = place.hidden or hides_row(row)
            cells: list[str] = [""] * min(integer(value(row.find(W + "trPr"), "gridBefore"), 0), _MAX_SPAN)
            for cell in row.iter(_CELL):
                if next(cell.iterancestors(_ROW)) is row:
                    cells += self._cell(cell, _Place(behind, hidden), above, len(cells))
            if len(set(cells)) == 1:  # a title across the table
                yield [cells[0], *[""] * (len(cells) - 1)]
            else:
                yield cells
            above = cells

    def _cell(self, cell: Any, place: _Place, above: list[str], column: int) -> list[str]:
        properties = cell.find(W + "tcPr")
        span = max(1, min(integer(value(properties, "gridSpan"), 1), _MAX_SPAN))
        merge = None if properties is None else properties.find(W + "vMerge")
        if merge is not None and merge.get(W + "val") in (None, "continue"):
            return [repeated(above[column]) if column < len(above) else ""] * span
        place = _Place(self._theme.behind(properties) or place.behind, place.hidden)
        texts = [self._text(paragraph, place) for paragraph in cell.iter(_PARAGRAPH) if not _is_fallback(paragraph)]
        text = " ".join(text for text in texts if text.strip())
        return [text, *[repeated(text)] * (span - 1)]


def _by_id(root: Any | None) -> dict[str, Any]:
    """The notes or comments of a part, without the lines that separate notes from the text."""
    found = () if root is None else root
    return {element.get(W + "id") or "": element for element in found if element.get(W + "type") not in _NO_NOTE}


def _spaced(before: list[str], text: str) -> str:
    return f" {text}" if before and before[-1][-1:].isalnum() else text


def _is_gone(row: Any) -> bool:
    """Whether the row was deleted, as far as changes are tracked."""
    properties = row.find(W + "trPr")
    return properties is not None and properties.find(W + "del") is not None


def _is_fallback(element: Any) -> bool:
    """Text boxes are there twice: for new programs, and as a fallback for old ones."""
    return next(element.iterancestors(MC + "Fallback"), None) is not None
