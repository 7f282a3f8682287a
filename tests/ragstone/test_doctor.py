from __future__ import annotations

from pathlib import Path

import pytest
from service import application_in, service, upload
from sqlalchemy import update

from ingest import schema
from ragstone.doctor import CHECKS, Finding
from ragstone.wiring import Application

TEXT = b"# Pump\n\nThe small pump weighs 11 kg."


@pytest.fixture
def application(tmp_path: Path) -> Application:
    """A data folder with one document, as a stopped service left it."""
    with service(tmp_path) as client:
        upload(client, "pump.md", TEXT)
    return application_in(tmp_path)


def findings(application: Application) -> list[Finding]:
    return [finding for check in CHECKS if check.name != "models" for finding in check.run(application)]


def test_a_sound_folder_has_no_findings(application: Application) -> None:
    assert findings(application) == []


def test_a_damaged_original_is_found(application: Application, tmp_path: Path) -> None:
    (original,) = (tmp_path / "originals").glob("??/*")
    original.write_bytes(b"something else")
    (found,) = findings(application)
    assert "damaged" in found.what
    original.unlink()
    (found,) = findings(application)
    assert "missing" in found.what


def test_leftovers_are_found_and_mended(application: Application, tmp_path: Path) -> None:
    application.originals.put(b"nobody's bytes")
    (tmp_path / "originals" / ".part-0").write_bytes(b"half")
    found = findings(application)
    assert len(found) == 2
    for finding in found:
        assert finding.repair is not None
        finding.repair()
    assert findings(application) == []


def test_a_chunk_that_is_not_its_versions_text_is_found(application: Application) -> None:
    with application.catalog.writing() as connection:
        connection.execute(update(schema.occurrences).values(start=schema.occurrences.c.start + 1))
    (found,) = findings(application)
    assert "is not its version's text" in found.what


def test_missing_vectors_are_found_and_mended(application: Application) -> None:
    with application.catalog.writing() as connection:
        connection.execute(schema.vectors.delete())
    (found,) = findings(application)
    assert found.repair is not None
    found.repair()
    assert findings(application) == []
