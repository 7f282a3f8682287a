"""Buckets of a real S3 server (moto), over HTTP and by the package that reads them, with keys from the environment."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from following import Followed
from moto.server import ThreadedMotoServer

from ingest.catalog.catalog import Catalog


class Bucket:
    """One bucket of the server, and what was asked of it."""

    def __init__(self, url: str, log: pytest.LogCaptureFixture) -> None:
        self.url = url
        self._client: Any = boto3.client("s3", endpoint_url=url)
        self._log = log

    def make(self) -> None:
        self._client.create_bucket(Bucket="bucket")

    def put(self, name: str, text: str) -> None:
        self._client.put_object(Bucket="bucket", Key=f"docs/{name}", Body=text.encode())

    def delete(self, *names: str) -> None:
        for name in names:
            self._client.delete_object(Bucket="bucket", Key=f"docs/{name}")

    def delete_all(self, *names: str) -> None:
        self.delete(*names)
        self._client.delete_bucket(Bucket="bucket")

    def read(self) -> list[str]:
        """The objects that were read since it was asked last."""
        said = [record.getMessage() for record in self._log.records if record.name == "werkzeug"]
        self._log.clear()
        return [line.split("/bucket/")[1].split()[0] for line in said if "GET /bucket/" in line]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Bucket]:
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "hunter2", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with caplog.at_level(logging.INFO, "werkzeug"):
            its = Bucket("http://{}:{}".format(*server.get_host_and_port()), caplog)
            httpx.post(f"{its.url}/moto-api/reset").raise_for_status()  # buckets are of the process
            its.make()
            yield its
    finally:
        server.stop()


@pytest.fixture
def followed(sqlite_catalog: Catalog, tmp_path: Path, bucket: Bucket) -> Iterator[Followed]:
    followed = Followed(sqlite_catalog, tmp_path)
    followed.put("s", "bucket", "s3://bucket/docs", options={"endpoint_url": bucket.url})
    yield followed
    followed.refreshing.close()


def test_objects_of_s3_are_documents_and_what_changes_is_followed(followed: Followed, bucket: Bucket) -> None:
    bucket.put("a.md", "the pump")
    bucket.put("sub/b.md", "the warranty")
    first = followed.refresh()
    assert first.taken == 2
    assert followed.shown() == {"s3://bucket/docs/a.md": 1, "s3://bucket/docs/sub/b.md": 1}
    assert bucket.read() == ["docs/a.md", "docs/sub/b.md"]
    run = followed.refresh()
    assert (run.taken, run.unchanged, run.revision) == (0, 2, first.revision)
    assert bucket.read() == []  # by their ETags
    bucket.put("a.md", "the pumq")  # as long as before
    assert followed.refresh().taken == 1
    assert bucket.read() == ["docs/a.md"]
    bucket.delete("sub/b.md")
    assert followed.refresh().removed == 1
    assert followed.shown() == {"s3://bucket/docs/a.md": 2}


@pytest.mark.parametrize(("gone", "state"), [("objects", "waiting"), ("bucket", "failed")])
def test_an_empty_bucket_of_s3_is_taken_for_one_that_is_away(
    followed: Followed, bucket: Bucket, gone: str, state: str
) -> None:
    bucket.put("a.md", "the pump")
    followed.refresh()
    if gone == "objects":
        bucket.delete("a.md")
    else:
        bucket.delete_all("a.md")
    run = followed.refresh()
    assert run.state == state
    assert run.problem is not None
    assert ("refresh it with `again`" if gone == "objects" else "does not exist") in run.problem.detail
    assert followed.shown() == {"s3://bucket/docs/a.md": 1}
    if gone == "objects":
        assert followed.refresh(again=True).removed == 1
