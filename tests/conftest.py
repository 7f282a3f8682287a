"""Fixtures of all tests. The embedded models are those that `make models` assembled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragstone.models import MINILM, QWEN, ModelStore, default_models_folder

if TYPE_CHECKING:
    from postgresql import PostgresqlServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A server that starts when the first test asks for it, and ends with the session."""
    from postgresql import running

    with running() as server:
        yield server


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    folder = os.environ.get("RAGSTONE_MODELS__FOLDER")
    return ModelStore(Path(folder) if folder else default_models_folder())


@pytest.fixture(scope="session")
def embedder_folder(model_store: ModelStore) -> Path:
    """model.onnx and tokenizer.json of the embedded embedder; an error, not a skip, where they are missing."""
    return model_store.require(MINILM)


@pytest.fixture(scope="session")
def language_model_file(model_store: ModelStore) -> Path:
    return model_store.require(QWEN) / "model.gguf"
