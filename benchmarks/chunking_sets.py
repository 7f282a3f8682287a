"""Documents and questions for benchmarks/chunking.py: each question with the places in the documents that answer it.

squad-tune, squad-judge   articles put together again from their paragraphs; the place is the answer
clapnq                    400 passages with their titles as headings, 20 a document; places are the selected sentences
wice                      web articles, with the lines that look like headings; claims ask, places are the sentences
                          that support them
tables                    tables of WikiTableQuestions, a document each; the place is the row that has the answer
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.config import ExtractionSettings
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.loaders.text import clean
from ingest.types import Extracted

_DISTRACTORS = 100
_ENTRIES = 20
_ARTICLES = 60
_LONGEST_ARTICLE = 12_000


@dataclass(frozen=True, slots=True)
class Question:
    """`places` are spans of the text of document number `document`; a passage has one that has `share` of it."""

    text: str
    document: int
    places: tuple[tuple[int, int], ...]
    share: float


@dataclass(slots=True)
class Set:
    """One corpus."""

    documents: list[Extracted] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def add(self, text: str) -> tuple[int, str]:
        """Takes up a document in Markdown; returns its number, and its text as it is stored."""
        name = f"{len(self.documents)}.md"
        self.documents.append(extract(text.encode(), name, Reading(ExtractionSettings())))
        return len(self.documents) - 1, self.documents[-1].text


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        # As it will be stored.
        yield from (
            json.loads(line, object_pairs_hook=lambda pairs: {key: _clean(its) for key, its in pairs}) for line in lines
        )


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(its) for its in value]
    return clean(value) if isinstance(value, str) else value


def squad(data: Path, remainder: int) -> Set:
    """Every second article. Questions whose answer stands in their paragraph exactly once, one in four."""
    paragraphs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows(data / "squad_v2_dev" / "corpus.jsonl"):
        paragraphs[row["title"]].append((row["_id"], row["text"].strip()))
    titles = sorted(paragraphs)[remainder::2]
    found = Set()
    place_of: dict[str, tuple[int, int, str]] = {}
    for title in titles:
        text = "\n\n".join(paragraph for _, paragraph in paragraphs[title])
        number, stored = found.add(f"# {title}\n\n{text}\n")
        start = 0
        for name, paragraph in paragraphs[title]:
            start = stored.index(paragraph, start)
            place_of[name] = number, start, paragraph
    for row in list(rows(data / "squad_v2_dev" / "qa.jsonl"))[::4]:
        if row["context_id"] not in place_of or row["is_impossible"]:
            continue
        number, start, paragraph = place_of[row["context_id"]]
        once = [answer for answer in row["answers"] if paragraph.count(answer) == 1]
        if once:
            at = start + paragraph.index(once[0])
            found.questions.append(Question(row["question"], number, ((at, at + len(once[0])),), 1.0))
    return found


def clapnq(data: Path) -> Set:
    """Passages in an order that has nothing to do with the questions'."""
    entries = list(rows(data / "clapnq_dev" / "qa.jsonl"))
    answerable = [row for row in entries if row["selected_sentences"]]
    others = [row for row in entries if not row["selected_sentences"]][:_DISTRACTORS]
    unique = {row["context"]: row["title"] for row in answerable + others}
    ordered = sorted(unique.items(), key=lambda its: hash_of(its[0]))
    found = Set()
    place_of: dict[str, tuple[int, int]] = {}
    for first in range(0, len(ordered), _ENTRIES):
        group = ordered[first : first + _ENTRIES]
        number, stored = found.add("\n\n".join(f"## {title}\n\n{context.strip()}" for context, title in group))
        for context, _ in group:
            place_of[context] = number, stored.index(context.strip())
    for row in answerable:
        context = row["context"].strip()
        number, start = place_of[row["context"]]
        at = [(start + context.index(its), start + context.index(its) + len(its)) for its in row["selected_sentences"]]
        found.questions.append(Question(row["question"], number, tuple(at), 0.5))
    return found


def wice(data: Path) -> Set:
    """Articles of moderate length whose claim is supported."""
    found = Set()
    seen: set[str] = set()
    for row in rows(data / "wice" / "faith.jsonl"):
        context = row["context"]
        if row["label3"] != "supported" or len(context) > _LONGEST_ARTICLE or context in seen:
            continue
        seen.add(context)
        title, body = context.removeprefix("(meta data) TITLE: ").split("\n", 1)
        lines = [re.sub(r"^\(meta data\).*", "", line) for line in body.split("\n")]
        number, stored = found.add(f"# {title}\n\n" + "\n\n".join(line for line in lines if line.strip()))
        sentences = row["supporting_text"].split("\n")
        if not all(its in stored for its in sentences):
            found.documents.pop()
            continue
        places = tuple((stored.index(its), stored.index(its) + len(its)) for its in sentences)
        found.questions.append(Question(row["answer"], number, places, 0.5))
        if len(found.documents) == _ARTICLES:
            break
    return found


def tables(data: Path) -> Set:
    """The tables get the line below the header that Markdown wants."""
    found = Set()
    for row in rows(data / "bipia" / "contexts.jsonl"):
        if row["task"] != "table":
            continue
        lines = ["| " + " | ".join(cells) + " |" for cells in map(_cells, row["context"].strip().split("\n"))]
        below = "| " + " | ".join(["---"] * len(_cells(lines[0]))) + " |"
        number, stored = found.add("\n".join([lines[0], below, *lines[1:]]))
        answering = [line for line in lines[1:] if row["ideal"].lower() in map(str.lower, _cells(line))]
        if len(answering) == 1 and stored.count(answering[0]) == 1:
            at = stored.index(answering[0])
            found.questions.append(Question(row["question"], number, ((at, at + len(answering[0])),), 0.5))
    return found


def _cells(line: str) -> list[str]:
    return [" ".join(cell.split()) for cell in line.strip().strip("|").split("|")]


def hash_of(text: str) -> str:
    """By which texts are in an order that is the same in every run."""
    return hashlib.sha256(text.encode()).hexdigest()


SETS: dict[str, Callable[[Path], Set]] = {
    "squad-tune": lambda data: squad(data, 0),
    "squad-judge": lambda data: squad(data, 1),
    "clapnq": clapnq,
    "wice": wice,
    "tables": tables,
}
