"""Damage of every kind, planted in the files of the index: named, and gone after a repair, which costs time only."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from backing_up import findings, mend, said
from service import application_in, service, upload

from ingest.identity import document_id_of
from retrieval.index_files import IndexFiles
from retrieval.segments import SegmentStore


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose index has segments of every kind on disk."""
    folder = tmp_path_factory.mktemp("written") / "data"
    book = "\n\n".join(f"# Part {n}\n\n" + " ".join(f"word{n}x{k}" for k in range(8)) for n in range(1100))
    with service(folder, ingest__chunk_tokens=16) as client:
        upload(client, "book.md", book.encode())
        upload(client, "pump.md", b"The small pump weighs 11 kg.")
    application = application_in(folder)
    application.index.follow()
    while application.maintain():
        pass
    application.close()
    parts = {path.name.partition("-")[0] for path in (folder / "index").iterdir() if path.is_dir()}
    assert parts == {"lexical", "dense", "occurrences"}
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "data"))


def part(folder: Path, name: str) -> Path:
    (found,) = (folder / "index").glob(f"{name}*/")
    return found


def arrays_of(folder: Path, name: str) -> list[Path]:
    return sorted(part(folder, name).glob("*/*.npy"))


def flip(folder: Path, name: str) -> None:
    path = arrays_of(folder, name)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def with_manifest(folder: Path, name: str, change: Callable[[str], str]) -> None:
    path = part(folder, name) / "manifest.json"
    path.write_text(change(path.read_text()))


def rewritten(folder: Path, array: str, place: int, value: int) -> None:
    """The written intervals or keys, with one number that is another."""
    application = application_in(folder)
    files = IndexFiles(folder / "index", application.catalog.catalog_id)
    intervals, keys, purged = files.load()
    arrays = {key: np.array(values) for key, values in {**intervals.arrays(), **keys.arrays()}.items()}
    arrays[array][place] = value
    store = files.store("occurrences", {})
    store.commit([store.write(arrays, {**intervals.facts(), "purged": purged})])
    application.close()


def changed(folder: Path, name: str, array: str, place: int, change: int) -> None:
    """The first segment of a half, sound in itself, with one number that is another."""
    identity = json.loads((part(folder, name) / "manifest.json").read_bytes())["identity"]
    store = SegmentStore(part(folder, name), identity)
    first, *others = store.open()
    arrays = {key: np.array(values) for key, values in first.arrays.items()}
    arrays[array].flat[place] += change
    store.commit([store.write(arrays, first.facts), *others])


def test_a_written_index_is_sound(folder: Path) -> None:
    assert said(folder) == []


DAMAGE: dict[str, Callable[[Path, str], object]] = {
    "damaged": flip,
    "missing": lambda folder, name: arrays_of(folder, name)[0].unlink(),
    "manifest.json is damaged": lambda folder, name: with_manifest(folder, name, lambda text: text[:-9]),
    "its manifest is damaged": lambda folder, name: with_manifest(
        folder, name, lambda text: text.replace('"mark": ', '"Mark": ')
    ),
    "it has format 99": lambda folder, name: with_manifest(
        folder, name, lambda text: text.replace('"format": ', '"format": 99, "was": ', 1)
    ),
    "files and no manifest": lambda folder, name: (part(folder, name) / "manifest.json").unlink(),
    "another catalog": lambda folder, name: with_manifest(
        folder, name, lambda text: text.replace('"catalog": "', '"catalog": "0')
    ),
    "what an interrupted write left: .part-x": lambda folder, name: (part(folder, name) / ".part-x").mkdir(),
}


PARTS = ("lexical", "dense", "occurrences")


@pytest.mark.parametrize(
    ("reason", "name"),
    [("damaged", name) for name in PARTS] + [(reason, PARTS[n % 3]) for n, reason in enumerate(DAMAGE) if n],
)
def test_damaged_files_are_named_and_built_anew(folder: Path, reason: str, name: str) -> None:
    place = f"index/{part(folder, name).name}"
    DAMAGE[reason](folder, name)
    assert any(what.startswith(place) and reason in what for what in said(folder)), said(folder)
    mend(folder)
    assert said(folder) == []
    with service(folder) as client:
        (first, *_) = client.post("/v1/search", json={"query": "How heavy is the small pump?"}).json()["passages"]
        assert first["uri"] == "pump.md"


