"""Embedders built from what the catalog kept of them, with the model's own files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingest.errors import CatalogUnavailable
from ragstone.cli import cli
from retrieval.errors import ModelUnavailable

pytestmark = pytest.mark.models


@pytest.fixture
def model(tmp_path: Path, embedder_folder: Path) -> Path:
    """A folder with the embedder, of which the tokenizer can be changed."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in embedder_folder.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "tokenizer.json").unlink()
    shutil.copy(embedder_folder / "tokenizer.json", folder / "tokenizer.json")
    return folder


def run(folder: Path, model: Path, *arguments: str) -> Any:
    options = ["--data", str(folder), "--set", f"retrieval.embedder.model={model}"]
    result = CliRunner().invoke(cli, [*options, *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_model_whose_files_were_replaced_is_refused_until_its_own_space_is_filled(
    tmp_path: Path, model: Path
) -> None:
    data, document = tmp_path / "data", tmp_path / "a.md"
    document.write_text("The pump weighs 11 kg.")
    run(data, model, "ingest", str(document))
    before = run(data, model, "search", "heavy", "--mode", "dense")["passages"]
    tokenizer = model / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    document.write_text("The pump weighs 12 kg.")
    for command in (["search", "heavy"], ["ingest", str(document)]):
        with pytest.raises((ModelUnavailable, CatalogUnavailable), match="is not the one any more"):
            run(data, model, *command)
    run(data, model, "models", "use-embedder", str(model))
    assert run(data, model, "search", "heavy", "--mode", "dense")["passages"][0]["scores"] == before[0]["scores"]
    (again,) = run(data, model, "ingest", str(document))["documents"]
    assert (again["state"], again["version"]) == ("unchanged", 2)  # what waited was taken meanwhile


def test_what_needs_no_model_works_without_its_files(tmp_path: Path, model: Path) -> None:
    data, document = tmp_path / "data", tmp_path / "a.md"
    document.write_text("The pump weighs 11 kg.")
    (taken,) = run(data, model, "ingest", str(document))["documents"]
    (model / "model.onnx").unlink()
    (passage,) = run(data, model, "search", "pump", "--mode", "lexical")["passages"]
    assert passage["uri"] == "a.md"
    assert run(data, model, "rollback", "0") == {"revision": 2}
    run(data, model, "delete", taken["document_id"], "--erase")
    assert [job["state"] for job in run(data, model, "jobs", "list")["jobs"]] == ["done", "done"]
    assert b"weighs" not in b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file())


def test_batches_and_jobs_on_the_command_line(tmp_path: Path, model: Path) -> None:
    data = tmp_path / "data"
    for name, text in (("a.md", "A red pump with a hose."), ("b.md", "A blue hose.")):
        (tmp_path / name).write_text(text)
    run(data, model, "ingest", str(tmp_path / "a.md"))
    batch = run(data, model, "batch", "open")["batch_id"]
    (staged,) = run(data, model, "ingest", "--batch", batch, str(tmp_path / "b.md"))["documents"]
    assert staged["state"] == "indexed"
    found = [run(data, model, "search", "hose", *its)["passages"] for its in ([], ["--batch", batch])]
    assert [sorted(passage["uri"] for passage in passages) for passages in found] == [["a.md"], ["a.md", "b.md"]]
    assert [job["state"] for job in run(data, model, "jobs", "list")["jobs"]] == ["done", "done"]
    assert run(data, model, "batch", "promote", batch) == {"revision": 2}
