"""A folder goes from release to release: `as_of` each finds what that release says, and nothing of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from service import application_in

from benchmarks.versioned_docs import Question, Releases, misfits, questions, rank, refresh
from ingest.sources.types import SourceSettings
from ragstone.wiring import Application
from retrieval.search import SearchRequest
from retrieval.types import Passage

# Those of the benchmark's questions that words alone find well.
ASKED = (
    "How do I run the server while I develop, so that it reloads when the code changes?",
    "Which algorithm is recommended for hashing passwords?",
    "Which GraphQL library should I use?",
    "How do I check a query parameter with a regular expression?",
    "Can I raise an HTTPException after the yield of a dependency?",
    "How is the request handed to TemplateResponse when I render a Jinja2 template?",
    "Which package must I install to serve static files?",
    "Where do I import the WSGIMiddleware from to mount a Flask app?",
    "Which marker tells pytest to run an asynchronous test function?",
    "How do I connect to a Couchbase cluster?",
)
AMONG_FIRST = 5


@dataclass(frozen=True)
class Followed:
    """A data folder that has followed a watched folder through its releases."""

    application: Application
    releases: Releases
    revisions: Mapping[str, int]  # that the refresh of each release left

    def passages(self, release: str, query: str) -> tuple[Passage, ...]:
        request = SearchRequest(query, k=AMONG_FIRST, mode="lexical", as_of=self.revisions[release])
        return self.application.searcher.search(request).passages


def followed(releases: Releases, folder: Path) -> Iterator[Followed]:
    """Refreshes one source after each release, in an application of its own as every command has one."""
    documents, data = folder / "documents", folder / "data"
    documents.mkdir()
    settings = SourceSettings(kind="folder", location=str(documents))
    revisions: dict[str, int] = {}
    for release in releases.names:
        releases.check_out(release, documents)
        application = application_in(data)
        application.sources.put("docs", settings)
        run = refresh(application, "docs")
        application.close()
        assert (run.state, run.failed, run.quarantined) == ("done", 0, 0), run
        assert run.revision is not None
        revisions[release] = run.revision
    application = application_in(data)
    yield Followed(application, releases, revisions)
    application.close()


# Real releases


@pytest.fixture(scope="module")
def fastapi(benchmark_data: Path) -> Path:
    return benchmark_data / "versioned_docs" / "fastapi"


@pytest.fixture(scope="module")
def asked(fastapi: Path) -> dict[str, Question]:
    return {its.question: its for its in questions(Releases(fastapi).names)}


@pytest.fixture(scope="module")
def real(fastapi: Path, asked: dict[str, Question], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """The releases, with the files that the questions need."""
    needed = {file for question in ASKED for file in asked[question].files}
    yield from followed(Releases(fastapi, needed), tmp_path_factory.mktemp("fastapi"))


def test_the_questions_expect_what_the_releases_say(fastapi: Path, asked: dict[str, Question]) -> None:
    assert list(misfits(Releases(fastapi), asked.values())) == []
    assert len(asked) == 30
    assert all(len(its.texts) + any(e.text is None for e in its.expected.values()) > 1 for its in asked.values())


@pytest.mark.parametrize("question", ASKED)
def test_each_release_answers_with_its_own_text(question: str, real: Followed, asked: dict[str, Question]) -> None:
    for release in real.releases.names:
        passages = real.passages(release, question)
        assert list(real.releases.foreign(release, passages)) == []
        expected = asked[question].expected[release]
        if expected.text is not None:
            assert rank(passages, expected), f"{release}: none of {len(passages)} passages holds {expected.text!r}"
        others = asked[question].texts - {expected.text}
        own = [its.text.replace(expected.text or "\0", "") for its in passages if its.uri in asked[question].files]
        assert not [(other, release) for other in others if any(other in text for text in own)]


# Made up

MADE_UP = {
    "1.0": {
        "install.md": "# Install\n\nInstall the pump with the red wrench.\n",
        "old/limits.md": "# Limits\n\nThe valve bears 4 bar.\n",
        "start.md": "# Start\n\nStart it by the lever.\n",
    },
    "2.0": {
        "install.md": "# Install\n\nInstall the pump with the blue wrench.\n",
        "limits.md": "# Limits\n\nThe valve bears 4 bar.\n",
        "stop.md": "# Stop\n\nStop it by the button.\n",
    },
    "3.0": {  # the first way to install is back
        "install.md": "# Install\n\nInstall the pump with the red wrench.\n",
        "limits.md": "# Limits\n\nThe valve bears 6 bar.\n",
        "start.md": "# Start\n\nStart it by the button.\n",
    },
}


@pytest.fixture
def made_up(tmp_path: Path) -> Iterator[Followed]:
    root = tmp_path / "releases"
    for release, files in MADE_UP.items():
        for name, text in files.items():
            (root / release / name).parent.mkdir(parents=True, exist_ok=True)
            (root / release / name).write_text(text)
    (root / "versions.jsonl").write_text("".join(f'{{"version": "{release}"}}\n' for release in MADE_UP))
    yield from followed(Releases(root), tmp_path)


def test_three_releases_of_a_folder_are_told_apart(made_up: Followed) -> None:
    def found(query: str) -> list[list[tuple[str, str]]]:
        """For each release, the file and the last words of each passage."""
        by_release = [made_up.passages(release, query) for release in MADE_UP]
        return [[(its.uri, its.text.split("\n\n")[-1]) for its in passages] for passages in by_release]

    red, blue = "Install the pump with the red wrench.", "Install the pump with the blue wrench."
    assert found("wrench") == [[("install.md", red)], [("install.md", blue)], [("install.md", red)]]
    assert found("valve") == [
        [("old/limits.md", "The valve bears 4 bar.")],
        [("limits.md", "The valve bears 4 bar.")],
        [("limits.md", "The valve bears 6 bar.")],
    ]
    assert found("lever") == [[("start.md", "Start it by the lever.")], [], []]
    assert found("button") == [[], [("stop.md", "Stop it by the button.")], [("start.md", "Start it by the button.")]]


def test_every_passage_is_in_the_release_that_was_asked(made_up: Followed) -> None:
    for release in MADE_UP:
        passages = made_up.passages(release, "pump valve start stop")
        assert {its.uri for its in passages} == set(MADE_UP[release])
        assert list(made_up.releases.foreign(release, passages)) == []
    # The check is not blind: what one release shows is foreign to another.
    assert len(list(made_up.releases.foreign("2.0", made_up.passages("1.0", "pump valve start")))) == 3
