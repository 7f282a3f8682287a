"""The commands of docs/operations.md are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ragstone.settings import load_settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.models
def test_the_commands_of_the_page_run_one_after_the_other(tmp_path: Path, embedder_folder: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "pump.md").write_text("# Pump\n\nThe warranty of the pump lasts five years.\n")
    commands = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    assert len(commands) == 8
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")}
    environment |= {"RAGSTONE_MODELS__FOLDER": str(embedder_folder.parent)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for command in ("ragstone ingest pump.md", *commands, "ragstone --data restored status"):
        done = subprocess.run(
            command, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert "1 documents, 1 chunks" in done.stdout


def test_the_settings_of_the_page_are_accepted(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    tomllib.loads(block)
    file = tmp_path / "ragstone.toml"
    file.write_text(block, encoding="utf-8")
    assert load_settings(file).settings.ingest.retention.keep_days == 365


def test_the_page_tells_of_every_check_of_the_doctor() -> None:
    from ragstone.doctor import CHECKS

    named = {name.strip() for row in re.findall(r"^\| ([a-z, ]+) \|", PAGE, re.MULTILINE) for name in row.split(",")}
    assert {check.name for check in CHECKS} == named - {"check"}
