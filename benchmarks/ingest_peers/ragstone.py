"""Ragstone: a folder as a source, refreshed by a job; files are read by processes of their own and screened."""

from __future__ import annotations

import threading
from pathlib import Path

from ingest.jobs.queue import FINISHED
from ingest.sources.types import SourceSettings
from ingest_peers.embedding import CountedEmbedder
from ingest_peers.measure import About, Found, Saving, main
from ragstone.settings import Settings
from ragstone.wiring import Application
from retrieval.errors import EmptyIndex
from retrieval.search import SearchRequest

SOURCE = "documents"
POLL_S = 0.1  # between looks whether the job is done; the worker says when it was


class Ragstone:
    about = About(
        name="ragstone",
        packages=("ragstone", "faiss-cpu", "onnxruntime"),
        cutting="by headings, paragraphs, tables and code; the heading path is embedded with each chunk",
        index="dense and BM25",
        refresh="`refresh` of the source: names, sizes and times tell what to read",
        durable="each commit, by fsync (SQLite, synchronous=FULL), before it is found",
    )

    def __init__(self, documents: Path, folder: Path, embedder: CountedEmbedder) -> None:
        self._application = Application(Settings(data=folder), embedder=embedder)
        self._worked = threading.Event()
        self._application.worker.listeners.add(lambda job_id: self._worked.set())
        self._application.start()
        self._application.sources.put(
            SOURCE, SourceSettings(kind="folder", location=str(documents.resolve()), watch=False)
        )

    def refresh(self, saving: Saving) -> None:
        """Raises RuntimeError where not every file came to be indexed: then the work was not done."""
        application = self._application
        self._worked.clear()
        (job_id,) = application.sources.request(SOURCE)
        application.jobs.wake()
        while application.queue.get(job_id).state not in FINISHED:
            if application.worker.problem is not None:
                raise RuntimeError(application.worker.problem)
            self._worked.wait(POLL_S)
            self._worked.clear()
        run = application.sources.get(SOURCE).last_run
        if run is None or run.state != "done" or run.failed:
            raise RuntimeError(f"the refresh ended otherwise than it should: {run}")

    def counts(self) -> dict[str, int]:
        counted = self._application.catalog.counts()
        held = len(self._application.sources.items(SOURCE, 100_000, state="quarantined"))
        return {"files": counted["documents"], "chunks": counted["occurrences"], "held_back": held}

    def search(self, query: str, k: int) -> list[Found]:
        try:
            result = self._application.searcher.search(SearchRequest(query=query, k=k))
        except EmptyIndex:
            return []
        places = [(passage.uri, passage.text) for passage in result.passages]
        same = [(place.uri, passage.text) for passage in result.passages for place in passage.also_in]
        return places + same

    def close(self) -> None:
        self._application.stop()
        self._application.close()


if __name__ == "__main__":
    main({"ragstone": Ragstone})
