"""What an upload, an update and a search ask of the catalog goes by an index that leads to few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from service import application_in
from sqlalchemy import event

from ingest.pipeline import IncomingFile
from ragstone.wiring import Application
from retrieval.search import SearchRequest

# Jobs that wait are few; the temporary tree sorts those.
ALLOWED = ("SCAN CONSTANT ROW", "USE TEMP B-TREE FOR ORDER BY", "COMPOUND QUERY", "LEFT-MOST SUBQUERY", "UNION ALL")


def upload(application: Application, text: str, readable: list[str] | None = None) -> None:
    file = IncomingFile("a.md", "a.md", text.encode())
    application.ingestion.submit([file], "default", None, readable=readable)
    assert application.worker.work_off()
    application.searcher.search(SearchRequest(query="pump", collections=frozenset({"default"})))


@pytest.fixture
def asked(tmp_path: Path) -> list[tuple[str, list[str]]]:
    """The statements of an upload, an update and searches, each with SQLite's plan."""
    application = application_in(tmp_path)
    said: list[tuple[str, Any]] = []
    upload(application, "The pump weighs 11 kg.")

    @event.listens_for(application.catalog.database.engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        said.append((statement, parameters[0] if many else parameters))

    upload(application, "The pump weighs 12 kg.")
    upload(application, "The pump weighs 13 kg.", readable=["default"])
    event.remove(application.catalog.database.engine, "before_cursor_execute", note)
    plans = []
    with application.catalog.reading() as connection:
        for statement, parameters in said:
            if not statement.startswith(("BEGIN", "PRAGMA")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append((statement, [row[3] for row in rows]))
    return plans


def test_nothing_passes_over_a_table(asked: list[tuple[str, list[str]]]) -> None:
    assert len(asked) > 50
    for statement, plan in asked:
        steps = [step for step in plan if not step.startswith(ALLOWED)]
        assert not [step for step in steps if step.startswith("SCAN")], statement


def test_nothing_goes_by_all_that_still_stands(asked: list[tuple[str, list[str]]]) -> None:
    for statement, plan in asked:
        assert not [step for step in plan if "removed_in=?" in step], statement
