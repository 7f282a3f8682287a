"""How much personal data redaction finds, and how much of what it replaces is none.

    python benchmarks/personal_data.py --data DIR [--model PACKAGE] [--score S] [--misses KIND]

DIR/presidio_pii/pii.jsonl has synthetic sentences with spans. A span is found where a mark of its kind overlaps it
("whole" where it covers all of it, "any" where some mark of whatever kind covers all of it); a mark is right where it
overlaps a span of its kind. Its kinds of places are one kind here.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import get_args

from screening_sets import Row, rows

from ingest.config import ModelKind, PatternKind, RedactionSettings
from ingest.redaction import Redactor, Span

_KINDS = {"ADDRESS": "LOCATION", "GPE": "LOCATION", "STREET_ADDRESS": "LOCATION", "ZIP_CODE": "LOCATION"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="an installed spaCy package; without it, kinds that have a pattern")
    parser.add_argument("--score", type=float, default=RedactionSettings().min_score)
    parser.add_argument("--regions", default=",".join(RedactionSettings().phone_regions), help="as in US,GB")
    parser.add_argument("--misses", metavar="KIND", help="print what of this kind was not found")
    options = parser.parse_args(arguments)
    kinds = get_args(PatternKind) + (get_args(ModelKind) if options.model else ())
    regions = tuple(options.regions.split(","))
    settings = RedactionSettings(kinds=kinds, model=options.model, min_score=options.score, phone_regions=regions)
    redactor = Redactor(settings)
    sentences = rows(options.data / "presidio_pii" / "pii.jsonl")
    began = time.perf_counter()
    found = [(row, redactor.spans(row["text"])) for row in sentences]
    seconds = time.perf_counter() - began
    size = sum(len(row["text"]) for row in sentences)
    print(
        f"{len(sentences):,} texts, {1000 * seconds / len(sentences):.1f} ms each, {size / seconds / 1000:.0f} kB/s\n"
    )
    _table(found, kinds)
    if options.misses:
        _misses(found, options.misses)
    return 0


def _gold(row: Row) -> list[Span]:
    return [Span(start, end, _KINDS.get(kind, kind)) for start, end, kind, _ in row["spans"]]


def _overlap(left: Span, right: Span) -> bool:
    return left.start < right.end and right.start < left.end


def _covers(left: Span, right: Span) -> bool:
    return left.start <= right.start and right.end <= left.end


def _table(found: Sequence[tuple[Row, list[Span]]], kinds: Sequence[str]) -> None:
    gold: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row, spans in found:
        golden = _gold(row)
        for its in golden:
            same = [span for span in spans if span.kind == its.kind]
            gold[its.kind] += 1
            hits[its.kind] += any(_overlap(span, its) for span in same)
            whole[its.kind] += any(_covers(span, its) for span in same)
            covered[its.kind] += any(_covers(span, its) for span in spans)
        for span in spans:
            marks[span.kind] += 1
            right[span.kind] += any(_overlap(span, its) and its.kind == span.kind for its in golden)
    print("| kind | spans | found | recall (95 %) | whole | any | marks | right | precision (95 %) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in sorted(kind for kind in kinds if gold[kind] or marks[kind]):
        recall, precision = _share(hits[kind], gold[kind]), _share(right[kind], marks[kind])
        counts = f"{whole[kind]} | {covered[kind]} | {marks[kind]} | {right[kind]}"
        print(f"| {kind} | {gold[kind]} | {hits[kind]} | {recall} | {counts} | {precision} |")
    others = ", ".join(f"{kind} {count}" for kind, count in sorted(gold.items()) if kind not in kinds)
    print(f"\nNot looked for: {others}")


def _share(hits: int, count: int) -> str:
    """With Wilson's interval (E. B. Wilson, 1927)."""
    if not count:
        return "-"
    z = 1.959964
    share, scale = hits / count, 1 + z**2 / count
    middle, spread = share + z**2 / (2 * count), z * sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
    return f"{share:.1%} ({low:.0%}-{high:.0%})"


def _misses(found: Sequence[tuple[Row, list[Span]]], kind: str) -> None:
    for row, spans in found:
        for its in _gold(row):
            if its.kind == kind and not any(_overlap(span, its) for span in spans if span.kind == kind):
                print(f"- {row['text'][its.start : its.end]!r}")


if __name__ == "__main__":
    sys.exit(main())
