"""Fixtures of all tests. The embedded models are those that `make models` assembled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from ragstone.models import MINILM, QWEN, ModelStore, default_models_folder

if TYPE_CHECKING:
    from postgresql import PostgresqlServer


# How long a machine takes is nothing that a test may fail on.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")

# Taken out of the environment: what begins like a setting and is none is refused.
BENCHMARK_DATA = os.environ.pop("RAGSTONE_BENCHMARK_DATA", "")


@pytest.fixture(scope="session")
def benchmark_data() -> Path:
    """The folder of the data sets that benchmarks take; where it is not beside the repository, a test is skipped."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(BENCHMARK_DATA) if BENCHMARK_DATA else beside
    if not BENCHMARK_DATA and not folder.is_dir():
        pytest.skip("set RAGSTONE_BENCHMARK_DATA to the folder that holds versioned_docs")
    assert folder.is_dir(), f"RAGSTONE_BENCHMARK_DATA is {folder}, and there is no such folder"
    return folder


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
