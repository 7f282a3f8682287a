"""`ragstone keys`, `ragstone collections` and what `serve` says of keys, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from service import service

from ragstone.cli import cli


def run(data: Path, *arguments: str) -> str:
    """What the command prints, errors included."""
    result = CliRunner().invoke(cli, ["--data", str(data), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(data: Path, *arguments: str) -> str:
    """The one line of a refused command."""
    program = "from ragstone.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--data", str(data), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_key_made_on_the_command_line_opens_a_running_service_until_it_is_revoked(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        assert client.get("/v1/index").status_code == 200
        made = json.loads(
            run(
                *(tmp_path, "keys", "create", "phone", "--collection", "a", "--action", "read", "--user", "alice"),
                *("--requests-per-minute", "100", "--concurrent-answers", "1", "--upload-mib-per-day", "2.5", "--json"),
            )
        )
        assert (made["collections"], made["actions"], made["user"]) == (["a"], ["read"], "alice")
        assert made["limits"] == {"requests_per_minute": 100, "concurrent_answers": 1, "upload_mib_per_day": 2.5}
        header = {"Authorization": f"Bearer {made['key']}"}
        assert client.get("/v1/index").status_code == 401
        assert client.get("/v1/index", headers=header).status_code == 200
        (listed,) = json.loads(run(tmp_path, "keys", "list", "--json"))["keys"]
        assert listed == {name: value for name, value in made.items() if name != "key"}
        assert "open to all its users again" in run(tmp_path, "keys", "revoke", made["key_id"])
        assert client.get("/v1/index", headers=header).status_code == 401
    line = run(tmp_path, "keys", "list")
    assert "phone: read; collections a; user alice; requests per minute 100" in line
    assert "revoked" in line
    assert made["key"] not in line


def test_the_secret_is_the_last_line_that_is_printed(tmp_path: Path) -> None:
    lines = run(tmp_path, "keys", "create", "laptop").splitlines()
    assert lines[0].endswith("laptop: ask, read; all collections")
    assert lines[-1].startswith("rs_")


def test_what_no_key_can_have_is_named_in_one_line(tmp_path: Path) -> None:
    assert "collection name" in refused(tmp_path, "keys", "create", "x", "--collection", "../etc")
    assert "limits.requests_per_minute" in refused(tmp_path, "keys", "create", "x", "--requests-per-minute", "0")
    assert "no key k-none" in refused(tmp_path, "keys", "revoke", "k-none")


def test_collections_are_listed(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        made = client.put("/v1/collections/a", json={"retention": {"keep_revisions": 5}}).json()
    (listed,) = json.loads(run(tmp_path, "collections", "--json"))["collections"]
    assert (listed["name"], listed["settings"]) == (made["name"], made["settings"])
    assert 'a  0 documents, 0 chunks, settings {"retention": {"keep_revisions": 5}}' in run(tmp_path, "collections")


def test_erasing_what_is_not_there_says_so(tmp_path: Path) -> None:
    assert "no document d-none" in refused(tmp_path, "delete", "d-none", "--erase")
