"""How a file is to be read: its password, and what reading it may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config import ExtractionSettings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """What every loader is told beside the bytes and the name of a file."""

    limits: ExtractionSettings = field(default_factory=ExtractionSettings)
    password: str | None = None
    max_text_mib: float = 20

    @property
    def max_text_bytes(self) -> int:
        return int(self.max_text_mib * MIB)
