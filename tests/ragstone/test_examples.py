"""The examples hold what their questions say. Place: tests/ragstone/test_examples.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.loaders.registry import extract

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line)
    for name in ("questions.jsonl", "more_questions.jsonl")
    for line in (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
]
ANSWERABLE = [row for row in QUESTIONS if row["expect"] == "answer"]


def text_of(folder: str, name: str) -> str:
    path = EXAMPLES / folder / name
    return " ".join(extract(path.read_bytes(), path.name).text.split())


@pytest.mark.parametrize("row", ANSWERABLE, ids=lambda row: row["question"])
def test_facts_stand_in_the_document_named(row: dict[str, Any]) -> None:
    text = text_of("documents", row["document"])
    assert row["facts"] and [fact for fact in row["facts"] if fact not in text] == []


def test_update_changes_the_facts_and_nothing_else_asked_about() -> None:
    updated = {path.name for path in (EXAMPLES / "updates").iterdir()}
    assert updated <= {path.name for path in (EXAMPLES / "documents").iterdir()}
    rows = [row for row in ANSWERABLE if row["document"] in updated]
    assert any("facts_after_update" in row for row in rows)
    for row in rows:
        text = text_of("updates", row["document"])
        expected = row.get("facts_after_update", row["facts"])
        assert [fact for fact in expected if fact not in text] == []
        if "facts_after_update" in row:
            assert [fact for fact in row["facts"] if fact in text] == []


def test_questions_without_an_answer_name_no_document() -> None:
    rows = [row for row in QUESTIONS if row["expect"] == "abstain"]
    assert len(rows) == 4
    assert [row for row in rows if row["facts"] or row["document"] is not None] == []
