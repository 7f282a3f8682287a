"""The jobs that take content away for good: erasing a document, and what retention no longer keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragstone.wiring import Application

_STEPS = 4


def erase(
    application: Application, payload: Mapping[str, Any], report: Callable[[int, int], None], stop: Callable[[], bool]
) -> bool:
    """Done when no file of the data folder holds the document's bytes. Each step is safe to repeat after a kill."""
    # 1. The catalog: all rows of the document, and what quotes it.
    application.erasure.purge(payload["document_id"])
    report(1, _STEPS)
    # 2. The indexes: the chunks that nothing else shares.
    application.live.forget_gone()
    report(2, _STEPS)
    # 3. All originals that nothing stands on: when this goes on after a kill, nobody knows any more which they were.
    application.ingestion.sweep()
    report(3, _STEPS)
    # 4. The database's own log.
    application.erasure.settle()
    report(_STEPS, _STEPS)
    return True


def purge(
    application: Application,
    payload: Mapping[str, Any] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Takes away what no kept revision shows: rows, chunks in the index, and originals."""
    if application.retention.purge().occurrences:
        application.ingestion.sweep()
    application.live.forget_gone()
    report(1, 1)
    return True
