"""Whether a key for some collections can learn anything of the others, by replies or by the time they take.

    python benchmarks/access.py [--checks 10000] [--rounds 300] [--seed 0] [--json]

Replies: random checks against twin systems, see `access_twins.py`; each must be the same. A new world is made for every
500 checks. Times: for each call, requests that name something that the key may not read and requests that name nothing
at all, in turn and in random order, of one process without a network. Given are the medians, and the p-value of
Mann and Whitney's rank test (two-sided, normal approximation): under 0.001 they are told apart.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.access_twins import System, run, system, worlds
from ingest.identity import document_id_of

CHECKS_A_WORLD = 500
CHANGES_A_WORLD = 36
OWN, FOREIGN = ("own",), ("foreign",)
WARM_UP = 20


def replies(checks: int, seed: int) -> dict[str, Any]:
    """How many checks there were of each sort, and those whose replies differed."""
    sorts: Counter[str] = Counter()
    different: list[str] = []
    began = time.perf_counter()
    for number in range(math.ceil(checks / CHECKS_A_WORLD)):
        size = min(CHECKS_A_WORLD, checks - number * CHECKS_A_WORLD)
        with tempfile.TemporaryDirectory() as folder, worlds(Path(folder), seed + number) as world:
            for check in run(world, size, CHANGES_A_WORLD):
                sorts[f"{check.request.split()[0]} {check.twin[:3]}"] += 1
                if not check.same:
                    different.append(f"{check.request} for {check.scope}: {check.world} / {check.twin}")
    took = time.perf_counter() - began
    return {"checks": sum(sorts.values()), "different": different, "sorts": dict(sorts), "seconds": round(took, 1)}


def times(rounds: int, seed: int) -> list[dict[str, Any]]:
    """A row for each call."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, system(Path(folder), [OWN, FOREIGN]) as running:
        _fill(running)
        return [_timed(name, send, rounds, rng) for name, send in _calls(running).items()]


def _fill(running: System) -> None:
    """200 documents of either collection; those of the other have a megabyte of metadata and long texts among them."""
    rng = random.Random(0)
    words = [f"word{number}" for number in range(2000)]
    for scope in (OWN, FOREIGN):
        for number in range(200):
            text = " ".join(rng.choices(words, k=4000 if number == 0 else 60))
            metadata = {"note": "x" * 1_000_000} if number == 0 else {}
            files = {"file": (f"{number}.md", text.encode())}
            data = {"collection": scope[0], "metadata": json.dumps(metadata)}
            running.finish(running.send(scope, "POST", "/v1/documents", files=files, data=data).json()["job_id"])


def _calls(running: System) -> dict[str, Callable[[bool], Any]]:
    """Requests of the key for `own`: for something of `foreign` (True), or for something that is nowhere (False)."""
    job_id = running.send(FOREIGN, "GET", "/v1/jobs").json()["jobs"][0]["job_id"]
    body = {"question": "word1 word2?", "collection": FOREIGN[0]}
    answer_id = running.send(FOREIGN, "POST", "/v1/ask", json=body).json()["answer_id"]
    foreign_id = document_id_of(FOREIGN[0], "0.md")
    missing_id = document_id_of("nowhere", "0.md")
    bytes_of = running.send(FOREIGN, "GET", f"/v1/documents/{foreign_id}/versions/1/original").content
    turn = iter(range(1_000_000))

    def get(form: str, foreign: str, missing: str, method: str = "GET", **more: Any) -> Callable[[bool], Any]:
        return lambda there: running.send(OWN, method, form.format(foreign if there else missing), **more)

    def named(path: str, key: str, said: str) -> Callable[[bool], Any]:
        return lambda there: running.send(
            OWN, "POST", path, json={key: said, "collection": FOREIGN[0] if there else "nowhere"}
        )

    def upload(there: bool) -> Any:
        """The same bytes as a document of others, or bytes that nobody has; the worker is not waited for."""
        data = bytes_of if there else bytes_of[:-8] + f"{next(turn):08}".encode()
        form = {"collection": OWN[0]}
        return running.send(OWN, "POST", "/v1/documents", files={"file": ("up.md", data)}, data=form)

    return {
        "document": get("/v1/documents/{}", foreign_id, missing_id),
        "versions": get("/v1/documents/{}/versions", foreign_id, missing_id),
        "text": get("/v1/documents/{}/versions/1/text", foreign_id, missing_id),
        "original": get("/v1/documents/{}/versions/1/original", foreign_id, missing_id),
        "delete": get("/v1/documents/{}", foreign_id, missing_id, "DELETE"),
        "erase": get("/v1/documents/{}?erase=true", foreign_id, missing_id, "DELETE"),
        "documents of": get("/v1/documents?collection={}", FOREIGN[0], "nowhere"),
        "search in": named("/v1/search", "query", "word1 word2"),
        "ask in": named("/v1/ask", "question", "word1 word2"),
        "put collection": get("/v1/collections/{}", FOREIGN[0], "nowhere", "PUT", json={}),
        "delete collection": get("/v1/collections/{}", FOREIGN[0], "nowhere", "DELETE"),
        "job": get("/v1/jobs/{}", job_id, "j-" + "0" * 20),
        "answer": get("/v1/answers/{}", answer_id, "a-" + "0" * 20),
        "upload": upload,
    }


def _timed(name: str, send: Callable[[bool], Any], rounds: int, rng: random.Random) -> dict[str, Any]:
    for _ in range(WARM_UP):
        send(True), send(False)
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for there in rng.sample((True, False), 2):
            began = time.perf_counter()
            send(there)
            taken[there].append((time.perf_counter() - began) * 1000)
    return {
        "call": name,
        "foreign_ms": round(statistics.median(taken[True]), 3),
        "missing_ms": round(statistics.median(taken[False]), 3),
        "p": round(rank_test(taken[True], taken[False]), 5),
    }


def rank_test(one: Sequence[float], other: Sequence[float]) -> float:
    """The p-value of Mann and Whitney's U test, two-sided, by the normal approximation; times have hardly any ties."""
    ordered = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks = sum(rank for rank, (_, first) in enumerate(ordered, start=1) if first)
    m, n = len(one), len(other)
    u = ranks - m * (m + 1) / 2
    z = (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=300, help="of each timed call; 0 leaves the times out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = replies(arguments.checks, arguments.seed)
    rows = times(arguments.rounds, arguments.seed) if arguments.rounds else []
    if arguments.json:
        print(json.dumps({"replies": found, "times": rows}, indent=2))
    else:
        print(f"{found['checks']} checks, {len(found['different'])} different, {found['seconds']} s")
        for leak in found["different"][:5]:
            print(f"  {leak}")
        print(", ".join(f"{sort}: {count}" for sort, count in sorted(found["sorts"].items())))
        for row in rows:
            told = "told apart" if row["p"] < 0.001 else ""
            print(f"{row['call']:<18} {row['foreign_ms']:>9} {row['missing_ms']:>9} ms  p {row['p']:<8} {told}")
    sys.exit(bool(found["different"]))


if __name__ == "__main__":
    main()
