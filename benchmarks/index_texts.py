"""Real texts and questions for the benchmark of the index: one line each, distinct, in a fixed order.

Sources are folders of a data directory in BEIR layout (`corpus.jsonl`, `queries.jsonl`), sets of evidence
(`faith.jsonl`) and versions of documentation (Markdown files). Long texts are cut between sentences.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

LONGEST = 120  # words; a text is cut before the sentence that would go beyond
SHORTEST = 25
SEED = 7

CORPORA = ("scifact", "hotpotqa_dev_sample", "squad_v2_dev", "clapnq_dev", "mtrag_un", "cranfield", "vaswani_npl")
EVIDENCE = ("wice", "summedits", "halueval_qa", "vitaminc_real_test")
QUESTIONS = ("scifact", "hotpotqa_dev_sample", "squad_v2_dev", "clapnq_dev", "mtrag_un", "cranfield", "vaswani_npl")
LONGEST_QUESTION = 60  # words

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
# Control characters that are no white space, and byte order marks.
_REMOVED = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
_BLANK_LINE = re.compile(r"\n\s*\n")


class TooLittleText(Exception):
    """The data folder has fewer distinct texts than the corpus needs."""


def real_texts(data: Path, count: int) -> list[str]:
    """`count` distinct texts of 25 to 120 words from the folders in `data`, shuffled by a fixed seed.

    Sources are taken whole, one after the other, until there are enough; so what is left out is of the last source.
    Raises TooLittleText.
    """
    found: dict[str, str] = {}
    for text in _all_texts(data):
        found.setdefault(text.casefold(), text)
        if len(found) == count:
            break
    if len(found) < count:
        raise TooLittleText(f"{data} has {len(found):,} distinct texts and {count:,} are needed: add sets to it")
    texts = list(found.values())
    random.Random(SEED).shuffle(texts)
    return texts


def real_questions(data: Path, count: int) -> list[str]:
    """`count` distinct questions of the sets, as many of each as there are, shuffled by a fixed seed."""
    rng = random.Random(SEED)
    by_set = []
    for name in QUESTIONS:
        questions = [_one_line(row["text"]) for row in _rows(data / name / "queries.jsonl")]
        questions = sorted({question for question in questions if 3 <= len(question.split()) <= LONGEST_QUESTION})
        rng.shuffle(questions)
        by_set.append(questions)
    chosen: dict[str, None] = {}
    for position in range(max(len(questions) for questions in by_set)):
        chosen.update({questions[position]: None for questions in by_set if position < len(questions)})
    if len(chosen) < count:
        raise TooLittleText(f"{data} has {len(chosen):,} questions and {count:,} are needed: add sets to it")
    kept = list(chosen)[:count]
    rng.shuffle(kept)
    return kept


def cut(text: str) -> Iterator[str]:
    """Runs of whole sentences of at most 120 words, without those under 25; a longer sentence is cut anywhere."""
    run: list[str] = []
    for sentence in _SENTENCE_END.split(_one_line(text)):
        words = sentence.split()
        if len(run) + len(words) > LONGEST and len(run) >= SHORTEST:
            yield " ".join(run)
            run = []
        run += words
        while len(run) > LONGEST:
            yield " ".join(run[:LONGEST])
            run = run[LONGEST:]
    if len(run) >= SHORTEST:
        yield " ".join(run)


def _all_texts(data: Path) -> Iterator[str]:
    for name in CORPORA:
        for row in _rows(data / name / "corpus.jsonl"):
            yield from cut(row["text"])
    yield from _documentation(data / "versioned_docs")
    for name in EVIDENCE:
        for row in _rows(data / name / "faith.jsonl"):
            yield from cut(row["context"])


def _documentation(folder: Path) -> Iterator[str]:
    """Paragraphs that no other version has yet, joined within a file, so that versions give different texts."""
    seen: set[str] = set()
    for file in sorted(folder.rglob("*.md")):
        paragraphs = [_one_line(part) for part in _BLANK_LINE.split(file.read_text("utf-8", errors="replace"))]
        new = [paragraph for paragraph in paragraphs if paragraph not in seen]
        seen.update(new)
        yield from cut(" ".join(new))


def _rows(file: Path) -> Iterable[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _one_line(text: str) -> str:
    """Without what a loader of documents removes, so that texts come through one unchanged."""
    return " ".join(_REMOVED.sub("", text).split())
