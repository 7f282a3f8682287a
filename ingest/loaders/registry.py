"""Picks the loader of a file, by content first, and reads what is packed in the file too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ingest.errors import (
    CorruptDocument,
    DocumentTooLarge,
    EmptyDocument,
    LimitExceeded,
    RefusedDocument,
    UnsupportedFormat,
)
from ingest.loaders import doc, docx, epub, html, iwork, markdown, odf, pdf, pptx, rtf, text, xls, xlsx
from ingest.loaders.attachments import Section, joined
from ingest.loaders.compound import SIGNATURE as COMPOUND_FILE
from ingest.loaders.compound import stream_names
from ingest.loaders.packages import open_package
from ingest.loaders.protected import unlocked
from ingest.loaders.reading import MIB, Reading
from ingest.types import Attachment, Extracted

Loader = Callable[[bytes, str, Reading], Extracted]

# By extension, for what its content does not tell.
LOADERS: dict[str, Loader] = {
    ".htm": html.load,
    ".html": html.load,
    ".markdown": markdown.load,
    ".md": markdown.load,
    ".pdf": pdf.load,
    ".rtf": rtf.load,
    ".text": text.load,
    ".txt": text.load,
    ".xhtml": html.load,
}
# Zip archives, by how one of their parts begins.
_PACKAGES: tuple[tuple[str, Loader], ...] = (
    ("word/document", docx.load),
    ("ppt/presentation", pptx.load),
    ("xl/workbook", xlsx.load),
    (epub.CONTAINER, epub.load),
    ("content.xml", odf.load),
    ("encrypted-package", odf.load),
    ("Index/Document.iwa", iwork.load),
    ("Index.zip", iwork.load),
    ("buildVersionHistory.plist", iwork.load),
)
# OLE compound files, by one of their streams.
_COMPOUNDS: tuple[tuple[str, Loader], ...] = (
    ("WordDocument", doc.load),
    ("Workbook", xls.load),
    ("Book", xls.load),
)
PACKAGE_EXTENSIONS = (
    *(".docx", ".docm", ".dotx", ".pptx", ".pptm", ".ppsx", ".potx", ".xlsx", ".xlsm", ".xltx"),
    *(".odt", ".ott", ".ods", ".ots", ".odp", ".otp", ".epub"),
)
COMPOUND_EXTENSIONS = (".doc", ".dot", ".xls", ".xlt")
EXTENSIONS = (*LOADERS, *PACKAGE_EXTENSIONS, *COMPOUND_EXTENSIONS)

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HTML = re.compile(rb"\s*(<!doctype html|<html\b)", re.I)
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def extract(data: bytes, name: str, reading: Reading | None = None) -> Extracted:
    """A file as text, with the text of what is attached to it or packed in it. `name` is the file's name.

    The text holds neither NUL nor lone surrogates, its lines end in "\\n" alone. Each attachment is a section headed by
    its name; one that can't be read is named in the notes. `attachments` of the result is empty.

    Raises EmptyDocument where there is no letter or digit (heading marks alone are no text), UnsupportedFormat,
    CorruptDocument, EncryptedDocument, NeedsOcr, LimitExceeded, and DocumentTooLarge for a text of more than
    `reading.max_text_mib` MiB as UTF-8. Each message names the file and says what to do.
    """
    reading = reading or Reading()
    extracted = _Extraction(reading).whole(data, name)
    if not _LETTER_OR_DIGIT.search(extracted.text):
        why = "; ".join(extracted.notes) or "not one letter or digit"
        raise EmptyDocument(f"{name}: no text in it, {why}. Upload a file with text in it.")
    return extracted


class _Extraction:
    """One uploaded file with all that is nested in it, which share the limits."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._files = 0
        self._text_bytes = 0

    def whole(self, data: bytes, name: str, depth: int = 0) -> Extracted:
        if not data.strip():
            found = "has no bytes" if not data else "holds only white space"
            raise EmptyDocument(f"{name}: {found}. Upload a file with text in it.")
        data = unlocked(data, name, self._reading)
        extracted = _loader(data, name, self._reading)(data, name, self._reading)
        self._text_bytes += len(extracted.text.encode("utf-8"))
        if self._text_bytes > self._reading.max_text_bytes:
            raise DocumentTooLarge(
                f"{name}: its text has {self._text_bytes / MIB:.1f} MiB, the limit is {self._reading.max_text_mib:g} "
                "MiB. Split the file, or raise `ingest.max_text_mib`."
            )
        if not extracted.attachments:
            return extracted
        return joined(extracted, [self._section(attachment, depth + 1) for attachment in extracted.attachments])

    def _section(self, attachment: Attachment, depth: int) -> Section:
        self._files += 1
        limits = self._reading.limits
        if self._files > limits.max_files:
            raise LimitExceeded(
                f"{attachment.name}: is file {self._files} in this one, the limit is {limits.max_files}. "
                "Split it, or raise `ingest.extraction.max_files`."
            )
        if depth > limits.max_depth:
            return Section(attachment.name, f"{attachment.name} was left out: it is nested {depth} deep")
        try:
            return Section(attachment.name, self.whole(attachment.data, attachment.name, depth))
        except (LimitExceeded, DocumentTooLarge):
            raise
        except RefusedDocument as error:
            return Section(attachment.name, f"{attachment.name} was left out ({error.code})")


