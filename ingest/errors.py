"""Errors of ingestion, named by what the caller must do.

IngestError
├── RefusedDocument            change the file: trying the same bytes again gives the same answer
│   ├── EmptyDocument          nothing in it that could be searched
│   ├── UnsupportedFormat      no loader for it (an unknown format, or binary data under a text name)
│   ├── CorruptDocument        the format is known, its content can't be read
│   ├── EncryptedDocument      a password is needed
│   └── DocumentTooLarge       over `ingest.max_upload_mib` (or its text over `ingest.max_text_mib`)
├── NotFound                   no such document, version or job
├── StorageFull                free some space, then try again
└── CatalogUnavailable         the catalog is locked or out of reach: try again later
    ├── CatalogDamaged         restore a backup
    └── DataFolderUnusable     name another folder, or make this one a folder that can be written
"""

from __future__ import annotations


class IngestError(Exception):
    """Root of this package's errors. `code` is stable and part of the API."""

    code = "ingest-error"


class RefusedDocument(IngestError):
    code = "refused-document"


class EmptyDocument(RefusedDocument):
    code = "empty-document"


class UnsupportedFormat(RefusedDocument):
    code = "unsupported-format"


class CorruptDocument(RefusedDocument):
    code = "corrupt-document"


class EncryptedDocument(RefusedDocument):
    code = "encrypted-document"


class DocumentTooLarge(RefusedDocument):
    code = "document-too-large"


class NotFound(IngestError):
    code = "not-found"


class StorageFull(IngestError):
    code = "storage-full"


class CatalogUnavailable(IngestError):
    code = "catalog-unavailable"


class CatalogDamaged(CatalogUnavailable):
    code = "catalog-damaged"


class DataFolderUnusable(CatalogUnavailable):
    code = "data-folder-unusable"
