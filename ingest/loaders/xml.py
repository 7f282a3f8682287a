"""XML: articles (JATS), patents, DocBook, DITA and TEI by the names of their elements, all else as a tree of facts."""

from __future__ import annotations

import html as entities
from collections.abc import Iterator
from typing import Any

from ingest.loaders import html
from ingest.loaders.blocks import Block, fence, join, table
from ingest.loaders.grids import Cell, Row, filled, span
from ingest.loaders.packages import parse_xml
from ingest.loaders.raised import mark_raised
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.loaders.unseen_svg import take_unseen_svg
from ingest.types import Extracted

# fmt: off
_SECTIONS = frozenset((  # each within another is one level lower
    "abstract", "ack", "app", "appendix", "article", "bibliography", "book", "boxed-text", "chapter", "claims",
    "concept", "div", "fn-group", "glossary", "notes", "part", "preface", "ref-list", "reference", "refsect1",
    "refsect2", "sec", "sect1", "sect2", "sect3", "sect4", "sect5", "section", "simplesect", "sub-article", "task",
    "topic", "us-patent-application", "us-patent-grant",
))
_UNTITLED = {"abstract": "Abstract", "ack": "Acknowledgments", "claims": "Claims", "ref-list": "References"}
_TITLES = frozenset(("head", "title"))
_FLAT = frozenset((  # paragraphs, whatever is in them
    "article-title", "attrib", "bridgehead", "caption", "chem-struct", "claim", "disp-formula", "element-citation",
    "fn", "formalpara", "label", "maths", "mixed-citation", "ref", "subtitle", "term", "us-claim-statement",
))
_FIGURES = frozenset(("fig", "figure", "table-wrap"))
_ITEMS = frozenset(("item", "li", "list-item", "listitem"))
_BLOCKS = frozenset((
    "back", "body", "conbody", "def", "def-item", "def-list", "description", "disp-quote", "front", "itemizedlist",
    "list", "note", "ol", "orderedlist", "p", "para", "refbody", "shortdesc", "simpara", "table-wrap-foot",
    "table-wrap-group", "tables", "taskbody", "text", "tip", "ul", "variablelist", "varlistentry", "warning",
))
_CODE = frozenset(("code-block", "codeblock", "literallayout", "pre", "preformat", "programlisting", "screen"))
# What is no text of the document: facts about the file, pictures, and formulas where they stand once more for TeX.
_DROPPED = frozenset((
    "alt-text", "alternatives-graphic", "binary", "drawings", "front-stub", "graphic", "img", "info",
    "inline-graphic", "media", "object-id", "prolog", "script", "style", "teiHeader", "tex-math",
    "us-bibliographic-data-application", "us-bibliographic-data-grant",
))
# fmt: on
_PROSE = ("p", "para", "simpara")  # where one of them is, there are sentences
_AUTHORS = (
    ".//*[local-name()='article-meta']//*[local-name()='contrib'][not(@contrib-type) or @contrib-type='author']"
    "/*[local-name()='name'] | .//*[local-name()='inventor']//*[local-name()='addressbook']"
)
_GIVEN, _FAMILY = ("given-names", "first-name"), ("surname", "last-name")
_CELLS = ("td", "th", "entry")
# Whose text stands apart from what is around it; other elements are runs of text, as emphasis is.
_APART = _SECTIONS | _TITLES | _FLAT | _ITEMS | _BLOCKS | _CODE | {"break", "br", "claim-text"}
_FIELDS = frozenset(("element-citation", "name"))  # all of whose elements stand apart
_DEEPEST = 40  # levels of facts that are indented


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Prose as Markdown-like text, facts as `name: value` lines indented by nesting. XHTML is read as HTML is.

    Document types are not fetched, nor are entities resolved but those that HTML knows. Raises CorruptDocument.
    """
    root = parse_xml(data, name)
    if _name(root) == "html":
        return html.load(data, name, reading)
    hidden = take_unseen_svg(root) if _name(root) == "svg" else ()
    if not any(_name(element) in _PROSE for element in root.iter()):
        text = clean(_facts(root))
        return Extracted(text=text, title=stem(name), media_type="application/xml", hidden=hidden)
    mark_raised(root, "{*}sup", "{*}xref")
    mark_raised(root, "{*}superscript", "{*}link")
    title = _title(root)
    writer = _Writer()
    if title:
        writer.blocks.append(Block(title, level=1))
    writer.blocks.append(Block(", ".join(dict.fromkeys(_authors(root)))))
    writer.walk(root, 0)
    writer.flush()
    blocks = [block for number, block in enumerate(writer.blocks) if number == 0 or block != writer.blocks[0]]
    text, headings = join(blocks)
    first = next((heading.title for heading in headings if heading.level == 1), None)
    return Extracted(text=text, title=title or first or stem(name), media_type="application/xml", headings=headings)


class _Writer:
    """Walks elements, which are at most 255 deep (the parser's limit), and collects blocks."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._inline: list[str] = []
        self._marker = ""  # of the list item that begins

    def walk(self, element: Any, depth: int) -> None:
        """`depth` is the number of sections around `element`."""
        name = _name(element)
        if name in _DROPPED or name == "front":
            self._abstracts(element, depth)
        elif name in _SECTIONS:
            self._section(element, name, depth + 1)
        elif name in _TITLES:
            self._add(Block(_flat(element), level=max(depth, 1)))
        elif name == "heading":
            level = element.get("level", "1")
            self._add(Block(_flat(element), level=1 + (int(level) if level in "123456789" and level else 1)))
        elif name in _CODE:
            self._add(Block(fence("".join(element.itertext()))))
        elif name == "table" or name == "informaltable":
            self._add(Block(_captions(element)))
            self._add(Block(table(filled(_rows(element)))))
        elif name in _FIGURES:
            self._add(Block(_captions(element)))
            self._children(element, depth, without=("label", "caption", "title"))
        elif name in _FLAT:
            self._add(Block(_flat(element)))
        elif name in _ITEMS:
            self.flush()
            self._marker = "- "
            self._children(element, depth)
            self.flush()
        elif name in _BLOCKS:
            self.flush()
            self._children(element, depth)
            self.flush()
        else:
            self._children(element, depth)

    def flush(self) -> None:
        """Ends the paragraph."""
        text = " ".join("".join(self._inline).split())
        self._inline.clear()
        if text:
            self.blocks.append(Block(self._marker + text, tight=bool(self._marker)))
            self._marker = ""

    def _section(self, element: Any, name: str, depth: int) -> None:
        self.flush()
        titled = any(_name(child) in _TITLES for child in element)
        if name in _UNTITLED and not titled:
            self._add(Block(_UNTITLED[name], level=depth))
        self._children(element, depth)
        self.flush()

    def _abstracts(self, front: Any, depth: int) -> None:
        """Of what precedes an article, only its abstracts are text; title and authors were taken before."""
        if _name(front) == "front":
            for abstract in front.iter("{*}abstract", "{*}trans-abstract"):
                self._section(abstract, "abstract", depth + 1)

    def _add(self, block: Block) -> None:
        self.flush()
        self.blocks.append(block)

    def _children(self, element: Any, depth: int, without: tuple[str, ...] = ()) -> None:
        self._inline.append(element.text or "")
        for child in element:
            if isinstance(child.tag, str):
                if _name(child) not in without:
                    self.walk(child, depth)
            else:
                self._inline.append(_entity(child))
            self._inline.append(child.tail or "")


def _name(element: Any) -> str:
    """The name without its namespace; "" for comments, instructions and entities."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _entity(node: Any) -> str:
    """What an entity that the document does not declare means in HTML; "" for a comment or an instruction."""
    text = node.text or ""
    return entities.unescape(text) if getattr(node, "name", None) and text.startswith("&") else ""


def _pieces(element: Any) -> Iterator[str]:
    """The text below `element`, with white space around what stands apart."""
    if _name(element) in _DROPPED:
        return
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str):
            around = " " if _name(child) in _APART or _name(element) in _FIELDS else ""
            yield around
            yield from _pieces(child)
            yield around
        else:
            yield _entity(child)
        yield child.tail or ""


def _flat(element: Any) -> str:
    return " ".join("".join(_pieces(element)).split())


def _captions(element: Any) -> str:
    """Number and caption of a figure or table, as one line."""
    return " ".join(_flat(child) for child in element if _name(child) in ("label", "caption", "title"))


def _rows(element: Any) -> Iterator[Row]:
    """The rows of a table of HTML, or of CALS, where cells name the columns that they go over."""
    columns = {its.get("colname"): number for number, its in enumerate(element.iter("{*}colspec"))}
    groups: dict[Any, int] = {}
    for row in element.iter("{*}tr", "{*}row"):
        around = row.getparent()
        elements = [cell for cell in row if _name(cell) in _CELLS]
        is_header = _name(around) == "thead" or all(_name(its) == "th" for its in elements)
        yield Row(
            [_cell(its, columns) for its in elements],
            groups.setdefault(around, len(groups)),
            is_header and bool(elements),
        )


def _cell(cell: Any, columns: dict[str | None, int]) -> Cell:
    first, last = (columns.get(cell.get(name), 0) if cell.get(name) else 0 for name in ("namest", "nameend"))
    high = span(cell.get("morerows"), 0) + 1 if _name(cell) == "entry" else span(cell.get("rowspan"))
    return Cell(_flat(cell), max(span(cell.get("colspan")), last - first + 1), high)


def _title(root: Any) -> str:
    """That of the article or the patent."""
    found = root.find(".//{*}article-meta//{*}article-title")
    if found is None:
        found = root.find(".//{*}invention-title")
    return _flat(found) if found is not None else ""


def _authors(root: Any) -> Iterator[str]:
    for person in root.xpath(_AUTHORS):
        parts = {_name(part): _flat(part) for part in person}
        words = [next((parts[name] for name in names if name in parts), "") for names in (_GIVEN, _FAMILY)]
        yield " ".join(word for word in words if word)


def _facts(root: Any) -> str:
    """Elements and attributes as lines; a blank line before each child of the root that has some of its own."""
    parts: list[str] = []
    while len(root) == 1 and isinstance(root[0].tag, str) and len(root[0]):
        root = root[0]
    pending = [(root, 0)]
    while pending:
        element, depth = pending.pop()
        if not isinstance(element.tag, str):
            continue
        indent = "  " * min(depth - 1, _DEEPEST)
        children = [child for child in element if isinstance(child.tag, str)]
        is_mixed = bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)
        value = _flat(element) if is_mixed or not children else ""
        attributes = [f"{key.rpartition('}')[2]}: {' '.join(said.split())}" for key, said in element.attrib.items()]
        if depth == 1 and parts and (children or parts[-1].startswith("  ")):
            parts.append("")
        if depth or value or not children:
            parts.append(f"{indent}{_name(element)}: {value}".rstrip())
        parts += [f"{indent}  {attribute}" for attribute in attributes if depth]
        if not is_mixed:
            pending += [(child, depth + 1) for child in reversed(children)]
    return "\n".join(parts)
