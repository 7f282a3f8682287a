"""Answers that quote documents, and what people say of them: as they are to be stored, and as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crashes.documents import Content, Name
from generation.types import Answer, Citation, Claim, Evidence, Faithfulness, Message, Prompt
from retrieval.types import Passage

# What all answers of these programs are of; one that the first schema's folder brings along is not.
RELEASE = "r-crash"
_TOKENS = (7, 5, 3)


# Above all that any erasure took: what is quoted is still there when the answer is stored.
_NOT_ERASED = 1_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer by what it quotes, and the corrections that were given to it. `erased` when something it quotes was."""

    question: str
    revision: int
    quoted: tuple[tuple[Name, Content], ...]
    corrections: tuple[str, ...] = ()
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as the catalog has it; of each feedback rating, correction and reason."""

    state: str
    record: Any
    prompt: Any
    said: list[tuple[Any, ...]]


def answer_of(answer_id: str, kept: Kept) -> Answer:
    """It quotes what it can in every field that can quote."""
    text = " ".join(content.text for _, content in kept.quoted)
    claims, citations, passages = [], [], []
    for number, (name, content) in enumerate(kept.quoted, 1):
        end = len(content.text)
        evidence = Evidence(document_id=name.document_id, version=_NOT_ERASED, start=0, end=end)
        claims.append(
            Claim(text=content.text, start=0, end=end, verdict="supported", score=0.9, evidence=evidence, reason=text)
        )
        place: dict[str, Any] = {"document_id": name.document_id, "version": _NOT_ERASED, "start": 0, "end": end}
        citations.append(Citation(marker=f"[{number}]", quote=content.text, **place))
        passages.append(
            Passage(chunk_id="c", uri=name.uri, title=content.marker, text=content.text, score=0.5, **place)
        )
    return Answer(
        answer_id=answer_id,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        question=kept.question,
        collection=kept.quoted[0][0].collection,
        text=text,
        abstained=False,
        draft=f"{text} [1]",
        checked_text=text,
        citations=tuple(citations),
        claims=tuple(claims),
        faithfulness=Faithfulness(score=None, verdict=None, scored=False, reason=text, verifier="none"),
        passages=tuple(passages),
        notes=(text,),
        release=RELEASE,
        revision=kept.revision,
        seed=0,
    )


def prompt_of(kept: Kept) -> Prompt:
    messages = tuple(Message("user", content.text) for _, content in kept.quoted)
    return Prompt(messages, _TOKENS, len(_TOKENS))


def said_of(correction: str) -> dict[str, str | None]:
    return {"rating": "down", "correction": correction, "reason": f"it says {correction}"}


def answer_differences(there: Mapping[str, Stored], wanted: Mapping[str, Kept]) -> list[str]:
    """Answers that are lost, torn, or there too much; quotes of what was erased, and of what was not that are gone."""
    found = [f"answers: lost {each}" for each in sorted(wanted.keys() - there.keys())]
    found += [f"answers: ghost {each}" for each in sorted(there.keys() - wanted.keys())]
    for answer_id in sorted(there.keys() & wanted.keys()):
        stored, kept = there[answer_id], wanted[answer_id]
        wrong = _quotes_left(stored, kept) if kept.erased else _torn(answer_id, stored, kept)
        found += [f"answer {answer_id}: {each}" for each in wrong]
    return found


def _torn(answer_id: str, stored: Stored, kept: Kept) -> list[str]:
    prompt = prompt_of(kept)
    replay = {
        "messages": [[message.role, message.content] for message in prompt.messages],
        "token_ids": list(_TOKENS),
        "completion_token_ids": list(_TOKENS),
    }
    wanted = {
        "state": "kept",
        "record": answer_of(answer_id, kept).model_dump(mode="json"),
        "prompt": replay,
        "said": [tuple(said_of(each).values()) for each in kept.corrections],
    }
    return [f"its {part} is {getattr(stored, part)}" for part in wanted if getattr(stored, part) != wanted[part]]


def _quotes_left(stored: Stored, kept: Kept) -> list[str]:
    """What was asked and how it was rated stays, and nothing else."""
    found = [] if stored.state == "erased" else [f"its state is {stored.state}"]
    if stored.record["question"] != kept.question or [each[0] for each in stored.said] != ["down"] * len(stored.said):
        found.append("more than the quotes was taken away")
    if len(stored.said) != len(kept.corrections):
        found.append(f"it has {len(stored.said)} feedbacks, not {len(kept.corrections)}")
    left = json.dumps([stored.record, stored.prompt, stored.said], ensure_ascii=False)
    quotes = [word for name, content in kept.quoted for word in (name.uri, name.document_id, content.marker)]
    return found + [f"it still holds {quote}" for quote in quotes if quote in left]
