"""PDF by PDFium: each page in reading order with its tables, scanned pages by OCR; what is hidden is told apart."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pypdfium2 as pdfium

from ingest.config import ExtractionSettings
from ingest.errors import EmptyDocument, LimitExceeded
from ingest.loaders.blocks import under_title
from ingest.loaders.ocr import MAX_SIDE, Ocr, OcrFailed, Recogniser, pgm
from ingest.loaders.pdf_files import attachments, bookmarks, corrupt, one_line, open_pdf, with_fields
from ingest.loaders.pdf_headings import Bookmark, Placed, below_title, by_bookmarks, by_looks
from ingest.loaders.pdf_pages import read_page
from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Attachment, Extracted, Hidden, Page

# PDFium keeps state in the process and must not be entered by two threads at once.
_PDFIUM = threading.Lock()
_BETWEEN_PAGES = "\n\n"
_SCAN_SCALE = 300 / 72  # pixels a point
_MIN_BOOKMARKS = 2
_NUMBERS_NAMED = 10
# What programs write into the title when nobody chose one: "Microsoft Word - a.doc", "report.indd", "Untitled".
_PLACEHOLDER_TITLE = re.compile(
    r"\(?anonymous\)?|untitled.*|(document|book|presentation|slide)\s*\d*|microsoft \w+ - .*"
    r"|.*\.(docx?|pptx?|xlsx?|odt|rtf|txt|pdf|tex|dvi|indd|qxd|pub)",
    re.I,
)


def load(data: bytes, name: str, reading: Reading, ocr: Ocr | None = None) -> Extracted:
    """The pages' texts with a blank line between; headings are the bookmarks, else found by their looks.

    Tables are Markdown. Pages without text are read by OCR (`ocr`: tesseract if None). A page that can't be read is
    empty, and a note names it.

    Raises EncryptedDocument, CorruptDocument where no page can be read, LimitExceeded, NeedsOcr where there are only
    scans and no OCR, and EmptyDocument without any text.
    """
    with _PDFIUM:
        document = open_pdf(data, name, reading)
    try:
        read = _Reader(document, name, reading, Recogniser(name, reading.limits, ocr))
        read.pages()
        with _PDFIUM:
            read.rest()
    finally:
        with _PDFIUM:
            document.close()
    return read.extracted()


@dataclass(slots=True)
class _Failures:
    """Numbers of the pages that have no text, and why."""

    damaged: list[int] = field(default_factory=list)
    scans: list[int] = field(default_factory=list)  # left out for want of OCR
    ocr: list[tuple[int, str]] = field(default_factory=list)

    def notes(self, why_no_ocr: str | None) -> list[str]:
        found = []
        if self.damaged:
            found.append(f"{_numbered(self.damaged)} could not be read: damaged")
        if self.scans:
            found.append(f"{_numbered(self.scans)} left out: only pictures of text, and {why_no_ocr}")
        for why in dict.fromkeys(why for _, why in self.ocr):
            numbers = [number for number, its in self.ocr if its == why]
            found.append(f"{_numbered(numbers)} could not be read: {why}")
        return found


class _Reader:
    """Reads one open document."""

    def __init__(self, document: Any, name: str, reading: Reading, recogniser: Recogniser) -> None:
        self._document, self._name, self._reading, self._recogniser = document, name, reading, recogniser
        self._pages: list[list[Paragraph]] = []
        self._hidden: list[Hidden] = []
        self._failures = _Failures()
        self._notes: list[str] = []
        self._bookmarks: list[Bookmark] = []
        self._attachments: list[Attachment] = []
        self._stated = ""
        self._characters = 0

    def pages(self) -> None:
        """Reads all pages; PDFium is left to other threads while OCR runs. Raises LimitExceeded, CorruptDocument."""
        count = len(self._document)
        for index in range(count):
            with _PDFIUM:
                picture = self._page(index)
            if picture is not None:
                self._recognise(index, picture)
        if len(self._failures.damaged) == count:
            raise corrupt(self._name)

    def _page(self, index: int) -> bytes | None:
        """Reads the text layer; returns a picture of the page where it has none and OCR may read it."""
        try:
            page = with_fields(self._document, index, self._document[index])
        except pdfium.PdfiumError:
            self._failures.damaged.append(index + 1)
            self._pages.append([])
            return None
        try:
            read = read_page(page, lambda: self._document[index])
            self._pages.append(read.paragraphs)
            self._hidden += [Hidden(how, clean(text), page=index + 1) for how, text in read.hidden]
            self._count(read.paragraphs)
            limit = self._reading.limits.max_megapixels
            if not read.is_scan:
                return None
            if read.megapixels > limit:
                why = f"a picture on it has {read.megapixels:.1f} megapixels, the limit is {limit:g}"
                self._failures.ocr.append((index + 1, f"{why} (`ingest.extraction.max_megapixels`)"))
                return None
            if self._recogniser.why_not:
                self._failures.scans.append(index + 1)
                return None
            return _picture(page, self._reading.limits)
        except pdfium.PdfiumError:
            self._failures.damaged.append(index + 1)
            self._pages[index:] = [[]]
            return None
        finally:
            page.close()

    def _count(self, paragraphs: Sequence[Paragraph]) -> None:
        """Stops at the limit of the text: a small file can show one text on thousands of pages."""
        self._characters += sum(len(paragraph.text) for paragraph in paragraphs)
        if self._characters > self._reading.max_text_bytes:
            raise LimitExceeded(
                f"{self._name}: its text has more than {self._reading.max_text_mib:g} MiB, the limit. "
                "Split the file, or raise `ingest.max_text_mib`."
            )

    def _recognise(self, index: int, picture: bytes) -> None:
        try:
            text = self._recogniser.read(picture)
        except OcrFailed as error:
            self._failures.ocr.append((index + 1, str(error)))
            return
        if text:
            # Its sizes are not known, so that it has no headings.
            blocks = [block for block in text.split("\n\n") if block.strip()]
            self._pages[index] = [Paragraph(block, 0.0, False, 1, (0, 0, 0, 0)) for block in blocks]

    def rest(self) -> None:
        """Reads bookmarks, title and attachments. Raises LimitExceeded."""
        self._bookmarks = list(bookmarks(self._document))
        stated = one_line(lambda: str(self._document.get_metadata_value("Title")))
        self._stated = "" if _PLACEHOLDER_TITLE.fullmatch(stated) else stated
        self._attachments = attachments(self._document, self._name, self._reading, self._notes)

    def extracted(self) -> Extracted:
        """What was read. Raises NeedsOcr, EmptyDocument."""
        texts: list[str] = []
        pages: list[Page] = []
        placed: list[Placed] = []
        offset = 0
        for number, paragraphs in enumerate(self._pages, start=1):
            pages.append(Page(number=number, start=offset))
            text, inner = _text(paragraphs, number - 1, offset)
            placed += inner
            texts.append(text)
            offset += len(text) + len(_BETWEEN_PAGES)
        if not any(texts) and not self._attachments:
            self._refuse()
        headings = by_bookmarks(self._bookmarks, texts, pages)
        if len(headings) < _MIN_BOOKMARKS:  # a single one is the document's title
            headings = below_title(by_looks(placed), self._stated) or headings
        return Extracted(
            text=_BETWEEN_PAGES.join(texts),
            title=self._stated or stem(self._name),
            media_type="application/pdf",
            headings=under_title(headings, self._stated or None),
            pages=tuple(pages),
            hidden=tuple(self._hidden),
            notes=(*self._failures.notes(self._recogniser.why_not if self._failures.scans else None), *self._notes),
            attachments=tuple(self._attachments),
        )

    def _refuse(self) -> None:
        if self._failures.scans:
            raise self._recogniser.refusal()
        if self._failures.ocr:
            number, why = self._failures.ocr[0]
            raise LimitExceeded(
                f"{self._name}: page {number} could not be read: {why}. "
                "Split the file, make its pictures smaller, or raise the limit."
            )
        hidden = ", all of it hidden" if self._hidden else ""
        raise EmptyDocument(
            f"{self._name}: no text on any of its pages ({len(self._pages)}){hidden}. Upload a file with text in it."
        )


def _text(paragraphs: Sequence[Paragraph], index: int, offset: int) -> tuple[str, list[Placed]]:
    """The text of a page, and where its paragraphs stand in the document's."""
    parts: list[str] = []
    placed: list[Placed] = []
    length = 0
    for paragraph in paragraphs:
        text = clean(paragraph.text).strip()
        if not text:
            continue
        if parts:
            between = "\n" if paragraph.tight else "\n\n"
            parts.append(between)
            length += len(between)
        paragraph.text = text
        placed.append(Placed(offset + length, index, paragraph))
        parts.append(text)
        length += len(text)
    return "".join(parts), placed


def _picture(page: Any, limits: ExtractionSettings) -> bytes:
    """The page as OCR reads it best, within limits whatever its size."""
    width, height = page.get_size()
    longest, area = max(width, height, 1.0), max(width * height, 1.0)
    scale = min(_SCAN_SCALE, MAX_SIDE / longest, (limits.max_megapixels * 1e6 / area) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    pixels = np.ascontiguousarray(bitmap.to_numpy()[:, :, 0] if bitmap.to_numpy().ndim == 3 else bitmap.to_numpy())
    found = pgm(pixels.tobytes(), pixels.shape[1], pixels.shape[0])
    bitmap.close()
    return found


def _numbered(numbers: Sequence[int]) -> str:
    """ "page 3", or "pages 3, 5, 7 and 40 more"."""
    named = ", ".join(map(str, numbers[:_NUMBERS_NAMED]))
    more = len(numbers) - _NUMBERS_NAMED
    return f"page{'s' if len(numbers) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")
