"""How well signatures find near copies, what sources do in real life, and which passages are taken for the same.

    python benchmarks/near_duplicates.py --data DIR

DIR/versioned_docs has releases of two manuals, PROJECT/TAG/**.md, with their order in PROJECT/versions.jsonl.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from screening_sets import rows

from ingest.config import ScreeningSettings
from ingest.screening.minhash import bands, signature, similarity
from ingest.screening.shift import Changed, SourceChange, shifts
from retrieval.near_duplicates import Grouping, near_duplicates, same_facts

SEED = 7
RANDOM_PAIRS = 3000
PASSAGE_WORDS = 100
COPIES = 50
SHORT_WORDS, SHOWN = 30, 25
K, MOST_COMPARED = 10, 100  # as the search has them

_Release = dict[str, str]  # text by page


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    updates = list(_updates(options.data / "versioned_docs"))
    _signatures(updates)
    _sources(updates)
    _passages(updates)
    _short_ones(updates)
    return 0


def _updates(folder: Path) -> Iterator[tuple[str, _Release, _Release]]:
    """Each release of each project with the one before it."""
    for versions in sorted(folder.glob("*/versions.jsonl")):
        tags = [row["version"] for row in rows(versions)]
        for old, new in pairwise(tags):
            name = f"{versions.parent.name} {old} to {new}"
            yield name, _release(versions.parent / old), _release(versions.parent / new)


def _release(folder: Path) -> _Release:
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.md"))}


def _signatures(updates: list[tuple[str, _Release, _Release]]) -> None:
    """Against true Jaccard similarity: changed pages with what they were, and pages at random."""
    pairs = [(old[page], new[page]) for _, old, new in updates for page in old.keys() & new.keys()]
    pairs = sorted({pair for pair in pairs if pair[0] != pair[1]})
    pages = sorted({text for _, _, new in updates for text in new.values()})
    rng = random.Random(SEED)
    pairs += [tuple(rng.sample(pages, 2)) for _ in range(RANDOM_PAIRS)]  # type: ignore[misc]
    began = time.perf_counter()
    found = {text: signature(text) for text in pages}
    seconds = time.perf_counter() - began
    print(f"## Signatures\n\n{len(pages):,} pages, {1000 * seconds / len(pages):.1f} ms each\n")
    for text in {its for pair in pairs for its in pair} - found.keys():
        found[text] = signature(text)
    shingles = {text: _shingles(text) for text in found}
    true = np.array([len(shingles[a] & shingles[b]) / len(shingles[a] | shingles[b]) for a, b in pairs])
    told = np.array([similarity(found[a], found[b]) for a, b in pairs])
    met = np.array([bool(set(bands(found[a])) & set(bands(found[b]))) for a, b in pairs])
    errors = np.abs(true - told)
    print(f"{len(pairs):,} pairs, mean error {errors.mean():.4f}, largest {errors.max():.3f}")
    low = true < 0.1
    print(f"{int(met[low].sum())} of {int(low.sum()):,} pairs below .1 share a band\n")
    print("| from | pairs | share a band | found | right | precision | recall |\n|---|---|---|---|---|---|---|")
    for threshold in (0.5, 0.7, 0.8, 0.9):
        is_copy, taken = true >= threshold, (told >= threshold) & met
        right = int((is_copy & taken).sum())
        cells = (threshold, is_copy.sum(), (is_copy & met).sum(), taken.sum(), right)
        print("|", *(f"{cell:g} |" for cell in cells), f"{right / taken.sum():.3f} | {right / is_copy.sum():.3f} |")


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def _sources(updates: list[tuple[str, _Release, _Release]]) -> None:
    """Real updates, and the same releases attacked."""
    print("\n## Sources\n\n| update | pages | added | gone | changed | replaced | emptied | alarm |")
    print("|---|---|---|---|---|---|---|---|")
    policy, alarms = ScreeningSettings(), 0
    for name, old, new in updates:
        change = _change(old, new)
        alarm = shifts(change, policy)
        alarms += bool(alarm)
        replaced, emptied = sum(its.replaced for its in change.changed), sum(its.emptied for its in change.changed)
        cells = (change.total, change.added, change.removed, len(change.changed), replaced, emptied, len(alarm))
        print(f"| {name} |", *(f"{cell} |" for cell in cells))
    print(f"\n{alarms} alarms in {len(updates)} real updates.\n\n| attack | found | of |\n|---|---|---|")
    foreign = {page: text for _, _, new in updates[-1:] for page, text in new.items()}
    for attack in ("half emptied", "half replaced", "a third replaced", "two thirds removed", "three copies of each"):
        hits = sum(bool(shifts(_change(new, _attacked(new, foreign, attack)), policy)) for _, _, new in updates)
        print(f"| {attack} | {hits} | {len(updates)} |")


def _change(old: _Release, new: _Release) -> SourceChange:
    changed = [
        Changed(len(old[page]), len(new[page]), similarity(signature(old[page]), signature(new[page])))
        for page in old.keys() & new.keys()
        if old[page] != new[page]
    ]
    return SourceChange(len(old), len(new.keys() - old.keys()), len(old.keys() - new.keys()), changed)


def _attacked(release: _Release, foreign: _Release, attack: str) -> _Release:
    rng = random.Random(SEED)
    pages = sorted(release)
    half, third = rng.sample(pages, len(pages) // 2), rng.sample(pages, (len(pages) + 2) // 3)
    texts = sorted(foreign.values())
    match attack:
        case "half emptied":
            return release | {page: release[page][:40] for page in half}
        case "half replaced":
            return release | {page: "buy now " + rng.choice(texts)[::-1] for page in half}
        case "a third replaced":
            return release | {page: "buy now " + rng.choice(texts)[::-1] for page in third}
        case "two thirds removed":
            return {page: release[page] for page in third}
        case _:
            return release | {f"{number}/{page}": release[page] for number in range(3) for page in pages}


def _passages(updates: list[tuple[str, _Release, _Release]]) -> None:
    """Each passage of a release beside the nearest of the release before, by similarity of three-word sequences."""
    print("\n## Passages of consecutive releases\n\n| similarity | pairs | of the same facts |\n|---|---|---|")
    counts: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    passages: list[str] = []
    for _, old, new in updates:
        for page in sorted(old.keys() & new.keys()):
            before = [(text, set(_threes(text))) for text in _split(old[page])]
            for text in _split(new[page]):
                passages.append(text)
                own = set(_threes(text))
                near = max(((len(own & its) / len(own | its), other) for other, its in before), default=(0.0, ""))
                if near[1] != text:
                    counts[int(near[0] * 10) / 10][0] += 1
                    counts[int(near[0] * 10) / 10][1] += same_facts(near[1], text)
    for low, (pairs, same) in sorted(counts.items()):
        print(f"| {low:.1f} | {pairs:,} | {same:,} |")
    rng = random.Random(SEED)
    for name, texts in (
        ("100 at random", rng.sample(passages, 100)),
        ("50 twice", [text + end for text in rng.sample(passages, 50) for end in ("", " ---")]),
    ):
        seconds = []
        for _ in range(20):
            began = time.process_time()
            groups = near_duplicates(texts)
            seconds.append(time.process_time() - began)
        print(f"\n{name}: {len(groups)} groups, {1000 * sorted(seconds)[10]:.1f} ms")
    _as_a_search_goes(rng.sample(passages, 10))


def _as_a_search_goes(passages: Sequence[str]) -> None:
    """What a search for ten asks of an index that has each passage fifty times: ten at a time, a hundred at most."""
    copies = [f"{text} {'---' * (n % 3)} {'also' if n % 2 else 'so'}" for text in passages for n in range(COPIES)]
    seconds = []
    for _ in range(20):
        began = time.process_time()
        grouping = Grouping()
        for start in range(0, MOST_COMPARED, K):
            for text in copies[start : start + K]:
                grouping.add(text)
            if len(grouping.groups()) >= K:
                break
        seconds.append(time.process_time() - began)
    print(f"\nk={K}, {COPIES} copies of each: {len(grouping.groups())} groups, {1000 * sorted(seconds)[10]:.1f} ms")


def _short_ones(updates: list[tuple[str, _Release, _Release]]) -> None:
    """Lines of the same letters and digits that differ in case and signs: which are taken for the same, to be read."""
    alike: dict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for page in sorted({text for _, old, new in updates for its in (old, new) for text in its.values()}):
        for line in page.splitlines():
            if 2 <= len(line.split()) <= SHORT_WORDS:
                alike[tuple(re.findall(r"\w+", line.lower()))][" ".join(line.split())] = None
    pairs = [(first, other) for first, *others in map(list, alike.values()) for other in others]
    same = [pair for pair in pairs if len(near_duplicates(pair)) == 1]
    print("\n## Short lines of the same letters\n")
    print(f"{len(same):,} of {len(pairs):,} pairs are taken for the same, such as\n")
    for first, other in random.Random(SEED).sample(same, min(len(same), SHOWN)):
        print(f"- {first!r}\n  {other!r}")


def _split(text: str) -> list[str]:
    """Paragraphs, joined until they have 100 words."""
    found: list[list[str]] = [[]]
    for paragraph in re.split(r"\n\s*\n", text):
        found[-1].append(paragraph)
        if sum(len(its.split()) for its in found[-1]) > PASSAGE_WORDS:
            found.append([])
    return [joined for its in found if len((joined := "\n\n".join(its)).split()) >= 8]


def _threes(text: str) -> Iterator[tuple[str, ...]]:
    words = text.lower().split()
    return zip(words, words[1:], words[2:], strict=False)


if __name__ == "__main__":
    sys.exit(main())
