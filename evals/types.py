"""What evaluation takes and produces."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.types import WireModel


@dataclass(frozen=True, slots=True)
class NotScored:
    """Why a metric has no score: never a zero, never a NaN."""

    reason: str


@dataclass(frozen=True, slots=True)
class VerifierCase:
    """An answer with the texts that it must be supported by, and whether it is. `question` may be empty."""

    case_id: str
    question: str
    context: tuple[str, ...]
    answer: str
    supported: bool


class VerifierReport(WireModel):
    """How well a verifier's judgement agrees with labels.

    `auroc` is that of the answers' scores, `balanced_accuracy` that of their verdicts (supported, or not), both over
    the cases that were scored; they are null where there is no such number, and then `reason` says why.
    """

    verifier: str
    auroc: float | None
    balanced_accuracy: float | None
    reason: str | None = None
    n: int  # cases, whether scored or not
    not_scored: int
    not_scored_reasons: dict[str, int]
    ms_per_row: float | None
