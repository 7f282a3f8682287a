from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from following import Followed, document
from pydantic import ValidationError

from ingest.catalog.catalog import Catalog
from ingest.errors import MissingDriver
from ingest.sources.copies import remove_copies_but
from ingest.sources.git import GitReader
from ingest.sources.types import Listed, SourceSettings

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")


def git(place: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *AUTHOR, *arguments], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(place: Path, **files: str | None) -> None:
    """Writes files (`__` stands for a slash, `_` before the end for a dot), or removes them, and commits."""
    for name, text in files.items():
        path = place / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "a change")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "--quiet")
    commit(place, a="the pump weighs 11 kg", docs__b="the warranty lasts five years")
    return place


@pytest.fixture
def followed(sqlite_catalog: Catalog, tmp_path: Path, repository: Path) -> Iterator[Followed]:
    followed = Followed(sqlite_catalog, tmp_path)
    followed.put("s", "git", repository)
    yield followed
    followed.refreshing.close()


def test_the_files_of_the_branch_are_documents_and_only_changed_ones_are_taken(
    followed: Followed, repository: Path
) -> None:
    run = followed.refresh()
    assert (run.state, run.taken) == ("done", 2)
    assert followed.shown() == {"a.md": 1, "docs/b.md": 1}
    assert followed.refresh().revision == run.revision
    commit(repository, a="the pump weighs 12 kg", docs__b=None, c="a third one")
    run = followed.refresh()
    assert (run.taken, run.removed, run.unchanged) == (2, 1, 0)
    assert followed.shown() == {"a.md": 2, "c.md": 1}


def test_a_moved_file_embeds_nothing(followed: Followed, repository: Path) -> None:
    followed.refresh()
    git(repository, "mv", "a.md", "docs/a.md")
    git(repository, "commit", "--quiet", "--message", "moved")
    followed.embedder.embedded.clear()
    assert followed.refresh().renamed == 1
    assert followed.embedder.embedded == []


def test_a_force_pushed_branch_is_followed(followed: Followed, repository: Path) -> None:
    commit(repository, c="to be taken back")
    followed.refresh()
    git(repository, "reset", "--quiet", "--hard", "HEAD~1")
    git(repository, "commit", "--quiet", "--amend", "--message", "rewritten")
    commit(repository, d="in its place")
    run = followed.refresh()
    assert (run.taken, run.removed) == (1, 1)
    assert set(followed.shown()) == {"a.md", "docs/b.md", "d.md"}


def test_another_branch_or_subfolder_is_followed_when_the_settings_change(followed: Followed, repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "other")
    commit(repository, other="on the other branch", a=None)
    git(repository, "checkout", "--quiet", "main")
    followed.refresh()
    assert set(followed.shown()) == {"a.md", "docs/b.md"}
    followed.put("s", "git", repository, branch="other")
    followed.refresh()
    assert set(followed.shown()) == {"other.md", "docs/b.md"}
    followed.put("s", "git", repository, branch="other", subfolder="docs")
    followed.refresh()
    assert set(followed.shown()) == {"b.md"}


def test_a_tag_or_a_whole_ref_can_be_followed_and_a_branch_goes_before_a_tag(
    followed: Followed, repository: Path
) -> None:
    git(repository, "tag", "v1")
    git(repository, "tag", "--annotate", "v2", "--message", "the second")
    git(repository, "update-ref", "refs/reviews/7", "HEAD")
    commit(repository, c="of later")
    for name in ("v1", "v2", "refs/reviews/7", "refs/tags/v2"):
        followed.put("s", "git", repository, branch=name)
        run = followed.refresh()
        assert (run.state, run.problem) == ("done", None)
        assert set(followed.shown()) == {"a.md", "docs/b.md"}
    followed.put("s", "git", repository, branch="main")
    followed.refresh()
    assert "c.md" in followed.shown()
    git(repository, "tag", "main", "v1")
    followed.refresh()
    assert "c.md" in followed.shown()


def test_links_and_submodules_are_left_out_and_told(followed: Followed, repository: Path) -> None:
    (repository / "docs" / "link.md").symlink_to("../a.md")
    (repository / ".hidden").symlink_to("a.md")
    commit(repository)
    entry = f"160000,{git(repository, 'rev-parse', 'HEAD')},docs/other"
    git(repository, "update-index", "--add", "--cacheinfo", entry)
    git(repository, "commit", "--quiet", "--message", "a submodule")
    run = followed.refresh()
    assert (run.taken, run.failed, run.left_out) == (2, 0, 2)
    assert run.notes == (
        "left out: 1 symbolic links, such as docs/link.md",
        "left out: 1 submodules (each can be a source of its own), such as docs/other",
    )


