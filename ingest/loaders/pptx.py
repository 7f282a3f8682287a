"""PPTX by python-pptx: the texts of each slide in their order, with tables, charts, diagrams, notes and comments."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pptx.package

from ingest.errors import CorruptDocument, LimitExceeded, RefusedDocument
from ingest.loaders.blocks import Block, join, repeated, table, under_title
from ingest.loaders.charts import chart_blocks
from ingest.loaders.ooxml import embedded_files, local, refuse_strict, relationships, stated_title
from ingest.loaders.packages import open_package, parse_xml, part, refuse_entities_in
from ingest.loaders.pptx_looks import Backdrop
from ingest.loaders.raised import raised, settled
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Heading, Hidden, Page

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_BETWEEN_SLIDES = "\n\n"
_BODY = ("body", "obj", None)  # kinds of placeholders whose paragraphs are a list
_ONCE = ("dt", "ftr", "hdr")  # what stands on each slide is read once
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
_CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_DEEPEST_LIST = 8
_MOST_BELOW = 200
_PLACEHOLDER_TITLES = ("powerpoint presentation", "powerpoint-präsentation", "présentation powerpoint", "slide 1")


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Each slide as a section headed by its title, on the page of its number; comments in a section at the end.

    Raises CorruptDocument, UnsupportedFormat for strict documents, LimitExceeded for too many slides.
    """
    package = open_package(data, name, reading)
    refuse_strict(package, name)
    refuse_entities_in(package, name)
    title = stated_title(package, name)
    title = "" if title.lower() in _PLACEHOLDER_TITLES else title
    try:
        presentation = pptx.package.Package.open(io.BytesIO(data)).main_document_part.presentation
        slides = list({slide.part.partname: slide for slide in presentation.slides}.values())
        if len(slides) > reading.limits.max_pages:
            raise LimitExceeded(
                f"{name}: has {len(slides)} slides, the limit is {reading.limits.max_pages}. "
                "Split it, or raise `ingest.extraction.max_pages`."
            )
        deck = _Deck(package, name, presentation)
        for number, slide in enumerate(slides, start=1):
            deck.add(number, slide, level=2 if title else 1)
    except RefusedDocument:
        raise
    except Exception as error:  # python-pptx checks nothing: broken XML surfaces as any of a dozen built-in errors
        if isinstance(error, MemoryError):
            raise
        raise CorruptDocument(
            f"{name}: is no presentation that can be read ({type(error).__name__}). Save it again as .pptx."
        ) from error
    deck.add_comments(level=2 if title else 1)
    attachments, notes = embedded_files(package, name)
    first = next((heading.title for heading in deck.headings), "")
    return Extracted(
        text=_BETWEEN_SLIDES.join(deck.texts),
        title=title or first or stem(name),
        media_type=MEDIA_TYPE,
        headings=under_title(tuple(deck.headings), title),
        pages=tuple(deck.pages),
        hidden=tuple(deck.hidden),
        notes=tuple(notes),
        attachments=tuple(attachments),
    )


class _Deck:
    """The slides that were read so far, as one text."""

    def __init__(self, package: zipfile.ZipFile, name: str, presentation: Any) -> None:
        self.texts: list[str] = []
        self.headings: list[Heading] = []
        self.pages: list[Page] = []
        self.hidden: list[Hidden] = []
        self._package, self._name = package, name
        self._size = int(presentation.slide_width or 0), int(presentation.slide_height or 0)
        self._seen: set[str] = set()
        self._comments: list[str] = []
        self._length = 0

    def add(self, number: int, slide: Any, level: int) -> None:
        reader = _Slide(slide, self._size, level, self._seen)
        blocks = list(reader.blocks())
        if slide._element.get("show") in ("0", "false"):
            text, _ = join(blocks)
            self.hidden.append(Hidden("part", text, number))
        else:
            self._put(blocks, Page(number, self._length), Heading(self._length, level, f"Slide {number}"))
        self.hidden += [Hidden(how, settled(clean(text)), number) for how, text in reader.hidden if text.strip()]
        for its in relationships(self._package, slide.part.partname.lstrip("/"), self._name):
            if its.kind == "comments":
                root = parse_xml(part(self._package, its.target, self._name), self._name)
                self._comments += [f"- Slide {number}: {text}" for text in _comments(root)]

    def add_comments(self, level: int) -> None:
        if self._comments:
            comments = [Block(text, tight=True) for text in self._comments]
            self._put([Block("Comments", level=level), *comments], Page(None, self._length), None)

    def _put(self, blocks: list[Block], page: Page, untitled: Heading | None) -> None:
        """The next text. A slide without a title is headed by its number, so that no other's title stands for it."""
        text, headings = join(blocks)
        if not text:
            return
        if untitled is not None and (not headings or headings[0].start > 0):
            self.headings.append(untitled)
        self.headings += [Heading(its.start + self._length, its.level, its.title) for its in headings]
        self.pages.append(page)
        self.texts.append(text)
        self._length += len(text) + len(_BETWEEN_SLIDES)


