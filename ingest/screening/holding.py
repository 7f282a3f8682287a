"""Which uploads are held back: what screening finds, under the policy of their collection and what was decided."""

from __future__ import annotations

from ingest.catalog import Catalog
from ingest.collection_settings import own_settings
from ingest.config import ScreeningSettings
from ingest.quarantine import REJECTED, Held, Policy, decided
from ingest.screening.screen import quarantines, screen
from ingest.types import DocumentOutcome, Extracted
from ingest.uploads import Upload


class Screening:
    """Screens the files of one group."""

    def __init__(self, catalog: Catalog, settings: ScreeningSettings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._policies: dict[str, Policy] = {}

    def screened(self, upload: Upload, extracted: Extracted) -> tuple[str, ...] | Held | DocumentOutcome:
        """What is to be told of the document with its outcome, or that it is held back, or was rejected before."""
        if upload.released or not self._settings.enabled:
            return ()
        with self._catalog.reading() as connection:
            before = decided(connection, [upload.document_id]).get((upload.document_id, upload.content_hash))
            if upload.collection not in self._policies:
                own = own_settings(connection, upload.collection)
                self._policies[upload.collection] = own.get("quarantine", "suspicious")
        policy = self._policies[upload.collection]
        if before == "rejected":
            return upload.failed(REJECTED, f"{upload.name} was rejected before: change it, or leave it out")
        if before == "released" or policy == "off":
            return ()
        findings = screen(extracted, self._settings)
        if policy == "all" or quarantines(findings, self._settings):
            return Held(upload, findings)
        return tuple(finding.reason for finding in findings)
