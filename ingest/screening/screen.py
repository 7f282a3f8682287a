"""Screens one document before it is indexed: hidden text, invisible characters, instructions to the model."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from ingest.config import ScreeningSettings
from ingest.screening.findings import Finding
from ingest.screening.hidden import hidden_text
from ingest.screening.instructions import instructions
from ingest.screening.invisible import invisible_characters
from ingest.types import Extracted


def screen(extracted: Extracted, policy: ScreeningSettings) -> tuple[Finding, ...]:
    """What speaks against indexing the document, worst first; `policy.quarantine` names the kinds that keep it out.

    Of each kind at most `policy.max_findings` are returned. Linear in the length of the text.
    """
    title = [replace(its, start=None, end=None) for its in instructions(extracted.title, policy.instruction_score)]
    found = chain(
        hidden_text(extracted.hidden, extracted.text, policy.instruction_score, policy.max_hidden_words),
        invisible_characters(extracted.text),
        title,
        instructions(extracted.text, policy.instruction_score),
    )
    by_kind: dict[str, list[Finding]] = {}
    for finding in found:
        by_kind.setdefault(finding.kind, []).append(finding)
    kept = [sorted(its, key=_worst_first)[: policy.max_findings] for its in by_kind.values()]
    return tuple(sorted(chain.from_iterable(kept), key=_worst_first))


def quarantines(findings: tuple[Finding, ...], policy: ScreeningSettings) -> bool:
    """Whether one of `findings` is of a kind that keeps a document out of the index until a person has decided."""
    return policy.enabled and any(its.kind in policy.quarantine for its in findings)


def _worst_first(finding: Finding) -> tuple[float, int]:
    return -finding.score, finding.start or 0
