"""HTML by lxml: the text a reader sees, without what surrounds it on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import lxml.etree
import lxml.html

from ingest.errors import CorruptDocument, LimitExceeded
from ingest.loaders.blocks import Block, fence, join, table, under_title
from ingest.loaders.css_matching import TooMuchToMatch
from ingest.loaders.encodings import byte_order_mark, codec_of, decode, refuse_binary, try_decode
from ingest.loaders.grids import Cell, Row, filled, span
from ingest.loaders.html_marks import ListNumbers, mark_pictures, mark_struck, without_pictures
from ingest.loaders.packages import DEEPEST_ELEMENTS
from ingest.loaders.raised import mark_raised
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.loaders.unseen import Unseen, take_unseen
from ingest.types import Extracted, Hidden

_META_CHARSET = re.compile(rb"""<meta[^<>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^<>]{0,200}encoding\s*=\s*["']([\w.:-]{1,40})""", re.I)
# The parser ends a document type declaration at its first ">", even inside a DTD, and takes the rest for text. Comments
# and scripts are matched to be passed over.
_DOCTYPE = re.compile(
    r"""<!--.*?(?:-->|\Z) | <script\b.*?(?:</script|\Z)
    | <!doctype (?:"[^"<]*" | '[^'<]*' | [^"'<>\[])*+
      (?: > | (?P<dtd>\[) (?:<!--.*?(?:-->|\Z) | <\?.*?(?:\?>|\Z) | "[^"]*" | '[^']*' | [^"'\]])*+ (?P<end>\]\s*+>)?)
    """,
    re.I | re.S | re.X,
)
_STANDARD = re.compile(r"<!doctype\s+html\b", re.I)
_HEAD = 5000  # characters in which a document type stands
_DROPPED = ("script", "style", "noscript", "template", "nav", "iframe", "object", "svg", "canvas", "button", "select")
_AROUND = "self::header[not(descendant::h1)] or self::footer or @role='banner' or @role='contentinfo' or @role='search'"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# fmt: off
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "legend", "li", "main", "ol",
    "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", *_HEADINGS,
))
# fmt: on
_BREAK = "\v"  # stands for <br> and the end of a block while white space collapses; no decoded text contains it
_MAX_UNDECODABLE_SHARE = 0.1  # of the characters beyond ASCII
_ANCHOR_SIGNS = " #¶§\u200b\U0001f517"  # what documentation tools put beside a heading to link to it


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The page's main part as Markdown-like text; the title is that of `<title>`, else the first h1, else the stem.

    Raises UnsupportedFormat where the bytes are no text, CorruptDocument where elements are nested too deeply or a
    DTD has no end, LimitExceeded where its style sheets are too large to tell what is seen.
    """
    source = _decode(data, name)
    page = _parse(source, name)
    if page is None:
        return Extracted(text="", title=stem(name), media_type="text/html")
    stated = " ".join(clean(page.xpath("string(//title[not(ancestor::svg)])")).split())
    mark_pictures(page)
    unseen = without_pictures(_taken_unseen(page, source, name))  # first: rules count siblings that are dropped below
    _drop_surroundings(page)
    part = _main_part(page)
    mark_raised(part, "sup", "a")
    mark_struck(part)
    writer = _Writer()
    writer.walk(part)
    writer.flush()
    text, headings = join(writer.blocks)
    first = next((heading.title for heading in headings if heading.level == 1), None)
    return Extracted(
        text=text,
        title=stated or first or stem(name),
        media_type="text/html",
        headings=under_title(headings, stated),
        hidden=_hidden(unseen, part),
    )


def _taken_unseen(page: Any, source: str, name: str) -> list[Unseen]:
    """The text of the page that nobody sees, taken out of it. Raises LimitExceeded."""
    try:
        return take_unseen(page, quirks=not _STANDARD.search(source[:_HEAD]))
    except (TooMuchToMatch, RecursionError) as error:
        raise LimitExceeded(
            f"{name}: its style sheets are too large or too involved to tell which text can be seen. "
            "Take <style> out of it, or save it as text."
        ) from error


def _hidden(unseen: list[Unseen], part: Any) -> tuple[Hidden, ...]:
    """What is unseen within the main part: neighbours that are hidden alike are one text."""
    within = set(part.iter())
    inside = [one for one in unseen if one.element in within]
    return tuple(
        Hidden(how=how, text=text)
        for how, ones in groupby(inside, key=lambda one: one.how)
        if (text := " ".join(clean(" ".join(one.text for one in ones)).split()))
    )


def _decode(data: bytes, name: str) -> str:
    """By byte order mark, else UTF-8 where it is that, else as the page declares, else as plain text is decoded.

    A page that is mostly not what it declares is decoded as plain text, so refused unless it looks Western.
    """
    refuse_binary(data, name)
    declared = _declared(data)
    if byte_order_mark(data) or declared is None:
        return decode(data, name)
    if not data.isascii():  # pages that are UTF-8 and say otherwise are common, the reverse hardly happens by chance
        text = try_decode(data, "utf-8")
        if text is not None:
            return text
    text = data.decode(declared, "replace")
    undecodable = text.count("\ufffd")
    if undecodable > _MAX_UNDECODABLE_SHARE * sum(not character.isascii() for character in text):
        return decode(data, name)
    return text


def _declared(data: bytes) -> str | None:
    match = _XML_ENCODING.search(data[:1024]) or _META_CHARSET.search(data[:4096])
    return codec_of(match[1].decode("ascii")) if match else None


def _without_doctype(source: str, name: str) -> str:
    """`source` without document type declarations and the DTDs in them. Raises CorruptDocument where one has no end."""

    def kept(match: re.Match[str]) -> str:
        if not match[0].lower().startswith("<!doctype"):
            return match[0]
        if match["dtd"] and not match["end"]:
            raise CorruptDocument(
                f"{name}: the DTD that begins in its <!DOCTYPE ... [ has no end. Write the missing quote or ]>, or "
                "leave out what is between the brackets."
            )
        return ""

    return _DOCTYPE.sub(kept, source)


def _parse(source: str, name: str) -> Any:
    """The root element, or None where there is no element at all."""
    written = _without_doctype(clean(source), name).encode("utf-8")
    try:
        page, said = _parsed(written, huge=False)
        is_huge = said.startswith("Resource limit exceeded")  # one run of text of 10 MB
        if is_huge:
            page, said = _parsed(written, huge=True)
    except lxml.etree.ParserError:  # "Document is empty"
        return None
    if said.startswith("Excessive depth") or (is_huge and _is_too_deep(page)):
        raise CorruptDocument(
            f"{name}: its elements are nested more than {DEEPEST_ELEMENTS} deep. Simplify the page, or save it as text."
        )
    if said:  # the parser stops there, and the rest of the page would be missing without a word
        raise CorruptDocument(f"{name}: can't be read to its end ({said}). Simplify the page, or save it as text.")
    if "&#" in source:  # the parser resolves references to control characters, but takes none of them back
        for element in page.iter():
            for text, part in ((element.text, "text"), (element.tail, "tail")):
                if text and (cleaned := clean(text)) != text:
                    setattr(element, part, cleaned)
    return page


def _parsed(source: bytes, *, huge: bool) -> tuple[Any, str]:
    """The root element, and what the parser says of why it stopped before the end, "" where it did not.

    `huge` lifts its limits, that of 255 levels included.
    """
    parser = lxml.html.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=huge, remove_comments=True, remove_pis=True
    )
    page = lxml.html.document_fromstring(source, parser=parser)
    stopped = any(entry.level_name == "FATAL" for entry in parser.error_log)
    return page, parser.error_log.last_error.message.strip() if stopped else ""


def _is_too_deep(page: Any) -> bool:
    depth = 0
    for event, _ in lxml.etree.iterwalk(page, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > DEEPEST_ELEMENTS:
            return True
    return False


def _drop_surroundings(page: Any) -> None:
    """Takes out what is no text, and navigation; switchers between languages too, and links that only mark headings."""
    dropped = [*page.iter(*_DROPPED), *page.xpath("//*[@role='navigation']"), *page.xpath("//li[a/@hreflang]")]
    anchors = page.xpath(
        "//a[ancestor::h1 or ancestor::h2 or ancestor::h3 or ancestor::h4 or ancestor::h5 or ancestor::h6]"
    )
    dropped += [anchor for anchor in anchors if not "".join(anchor.itertext()).strip(_ANCHOR_SIGNS)]
    for element in dropped:
        if element.getparent() is not None:
            element.drop_tree()


def _main_part(page: Any) -> Any:
    """`<main>` or the only `<article>` where it has text, else the body without its header and footer."""
    mains = page.xpath("//main | //*[@role='main']")
    articles = page.xpath("//article")
    for candidate in (*mains[:1], *(articles if len(articles) == 1 else ())):
        if "".join(candidate.itertext()).strip():
            return candidate
    for element in page.xpath(f"//*[({_AROUND}) and not(ancestor::main or ancestor::article)]"):
        if element.getparent() is not None:
            element.drop_tree()
    body = page.find("body")
    return page if body is None else body


class _Writer:
    """Walks elements and collects blocks. Elements are at most 255 deep (the parser's limit), so recursion is safe."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._inline: list[str] = []
        self._depth = 0  # of nested lists
        self._marker = ""  # of the list item that begins

    def walk(self, element: Any) -> None:
        tag = element.tag
        if tag in _HEADINGS:
            self._add(Block(_flat(element), level=_HEADINGS[tag]))
        elif tag == "pre":
            self._add(Block(fence(_spaced(element).replace(_BREAK, "\n")) if _flat(element) else ""))
        elif tag == "table" and _holds_data(element):
            for caption in element.iterchildren("caption"):
                self._add(Block(_flat(caption)))
            self._add(Block(table(filled(_row(group, row) for group, row in _rows(element)))))
        elif tag in ("ul", "ol"):
            self._list(element)
        elif tag == "br":
            self._inline.append(_BREAK)
        elif tag in _BLOCKS:
            self.flush()
            self._children(element)
            self.flush()
        else:
            self._children(element)

    def flush(self) -> None:
        """Ends the paragraph: white space collapses, `<br>` becomes a line end, a list item gets its marker."""
        lines = [" ".join(line.split()) for line in "".join(self._inline).split(_BREAK)]
        self._inline.clear()
        text = "\n".join(line for line in lines if line)
        if not text:
            return
        indent = "  " * self._depth
        if self._depth:
            first = self._marker or indent
            text = first + text.replace("\n", "\n" + indent)
            self._marker = ""
        self.blocks.append(Block(text, tight=bool(self._depth)))

    def _add(self, block: Block) -> None:
        self.flush()
        self.blocks.append(block)

    def _children(self, element: Any) -> None:
        self._inline.append(element.text or "")
        for child in element:
            self.walk(child)
            self._inline.append(child.tail or "")

    def _list(self, element: Any) -> None:
        self.flush()
        numbers = ListNumbers(element)
        for child in element:
            if child.tag == "li":
                self._marker = "  " * self._depth + numbers.next(child)
            self._depth += 1
            self.walk(child)
            self.flush()
            self._depth -= 1


def _spaced(element: Any) -> str:
    """All text below `element`, with a break after each block and for each `<br>`."""
    parts = []
    for event, node in lxml.etree.iterwalk(element, events=("start", "end")):
        if event == "start":
            parts.append(node.text or "")
        elif node is not element:
            parts.append(_BREAK if node.tag in _BLOCKS or node.tag == "br" else "")
            parts.append(node.tail or "")
    return "".join(parts)


def _flat(element: Any) -> str:
    return " ".join(_spaced(element).split())


def _rows(element: Any) -> Iterator[tuple[int, Any]]:
    """The rows of a table, each with the number of its group, without those of tables in its cells."""
    for number, child in enumerate(element.iterchildren("tr", "thead", "tbody", "tfoot"), start=1):
        if child.tag == "tr":
            yield 0, child
        else:
            yield from ((number, row) for row in child.iterchildren("tr"))


def _holds_data(element: Any) -> bool:
    """Whether a table is one of data: those with headings or a single column only lay out the page, and those with
    tables in them, unless they have header cells."""
    if next(element.iter("pre", *_HEADINGS), None) is not None:
        return False
    rows = [row for _, row in _rows(element)]
    if element.find(".//table") is not None and not any(row.find("th") is not None for row in rows):
        return False
    return any(sum(span(cell.get("colspan")) for cell in row.iterchildren("td", "th")) > 1 for row in rows)


def _row(group: int, row: Any) -> Row:
    elements = list(row.iterchildren("td", "th"))
    cells = [Cell(_flat(its), span(its.get("colspan")), span(its.get("rowspan"))) for its in elements]
    is_header = row.getparent().tag == "thead" or all(its.tag == "th" for its in elements)
    return Row(cells, group, is_header and bool(elements))
