"""Puts the packages together: each part is built from its settings when it is first needed, and only then imported."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ragstone.errors import KnownError, ModelsMissing
from ragstone.keeping_up import KeepingUp
from ragstone.models import EMBEDDED_MODELS, ModelStore, default_models_folder
from ragstone.releases import Release, keep_release
from ragstone.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from generation.answer import Answerer
    from generation.store import AnswerStore
    from generation.types import LanguageModel, Verifier
    from ingest.catalog.catalog import Catalog
    from ingest.erasure import Erasure
    from ingest.extraction.process import Extractor
    from ingest.jobs.queue import JobQueue
    from ingest.originals import Originals
    from ingest.pipeline import Ingestion
    from ingest.quarantine.quarantine import Quarantine
    from ingest.revisions.history import History
    from ingest.revisions.retention import Retention
    from ingest.revisions.spaces import Spaces
    from ingest.source_items import Item
    from ingest.sources.daemon import SourceDaemon
    from ingest.sources.refresh import Refreshing
    from ingest.sources.register import SourceRegister
    from ingest.sources.types import SourceInfo, SourceReader
    from ingest.types import Embedder, Space
    from ingest.worker import Worker
    from ragstone.embedders import Embedders
    from ragstone.worker_process import Jobs
    from retrieval.index_files import IndexFiles
    from retrieval.live import LiveIndex
    from retrieval.search import Searcher
    from retrieval.snapshots import HybridIndex
    from retrieval.tokens import Tokenizer


class Application:
    """One data folder with all that works on it. Parts given to the constructor are used instead of built ones."""

    def __init__(
        self,
        settings: Settings,
        *,
        embedder: Embedder | None = None,
        language_model: LanguageModel | None = None,
        jobs: Jobs | None = None,
        extractor: Extractor | None = None,
    ) -> None:
        self.settings = settings
        self._next_purge = 0.0
        self._releases: dict[str, Release] = {}  # by space
        self._keeping_up: KeepingUp | None = None
        self._daemon: SourceDaemon | None = None
        if jobs is not None:
            self.jobs = jobs
        if embedder is not None:
            self.embedder = embedder
        if extractor is not None:
            self.extractor = extractor
        if language_model is not None:
            self.language_model = language_model

    def prepare(self) -> None:
        """Builds all that serving needs and reads the index; the language model is started apart from that."""
        _ = self.answerer, self.jobs, self.live.serving.embedder
        self.searcher.follow()

    def start(self) -> None:
        """Has the jobs done and follows what is committed, until `stop`."""
        self._keeping_up = KeepingUp(self.live.keep_up)
        self.jobs.start()

    def stop(self) -> None:
        self.jobs.stop()
        if self._keeping_up is not None:
            self._keeping_up.stop()

    def close(self) -> None:
        """Lets go of what this process holds of the data folder; nothing may be used any more."""
        if self._daemon is not None:
            self._daemon.close()
        if "ingestion" in vars(self):
            self.ingestion.close()
        self.let_go()
        if "catalog" in vars(self):
            self.catalog.close()

    def let_go(self) -> None:
        """Leaves what the worker does to another process, with all that the index has in memory written."""
        if "refreshing" in vars(self):
            self.refreshing.close()
        if "index_files" in vars(self) and self.index_files.locked:
            try:
                self.index.write()
            finally:
                self.index_files.release()

    @cached_property
    def models(self) -> ModelStore:
        return ModelStore(self.settings.models.folder or default_models_folder())

    @cached_property
    def catalog(self) -> Catalog:
        from ingest.catalog.catalog import Catalog

        return Catalog.in_folder(self.settings.data, self.settings.ingest.catalog_url)

    @cached_property
    def history(self) -> History:
        from ingest.revisions.history import History

        return History(self.catalog)

    @cached_property
    def retention(self) -> Retention:
        from ingest.revisions.retention import Retention

        return Retention(self.catalog, self.settings.ingest.retention)

    @cached_property
    def erasure(self) -> Erasure:
        from generation.store import redacted
        from ingest.erasure import Erasure

        return Erasure(self.catalog, self.queue, redacted)

    @cached_property
    def queue(self) -> JobQueue:
        from ingest.jobs.queue import JobQueue

        return JobQueue(self.catalog)

    @cached_property
    def originals(self) -> Originals:
        from ingest.originals import Originals

        return Originals(self.settings.data / "originals")

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder that the settings name. Searches and uploads use that of the space in use: `embedders`."""
        return self.embedders.built(self.settings.retrieval.embedder)

    @property
    def embedder_if_built(self) -> Embedder | None:
        """The same, where it was given or asked for before."""
        found: Embedder | None = vars(self).get("embedder")
        return found

    @cached_property
    def embedders(self) -> Embedders:
        from ragstone.embedders import Embedders

        return Embedders(self)

    @cached_property
    def spaces(self) -> Spaces:
        from ingest.revisions.spaces import Spaces

        return Spaces(self.catalog, self.queue)

    @cached_property
    def ingestion(self) -> Ingestion:
        from ingest.pipeline import Ingestion

        settings = self.settings.ingest
        return Ingestion(self.catalog, self.originals, self.embedders.of_worker, settings, self.extractor)

    @cached_property
    def quarantine(self) -> Quarantine:
        from ingest.quarantine.quarantine import Quarantine

        return Quarantine(self.catalog, self.queue)

    @cached_property
    def sources(self) -> SourceRegister:
        from ingest.sources.register import SourceRegister

        return SourceRegister(self.catalog, self.queue)

    @property
    def copies(self) -> Path:
        """Where copies of repositories are kept."""
        return self.settings.data / "sources"

    @cached_property
    def refreshing(self) -> Refreshing:
        from ingest.sources.kinds import open_source
        from ingest.sources.refresh import Refreshing

        settings = self.settings.ingest

        def opened(source: SourceInfo, known: Mapping[str, Item]) -> SourceReader:
            return open_source(source, known, self.copies, settings.web, self.originals)

        def guard(connection: Connection) -> None:
            self.worker.guard(connection)

        return Refreshing(self.sources, self.ingestion, self.history, settings, opened, guard)

    def keep_sources_fresh(self) -> None:
        """Has this process look after the sources while it is the worker."""
        from ingest.sources.daemon import SourceDaemon

        self._daemon = SourceDaemon(self.sources, self.jobs.wake)

    @cached_property
    def extractor(self) -> Extractor:
        from ingest.extraction.process import ReadingProcesses
        from ingest.redaction import require_installed

        require_installed(self.settings.ingest.redaction)
        return ReadingProcesses(self.settings.ingest.extraction.processes)

    @cached_property
    def jobs(self) -> Jobs:
        """Whoever does the jobs: the worker in this process, unless another was given."""
        return self.worker

    @cached_property
    def worker(self) -> Worker:
        from ingest.erasure import ERASE
        from ingest.jobs.queue import FILL_SPACE, PURGE, REFRESH
        from ingest.worker import Task, Worker
        from ragstone.erasing import erase, purge

        tasks: dict[str, Task] = {
            ERASE: partial(erase, self),
            PURGE: partial(purge, self),
            FILL_SPACE: self.embedders.fill,
            REFRESH: lambda job, report, stop: self.refreshing(job, report, stop),
        }
        return Worker(self.ingestion, tasks, self.maintain, self.let_go, KnownError)

    def maintain(self) -> bool:
        """Upkeep in the process of the worker, a bounded amount of work; False when there was none."""
        from ragstone.erasing import purge

        if time.monotonic() >= self._next_purge:
            self._next_purge = time.monotonic() + PURGE_EVERY_S
            purge(self)
        if "refreshing" in vars(self):
            self.refreshing.end_cancelled()
        due = self._daemon is not None and self._daemon.tick()
        return self.live.maintain() or due

    @cached_property
    def tokenizer(self) -> Tokenizer:
        from retrieval.tokens import Tokenizer

        return Tokenizer(self.settings.retrieval.language)

    @cached_property
    def live(self) -> LiveIndex:
        from retrieval.live import LiveIndex, Serving

        def open_space(space_id: str | None) -> Serving:
            space = self.embedders.space_in_use() if space_id is None else self.spaces.space(space_id)
            return Serving(self._index_of(space), partial(self.embedders.of, space.space_id))

        return LiveIndex(self.catalog, open_space, self.index_files)

    @property
    def index(self) -> HybridIndex:
        """The index that serves now."""
        return self.live.serving.index

    def _index_of(self, space: Space) -> HybridIndex:
        from retrieval.engines import dense_half, lexical_half
        from retrieval.snapshots import HybridIndex

        settings, files = self.settings.retrieval, self.index_files
        dense, lexical = dense_half(space, settings, files), lexical_half(settings, self.tokenizer, files)
        return HybridIndex(self.catalog, space, dense, lexical, self.tokenizer, files)

    @cached_property
    def index_files(self) -> IndexFiles:
        from retrieval.index_files import IndexFiles

        return IndexFiles(self.settings.data / "index", self.catalog.catalog_id, self.catalog.has_mark)

    @cached_property
    def searcher(self) -> Searcher:
        from retrieval.search import Searcher

        return Searcher(self.catalog, self.live, self.settings.retrieval)

    @cached_property
    def language_model(self) -> LanguageModel:
        from generation.config import LlamaCppSettings, OpenAICompatibleSettings

        settings = self.settings.generation.model
        if isinstance(settings, LlamaCppSettings):
            from generation.language_models.llama_cpp import LlamaCpp

            return LlamaCpp(settings, self._model_file(settings.model))
        if isinstance(settings, OpenAICompatibleSettings):
            from generation.language_models.openai_compatible import OpenAICompatible

            return OpenAICompatible(settings)
        from generation.language_models.llama_index import LlamaIndexModel

        return LlamaIndexModel(settings)

    @cached_property
    def verifier(self) -> Verifier:
        from evals.faithfulness import EmbeddingVerifier

        return EmbeddingVerifier(self.embedders.in_use(), self.settings.evals)

    @cached_property
    def answers(self) -> AnswerStore:
        from generation.store import AnswerStore

        return AnswerStore(self.catalog)

    @property
    def release(self) -> Release:
        """What decides an answer here and now; it follows the head revision."""
        space_id = self.live.serving.space_id
        if space_id not in self._releases:
            self._releases[space_id] = self._release_of(space_id)
        return self._releases[space_id]

    def _release_of(self, space_id: str) -> Release:
        from generation.prompt import PROMPT_VERSION, SYSTEM

        generation = self.settings.generation.model_dump(
            mode="json",
            exclude={
                "queue_size": True,
                "hold_until_verdict": True,
                "model": {"linger_s": True, "start_timeout_s": True, "timeout_s": True, "api_key": True},
            },
        )
        release = Release(
            {
                "space": space_id,
                "revision": "head",
                "retrieval": self.settings.retrieval.model_dump(mode="json", exclude={"dense_threads"}),
                "generation": generation,
                "prompt": {"version": PROMPT_VERSION, "system": SYSTEM},
                "model": self.language_model.name,
                "verifier": self.verifier.name,
                "evals": self.settings.evals.model_dump(mode="json"),
            }
        )
        keep_release(self.catalog, release)
        return release

    @cached_property
    def answerer(self) -> Answerer:
        from evals.claims import is_abstention
        from generation.admission import Admission
        from generation.answer import Answerer
        from generation.config import LlamaCppSettings

        model = self.settings.generation.model
        slots = model.slots if isinstance(model, LlamaCppSettings) else REMOTE_SLOTS
        return Answerer(
            searcher=self.searcher,
            model=self.language_model,
            verifier=self.verifier,
            is_abstention=is_abstention,
            tokenize=self.tokenizer.tokenize,
            admission=Admission(slots, self.settings.generation.queue_size),
            store=self.answers,
            settings=self.settings.generation,
            release=lambda: self.release.release_id,
        )

    def model_place(self, name: str) -> Path:
        """The folder of an embedded model by its name, or the path that the settings give."""
        if name in EMBEDDED_MODELS:
            return self.models.require(EMBEDDED_MODELS[name])
        place = Path(name)
        if not place.exists():
            known = ", ".join(EMBEDDED_MODELS)
            raise ModelsMissing(f"there is no model {name}: give a path that exists, or one of {known}")
        return place

    def _model_file(self, name: str) -> Path:
        """Where the weights should be. Whether they are there shows when the model starts: search works without."""
        if name in EMBEDDED_MODELS:
            return self.models.folder_of(EMBEDDED_MODELS[name]) / "model.gguf"
        return Path(name)


# Answers that are asked of a remote model side by side; its server has a queue of its own.
REMOTE_SLOTS = 4

# How often the worker looks for what retention no longer keeps.
PURGE_EVERY_S = 3600
