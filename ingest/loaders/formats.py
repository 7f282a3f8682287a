"""Which loader reads a file: by what its content shows, else by its extension."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ingest.errors import CorruptDocument, UnsupportedFormat
from ingest.loaders import (
    archives,
    asciidoc,
    code,
    delimited,
    doc,
    docx,
    epub,
    html,
    images,
    iwork,
    mail,
    markdown,
    markup,
    notebook,
    odf,
    outlook,
    pdf,
    pptx,
    records,
    rtf,
    subtitles,
    text,
    xls,
    xlsx,
    xml,
)
from ingest.loaders.compound import SIGNATURE as COMPOUND_FILE
from ingest.loaders.compound import stream_names
from ingest.loaders.encodings import decode
from ingest.loaders.packages import open_package
from ingest.loaders.reading import Reading
from ingest.types import Extracted

Loader = Callable[[bytes, str, Reading], Extracted]

# By extension, for what its content does not tell.
LOADERS: dict[str, Loader] = {
    **dict.fromkeys(code.EXTENSIONS, code.load),
    **dict.fromkeys((".adoc", ".asc", ".asciidoc"), asciidoc.load),
    **dict.fromkeys((".cfg", ".conf", ".ini", ".log", ".text", ".toml", ".txt", ".yaml", ".yml"), text.load),
    **dict.fromkeys((".csv", ".tab", ".tsv"), delimited.load),
    **dict.fromkeys((".eml", ".mbox", ".mht", ".mhtml"), mail.load),
    **dict.fromkeys((".htm", ".html", ".xhtml"), html.load),
    ".ipynb": notebook.load,
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".geojson"), records.load),
    **dict.fromkeys((".markdown", ".md"), markdown.load),
    ".org": markup.load_org,
    ".pdf": pdf.load,
    **dict.fromkeys(images.EXTENSIONS, images.load),
    **dict.fromkeys((".rest", ".rst"), markup.load_restructuredtext),
    ".rtf": rtf.load,
    **dict.fromkeys((".srt", ".vtt"), subtitles.load),
    ".tex": markup.load_latex,
    **dict.fromkeys((".dita", ".fb2", ".jats", ".nxml", ".rss", ".svg", ".xml"), xml.load),
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
    ("__properties_version1.0", outlook.load),
)
PACKAGE_EXTENSIONS = (
    *(".docx", ".docm", ".dotx", ".pptx", ".pptm", ".ppsx", ".potx", ".xlsx", ".xlsm", ".xltx"),
    *(".odt", ".ott", ".ods", ".ots", ".odp", ".otp", ".epub"),
)
COMPOUND_EXTENSIONS = (".doc", ".dot", ".xls", ".xlt", ".msg")
EXTENSIONS = (*LOADERS, *PACKAGE_EXTENSIONS, *COMPOUND_EXTENSIONS)

_NAMED = "PDF, DOCX, PPTX, XLSX, HTML, Markdown or plain text, or to another format that the README names"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# Written in Python, like all that they call.
_PYTHON_ALONE = (
    *(asciidoc.load, code.load, delimited.load, markdown.load, text.load),
    *(markup.load_org, markup.load_restructuredtext, markup.load_latex),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
# The whole of what Git LFS keeps in place of a file (its docs/spec.md); it has fewer than 1024 bytes.
_LFS_POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\r?\n"
    rb"(?:ext-\d-[\w.-]{1,64} sha256:[0-9a-f]{64}\r?\n){0,9}oid sha256:[0-9a-f]{64}\r?\nsize \d{1,20}(?:\r?\n)?"
)
_HTML = re.compile(rb"\s*(<!doctype html|<html\b)", re.I)


def loader_of(data: bytes, name: str, reading: Reading) -> Loader:
    """The loader of a file. Raises CorruptDocument and UnsupportedFormat, each of which says what to do."""
    if _LFS_POINTER.fullmatch(data):
        raise UnsupportedFormat(
            f"{name}: is a pointer of Git LFS, and the file itself is not here. Fetch it by `git lfs pull`, and upload "
            "it; of a repository, follow a folder that it is checked out in."
        )
    extension = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if data.lstrip().startswith(b"%PDF-"):
        return pdf.load
    if images.is_picture(data):
        return images.load
    if data.startswith(COMPOUND_FILE):
        return _loader_of_compound(data, name)
    if data.startswith(_ZIP):
        return _loader_of_package(data, name, reading)
    if archives.is_packed(data):
        return archives.load_packed
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
    return LOADERS.get(extension) or _loader_of_text(data, name, extension)


def is_plain(data: bytes, name: str) -> bool:
    """Whether a file is read by Python alone, and looks like nothing that is not: it can do no harm to its neighbours.

    That is text in UTF-8, without control characters, with the extension of a format that is text.
    """
    loader = LOADERS.get(PurePosixPath(name.replace("\\", "/")).suffix.lower())
    start = data.lstrip()
    if loader not in _PYTHON_ALONE or start.startswith((b"%PDF-", rtf.SIGNATURE)):
        return False
    if images.is_picture(data) or archives.is_packed(data):
        return False
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(text)


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
        what = f"the extension {extension}" if extension else "a name without an extension"
        raise UnsupportedFormat(
            f"{name}: {what} is not known, and the file is no text. Convert it to {_NAMED}."
        ) from error
    return text.load


def _loader_of_package(data: bytes, name: str, reading: Reading) -> Loader:
    """The loader for what a zip archive holds."""
    parts = open_package(data, name, reading).namelist()
    for begin, loader in _PACKAGES:
        if any(part.startswith(begin) for part in parts):
            return loader
    if name.lower().endswith(PACKAGE_EXTENSIONS):
        raise CorruptDocument(f"{name}: its main part is missing. Open it in its program and save it again.")
    return archives.load_zip


def _loader_of_compound(data: bytes, name: str) -> Loader:
    """The loader for what an OLE compound file holds."""
    streams = stream_names(data, name)
    for stream, loader in _COMPOUNDS:
        if stream in streams:
            return loader
    if "PowerPoint Document" in streams:
        raise UnsupportedFormat(f"{name}: is of PowerPoint 2003 or older. Save it as .pptx and upload it again.")
    raise UnsupportedFormat(f"{name}: is a file of an old Office format. Save it as .docx or .pdf and upload it again.")
