"""ODT, ODS and ODP by lxml: OpenDocument texts, spreadsheets and presentations.

odfpy and odfdo give the elements as they are; the walk over them would be the same.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from ingest.errors import CorruptDocument, LimitExceeded, RefusedDocument, UnsupportedFormat
from ingest.loaders.blocks import Block, join, under_title
from ingest.loaders.compound import SIGNATURE, embedded_object
from ingest.loaders.odf_package import OdfPackage, open_odf
from ingest.loaders.odf_sheets import read_sheets
from ingest.loaders.odf_styles import WHITE, OdfStyles
from ingest.loaders.odf_text import DRAW, HREF, OFFICE, OdfWriter
from ingest.loaders.ooxml import local
from ingest.loaders.raised import settled
from ingest.loaders.reading import Reading
from ingest.loaders.sheets import blocks as sheet_blocks
from ingest.loaders.sheets import hidden as sheet_hidden
from ingest.loaders.text import clean, stem
from ingest.types import Attachment, Extracted, Heading, Hidden, Page

_MEDIA_TYPES = {
    "text": "application/vnd.oasis.opendocument.text",
    "spreadsheet": "application/vnd.oasis.opendocument.spreadsheet",
    "presentation": "application/vnd.oasis.opendocument.presentation",
    "drawing": "application/vnd.oasis.opendocument.graphics",
}
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_BETWEEN_SLIDES = "\n\n"
_OLE = (DRAW + "object-ole", DRAW + "object")


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Texts by their headings, sheets as sections with tables, slides as sections on the page of their number.

    Raises EncryptedDocument, CorruptDocument, UnsupportedFormat for what is none of these, LimitExceeded.
    """
    package = open_odf(data, name, reading)
    content = package.xml("content.xml")
    body = None if content is None else content.find(OFFICE + "body")
    if body is None or len(body) == 0:
        raise CorruptDocument(f"{name}: is no OpenDocument file that can be read: it has no content. Save it again.")
    kind = local(body[0].tag)
    if kind not in _MEDIA_TYPES:
        raise UnsupportedFormat(f"{name}: is an OpenDocument {kind}. Save it as .odt or .pdf and upload it again.")
    styles = OdfStyles(package.xml("styles.xml"), content)
    title = _stated_title(package)
    document = _Document(package, styles, title)
    if kind == "spreadsheet":
        document.add_sheets(body[0])
    elif kind == "text":
        document.add_text(body[0])
    else:
        document.add_slides(body[0])
    attachments, notes = _embedded_files(package, body)
    first = next((heading.title for heading in document.headings), "")
    return Extracted(
        text=document.text,
        title=title or ("" if kind == "spreadsheet" else first) or stem(name),
        media_type=_MEDIA_TYPES[kind],
        headings=under_title(tuple(document.headings), title),
        pages=tuple(document.pages),
        hidden=tuple(document.hidden),
        notes=tuple(notes),
        attachments=tuple(attachments),
    )


