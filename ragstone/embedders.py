"""The embedders of one data folder: that of the space in use, and the change to another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ragstone.errors import BadRequest, ModelsMissing
from retrieval.config import EmbedderSettings, OnnxEmbedderSettings, SentenceTransformersEmbedderSettings
from retrieval.embedder import OnnxEmbedder, SentenceTransformersEmbedder
from retrieval.errors import ModelUnavailable

if TYPE_CHECKING:
    from ingest.jobs.queue import ClaimedJob
    from ingest.types import Embedder, Space
    from ragstone.wiring import Application

_SETTINGS: TypeAdapter[EmbedderSettings] = TypeAdapter(EmbedderSettings)


def embedder_settings(name: str, *, library: bool, max_tokens: int | None, **prefixes: str) -> EmbedderSettings:
    """The settings of an embedder by its name, or by the folder that it is in. Raises BadRequest."""
    given: dict[str, Any] = {"model": name, **prefixes}
    if library:
        if max_tokens is not None:
            raise BadRequest("a sentence-transformers model knows its own length: leave --max-tokens out")
        return _SETTINGS.validate_python({"kind": "sentence-transformers", **given})
    return _SETTINGS.validate_python({"kind": "onnx", **given, **({"max_tokens": max_tokens} if max_tokens else {})})


# The one in use, the one before it, and one whose space is being filled.
_KEPT = 3


class Embedders:
    """Builds embedders from their settings, and keeps the few that were asked for last."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._built: dict[str, Embedder] = {}
        self._lock = threading.RLock()

    def in_use(self) -> Embedder:
        """The embedder of the space in use, which at the first start is the one that the settings name."""
        return self._in_use(follows_settings=False)

    def space_in_use(self) -> Space:
        """The space of `in_use`; the embedder is not built for it, but at the first start."""
        found = self._application.spaces.in_use()
        return self.in_use().space if found is None else self._application.spaces.space(found[0])

    def of_worker(self) -> Embedder:
        """The same, for the process that does the jobs.

        When its settings name another one than they did, that asks for its space: it is filled in the background, and
        put in use when it is complete. A process that only reads, such as a search from a shell, changes nothing.
        """
        return self._in_use(follows_settings=True)

    def _in_use(self, *, follows_settings: bool) -> Embedder:
        application = self._application
        named = application.settings.retrieval.embedder.model_dump(mode="json")
        found = application.spaces.in_use()
        if found is None:
            application.spaces.begin(application.embedder.space, named)
            found = application.embedder.space.space_id, named
        space_id, asked_for = found
        if follows_settings and named != asked_for:
            application.spaces.request(application.embedder.space, named, by_settings=True)
        return self.of(space_id)

    def of(self, space_id: str) -> Embedder:
        """The embedder of a space. Raises ModelUnavailable or MissingExtra where it can't be built."""
        with self._lock:
            embedder = self._built.pop(space_id, None)
            if embedder is None:
                embedder = self._built_for(space_id)
            self._keep(embedder)
            return embedder

    def _built_for(self, space_id: str) -> Embedder:
        application = self._application
        known = application.embedder_if_built
        if known is not None and known.space.space_id == space_id:
            return known
        stored = application.spaces.embedder_of(space_id)
        if stored in (None, application.settings.retrieval.embedder.model_dump(mode="json")):
            embedder = application.embedder
        else:  # whatever the settings name by now may be gone
            embedder = self.built(_SETTINGS.validate_python(stored))
        if embedder.space.space_id != space_id:
            raise ModelUnavailable(
                f"the embedder {embedder.space.model} is not the one any more that space {space_id} was filled by: put "
                "its files and settings back as they were, or fill a new space with `ragstone models use-embedder "
                f"{embedder.space.model}`"
            )
        return embedder

    def back(self) -> str:
        """Puts the embedder before in use again, at once, and returns the id of its space.

        Raises NotFound where there is none before, and ModelUnavailable where it can't be built: then
        the one in use stays.
        """
        self.of(self._application.spaces.before())
        return self._application.spaces.back()

    def built(self, settings: EmbedderSettings) -> Embedder:
        """Raises ModelUnavailable and MissingExtra."""
        if isinstance(settings, OnnxEmbedderSettings):
            try:
                place = self._application.model_place(settings.model)
            except ModelsMissing as error:  # to who serves with it, the same as one that can't be loaded
                raise ModelUnavailable(str(error)) from error
            return OnnxEmbedder(
                place,
                model=settings.model,
                max_tokens=settings.max_tokens,
                threads=settings.threads,
                query_prefix=settings.query_prefix,
                document_prefix=settings.document_prefix,
            )
        assert isinstance(settings, SentenceTransformersEmbedderSettings)
        return SentenceTransformersEmbedder(
            settings.model, settings.device, settings.query_prefix, settings.document_prefix
        )

    def request(self, settings: EmbedderSettings) -> str:
        """Has the worker fill the space of another embedder and then put it in use; returns the job's id."""
        embedder = self.built(settings)
        with self._lock:
            self._keep(embedder)
        return self._application.spaces.request(embedder.space, settings.model_dump(mode="json"))

    def _keep(self, embedder: Embedder) -> None:
        self._built[embedder.space.space_id] = embedder
        while len(self._built) > _KEPT:
            del self._built[next(iter(self._built))]

    def fill(self, job: ClaimedJob, report: Callable[[int, int], None], stop: Callable[[], bool]) -> float | None:
        """The job that fills a space and puts it in use. What is embedded is kept when it is stopped or killed."""
        spaces, ingestion = self._application.spaces, self._application.ingestion
        space_id = job.payload["space_id"]
        embedder = self.of(space_id)
        # 1. Embed what has no vector in it; uploads that come meanwhile have vectors of the space before only.
        done, total = spaces.filled(space_id)
        ingestion.fill_space(stop, embedder, lambda filled: report(done + filled, total))
        # 2. Switch, in the transaction that sees that no chunk lacks its vector.
        return None if not stop() and spaces.finish(job.payload) else 0
