"""Docs are run: what the README and the pages under docs/ say is compared with what is there."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ingest.identity import document_id_of
from ragstone.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGES = ("ingest", "retrieval", "generation", "evals", "adapters", "ragstone")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def test_the_settings_page_is_that_of_the_settings() -> None:
    specification = importlib.util.spec_from_file_location("page", ROOT / "docs" / "make_settings_page.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == module.page()


def test_the_make_targets_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert named == {"demo", "test", "serve"}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_settings_in_the_readme_are_accepted(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    tomllib.loads(block)
    file = tmp_path / "ragstone.toml"
    file.write_text(block, encoding="utf-8")
    assert load_settings(file).settings.generation.model.kind == "openai-compatible"


def test_the_tree_in_the_readme_has_a_line_for_every_module() -> None:
    (tree,) = (block for block in blocks("") if "pipeline.py" in block)
    named = set(re.findall(r"^ *([\w/]+\.(?:py|html))  ", tree, re.MULTILINE))
    there = {
        path.relative_to(ROOT / package).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".html"} and path.name != "__init__.py"
    }
    assert named == there


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


@pytest.mark.models
def test_the_commands_in_the_readme_run(tmp_path: Path, language_model_file: Path, embedder_folder: Path) -> None:
    docs = tmp_path / "docs.git"
    docs.mkdir()
    (docs / "returns.md").write_text("# Returns\n\nA pump can be returned within thirty days.\n")
    git = ("git", "-C", str(docs), "-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "Returns")):
        subprocess.run([*git, *arguments], check=True)
    handbook = tmp_path / "handbook"
    handbook.mkdir()
    (handbook / "warranty.md").write_text("# Warranty\n\nThe warranty of the pump lasts five years.\n")
    (use,) = (block for block in blocks("sh") if "ragstone ask" in block)
    commands = [line.split("#")[0].strip() for line in use.strip().splitlines()]
    assert len(commands) >= 6
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")}
    environment |= {"RAGSTONE_GENERATION__MODEL__LINGER_S": "0", "RAGSTONE_MODELS__FOLDER": str(embedder_folder.parent)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    said = ""
    embedder = f"{embedder_folder} --document-prefix 'passage: '"
    # The examples' revision, document, folder and repository are none that there are here.
    here = {"--as-of 3": "--as-of 1", "rollback 3": "rollback 1", "use-embedder DIR": f"use-embedder {embedder}"}
    here |= {"d-0123": document_id_of("default", "warranty.md"), "https://example.org/docs.git": docs.as_uri()}
    for command in commands:
        for example, value in here.items():
            command = command.replace(example, value)
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said += done.stdout
    assert "five years" in said
    assert "[1]" in said
