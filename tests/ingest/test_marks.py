"""Marks tell which way a catalog went, and what was purged on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prepared import SPACE, commit, prepared
from sqlalchemy import select

from ingest.catalog import marks, schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.marks import NO_MARK, Mark
from ingest.config import RetentionSettings
from ingest.erasure import Erasure
from ingest.identity import document_id_of
from ingest.jobs.queue import JobQueue
from ingest.revisions.history import History
from ingest.revisions.retention import Retention


def newest(catalog: Catalog) -> Mark:
    table = schema.marks
    with catalog.reading() as connection:
        row = connection.execute(select(table).order_by(table.c.number.desc()).limit(1)).one_or_none()
    return NO_MARK if row is None else Mark(row.number, row.token)


def purged_since(catalog: Catalog, mark: Mark) -> list[int]:
    with catalog.reading() as connection:
        return sorted(marks.purged_since(connection, mark.number))


def purges(catalog: Catalog) -> marks.Purges:
    with catalog.reading() as connection:
        return marks.purges(connection)


def staged(catalog: Catalog) -> str:
    batch = History(catalog).open_batch()
    History(catalog).stage_version(batch, prepared(["staged"], uri="s.md"), SPACE)
    return batch


def erase(catalog: Catalog, document_id: str) -> None:
    erasure = Erasure(catalog, JobQueue(catalog), lambda record: record)
    erasure.request(document_id)
    erasure.purge(document_id)


CHANGES: dict[str, Callable[[Catalog], object]] = {
    "commit": lambda catalog: commit(catalog, ["two"]),
    "delete": lambda catalog: History(catalog).delete_document(document_id_of("default", "a.md")),
    "delete all": lambda catalog: History(catalog).delete_collection("default"),
    "roll back": lambda catalog: History(catalog).rollback(0),
    "stage": staged,
    "drop": lambda catalog: History(catalog).drop_batch(staged(catalog)),
    "promote": lambda catalog: History(catalog).promote(staged(catalog)),
    "embed": lambda catalog: catalog.commit_vectors({}, SPACE),
    "erase": lambda catalog: erase(catalog, document_id_of("default", "a.md")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_what_the_index_is_made_from_leaves_a_mark(catalog: Catalog, change: str) -> None:
    commit(catalog, ["one"])
    before = newest(catalog)
    assert before != NO_MARK
    CHANGES[change](catalog)
    after = newest(catalog)
    assert after.number > before.number
    assert catalog.has_mark(before) and catalog.has_mark(after)


def test_a_purge_leaves_a_mark_and_lists_what_went(catalog: Catalog) -> None:
    for text in ("one", "two", "three"):
        commit(catalog, [text])
    before = newest(catalog)
    Retention(catalog, RetentionSettings(keep_revisions=1)).purge()
    assert purged_since(catalog, before) == [1, 2]
    assert purges(catalog).last > before.number
    assert purges(catalog).reread_from <= before.number
    between = newest(catalog)
    erase(catalog, document_id_of("default", "a.md"))
    assert purged_since(catalog, between) == [3]
    assert purged_since(catalog, before) == [1, 2, 3]


def test_a_list_that_would_be_too_long_asks_for_everything_to_be_read_anew(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "_LISTED", 1)
    for text in ("one", "two", "three"):
        commit(catalog, [text])
    before = newest(catalog)
    Retention(catalog, RetentionSettings(keep_revisions=1)).purge()
    assert purged_since(catalog, NO_MARK) == []
    assert purges(catalog).reread_from == purges(catalog).last > before.number


def test_the_list_is_cut(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_KEPT_FOR", 5)
    for number in range(8):
        commit(catalog, [str(number)])
        Retention(catalog, RetentionSettings(keep_revisions=1)).purge()
    found = purges(catalog)
    assert found.reread_from == found.last - 5
    with catalog.reading() as connection:
        kept = connection.execute(select(schema.occurrences_gone.c.mark)).scalars().all()
    assert kept
    assert min(kept) > found.reread_from


def test_a_mark_of_another_way_is_not_known(catalog: Catalog) -> None:
    commit(catalog, ["one"])
    mark = newest(catalog)
    assert catalog.has_mark(NO_MARK)
    assert not catalog.has_mark(mark._replace(token="00" * 8))
    assert not catalog.has_mark(Mark(mark.number + 1, mark.token))


def test_two_catalogs_never_leave_the_same_mark(tmp_path: Path) -> None:
    ways = []
    for name in ("a", "b"):
        catalog = Catalog.in_folder(tmp_path / name)
        commit(catalog, ["one"])
        ways.append(newest(catalog))
        catalog.close()
    assert ways[0].number == ways[1].number
    assert ways[0].token != ways[1].token