def test_chunks_that_the_catalog_has_no_more_are_taken_out_of_both_halves(folder: Path) -> None:
    pump = document_id_of("default", "pump.md")
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        # As if an erasure had ended before the index was told.
        tables = ("occurrences", "showings", "versions", "documents")
        for statement in (
            "DELETE FROM vectors WHERE chunk = 1101",
            "DELETE FROM chunks WHERE number = 1101",
            *(f"DELETE FROM {table} WHERE document_id = '{pump}'" for table in tables),
            f"INSERT INTO tombstones VALUES ('{pump}', 1, 2, '2026-01-01')",
            "INSERT INTO marks (token) VALUES (x'0011223344556677')",
            "INSERT INTO facts SELECT 'purges', json_object('last', n, 'reread_from', n) "
            "FROM (SELECT max(number) AS n FROM marks)",
        ):
            assert connection.execute(statement).rowcount == 1, statement
    expected = [f"the {name} half holds chunk 1101, which the catalog has no more" for name in ("lexical", "dense")]
    assert [what for what in said(folder) if "half" in what] == expected
    mend(folder)
    assert [what for what in said(folder) if "half" in what] == []


def test_chunks_that_the_halves_lack_are_named_and_come_back(folder: Path) -> None:
    application = application_in(folder)
    application.index.follow()
    assert application.index_files.try_lock()
    application.index.forget([5])
    application.close()
    assert {"the lexical half lacks chunk 5", "the dense half lacks chunk 5"} <= set(said(folder))
    mend(folder)
    assert said(folder) == []


@pytest.mark.parametrize(
    ("half", "array", "change"),
    [
        ("lexical", "frequencies", 1),
        ("lexical", "hashes", 1),
        ("lexical", "lengths", 1),
        ("dense", "codes", 1),
        ("dense", "scales", 1),
        ("dense", "signs", 1),
        ("dense", "factors", 1),
    ],
)
def test_chunks_that_a_half_holds_otherwise_than_the_catalog_are_named(
    folder: Path, half: str, array: str, change: int
) -> None:
    changed(folder, half, array, 0, change)
    (what,) = said(folder)
    assert re.fullmatch(rf"the {half} half holds chunk \d+(, \d+)* otherwise than the catalog", what)
    mend(folder)
    assert said(folder) == []


@pytest.mark.parametrize(
    ("array", "place", "value", "reason"),
    [
        ("removed", 7, 2, "another interval for occurrence 8"),
        ("added", 7, 2, "another interval for occurrence 8"),
        ("chunk", 7, 3, "another interval for occurrence 8"),
        ("id", 1100, 5000, "another interval for occurrence 1101, 5000"),
        ("collection", 7, 9, "another interval for occurrence 8"),
        ("keys", 7, 1, "another key for chunk 7"),
    ],
)
def test_columns_that_differ_from_the_catalog_are_named_row_by_row(
    folder: Path, array: str, place: int, value: int, reason: str
) -> None:
    rewritten(folder, array, place, value)
    assert any(f"index/occurrences has {reason}" in what for what in said(folder)), said(folder)
    mend(folder)
    assert said(folder) == []


def test_an_index_of_a_later_state_of_the_catalog_is_removed(folder: Path) -> None:
    earlier = (folder / "catalog.sqlite").read_bytes()
    with service(folder) as client:
        for number in range(3):
            upload(client, f"later{number}.md", f"Later came number {number}.".encode())
    application = application_in(folder)
    application.index.follow()
    assert application.index.revision == 5
    application.maintain()
    application.close()
    (folder / "catalog.sqlite").write_bytes(earlier)
    parts = ("dense-", "lexical", "occurrences")
    assert all(any(f"index/{part}" in what and "went another way" in what for what in said(folder)) for part in parts)
    mend(folder)
    assert said(folder) == []


def test_a_repair_leaves_the_files_of_a_running_service_alone(folder: Path) -> None:
    flip(folder, "lexical")
    holder, application = application_in(folder), application_in(folder)
    assert holder.index_files.try_lock()
    (found,) = (finding for finding in findings(application) if "damaged" in finding.what)
    assert found.mend() == "a running service writes the index: stop it, then repair"
    holder.close()
    assert found.mend() is None
    application.close()


def test_a_store_with_nothing_wrong_is_left_as_it_is(folder: Path) -> None:
    manifests = {path: path.read_bytes() for path in (folder / "index").glob("*/manifest.json")}
    mend(folder)
    assert {path: path.read_bytes() for path in manifests} == manifests
    identity = json.loads(next(iter(manifests.values())))["identity"]
    assert SegmentStore(next(iter(manifests)).parent, identity).open()
