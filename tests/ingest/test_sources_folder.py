from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from following import Followed, document, write

from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings
from ingest.errors import NotFound, RefusedDocument, TryAgain
from ingest.sources.folder import FolderReader
from ingest.sources.types import Fetched, LeftOut, Listed, SourceReader, Unlisted


class Watched:
    """Counts what is fetched of a reader; it can fail where it is told to."""

    fetched: list[str]

    def __init__(self, reader: SourceReader) -> None:
        self._reader = reader
        self.fail_at: str | None = None

    def list(self, stop):  # type: ignore[no-untyped-def]
        for item in self._reader.list(stop):
            if isinstance(item, Listed) and item.uri == self.fail_at:
                raise TryAgain("the list was cut off")
            yield item

    def may_be_empty(self, since):  # type: ignore[no-untyped-def]
        return self._reader.may_be_empty(since)

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        Watched.fetched.append(item.uri)
        return self._reader.fetch(item, mark, max_bytes)

    def close(self) -> None:
        self._reader.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def followed(catalog: Catalog, tmp_path: Path, folder: Path) -> Iterator[Followed]:
    Watched.fetched = []
    followed = Followed(catalog, tmp_path, opened=Watched)
    followed.put("s", "folder", folder)
    yield followed
    followed.refreshing.close()


def listed(folder: Path) -> list[str]:
    return [item.uri for item in FolderReader(folder).list(lambda: False) if isinstance(item, Listed)]


