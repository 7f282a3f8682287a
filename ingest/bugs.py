"""What becomes of an exception that nobody foresaw."""

from __future__ import annotations

import logging
import uuid

log = logging.getLogger(__name__)


def logged_bug(where: str) -> str:
    """Logs the exception at hand with an id, and says under which id to look for it."""
    error_id = uuid.uuid4().hex[:12]
    log.exception("bug %s %s", error_id, where)
    return f"a bug in Ragstone; its log has the details under {error_id}"