def test_a_branch_that_is_not_there_removes_nothing(followed: Followed, repository: Path) -> None:
    followed.refresh()
    followed.put("s", "git", repository, branch="gone")
    run = followed.refresh()
    assert (run.state, followed.job().state) == ("failed", "failed")
    assert run.problem is not None
    assert "gone" in run.problem.detail
    assert len(followed.shown()) == 2


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("fatal: Authentication failed for 'https://example.org/x.git/'", "failed"),
        ("fatal: could not read Username for 'https://example.org': terminal prompts disabled", "failed"),
        ("git@example.org: Permission denied (publickey).", "failed"),
        ("ERROR: Repository not found.", "failed"),
        ("fatal: repository 'https://example.org/x.git/' not found", "failed"),
        ("fatal: unable to access 'https://example.org/x/': The requested URL returned error: 403", "failed"),
        ("Host key verification failed.", "failed"),
        ("fatal: unable to access 'https://example.org/x/': The requested URL returned error: 503", "waiting"),
        ("fatal: unable to access 'https://example.org/x/': Could not resolve host: example.org", "waiting"),
        ("ssh: connect to host example.org port 22: Connection timed out", "waiting"),
        ("fatal: the remote end hung up unexpectedly", "waiting"),
    ],
)
def test_what_only_a_person_can_mend_is_not_tried_again(
    followed: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, state: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    real = shutil.which("git")
    tail = "Please make sure you have the correct access rights and the repository exists."
    script = (
        f'case "$*" in *" fetch "*) echo "{said}" >&2; echo "{tail}" >&2; echo x >> {tmp_path}/tries; exit 128;; esac'
    )
    (programs / "git").write_text(f'#!/bin/sh\n{script}\nexec {real} "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    run = followed.refresh()
    assert run.state == state
    assert run.problem is not None
    assert said in run.problem.detail
    assert len((tmp_path / "tries").read_text().split()) == (1 if state == "failed" else 3)


def test_links_submodules_and_hidden_files_are_left_out(followed: Followed, repository: Path, tmp_path: Path) -> None:
    (repository / "link.md").symlink_to("/etc/passwd")
    (repository / ".hidden.md").write_text("hidden")
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},module")
    commit(repository, c="plain")
    assert followed.refresh().taken == 3
    assert set(followed.shown()) == {"a.md", "docs/b.md", "c.md"}


def test_names_that_are_no_uris_are_taken_under_escaped_ones(followed: Followed, repository: Path) -> None:
    (repository / "new\nline.md").write_text("text")
    (repository / "caf\\xe9.md").write_text("a backslash")
    (repository / "\x1b[31m\u202e").mkdir()
    (repository / "\x1b[31m\u202e" / "größe 100%.md").write_text("text")
    with open(os.fsencode(repository) + b"/caf\xe9.md", "w") as file:
        file.write("latin")
    with open(os.fsencode(repository) + b"/caf\xe8.md", "w") as file:
        file.write("latin too")
    commit(repository)
    run = followed.refresh()
    assert (run.taken, run.failed) == (7, 0)
    assert set(followed.shown()) == {
        "a.md",
        "docs/b.md",
        r"new\x0aline.md",
        r"caf\\xe9.md",
        r"caf\xe9.md",
        r"caf\xe8.md",
        r"\x1b[31m\xe2\x80\xae/größe 100%.md",
    }
    assert followed.catalog.version_text(document(r"caf\xe9.md"), 1) == "latin"
    assert followed.refresh().unchanged == 7
    (repository / "new\nline.md").unlink()
    os.unlink(os.fsencode(repository) + b"/caf\xe9.md")
    commit(repository)
    assert followed.refresh().removed == 2


def test_a_name_that_is_too_long_is_told(followed: Followed, repository: Path) -> None:
    place = repository / "/".join(["\n" * 200] * 3)
    place.mkdir(parents=True)
    (place / "a.md").write_text("text")
    commit(repository)
    run = followed.refresh()
    assert (run.taken, run.failed) == (2, 1)


@pytest.mark.parametrize(
    "location",
    [
        "ext::sh -c touch% /tmp/owned",
        "--upload-pack=touch /tmp/owned",
        "-oProxyCommand=touch",
        "fd::17",
        "https://ada:secret@example.org/repository.git",
        "https://token@example.org/repository.git",
    ],
)
def test_hostile_addresses_and_those_with_passwords_are_refused(location: str) -> None:
    with pytest.raises(ValidationError):
        SourceSettings(kind="git", location=location)
    with pytest.raises(ValidationError):
        SourceSettings(kind="git", location="/repository", branch="--upload-pack=touch")


def test_what_gets_by_the_check_runs_nothing(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    settings = SourceSettings.model_construct(
        kind="git", location=f"ext::sh -c touch% {owned}", branch=None, subfolder="", collection="default"
    )
    reader = GitReader(settings, tmp_path / "copy.git")
    with pytest.raises(Exception, match="not allowed"):
        list(reader.list(lambda: False))
    assert not owned.exists()


def test_a_repository_that_is_not_there_is_said(followed: Followed, tmp_path: Path) -> None:
    followed.put("s", "git", tmp_path / "nowhere")
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert "git says" in run.problem.detail


def test_a_missing_git_is_said(followed: Followed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert run.problem.code == MissingDriver.code
    assert run.problem.detail == "git is not installed: install it, or remove the source"


def test_what_a_killed_git_left_stops_nothing(followed: Followed, repository: Path, tmp_path: Path) -> None:
    followed.refresh()
    (copy,) = (tmp_path / "copies").iterdir()
    for name in ("shallow.lock", "refs/ragstone.lock", "packed-refs.lock"):
        (copy / name).write_text("")
    commit(repository, c="new")
    run = followed.refresh()
    assert run.taken == 1, str(run.problem)


def test_a_damaged_copy_is_made_anew(followed: Followed, repository: Path, tmp_path: Path) -> None:
    followed.refresh()
    (copy,) = (tmp_path / "copies").iterdir()
    for path in copy.glob("objects/**/*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    commit(repository, c="new")
    run = followed.refresh()
    assert "c.md" in followed.shown(), run


def test_a_copy_does_not_grow_for_ever(followed: Followed, repository: Path, tmp_path: Path) -> None:
    for number in range(25):
        commit(repository, a=f"version {number}")
        reader = GitReader(SourceSettings(kind="git", location=str(repository)), tmp_path / "copy.git")
        assert list(reader.list(lambda: False))
    assert len(list((tmp_path / "copy.git").glob("objects/pack/*.pack"))) <= 21


def test_a_git_that_hangs_is_ended_when_the_refresh_is(repository: Path, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (bin_folder / "git").chmod(0o700)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{bin_folder}:{before}"
    started = time.monotonic()
    try:
        with pytest.raises(Exception, match="did not answer"):
            list(GitReader(SourceSettings(kind="git", location=str(repository)), tmp_path / "c.git").list(lambda: True))
    finally:
        os.environ["PATH"] = before
    assert time.monotonic() - started < 10


def test_environment_of_a_hook_does_not_lead_to_another_repository(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "foreign.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", "foreign")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    assert followed.refresh().taken == 2
    assert not (tmp_path / "objects").exists()


def test_copies_of_sources_that_are_gone_are_removed(followed: Followed, repository: Path, tmp_path: Path) -> None:
    followed.refresh()
    (copy,) = (tmp_path / "copies").iterdir()
    remove_copies_but(tmp_path / "copies", followed.register.all())
    assert copy.exists()
    followed.put("s", "git", tmp_path / "another")
    remove_copies_but(tmp_path / "copies", followed.register.all())
    assert not copy.exists()


def test_a_file_is_read_as_it_was_committed(tmp_path: Path, repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.md text eol=crlf\n")
    commit(repository, a="line\nline\n")
    reader = GitReader(SourceSettings(kind="git", location=str(repository)), tmp_path / "copy.git")
    found = {item.uri: item for item in reader.list(lambda: False) if isinstance(item, Listed)}
    fetched = reader.fetch(found["a.md"], None, 100)
    assert fetched is not None
    assert fetched.data == b"line\nline\n"
    assert reader.fetch(found["a.md"], found["a.md"].mark, 100) is None
    assert document("a.md")
