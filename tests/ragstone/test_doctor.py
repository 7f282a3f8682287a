from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from service import application_in, service, upload
from sqlalchemy import select, update

from ingest.catalog import facts, schema
from ingest.jobs.queue import FILL_SPACE
from ragstone.doctor import CHECKS, Finding, examine
from ragstone.settings import ModelsSettings
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


def test_offsets_beyond_the_text_are_found(application: Application) -> None:
    with application.catalog.writing() as connection:
        connection.execute(update(schema.occurrences).values(start=500, end=500))
    (found,) = findings(application)
    assert "is not its version's text" in found.what


@pytest.mark.parametrize(
    "vector",
    [
        bytes(2 * 64),  # of length 0
        np.full(64, np.nan, dtype="<f2").tobytes(),
        np.full(64, np.inf, dtype="<f2").tobytes(),
        np.full(64, 0.5, dtype="<f2").tobytes(),  # of length 4
        bytes(100),
        b"",
    ],
    ids=["zero", "nan", "infinite", "long", "cut", "empty"],
)
def test_damaged_vectors_are_found_and_mended(application: Application, vector: bytes) -> None:
    with application.catalog.writing() as connection:
        connection.execute(update(schema.vectors).values(vector=vector))
    found = findings(application)
    assert "1 vectors of space" in found[0].what
    assert found[0].mend() is None
    assert findings(application) == []


def test_a_vector_may_have_any_length_where_its_space_is_not_normalised(application: Application) -> None:
    with application.catalog.writing() as connection:
        description = connection.execute(select(schema.spaces.c.description)).scalar_one()
        connection.execute(update(schema.spaces).values(description={**description, "normalised": False}))
        connection.execute(update(schema.vectors).values(vector=np.full(64, 0.5, dtype="<f2").tobytes()))
    assert [finding for check in CHECKS if check.name == "vectors" for finding in check.run(application)] == []


def test_a_check_that_cannot_run_is_a_finding_and_the_others_go_on(application: Application, tmp_path: Path) -> None:
    application.originals.put(b"nobody's bytes")
    (tmp_path / "originals" / ".part-0").write_bytes(b"half")
    with application.catalog.writing() as connection:
        connection.execute(update(schema.occurrences).values(start=schema.occurrences.c.start + 1))
        facts.put(connection, facts.SPACE_IN_USE, "nowhere")
    blind = Application(application.settings)
    found = {check.name: findings for check, findings in examine(blind)}
    assert found["catalog"] == []
    assert len(found["originals"]) == 2
    assert [finding.mend() for finding in found["originals"]] == [None, None]
    assert len(found["chunks"]) == 1
    (index,) = found["index"]
    assert "no space nowhere" in index.what
    assert [finding for check in CHECKS if check.name == "originals" for finding in check.run(blind)] == []


def test_mending_that_fails_says_why_and_loses_nothing(application: Application, tmp_path: Path) -> None:
    with application.catalog.writing() as connection:
        connection.execute(update(schema.vectors).values(vector=b""))
    settings = application.settings.model_copy(update={"models": ModelsSettings(folder=tmp_path / "none")})
    blind = Application(settings)
    (found,) = next(findings for check, findings in examine(blind) if check.name == "vectors")
    failure = found.mend()
    assert failure is not None
    assert "models fetch" in failure
    assert sum(blind.catalog.vectors_by_space().values()) == 1


def test_missing_vectors_are_found_and_mended(application: Application) -> None:
    application.index.follow()
    with application.catalog.writing() as connection:
        connection.execute(schema.vectors.delete())
    lacking, left_over = findings(application)
    assert "have no vector of the current embedder" in lacking.what
    with application.catalog.writing() as connection:
        payload = {"space_id": application.index.space.space_id}
        job_id = application.queue.enqueue_task(connection, FILL_SPACE, payload)
    assert [finding.what for finding in findings(application)] == [left_over.what]  # a job is at it
    application.queue.request_cancel(job_id)
    assert "dense half holds chunk 1, which the catalog has no more" in left_over.what
    assert lacking.mend() is None
    assert findings(application) == []