def test_a_sweep_without_changes_reads_nothing_and_makes_no_revision(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b/c.md")
    first = followed.refresh()
    assert (first.state, first.listed, first.taken) == ("done", 2, 2)
    assert followed.shown() == {"a.md": 1, "b/c.md": 1}
    Watched.fetched.clear()
    run = followed.refresh()
    assert (run.state, run.taken, run.unchanged, run.revision) == ("done", 0, 2, first.revision)
    assert Watched.fetched == []


def test_a_changed_file_is_one_new_version(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b.md")
    followed.refresh()
    write(folder, "a.md", text="another text of {}")
    run = followed.refresh()
    assert (run.taken, run.unchanged) == (1, 1)
    assert followed.shown() == {"a.md": 2, "b.md": 1}
    assert Watched.fetched == ["a.md", "b.md", "a.md"]


def test_a_file_touched_without_a_change_makes_no_version_and_is_read_once(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    followed.refresh()
    os.utime(folder / "a.md", (1, 1))
    Watched.fetched.clear()
    assert followed.refresh().unchanged == 1
    assert followed.refresh().unchanged == 1
    assert Watched.fetched == ["a.md"]
    assert followed.catalog.head() == 1


def test_a_deleted_file_is_hidden(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b.md")
    followed.refresh()
    (folder / "a.md").unlink()
    assert followed.refresh().removed == 1
    assert followed.shown() == {"b.md": 1}
    assert followed.items() == {"b.md": "indexed"}
    (folder / "b.md").unlink()
    assert followed.refresh().removed == 1  # the last one too: the folder was touched
    assert followed.shown() == {}


def test_what_is_missing_stays_where_the_source_says_so(followed: Followed, folder: Path) -> None:
    followed.put("s", "folder", folder, keep_missing=True)
    write(folder, "a.md", "b.md")
    followed.refresh()
    (folder / "a.md").unlink()
    assert followed.refresh().removed == 0
    assert set(followed.shown()) == {"a.md", "b.md"}


def test_a_renamed_file_embeds_nothing_and_keeps_its_metadata(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", text="# The pump\n\nIt weighs 11 kg.")
    followed.refresh()
    followed.catalog.set_metadata(document("a.md"), {"author": "Ada"})
    (folder / "b").mkdir()
    (folder / "a.md").rename(folder / "b" / "new.md")
    followed.embedder.embedded.clear()
    run = followed.refresh()
    assert (run.renamed, run.removed) == (1, 1)
    assert followed.embedder.embedded == []
    assert followed.catalog.document(document("b/new.md")).metadata == {"author": "Ada"}
    assert set(followed.shown()) == {"b/new.md"}


def test_a_list_that_is_cut_off_removes_nothing(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    Watched.fetched = []
    watched: list[Watched] = []

    def opened(reader: SourceReader) -> SourceReader:
        watched.append(Watched(reader))
        watched[-1].fail_at = fail_at
        return watched[-1]

    fail_at: str | None = None
    followed = Followed(catalog, tmp_path, opened=opened)
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b.md", "c.md")
    followed.refresh()
    (folder / "a.md").unlink()
    fail_at = "b.md"
    run = followed.refresh()
    assert run.state == "waiting"
    assert run.problem is not None
    assert "cut off" in run.problem.detail
    assert set(followed.shown()) == {"a.md", "b.md", "c.md"}


def test_a_folder_that_is_away_removes_nothing_and_is_told_at_once(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    followed.refresh()
    away = folder.rename(folder.with_name("away"))
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert "there is no folder" in run.problem.detail
    assert set(followed.shown()) == {"a.md"}
    assert followed.job().state == "failed"
    away.rename(folder)
    assert followed.refresh().state == "done"


def test_a_list_that_fails_is_tried_again_and_given_up_at_last(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    def opened(reader: SourceReader) -> SourceReader:
        watched = Watched(reader)
        watched.fail_at = fail_at
        return watched

    fail_at: str | None = "a.md"
    followed = Followed(catalog, tmp_path, opened=opened)
    followed.put("s", "folder", folder)
    write(folder, "a.md")
    assert followed.refresh().state == "waiting"
    job = followed.job()
    assert (job.state, job.attempts) == ("queued", 3)  # the first attempts come without waiting
    assert job.not_before is not None
    fail_at = None
    assert followed.register.request("s") == [job.job_id]  # who asks now does not wait
    followed.worker.work_off()
    assert followed.queue.get(job.job_id).state == "done"
    fail_at = "a.md"
    while followed.refresh().state == "waiting":
        assert followed.job().state == "queued"
    assert followed.job().state == "dead"
    run = followed.register.get("s").last_run
    assert run is not None
    assert (run.state, run.problem is not None) == ("failed", True)
    followed.refreshing.close()


def test_the_empty_place_of_a_folder_that_is_not_mounted_removes_nothing(followed: Followed, folder: Path) -> None:
    write(folder, "a.md")
    followed.refresh()
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    os.utime(folder, (1, 1))  # it was made long before anything was taken from it
    run = followed.refresh()
    assert run.state == "waiting"
    assert set(followed.shown()) == {"a.md"}
    assert followed.refresh(again=True).removed == 1  # whoever asks for it means it


def test_a_folder_in_it_that_cannot_be_read_keeps_what_was_there(tmp_path: Path, folder: Path) -> None:
    write(folder, "a.md", "b/c.md")

    class Reader(FolderReader):
        """Root can read everything, so the error is made here."""

    deep = folder / "b" / "/".join(["d" * 250] * 14)
    names = list(FolderReader(folder).list(lambda: False))
    assert not any(isinstance(item, Unlisted) for item in names)
    made = folder / "b"
    for _ in range(20):  # deeper than a path can be long
        os.chdir(made)
        os.mkdir("d" * 250)
        made = Path("d" * 250)
    os.chdir(tmp_path)
    found = list(FolderReader(folder).list(lambda: False))
    (unlisted,) = [item for item in found if isinstance(item, Unlisted)]
    assert unlisted.prefix.startswith("b/ddd")
    assert "can't be read" in unlisted.reason
    assert deep
    assert {item.uri for item in found if isinstance(item, Listed)} == {"a.md", "b/c.md"}


def test_what_is_below_a_folder_that_cannot_be_read_stays(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    closed = False

    class Closing(Watched):
        def list(self, stop):  # type: ignore[no-untyped-def]
            for item in super().list(stop):
                if not closed or not item.uri.startswith("b/"):
                    yield item
            if closed:
                yield Unlisted("b/", "the folder b can't be read.")

    Watched.fetched = []
    followed = Followed(catalog, tmp_path, opened=Closing)
    followed.put("s", "folder", folder)
    write(folder, "a.md", "b/c.md", "d.md")
    followed.refresh()
    closed = True
    (folder / "d.md").unlink()
    run = followed.refresh()
    assert set(followed.shown()) == {"a.md", "b/c.md"}
    assert run.state == "done"
    assert run.problem is not None
    assert run.problem.detail == "the folder b can't be read. What was in it before stays."


def test_links_are_followed_within_the_folder_only(tmp_path: Path, folder: Path) -> None:
    write(folder, "a.md")
    write(tmp_path, "secret.md", "outside/secret.md")
    (folder / "in.md").symlink_to("a.md")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    (folder / "up.md").symlink_to("../secret.md")
    (folder / "there").symlink_to(tmp_path / "outside", target_is_directory=True)
    (folder / "nowhere.md").symlink_to("nowhere")
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "self").symlink_to(".", target_is_directory=True)
    os.mkfifo(folder / "pipe.md")
    assert listed(folder) == ["a.md", "in.md"]
    left_out = {its.uri: its.reason for its in FolderReader(folder).list(lambda: False) if isinstance(its, LeftOut)}
    outside = "links that lead out of the folder"
    assert left_out == {
        **dict.fromkeys(("out.md", "up.md", "there"), outside),
        "nowhere.md": "links to no file",
        "loop.md": "links that lead to themselves",
        "self": "links to folders",
    }


def test_a_refresh_says_which_links_it_left_out(followed: Followed, tmp_path: Path, folder: Path) -> None:
    write(folder, "a.md", "b/c.md")
    write(tmp_path, "secret.md")
    (folder / "b/out.md").symlink_to(tmp_path / "secret.md")
    (folder / "b/one.md").symlink_to("two.md")
    (folder / "b/two.md").symlink_to("one.md")
    (folder / "b/round").symlink_to("..", target_is_directory=True)
    run = followed.refresh()
    assert followed.shown() == {"a.md": 1, "b/c.md": 1}
    assert (run.state, run.problem, run.left_out) == ("done", None, 4)
    assert run.notes == (
        "left out: 2 links that lead to themselves, such as b/one.md",
        "left out: 1 links that lead out of the folder, such as b/out.md",
        "left out: 1 links to folders, such as b/round",
    )
    # A file that became such a link is gone.
    (folder / "a.md").unlink()
    (folder / "a.md").symlink_to(tmp_path / "secret.md")
    assert followed.refresh().removed == 1
    # Each reason is named once, and those that nobody wants are not counted.
    for number in range(50):
        (folder / f"{number}.md").symlink_to(tmp_path / "secret.md")
    followed.put("s", "folder", folder, exclude=("b/*",))
    run = followed.refresh()
    assert (run.left_out, run.notes) == (51, ("left out: 51 links that lead out of the folder, such as 0.md",))


@pytest.mark.parametrize("place", ["file", "folder", "above"])
def test_a_link_put_in_between_list_and_read_is_not_followed(tmp_path: Path, folder: Path, place: str) -> None:
    write(folder, "b/c/a.md")
    write(tmp_path, "secret/c/a.md", "secret/a.md", text="the secret")
    reader = FolderReader(folder)
    (item,) = reader.list(lambda: False)
    assert isinstance(item, Listed)
    if place == "file":
        (folder / "b/c/a.md").unlink()
        (folder / "b/c/a.md").symlink_to(tmp_path / "secret/a.md")
    elif place == "folder":
        (folder / "b/c").rename(tmp_path / "old")
        (folder / "b/c").symlink_to(tmp_path / "secret/c")
    else:
        (folder / "b").rename(tmp_path / "old")
        (folder / "b").symlink_to(tmp_path / "secret")
    with pytest.raises(NotFound):
        reader.fetch(item, None, 1000)


def test_a_link_put_in_while_the_file_is_opened_is_not_followed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "b/a.md")
    write(tmp_path, "secret/a.md", text="the secret")
    reader = FolderReader(folder)
    (item,) = reader.list(lambda: False)
    assert isinstance(item, Listed)
    real = os.path.realpath

    def swapped(path):  # type: ignore[no-untyped-def]
        found = real(path)
        if str(path).endswith("a.md") and not (folder / "b").is_symlink():
            (folder / "b").rename(tmp_path / "old")
            (folder / "b").symlink_to(tmp_path / "secret")
            return str(folder / "b" / "a.md")  # as it was when it was looked at
        return found

    monkeypatch.setattr(os.path, "realpath", swapped)
    with pytest.raises((NotFound, RefusedDocument)):
        reader.fetch(item, None, 1000)


def test_hidden_and_unfinished_files_are_left_out(folder: Path) -> None:
    write(folder, "a.md", ".hidden.md", ".git/config", "b.md.part", "~$c.docx", "d.md~", "e.crdownload")
    assert listed(folder) == ["a.md"]


def test_a_file_that_is_being_written_is_taken_again(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    followed = Followed(catalog, tmp_path, now=time.time)
    followed.put("s", "folder", folder)
    write(folder, "a.md", text="half of")
    times = os.stat(folder / "a.md")
    followed.refresh()
    write(folder, "a.md", text="more so")  # as long as before, and in the same tick of the clock
    os.utime(folder / "a.md", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert followed.refresh().taken == 1
    assert followed.catalog.version_text(document("a.md"), 2) == "more so"


def test_a_file_that_grows_while_it_is_read_has_no_mark(folder: Path) -> None:
    write(folder, "a.md", text="x" * 100)
    reader = FolderReader(folder, lambda: time.time() + 3600)
    (item,) = reader.list(lambda: False)
    assert isinstance(item, Listed)
    assert item.mark is not None
    fetched = reader.fetch(item, None, 1000)
    assert fetched is not None
    assert fetched.mark == item.mark
    stopped = threading.Event()

    def grow() -> None:
        while not stopped.is_set():
            with open(folder / "a.md", "a") as file:
                file.write("y")

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        grown = [its for its in (reader.fetch(item, None, 10**9) for _ in range(2000)) if its is not None]
    finally:
        stopped.set()
        thread.join()
    assert any(its.mark is None for its in grown)


def test_names_that_are_no_uris_are_told_and_cost_nothing_else(followed: Followed, folder: Path) -> None:
    write(folder, "good.md", "a\nb.md", "tab\there.md", "x" * 200 + "/" + "y" * 200 + "/" + "z" * 200 + ".md")
    os.mkdir(os.fsencode(folder) + b"/caf\xe9")
    with open(os.fsencode(folder) + b"/caf\xe9/d.md", "w") as file:
        file.write("text")
    run = followed.refresh()
    assert (run.taken, run.failed) == (2, 3)
    items = followed.register.items("s", 100, state="failed")
    assert {item.uri for item in items} == {"a\\nb.md", "tab\\there.md", "caf\\udce9/d.md"}
    assert all(item.problem is not None and "no name for a document" in item.problem.detail for item in items)
    after = followed.refresh()
    assert (after.failed, after.revision) == (0, run.revision)  # told once


def test_two_names_that_are_shown_alike_are_two_items(followed: Followed, folder: Path) -> None:
    write(folder, "a\nb.md", "a\\nb.md")
    run = followed.refresh()
    assert (run.taken, run.failed) == (1, 1)
    assert [item.uri for item in followed.register.items("s", 10)] == ["a\\nb.md", "a\\nb.md"]
    assert followed.shown() == {"a\\nb.md": 1}


def test_a_very_long_name_is_refused(followed: Followed, folder: Path) -> None:
    write(folder, "/".join(["x" * 250] * 9) + "/a.md")
    run = followed.refresh()
    assert (run.taken, run.failed) == (0, 1)
    (item,) = followed.register.items("s", 10)
    assert len(item.uri) == 2048


def test_files_that_are_too_large_or_empty_are_told_once(followed: Followed, folder: Path) -> None:
    write(folder, "large.md", text="x" * 20_000)
    write(folder, "empty.md", text="")
    write(folder, "a.md")
    run = followed.refresh()
    assert (run.taken, run.failed) == (1, 2)
    problems = {item.uri: item.problem.code for item in followed.register.items("s", 10) if item.problem is not None}
    assert problems == {"large.md": "document-too-large", "empty.md": "empty-document"}
    Watched.fetched.clear()
    assert followed.refresh().failed == 0
    assert Watched.fetched == []
    assert followed.unused() == set()


def test_include_and_exclude_choose_by_uri(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b.txt", "drafts/c.md")
    followed.put("s", "folder", folder, include=["*.md"], exclude=["drafts/*"])
    followed.refresh()
    assert set(followed.shown()) == {"a.md"}
    followed.put("s", "folder", folder, include=["*.txt"])
    followed.refresh()
    assert set(followed.shown()) == {"b.txt"}
    followed.put("s", "folder", folder, include=["*.none"])
    assert followed.refresh().removed == 1  # the folder has files, only none of these


def test_more_items_than_the_source_may_have_are_refused(followed: Followed, folder: Path) -> None:
    write(folder, "a.md", "b.md", "c.md")
    followed.put("s", "folder", folder, max_items=2)
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert "more than 2 items" in run.problem.detail
    assert followed.job().state == "failed"
    assert followed.shown() == {}


def test_an_unchanged_sweep_of_thousands_of_files_is_quick(catalog: Catalog, tmp_path: Path, folder: Path) -> None:
    followed = Followed(catalog, tmp_path, IngestSettings(commit_files=1000, commit_chunks=1000))
    followed.put("s", "folder", folder)
    write(folder, *(f"{number % 10}/{number}.md" for number in range(500)))
    assert followed.refresh().taken == 500
    started = time.monotonic()
    assert followed.refresh().unchanged == 500
    assert time.monotonic() - started < 5  # of which listing is a small part