def _loader(data: bytes, name: str, reading: Reading) -> Loader:
    extension = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if data.lstrip().startswith(b"%PDF-"):
        return pdf.load
    if data.startswith(COMPOUND_FILE):
        return _loader_of_compound(data, name)
    if data.startswith(_ZIP):
        return _loader_of_package(data, name, reading)
    if data.lstrip().startswith(rtf.SIGNATURE):
        return rtf.load
    if extension in COMPOUND_EXTENSIONS and _HTML.match(data):  # what web programs call a file of Excel or Word
        return html.load
    if extension in (*PACKAGE_EXTENSIONS, *COMPOUND_EXTENSIONS):
        what = "zip archive" if extension in PACKAGE_EXTENSIONS else "compound file"
        raise CorruptDocument(
            f"{name}: is no {what}, as every {extension[1:].upper()} is. "
            f"Open it in its program and save it again as {extension}."
        )
    if extension not in LOADERS:
        known = ", ".join(sorted(EXTENSIONS))
        what = f"the extension {extension}" if extension else "a name without an extension"
        raise UnsupportedFormat(f"{name}: {what} is not taken. Convert the file to one of {known}.")
    return LOADERS[extension]


def _loader_of_package(data: bytes, name: str, reading: Reading) -> Loader:
    """The loader for what a zip archive holds."""
    parts = open_package(data, name, reading).namelist()
    for begin, loader in _PACKAGES:
        if any(part.startswith(begin) for part in parts):
            return loader
    if name.lower().endswith(PACKAGE_EXTENSIONS):
        raise CorruptDocument(f"{name}: its main part is missing. Open it in its program and save it again.")
    raise UnsupportedFormat(
        f"{name}: is a zip archive, or a file of a program that packs its files in one. "
        "Upload the documents in it one by one, or convert it to .docx or .pdf."
    )


def _loader_of_compound(data: bytes, name: str) -> Loader:
    """The loader for what an OLE compound file holds."""
    streams = stream_names(data, name)
    for stream, loader in _COMPOUNDS:
        if stream in streams:
            return loader
    if "PowerPoint Document" in streams:
        raise UnsupportedFormat(f"{name}: is of PowerPoint 2003 or older. Save it as .pptx and upload it again.")
    raise UnsupportedFormat(
        f"{name}: is an Outlook message or a file of an old Office format. "
        "Save it as .docx or .pdf and upload it again."
    )
