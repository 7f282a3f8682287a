"""Errors of ingestion, named by what the caller must do.

IngestError
├── RefusedDocument            change the file: trying the same bytes again gives the same answer
│   ├── EmptyDocument          nothing in it that could be searched
│   ├── UnsupportedFormat      no loader for it (an unknown format, or binary data under a text name)
│   ├── CorruptDocument        the format is known, its content can't be read
│   ├── EncryptedDocument      a password is needed, or another one
│   ├── DocumentTooLarge       over `ingest.max_upload_mib` (or its text over `ingest.max_text_mib`)
│   ├── LimitExceeded          reading it took more than `ingest.extraction` allows: memory, time, files, nesting, pages
│   └── NeedsOcr               only pictures of text in it, and no OCR program is installed
├── NotFound                   no such document, version, batch or job
├── UnknownRevision            name a revision that was committed
├── RevisionGone               name a newer revision: retention has taken this one
├── Erased                     the document was erased after this upload: upload it again if it is to come back
├── BatchConflict              stage the changes again: others came first, or the batch is closed
├── QuarantineConflict         look at the item again: it was decided before, or its document has a newer version
├── NotAllowed                 use a key that may do this
├── MissingDriver              install the named extra
├── SourceUnusable             make what the source names available, or change the source: nothing is tried before
├── TryAgain                   nothing: it may pass, and is tried again later
│   └── ReaderUnavailable      mend the installation: the program that reads files could not be started
├── StorageFull                free some space, then try again
├── LeaseLost                  nothing: another process does the work by now
├── LeaseHeld                  stop the process that is named, or let it do the work
└── CatalogUnavailable         the catalog is locked or out of reach: try again later
    ├── CatalogDamaged         restore a backup
    ├── CatalogMisconfigured   mend `ingest.catalog_url`, or the rights and the release of the database it names
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


class LimitExceeded(RefusedDocument):
    code = "limit-exceeded"


class NeedsOcr(RefusedDocument):
    code = "needs-ocr"


class NotFound(IngestError):
    code = "not-found"


class UnknownRevision(IngestError):
    code = "unknown-revision"


class RevisionGone(IngestError):
    code = "expired"


class Erased(IngestError):
    code = "erased"


class VectorsGone(IngestError):
    code = "vectors-gone"


class BatchConflict(IngestError):
    code = "batch-conflict"


class QuarantineConflict(IngestError):
    code = "quarantine-conflict"


class NotAllowed(IngestError):
    code = "forbidden"


class MissingDriver(IngestError):
    code = "missing-extra"


class SourceUnusable(IngestError):
    code = "source-unusable"


class TryAgain(IngestError):
    code = "try-again"


class ReaderUnavailable(TryAgain):
    code = "reader-unavailable"


class LeaseLost(IngestError):
    code = "lease-lost"


class LeaseHeld(IngestError):
    code = "lease-held"


class StorageFull(IngestError):
    code = "storage-full"


class CatalogUnavailable(IngestError):
    code = "catalog-unavailable"


class CatalogDamaged(CatalogUnavailable):
    code = "catalog-damaged"


class CatalogMisconfigured(CatalogUnavailable):
    code = "catalog-misconfigured"


class DataFolderUnusable(CatalogUnavailable):
    code = "data-folder-unusable"
