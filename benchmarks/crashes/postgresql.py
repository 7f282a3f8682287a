"""Rounds of kill -9 with the catalog on PostgreSQL, whose server lives on."""

from __future__ import annotations

import os
from pathlib import Path

from crashes import shim
from crashes.killing import KillRounds, Tally
from crashes.model import State

_EMPTIED = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


def postgresql_rounds(seed: str, rounds: int, place: Path) -> Tally:
    """As the rounds on SQLite, but that no folder is one of the first schema: those were in SQLite only."""
    from tests.postgresql import running  # needs the extra `dev`

    os.environ.pop(shim.VARIABLE, None)  # the server's own files are its own affair
    with running() as server, server.database() as url:

        def begin(number: int, data: Path) -> State:
            settle()
            server.run(_EMPTIED, str(url.database))
            catalog = url.render_as_string(hide_password=False)
            data.with_name("ragstone.toml").write_text(f'[ingest]\ncatalog_url = "{catalog}"\n')
            return State()

        def settle() -> None:
            """What a killed process had sent is done or undone when this returns."""
            server.end_connections(url)

        return KillRounds(seed, place, begin=begin, settle=settle).run(rounds)