class _Slide:
    """One slide: its blocks, and what is hidden on it."""

    def __init__(self, slide: Any, size: tuple[int, int], level: int, seen: set[str]) -> None:
        self._slide = slide
        self._backdrop = Backdrop(slide, *size)
        self._level = level
        self._title = slide.shapes.title
        self._drawn: set[str] = set()  # charts and diagrams
        self._seen = seen  # date and footer texts of the slides before
        self.hidden: list[tuple[str, str]] = []

    def blocks(self) -> Iterator[Block]:
        shapes = list(self._slide.shapes)
        order = sorted(range(len(shapes)), key=lambda index: not self._is_title(shapes[index]))
        for index in order:
            if self._backdrop.outside(shapes[index]):
                self.hidden += [("off-page", block.text) for block in self._shape(shapes[index], None)]
            else:
                # Where very many shapes lie under one, nobody looks for what is behind it.
                above = shapes[index + 1 : index + 1 + _MOST_BELOW]
                how = self._backdrop.hides_box(shapes[index], above) if shapes[index].has_text_frame else None
                blocks = self._shape(shapes[index], shapes[:index] if index <= _MOST_BELOW else None)
                if how:
                    self.hidden += [(how, block.text) for block in blocks]
                else:
                    yield from blocks
        if self._slide.has_notes_slide and self._slide.notes_slide.notes_text_frame is not None:
            notes = self._slide.notes_slide.notes_text_frame.text.replace("\v", "\n")
            if notes.strip():
                yield Block("Notes", level=self._level + 1)
                yield Block(notes)

    def _shape(self, shape: Any, below: list[Any] | None) -> Iterator[Block]:
        """The blocks of a shape; `below` are the shapes under it, None where that is not known."""
        element = shape._element
        named = next(element.iter("{*}cNvPr"), None)
        if named is not None and named.get("hidden") in ("1", "true"):
            named.set("hidden", "0")
            self.hidden += [("part", block.text) for block in self._shape(shape, None)]
            return
        kind = local(element.tag)
        if kind == "grpSp":
            for child in shape.shapes:
                yield from self._shape(child, None)
        elif kind == "graphicFrame":
            yield from self._graphic(element)
        elif shape.has_text_frame:
            behind = None if below is None else self._backdrop.behind(shape, below)
            yield from self._text(shape, behind)

    def _text(self, shape: Any, behind: str | None) -> Iterator[Block]:
        place = shape._element.find("{*}nvSpPr/{*}nvPr/{*}ph")
        kind = None if place is None else place.get("type")
        paragraphs = [its for its in shape._element.iterfind("{*}txBody/{*}p")]
        lines = [self._line(paragraph, behind) for paragraph in paragraphs]
        if self._is_title(shape):
            yield Block(" ".join(lines), level=self._level)
            return
        if kind == "sldNum" or (kind in _ONCE and not self._new("\n".join(lines))):
            return
        is_body = place is not None and kind in _BODY and sum(bool(line.strip()) for line in lines) > 1
        for paragraph, line in zip(paragraphs, lines, strict=True):
            marker = _marker(paragraph, is_body)
            if line.strip() and marker:
                yield Block(marker + line.strip().replace("\n", " "), tight=True)
            else:
                yield Block(line)

    def _is_title(self, shape: Any) -> bool:
        return self._title is not None and shape._element is self._title._element

    def _new(self, text: str) -> bool:
        """Whether no slide before had this footer."""
        fresh = text not in self._seen
        self._seen.add(text)
        return fresh

    def _line(self, paragraph: Any, behind: str | None) -> str:
        """The paragraph as far as it is seen."""
        parts = []
        for run in paragraph:
            kind = local(run.tag)
            if kind == "br":
                parts.append("\n")
            elif kind in ("r", "fld", "m", "AlternateContent"):
                text = "".join(its.text or "" for its in run.iter("{*}t"))
                how = self._backdrop.hides(run, behind) if text.strip() else None
                if how:
                    self.hidden.append((how, text))
                else:
                    parts.append(raised(text) if _is_raised(run) else text)
        return "".join(parts)

    def _graphic(self, element: Any) -> Iterator[Block]:
        """A table, a chart or a diagram."""
        for grid in element.iter("{*}tbl"):
            yield Block(table(self._rows(grid)))
        for data in element.iter("{*}graphicData"):
            for child in data:
                key = child.get(f"{_RELATION}dm") if data.get("uri") == _DIAGRAM else None
                key = child.get(f"{_RELATION}id") if data.get("uri") == _CHART else key
                if key is None or key in self._drawn or key not in self._slide.part.rels:
                    continue
                self._drawn.add(key)
                root = parse_xml(self._slide.part.related_part(key).blob, "a chart or diagram")
                yield from chart_blocks(root) if data.get("uri") == _CHART else _diagram(root)

    def _rows(self, grid: Any) -> Iterator[list[str]]:
        """The cells of each row. Merged cells repeat their text, as each of their rows and columns has it."""
        above: list[str] = []
        for row in grid.iterfind("{*}tr"):
            cells: list[str] = []
            for column, cell in enumerate(row.iterfind("{*}tc")):
                if cell.get("hMerge") in ("1", "true") and cells:
                    cells.append(repeated(cells[-1]))
                elif cell.get("vMerge") in ("1", "true") and column < len(above):
                    cells.append(repeated(above[column]))
                else:
                    cells.append(" ".join(self._line(its, None) for its in cell.iterfind("{*}txBody/{*}p")))
            yield cells
            above = cells


