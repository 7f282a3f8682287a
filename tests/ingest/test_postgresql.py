"""What goes wrong with a PostgreSQL server, and what the caller is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prepared import commit
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError

from ingest.catalog import facts, statements
from ingest.catalog.catalog import Catalog
from ingest.catalog.database import Database
from ingest.catalog.postgresql import require_fit
from ingest.config import IngestSettings
from ingest.errors import (
    CatalogDamaged,
    CatalogMisconfigured,
    CatalogUnavailable,
    IngestError,
    StorageFull,
)

if TYPE_CHECKING:
    from postgresql import PostgresqlServer

SECRET = "very/secret$"


def fail_with(catalog: Catalog, state: str, said: str, writes: bool = False) -> None:
    """Makes the server fail with the error code `state`, as it does when the thing itself happens."""
    body = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = '{said}'; END $$"
    with catalog.writing() if writes else catalog.reading() as connection:
        connection.exec_driver_sql(body)


def test_a_data_folder_finds_its_catalog_by_a_secret_url(tmp_path: Path, postgresql_url: URL) -> None:
    url = postgresql_url.render_as_string(hide_password=False)
    catalog = Catalog.in_folder(tmp_path / "data", SecretStr(url))
    assert commit(catalog, ["one"]).revision == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert list((tmp_path / "data").iterdir()) == []
    catalog.close()


def test_the_url_is_not_shown_with_the_settings() -> None:
    settings = IngestSettings.model_validate({"catalog_url": f"postgresql://user:{SECRET}@host/name"})
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


# Connecting


def refusal(url: URL) -> str:
    with pytest.raises(CatalogMisconfigured) as caught:
        Catalog(url)
    return str(caught.value)


def test_a_role_with_its_password_is_let_in(postgresql_url: URL) -> None:
    from postgresql import GUEST, GUEST_PASSWORD

    database = Database(postgresql_url.set(username=GUEST, password=GUEST_PASSWORD), 1)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar_one() == GUEST
    database.close()


def test_a_wrong_password_is_named_and_not_shown(postgresql_url: URL) -> None:
    from postgresql import GUEST

    said = refusal(postgresql_url.set(username=GUEST, password=SECRET))
    assert "password authentication failed" in said
    assert "ingest.catalog_url" in said
    assert SECRET not in said


def test_a_missing_password_is_named(postgresql_url: URL) -> None:
    from postgresql import GUEST

    assert "no password supplied" in refusal(postgresql_url.set(username=GUEST))


@pytest.mark.parametrize("change", [{"database": "nowhere"}, {"username": "nobody-there"}])
def test_an_unknown_name_is_named(postgresql_url: URL, change: dict[str, Any]) -> None:
    said = refusal(postgresql_url.set(**change, password=SECRET))
    assert f'"{next(iter(change.values()))}" does not exist' in said
    assert SECRET not in said


def test_an_option_that_is_none_is_refused_without_a_password_among_the_options(postgresql_url: URL) -> None:
    said = refusal(postgresql_url.update_query_dict({"password": SECRET, "colour": "red"}))
    assert "colour" in said
    assert SECRET not in said


def test_a_server_that_is_away_is_tried_again_later(tmp_path: Path) -> None:
    url = URL.create("postgresql", "user", SECRET, database="name", query={"host": str(tmp_path)})
    with pytest.raises(CatalogUnavailable, match="try again later") as caught:
        Catalog(url)
    assert type(caught.value) is CatalogUnavailable
    assert str(tmp_path) in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_role_that_may_not_make_tables_is_told_what_to_grant(empty_postgresql_url: URL) -> None:
    from postgresql import GUEST, GUEST_PASSWORD

    said = refusal(empty_postgresql_url.set(username=GUEST, password=GUEST_PASSWORD))
    assert "GRANT CREATE ON SCHEMA public" in said
    assert GUEST_PASSWORD not in said


def test_a_database_of_another_encoding_is_refused(postgresql: PostgresqlServer) -> None:
    with postgresql.database("TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'") as url:
        assert "ENCODING 'UTF8'" in refusal(url)
        assert postgresql.run(f"SELECT pid FROM pg_stat_activity WHERE datname = '{url.database}'") == []


def test_an_old_server_is_refused() -> None:
    require_fit(140000, "UTF8")
    for release, named in ((130022, "13.22"), (90624, "9.6")):
        with pytest.raises(CatalogMisconfigured, match=f"14 or newer and this server is {named}"):
            require_fit(release, "UTF8")


# In the middle


def test_a_connection_that_ended_while_idle_is_replaced(
    postgresql: PostgresqlServer, postgresql_url: URL, postgresql_catalog: Catalog
) -> None:
    commit(postgresql_catalog, ["one"])
    assert postgresql.end_connections(postgresql_url) == 1
    assert postgresql_catalog.head() == 1
    assert postgresql.end_connections(postgresql_url) == 1
    commit(postgresql_catalog, ["two"])
    assert postgresql_catalog.head() == 2


@pytest.mark.parametrize("writes", [False, True])
def test_a_connection_that_ends_in_the_middle_leaves_nothing_and_the_next_one_works(
    postgresql: PostgresqlServer, postgresql_url: URL, postgresql_catalog: Catalog, writes: bool
) -> None:
    catalog = postgresql_catalog
    with (
        pytest.raises(CatalogUnavailable, match="try again later"),
        catalog.writing() if writes else catalog.reading() as connection,
    ):
        if writes:
            facts.put(connection, "half", 1)
        assert postgresql.end_connections(postgresql_url) == 1
        statements.head(connection)
    assert catalog.fact("half") is None
    assert commit(catalog, ["one"]).revision == 1


def test_a_connection_that_ends_before_the_commit_is_no_commit(
    postgresql: PostgresqlServer, postgresql_url: URL, postgresql_catalog: Catalog
) -> None:
    with pytest.raises(CatalogUnavailable, match="try again later"), postgresql_catalog.writing() as connection:
        facts.put(connection, "half", 1)
        postgresql.end_connections(postgresql_url)
    assert postgresql_catalog.fact("half") is None


@pytest.mark.parametrize(
    ("state", "said", "meaning", "advice"),
    [
        ("53100", "could not extend file: No space left on device", StorageFull, "free some space"),
        ("53300", "too many clients already", CatalogUnavailable, "try again later"),
        ("57P03", "the database system is starting up", CatalogUnavailable, "try again later"),
        ("40P01", "deadlock detected", CatalogUnavailable, "try again later"),
        ("57014", "canceling statement due to statement timeout", CatalogUnavailable, "try again later"),
        ("XX001", "invalid page in block 1", CatalogDamaged, "restore a backup"),
        ("XX002", "index is corrupted", CatalogDamaged, "restore a backup"),
        ("25006", "cannot execute INSERT in a read-only transaction", CatalogUnavailable, "name the primary server"),
    ],
)
def test_an_error_of_the_server_says_what_to_do(
    postgresql_catalog: Catalog, state: str, said: str, meaning: type[IngestError], advice: str
) -> None:
    with pytest.raises(meaning, match=advice) as caught:
        fail_with(postgresql_catalog, state, said, writes=True)
    assert type(caught.value) is meaning
    assert said in str(caught.value)


def test_no_error_of_the_server_shows_the_password(postgresql_url: URL) -> None:
    catalog = Catalog(postgresql_url.set(password=SECRET))
    with pytest.raises(CatalogUnavailable, match=r"said \*\*\*") as caught:
        fail_with(catalog, "57014", f"somebody said {SECRET}")
    assert SECRET not in str(caught.value)
    catalog.close()


def test_a_write_that_waited_in_vain_says_for_what(postgresql_catalog: Catalog, postgresql_url: URL) -> None:
    with postgresql_catalog.writing(), pytest.raises(CatalogUnavailable, match="another write holds the catalog"):
        Catalog(postgresql_url, busy_timeout_s=0.05)


def test_a_write_in_a_read_is_a_bug(postgresql_catalog: Catalog) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"), postgresql_catalog.reading() as connection:
        facts.put(connection, "half", 1)


def test_a_violated_constraint_is_a_bug_that_shows_no_parameters(postgresql_catalog: Catalog) -> None:
    with pytest.raises(IntegrityError) as caught, postgresql_catalog.writing() as connection:
        for _ in range(2):
            statements.put_revision(connection, 1, "confidential words", added=0, removed=0)
    assert "confidential words" not in str(caught.value)


def test_all_connections_in_use_is_said(postgresql_url: URL) -> None:
    database = Database(postgresql_url, 1)
    pool = database.engine.pool
    taken = [database.engine.connect() for _ in range(pool.size() + pool._max_overflow)]  # type: ignore[attr-defined]
    pool._timeout = 0.01  # type: ignore[attr-defined]
    try:
        with pytest.raises(CatalogUnavailable, match="connections to the catalog are in use"), database.reading():
            pass
    finally:
        for connection in taken:
            connection.close()
        database.close()


# What the settings of a server must not change


def test_settings_of_the_server_do_not_weaken_what_the_catalog_promises(
    postgresql: PostgresqlServer, empty_postgresql_url: URL
) -> None:
    for setting in (
        "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'",
        "timezone = 'Asia/Kathmandu'",
        "client_encoding = 'LATIN1'",
    ):
        postgresql.run(f"ALTER DATABASE {empty_postgresql_url.database} SET {setting}")
    catalog = Catalog(empty_postgresql_url)
    with catalog.writing() as connection:
        settings = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("synchronous_commit", "transaction_isolation", "transaction_read_only", "client_encoding")
        ]
        assert settings == ["on", "read committed", "off", "UTF8"]
    with catalog.reading() as connection:
        settings = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("transaction_isolation", "transaction_read_only")
        ]
        assert settings == ["repeatable read", "on"]
    commit(catalog, ["ß \U0001f600"])
    revision = catalog.revisions()[0]
    assert revision.created_at.isoformat().endswith("+00:00")
    catalog.close()


def test_all_text_is_ordered_by_its_characters_whatever_the_language(
    postgresql: PostgresqlServer, postgresql_url: URL
) -> None:
    columns = postgresql.run(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'character varying'",
        str(postgresql_url.database),
    )
    assert len(columns) > 30
    assert {collation for _, _, collation in columns} == {"C"}
