"""The schedule, the hopper, and locations."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from ingest.identity import as_uri, is_uri
from ingest.sources.hopper import Arrival, Closed, Hopper
from ingest.sources.schedule import next_time
from ingest.sources.types import Fetched, Listed, SourceSettings

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after"),
    [("30s", 30), ("15m", 900), (" 2h ", 7200), ("1d", 86400), ("*/5 * * * *", 300), ("0 3 * * *", 15 * 3600)],
)
def test_the_next_time_of_a_schedule(schedule: str, after: float) -> None:
    assert next_time(schedule, NOON) == NOON + timedelta(seconds=after)


def test_cron_is_in_utc_whatever_the_time_zone_of_who_asks() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5)))
    assert next_time("0 13 * * *", there) == NOON + timedelta(hours=1)


@pytest.mark.parametrize("schedule", ["4s", "0m", "often", "61 * * * *", "* * *", "", "9999999d", "-5m", "0 0 30 2 *"])
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|often"):
        next_time(schedule, NOON)
    with pytest.raises(ValidationError):
        SourceSettings(kind="folder", location="/docs", schedule=schedule)


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        ("folder", "docs"),
        ("folder", "./docs"),
        ("web", "example.org"),
        ("web", "ftp://example.org/"),
        ("web", "https://ada:secret@example.org/"),
        ("web", "https://[::1/"),
        ("web", "https://example.org:99999/"),
        ("sitemap", "file:///etc/passwd"),
        ("sitemap", "https:///sitemap.xml"),
    ],
)
def test_locations_that_can_be_none_are_refused_when_they_are_given(kind: str, location: str) -> None:
    with pytest.raises(ValidationError):
        SourceSettings(kind=kind, location=location)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        ("web", "https://ada:hunter2@example.org/"),
        ("web", "ftp://ada:hunter2@example.org/"),
        ("web", "https://example.org/a https://example.org/b?api_key=hunter2"),
        ("web", "https://example.org/?ApiKey=hunter2"),
        ("web", "https://example.org/?a=1&token=hunter2#x"),
        ("web", "https://example.org/?accessToken=hunter2"),
        ("web", "https://example.org/?access-token=hunter2"),
        ("web", "https://example.org/?key=AIzaSyA1hunter2B3c4D5e6F7"),
        ("web", "https://example.org/?X-Amz-Signature=hunter2"),
        ("sitemap", "https://example.blob.core.windows.net/s.xml?sv=2024&sig=hunter2"),
        ("git", "https://ada:hunter2@example.org/x.git"),
        ("git", "https://example.org/x.git?private_token=hunter2"),
        ("git", "ssh://ada:hunter2@example.org/x.git"),
        ("git", "ada:hunter2@example.org:x.git"),
        ("bucket", "s3://KEY:hunter2@bucket/docs"),
        ("bucket", "s3://KEY:hunt/er2@bucket/docs"),
        ("bucket", "smb://ada:hunter2@server/share"),
        ("bucket", "ftp://ada:hunter2@example.org/x"),
        ("bucket", "sftp://:hunter2@example.org:22/x"),
    ],
)
def test_a_secret_in_a_location_is_refused_and_not_repeated(kind: str, location: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SourceSettings(kind=kind, location=location)  # type: ignore[arg-type]
    (error,) = caught.value.errors()
    assert "stored and shown" in error["msg"]
    assert "leave it out" in error["msg"]
    assert "hunt" not in error["msg"]


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        ("web", "https://example.org:8080/a@b?page=2&key=intro&tokens=5&page_token=3&author=ada&sig="),
        ("web", "https://example.org/monkey?keyword=token&passenger=1&design=2"),
        ("git", "git@example.org:group/x.git"),
        ("git", "ssh://git@example.org:2222/group/x.git"),
        ("git", "https://example.org:8443/x@y.git"),
        ("bucket", "memory://bucket/a:b@c"),
        ("bucket", "memory://container@account.dfs.core.windows.net/a"),
        ("bucket", "memory://example.org:22/a@b"),
        ("folder", "/srv/a:b@c?token=1"),
    ],
)
def test_what_is_no_secret_is_left_in_a_location(kind: str, location: str) -> None:
    assert SourceSettings(kind=kind, location=location).location == location  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "hunter2"},
        {"connection_string": "hunter2"},
        {"connectionString": "hunter2"},
        {"account_key": "hunter2"},
        {"sas_token": "hunter2"},
        {"passphrase": "hunter2"},
        {"client_kwargs": {"aws_secret_access_key": "hunter2"}},
        {"client_kwargs": '{"aws_secret_access_key": "hunter2"}'},
        {"headers": [{"Authorization": "hunter2"}]},
        {"account": "AccountName=a;AccountKey=hunter2;EndpointSuffix=core.windows.net"},
        {"endpoint_url": "https://ada:hunter2@example.org/"},
        {"endpoint_url": "https://example.org/?sv=1&sig=hunter2"},
        {"hosts": ["http://ada:hunter2@example.org"]},
    ],
)
def test_a_secret_in_options_is_refused_and_not_repeated(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        SourceSettings(kind="bucket", location="memory://b", options=options)
    (error,) = caught.value.errors()
    assert "environment" in error["msg"]
    assert "hunter2" not in error["msg"]


def test_what_is_no_secret_is_left_in_options() -> None:
    options = {
        "endpoint_url": "https://s3.example.org:9000/",
        "anon": True,
        "client_kwargs": {"region_name": "eu-central-1", "verify": False},
        "requester_pays": "true",
        "account_name": "ada",
        "passive": "yes",
    }
    assert SourceSettings(kind="bucket", location="memory://b", options=options).options == options


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b.md", "a b.md"),
        ("a\nb", "a\\nb"),
        ("a\x1b[0mb", "a\\x1b[0mb"),
        ("caf\udce9", "caf\\udce9"),
        ("x\u202ey", "x\\u202ey"),
        ("a" * 3000, "a" * 2047 + "…"),
    ],
)
def test_a_name_that_is_no_uri_is_written_out(text: str, shown: str) -> None:
    assert as_uri(text) == shown
    assert is_uri(shown)


def arrival(name: str, size: int) -> Arrival:
    return Arrival(name, Listed(name, name, name, None), Fetched(b"x" * size, None, name))


def test_the_hopper_holds_no_more_bytes_than_it_may() -> None:
    hopper = Hopper(10)
    hopper.put(arrival("a", 6))
    second = threading.Thread(target=hopper.put, args=(arrival("b", 6),))
    second.start()
    time.sleep(0.1)
    assert second.is_alive()
    assert [its.document_id for its in hopper.take(9, 100)] == ["a"]
    second.join(5)
    assert [its.document_id for its in hopper.take(9, 100)] == ["b"]
    assert hopper.is_empty()


def test_one_arrival_larger_than_the_hopper_passes_alone() -> None:
    hopper = Hopper(10)
    hopper.put(arrival("a", 100))
    assert [its.document_id for its in hopper.take(9, 5)] == ["a"]


def test_arrivals_are_taken_in_order_and_within_the_bounds() -> None:
    hopper = Hopper(100)
    for name in "abcd":
        hopper.put(arrival(name, 4))
    assert [its.document_id for its in hopper.take(3, 10)] == ["a", "b"]
    assert [its.document_id for its in hopper.take(1, 10)] == ["c"]
    assert [its.document_id for its in hopper.take(9, 10)] == ["d"]


def test_a_closed_hopper_lets_go_of_who_waits_and_of_what_it_holds() -> None:
    hopper, ended = Hopper(5), threading.Event()
    hopper.put(arrival("a", 5))

    def wait() -> None:
        with pytest.raises(Closed):
            hopper.put(arrival("b", 5))
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    hopper.close()
    thread.join(5)
    assert ended.is_set()
    assert hopper.take(9, 100) == []
    with pytest.raises(Closed):
        hopper.put(arrival("c", 1))


def test_who_waits_for_arrivals_is_woken_by_one() -> None:
    hopper = Hopper(5)
    threading.Timer(0.1, hopper.put, (arrival("a", 1),)).start()
    started = time.monotonic()
    hopper.wait(10)
    assert time.monotonic() - started < 5
