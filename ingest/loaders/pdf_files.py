"""PDF files as PDFium opens them: passwords, bookmarks, fields and attachments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded
from ingest.loaders.pdf_headings import Bookmark
from ingest.loaders.pdf_streams import refuse_bombs
from ingest.loaders.reading import MIB, Reading
from ingest.loaders.text import clean
from ingest.types import Attachment

_MAX_BOOKMARKS = 5000
_MAX_TITLE = 300
_ANNOTATIONS = 5000  # of one page
# Annotations whose text stands on the page: fields, free text, stamps.
_SHOWN = frozenset((pdfium_c.FPDF_ANNOT_WIDGET, pdfium_c.FPDF_ANNOT_FREETEXT, pdfium_c.FPDF_ANNOT_STAMP))


def open_pdf(data: bytes, name: str, reading: Reading) -> Any:
    """The document, which must be closed. Raises CorruptDocument, EncryptedDocument, LimitExceeded."""
    refuse_bombs(data, name, reading)
    if "\0" in (reading.password or ""):  # PDFium would stop there
        raise EncryptedDocument(f"{name}: the password can't be a PDF's. Upload it with the right one.")
    try:
        document = pdfium.PdfDocument(data, password=reading.password)
    except pdfium.PdfiumError as error:
        if error.err_code != pdfium_c.FPDF_ERR_PASSWORD:
            raise corrupt(name) from error
        if reading.password is None:
            raise EncryptedDocument(
                f"{name}: is protected by a password. Upload it with the password, or remove that."
            ) from error
        raise EncryptedDocument(f"{name}: the password is not its password. Upload it with the right one.") from error
    except (UnicodeEncodeError, ValueError) as error:
        raise EncryptedDocument(f"{name}: the password can't be a PDF's. Upload it with the right one.") from error
    pages = len(document)
    if pages > reading.limits.max_pages:
        document.close()
        raise LimitExceeded(
            f"{name}: has {pages} pages, the limit is {reading.limits.max_pages}. "
            "Split it, or raise `ingest.extraction.max_pages`."
        )
    if document.get_formtype():
        document.init_forms()  # makes fields show their values where the file leaves that to the reader
    return document


def corrupt(name: str) -> CorruptDocument:
    return CorruptDocument(
        f"{name}: is no PDF that can be read: damaged or cut off. Upload it again, or print it to PDF once more."
    )


def bookmarks(document: Any) -> Iterator[Bookmark]:
    """Those with a title and a page."""
    for bookmark in islice(document.get_toc(), _MAX_BOOKMARKS):
        destination = bookmark.get_dest()
        index = destination.get_index() if destination is not None else None
        title = one_line(bookmark.get_title)[:_MAX_TITLE].rstrip()
        if title and index is not None and 0 <= index < len(document):
            yield bookmark.level + 1, title, index


def one_line(read: Callable[[], str]) -> str:
    """A title on one line, or "" where it is no valid UTF-16: the document is worth having without."""
    try:
        return " ".join(clean(read()).split())
    except UnicodeDecodeError:
        return ""


def with_fields(document: Any, index: int, page: Any) -> Any:
    """The page with its fields, free texts and stamps made part of it; the page itself where it has none of them."""
    count = min(_ANNOTATIONS, pdfium_c.FPDFPage_GetAnnotCount(page))
    if not any(_is_shown(page, at) for at in range(count)):
        return page
    if pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY) != pdfium_c.FLATTEN_SUCCESS:
        return page
    page.close()
    return document[index]


def _is_shown(page: Any, at: int) -> bool:
    annotation = pdfium_c.FPDFPage_GetAnnot(page, at)
    if not annotation:
        return False
    shown = pdfium_c.FPDFAnnot_GetSubtype(annotation) in _SHOWN
    pdfium_c.FPDFPage_CloseAnnot(annotation)
    return shown


def attachments(document: Any, name: str, reading: Reading, notes: list[str]) -> list[Attachment]:
    """The files attached to the document. Raises LimitExceeded for too many, or for too much in them."""
    count, limits = document.count_attachments(), reading.limits
    if count > limits.max_files:
        raise LimitExceeded(
            f"{name}: has {count} files attached, the limit is {limits.max_files}. "
            "Split it, or raise `ingest.extraction.max_files`."
        )
    found: list[Attachment] = []
    size = 0
    for index in range(count):
        attachment = document.get_attachment(index)
        title = one_line(attachment.get_name) or f"attachment {index + 1}"
        try:
            data = bytes(attachment.get_data())
        except pdfium.PdfiumError:
            notes.append(f"the attached file {title} could not be read")
            continue
        size += len(data)
        if size > limits.max_unpacked_mib * MIB:
            raise LimitExceeded(
                f"{name}: its attached files have more than {limits.max_unpacked_mib:g} MiB, the limit. "
                "Upload them one by one, or raise `ingest.extraction.max_unpacked_mib`."
            )
        found.append(Attachment(title, data))
    return found
