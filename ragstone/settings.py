"""Settings: `ragstone.toml`, then the environment (`RAGSTONE_…`), then flags; later ones win, unknown are refused."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from evals.config import EvalsSettings
from generation.config import GenerationSettings
from ingest.config import IngestSettings
from ragstone.errors import BadSettings
from retrieval.config import RetrievalSettings

DEFAULT_FILE = Path("ragstone.toml")


class ServerSettings(BaseModel):
    """`[server]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(8321, ge=0, le=65535, description="0: any free port")
    wait_timeout_s: float = Field(600, gt=0, description="How long `?wait=true` waits for a job")
    max_request_mib: float = Field(500, gt=0, description="Largest request, all files of an upload together")


class ModelsSettings(BaseModel):
    """`[models]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = Field(
        None, description="Where embedded models are kept; default: ragstone/models in XDG_DATA_HOME"
    )


class Settings(BaseSettings):
    """All settings, each section owned by its package."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="RAGSTONE_", env_nested_delimiter="__", env_ignore_empty=True
    )

    data: Path = Field(Path("ragstone-data"), description="Where everything is kept")
    server: ServerSettings = ServerSettings()
    models: ModelsSettings = ModelsSettings()
    ingest: IngestSettings = IngestSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    generation: GenerationSettings = GenerationSettings()
    evals: EvalsSettings = EvalsSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing ambient: `load_settings` reads the sources one by one, to tell where a value came from."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings, and for each dotted key that was set where it came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> LoadedSettings:
    """Reads the settings once; `file` None means ./ragstone.toml if it exists, `flags` maps dotted keys to values.

    Raises BadSettings naming the key, its value, where it came from and what is expected.
    """
    layers = [
        (f"file {file or DEFAULT_FILE}", _from_file(file)),
        ("environment", _from_environment()),
        ("flag", _nested(flags or {})),
    ]
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        merged = _deep_update(merged, layer)
        origins.update(dict.fromkeys(_flat(layer), origin))
    try:
        return LoadedSettings(Settings(**merged), origins)
    except ValidationError as error:
        raise BadSettings(_explained(error, origins)) from error


def described(loaded: LoadedSettings) -> Iterator[tuple[str, Any, str]]:
    """(dotted key, effective value, where it came from); secrets are masked."""
    for key, value in _flat(loaded.settings.model_dump(mode="json")).items():
        yield key, value, loaded.origins.get(key, "default")


def _from_file(file: Path | None) -> dict[str, Any]:
    path = file or DEFAULT_FILE
    if file is None and not path.exists():
        return {}
    if not path.is_file():
        raise BadSettings(f"the settings file {path} does not exist")
    try:
        return TomlConfigSettingsSource(Settings, path)()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"the settings file {path} is not valid TOML: {error}") from error
    except OSError as error:
        raise BadSettings(f"the settings file {path} can't be read: {error.strerror}") from error


def _from_environment() -> dict[str, Any]:
    sections = {name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith("RAGSTONE_") and name.removeprefix("RAGSTONE_").split("__")[0] not in sections:
            raise BadSettings(f"unknown setting {name} in the environment: sections are {', '.join(sorted(sections))}")
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise BadSettings(f"in the environment: {error}; a whole section is written as JSON") from error


def _deep_update(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`tree` with `changes` laid over it, section by section."""
    updated = dict(tree)
    for key, value in changes.items():
        below = updated.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            updated[key] = _deep_update(below, value)
        else:
            updated[key] = value
    return updated


def _nested(flags: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flags.items():
        *sections, last = key.split(".")
        for section in reversed(sections):
            value, last = {last: value}, section
        tree = _deep_update(tree, {last: value})
    return tree


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _explained(error: ValidationError, origins: Mapping[str, str]) -> str:
    sentences = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        # A discriminated union puts the name of the member into the path; the key in the file has no such part.
        plain = next((known for known in origins if known == key or _without_member(key, known)), key)
        if problem["type"] == "extra_forbidden":
            # Of an unknown section only its name is in the path; what was written are the keys below it.
            written = [known for known in origins if known.startswith(f"{plain}.")] or [plain]
            sentences += [f"unknown setting {name} ({origins.get(name, 'settings')})" for name in written]
        else:
            value = problem["input"]
            said = problem["msg"][0].lower() + problem["msg"][1:]
            sentences.append(f"{plain} = {value!r} ({origins.get(plain, 'settings')}): {said}")
    return "; ".join(sentences) + ". `ragstone settings` shows what is in force"


def _without_member(key: str, known: str) -> bool:
    parts = key.split(".")
    return any(".".join(parts[:i] + parts[i + 1 :]) == known for i in range(1, len(parts)))
