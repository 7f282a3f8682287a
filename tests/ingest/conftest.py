"""A data folder with the in-tree fake embedder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from embedders import CountingEmbedder

from ingest.catalog import Catalog
from ingest.config import IngestSettings
from ingest.originals import Originals
from ingest.pipeline import Ingestion


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.in_folder(tmp_path)
    yield catalog
    catalog.close()


@pytest.fixture
def originals(tmp_path: Path) -> Originals:
    return Originals(tmp_path / "originals")


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def ingestion(catalog: Catalog, originals: Originals, embedder: CountingEmbedder) -> Ingestion:
    return Ingestion(catalog, originals, embedder, IngestSettings(max_upload_mib=0.01, chunk_tokens=40))
