"""Fixtures of all tests. The embedded models are those that `make models` assembled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ragstone.models import MINILM, QWEN, ModelStore, default_models_folder


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
