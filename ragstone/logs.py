"""What the program logs, and how."""

from __future__ import annotations

import logging

# Libraries that tell of each request, or of what they tried.
_TALKATIVE = ("httpx", "faiss.loader")


def log_from(level: int) -> None:
    """Logs to the standard error from this level on; what talks much, warnings only."""
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)


def level() -> int:
    """That of this process, for those that it starts."""
    return logging.getLogger().level
