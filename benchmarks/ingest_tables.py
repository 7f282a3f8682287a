"""The results of `ingest_peers.py` as tables in Markdown: medians over all rounds, and what they ranged over."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rounds = Sequence[Mapping[str, Any]]  # of one system: its stages by name, for each round
Cell = Callable[[Rounds], str]
_STAGES = {"full": "full ingest", "unchanged": "nothing changed", "update": "one file changed"}


def tables(title: str, systems: Mapping[str, Rounds], *, with_model: bool) -> str:
    """All tables of one folder of files; `with_model`: their texts were embedded by one."""
    alone: list[tuple[str, Cell]] = [
        ("the embedder alone on the same texts, s", _ranged("full", lambda its: its["alone_s"])),
        ("full ingest over that", _ranged("full", lambda its: its["s"] / its["alone_s"])),
    ]
    parts: dict[str, list[tuple[str, Cell]]] = {
        f"Seconds, {title}": [
            *((f"{name}, s", _ranged(stage, _seconds)) for stage, name in _STAGES.items()),
            ("opened again until it answers, s", _ranged("reopen", _seconds)),
        ],
        f"Where the seconds of a full ingest go, {title}": [
            ("chunks", _counted("full", "chunks")),
            ("in the embedder, s", _ranged("full", lambda its: its["embedding_s"])),
            ("beyond it, s", _ranged("full", _beyond)),
            ("ms a chunk beyond it", _ranged("full", lambda its: 1000 * _beyond(its) / max(1, its["chunks"]))),
            ("of that, writing what was in memory, s", _ranged("full", lambda its: its["saving_s"])),
            *(alone if with_model else ()),
            ("kept on disk, MB", _ranged("reopen", lambda its: its["bytes"] / 1e6)),
        ],
        f"Where the seconds of one changed file go, {title}": [
            ("texts embedded", _ranged("update", lambda its: its["embedded"], 0)),
            ("in the embedder, s", _ranged("update", lambda its: its["embedding_s"])),
            ("beyond it, s", _ranged("update", _beyond)),
            ("of that, writing what was in memory, s", _ranged("update", lambda its: its["saving_s"])),
        ],
        f"Whether the work was done, {title}": [
            ("files taken in", lambda rounds: _shares(rounds, "full", "files", "listed")),
            ("held back by screening", _counted("full", "held_back")),
            ("files found by a line of theirs", lambda rounds: _shares(rounds, "full", "found", "probes")),
            ("texts embedded when nothing changed", _ranged("unchanged", lambda its: its["embedded"], 0)),
            ("updates", _counted("update", "updates")),
            ("never found", _counted("update", "never_shown")),
            ("old words still found", _counted("update", "old_text_still_found")),
            ("last edit there when opened again", _all_have_last_edit),
        ],
    }
    shown = [_table(heading, columns, systems) for heading, columns in parts.items()]
    return "\n\n".join([*shown, *_problems(systems)])


def about_table(systems: Mapping[str, Rounds]) -> str:
    """What each system is and does, in words."""
    names = ("cutting", "index", "refresh", "durable")
    columns: list[tuple[str, Cell]] = [(name, _said(name)) for name in names]
    return _table("What is measured", [("versions", _versions), *columns], systems)


def _seconds(its: Mapping[str, Any]) -> float:
    return float(its["s"])


def _beyond(its: Mapping[str, Any]) -> float:
    return float(its["s"] - its["embedding_s"])


def _samples(rounds: Rounds, stage: str) -> list[dict[str, Any]]:
    """One sample a round, or several where a stage took several: then its values are lists."""
    samples: list[dict[str, Any]] = []
    for stages in rounds:
        values = stages.get(stage)
        if values is None:
            continue
        lists = {name: value for name, value in values.items() if isinstance(value, list)}
        count = len(lists["s"]) if lists else 1
        samples += [{**values, **{name: value[row] for name, value in lists.items()}} for row in range(count)]
    return samples


def _ranged(stage: str, value: Callable[[Mapping[str, Any]], float], places: int | None = None) -> Cell:
    """The median of all samples of a stage, and the least and the largest where there are several."""

    def cell(rounds: Rounds) -> str:
        values = [float(value(sample)) for sample in _samples(rounds, stage)]
        if not values:
            return "no"
        median = _number(statistics.median(values), places)
        least, largest = _number(min(values), places), _number(max(values), places)
        return median if least == largest else f"{median} ({least} to {largest})"

    return cell


def _number(value: float, places: int | None) -> str:
    if places is None:
        places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{places}f}"


def _counted(stage: str, name: str) -> Cell:
    """What all rounds agree on, else all of it; of updates, the sum."""

    def cell(rounds: Rounds) -> str:
        values = [stages[stage][name] for stages in rounds if stage in stages]
        if stage == "update":
            return f"{sum(values):,}" if values else "no"
        return ", ".join(f"{value:,}" for value in dict.fromkeys(values)) or "no"

    return cell


def _shares(rounds: Rounds, stage: str, name: str, of: str) -> str:
    values = [f"{stages[stage][name]:,} of {stages[stage][of]:,}" for stages in rounds if stage in stages]
    return ", ".join(dict.fromkeys(values)) or "no"


def _all_have_last_edit(rounds: Rounds) -> str:
    values = [stages["reopen"]["has_last_edit"] for stages in rounds if "reopen" in stages]
    return f"{sum(values)} of {len(values)}" if values else "no"


def _said(name: str) -> Cell:
    return lambda rounds: next((str(stages["start"][name]) for stages in rounds if "start" in stages), "")


def _versions(rounds: Rounds) -> str:
    found: dict[str, str] = next((stages["start"]["versions"] for stages in rounds if "start" in stages), {})
    return ", ".join(f"{package} {version}" for package, version in found.items())


def _table(heading: str, columns: Sequence[tuple[str, Cell]], systems: Mapping[str, Rounds]) -> str:
    lines = [
        f"### {heading}",
        "",
        "| | " + " | ".join(name for name, _ in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for system, rounds in systems.items():
        name = next((stages["start"]["name"] for stages in rounds if "start" in stages), system)
        lines.append(f"| {name} | " + " | ".join(cell(rounds) for _, cell in columns) + " |")
    return "\n".join(lines)


def _problems(systems: Mapping[str, Rounds]) -> list[str]:
    return [
        f"{system}, round {number}, stopped at {stages['problem']['stage']}: {stages['problem']['why']}"
        for system, rounds in systems.items()
        for number, stages in enumerate(rounds, 1)
        if "problem" in stages
    ]
