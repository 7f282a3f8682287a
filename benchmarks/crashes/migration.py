"""A folder of the first schema, and what it is to show once it is migrated."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from crashes.documents import Content, Name
from crashes.model import Shown, Snapshot, State
from ingest.originals import Originals

FIRST_SCHEMA = Path(__file__).resolve().parents[2] / "tests" / "ingest" / "first_schema.sql"
_VALVES = "# Valves\n\nThe inlet valve opens at {} bar.\n\nThe outlet valve is checked each week."
_FOUR, _FIVE = Content("four", _VALVES.format("four")), Content("five", _VALVES.format("five"))
_PRESSURE = Content("druck", "Überdruck: 9 bar.")
_GONE = Content("Nobody", "Nobody needs this.")
_A, _B, _C = Name("default", "a.md"), Name("other", "b/c d.md"), Name("default", "gone.md")


def make_old_folder(data: Path) -> State:
    """Makes the folder; the file of the job that waits in it is not known, so that job is taken out."""
    database = sqlite3.connect(data / "catalog.sqlite")
    database.executescript(FIRST_SCHEMA.read_text(encoding="utf-8"))
    database.execute("DELETE FROM jobs WHERE state = 'queued'")
    database.commit()
    database.close()
    originals = Originals(data / "originals")
    for content in (_FOUR, _FIVE, _PRESSURE, _GONE):
        originals.put(content.text.encode())
    four, five, pressure, gone = (Shown(content, 0) for content in (_FOUR, _FIVE, _PRESSURE, _GONE))
    snapshots: tuple[Snapshot, ...] = (
        {},
        {_A: four},
        {_A: four, _B: pressure},
        {_A: five, _B: pressure},
        {_A: five, _B: pressure, _C: gone},
        {_A: five, _B: pressure},
    )
    return State(
        snapshots=snapshots,
        changed={_A: 3, _B: 2, _C: 5},
        last_job=4,
        horizons={"default": 0, "other": 0},
    )
