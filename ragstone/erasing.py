"""The jobs that take content away for good: erasing a document, and what retention no longer keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ingest.sources.copies import remove_copies_but
from ingest.sources.shifts import drop_left_batches

if TYPE_CHECKING:
    from ingest.jobs.queue import ClaimedJob
    from ragstone.wiring import Application

_STEPS = 4


def erase(
    application: Application, job: ClaimedJob, report: Callable[[int, int], None], stop: Callable[[], bool]
) -> None:
    """The job that erases a document; some went with one before."""
    if not job.payload.get("erased"):
        erase_document(application, job.payload["document_id"], report)


def erase_document(
    application: Application, document_id: str, report: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Done when no file of the data folder holds the document's bytes. Each step is safe to repeat after a kill.

    All documents that wait to be erased are taken together, as the last steps cost the same for one as for many.
    """
    # 1. The catalog: all rows of the documents, and what quotes them.
    documents = list(dict.fromkeys([document_id, *application.erasure.waiting()]))
    for its in documents:
        application.erasure.purge(its)
    report(1, _STEPS)
    # 2. The indexes: the chunks that nothing else shares.
    application.live.forget_gone()
    report(2, _STEPS)
    # 3. All originals that nothing stands on: when this goes on after a kill, nobody knows any more which they were.
    # Copies of repositories may hold them as well: what is still needed is fetched anew.
    application.ingestion.sweep()
    remove_copies_but(application.copies, [])
    report(3, _STEPS)
    # 4. The database's own file and log.
    application.erasure.settle()
    application.erasure.done(documents)
    report(_STEPS, _STEPS)


def purge(
    application: Application,
    job: ClaimedJob | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Takes away what no kept revision shows: rows, chunks in the index, and originals; and jobs of long ago."""
    drop_left_batches(application.ingestion, application.history)  # their jobs tell of them
    old = application.queue.remove_old(application.settings.ingest.keep_jobs_days)
    if application.retention.purge().occurrences or old:  # of a job that was given up, originals were kept
        application.ingestion.sweep()
    remove_copies_but(application.copies, application.sources.all())
    application.live.forget_gone()
    application.index_files.remove_spaces_but({space.space_id for space in application.spaces.all()})
    report(1, 1)
