from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from emptying import EMPTY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prepared import SPACE, commit, prepared
from sqlalchemy import func, select

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.config import RetentionSettings
from ingest.errors import BatchConflict, NotFound, RevisionGone, UnknownRevision
from ingest.identity import document_id_of
from ingest.revisions.history import History
from ingest.revisions.retention import Retention

Shown = dict[tuple[str, str], tuple[str, ...]]  # paragraphs by collection and URI


@pytest.fixture
def history(catalog: Catalog) -> History:
    return History(catalog)


def shown_at(catalog: Catalog, revision: int) -> Shown:
    """What a revision shows, read from the occurrences, and checked against the showings."""
    occurrences, chunks, documents = schema.occurrences, schema.chunks, schema.documents
    query = (
        select(documents.c.collection, documents.c.uri, occurrences.c.version, chunks.c.input)
        .join(documents, documents.c.document_id == occurrences.c.document_id)
        .join(chunks, chunks.c.number == occurrences.c.chunk)
        .where(statements.visible_at(occurrences, revision))
        .order_by(documents.c.uri, occurrences.c.ordinal)
    )
    showings = schema.showings
    with catalog.reading() as connection:
        rows = connection.execute(query).all()
        versions = connection.execute(
            select(showings.c.document_id, showings.c.version).where(statements.visible_at(showings, revision))
        ).all()
    shown: Shown = {}
    for collection, uri, _, text in rows:
        shown[collection, uri] = (*shown.get((collection, uri), ()), text)
    assert sorted(versions) == sorted({(document_id_of(row[0], row[1]), row[2]) for row in rows})
    return shown


def rows_in(catalog: Catalog, table: str) -> int:
    with catalog.reading() as connection:
        return connection.execute(select(func.count()).select_from(schema.metadata.tables[table])).scalar_one()


