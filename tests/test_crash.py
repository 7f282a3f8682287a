"""A short run of `benchmarks/crash.py`, with the checks that would notice if it noticed nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "benchmarks" / "crash.py"
KINDS = ("shim", "kill", "postgresql", "cut", "damage", "readonly")
ROUNDS = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a few rounds of each kind found."""
    folder = tmp_path_factory.mktemp("crash")
    report = folder / "report.json"
    arguments = ["--rounds", str(ROUNDS), "--seed", "1", "--json", str(report), "--place", str(folder / "place")]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--kinds", *KINDS, *arguments], capture_output=True, text=True, check=False
    )
    assert report.exists(), done.stderr
    kinds: dict[str, Any] = json.loads(report.read_text())["kinds"]
    return kinds


def test_a_program_that_forgets_to_sync_loses_and_a_careful_one_does_not(found: dict[str, Any]) -> None:
    assert found["shim"]["counts"]["careless replacements lost"] > 0
    assert found["shim"]["counts"]["careful replacements lost"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_acknowledged_is_lost(found: dict[str, Any], kind: str) -> None:
    assert found[kind]["problems"] == []
    assert found[kind]["rounds"] == ROUNDS


@pytest.mark.parametrize("kind", ["kill", "postgresql", "cut", "readonly"])
def test_the_rounds_looked_at_something(found: dict[str, Any], kind: str) -> None:
    counts = found[kind]["counts"]
    assert all(counts[what] > 0 for what in ("acknowledged writes", "doctor runs", "queries compared"))


def test_folders_that_could_not_be_written_refused_something(found: dict[str, Any]) -> None:
    assert any(what.startswith("refused with") for what in found["readonly"]["counts"])
