"""Picks the loader of a file: by its content where that tells, else by its extension."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ingest.errors import CorruptDocument, DocumentTooLarge, EmptyDocument, EncryptedDocument, UnsupportedFormat
from ingest.loaders import docx, html, markdown, pdf, text
from ingest.types import Extracted

Loader = Callable[[bytes, str], Extracted]

LOADERS: dict[str, Loader] = {
    ".docx": docx.load,
    ".htm": html.load,
    ".html": html.load,
    ".markdown": markdown.load,
    ".md": markdown.load,
    ".pdf": pdf.load,
    ".text": text.load,
    ".txt": text.load,
    ".xhtml": html.load,
}

_MIB = 1024 * 1024
_OLE_COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_MAX_EXPANSION = 20  # an unpacked DOCX carries images and markup beside its text


def extract(data: bytes, name: str, max_text_mib: float = 20) -> Extracted:
    """A file as text. `name` is the file's name; its extension counts where the content has no signature.

    The text holds neither NUL nor lone surrogates, its lines end in "\\n" alone.

    Raises EmptyDocument where it has no letter or digit (heading marks alone are no text), UnsupportedFormat,
    CorruptDocument, EncryptedDocument, and DocumentTooLarge for a text of more than `max_text_mib` MiB as UTF-8. Each
    message names the file and says what to do.
    """
    if not data.strip():
        found = "has no bytes" if not data else "holds only white space"
        raise EmptyDocument(f"{name}: {found}. Upload a file with text in it.")
    load = _loader(data, name, int(_MAX_EXPANSION * max_text_mib * _MIB))
    extracted = load(data, name)
    if not _LETTER_OR_DIGIT.search(extracted.text):
        raise EmptyDocument(f"{name}: no text in it, not one letter or digit. Upload a file with text in it.")
    size = len(extracted.text.encode("utf-8"))
    if size > max_text_mib * _MIB:
        raise DocumentTooLarge(
            f"{name}: its text has {size / _MIB:.1f} MiB, the limit is {max_text_mib:g} MiB. "
            "Split the file, or raise `ingest.max_text_mib`."
        )
    return extracted


def _loader(data: bytes, name: str, max_unpacked_bytes: int) -> Loader:
    extension = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if data.lstrip().startswith(b"%PDF-"):
        return pdf.load
    if data.startswith(_OLE_COMPOUND_FILE):
        raise _ole_refusal(data, name)
    if data.startswith(_ZIP):
        docx.check_package(data, name, max_unpacked_bytes)
        return docx.load
    if extension == ".docx":
        raise CorruptDocument(
            f"{name}: is no zip archive, as every DOCX is. Save it again as .docx in a word processor."
        )
    if extension not in LOADERS:
        known = ", ".join(sorted(LOADERS))
        what = f"the extension {extension}" if extension else "a name without an extension"
        raise UnsupportedFormat(f"{name}: {what} is not taken. Convert the file to one of {known}.")
    return LOADERS[extension]


def _ole_refusal(data: bytes, name: str) -> EncryptedDocument | UnsupportedFormat:
    """Why an OLE compound file is refused: Office wraps encrypted documents in one, and old formats are ones."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedDocument(f"{name}: is protected by a password. Remove the password and upload it again.")
    return UnsupportedFormat(
        f"{name}: is an Outlook message or a file of an old Office format. "
        "Save it as .docx or .pdf and upload it again."
    )
