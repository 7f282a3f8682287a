from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from following import Followed
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem
from pydantic import ValidationError

from ingest.catalog.catalog import Catalog
from ingest.errors import MissingDriver, RefusedDocument
from ingest.sources.bucket import BucketReader
from ingest.sources.types import Listed, SourceSettings


class Counting(MemoryFileSystem):
    """A bucket in memory with ETags, which counts reads and can fail."""

    protocol = "counting"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    opened: list[str] = []  # noqa: RUF012
    broken: str | None = None

    find = AbstractFileSystem.find  # as most have it; that of S3 is its own

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        if self.broken is not None and self.broken in path:
            raise PermissionError("access denied")
        found = super().ls(path, detail=True, **kwargs)
        for info in found:
            if info["type"] == "file":
                info["ETag"] = str(hash(self.store[info["name"]].getvalue()))
        return found if detail else [info["name"] for info in found]

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            Counting.opened.append(path)
        return super()._open(path, mode, **kwargs)


@pytest.fixture
def bucket() -> Iterator[Counting]:
    fsspec.register_implementation("counting", Counting, clobber=True)
    Counting.store.clear()
    Counting.pseudo_dirs[:] = [""]
    Counting.opened.clear()
    Counting.broken = None
    yield Counting()
    Counting.store.clear()


@pytest.fixture
def followed(sqlite_catalog: Catalog, tmp_path: Path, bucket: Counting) -> Iterator[Followed]:
    followed = Followed(sqlite_catalog, tmp_path)
    followed.put("s", "bucket", "counting://bucket/docs")
    yield followed
    followed.refreshing.close()


def put(bucket: Counting, name: str, text: str) -> None:
    bucket.pipe_file(f"/bucket/docs/{name}", text.encode())


def test_objects_are_documents_and_unchanged_ones_are_not_read(followed: Followed, bucket: Counting) -> None:
    put(bucket, "a.md", "the pump")
    put(bucket, "sub/b.md", "the warranty")
    assert followed.refresh().taken == 2
    assert set(followed.shown()) == {"counting://bucket/docs/a.md", "counting://bucket/docs/sub/b.md"}
    Counting.opened.clear()
    run = followed.refresh()
    assert (run.taken, run.unchanged, run.revision) == (0, 2, 1)
    assert Counting.opened == []
    put(bucket, "a.md", "the pumq")  # as long as before
    assert followed.refresh().taken == 1
    assert Counting.opened == ["/bucket/docs/a.md"]


