from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.errors import BadCases
from evals.run import evaluate_verifier, passages_of, read_rows
from evals.types import VerifierCase
from generation.types import Faithfulness, Verification
from retrieval.types import Passage


class LengthVerifier:
    """Scores an answer by its length in tenths, supported from 0.5 on; can't score an empty one."""

    name = "length"

    def verify(self, question: str, text: str, passages: Sequence[Passage]) -> Verification:
        if not text:
            result = Faithfulness(score=None, verdict=None, scored=False, reason="empty", verifier=self.name)
        else:
            score = len(text) / 10
            verdict = "supported" if score >= 0.5 else "not_found"
            result = Faithfulness(score=score, verdict=verdict, scored=True, verifier=self.name)
        return Verification(claims=(), faithfulness=result)


def case(answer: str, supported: bool) -> VerifierCase:
    return VerifierCase("1", "", ("context",), answer, supported)


def write(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


ROW = {"context": "It is red.", "answer": "Red.", "label": 1}


def test_report_measures_scored_cases_and_counts_the_others() -> None:
    cases = [
        case("x" * 9, True),
        case("x" * 4, True),
        case("x" * 6, False),
        case("x", False),
        case("", True),
        case("", False),
    ]
    report = evaluate_verifier(LengthVerifier(), cases)
    assert report.verifier == "length"
    assert report.auroc == 0.75  # 9 beats 6 and 1, 4 beats only 1
    assert report.balanced_accuracy == 0.5
    assert (report.n, report.not_scored, report.not_scored_reasons) == (6, 2, {"empty": 2})
    assert report.ms_per_row is not None and report.ms_per_row >= 0
    assert {"auroc", "balanced_accuracy", "n", "not_scored", "ms_per_row"} <= report.model_dump().keys()


@pytest.mark.parametrize("cases", [[], [case("x", True)], [case("", True), case("", False)]])
def test_report_without_both_classes_has_a_reason_and_no_number(cases: list[VerifierCase]) -> None:
    report = evaluate_verifier(LengthVerifier(), cases)
    assert (report.auroc, report.balanced_accuracy) == (None, None)
    assert report.reason


def test_each_context_is_a_whole_document() -> None:
    passages = passages_of(VerifierCase("7", "", ("One.", "Two!"), "x", True))
    assert [(p.document_id, p.start, p.end, p.text) for p in passages] == [("7#0", 0, 4, "One."), ("7#1", 0, 4, "Two!")]


def test_rows_are_read_with_one_context_or_more(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl",
        {**ROW, "id": "a", "question": "Which?", "other": 5},
        "",
        {**ROW, "context": ["It is red.", "It is old."], "label": 0, "question": None},
    )
    assert read_rows(path) == [
        VerifierCase("a", "Which?", ("It is red.",), "Red.", True),
        VerifierCase("3", "", ("It is red.", "It is old."), "Red.", False),
    ]


@pytest.mark.parametrize(
    ("label", "supported"),
    [
        *[(label, True) for label in (1, 1.0, True, "1", "true", "SUPPORTS", "supported", "entailment")],
        *[(label, False) for label in (0, 0.0, False, "0", "REFUTES", "refuted", "NOT ENOUGH INFO", "not-found")],
        ("partially_supported", False),
        ("contradiction", False),
    ],
)
def test_labels_of_public_sets_are_known(tmp_path: Path, label: Any, supported: bool) -> None:
    [row] = read_rows(write(tmp_path / "rows.jsonl", {**ROW, "label": label}))
    assert row.supported is supported


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answer": "x", "label": 1}, "line 2: field 'context' is missing"),
        ({"context": "x", "label": 1}, "line 2: field 'answer' is missing"),
        ({"context": "x", "answer": "x"}, "line 2: field 'label' is missing"),
        ({**ROW, "label": "maybe"}, "line 2: field 'label' is \"maybe\""),
        ({**ROW, "label": None}, "line 2: field 'label' is null"),
        ({**ROW, "label": 2}, "line 2: field 'label' is 2"),
        ({**ROW, "context": 5}, "line 2: field 'context' must be a text or a list of texts, not 5"),
        ({**ROW, "context": ["x", 5]}, "line 2: field 'context' must be a text or a list of texts, not 5"),
        ({**ROW, "answer": ["x"]}, "line 2: field 'answer' must be a text"),
        ({**ROW, "question": 5}, "line 2: field 'question' must be a text"),
        ({**ROW, "answer": "\ud800"}, "line 2: field 'answer' has half a character"),
        ("[1, 2]", "line 2: a JSON object is expected"),
        ("{broken", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("1" * 5000, "line 2: not JSON"),
    ],
)
def test_bad_row_is_named_by_file_line_and_field(tmp_path: Path, row: Any, message: str) -> None:
    path = write(tmp_path / "rows.jsonl", ROW, row)
    with pytest.raises(BadCases) as caught:
        read_rows(path)
    assert f"{path}, {message}" in str(caught.value)


def test_file_that_is_missing_empty_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCases, match="can't be read"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(BadCases, match="has no rows"):
        read_rows(write(tmp_path / "empty.jsonl", ""))
    (tmp_path / "latin.jsonl").write_bytes(b'{"context": "\xe4"}')
    with pytest.raises(BadCases, match=r"line 1: not UTF-8 \(byte 13\)"):
        read_rows(tmp_path / "latin.jsonl")