def _is_raised(run: Any) -> bool:
    properties = run.find("{*}rPr")
    baseline = "" if properties is None else properties.get("baseline") or ""
    return baseline.rstrip("%").replace(".", "").isdecimal() and baseline.strip("0.%") != ""


def _marker(paragraph: Any, is_body: bool) -> str:
    """What stands before a list item; "" for a paragraph that is none."""
    properties = paragraph.find("{*}pPr")
    kinds = set() if properties is None else {local(child.tag) for child in properties}
    if "buNone" in kinds or not (is_body or kinds & {"buChar", "buAutoNum", "buBlip"}):
        return ""
    depth = "" if properties is None else properties.get("lvl") or ""
    return "  " * (min(int(depth), _DEEPEST_LIST) if depth.isdecimal() and len(depth) < 9 else 0) + "- "


def _diagram(root: Any) -> Iterator[Block]:
    """The texts of a diagram (SmartArt), each a list item."""
    for point in root.iter("{*}pt"):
        text = " ".join("".join(its.text or "" for its in point.iter("{*}t")).split())
        if text:
            yield Block(f"- {text}", tight=True)


def _comments(root: Any) -> Iterator[str]:
    """The texts of comments and replies, old and new style."""
    for comment in root.iter("{*}cm", "{*}reply"):
        body = comment.find("{*}txBody")
        pieces = comment.iterfind("{*}text") if body is None else body.iter("{*}t")
        text = " ".join("".join(its.text or "" for its in pieces).split())
        if text:
            yield clean(text)
