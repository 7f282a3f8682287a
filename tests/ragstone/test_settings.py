from __future__ import annotations

from pathlib import Path

import pytest

from ragstone.errors import BadSettings
from ragstone.settings import described, load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No ragstone.toml but the test's own, and no settings from the caller's environment."""
    import os

    for name in list(os.environ):
        if name.startswith("RAGSTONE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_file_environment_and_flags_win_in_that_order(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "ragstone.toml").write_text(
        "[ingest]\nchunk_tokens = 50\nchunk_overlap_tokens = 5\nmax_upload_mib = 1\n[retrieval.embedder]\nthreads = 1\n"
    )
    monkeypatch.setenv("RAGSTONE_INGEST__CHUNK_OVERLAP_TOKENS", "6")
    monkeypatch.setenv("RAGSTONE_INGEST__MAX_UPLOAD_MIB", "2")
    loaded = load_settings(flags={"ingest.max_upload_mib": "3"})
    ingest = loaded.settings.ingest
    assert (ingest.chunk_tokens, ingest.chunk_overlap_tokens, ingest.max_upload_mib) == (50, 6, 3)
    origins = {key: origin for key, _, origin in described(loaded)}
    assert origins["ingest.chunk_tokens"] == "file ragstone.toml"
    assert origins["ingest.chunk_overlap_tokens"] == "environment"
    assert origins["ingest.max_upload_mib"] == "flag"
    assert origins["retrieval.embedder.threads"] == "file ragstone.toml"
    assert origins["retrieval.k"] == "default"


def test_the_data_folder_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSTONE_DATA", "/somewhere")
    assert load_settings().settings.data == Path("/somewhere")


def test_part_of_a_model_section_keeps_the_default_kind() -> None:
    settings = load_settings(flags={"generation.model.threads": 3}).settings
    assert (settings.generation.model.kind, settings.generation.model.threads) == ("llama-cpp", 3)  # type: ignore[union-attr]


def test_another_kind_of_model_is_chosen_by_its_name() -> None:
    flags = {
        "generation.model.kind": "openai-compatible",
        "generation.model.base_url": "http://127.0.0.1:1/v1",
        "generation.model.model": "m",
    }
    assert load_settings(flags=flags).settings.generation.model.kind == "openai-compatible"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"ingest.chunk_token": 5}, "unknown setting ingest.chunk_token"),
        ({"colour": "red"}, "unknown setting colour"),
        ({"generation.model.thread": 5}, "unknown setting generation.model.thread"),
        ({"ingest.chunk_tokens": 2}, "ingest.chunk_tokens = 2 .flag.: input should be greater than or equal to 16"),
        ({"server.port": "http"}, "server.port = 'http' .flag."),
        ({"generation.model.kind": "magic"}, "magic"),
    ],
)
def test_wrong_settings_are_named_with_their_origin(flags: dict[str, object], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        load_settings(flags=flags)


@pytest.mark.parametrize("name", ["RAGSTONE_COLOUR", "RAGSTONE_INGEST__COLOUR"])
def test_unknown_names_in_the_environment_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "red")
    with pytest.raises(BadSettings, match=r"(?i)colour"):
        load_settings()


def test_files_that_are_missing_or_no_toml_are_refused(empty_folder: Path) -> None:
    with pytest.raises(BadSettings, match="does not exist"):
        load_settings(Path("other.toml"))
    (empty_folder / "ragstone.toml").write_text("[ingest\n")
    with pytest.raises(BadSettings, match="not valid TOML"):
        load_settings()


def test_secrets_are_not_shown() -> None:
    flags = {
        "generation.model.kind": "openai-compatible",
        "generation.model.base_url": "http://127.0.0.1:1/v1",
        "generation.model.model": "m",
        "generation.model.api_key": "very-secret",
    }
    assert "very-secret" not in str(list(described(load_settings(flags=flags))))
