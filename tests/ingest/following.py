"""A source on a catalog with the in-tree fakes, and a worker that refreshes it, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embedders import CountingEmbedder
from sqlalchemy import select

from ingest.catalog import schema
from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings, WebSettings
from ingest.erasure import Erasure
from ingest.extraction.process import Extractor, ReadHere
from ingest.identity import document_id_of
from ingest.jobs.queue import REFRESH
from ingest.originals import Originals
from ingest.pipeline import Ingestion
from ingest.revisions.history import History
from ingest.source_items import Item
from ingest.sources.folder import FolderReader
from ingest.sources.kinds import open_source
from ingest.sources.refresh import Refreshing
from ingest.sources.register import SourceRegister
from ingest.sources.types import LastRun, SourceInfo, SourceReader, SourceSettings
from ingest.types import JobSummary
from ingest.worker import Worker

SETTINGS = IngestSettings(max_upload_mib=0.01, chunk_tokens=40, web=WebSettings(delay_s=0, allow_private=True))


def _later() -> float:
    return time.time() + 3600


class Followed:
    """All that refreshes sources of one catalog."""

    def __init__(
        self,
        catalog: Catalog,
        folder: Path,
        settings: IngestSettings = SETTINGS,
        extractor: Extractor | None = None,
        opened: Callable[[SourceReader], SourceReader] = lambda reader: reader,
        now: Callable[[], float] = _later,
    ) -> None:
        """`opened` can put something before a reader; `now` is the time of who looks at folders."""
        self.catalog = catalog
        self.data = folder
        self.originals = Originals(folder / "originals")
        self.embedder = CountingEmbedder()
        self.ingestion = Ingestion(catalog, self.originals, self.embedder, settings, extractor or ReadHere())
        self.queue = self.ingestion.queue
        self.register = SourceRegister(catalog, self.queue)
        self.history = History(catalog)
        self.erasure = Erasure(catalog, self.queue, lambda record: record)

        def open_reader(source: SourceInfo, known: Mapping[str, Item]) -> SourceReader:
            if source.kind == "folder":
                return opened(FolderReader(Path(source.location), now))
            return opened(open_source(source, known, folder / "copies", settings.web, self.originals))

        def refresh(job: Any, report: Any, stop: Any) -> float | None:
            return self.refreshing(job, report, stop)

        self.worker = Worker(self.ingestion, {REFRESH: refresh})
        self.refreshing = Refreshing(
            self.register, self.ingestion, self.history, settings, open_reader, self.worker.guard
        )

    def put(self, name: str, kind: str, location: object, **settings: Any) -> None:
        self.register.put(name, SourceSettings(kind=kind, location=str(location), **settings))  # type: ignore[arg-type]

    def refresh(self, name: str = "s", *, again: bool = False) -> LastRun:
        """The run of a refresh that was worked off to its end."""
        (job_id,) = self.register.request(name, again=again)
        self.worker.work_off()
        while self.queue.get(job_id).state == "queued" and self.queue.get(job_id).not_before is None:
            self.worker.work_off()
        run = self.register.get(name).last_run
        assert run is not None
        assert run.job_id == job_id
        return run

    def job(self) -> JobSummary:
        """The newest."""
        return self.queue.list(1)[0]

    def shown(self, collection: str = "default") -> dict[str, int]:
        """Documents with their versions."""
        documents, _ = self.catalog.documents(collection, 1000, None)
        return {document.uri: document.version for document in documents}

    def items(self, name: str = "s") -> dict[str, str]:
        return {item.uri: item.state for item in self.register.items(name, 1000)}

    def unused(self) -> set[str]:
        return self.ingestion.unused_originals()

    def names_in_catalog(self, name: str) -> list[str]:
        """Tables that tell of a name."""
        found = []
        with self.catalog.reading() as connection:
            for table in schema.metadata.sorted_tables:
                if any(name in str(value) for row in connection.execute(select(table)) for value in row):
                    found.append(table.name)
        return found


def write(folder: Path, *names: str, text: str = "text of {}") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name))


def document(uri: str, collection: str = "default") -> str:
    return document_id_of(collection, uri)
