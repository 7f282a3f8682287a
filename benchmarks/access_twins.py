"""Random access checks: what a key for some collections is told, compared with what a system without the others says.

A *world* is one system with several collections, and for each of some scopes (sets of collections) a *twin*: a system
that was only ever told of these collections. Random changes go to the world and to the twins whose scope they concern.
A check sends the same random request to the world, with a key for the scope, and to the twin: but for the ids that are
made at random, times, and revisions, which count the changes of all collections, the replies must be the same.
"""

from __future__ import annotations

import json
import random
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from generation.language_models.scripted import ScriptedLanguageModel
from generation.types import Message
from ingest.catalog.keys import ACTIONS, Grant, KeyRing
from ingest.identity import document_id_of
from ingest.jobs.queue import FINISHED
from ragstone.api.app import create_app
from ragstone.settings import load_settings
from ragstone.wiring import Application
from retrieval.hash_embedder import HashEmbedder

COLLECTIONS = ("alpha", "beta", "gamma", "delta")
MISSING = "omega"  # a collection that is never made
SCOPES = (("alpha",), ("beta", "gamma"), ("alpha", "delta"), (MISSING,), ("alpha", "beta", "gamma"))
URIS = tuple(f"file-{number}.md" for number in range(6))
WORDS = (
    "pump",
    "valve",
    "seal",
    "weighs",
    "eleven",
    "kilograms",
    "warranty",
    "years",
    "green",
    "door",
    "bearing",
    "oil",
)
SECTIONS = tuple(
    f"# {WORDS[number]}\n\n{' '.join(WORDS[(number * step) % len(WORDS)] for step in range(1, 5))} {number}."
    for number in range(len(WORDS))
)
MODES = ("hybrid", "dense", "lexical")

_RANDOM_IDS = re.compile(r"\b[aj]-[0-9a-f]{20}\b")
_REVISIONS_IN_WORDS = re.compile(r"\b(revision|newest is|ragstone_revision) (\d+)")
_TIMES = ("created_at", "updated_at", "started_at", "finished_at", "eta_s", "timings_ms")
_REVISIONS = ("revision", "revision_from", "revision_to")

# The share of questions, and how often each of the other kinds: search, reading, by an id, of an answer.
_ASKED = 0.06
_OFTEN = (46, 18, 18, 12)

Scope = tuple[str, ...]


class System:
    """A running service with a key for each of some scopes."""

    def __init__(self, client: TestClient, application: Application, scopes: Sequence[Scope]) -> None:
        self._client = client
        self.application = application
        ring = KeyRing(application.catalog)
        self._secrets = {
            scope: ring.create(Grant(name=" ".join(scope), collections=scope, actions=ACTIONS))[1] for scope in scopes
        }

    @property
    def head(self) -> int:
        return self.application.catalog.head()

    def send(self, scope: Scope, method: str, path: str, **more: Any) -> Response:
        headers = {"Authorization": f"Bearer {self._secrets[scope]}"}
        return self._client.request(method, path, headers=headers, **more)

    def finish(self, job_id: str) -> None:
        """Waits for the end of a job."""
        while self.application.queue.get(job_id).state not in FINISHED:
            time.sleep(0.002)


@dataclass(frozen=True, slots=True)
class Check:
    """A request, with the two replies where they differ."""

    scope: Scope
    request: str
    world: str
    twin: str

    @property
    def same(self) -> bool:
        return self.world == self.twin


Response = Any  # of the client's HTTP library, whichever that is
Send = Callable[[System, bool], Response]