def test_every_revision_can_be_read_as_it_was(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one", "two"])
    commit(catalog, ["one", "three"])
    commit(catalog, ["four"], uri="b.md")
    history.delete_document(document_id_of("default", "a.md"))
    a, b = ("default", "a.md"), ("default", "b.md")
    assert [shown_at(catalog, revision) for revision in range(5)] == [
        {},
        {a: ("one", "two")},
        {a: ("one", "three")},
        {a: ("one", "three"), b: ("four",)},
        {b: ("four",)},
    ]


def test_rollback_appends_a_revision_and_stores_no_text_again(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one", "two"])
    commit(catalog, ["three"])
    before = rows_in(catalog, "chunks"), rows_in(catalog, "vectors"), rows_in(catalog, "versions")
    assert history.rollback(1) == 3
    assert shown_at(catalog, 3) == shown_at(catalog, 1)
    assert shown_at(catalog, 2) == {("default", "a.md"): ("three",)}
    assert (rows_in(catalog, "chunks"), rows_in(catalog, "vectors"), rows_in(catalog, "versions")) == before
    assert [(row.cause, row.added, row.removed) for row in catalog.revisions(1)] == [("rollback to 1", 2, 1)]


def test_rollback_to_equal_content_changes_no_row(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    commit(catalog, ["two"])
    history.rollback(1)
    history.rollback(1)
    assert (catalog.revisions(1)[0].added, catalog.revisions(1)[0].removed) == (0, 0)
    assert shown_at(catalog, 4) == shown_at(catalog, 1)


def test_rollback_beyond_the_head_is_refused(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    with pytest.raises(UnknownRevision, match="the newest is 1"):
        history.rollback(2)
    assert catalog.head() == 1


def test_after_a_rollback_the_bytes_that_are_shown_are_known_as_current(catalog: Catalog, history: History) -> None:
    first = prepared(["one"], way="old chunker")
    history.commit_version(first, SPACE)
    history.commit_version(prepared(["one"], way="new chunker"), SPACE)
    history.rollback(1)
    current = catalog.current_versions([first.document_id]).get(first.document_id)
    assert current is not None
    assert (current.version, current.prepared_with) == (1, "old chunker")


def test_a_deleted_collection_is_gone_from_the_head_in_one_revision(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"], uri="a.md", collection="x")
    commit(catalog, ["two"], uri="b.md", collection="x")
    commit(catalog, ["two"], uri="b.md", collection="y")
    assert history.delete_collection("x") == 4
    assert shown_at(catalog, 4) == {("y", "b.md"): ("two",)}
    assert history.rollback(3) == 5
    assert shown_at(catalog, 5) == shown_at(catalog, 3)


def test_deleting_an_empty_collection_makes_no_revision(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    assert history.delete_collection("nobody") == 1
    assert catalog.head() == 1


# Batches


def test_a_staged_batch_is_not_shown_until_it_is_promoted(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    commit(catalog, ["bye"], uri="b.md")
    batch = history.open_batch("try")
    history.stage_version(batch, prepared(["two"]), SPACE)
    history.stage_removal(batch, document_id_of("default", "b.md"))
    assert shown_at(catalog, catalog.head()) == {("default", "a.md"): ("one",), ("default", "b.md"): ("bye",)}
    assert [(b.note, b.state, b.documents) for b in history.batches()] == [("try", "open", 2)]
    assert history.promote(batch) == 3
    assert shown_at(catalog, 3) == {("default", "a.md"): ("two",)}
    assert [(row.cause, row.added, row.removed) for row in catalog.revisions(1)] == [("promote", 1, 2)]
    assert (rows_in(catalog, "staged"), rows_in(catalog, "staged_occurrences")) == (0, 0)


def test_a_batch_on_a_document_that_was_changed_meanwhile_is_refused(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    batch = history.open_batch()
    history.stage_version(batch, prepared(["two"]), SPACE)
    commit(catalog, ["other"], uri="b.md")
    commit(catalog, ["three"])
    with pytest.raises(BatchConflict, match="1 documents of batch"):
        history.promote(batch)
    assert shown_at(catalog, catalog.head())["default", "a.md"] == ("three",)


def test_a_conflict_with_a_batch_outlives_the_retention_of_what_tells_of_it(catalog: Catalog) -> None:
    history, retention = History(catalog), Retention(catalog, RetentionSettings(keep_revisions=1))
    commit(catalog, ["one"], uri="a.md")
    batch = history.open_batch()
    history.stage_version(batch, prepared(["two"], uri="a.md"), SPACE)
    history.delete_document(document_id_of("default", "a.md"))
    for number in range(3):
        commit(catalog, [f"text {number}"], uri="b.md")
    retention.purge()
    with pytest.raises(BatchConflict, match="1 documents of batch"):
        history.promote(batch)
    history.drop_batch(batch)
    commit(catalog, ["text 4"], uri="b.md")
    assert len(retention.purge().chunks) == 2  # that of a.md, which nothing holds any more, and one of b.md


def test_a_change_of_another_document_does_not_hinder_a_batch(catalog: Catalog, history: History) -> None:
    batch = history.open_batch()
    history.stage_version(batch, prepared(["two"]), SPACE)
    commit(catalog, ["other"], uri="b.md")
    assert history.promote(batch) == 2


def test_what_is_staged_changes_nothing_that_is_shown(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    document = document_id_of("default", "a.md")
    catalog.set_metadata(document, {"team": "red"})
    before = catalog.document(document)
    batch = history.open_batch()
    history.stage_version(batch, replace(prepared(["two"]), metadata={"team": "green"}), SPACE)
    history.stage_version(batch, replace(prepared(["new"], uri="new.md"), metadata={"team": "blue"}), SPACE)
    assert catalog.document(document) == before
    assert (before.versions, before.metadata) == (1, {"team": "red"})
    assert catalog.counts()["versions"] == 1
    new = document_id_of("default", "new.md")
    for unseen, version in ((document, 2), (new, 1)):
        with pytest.raises(NotFound):
            catalog.version_text(unseen, version)
    with pytest.raises(NotFound, match=f"^no document {new}$"):
        catalog.document(new)
    history.promote(batch)
    assert catalog.document(document).metadata == {"team": "green"}
    assert catalog.document(new).metadata == {"team": "blue"}
    assert catalog.version_text(document, 2) == "two"
    assert catalog.counts()["versions"] == 3


def test_a_batch_says_which_originals_it_let_go_of(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    batch = history.open_batch()
    first, second = prepared(["two"]), prepared(["three"])
    assert history.stage_version(batch, first, SPACE).freed == frozenset()
    assert history.stage_version(batch, second, SPACE).freed == {first.content_hash}
    assert history.drop_batch(batch) == {second.content_hash}
    assert catalog.counts()["versions"] == 1


def test_a_dropped_batch_leaves_nothing(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    batch = history.open_batch()
    history.stage_version(batch, prepared(["one", "two"]), SPACE)
    history.stage_version(batch, prepared(["new"], uri="new.md"), SPACE)
    history.drop_batch(batch)
    assert [rows_in(catalog, name) for name in ("chunks", "vectors", "versions", "documents")] == [1, 1, 1, 1]
    with pytest.raises(BatchConflict, match="was dropped before"):
        history.promote(batch)


def test_a_document_staged_twice_counts_as_staged_last(catalog: Catalog, history: History) -> None:
    batch = history.open_batch()
    history.stage_version(batch, prepared(["first"]), SPACE)
    history.stage_version(batch, prepared(["second"]), SPACE)
    history.promote(batch)
    assert shown_at(catalog, 1) == {("default", "a.md"): ("second",)}


# Retention


def purge(catalog: Catalog, **limits: float) -> None:
    Retention(catalog, RetentionSettings.model_validate(limits)).purge(datetime.now(UTC) + timedelta(hours=1))


def test_retention_takes_what_no_kept_revision_shows(catalog: Catalog) -> None:
    for paragraph in ("one", "two", "three"):
        commit(catalog, ["always", paragraph])
    purge(catalog, keep_revisions=2)
    assert shown_at(catalog, 2) == {("default", "a.md"): ("always", "two")}
    assert rows_in(catalog, "chunks") == rows_in(catalog, "vectors") == 3
    assert [version.version for version in catalog.versions(document_id_of("default", "a.md"))] == [2, 3]
    with catalog.reading() as connection, pytest.raises(RevisionGone, match="the oldest that can be asked for is 2"):
        statements.require_kept(connection, 1, None)


def test_days_keep_what_was_hidden_lately(catalog: Catalog) -> None:
    commit(catalog, ["one"])
    commit(catalog, ["two"])
    purge(catalog, keep_days=1)
    assert rows_in(catalog, "versions") == 2
    purge(catalog, keep_days=0)
    assert rows_in(catalog, "versions") == 1


def test_what_either_limit_keeps_is_kept(catalog: Catalog) -> None:
    for paragraph in ("one", "two", "three"):
        commit(catalog, [paragraph])
    purge(catalog, keep_days=0, keep_revisions=2)
    assert rows_in(catalog, "versions") == 2


def test_without_limits_nothing_is_purged(catalog: Catalog) -> None:
    commit(catalog, ["one"])
    commit(catalog, ["two"])
    purge(catalog)
    assert rows_in(catalog, "versions") == 2


def test_a_pin_holds_a_revision(catalog: Catalog, history: History) -> None:
    for paragraph in ("one", "two", "three"):
        commit(catalog, [paragraph])
    retention = Retention(catalog, RetentionSettings(keep_revisions=1))
    retention.pin("release r-1", 2)
    retention.purge()
    assert shown_at(catalog, 2) == {("default", "a.md"): ("two",)}
    assert history.rollback(2) == 4
    retention.unpin("release r-1")
    with pytest.raises(NotFound):
        retention.unpin("release r-1")
    with pytest.raises(RevisionGone):
        history.rollback(1)


def test_a_document_that_was_deleted_long_ago_is_gone_for_good(catalog: Catalog, history: History) -> None:
    commit(catalog, ["one"])
    document_id = document_id_of("default", "a.md")
    history.delete_document(document_id)
    purge(catalog, keep_revisions=1)
    with pytest.raises(NotFound, match="no document"):
        catalog.document(document_id)
    assert catalog.revisions()[0].cause == "delete (a document that is gone)"


def test_a_collection_keeps_as_long_as_its_own_settings_say(catalog: Catalog) -> None:
    for paragraph in ("one", "two"):
        commit(catalog, [paragraph], collection="short")
        commit(catalog, [paragraph], collection="long")
    with catalog.writing() as connection:
        its = schema.collections.c.collection == "long"
        connection.execute(
            schema.collections.update().where(its).values(settings={"retention": {"keep_revisions": 100}})
        )
    purge(catalog, keep_revisions=1)
    assert len(catalog.versions(document_id_of("short", "a.md"))) == 1
    assert len(catalog.versions(document_id_of("long", "a.md"))) == 2
    with catalog.reading() as connection:
        statements.require_kept(connection, 1, {"long"})
        with pytest.raises(RevisionGone):
            statements.require_kept(connection, 1, {"long", "short"})


# Any sequence of changes

PARAGRAPHS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)
NAMES = st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(["1.md", "2.md"]))
CHANGES = st.one_of(
    st.tuples(st.just("commit"), NAMES, PARAGRAPHS),
    st.tuples(st.just("delete"), NAMES, st.none()),
    st.tuples(st.just("rollback"), st.integers(0, 12), st.none()),
    st.tuples(st.just("batch"), st.dictionaries(NAMES, st.none() | PARAGRAPHS, max_size=3), st.none()),
    st.tuples(st.just("purge"), st.integers(1, 6), st.none()),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(CHANGES, max_size=12))
def test_every_kept_revision_shows_what_a_plain_model_shows(changes: list[tuple[str, object, object]]) -> None:
    catalog = Catalog("sqlite://")
    check_against_the_model(catalog, changes)
    catalog.close()


@settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(CHANGES, max_size=12))
def test_every_kept_revision_on_postgresql_shows_what_a_plain_model_shows(
    postgresql_catalog: Catalog, changes: list[tuple[str, object, object]]
) -> None:
    with postgresql_catalog.writing() as connection:
        for statement in EMPTY:
            connection.exec_driver_sql(statement)
    check_against_the_model(postgresql_catalog, changes)


def check_against_the_model(catalog: Catalog, changes: list[tuple[str, object, object]]) -> None:
    model: list[Shown] = [{}]
    oldest = 0
    for change in changes:
        apply(catalog, model, change, oldest)
        if change[0] == "purge" and any(model):  # where there was never a document, nothing was taken away
            oldest = max(oldest, catalog.head() - int(str(change[1])) + 1)
    assert catalog.head() == len(model) - 1
    for revision in range(oldest, len(model)):
        assert shown_at(catalog, revision) == model[revision]


def apply(catalog: Catalog, model: list[Shown], change: tuple[str, object, object], oldest: int) -> None:
    kind, what, paragraphs = change
    history = History(catalog)
    shown = dict(model[-1])
    if kind == "commit":
        assert isinstance(what, tuple) and isinstance(paragraphs, list)
        commit(catalog, paragraphs, uri=what[1], collection=what[0])
        shown[what] = tuple(paragraphs)
    elif kind == "delete":
        assert isinstance(what, tuple)
        if what not in shown:
            with pytest.raises(NotFound):
                history.delete_document(document_id_of(*what))
            return
        history.delete_document(document_id_of(*what))
        del shown[what]
    elif kind == "rollback":
        assert isinstance(what, int)
        if not oldest <= what < len(model):
            with pytest.raises((UnknownRevision, RevisionGone)):
                history.rollback(what)
            return
        history.rollback(what)
        shown = dict(model[what])
    elif kind == "batch":
        assert isinstance(what, dict)
        batch = history.open_batch()
        for name, new in what.items():
            if new is not None:
                history.stage_version(batch, prepared(new, uri=name[1], collection=name[0]), SPACE)
                shown[name] = tuple(new)
            elif name in shown:
                history.stage_removal(batch, document_id_of(*name))
                del shown[name]
        history.promote(batch)
    else:
        assert isinstance(what, int)
        Retention(catalog, RetentionSettings(keep_revisions=what)).purge()
        return
    model.append(shown)


# Who sees which revisions


def test_a_reader_of_one_collection_sees_what_changed_there_and_nothing_else(
    catalog: Catalog, history: History
) -> None:
    history.commit_versions([prepared(["one"], "a.md", "x"), prepared(["two", "three"], "b.md", "y")], SPACE)
    commit(catalog, ["four"], uri="c.md", collection="y")
    history.rollback(1)
    seen = [(row.revision, row.cause, row.added, row.removed) for row in catalog.revisions(readable={"x"})]
    assert seen == [(1, "ingest", 1, 0)]
    seen = [(row.revision, row.cause, row.added, row.removed) for row in catalog.revisions(readable={"y"})]
    assert seen == [(3, "rollback", 0, 1), (2, "ingest y/c.md", 1, 0), (1, "ingest", 2, 0)]
    assert [row.cause for row in catalog.revisions()][-1] == "ingest 2 documents"


def test_documents_that_are_committed_together_are_one_revision(catalog: Catalog, history: History) -> None:
    commit(catalog, ["old"], uri="a.md")
    both = [prepared(["one"], "a.md"), prepared(["two"], "b.md")]
    assert [its.version for its in history.commit_versions(both, SPACE)] == [2, 1]
    assert catalog.head() == 2
    assert shown_at(catalog, 2) == {("default", "a.md"): ("one",), ("default", "b.md"): ("two",)}