class _Document:
    """What was read of one document."""

    def __init__(self, package: OdfPackage, styles: OdfStyles, title: str) -> None:
        self.text = ""
        self.headings: list[Heading] = []
        self.pages: list[Page] = []
        self.hidden: list[Hidden] = []
        self._package, self._styles = package, styles
        self._level = 2 if title else 1  # of slides and sheets
        self._length = 0  # of the slides so far
        self._shown: set[str] = set()  # objects within the document: a hostile one could show one a million times

    def add_text(self, body: Any) -> None:
        """All blocks; below a title, headings move down by one level. Comments come last."""
        writer = self._writer()
        blocks = list(writer.walk(body))
        titled = any(block.level == 0 for block in blocks)
        shift = 1 if titled else 0
        blocks = [block if block.level is None else Block(block.text, max(1, block.level + shift)) for block in blocks]
        self.text, headings = join([*blocks, *_comment_blocks(writer.comments, 1 + shift)])
        self.headings = list(headings)
        self.hidden = _hidden(writer, None)

    def add_sheets(self, body: Any) -> None:
        sheets = read_sheets(body, self._styles)
        self.text, headings = join(sheet_blocks(sheets, self._level))
        self.headings = list(headings)
        self.hidden = list(sheet_hidden(sheets))

    def add_slides(self, body: Any) -> None:
        slides = list(body.iterchildren(DRAW + "page"))
        limit = self._package.reading.limits.max_pages
        if len(slides) > limit:
            raise LimitExceeded(
                f"{self._package.name}: has {len(slides)} slides, the limit is {limit}. "
                "Split it, or raise `ingest.extraction.max_pages`."
            )
        texts: list[str] = []
        comments: list[str] = []
        for number, slide in enumerate(slides, start=1):
            writer = self._writer()
            blocks = list(self._slide(slide, writer))
            comments += [f"Slide {number}: {comment}" for comment in writer.comments]
            self.hidden += _hidden(writer, number)
            if self._styles.not_shown("drawing-page", slide.get(DRAW + "style-name")):
                self.hidden.append(Hidden("part", join(blocks)[0], number))
            else:
                self._add(texts, blocks, number)
        if comments:
            self._add(texts, list(_comment_blocks(comments, self._level)), None)
        self.text = _BETWEEN_SLIDES.join(texts)

    def _add(self, texts: list[str], blocks: list[Block], number: int | None) -> None:
        """The next slide. One without a title is headed by its number, so that no other's title stands for it."""
        text, headings = join(blocks)
        if not text:
            return
        start = self._length
        if not headings or headings[0].start > 0:
            self.headings.append(Heading(start, self._level, f"Slide {number}"))
        self.headings += [Heading(its.start + start, its.level, its.title) for its in headings]
        self.pages.append(Page(number, start))
        texts.append(text)
        self._length += len(text) + len(_BETWEEN_SLIDES)

    def _slide(self, slide: Any, writer: OdfWriter) -> Iterator[Block]:
        frames = [child for child in slide if local(child.tag) != "notes"]
        for frame in sorted(frames, key=lambda its: its.get(_PRESENTATION + "class") != "title"):
            if frame.get(_PRESENTATION + "class") == "title":
                lines = [block.text for block in writer.walk([frame], None)]
                yield Block(" ".join(" ".join(lines).split()), level=self._level)
            else:
                yield from writer.walk([frame], None)
        for notes in slide.iterchildren(_PRESENTATION + "notes"):
            frames = [its for its in notes if its.get(_PRESENTATION + "class") == "notes"]
            found = [block for block in writer.walk(frames, WHITE) if block.text]
            if found:
                yield Block("Notes", level=self._level + 1)
                yield from found

    def _writer(self) -> OdfWriter:
        return OdfWriter(self._styles, self._embedded)

    def _embedded(self, href: str) -> Iterator[Block]:
        """What an object within the document shows: a formula or a chart. Others are attachments or left out."""
        folder = posixpath.normpath(href).lstrip("./")
        if folder in self._shown:
            return
        self._shown.add(folder)
        try:
            root = self._package.xml(f"{folder}/content.xml")
        except RefusedDocument:  # a damaged object is no reason to refuse the text around it
            return
        if root is None:
            return
        if local(root.tag) == "math":
            written = next((its.text for its in root.iter("{*}annotation") if its.text), None)
            yield Block(clean(written or "".join(root.itertext())))
            return
        body = root.find(OFFICE + "body")
        if body is not None:
            yield from OdfWriter(OdfStyles(root), lambda _: iter(())).walk(body)


def _stated_title(package: OdfPackage) -> str:
    root = package.xml("meta.xml")
    title = None if root is None else next(root.iter(_TITLE), None)
    return "" if title is None else " ".join(clean(title.text or "").split())


def _hidden(writer: OdfWriter, page: int | None) -> list[Hidden]:
    return [Hidden(how, settled(clean(text)), page) for how, text in writer.hidden if text.strip()]


def _comment_blocks(comments: list[str], level: int) -> Iterator[Block]:
    if comments:
        yield Block("Comments", level=level)
        yield from (Block(f"- {comment}", tight=True) for comment in comments)


def _embedded_files(package: OdfPackage, body: Any) -> tuple[list[Attachment], list[str]]:
    """Objects of other programs, and a sentence for each that can't be taken out."""
    found, notes = [], []
    references = (element.get(HREF) or "" for element in body.iter(*_OLE))
    for path in dict.fromkeys(posixpath.normpath(reference).lstrip("./") for reference in references):
        if path not in package:
            continue
        try:
            data = package.part(path)
            attachment = embedded_object(data, path) if data.startswith(SIGNATURE) else None
        except RefusedDocument:
            attachment = None
        if attachment is None:
            notes.append(f"The embedded object {path} could not be read")
        else:
            found.append(attachment)
    return found, notes