@dataclass
class World:
    """The system with all collections, its twins, and what is needed to compare them."""

    whole: System
    twins: dict[Scope, System]
    rng: random.Random
    # For each scope, the twin's revision at each revision of the world.
    revisions: dict[Scope, list[int]] = field(default_factory=dict)
    # For each scope, tokens for the random ids of the world and of the twin.
    tokens: dict[Scope, tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)
    # (collection, id in the world, id in each twin) of jobs and answers.
    jobs: list[tuple[str, str, dict[Scope, str]]] = field(default_factory=list)
    answers: list[tuple[str, str, dict[Scope, str]]] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.revisions = {scope: [0] for scope in self.twins}
        self.tokens = {scope: ({}, {}) for scope in self.twins}

    # Changes

    def change(self) -> None:
        """A random change, in the world and in the twins that it concerns."""
        collection = self.rng.choice(COLLECTIONS)
        uri = self.rng.choice(URIS)
        document = f"/v1/documents/{document_id_of(collection, uri)}"
        kind = self.rng.choices(("upload", "delete", "erase", "collection", "rollback"), (80, 8, 4, 2, 4))[0]
        if kind == "upload":
            form = {"collection": collection, "metadata": json.dumps({"team": self.rng.choice(WORDS)})}
            if self.rng.random() < 0.3:
                del form["metadata"]
            files = {"file": (uri, self._text().encode())}
            self._everywhere(collection, "POST", "/v1/documents", files=files, data=form)
        elif kind == "rollback":
            target = self.rng.randint(0, self.whole.head)
            self.whole.application.history.rollback(target)
            for scope, twin in self.twins.items():
                twin.application.history.rollback(self.revisions[scope][target])
        elif kind == "collection":
            self._everywhere(collection, "DELETE", f"/v1/collections/{collection}")
        else:
            self._everywhere(collection, "DELETE", document, params={"erase": kind == "erase"})
        self._keep_revisions()

    def _everywhere(self, collection: str, method: str, path: str, **more: Any) -> None:
        """Sends the request to the world and to each twin that has the collection, and waits for the jobs."""
        scopes = [scope for scope in self.twins if collection in scope]
        first = self.whole.send(scopes[0], method, path, **more).json().get("job_id")
        others = {scope: self.twins[scope].send(scope, method, path, **more).json().get("job_id") for scope in scopes}
        if first is not None:
            self.whole.finish(first)
            for scope, job_id in others.items():
                self.twins[scope].finish(job_id)
                self._pair(scope, first, job_id)
            self.jobs.append((collection, first, others))

    def _text(self) -> str:
        """Some of few sections, so that the same chunk often stands in several collections."""
        return "\n\n".join(self.rng.sample(SECTIONS, self.rng.randint(1, 3)))

    def _keep_revisions(self) -> None:
        for scope, known in self.revisions.items():
            known += [self.twins[scope].head] * (self.whole.head + 1 - len(known))
        self.moments.append(datetime.now(UTC))

    def _pair(self, scope: Scope, in_world: str, in_twin: str) -> None:
        token = f"id {len(self.tokens[scope][0])}"
        self.tokens[scope][0][in_world] = token
        self.tokens[scope][1][in_twin] = token

    # Checks

    def check(self) -> Check:
        """A random request of a random key."""
        scope = self.rng.choice(list(self.twins))
        if self.rng.random() < _ASKED:
            request, world, twin = self._ask(scope)
        else:
            kind = self.rng.choices((self._search, self._reading, self._known, self._of_answer), _OFTEN)[0]
            request, send = kind(scope)
            world, twin = send(self.whole, True), send(self.twins[scope], False)
        return Check(scope, request, self._plain(scope, world, True), self._plain(scope, twin, False))

    def _search(self, scope: Scope) -> tuple[str, Send]:
        rng = self.rng
        body: dict[str, Any] = {
            "query": " ".join(rng.choices(WORDS, k=rng.randint(1, 4))),
            "mode": rng.choice(MODES),
            "k": rng.choice((1, 3, 20)),
        }
        if rng.random() < 0.6:
            body["collection"] = rng.choice((*COLLECTIONS, MISSING))
        if rng.random() < 0.1:
            body["batch"] = "b-0123456789"
        as_of = self._as_of()

        def send(system: System, world: bool) -> Response:
            when = as_of if world else self._in_twin(scope, as_of)
            return system.send(scope, "POST", "/v1/search", json={**body, "as_of": when})

        return f"search {body} as of {as_of}", send

    def _as_of(self) -> int | str | None:
        """None, a revision of the world (or one that was never committed), or a time."""
        kind = self.rng.choice(("head", "head", "revision", "time"))
        if kind == "revision":
            return self.rng.randint(0, self.whole.head + 2)
        return self.rng.choice(self.moments).isoformat() if kind == "time" else None

    def _in_twin(self, scope: Scope, as_of: int | str | None) -> int | str | None:
        if not isinstance(as_of, int):
            return as_of
        known = self.revisions[scope]
        return known[as_of] if as_of < len(known) else known[-1] + as_of - len(known) + 1

    def _reading(self, scope: Scope) -> tuple[str, Send]:
        rng = self.rng
        name = rng.choice((*COLLECTIONS, MISSING))
        cursor = document_id_of(rng.choice(COLLECTIONS), rng.choice(URIS))
        path, params = rng.choice(
            (
                ("/v1/documents", {"limit": 2}),
                ("/v1/documents", {"collection": name}),
                ("/v1/documents", {"cursor": cursor, "limit": 3}),
                ("/v1/index", {}),
                ("/v1/index/revisions", {"limit": 3}),
                ("/v1/index/revisions", {}),
                ("/v1/collections", {}),
                ("/v1/jobs", {"limit": 3}),
                ("/v1/jobs", {}),
                ("/metrics", {}),
                ("/readyz", {}),
                ("/v1/batches", {}),
            )
        )
        return f"read {path} {params}", lambda system, world: system.send(scope, "GET", path, params=params)

    def _known(self, scope: Scope) -> tuple[str, Send]:
        """Asks for something by its id: of the caller, of others, or of nobody. What would change it is not his."""
        rng = self.rng
        collection = rng.choice((*COLLECTIONS, MISSING))
        document = f"/v1/documents/{document_id_of(collection, rng.choice(URIS))}"
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", document, {}),
            ("GET", f"{document}/versions", {}),
            ("GET", f"{document}/versions/{rng.randint(1, 3)}/text", {}),
            ("GET", f"{document}/versions/{rng.randint(1, 3)}/original", {}),
        ]
        if collection not in scope:
            requests += [
                ("DELETE", document, {}),
                ("DELETE", document, {"params": {"erase": True}}),
                ("PUT", f"/v1/collections/{collection}", {"json": {}}),
                ("DELETE", f"/v1/collections/{collection}", {}),
                ("POST", "/v1/documents", {"files": {"file": ("a.md", b"text")}, "data": {"collection": collection}}),
                ("POST", "/v1/index/rollback", {"json": {"revision": 0}}),
            ]
        method, path, more = rng.choice(requests)
        if rng.random() < 0.3 and self.jobs:
            _, in_world, in_twins = rng.choice(self.jobs)
            ids = (in_world, in_twins.get(scope, in_world))
            verb, rest = rng.choice((("GET", ""), ("GET", "/events"), ("POST", "/cancel")))
            return f"job {verb} {rest}", lambda system, world: system.send(
                scope, verb, f"/v1/jobs/{ids[not world]}{rest}"
            )
        return f"{method} {path} {more}", lambda system, world: system.send(scope, method, path, **more)

    def _ask(self, scope: Scope) -> tuple[str, Response, Response]:
        """Asks the world and the twin; an answer is seen by all who read its collection, so their twins make it too."""
        rng = self.rng
        collection = rng.choice((*COLLECTIONS, MISSING))
        body = {"question": " ".join(rng.choices(WORDS, k=3)) + "?", "collection": collection, "k": rng.choice((1, 3))}
        as_of = self._as_of()
        world = self.whole.send(scope, "POST", "/v1/ask", json={**body, "as_of": as_of})
        replies = {
            other: twin.send(other, "POST", "/v1/ask", json={**body, "as_of": self._in_twin(other, as_of)})
            for other, twin in self.twins.items()
            if other == scope or (collection in scope and collection in other)
        }
        if world.status_code == replies[scope].status_code == 200:
            answer_id = world.json()["answer_id"]
            in_twins = {other: str(reply.json()["answer_id"]) for other, reply in replies.items()}
            for other, its_id in in_twins.items():
                self._pair(other, answer_id, its_id)
            self.answers.append((collection, answer_id, in_twins))
        return f"ask {body} as of {as_of}", world, replies[scope]

    def _of_answer(self, scope: Scope) -> tuple[str, Send]:
        if not self.answers:
            return self._search(scope)
        _, in_world, in_twins = self.rng.choice(self.answers)
        ids = (in_world, in_twins.get(scope, in_world))
        if self.rng.random() < 0.5:
            return "answer", lambda system, world: system.send(scope, "GET", f"/v1/answers/{ids[not world]}")
        body = {"rating": self.rng.choice(("up", "down"))}
        return "feedback", lambda system, world: system.send(
            scope, "POST", f"/v1/answers/{ids[not world]}/feedback", json=body
        )

    # Replies without what may differ

    def _plain(self, scope: Scope, reply: Response, world: bool) -> str:
        tokens = self.tokens[scope][0 if world else 1]

        def revision(number: int) -> int:
            """The twin's number."""
            return int(str(self._in_twin(scope, number))) if world else number

        def plain(value: Any, name: str = "") -> Any:
            if name in _TIMES and value is not None:
                return "…"
            if name in _REVISIONS and isinstance(value, int):
                return revision(value)
            if isinstance(value, dict):
                return {key: plain(part, key) for key, part in value.items()}
            return [plain(part) for part in value] if isinstance(value, list) else value

        text = reply.text
        if text and reply.headers.get("content-type", "").endswith("json"):
            text = str(plain(reply.json()))
        text = re.sub(r'"(\w+_at)": "[^"]*"', r'"\1": "…"', text)  # in the events of a job
        text = _RANDOM_IDS.sub(lambda found: tokens.get(found[0], found[0]), text)
        text = _REVISIONS_IN_WORDS.sub(lambda found: f"{found[1]} {revision(int(found[2]))}", text)
        headers = {name: value for name, value in reply.headers.items() if name not in ("content-length", "date")}
        return f"{reply.status_code} {headers} {text}"


