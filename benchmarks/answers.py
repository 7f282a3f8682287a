"""Asks questions of a data folder through the whole system, and shows what came back and how long it took.

    python benchmarks/answers.py --documents DIR --questions FILE [--callers 1 4] [--json]

Ingests DIR into a new data folder (or uses --data), asks every question of FILE (JSONL with `question`, and where known
`expect` ("answer" or "abstain") and `facts` that a right answer holds) one after another, then, for each number of
callers in --callers, as many questions at once. Times are those of the answers themselves (`timings_ms`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

from generation.types import Answer, Ask, Done
from ragstone.settings import load_settings
from ragstone.uploading import files_under, ingest_files
from ragstone.wiring import Application


async def ask(application: Application, question: str) -> Answer:
    async with aclosing(application.answerer.answer(Ask(question=question))) as events:
        async for event in events:
            if isinstance(event, Done):
                return event.answer
    raise RuntimeError(f"no answer to {question!r}")


async def one_by_one(application: Application, rows: list[dict[str, Any]]) -> list[Answer]:
    answers = []
    for row in rows:
        answers.append(await ask(application, row["question"]))
        print(f"{len(answers)}/{len(rows)}", file=sys.stderr)
    return answers


async def at_once(application: Application, rows: list[dict[str, Any]], callers: int) -> dict[str, float]:
    """Median and worst seconds to the first token and in total, waiting included, of `callers` questions at once."""
    first_token, total = [], []
    for start in range(0, len(rows) - callers + 1, callers):
        answers = await asyncio.gather(*(ask(application, row["question"]) for row in rows[start : start + callers]))
        for answer in answers:
            times = answer.timings_ms
            waited = (times.queue or 0) + (times.retrieve or 0)
            first_token.append((waited + (times.first_token or 0)) / 1000)
            total.append((times.total or 0) / 1000)
    return {
        "callers": callers,
        "answers": len(total),
        "first_token_s_p50": round(statistics.median(first_token), 2),
        "first_token_s_max": round(max(first_token), 2),
        "total_s_p50": round(statistics.median(total), 2),
        "total_s_max": round(max(total), 2),
    }


def right(row: dict[str, Any], answer: Answer) -> bool | None:
    """Whether the answer is as the row expects; None where the row expects nothing."""
    if "expect" not in row:
        return None
    if row["expect"] == "abstain":
        return answer.abstained
    return not answer.abstained and all(fact.lower() in answer.text.lower() for fact in row.get("facts", []))


def report(rows: list[dict[str, Any]], answers: list[Answer]) -> list[dict[str, Any]]:
    return [
        {
            "question": row["question"],
            "right": right(row, answer),
            "text": answer.text,
            "draft": answer.draft,
            "abstained": answer.abstained,
            "verdict": answer.faithfulness.verdict,
            "score": answer.faithfulness.score,
            "citations": [f"{c.marker} {c.origin}: {c.quote}" for c in answer.citations],
            "first_passages": [f"{p.uri} > {' > '.join(p.heading)}" for p in answer.passages[:3]],
            "notes": list(answer.notes),
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "timings_ms": answer.timings_ms.model_dump(),
        }
        for row, answer in zip(rows, answers, strict=True)
    ]


def show(results: list[dict[str, Any]]) -> None:
    for number, result in enumerate(results, start=1):
        times = result["timings_ms"]
        mark = {True: "right", False: "WRONG", None: ""}[result["right"]]
        print(f"\n{number}. {result['question']}  {mark}")
        print(f"   {result['text']}")
        if result["draft"] and result["abstained"]:
            print(f"   draft: {result['draft']}")
        print(f"   verdict {result['verdict']} {result['score']}; from {result['first_passages'][0]}")
        for line in result["citations"] + [f"note: {note}" for note in result["notes"]]:
            print(f"   {line}")
        print(
            f"   {result['prompt_tokens']} + {result['completion_tokens']} tokens; ms: retrieve {times['retrieve']}, "
            f"first token {times['first_token']}, verify {times['verify']}, total {times['total']}"
        )


async def measure(application: Application, rows: list[dict[str, Any]], callers: list[int]) -> dict[str, Any]:
    try:
        await application.language_model.start()
        results = report(rows, await one_by_one(application, rows))
        return {"answers": results, "load": [await at_once(application, rows, number) for number in callers]}
    finally:
        await application.language_model.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, help="ingested into a new data folder")
    parser.add_argument("--data", type=Path, help="a data folder that has the documents")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--callers", type=int, nargs="*", default=[], metavar="N")
    parser.add_argument("--set", dest="assignments", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    with tempfile.TemporaryDirectory() as scratch:
        flags = dict(assignment.split("=", 1) for assignment in arguments.assignments)
        data = arguments.data or Path(scratch)
        application = Application(load_settings(flags={"data": data, **flags}).settings)
        if arguments.documents:
            began = time.perf_counter()
            outcomes = ingest_files(application, files_under([arguments.documents], None), "default", lambda _: None)
            print(f"{len(outcomes)} files ingested in {time.perf_counter() - began:.1f} s", file=sys.stderr)
        measured = asyncio.run(measure(application, rows, arguments.callers))
        application.catalog.close()
    if arguments.json:
        print(json.dumps(measured, ensure_ascii=False, indent=2))
        return
    show(measured["answers"])
    judged = [result["right"] for result in measured["answers"] if result["right"] is not None]
    print(f"\nright: {sum(judged)} of {len(judged)}")
    for load in measured["load"]:
        print(", ".join(f"{name} {value}" for name, value in load.items()))


if __name__ == "__main__":
    main()