def test_a_file_system_with_a_find_of_its_own_is_asked_at_once(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = MemoryFileSystem()
    files.pipe_file("/own/a/b.md", b"the pump")
    files.pipe_file("/own/c.md", b"the warranty")
    monkeypatch.setattr(MemoryFileSystem, "ls", None)
    followed.put("s", "bucket", "memory://own")
    try:
        assert followed.refresh().taken == 2
        assert set(followed.shown()) == {"memory://own/a/b.md", "memory://own/c.md"}
        assert followed.refresh().unchanged == 2
    finally:
        monkeypatch.undo()
        files.rm("/own", recursive=True)


def test_a_deleted_object_is_hidden(followed: Followed, bucket: Counting) -> None:
    put(bucket, "a.md", "the pump")
    put(bucket, "b.md", "the warranty")
    followed.refresh()
    bucket.rm("/bucket/docs/a.md")
    assert followed.refresh().removed == 1
    assert set(followed.shown()) == {"counting://bucket/docs/b.md"}


def test_an_object_that_is_too_large_is_not_read(followed: Followed, bucket: Counting) -> None:
    put(bucket, "a.md", "x" * 20_000)
    assert followed.refresh().failed == 1
    assert Counting.opened == []
    (item,) = followed.register.items("s", 10)
    assert item.problem is not None
    assert item.problem.code == "document-too-large"


@pytest.mark.parametrize("broken", ["bucket", "sub"])
def test_a_list_that_fails_anywhere_removes_nothing(followed: Followed, bucket: Counting, broken: str) -> None:
    put(bucket, "a.md", "the pump")
    put(bucket, "sub/b.md", "the warranty")
    followed.refresh()
    Counting.broken = broken
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert "access denied" in run.problem.detail
    assert len(followed.shown()) == 2


class ServerSaid(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"the server said {status}")
        self.status_code = status


NoCredentialsError = type("NoCredentialsError", (Exception,), {})


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (FileNotFoundError("The specified bucket does not exist"), "failed"),
        (PermissionError("Forbidden"), "failed"),
        (ServerSaid(401), "failed"),
        (ServerSaid(403), "failed"),
        (ServerSaid(404), "failed"),
        (NoCredentialsError("Unable to locate credentials"), "failed"),
        (ServerSaid(503), "waiting"),
        (TimeoutError("timed out"), "waiting"),
        (ConnectionResetError("reset"), "waiting"),
        (OSError("EndpointConnectionError"), "waiting"),
    ],
)
def test_what_only_a_person_can_mend_is_not_tried_again(
    followed: Followed, bucket: Counting, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    tries = []

    def ls(self: Counting, path: str, detail: bool = True, **kwargs: Any) -> Any:
        tries.append(path)
        raise error

    monkeypatch.setattr(Counting, "ls", ls)
    run = followed.refresh()
    assert run.state == state
    assert len(tries) == (1 if state == "failed" else 3)
    assert run.problem is not None
    assert str(error) in run.problem.detail
    assert followed.job().state == ("failed" if state == "failed" else "queued")


@pytest.mark.parametrize("gone", ["objects", "bucket"])
def test_an_empty_bucket_is_taken_for_one_that_is_away(followed: Followed, bucket: Counting, gone: str) -> None:
    put(bucket, "a.md", "the pump")
    followed.refresh()
    bucket.rm("/bucket/docs/a.md" if gone == "objects" else "/bucket", recursive=True)
    assert followed.refresh().state == "failed"  # as with S3, a folder without objects is none
    assert len(followed.shown()) == 1


def test_whoever_says_again_means_an_empty_bucket(followed: Followed, bucket: Counting) -> None:
    put(bucket, "a.md", "the pump")
    followed.refresh()
    bucket.rm("/bucket/docs/a.md")
    bucket.makedirs("/bucket/docs", exist_ok=True)
    assert followed.refresh(again=True).removed == 1


def test_an_object_that_goes_between_list_and_read_costs_nothing(bucket: Counting) -> None:
    put(bucket, "a.md", "the pump")
    reader = BucketReader(SourceSettings(kind="bucket", location="counting://bucket"))
    (item,) = reader.list(lambda: False)
    assert isinstance(item, Listed)
    bucket.rm("/bucket/docs/a.md")
    with pytest.raises(Exception, match="is gone"):
        reader.fetch(item, None, 100)


@pytest.mark.parametrize(
    "location",
    ["/etc", "file:///etc", "local:///etc", "http://169.254.169.254/", "zip://a::file:///b", "git://a", "bucket/a"],
)
def test_what_is_no_bucket_is_refused(location: str) -> None:
    with pytest.raises(ValidationError):
        SourceSettings(kind="bucket", location=location)


@pytest.mark.parametrize("options", [{"secret": "x"}, {"key": "x"}, {"client_kwargs": {"aws_session_token": "x"}}])
def test_secrets_are_not_stored(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="environment"):
        SourceSettings(kind="bucket", location="memory://bucket", options=options)
    SourceSettings(kind="bucket", location="memory://bucket", options={"endpoint_url": "https://s3.example.org"})


def test_an_unknown_protocol_and_a_missing_package_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(RefusedDocument, match="nope://"):
        BucketReader(SourceSettings.stored({"kind": "bucket", "location": "nope://bucket"}))
    with pytest.raises(MissingDriver, match=r"pip install gcsfs"):
        BucketReader(SourceSettings.stored({"kind": "bucket", "location": "gs://bucket"}))


@pytest.mark.parametrize(
    ("protocol", "package"),
    [
        ("s3", "s3fs"),
        ("s3a", "s3fs"),
        ("gs", "gcsfs"),
        ("abfs", "adlfs"),
        ("oci", "ocifs"),
        ("webdav", "webdav4"),
        ("lakefs", "lakefs-spec"),
        ("smb", "smbprotocol"),
        ("sftp", "paramiko"),
        ("hdfs", "pyarrow"),
    ],
)
def test_a_bucket_whose_package_is_missing_is_refused_when_it_is_given(
    monkeypatch: pytest.MonkeyPatch, protocol: str, package: str
) -> None:
    missing = ("s3fs", "gcsfs", "adlfs", "ocifs", "webdav4", "lakefs_spec", "smbprotocol", "paramiko", "pyarrow")
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, protocol, raising=False)  # of a test before
    with pytest.raises(ValidationError, match=rf"{protocol}:// needs a package: pip install {package}\b"):
        SourceSettings(kind="bucket", location=f"{protocol}://bucket/docs")
    stored = SourceSettings.stored({"kind": "bucket", "location": f"{protocol}://bucket/docs"})
    assert stored.location == f"{protocol}://bucket/docs"  # or the list of sources would fail


def test_a_bucket_of_no_known_kind_is_refused_when_it_is_given() -> None:
    with pytest.raises(ValidationError, match=r"nonsense:// is known to no file system.* s3, ") as caught:
        SourceSettings(kind="bucket", location="nonsense://bucket")
    assert "github" not in str(caught.value)
    SourceSettings(kind="bucket", location="memory://bucket")
    SourceSettings(kind="bucket", location="ftp://bucket")


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/operations.md says."""
    given: dict[str, Any] = {}

    class Guarded(MemoryFileSystem):
        protocol = "guarded"

        def __init__(self, **options: Any) -> None:
            given.update(options)
            super().__init__()

    fsspec.register_implementation("guarded", Guarded, clobber=True)
    monkeypatch.setenv("FSSPEC_GUARDED_PASSWORD", "hunter2")
    conf: dict[str, Any] = {}
    fsspec.config.set_conf_env(conf)
    monkeypatch.setattr(fsspec.config, "conf", conf)
    monkeypatch.setitem(fsspec.config.apply_config.__globals__, "conf", conf)
    settings = SourceSettings(kind="bucket", location="guarded://bucket/docs", options={"host": "example.org"})
    BucketReader(settings)
    assert given == {"host": "example.org", "password": "hunter2"}