@contextmanager
def worlds(folder: Path, seed: int, scopes: Sequence[Scope] = SCOPES) -> Iterator[World]:
    """A world without documents, with all its systems running."""
    with ExitStack() as stack:
        whole = stack.enter_context(system(folder / "whole", scopes))
        twins = {
            scope: stack.enter_context(system(folder / f"twin-{number}", [scope]))
            for number, scope in enumerate(scopes)
        }
        yield World(whole, twins, random.Random(seed))


@contextmanager
def system(folder: Path, scopes: Sequence[Scope]) -> Iterator[System]:
    settings = load_settings(flags={"data": folder, "ingest.chunk_tokens": 16}).settings  # a section a chunk
    model = ScriptedLanguageModel(_reply)
    application = Application(settings, embedder=HashEmbedder(), language_model=model)
    with TestClient(create_app(application), base_url="http://127.0.0.1:8321", raise_server_exceptions=False) as client:
        yield System(client, application, scopes)


def _reply(messages: Sequence[Message]) -> str:
    """Says what it was told, and a number that would tell any difference in it."""
    told = "\n".join(message.content for message in messages)
    return f"{' '.join(told.split()[-12:])} [1]. Seen {zlib.crc32(told.encode())}."


def run(world: World, checks: int, changes: int) -> Iterator[Check]:
    """`checks` checks with `changes` changes spread among them; a third of these come first."""
    for _ in range(changes // 3):
        world.change()
    left = changes - changes // 3
    made = 0
    for number in range(checks):
        if number * left >= made * checks:
            world.change()
            made += 1
        yield world.check()
