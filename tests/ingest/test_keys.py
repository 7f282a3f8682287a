"""API keys in the catalog: what is stored of them, what they may give, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import URL

from ingest.catalog.catalog import Catalog
from ingest.catalog.collection_settings import Collections
from ingest.catalog.keys import ACTIONS, Grant, KeyRing, Limits, beyond, looser
from ingest.errors import NotAllowed, NotFound

ADMIN = Grant(name="admin", actions=ACTIONS)
TEAM = Grant(name="team", collections=("a", "b"), actions=("admin", "read"), limits=Limits(requests_per_minute=10))


@pytest.fixture
def ring(catalog: Catalog) -> KeyRing:
    return KeyRing(catalog)


def test_a_secret_finds_its_key_and_no_other_does(ring: KeyRing) -> None:
    key, secret = ring.create(Grant(name="one"))
    other, _ = ring.create(Grant(name="two"))
    assert secret.startswith("rs_")
    assert len(secret) == 3 + 43  # 256 bits in URL-safe base 64
    assert ring.find(secret) == key != other
    assert ring.find(secret[:-1]) is None
    assert ring.find("") is None
    assert ring.find("\udcff") is None


def test_no_file_holds_the_secret(sqlite_catalog: Catalog, tmp_path: Path) -> None:
    _, secret = KeyRing(sqlite_catalog).create(Grant(name="one"))
    sqlite_catalog.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"one" in written
    assert secret.encode() not in written
    assert secret[3:].encode() not in written


def test_all_of_a_grant_comes_back(ring: KeyRing) -> None:
    grant = Grant(
        name="Alice's phone",
        collections=("b", "a", "a"),
        actions=("write", "ask"),
        user="alice",
        limits=Limits(requests_per_minute=3, concurrent_answers=2, upload_mib_per_day=0.5),
    )
    key, _ = ring.create(grant)
    assert (key.collections, key.actions) == (("a", "b"), ("ask", "write"))
    assert Grant(**key.model_dump(include=set(Grant.model_fields))) == grant
    assert (datetime.now(UTC) - key.created_at).total_seconds() < 60
    assert ring.keys() == [key]


def test_a_revoked_key_is_known_as_revoked_in_every_process(ring: KeyRing, catalog_url: URL) -> None:
    key, secret = ring.create(ADMIN)
    other = Catalog(catalog_url)  # as another process has it
    assert KeyRing(other).any_in_force()
    revoked = ring.revoke(key.key_id)
    found = KeyRing(other).find(secret)
    assert found is not None
    assert found.revoked_at == revoked.revoked_at is not None
    assert not KeyRing(other).any_in_force()
    assert not KeyRing(other).in_force(key.key_id)
    assert ring.revoke(key.key_id) == revoked
    other.close()
    with pytest.raises(NotFound):
        ring.revoke("k-none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "\udc80"},
        {"collections": []},
        {"collections": ["../etc"]},
        {"actions": []},
        {"actions": ["fly"]},
        {"user": " "},
        {"limits": {"requests_per_minute": 0}},
        {"limits": {"upload_mib_per_day": float("nan")}},
        {"limits": {"upload_mib_per_day": float("inf")}},
        {"limits": {"words": 3}},
        {"colour": "red"},
    ],
)
def test_what_no_key_can_have_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refusal:
        Grant.model_validate({"name": "x", **wrong})
    assert refusal.value.errors()[0]["loc"][0] == next(iter(wrong))


def test_the_first_key_can_administer_all_or_is_refused(ring: KeyRing) -> None:
    for grant in (Grant(name="x"), TEAM):
        with pytest.raises(NotAllowed, match="nobody could make another one"):
            ring.create_first(grant)
    ring.create_first(ADMIN)
    with pytest.raises(NotAllowed, match="another key was made"):
        ring.create_first(ADMIN)
    assert len(ring.keys()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"collections": None}, "more collections"),
        ({"collections": ("a", "c")}, "more collections"),
        ({"actions": ("read", "write")}, "more actions"),
        ({"limits": Limits()}, "requests_per_minute"),
        ({"limits": Limits(requests_per_minute=11)}, "requests_per_minute"),
    ],
)
def test_a_key_gives_no_more_than_it_has(ring: KeyRing, change: dict[str, object], said: str) -> None:
    giver, _ = ring.create(TEAM)
    with pytest.raises(NotAllowed, match=said):
        ring.create_by(giver.key_id, TEAM.model_copy(update=change))
    assert ring.keys() == [giver]
    ring.create_by(giver.key_id, TEAM.model_copy(update={"collections": ("b",), "actions": ("read",)}))


def test_a_key_with_a_user_gives_keys_of_that_user_only(ring: KeyRing) -> None:
    giver, _ = ring.create(Grant(name="x", user="alice", actions=ACTIONS))
    for user in (None, "bob"):
        with pytest.raises(NotAllowed, match="another user"):
            ring.create_by(giver.key_id, Grant(name="y", user=user))
    ring.create_by(giver.key_id, Grant(name="y", user="alice"))


def test_a_key_that_was_revoked_gives_nothing(ring: KeyRing) -> None:
    giver, _ = ring.create(ADMIN)
    ring.revoke(giver.key_id)
    with pytest.raises(NotAllowed, match="revoked"):
        ring.create_by(giver.key_id, Grant(name="y"))


def test_a_key_sees_and_ends_only_what_is_within_its_reach(ring: KeyRing) -> None:
    admin, _ = ring.create(ADMIN)
    team, _ = ring.create(TEAM)
    member, _ = ring.create(Grant(name="member", collections=("a",), actions=("read",)))
    assert ring.keys(admin.key_id) == [admin, team, member]
    assert ring.keys(team.key_id) == [team, member]
    with pytest.raises(NotFound) as foreign:
        ring.revoke_by(team.key_id, admin.key_id)
    with pytest.raises(NotFound) as missing:
        ring.revoke_by(team.key_id, "k-none")
    assert str(foreign.value).replace(admin.key_id, "k-none") == str(missing.value)
    assert ring.revoke_by(team.key_id, member.key_id).revoked_at is not None


def test_the_last_administrator_is_not_ended_by_a_key(ring: KeyRing) -> None:
    admin, _ = ring.create(ADMIN)
    team, _ = ring.create(TEAM)
    with pytest.raises(NotAllowed, match="last key"):
        ring.revoke_by(admin.key_id, admin.key_id)
    second, _ = ring.create(ADMIN)
    ring.revoke_by(second.key_id, admin.key_id)
    assert not ring.in_force(admin.key_id)
    assert ring.revoke(second.key_id).revoked_at is not None  # with the data folder at hand, anything goes
    assert ring.in_force(team.key_id)


grants = st.builds(
    Grant,
    name=st.just("x"),
    collections=st.none() | st.lists(st.sampled_from("abc"), min_size=1),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1),
    user=st.sampled_from([None, "u", "v"]),
)


@given(grants, grants)
def test_what_is_not_beyond_allows_nothing_that_the_giver_may_not(wanted: Grant, own: Grant) -> None:
    def allows(grant: Grant, action: str, collection: str, user: str) -> bool:
        return (
            action in grant.actions
            and (grant.collections is None or collection in grant.collections)
            and grant.user in (None, user)
        )

    places = list(product(ACTIONS, "abcd", "uvw"))
    if beyond(wanted, own) is None:
        assert all(allows(own, *place) for place in places if allows(wanted, *place))
    else:
        assert any(allows(wanted, *place) and not allows(own, *place) for place in places)


def test_no_limit_is_wider_than_any() -> None:
    ten = Limits(concurrent_answers=10)
    assert looser(Limits(), ten) == looser(Limits(concurrent_answers=11), ten) == "concurrent_answers"
    assert looser(ten, ten) is None
    assert looser(ten, Limits()) is None


def test_collections_are_listed_as_far_as_they_may_be_read(catalog: Catalog) -> None:
    collections = Collections(catalog)
    for name in ("b", "a"):
        collections.set(name, {"retention": {"keep_days": 3.0}})
    assert [found.name for found in collections.all()] == ["a", "b"]
    assert [found.name for found in collections.all(frozenset("bc"))] == ["b"]
    assert collections.get("a").settings == {"retention": {"keep_days": 3.0}}
    collections.set("a", {})
    assert collections.get("a").settings == {}
    with pytest.raises(NotFound) as foreign:
        collections.get("a", frozenset("b"))
    with pytest.raises(NotFound) as missing:
        collections.get("c", frozenset("b"))
    assert str(foreign.value).replace(" a", " c") == str(missing.value)
