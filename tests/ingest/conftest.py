"""A data folder with the in-tree fake embedder, its catalog on each database in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from embedders import CountingEmbedder
from emptying import EMPTY
from sqlalchemy import URL

from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings
from ingest.extraction.process import ReadHere
from ingest.originals import Originals
from ingest.pipeline import Ingestion

if TYPE_CHECKING:
    from postgresql import PostgresqlServer


@pytest.fixture(scope="session")
def postgresql_database(postgresql: PostgresqlServer) -> Iterator[URL]:
    """One database for all tests: emptying it is quicker than making one."""
    with postgresql.database() as url:
        Catalog(url).close()
        yield url


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer, postgresql_database: URL) -> URL:
    """Of an empty catalog."""
    postgresql.end_connections(postgresql_database)
    postgresql.run("; ".join(EMPTY), str(postgresql_database.database))
    return postgresql_database


@pytest.fixture
def postgresql_catalog(postgresql_url: URL) -> Iterator[Catalog]:
    catalog = Catalog(postgresql_url)
    yield catalog
    catalog.close()


@pytest.fixture
def sqlite_catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.in_folder(tmp_path)
    yield catalog
    catalog.close()


@pytest.fixture
def empty_postgresql_url(postgresql: PostgresqlServer) -> Iterator[URL]:
    """Of a database without tables, which belongs to the test."""
    with postgresql.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Of an empty catalog."""
    if request.param == "postgresql":
        url: URL = request.getfixturevalue("postgresql_url")
        return url
    return URL.create("sqlite", database=str(tmp_path / "catalog.sqlite"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Of a database without tables."""
    if request.param == "postgresql":
        url: URL = request.getfixturevalue("empty_postgresql_url")
        return url
    return URL.create("sqlite", database=str(tmp_path / "empty.sqlite"))


@pytest.fixture
def catalog(catalog_url: URL) -> Iterator[Catalog]:
    catalog = Catalog(catalog_url)
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
    return Ingestion(catalog, originals, embedder, IngestSettings(max_upload_mib=0.01, chunk_tokens=40), ReadHere())
