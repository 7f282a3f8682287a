"""iWork (Pages, Numbers, Keynote): refused, with the reason. The format is Apple's own and not described."""

from __future__ import annotations

import zipfile

from ingest.errors import EncryptedDocument, UnsupportedFormat
from ingest.loaders.packages import open_package
from ingest.loaders.reading import Reading
from ingest.types import Extracted

_VERIFIERS = (".iwph", ".iwpv2")  # the hint and the check of a password
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # encrypted documents of iWork '09 name a method of their own


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Raises EncryptedDocument for a document under a password, UnsupportedFormat for all others."""
    parts = open_package(data, name, reading).infolist()
    if any(part.filename.rpartition("/")[2] in _VERIFIERS or part.compress_type not in _PACKED for part in parts):
        raise EncryptedDocument(
            f"{name}: is an iWork document (Pages, Numbers, Keynote) under a password. Export it as .docx, .xlsx, "
            ".pptx or .pdf without a password, and upload that."
        )
    raise UnsupportedFormat(
        f"{name}: is an iWork document (Pages, Numbers, Keynote). Export it as .docx, .xlsx, .pptx or .pdf, "
        "and upload that."
    )
