"""Imports point one way: ingest <- retrieval, adapters <- generation <- evals <- ragstone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "ingest": set(),
    "retrieval": {"ingest"},
    "adapters": {"ingest"},
    "generation": {"ingest", "retrieval", "adapters"},
    "evals": {"ingest", "retrieval", "adapters", "generation"},
    "ragstone": {"ingest", "retrieval", "adapters", "generation", "evals"},
}

# From the ground up: each imports only from those before it, and what everything may import.
ROOMS_OF_INGEST = (
    *("catalog", "chunks", "loaders", "jobs", "screening", "extraction", "revisions", "quarantine", "sources"),
)
_BELOW_ALL = ("types", "config", "errors", "identity", "disk", "bugs", "ending")
EVERYWHERE_IN_INGEST = {
    **dict.fromkeys(ROOMS_OF_INGEST, _BELOW_ALL),
    "extraction": (*_BELOW_ALL, "redaction"),
    "quarantine": (*_BELOW_ALL, "source_items"),
    "sources": (*_BELOW_ALL, "source_items", "originals", "pipeline"),
}

# The one function that reads as the main path of each package, and how long it may be.
MAIN_PATHS = {
    "ingest/pipeline.py": "ingest",
    "retrieval/search.py": "search",
    "generation/answer.py": "answer",
    "evals/run.py": "evaluate_verifier",
}
MAX_MAIN_PATH_LINES = 70


def imported_packages(path: Path) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of every import, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide where a thing lives"
            assert node.module is not None
            yield node.lineno, node.module.split(".")[0]


def violations(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{line} imports {imported}"
        for package, allowed in MAY_IMPORT.items()
        for path in sorted((root / package).rglob("*.py"))
        for line, imported in imported_packages(path)
        if imported in MAY_IMPORT and imported != package and imported not in allowed
    ]


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


def test_an_import_against_the_direction_is_found(tmp_path: Path) -> None:
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "wrong.py").write_text("def f():\n    from retrieval.search import Searcher\n")
    assert violations(tmp_path) == ["ingest/wrong.py:2 imports retrieval"]


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """(line, subpackage or module) of every import from `ingest`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] == "ingest":
            names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names)


def test_the_rooms_of_ingest_stand_on_those_below() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} imports ingest.{imported}"
        for floor, room in enumerate(ROOMS_OF_INGEST)
        for path in sorted((ROOT / "ingest" / room).rglob("*.py"))
        for line, imported in imported_rooms(path)
        if imported not in (*ROOMS_OF_INGEST[: floor + 1], *EVERYWHERE_IN_INGEST[room])
    ]
    assert found == []
    assert {path.parent.name for path in ROOT.glob("ingest/*/__init__.py")} == set(ROOMS_OF_INGEST)


def test_packages_rhyme() -> None:
    for package in ("ingest", "retrieval", "generation", "evals"):
        present = {path.name for path in (ROOT / package).glob("*.py")}
        assert {"types.py", "config.py", "errors.py"} <= present, package


@pytest.mark.parametrize(("file", "function"), MAIN_PATHS.items())
def test_main_paths_fit_on_a_page_and_read_as_numbered_steps(file: str, function: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    found = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    assert len(found) == 1
    node = found[0]
    assert node.end_lineno is not None
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    assert len(lines) <= MAX_MAIN_PATH_LINES
    steps = [line.strip() for line in lines if line.strip().startswith("# ") and line.strip()[2].isdigit()]
    assert len(steps) >= 3


def test_no_package_imports_a_heavy_library_at_the_top() -> None:
    """Serving must start in seconds: these are imported where they are needed."""
    heavy = {"torch", "transformers", "sentence_transformers", "llama_index", "peft", "trl"}
    offenders = []
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in tree.body:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                offenders += [f"{path}:{node.lineno}" for name in names if name.split(".")[0] in heavy]
    assert offenders == []
