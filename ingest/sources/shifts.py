"""Sudden shifts of a source: a refresh that changes much of it is staged, and shown only when it is no such shift.

A batch holds all that the refresh brings and takes away. Is it as usual, the batch is promoted: one revision. Is it
not, the batch waits in the quarantine until somebody decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from ingest import source_items
from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import Guard
from ingest.config import ScreeningSettings
from ingest.errors import BatchConflict, TryAgain
from ingest.jobs import statements as job_statements
from ingest.pipeline import Ingestion
from ingest.quarantine.quarantine import hold_batch
from ingest.revisions.history import History
from ingest.screening.findings import Finding
from ingest.screening.minhash import signature, similarity
from ingest.screening.shift import Changed, SourceChange, shifts

# Of fewer documents, the few that anybody edits are a large share.
_FEWEST = 10

Note = Callable[[Connection], None]


def needs_care(total: int, changing: int, coming: int, going: int, policy: ScreeningSettings) -> bool:
    """Whether so many changes could be a shift of a source of `total` documents, whatever they are."""
    if total < _FEWEST or not policy.enabled or "shift" not in policy.quarantine:
        return False
    return changing + going > policy.shift_share * total or coming > policy.shift_added_share * total


class Shifting:
    """Settles the batch of one refresh."""

    def __init__(self, catalog: Catalog, history: History, policy: ScreeningSettings, guard: Guard) -> None:
        self._catalog = catalog
        self._history = history
        self._policy = policy
        self._guard = guard

    def settle(
        self, batch: str, source: str, collection: str, total: int, gone: Sequence[str], note: Note
    ) -> tuple[Finding, ...]:
        """Promotes the batch, with `gone` hidden in it, or holds it back and returns why.

        `note` is called in the transaction that says that it was done. Raises TryAgain where the batch is of no use any
        more, since others changed its documents meanwhile.
        """
        shown = self._shown(gone)
        for document_id in shown:
            self._history.stage_removal(batch, document_id)
        change = self._change(batch, total, len(shown))
        findings = shifts(change, self._policy)
        if not (change.added or change.changed or change.removed):
            self._history.drop_batch(batch)
        elif not findings:
            try:
                self._history.promote(batch)
            except BatchConflict as error:
                self._history.drop_batch(batch)
                raise TryAgain(f"the source {source} is looked at again: {error}") from error
        with self._catalog.writing() as connection:
            self._guard(connection)
            note(connection)
            if findings:
                hold_batch(connection, batch, source, collection, findings)
                source_items.keep(connection, gone)
            else:
                source_items.forget(connection, gone)
        return findings

    def _shown(self, document_ids: Sequence[str]) -> list[str]:
        return sorted(self._catalog.current_versions(document_ids))

    def _change(self, batch: str, total: int, removed: int) -> SourceChange:
        """What the batch does to the documents that the head shows; their texts are read one by one."""
        table = schema.staged
        query = select(table.c.document_id, table.c.version).where(table.c.batch_id == batch)
        with self._catalog.reading() as connection:
            staged = connection.execute(query.where(table.c.version.is_not(None))).all()
            current = statements.current_versions(connection, [row.document_id for row in staged])
            changed = []
            for document_id, version in staged:
                if document_id in current:
                    old = _text(connection, document_id, current[document_id].version)
                    new = _text(connection, document_id, version)
                    changed.append(Changed(len(old), len(new), similarity(signature(old), signature(new))))
        return SourceChange(total, len(staged) - len(changed), removed, changed)


def drop_left_batches(ingestion: Ingestion, history: History) -> int:
    """Drops the batches of refreshes that ended without settling them: given up, or stopped while they waited.

    Returns how many such refreshes there were.
    """
    with ingestion.catalog.reading() as connection:
        left = job_statements.batches_left(connection)
    for job_id, batch in left:
        drop_if_open(ingestion, history, batch)
        with ingestion.catalog.writing(may_be_lost=True) as connection:
            ingestion.queue.set_payload(connection, job_id, batch=None)
    return len(left)


def drop_if_open(ingestion: Ingestion, history: History, batch: str) -> None:
    """Forgets a batch, and the originals that only it held."""
    if history.is_open(batch):
        ingestion.remove_unused(history.drop_batch(batch))


def _text(connection: Connection, document_id: str, version: int) -> str:
    table = schema.versions
    query = select(table.c.text).where(table.c.document_id == document_id, table.c.version == version)
    return str(connection.execute(query).scalar_one())
