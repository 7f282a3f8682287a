"""The command line as a user runs it: in processes of its own, or with the in-tree fakes where a model is needed."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from service import service, upload

from ragstone.exit_codes import exit_code_of


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


@pytest.mark.parametrize("command", [["search", "pump"], ["ask", "Which pump?"], ["documents"], ["revisions"]])
def test_reading_where_nothing_was_kept_makes_nothing(tmp_path: Path, command: list[str]) -> None:
    line = refused(ragstone(tmp_path, "--data", str(tmp_path / "typo"), *command), exit_code_of("empty-index"))
    assert "name the folder by --data" in line
    assert list(tmp_path.iterdir()) == []


def test_status_of_a_new_folder(tmp_path: Path) -> None:
    done = ragstone(tmp_path, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["revision"] == 0


def test_a_missing_embedder_ends_with_3_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The small pump weighs 11 kg.")
    done = ragstone(tmp_path, "ingest", "a.md", RAGSTONE_MODELS__FOLDER=str(tmp_path / "none"))
    *logged, line = done.stderr.strip().splitlines()
    assert done.returncode == 3
    assert line.startswith("ragstone: ") and "ragstone models fetch" in line
    assert "Traceback" not in "".join(logged)


def test_a_missing_path_ends_with_2(tmp_path: Path) -> None:
    assert "no file or folder" in refused(ragstone(tmp_path, "ingest", "nowhere.md"), 2)


@pytest.mark.parametrize("place", ["file", "/proc/nowhere"])
def test_a_data_folder_that_cannot_be_is_named_with_the_reason(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("no folder")
    line = refused(ragstone(tmp_path, "--data", place, "status"), 2)
    assert f"the data folder {place} can't be used: " in line
    asked = ragstone(tmp_path, "--data", place, "doctor", "--json")
    assert place in refused(asked, 2)
    assert json.loads(asked.stdout)["sound"] is False


def test_what_changes_nothing_makes_no_folder_of_a_mistyped_name(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    commands = (
        "status, doctor, keys list, keys revoke k, jobs list, backup b, documents, rollback 0, batch promote b, purge, "
        "pins, models use-embedder --back, ingest --batch b ."
    )
    for command in commands.split(", "):
        refused(ragstone(tmp_path, "--data", "mistyped", *command.split()), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]


def test_a_catalog_that_is_no_database_ends_with_3_and_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(bytes(range(256)) * 100)
    for command in (["status"], ["revisions"]):
        assert "restore a backup" in refused(ragstone(tmp_path, *command), 3)
    asked = ragstone(tmp_path, "doctor", "--json")
    assert (asked.returncode, asked.stderr) == (1, "")
    assert "catalog" in {row["check"] for row in json.loads(asked.stdout)["findings"]}


def test_damaged_pages_of_the_catalog_end_with_3_and_are_a_finding(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        for number in range(30):
            upload(client, f"{number}.md", f"# Pump {number}\n\n{'It weighs 11 kg. ' * 50}".encode())
    catalog = tmp_path / "catalog.sqlite"
    data = bytearray(catalog.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle - 20 * 4096 : middle + 20 * 4096] = b"\xa5" * (40 * 4096)
    catalog.write_bytes(data)
    assert "restore a backup" in refused(ragstone(tmp_path, "status"), 3)
    asked = ragstone(tmp_path, "doctor", "--json")
    assert (asked.returncode, asked.stderr) == (1, "")
    assert any("damaged" in row["finding"] for row in json.loads(asked.stdout)["findings"] if row["check"] == "catalog")


def test_a_bug_is_one_line_with_an_id_and_never_the_answer_no(tmp_path: Path) -> None:
    # Nobody foresaw a row of the catalog that holds no time.
    assert ragstone(tmp_path, "status").returncode == 0
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("insert into revisions values (1, 'never', 'nothing', null, null, 0, 0)")
    assert "a bug in Ragstone" in refused(ragstone(tmp_path, "revisions"), 3)
    assert "Traceback" in ragstone(tmp_path, "--verbose", "revisions").stderr


def test_names_are_checked_as_in_the_service(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    for command in (["ingest", "a.md"], ["documents"], ["search", "pump"], ["ask", "pump"]):
        assert "no collection name" in refused(ragstone(tmp_path, *command, "--collection", "../x"), 2)
    assert "is no URI" in refused(ragstone(tmp_path, "ingest", "a.md", "--uri", "two\nlines"), 2)
    assert "not valid UTF-8" in refused(ragstone(tmp_path, "search", "\udcff"), 2)


def test_what_is_said_of_a_strange_path_stays_on_its_line(tmp_path: Path) -> None:
    line = refused(ragstone(tmp_path, "ingest", "no\nragstone: \x1b[31m.md"), 2)
    assert "\x1b" not in line


def test_two_files_that_would_be_one_document_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text(folder)
    line = refused(ragstone(tmp_path, "ingest", "one", "two"), 2)
    assert all(said in line for said in ("one/README.md", "two/README.md", "--uri"))
    assert json.loads(ragstone(tmp_path, "status", "--json").stdout)["versions"] == 0


def test_all_documents_are_one_json_document(tmp_path: Path) -> None:
    assert ragstone(tmp_path, "status").returncode == 0
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)) as connection:
        for number in range(1001):
            name = f"d-{number:04}"
            connection.execute("insert into documents values (?, 'default', ?, '{}')", (name, name))
            connection.execute(
                "insert into versions values (?, 1, 'h', 't', 'm', 'x', x'00', 0, 1, null, '2026-01-01 00:00:00')",
                (name,),
            )
            connection.execute("insert into showings values (?, ?, 1, 'p', 1, null)", (number + 1, name))
    listed = json.loads(ragstone(tmp_path, "documents", "--json").stdout)
    assert (len(listed["documents"]), listed["next_cursor"]) == (1001, None)


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00", "-1"])
def test_as_of_takes_no_other_moment(tmp_path: Path, moment: str) -> None:
    for command in ("search", "ask"):
        assert "RFC 3339" in refused(ragstone(tmp_path, command, "pump", "--as-of", moment), 2)


@pytest.mark.parametrize("assignment", ["=1", "ingest..k=1"])
def test_an_assignment_without_a_key_is_refused(tmp_path: Path, assignment: str) -> None:
    assert "write KEY=VALUE" in refused(ragstone(tmp_path, "--set", assignment, "status"), 2)


def test_an_unknown_section_is_named_with_its_key(tmp_path: Path) -> None:
    assert "unknown setting foo.bar (flag)" in refused(ragstone(tmp_path, "--set", "foo.bar=1", "status"), 2)


@pytest.mark.parametrize(("code", "expected"), [("storage-full", 3), ("internal-error", 3), ("corrupt-document", 2)])
def test_exit_codes_tell_what_may_be_tried_again(code: str, expected: int) -> None:
    assert exit_code_of(code) == expected


def test_the_demo_sends_no_control_codes_to_a_file() -> None:
    demo = Path(__file__).parents[2] / "examples" / "demo.sh"
    done = subprocess.run(["bash", str(demo), "true"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Five documents" in done.stdout
    assert "\x1b" not in done.stdout


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
    assert {outcome["uri"]: outcome["state"] for outcome in outcomes} == {
        "pump.md": "indexed",
        "sub/valve.md": "indexed",
    }
    found = json.loads(ragstone(tmp_path, "search", "how heavy is the pump", "--json").stdout)
    assert found["passages"][0]["uri"] == "pump.md"
    listed = json.loads(ragstone(tmp_path, "documents", "--json").stdout)["documents"]
    assert len(listed) == 2
    (tmp_path / "bad.xyz").write_bytes(b"\0text")
    mixed = ragstone(tmp_path, "ingest", "documents", "bad.xyz")
    assert mixed.returncode == 2
    assert "2 unchanged, 1 failed" in mixed.stdout
    assert "bad.xyz" in mixed.stdout
    assert ragstone(tmp_path, "doctor").returncode == 0
    # As of a revision, or of a time.
    (documents / "tank.md").write_text("The tank holds 90 litres.")
    assert ragstone(tmp_path, "ingest", "documents").returncode == 0
    assert passages_as_of(tmp_path, "1") == {"pump.md", "sub/valve.md"}
    assert passages_as_of(tmp_path, "2100-01-01T00:00:00+01:00") == {"pump.md", "sub/valve.md", "tank.md"}
    assert "revision 0" in refused(ragstone(tmp_path, "search", "pump", "--as-of", "2020-01-01T00:00:00Z"), 2)
    # Nothing is said of originals, chunks and vectors without the embedder's files, but all of them are checked.
    blind = ragstone(tmp_path, "doctor", "--json", RAGSTONE_MODELS__FOLDER=str(tmp_path / "none"))
    assert blind.returncode == 1
    assert {row["check"] for row in json.loads(blind.stdout)["findings"]} == {"models", "embedder"}


def passages_as_of(data: Path, moment: str) -> set[str]:
    found = ragstone(data, "search", "pump valve", "--as-of", moment, "--json")
    assert found.returncode == 0, found.stderr
    return {passage["uri"] for passage in json.loads(found.stdout)["passages"]}
