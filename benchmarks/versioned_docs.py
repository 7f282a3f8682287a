"""Releases of a documentation, questions whose answer changed between them, and checks of what `as_of` finds.

A folder of releases holds `versions.jsonl`, which names them in order, and a folder of files for each. Questions are
JSONL: `question`, the `file` that answers it, and under `expected` what the right passage holds, for each run of
releases `from` one `to` another: `text` is a part of it, or null where the release says nothing about that; `file`
where the page stood elsewhere then.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ingest.loaders.text import clean, decode
from ingest.sources.types import LastRun
from ragstone.following import followed, require_done
from ragstone.wiring import Application
from retrieval.types import Passage

QUESTIONS = Path(__file__).resolve().parent / "questions" / "versioned_docs.jsonl"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the right passage holds in one release; `text` None: the release says nothing about it."""

    file: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Question:
    question: str
    expected: Mapping[str, Expected]  # by release

    @property
    def files(self) -> set[str]:
        """All that any release has the answer in."""
        return {its.file for its in self.expected.values()}

    @property
    def texts(self) -> set[str]:
        """All answers, of whichever release."""
        return {its.text for its in self.expected.values() if its.text is not None}


@dataclass(frozen=True, slots=True)
class Changes:
    """What a checkout did to the files of a folder; a renamed one has its content, and counts as nothing else."""

    files: int
    changed: int
    added: int
    removed: int
    renamed: int


class Releases:
    """The releases in a folder, oldest first."""

    def __init__(self, folder: Path, only: Collection[str] | None = None) -> None:
        """With `only`, each release is taken to hold no files but these. Raises FileNotFoundError where none are."""
        self.names = [row["version"] for row in _rows(folder / "versions.jsonl")]
        self.files = {release: _files(folder / release, only) for release in self.names}  # by their names in each

    def text(self, release: str, name: str) -> str | None:
        """A file as a reader has it; None where the release has no such file."""
        path = self.files[release].get(name)
        return None if path is None else _text(path)

    def check_out(self, release: str, folder: Path) -> Changes:
        """Makes `folder` hold the files of a release; those that are the same already are not touched."""
        wanted = {name: path.read_bytes() for name, path in self.files[release].items()}
        there = _files(folder)
        before = {name: path.read_bytes() for name, path in there.items()}
        gone, new = before.keys() - wanted.keys(), wanted.keys() - before.keys()
        changed = {name for name in wanted.keys() & before.keys() if wanted[name] != before[name]}
        for name in gone | changed:
            there[name].unlink()
        for name in new | changed:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(wanted[name])
        renamed = len({before[name] for name in gone} & {wanted[name] for name in new})
        return Changes(len(wanted), len(changed), len(new) - renamed, len(gone) - renamed, renamed)

    def foreign(self, release: str, passages: Iterable[Passage]) -> Iterator[str]:
        """What of the passages is not in a release, a sentence for each."""
        for passage in passages:
            text = self.text(release, passage.uri)
            if text is None:
                yield f"{release} has no {passage.uri}, and a passage of it was found"
            elif not _holds(text, passage.text):
                yield f"{passage.uri} of {release} does not hold {passage.text[:80]!r}"
            for place in passage.also_in:
                there = self.text(release, place.uri)
                if there is None or not (place.near or _holds(there, passage.text)):
                    yield f"{passage.uri} of {release} is said to stand in {place.uri} too, and does not"


def _files(root: Path, only: Collection[str] | None = None) -> dict[str, Path]:
    found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: path for name, path in found.items() if only is None or name in only}


@lru_cache(maxsize=2000)
def _text(path: Path) -> str:
    return clean(decode(path.read_bytes(), path.name))


def questions(releases: Sequence[str], file: Path = QUESTIONS) -> list[Question]:
    """Raises ValueError where a question does not say what it expects of each release, once."""
    return [_question(row, releases) for row in _rows(file)]


def _question(row: Mapping[str, Any], releases: Sequence[str]) -> Question:
    expected: dict[str, Expected] = {}
    said: list[str] = []
    for part in row["expected"]:
        run = releases[releases.index(part["from"]) : releases.index(part["to"]) + 1]
        said += run
        expected |= dict.fromkeys(run, Expected(part.get("file", row["file"]), part["text"]))
    if said != list(releases):
        raise ValueError(f"{row['question']!r} expects something of {said}, and the releases are {list(releases)}")
    return Question(row["question"], expected)


def _holds(whole: str, part: str) -> bool:
    """Whether the lines of `part` stand in `whole` in their order: comments between them are in no passage."""
    position = 0
    for line in filter(str.strip, part.splitlines()):
        position = whole.find(line, position)
        if position < 0:
            return False
        position += len(line)
    return True


def misfits(releases: Releases, asked: Iterable[Question]) -> Iterator[str]:
    """Where a question expects what is not in the release's file, or what a release has that expects something else."""
    for question in asked:
        for release in releases.names:
            expected = question.expected[release]
            texts = {name: releases.text(release, name) or "" for name in question.files}
            if expected.text is not None and expected.text not in texts[expected.file]:
                yield f"{question.question} {expected.file} of {release} does not hold {expected.text!r}"
            for other in question.texts - {expected.text}:
                # An answer that was made longer holds the one before.
                if any(other in text.replace(expected.text or other + other, "") for text in texts.values()):
                    yield f"{question.question} {release} holds {other!r}, the answer of another release"


def rank(passages: Sequence[Passage], expected: Expected) -> int | None:
    """From 1, of the first passage that holds the answer."""
    found = (place for place, its in enumerate(passages, start=1) if expected.text and expected.text in its.text)
    return next(found, None)


def refresh(application: Application, source: str) -> LastRun:
    """Brings a source up to date as `ragstone refresh` does, and returns how that went. Raises JobNotDone.

    Every refresh wants an application of its own, as every command has one: a worker that was stopped stays stopped.
    """
    (job_id,) = application.sources.request(source)
    *_, job = followed(application, job_id)
    require_done(job)
    run = application.sources.get(source).last_run
    assert run is not None
    return run


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
