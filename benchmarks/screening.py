"""How much screening finds of real attacks, and how often it takes a clean document for one.

    python benchmarks/screening.py --data DIR [--half tune|judge] [--score S] [--documents] [--parts]

Every rate has its count and Wilson's 95 % interval. The documents are those of benchmarks/screening_sets.py; `judge`,
the half that nothing was fitted on, is the default. `--documents` adds the real files of DIR/documents, as the loaders
read them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
from screening_sets import PLAIN_TASKS, Sample, attacked, clean, rows

from ingest.config import ScreeningSettings
from ingest.errors import RefusedDocument
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.screening.instructions import windows
from ingest.screening.phrases import PHRASES
from ingest.screening.screen import screen
from ingest.screening.wording import BITS, Weights
from ingest.types import Extracted


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--half", choices=("tune", "judge"), default="judge")
    parser.add_argument("--score", type=float, default=ScreeningSettings().instruction_score)
    parser.add_argument("--documents", action="store_true", help="also the real files of DIR/documents")
    parser.add_argument("--parts", action="store_true", help="also what the phrases and the learned half find alone")
    options = parser.parse_args(arguments)
    policy = ScreeningSettings(instruction_score=options.score)
    print(f"## False alarms, {options.half} half\n")
    _table(_found((its for its in clean(options.data) if its.half == options.half), policy), by_category=False)
    if options.documents:
        _documents(options.data, policy)
    print(f"\n## Detection, {options.half} half\n")
    attacks = _found((its for its in attacked(options.data) if its.half == options.half), policy)
    _table(attacks, by_category=False)
    asked = [(sample, found) for sample, found in attacks if sample.category not in PLAIN_TASKS]
    print("\nWithout attacks that are a plain question or task:\n")
    _table(asked, by_category=False)
    print()
    _table(attacks, by_category=True)
    if options.parts:
        _parts(options.data, options.half, options.score)
    return 0


def _parts(data: Path, half: str, threshold: float) -> None:
    """What the phrases and the learned half find alone."""
    silent = Weights(np.zeros(1 << BITS, dtype=np.int8), 1.0, -100.0)
    attacks = [its for its in attacked(data) if its.half == half and its.category not in PLAIN_TASKS]
    harmless = [its for its in clean(data) if its.half == half]
    for name, phrases, weights in (("Phrases", PHRASES, silent), ("Wording", (), None)):
        print(f"\n## {name} alone\n")
        for samples in (harmless, attacks):
            found = [(its, bool(windows(its.text, threshold, phrases=phrases, weights=weights))) for its in samples]
            _table(found, by_category=False)
            print()


_Found = list[tuple[Sample, bool]]


def _found(samples: Iterable[Sample], policy: ScreeningSettings) -> _Found:
    began, characters = time.process_time(), 0
    found: _Found = []
    for sample in samples:
        characters += len(sample.text)
        extracted = Extracted(text=sample.text, title="", media_type="text/plain")
        found.append((sample, bool(screen(extracted, policy))))
    seconds = time.process_time() - began
    print(f"{len(found):,} documents, {characters / 1e6:.1f} MB, {1000 * seconds / len(found):.2f} ms each, ", end="")
    print(f"{seconds / characters * 1e6:.2f} s a MB\n")
    return found


def _table(found: _Found, *, by_category: bool) -> None:
    hits: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for sample, hit in found:
        row = f"{sample.of}: {sample.category}" if by_category else sample.of
        counts[row] += 1
        hits[row] += hit
    print("| set | found | of | share | 95 % |\n|---|---|---|---|---|")
    for row, count in counts.items():
        print(_row(row, hits[row], count))
    print(_row("**all**", hits.total(), counts.total()))


def _row(name: str, hits: int, count: int) -> str:
    low, high = wilson(hits, count)
    return f"| {name} | {hits:,} | {count:,} | {hits / count:.1%} | {low:.1%}-{high:.1%} |"


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (E. B. Wilson, 1927)."""
    z = 1.959964
    share, spread = hits / count, z * sqrt(hits * (count - hits) / count**3 + z**2 / (4 * count**2))
    middle, scale = share + z**2 / (2 * count), 1 + z**2 / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def _documents(data: Path, policy: ScreeningSettings) -> None:
    """The real files, as far as the loaders read them: every finding, since each is to be looked at."""
    read = 0
    print("\nReal files:\n")
    for row in rows(data / "documents" / "manifest.jsonl"):
        path = data / "documents" / row["file"]
        try:
            extracted = extract(path.read_bytes(), path.name, Reading(password=row["password"]))
        except RefusedDocument:
            continue
        read += 1
        for finding in screen(extracted, policy):
            print(f"- {path.name}: {finding.kind} {finding.score}: {finding.reason}: {finding.preview}")
    print(f"\n{read} files were read.")


if __name__ == "__main__":
    sys.exit(main())
