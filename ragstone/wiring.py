"""Puts the packages together: each part is built from its settings when it is first needed, and only then imported."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ragstone.errors import ModelsMissing
from ragstone.models import EMBEDDED_MODELS, ModelStore, default_models_folder
from ragstone.releases import Release, keep_release
from ragstone.settings import Settings

if TYPE_CHECKING:
    from generation.answer import Answerer
    from generation.store import AnswerStore
    from generation.types import LanguageModel, Verifier
    from ingest.catalog import Catalog
    from ingest.originals import Originals
    from ingest.pipeline import Ingestion
    from ingest.types import Embedder
    from ingest.worker import Worker
    from retrieval.search import Searcher
    from retrieval.snapshots import HybridIndex
    from retrieval.tokens import Tokenizer


class Application:
    """One data folder with all that works on it. Parts given to the constructor are used instead of built ones."""

    def __init__(
        self, settings: Settings, *, embedder: Embedder | None = None, language_model: LanguageModel | None = None
    ) -> None:
        self.settings = settings
        if embedder is not None:
            self.embedder = embedder
        if language_model is not None:
            self.language_model = language_model

    def prepare(self) -> None:
        """Builds all that serving needs and reads the index; the language model is started apart from that."""
        _ = self.answerer, self.worker
        self.searcher.follow()

    @cached_property
    def models(self) -> ModelStore:
        return ModelStore(self.settings.models.folder or default_models_folder())

    @cached_property
    def catalog(self) -> Catalog:
        from ingest.catalog import Catalog

        return Catalog.in_folder(self.settings.data)

    @cached_property
    def originals(self) -> Originals:
        from ingest.originals import Originals

        return Originals(self.settings.data / "originals")

    @cached_property
    def embedder(self) -> Embedder:
        from retrieval.config import OnnxEmbedderSettings
        from retrieval.embedder import OnnxEmbedder, SentenceTransformersEmbedder

        settings = self.settings.retrieval.embedder
        if isinstance(settings, OnnxEmbedderSettings):
            return OnnxEmbedder(
                self._model_place(settings.model),
                model=settings.model,
                max_tokens=settings.max_tokens,
                threads=settings.threads,
                query_prefix=settings.query_prefix,
                document_prefix=settings.document_prefix,
            )
        return SentenceTransformersEmbedder(
            settings.model, settings.device, settings.query_prefix, settings.document_prefix
        )

    @cached_property
    def ingestion(self) -> Ingestion:
        from ingest.pipeline import Ingestion

        return Ingestion(self.catalog, self.originals, self.embedder, self.settings.ingest)

    @cached_property
    def worker(self) -> Worker:
        from ingest.worker import Worker, WorkerLock

        return Worker(self.ingestion, WorkerLock(self.settings.data))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        from retrieval.tokens import Tokenizer

        return Tokenizer(self.settings.retrieval.language)

    @cached_property
    def index(self) -> HybridIndex:
        from retrieval.dense import FaissIndex
        from retrieval.lexical import lexical_index
        from retrieval.snapshots import HybridIndex

        settings, space = self.settings.retrieval, self.embedder.space
        dense = FaissIndex(space.dimension, threads=settings.dense_threads)
        lexical = lexical_index(settings.lexical_engine, k1=settings.bm25_k1, b=settings.bm25_b)
        return HybridIndex(self.catalog, space, dense, lexical, self.tokenizer)

    @cached_property
    def searcher(self) -> Searcher:
        from retrieval.search import Searcher

        return Searcher(self.catalog, self.index, self.embedder, self.settings.retrieval)

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

        return EmbeddingVerifier(self.embedder, self.settings.evals)

    @cached_property
    def answers(self) -> AnswerStore:
        from generation.store import AnswerStore

        return AnswerStore(self.catalog)

    @cached_property
    def release(self) -> Release:
        """What decides an answer here; it follows the head revision."""
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
                "space": self.embedder.space.space_id,
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
            release=self.release.release_id,
        )

    def _model_place(self, name: str) -> Path:
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
