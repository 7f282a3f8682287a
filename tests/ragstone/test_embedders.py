"""Embedders built from what the catalog kept of them, with the model's own files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from generation.language_models.scripted import ScriptedLanguageModel
from ingest.errors import CatalogUnavailable
from ragstone.cli import cli
from ragstone.settings import load_settings
from ragstone.wiring import Application
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


def findings(folder: Path, model: Path) -> Any:
    options = ["--data", str(folder), "--set", f"retrieval.embedder.model={model}", "doctor", "--json"]
    return json.loads(CliRunner().invoke(cli, options).stdout)["findings"]


def release_of(folder: Path, model: Path) -> dict[str, Any]:
    """What decides an answer of a process that starts now."""
    settings = load_settings(flags={"data": folder, "retrieval.embedder.model": str(model)}).settings
    application = Application(settings, language_model=ScriptedLanguageModel(["an answer"]))
    try:
        return dict(application.release.content)
    finally:
        application.close()


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


def test_the_model_that_the_settings_name_is_not_needed_once_another_is_in_use(
    tmp_path: Path, model: Path, embedder_folder: Path
) -> None:
    data, document = tmp_path / "data", tmp_path / "a.md"
    document.write_text("The pump weighs 11 kg.")
    run(data, model, "ingest", str(document))
    first = release_of(data, model)
    used = run(data, model, "models", "use-embedder", str(embedder_folder))["space"]
    shutil.rmtree(model)
    (passage,) = run(data, model, "search", "heavy", "--mode", "dense")["passages"]
    assert passage["uri"] == "a.md"
    document.write_text("The pump weighs 12 kg.")
    assert run(data, model, "ingest", str(document))["documents"][0]["state"] == "indexed"
    assert findings(data, model) == []
    # Answers of two spaces are those of two releases.
    second = release_of(data, model)
    assert (first != second, second["space"]) == (True, used)
    # There is no way back to what can't be built: the one in use stays.
    with pytest.raises(ModelUnavailable, match="there is no model"):
        run(data, model, "models", "use-embedder", "--back")
    run(data, model, "search", "heavy")


def test_where_an_input_is_cut_is_part_of_the_space(tmp_path: Path, model: Path) -> None:
    data, document = tmp_path / "data", tmp_path / "a.md"
    document.write_text("The pump moves water from the river to the tank behind the house. " * 3)
    run(data, model, "ingest", str(document))
    cut = run(data, model, "models", "use-embedder", str(model), "--max-tokens", "16")["space"]
    (query,) = ["The pump moves water from the river to the tank behind the house. " * 3]
    score = run(data, model, "search", query, "--mode", "dense")["passages"][0]["scores"]["dense"]
    again = run(data, model, "models", "use-embedder", str(model))["space"]
    assert again != cut
    assert run(data, model, "search", query, "--mode", "dense")["passages"][0]["scores"]["dense"] > 0.99
    assert score > 0.99  # question and document cut alike
    assert len(run(data, model, "models", "spaces")) == 2


def test_the_doctor_names_an_embedder_that_is_missing(tmp_path: Path, model: Path) -> None:
    data, document = tmp_path / "data", tmp_path / "a.md"
    document.write_text("The pump weighs 11 kg.")
    run(data, model, "ingest", str(document))
    assert findings(data, model) == []
    shutil.rmtree(model)
    (finding,) = findings(data, model)
    assert (finding["check"], "there is no model" in finding["finding"]) == ("embedder", True)


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
