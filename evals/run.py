"""The main path of evaluation: cases in, a report out."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.errors import BadCases
from evals.metrics import auroc, balanced_accuracy
from evals.sentences import word_set
from evals.types import NotScored, VerifierCase, VerifierReport
from generation.types import Verifier
from ingest.identity import chunk_id_of
from retrieval.types import Passage

# Labels as public sets write them, in lower case with "_" for spaces and "-".
_SUPPORTED = word_set("1 1.0 true yes supported supports support entailment entailed consistent")
_NOT_SUPPORTED = word_set(
    "0 0.0 false no refuted refutes refute contradicted contradict contradiction neutral nei not_enough_info not_found "
    "not_supported unsupported partially_supported inconsistent"
)


def evaluate_verifier(verifier: Verifier, cases: Sequence[VerifierCase]) -> VerifierReport:
    """Judges every case and compares with the labels. What the verifier can't score is counted, with its reasons."""
    # 1. Judge, and take the time.
    started = time.perf_counter()
    judged = [verifier.verify(case.question, case.answer, passages_of(case)).faithfulness for case in cases]
    elapsed_ms = (time.perf_counter() - started) * 1000

    # 2. Set apart what could not be scored.
    scored = [(case, result) for case, result in zip(cases, judged, strict=True) if result.score is not None]
    reasons = Counter(result.reason or "no reason given" for result in judged if result.score is None)

    # 3. Measure the rest.
    labels = [case.supported for case, _ in scored]
    area = auroc([result.score for _, result in scored if result.score is not None], labels)
    accuracy = balanced_accuracy([result.verdict == "supported" for _, result in scored], labels)

    # 4. Report: a number, or why there is none.
    return VerifierReport(
        verifier=verifier.name,
        auroc=None if isinstance(area, NotScored) else area,
        balanced_accuracy=None if isinstance(accuracy, NotScored) else accuracy,
        reason=area.reason if isinstance(area, NotScored) else None,
        n=len(cases),
        not_scored=len(cases) - len(scored),
        not_scored_reasons=dict(reasons),
        ms_per_row=elapsed_ms / len(cases) if cases else None,
    )


def passages_of(case: VerifierCase) -> list[Passage]:
    """The context of a case as passages, each the whole text of a document of its own."""
    return [
        Passage(
            chunk_id=chunk_id_of(text),
            document_id=f"{case.case_id}#{number}",
            uri=f"case:{case.case_id}#{number}",
            version=1,
            title="",
            start=0,
            end=len(text),
            text=text,
            score=0.0,
        )
        for number, text in enumerate(case.context)
    ]


def read_rows(path: Path) -> list[VerifierCase]:
    """The cases of a JSONL file: `context` (a text, or a list of texts), `answer`, `label`; `question` and `id` may be.

    A label is 1 or 0, true or false, or what public sets write: "supported", "SUPPORTS", "entailment"; "refuted",
    "NOT ENOUGH INFO", "contradiction", "partially_supported" and the like count as not supported. Raises `BadCases`,
    naming file, line and field.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadCases(f"{path} can't be read: {error.strerror}") from error
    cases = [_case(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise BadCases(f"{path} has no rows: one JSON object a line is expected")
    return cases


def _case(path: Path, number: int, line: bytes) -> VerifierCase:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadCases(f"{where}: not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise BadCases(f"{where}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise BadCases(f"{where}: a JSON object is expected, not {_shown(row)}")
    context = _field(where, row, "context")
    return VerifierCase(
        case_id=str(row.get("id", number)),
        question=_text(where, "question", row.get("question") or ""),
        context=tuple(_text(where, "context", text) for text in (context if isinstance(context, list) else [context])),
        answer=_text(where, "answer", _field(where, row, "answer")),
        supported=_label(where, row),
    )


def _text(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        expected = "a text or a list of texts" if name == "context" else "a text"
        raise BadCases(f"{where}: field {name!r} must be {expected}, not {_shown(value)}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadCases(f"{where}: field {name!r} has half a character (a lone surrogate): mend its encoding")
    return value


def _label(where: str, row: dict[str, Any]) -> bool:
    value = _field(where, row, "label")
    low = "_".join(str(value).lower().replace("-", " ").split())
    if low in _SUPPORTED:
        return True
    if low in _NOT_SUPPORTED:
        return False
    raise BadCases(f"{where}: field 'label' is {_shown(value)}; write 1 (supported) or 0 (not supported)")


def _field(where: str, row: dict[str, Any], name: str) -> Any:
    if name not in row:
        raise BadCases(f"{where}: field {name!r} is missing; each row has 'context', 'answer' and 'label'")
    return row[name]


def _shown(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
