from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from ingest.catalog.database import Database

# Sequences of insertions and deletions after which SQLite 3.40 keeps deleted text in the gaps of its pages.
SEEDS = (15, 22, 63, 70)


def words_deleted(database: Database, seed: int) -> list[str]:
    """Fills a table, deletes two thirds of it, and returns a word of each row that is gone."""
    chance = random.Random(seed)
    words: dict[str, str] = {}
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE v (d TEXT, n INTEGER, t TEXT, PRIMARY KEY (d, n))"))
    for number in range(60):
        name = "d" + hashlib.sha256(str((seed, number)).encode()).hexdigest()[:20]
        words[name] = f"x{chance.getrandbits(40):010x}7"
        row = {"d": name, "t": words[name] + " " + "filler words " * chance.randint(5, 40)}
        with database.writing(may_be_lost=True) as connection:
            connection.execute(text("INSERT INTO v VALUES (:d, 1, :t)"), row)
    gone = chance.sample(sorted(words), 40)
    for name in gone:
        with database.writing(may_be_lost=True) as connection:
            connection.execute(text("DELETE FROM v WHERE d = :d"), {"d": name})
    return [words[name] for name in gone]


@pytest.mark.parametrize("seed", SEEDS)
def test_rewriting_leaves_nothing_of_what_was_deleted(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "catalog.sqlite"
    database = Database(URL.create("sqlite", database=str(file)), 5)
    gone = words_deleted(database, seed)
    database.rewrite()
    assert database.truncate_log()
    held = file.read_bytes() + (tmp_path / "catalog.sqlite-wal").read_bytes()
    database.close()
    assert [word for word in gone if word.encode() in held] == []
