"""Rows made from SQuAD paragraphs, for what no labelled set has: near-copies of the passages, and very short answers.

An embedded model of 1.5B parameters mostly copies sentences of its passages; where it errs, it swaps a number or a
name, turns a statement round, or adds a sentence from elsewhere. `copied_rows` makes both sides of that by rule; the
labels are ours and as good as the rules. `short_rows` has gold answers of SQuAD as they are ("2,000 hours"), against
gold answers to other questions on the same paragraph.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from evals.checks import names
from evals.sentences import split_sentences

Row = dict[str, Any]  # id, group (never split between fitting and judging), context, question, answer, label, kind

_AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|will|would|must|should|has been|have been)\b(?! not)")
_PASSAGES = 4  # of one article, as a search would return them


def copied_rows(qa: Sequence[Row], seed: int) -> list[Row]:
    """One row for each paragraph: half of them copies (label 1), half changed or foreign sentences (label 0)."""
    rng = random.Random(seed)
    articles: dict[str, dict[str, None]] = defaultdict(dict)
    for row in qa:
        articles[row["title"]][row["context"]] = None
    every_name = sorted({name for row in qa for name in names(row["context"]) if name.isalpha()})
    rows: list[Row] = []
    for title, contexts in articles.items():
        for context in contexts:
            others = rng.sample([other for other in contexts if other != context], k=_PASSAGES)
            passages = [context, *others[1:]]
            rng.shuffle(passages)
            sentence = _sentence_of(rng, context)
            if not sentence:
                continue
            kind, answer = "copy", _trimmed(sentence) if rng.random() < 0.5 else sentence
            if rng.random() < 0.5:
                edits = _edits(rng, sentence, passages, every_name, others[0])
                kind, answer = next((kind, changed) for kind, edit in edits if (changed := edit()))
            rows.append({"id": f"{title}-{len(rows)}", "context": passages, "question": "", "answer": answer})
            rows[-1] |= {"label": int(kind == "copy"), "kind": kind, "group": title}
    return rows


def _edits(
    rng: random.Random, sentence: str, passages: Sequence[str], every_name: Sequence[str], foreign: str
) -> list[tuple[str, Callable[[], str | None]]]:
    """Ways to make the sentence false, in random order; each returns None where it finds nothing to change."""
    edits: list[tuple[str, Callable[[], str | None]]] = [
        ("number", lambda: _swap_number(rng, sentence, passages)),
        ("name", lambda: _swap_name(rng, sentence, passages, every_name)),
        ("negation", lambda: _turn_round(rng, sentence)),
        ("foreign", lambda: _sentence_of(rng, foreign)),
    ]
    rng.shuffle(edits)
    return [*edits, ("foreign", lambda: "None of this was ever repeated in any other part of the world.")]


def short_rows(qa: Sequence[Row], seed: int) -> list[Row]:
    """For each paragraph a question with its answer (label 1) or with that of another question (label 0)."""
    rng = random.Random(seed)
    by_context: dict[str, list[Row]] = defaultdict(list)
    for row in qa:
        if row["answers"]:
            by_context[row["context"]].append(row)
    rows: list[Row] = []
    for context, asked in by_context.items():
        row, label = rng.choice(asked), rng.randrange(2)
        gold = " ".join(row["answers"]).lower()
        wrong = [a for other in asked for a in other["answers"] if a.lower() not in gold and gold not in a.lower()]
        if not label and not wrong:
            continue
        answer = row["answers"][0] if label else rng.choice(wrong)
        rows.append({"id": row["id"], "context": context, "question": row["question"], "answer": answer + "."})
        rows[-1] |= {"label": label, "kind": "short", "group": row["title"]}
    return rows


def _sentence_of(rng: random.Random, text: str) -> str | None:
    sentences = [text[s.start : s.end] for s in split_sentences(text)]
    long = [sentence for sentence in sentences if 6 <= len(sentence.split()) <= 40 and not sentence.endswith("?")]
    return rng.choice(long) if long else None


def _trimmed(sentence: str) -> str:
    """The sentence without brackets, or up to its last comma where enough is left."""
    short = re.sub(r"\s*\([^()]*\)", "", sentence)
    if short == sentence and len(head := sentence.rpartition(",")[0].split()) >= 7:
        short = " ".join(head) + "."
    return short


def _swap_number(rng: random.Random, sentence: str, passages: Sequence[str]) -> str | None:
    """Another number for one of the sentence's: a near one that no passage has, or one from elsewhere in them."""
    found = list(re.finditer(r"\d+", sentence))
    if not found:
        return None
    match = rng.choice(found)
    elsewhere: set[str] = set(re.findall(r"\d+", " ".join(passages)))
    reach = min(50, 3 + int(match.group()) // 10)
    near = {str(max(1, int(match.group()) + step)) for step in range(-reach, reach + 1)} - elsewhere
    far = elsewhere - set(re.findall(r"\d+", sentence))
    choices = near if rng.random() < 0.5 or not far else far
    if not choices:
        return None
    return sentence[: match.start()] + rng.choice(sorted(choices)) + sentence[match.end() :]


def _swap_name(rng: random.Random, sentence: str, passages: Sequence[str], every_name: Sequence[str]) -> str | None:
    everything = " ".join(passages).lower()
    here = [name for name in names(sentence) if name.isalpha()]
    if not here:
        return None
    for _ in range(20):
        other = rng.choice(every_name)
        if other.lower() not in everything:
            return re.sub(rf"\b{rng.choice(here)}\b", other, sentence)
    return None


def _turn_round(rng: random.Random, sentence: str) -> str | None:
    if " not " in sentence:
        return sentence.replace(" not ", " ", 1)
    found = list(_AUXILIARY.finditer(sentence))
    if not found:
        return None
    match = rng.choice(found)
    return sentence[: match.end()] + " not" + sentence[match.end() :]
