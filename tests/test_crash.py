"""A short run of `benchmarks/crash.py`, with the checks that would notice if it noticed nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parents[1] / "benchmarks" / "crash.py"


def run(folder: Path, *kinds: str, rounds: int, seed: str = "1") -> dict[str, Any]:
    report = folder / "report.json"
    arguments = ["--rounds", str(rounds), "--seed", seed, "--json", str(report), "--place", str(folder / "place")]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--kinds", *kinds, *arguments], capture_output=True, text=True, check=False
    )
    assert report.exists(), done.stderr
    kinds_found: dict[str, Any] = json.loads(report.read_text())["kinds"]
    return kinds_found


def test_a_program_that_forgets_to_sync_loses_and_a_careful_one_does_not(tmp_path: Path) -> None:
    found = run(tmp_path, "shim", rounds=12)["shim"]
    assert found["problems"] == []
    assert found["counts"]["careless replacements lost"] > 0
    assert found["counts"]["careful replacements lost"] == 0


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    found = run(tmp_path, "kill", "cut", "damage", rounds=5)
    assert {kind: its["problems"] for kind, its in found.items()} == {"kill": [], "cut": [], "damage": []}
    assert all(found[kind]["counts"]["acknowledged writes"] > 0 for kind in ("kill", "cut"))
    assert all(found[kind]["counts"]["queries compared"] > 0 for kind in ("kill", "cut"))
