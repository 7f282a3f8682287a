"""Picks the loader of a file, by content first, and reads what is packed in the file too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ingest.errors import (
    CorruptDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    RefusedDocument,
    UnsupportedFormat,
)
from ingest.loaders import (
    archives,
    asciidoc,
    code,
    delimited,
    docx,
    html,
    images,
    mail,
    markdown,
    markup,
    notebook,
    outlook,
    pdf,
    records,
    subtitles,
    text,
    xml,
)
from ingest.loaders.attachments import Section, joined
from ingest.loaders.encodings import decode
from ingest.loaders.packages import open_package
from ingest.loaders.reading import MIB, Reading
from ingest.types import Attachment, Extracted

Loader = Callable[[bytes, str, Reading], Extracted]

# By extension, for what its content does not tell.
LOADERS: dict[str, Loader] = {
    **dict.fromkeys(code.EXTENSIONS, code.load),
    **dict.fromkeys((".adoc", ".asc", ".asciidoc"), asciidoc.load),
    **dict.fromkeys((".cfg", ".conf", ".ini", ".log", ".text", ".toml", ".txt", ".yaml", ".yml"), text.load),
    **dict.fromkeys((".csv", ".tab", ".tsv"), delimited.load),
    ".docx": docx.load,
    **dict.fromkeys((".eml", ".mbox", ".mht", ".mhtml"), mail.load),
    **dict.fromkeys((".htm", ".html", ".xhtml"), html.load),
    ".ipynb": notebook.load,
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".geojson"), records.load),
    **dict.fromkeys((".markdown", ".md"), markdown.load),
    ".org": markup.load_org,
    ".pdf": pdf.load,
    **dict.fromkeys(images.EXTENSIONS, images.load),
    **dict.fromkeys((".rest", ".rst"), markup.load_restructuredtext),
    **dict.fromkeys((".srt", ".vtt"), subtitles.load),
    ".tex": markup.load_latex,
    **dict.fromkeys((".dita", ".fb2", ".jats", ".nxml", ".rss", ".xml"), xml.load),
}

_OLE_COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")
_OFFICE_PARTS = frozenset(("[Content_Types].xml", "mimetype", "xl/workbook.xml", "ppt/presentation.xml"))
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
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
    if images.is_picture(data):
        return images.load
    if data.startswith(_OLE_COMPOUND_FILE):
        if outlook.is_message(data):
            return outlook.load
        raise _ole_refusal(data, name)
    if data.startswith(_ZIP):
        return _loader_of_package(data, name, reading)
    if archives.is_packed(data):
        return archives.load_packed
    if extension == ".docx":
        raise CorruptDocument(
            f"{name}: is no zip archive, as every DOCX is. Save it again as .docx in a word processor."
        )
    return LOADERS.get(extension) or _loader_of_text(data, name, extension)


def _loader_of_text(data: bytes, name: str, extension: str) -> Loader:
    """The loader for an extension that is not known: what is text is taken as that."""
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return html.load
    if start.startswith(b"<?xml"):
        return xml.load
    if mail.looks_like_mail(data):
        return mail.load
    try:
        decode(data, name)
    except UnsupportedFormat as error:
        known = ", ".join(sorted(LOADERS))
        what = f"the extension {extension}" if extension else "a name without an extension"
        raise UnsupportedFormat(
            f"{name}: {what} is not known, and the file is no text. Convert it to one of {known}."
        ) from error
    return text.load


def _loader_of_package(data: bytes, name: str, reading: Reading) -> Loader:
    """The loader for what a zip archive holds."""
    parts = set(open_package(data, name, reading).namelist())
    if "word/document.xml" in parts:
        return docx.load
    if name.lower().endswith(".docx"):
        raise CorruptDocument(f"{name}: is no DOCX: it has no document part (word/document.xml). Save it again.")
    if parts & _OFFICE_PARTS:
        raise UnsupportedFormat(f"{name}: is an Office file other than .docx. Convert it to .docx or .pdf.")
    return archives.load_zip


def _ole_refusal(data: bytes, name: str) -> EncryptedDocument | UnsupportedFormat:
    """Why an OLE compound file is refused: Office wraps encrypted documents in one, and old formats are ones."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedDocument(f"{name}: is protected by a password. Remove the password and upload it again.")
    return UnsupportedFormat(
        f"{name}: is a file of an old Office format. Save it as .docx or .pdf and upload it again."
    )
