"""The release: everything that decides an answer, identified by the hash of its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select

from ingest.catalog import schema
from ingest.catalog.catalog import Catalog
from ingest.identity import canonical_json


@dataclass(frozen=True, slots=True)
class Release:
    """An immutable bundle. Two releases of the same content are the same release."""

    content: dict[str, Any]

    @property
    def release_id(self) -> str:
        return "r-" + hashlib.sha256(canonical_json(self.content).encode()).hexdigest()[:20]


def keep_release(catalog: Catalog, release: Release) -> None:
    """Stores the release's content, so that an answer's release can always be looked up."""
    table = schema.releases
    with catalog.writing() as connection:
        known = select(func.count()).where(table.c.release_id == release.release_id)
        if connection.execute(known).scalar_one() == 0:
            connection.execute(
                insert(table).values(
                    release_id=release.release_id, content=release.content, created_at=datetime.now(UTC)
                )
            )
