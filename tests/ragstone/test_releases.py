from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from service import application_in
from sqlalchemy import select

from ingest.catalog import schema


def release_id(folder: Path, **flags: Any) -> str:
    return application_in(folder, **flags).release.release_id


@pytest.mark.parametrize(
    "flags",
    [
        {"retrieval__dense_weight": 0.4},
        {"generation__temperature": 0.5},
        {"generation__model__context_tokens": 4096},
        {"evals__supported_at": 0.9},
    ],
)
def test_what_decides_an_answer_changes_the_release(tmp_path: Path, flags: dict[str, Any]) -> None:
    assert release_id(tmp_path, **flags) != release_id(tmp_path)


@pytest.mark.parametrize("flags", [{"generation__queue_size": 3}, {"generation__model__linger_s": 1}])
def test_what_does_not_decide_an_answer_leaves_the_release_alone(tmp_path: Path, flags: dict[str, Any]) -> None:
    assert release_id(tmp_path, **flags) == release_id(tmp_path)


def test_the_content_of_a_release_is_kept(tmp_path: Path) -> None:
    application = application_in(tmp_path)
    wanted = application.release
    assert application_in(tmp_path).release == wanted
    with application.catalog.reading() as connection:
        (row,) = connection.execute(select(schema.releases)).mappings()
    assert (row["release_id"], row["content"]) == (wanted.release_id, wanted.content)
