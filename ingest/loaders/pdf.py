"""PDF by PDFium: each page in reading order with its tables, scanned pages by OCR; what is hidden is told apart."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2 as pdfium

from ingest.errors import EmptyDocument, LimitExceeded
from ingest.loaders.blocks import under_title
from ingest.loaders.ocr import Ocr, OcrFailed, Recogniser
from ingest.loaders.pdf_files import attachments, bookmarks, corrupt, one_line, open_pdf, with_fields
from ingest.loaders.pdf_furniture import without_furniture
from ingest.loaders.pdf_headings import Bookmark, Placed, below_title, by_bookmarks, by_looks
from ingest.loaders.pdf_hyphens import mended
from ingest.loaders.pdf_pages import ReadPage, read_page
from ingest.loaders.pdf_paragraphs import Paragraph
from ingest.loaders.pdf_pictures import is_worth_having, parts, whole
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Attachment, Extracted, Hidden, Page

# PDFium keeps state in the process and must not be entered by two threads at once.
_PDFIUM = threading.Lock()
_BETWEEN_PAGES = "\n\n"
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

    Tables are Markdown. Pages without text are read by OCR (`ocr`: tesseract if None), and so are large pictures on
    others that no text stands over. A page that can't be read is empty, and a note names it.

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
    """Numbers of the pages that have no text or pictures that were not read, and why."""

    damaged: list[int] = field(default_factory=list)
    scans: list[int] = field(default_factory=list)  # left out for want of OCR
    ocr: list[tuple[int, str]] = field(default_factory=list)
    mostly_pictures: list[int] = field(default_factory=list)  # not read for want of OCR
    with_pictures: list[int] = field(default_factory=list)  # the same where they are smaller
    pictures: list[tuple[int, str]] = field(default_factory=list)

    def notes(self, why_no_ocr: Callable[[], str | None]) -> list[str]:
        found = []
        if self.damaged:
            found.append(f"{_numbered(self.damaged)} could not be read: damaged")
        if self.scans:
            found.append(f"{_numbered(self.scans)} left out: only pictures of text, and {why_no_ocr()}")
        for numbers, one, several in (
            (self.mostly_pictures, "is mostly a picture; only its", "are mostly pictures; only their"),
            (self.with_pictures, "has a large picture; only its", "have large pictures; only their"),
        ):
            if numbers:
                what = one if len(numbers) == 1 else several
                found.append(f"{_numbered(numbers)} {what} text layer was read: {why_no_ocr()}")
        for failed, what in ((self.ocr, ""), (self.pictures, "pictures on ")):
            for why in dict.fromkeys(why for _, why in failed):
                numbers = [number for number, its in failed if its == why]
                found.append(f"{what}{_numbered(numbers)} could not be read: {why}")
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
        self._read_before: dict[bytes, str] = {}  # the same background on each page is read once

    def pages(self) -> None:
        """Reads all pages; PDFium is left to other threads while OCR runs. Raises LimitExceeded, CorruptDocument."""
        count = len(self._document)
        for index in range(count):
            with _PDFIUM:
                pictures = self._page(index)
            for place, picture in pictures:
                self._recognise(index, place, picture)
        if len(self._failures.damaged) == count:
            raise corrupt(self._name)

    def _page(self, index: int) -> list[tuple[Paragraph | None, bytes]]:
        """Reads the text layer. Returns what OCR is to read: the page where that has none, else pictures on it, with
        the paragraph that has their place.
        """
        try:
            page = with_fields(self._document, index, self._document[index])
        except pdfium.PdfiumError:
            self._failures.damaged.append(index + 1)
            self._pages.append([])
            return []
        try:
            read = read_page(page, lambda: self._document[index])
            self._pages.append(read.paragraphs)
            self._hidden += [Hidden(how, clean(text), page=index + 1) for how, text in read.hidden]
            self._count(read.paragraphs)
            return self._pictures(index, page, read)
        except pdfium.PdfiumError:
            self._failures.damaged.append(index + 1)
            self._pages[index:] = [[]]
            return []
        finally:
            page.close()

    def _pictures(self, index: int, page: Any, read: ReadPage) -> list[tuple[Paragraph | None, bytes]]:
        limits = self._reading.limits
        places = [(its, its.picture) for its in read.paragraphs if its.picture]
        if not read.is_scan and not places:
            return []
        if read.megapixels > limits.max_megapixels:
            why = f"a picture on it has {read.megapixels:.1f} megapixels, the limit is {limits.max_megapixels:g}"
            failed = self._failures.ocr if read.is_scan else self._failures.pictures
            failed.append((index + 1, f"{why} (`ingest.extraction.max_megapixels`)"))
            return []
        if self._recogniser.why_not:
            large = self._failures.mostly_pictures if read.is_mostly_picture else self._failures.with_pictures
            (self._failures.scans if read.is_scan else large).append(index + 1)
            return []
        if read.is_scan:
            return [(None, whole(page, limits))]
        shown = parts(page, [box for _, box in places], limits)
        return [(place, picture) for (place, _), picture in zip(places, shown, strict=True) if picture]

    def _count(self, paragraphs: Sequence[Paragraph]) -> None:
        """Stops at the limit of the text: a small file can show one text on thousands of pages."""
        self._characters += sum(len(paragraph.text) for paragraph in paragraphs)
        if self._characters > self._reading.max_text_bytes:
            raise LimitExceeded(
                f"{self._name}: its text has more than {self._reading.max_text_mib:g} MiB, the limit. "
                "Split the file, or raise `ingest.max_text_mib`."
            )

    def _recognise(self, index: int, place: Paragraph | None, picture: bytes) -> None:
        """Reads a picture: the page, or what stands in the place of a paragraph."""
        try:
            text = self._read_before.get(key := hashlib.sha256(picture).digest())
            if text is None:
                text = self._read_before[key] = self._recogniser.read(picture)
        except OcrFailed as error:
            (self._failures.pictures if place else self._failures.ocr).append((index + 1, str(error)))
            return
        if place and not is_worth_having(text):
            return
        # Its sizes are not known, so that it has no headings.
        blocks = [block for block in text.split("\n\n") if block.strip()]
        found = [Paragraph(block, 0.0, False, 1, (0, 0, 0, 0)) for block in blocks]
        page = self._pages[index]
        at = next((at for at, its in enumerate(page) if its is place), 0)
        page[at : at + 1 if place else len(page)] = found
        self._count(found)

    def rest(self) -> None:
        """Reads bookmarks, title and attachments. Raises LimitExceeded."""
        self._bookmarks = list(bookmarks(self._document))
        stated = one_line(lambda: str(self._document.get_metadata_value("Title")))
        self._stated = "" if _PLACEHOLDER_TITLE.fullmatch(stated) else stated
        self._attachments = attachments(self._document, self._name, self._reading, self._notes)

    def extracted(self) -> Extracted:
        """What was read. Raises NeedsOcr, EmptyDocument."""
        self._pages = without_furniture(self._pages)
        every = [paragraph for page in self._pages for paragraph in page]
        for paragraph, whole_words in zip(every, mended([its.text for its in every]), strict=True):
            paragraph.text = whole_words
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
            notes=(*self._failures.notes(lambda: self._recogniser.why_not), *self._notes),
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


def _numbered(numbers: Sequence[int]) -> str:
    """ "page 3", or "pages 3, 5, 7 and 40 more"."""
    named = ", ".join(map(str, numbers[:_NUMBERS_NAMED]))
    more = len(numbers) - _NUMBERS_NAMED
    return f"page{'s' if len(numbers) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")
