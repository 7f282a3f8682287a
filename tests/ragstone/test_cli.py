"""The command line as a user runs it: in processes of its own, or with the in-tree fakes where a model is needed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def ragstone(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program with an empty environment but for what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")}
    models = os.environ.get("RAGSTONE_MODELS__FOLDER")
    kept |= {"RAGSTONE_MODELS__FOLDER": models} if models else {}
    command = [sys.executable, "-c", "from ragstone.cli import main; main()", "--data", str(data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept | environment, cwd=data, timeout=300)


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that a refused command says."""
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ragstone: ")
    return line


def test_settings_are_printed_with_their_origins(tmp_path: Path) -> None:
    done = ragstone(tmp_path, "settings", "--json", RAGSTONE_RETRIEVAL__K="3")
    rows = {row["key"]: (row["value"], row["from"]) for row in json.loads(done.stdout)}
    assert rows["retrieval.k"] == (3, "environment")
    assert rows["data"] == (str(tmp_path), "flag")


def test_a_wrong_setting_ends_with_2_and_one_line(tmp_path: Path) -> None:
    assert "unknown setting ingest.colour" in refused(ragstone(tmp_path, "--set", "ingest.colour=red", "status"), 2)


def test_status_of_a_new_folder(tmp_path: Path) -> None:
    done = ragstone(tmp_path, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["revision"] == 0


def test_a_missing_embedder_ends_with_3_and_says_what_to_do(tmp_path: Path) -> None:
    done = ragstone(tmp_path, "search", "anything", RAGSTONE_MODELS__FOLDER=str(tmp_path / "none"))
    assert "ragstone models fetch" in refused(done, 3)


def test_a_missing_path_ends_with_2(tmp_path: Path) -> None:
    assert "no file or folder" in refused(ragstone(tmp_path, "ingest", "nowhere.md"), 2)


def test_an_unknown_document_ends_with_2(tmp_path: Path) -> None:
    assert "no document" in refused(ragstone(tmp_path, "delete", "d-none"), 2)


def test_what_is_not_built_says_so(tmp_path: Path) -> None:
    assert "not built yet" in refused(ragstone(tmp_path, "train", "--method", "sft"), 2)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(ragstone(tmp_path, "serve", "--port", str(port)), 3)
    assert str(port) in line
    assert "--port" in line


def test_listening_elsewhere_without_a_key_is_refused(tmp_path: Path) -> None:
    assert "without an API key" in refused(ragstone(tmp_path, "serve", "--host", "0.0.0.0"), 3)


def test_importing_the_service_imports_no_heavy_library() -> None:
    program = (
        "import sys, ragstone.cli, ragstone.api.app; "
        "heavy = {'torch', 'transformers', 'llama_index', 'sentence_transformers', 'faiss', 'xllamacpp'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.models
def test_ingest_search_and_status_with_the_embedded_embedder(tmp_path: Path, embedder_folder: Path) -> None:
    documents = tmp_path / "documents"
    (documents / "sub").mkdir(parents=True)
    (documents / ".hidden").mkdir()
    (documents / "pump.md").write_text("# Pump\n\nThe small pump weighs 11 kg.")
    (documents / "sub" / "valve.md").write_text("Valves are closed by hand.")
    (documents / ".hidden" / "secret.md").write_text("not taken")
    done = ragstone(tmp_path, "ingest", "documents", "--json")
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)["documents"]
    assert [(outcome["uri"], outcome["state"]) for outcome in outcomes] == [
        ("pump.md", "indexed"),
        ("sub/valve.md", "indexed"),
    ]
    found = json.loads(ragstone(tmp_path, "search", "how heavy is the pump", "--json").stdout)
    assert found["passages"][0]["uri"] == "pump.md"
    listed = json.loads(ragstone(tmp_path, "documents", "--json").stdout)["documents"]
    assert len(listed) == 2
    (tmp_path / "bad.xyz").write_text("text")
    mixed = ragstone(tmp_path, "ingest", "documents", "bad.xyz")
    assert mixed.returncode == 2
    assert "2 unchanged, 1 failed" in mixed.stdout
    assert "bad.xyz" in mixed.stdout
    assert ragstone(tmp_path, "doctor").returncode == 0
