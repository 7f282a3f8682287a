"""PDF by PDFium: the text layer page by page. Pages without one need OCR, which is not built yet."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ingest.errors import CorruptDocument, EmptyDocument, EncryptedDocument
from ingest.loaders.blocks import under_title
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Heading, Page

# PDFium keeps state in the process and must not be entered by two threads at once.
_PDFIUM = threading.Lock()
_BETWEEN_PAGES = "\n\n"
# What programs write into the title when nobody chose one: "Microsoft Word - a.doc", "report.indd", "Untitled".
_PLACEHOLDER_TITLE = re.compile(
    r"\(?anonymous\)?|untitled.*|(document|book|presentation|slide)\s*\d*|microsoft \w+ - .*"
    r"|.*\.(docx?|pptx?|xlsx?|odt|rtf|txt|pdf|tex|dvi|indd|qxd|pub)",
    re.I,
)

_Bookmark = tuple[int, str, int]  # level from 1, title, index of the page


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The pages' texts with a blank line between, and the bookmarks as headings. A page that can't be read is empty.

    Raises EncryptedDocument, CorruptDocument where no page can be read, and EmptyDocument without a text layer.
    """
    with _PDFIUM:
        texts, bookmarks, stated = _read(data, name)
    if not any(text.strip() for text in texts):
        raise EmptyDocument(
            f"{name}: no text layer on any of its pages ({len(texts)}), so it is probably scanned. "
            "OCR is not built yet: run it through an OCR program and upload the result."
        )
    pages = []
    offset = 0
    for number, text in enumerate(texts, start=1):
        pages.append(Page(number=number, start=offset))
        offset += len(text) + len(_BETWEEN_PAGES)
    return Extracted(
        text=_BETWEEN_PAGES.join(texts),
        title=stated or stem(name),
        media_type="application/pdf",
        headings=under_title(_headings(bookmarks, texts, pages), stated),
        pages=tuple(pages),
    )


def _read(data: bytes, name: str) -> tuple[list[str], list[_Bookmark], str | None]:
    """All that PDFium has to tell: text of each page, bookmarks, title."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            raise EncryptedDocument(
                f"{name}: is protected by a password. Remove the password and upload it again."
            ) from error
        raise _corrupt(name) from error
    try:
        texts = [_page_text(document, index) for index in range(len(document))]
        readable = [text for text in texts if text is not None]
        if not readable:
            raise _corrupt(name)
        stated = _title(lambda: document.get_metadata_value("Title"))
        if _PLACEHOLDER_TITLE.fullmatch(stated):
            stated = ""
        return [text or "" for text in texts], list(_bookmarks(document)), stated or None
    finally:
        document.close()


def _page_text(document: pdfium.PdfDocument, index: int) -> str | None:
    """None where the page is damaged: the others are still worth having."""
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return None
    try:
        layer = page.get_textpage()
    except pdfium.PdfiumError:
        page.close()
        return None
    raw = layer.get_text_bounded()
    layer.close()
    page.close()
    # Where a word is hyphenated at the end of a line, PDFium leaves out the line end and puts a control character for
    # the hyphen, so that cleaning joins the word.
    return clean(raw).strip("\n")


def _bookmarks(document: pdfium.PdfDocument) -> Iterable[_Bookmark]:
    for bookmark in document.get_toc():
        destination = bookmark.get_dest()
        index = destination.get_index() if destination is not None else None
        title = _title(bookmark.get_title)
        if title and index is not None and 0 <= index < len(document):
            yield bookmark.level + 1, title, index


def _title(read: Callable[[], str]) -> str:
    """A title on one line, or "" where it is no valid UTF-16: the document is worth having without."""
    try:
        return " ".join(clean(read()).split())
    except UnicodeDecodeError:
        return ""


def _headings(bookmarks: Iterable[_Bookmark], texts: list[str], pages: list[Page]) -> tuple[Heading, ...]:
    """Bookmarks as headings where their title stands on their page, else where the page starts."""
    found = [
        Heading(start=pages[index].start + _place(title, texts[index]), level=level, title=title)
        for level, title, index in bookmarks
    ]
    return tuple(sorted(found, key=lambda heading: heading.start))


def _place(title: str, page: str) -> int:
    """The offset of `title` on its page: as lines of its own (after a number) if possible, else anywhere, else 0."""
    words = r"\s+".join(re.escape(word) for word in title.split())
    match = re.search(rf"^[\d.]*[ \t]*{words}[ \t]*$", page, re.M | re.I) or re.search(words, page)
    return match.start() if match else 0


def _corrupt(name: str) -> CorruptDocument:
    return CorruptDocument(
        f"{name}: is no PDF that can be read: damaged or cut off. Upload it again, or print it to PDF once more."
    )
