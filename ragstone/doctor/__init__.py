"""Checks that a data folder is sound: every disagreement inside the catalog, and between it and what is derived.

files       models, the embedder in use, originals, what was interrupted
contents    the database itself, texts, chunks and vectors
references  rows that point nowhere, or that nothing points to
timeline    revisions, and what is shown at each
work        jobs, leases, batches, tombstones
sources     sources and their items
indexes     the files of the index, and what both halves hold
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ingest.errors import DataFolderUnusable
from ragstone.doctor import contents, files, indexes, references, sources, timeline, work
from ragstone.doctor.findings import Check, Finding, reason

if TYPE_CHECKING:
    from ragstone.wiring import Application

__all__ = ["CHECKS", "Check", "Finding", "examine"]

CHECKS = (
    Check("models", files.models),
    Check("catalog", contents.database),
    Check("embedder", files.embedder),
    Check("originals", files.originals),
    Check("texts", contents.texts),
    Check("references", references.check),
    Check("timeline", timeline.check),
    Check("chunks", contents.chunks),
    Check("vectors", contents.vectors),
    Check("jobs", work.jobs),
    Check("batches", work.batches),
    Check("sources", sources.check),
    Check("erased", work.erased),
    # The files come first, so that a repaired index is the one that is opened.
    Check("segments", indexes.segments),
    Check("index", indexes.halves),
    Check("snapshots", indexes.snapshots),
)


def examine(application: Application, checks: Sequence[Check] = CHECKS) -> Iterator[tuple[Check, list[Finding]]]:
    """Runs the checks in turn; that one can't be run is a finding. Raises DataFolderUnusable and nothing else."""
    for check in checks:
        findings: list[Finding] = []
        try:
            findings.extend(check.run(application))
        except DataFolderUnusable:
            raise
        except Exception as error:
            findings.append(Finding(f"this check could not be run to its end: {reason(error)}"))
        yield check, findings
