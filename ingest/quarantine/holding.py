"""Which uploads are held back: what screening finds, under the policy of their collection and what was decided."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.catalog.catalog import Catalog
from ingest.catalog.collection_settings import own_settings
from ingest.config import ScreeningSettings
from ingest.extraction.wire import Examined
from ingest.jobs.uploads import Upload
from ingest.quarantine.quarantine import REJECTED, Held, Policy, QuarantineState, decided
from ingest.screening.findings import Finding
from ingest.screening.minhash import bands
from ingest.screening.near_copies import near_copies
from ingest.screening.screen import quarantines
from ingest.screening.shift import flood
from ingest.types import DocumentOutcome


class Screening:
    """Screens the files of one group."""

    def __init__(self, catalog: Catalog, settings: ScreeningSettings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._policies: dict[str, Policy] = {}
        self._decided: dict[tuple[str, str], QuarantineState] = {}
        self._met: dict[str, tuple[bytes, set[int]]] = {}  # signatures of this group with their bands, by document

    def look_up(self, uploads: Sequence[Upload]) -> None:
        """What was decided on the files of a group, and the policies of their collections."""
        with self._catalog.reading() as connection:
            self._decided = decided(connection, [upload.document_id for upload in uploads])
            for collection in {upload.collection for upload in uploads} - self._policies.keys():
                self._policies[collection] = own_settings(connection, collection).get("quarantine", "suspicious")

    def screened(self, upload: Upload, examined: Examined) -> tuple[str, ...] | Held | DocumentOutcome:
        """What is to be told of the document with its outcome, or that it is held back, or was rejected before."""
        if upload.released or not self._settings.enabled:
            return ()
        before = self._decided.get((upload.document_id, upload.content_hash))
        policy = self._policies[upload.collection]
        if before == "rejected":
            return upload.failed(REJECTED, f"{upload.name} was rejected before: change it, or leave it out")
        if before == "released" or policy == "off":
            return ()
        findings = (*examined.findings, *self._flood(upload, examined.signature))
        if policy == "all" or quarantines(findings, self._settings):
            return Held(upload, findings, examined.extracted)
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
