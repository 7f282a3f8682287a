"""Which uploads are held back: what screening finds, under the policy of their collection and what was decided."""

from __future__ import annotations

from ingest.catalog import Catalog
from ingest.collection_settings import own_settings
from ingest.config import ScreeningSettings
from ingest.extraction.wire import Examined
from ingest.quarantine import REJECTED, Held, Policy, decided
from ingest.screening.findings import Finding
from ingest.screening.minhash import bands
from ingest.screening.near_copies import near_copies
from ingest.screening.screen import quarantines
from ingest.screening.shift import flood
from ingest.types import DocumentOutcome
from ingest.uploads import Upload


class Screening:
    """Screens the files of one group."""

    def __init__(self, catalog: Catalog, settings: ScreeningSettings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._policies: dict[str, Policy] = {}
        self._met: dict[str, tuple[bytes, set[int]]] = {}  # signatures of this group with their bands, by document

    def screened(self, upload: Upload, examined: Examined) -> tuple[str, ...] | Held | DocumentOutcome:
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
        findings = (*examined.findings, *self._flood(upload, examined.signature))
        if policy == "all" or quarantines(findings, self._settings):
            return Held(upload, findings)
        return tuple(finding.reason for finding in findings)

    def _flood(self, upload: Upload, signature: bytes) -> tuple[Finding, ...]:
        """Near copies among what the collection shows, and among the files of this group."""
        if not signature:
            return ()
        keys = set(bands(signature))
        others = {its: of for its, (of, known) in self._met.items() if not keys.isdisjoint(known)}
        with self._catalog.reading() as connection:
            others |= near_copies(connection, upload.collection, keys)
        others.pop(upload.document_id, None)
        self._met[upload.document_id] = signature, keys
        found = flood(signature, others.values(), self._settings)
        return () if found is None else (found,)
