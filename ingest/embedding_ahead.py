"""Chunks that are embedded while further files are read and cut."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from ingest.background import background
from ingest.bugs import logged_bug
from ingest.extraction.wire import Examined
from ingest.types import ChunkSpan, Embedder, Vectors

# Batches at a time: when one is almost done, the cores go on with the next.
_AT_A_TIME = 2
# Chunks that are kept of groups that were stopped.
_MOST_BEGUN = 50_000


@dataclass(frozen=True, slots=True)
class CutFile:
    """A file that was read and cut."""

    examined: Examined
    spans: Sequence[ChunkSpan]


class Begun:
    """What was done of groups that were stopped: a file of many chunks is not begun anew each time it gives way."""

    def __init__(self) -> None:
        self._space_id = ""
        self._vectors: dict[str, Vectors] = {}  # by chunk
        self._cut: dict[Hashable, CutFile] = {}

    def has_cut(self, file: Hashable) -> bool:
        return file in self._cut

    def take_cut(self, file: Hashable) -> CutFile | None:
        """The file, if it was kept: `file` names all that decides how it is read and cut."""
        return self._cut.pop(file, None)

    def keep_cut(self, files: Mapping[Hashable, CutFile]) -> None:
        if sum(len(its.spans) for its in self._cut.values()) > _MOST_BEGUN:
            self._cut = {}
        self._cut.update(files)

    def take(self, chunks: Collection[str], embedder: Embedder) -> dict[str, Vectors]:
        """Those of the chunks that were begun with this embedder."""
        if self._space_id != embedder.space.space_id:
            return {}
        return {chunk_id: self._vectors.pop(chunk_id) for chunk_id in chunks if chunk_id in self._vectors}

    def keep(self, vectors: Mapping[str, Vectors], embedder: Embedder) -> None:
        """Keeps these for the next time; what was kept of jobs that never went on goes when it is too much."""
        if self._space_id != embedder.space.space_id or len(self._vectors) > _MOST_BEGUN:
            self._space_id, self._vectors = embedder.space.space_id, {}
        self._vectors.update(vectors)


class EmbeddingAhead:
    """Embeds the chunks that it is given, in batches, behind the back of who goes on. To be left by `with`."""

    def __init__(self, embedder: Embedder, batch: int, stop: Callable[[], bool]) -> None:
        """`stop` is asked by `finish`, before each batch that is not done yet."""
        self._embedder = embedder
        self._batch = batch
        self._stop = stop
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "embedding-ahead")
        self._futures: list[tuple[dict[str, str], Future[dict[str, Vectors]]]] = []
        self._waiting: dict[str, str] = {}
        self._asked: set[str] = set()

    def __enter__(self) -> EmbeddingAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def add(self, inputs: Mapping[str, str]) -> None:
        """Inputs of the embedder by chunk; what was given before is not embedded again."""
        self._waiting |= {chunk_id: text for chunk_id, text in inputs.items() if chunk_id not in self._asked}
        self._asked |= inputs.keys()
        while len(self._waiting) >= self._batch:
            self._begin()

    def finish(self, report: Callable[[float], None]) -> tuple[dict[str, Vectors], set[str]]:
        """Vectors by chunk, of shape (dimension,), and the chunks that the embedder fails on.

        When it was stopped, those of batches that were not begun are in neither. `report` takes the share that is done.
        """
        while self._waiting:
            self._begin()
        vectors: dict[str, Vectors] = {}
        failed: set[str] = set()
        for inputs, future in self._futures:
            if not future.done() and self._stop():
                self._threads.shutdown(cancel_futures=True)
            if future.cancelled():
                continue
            try:
                vectors |= future.result()
            except Exception:
                self._one_by_one(inputs, vectors, failed)
            report(len(vectors) / len(self._asked))
        return vectors, failed

    def _begin(self) -> None:
        chosen = list(self._waiting)[: self._batch]
        # Long texts first, so that all cores have work until the batch ends.
        inputs = {chunk_id: self._waiting.pop(chunk_id) for chunk_id in chosen}
        inputs = dict(sorted(inputs.items(), key=lambda its: -len(its[1])))
        self._futures.append((inputs, self._threads.submit(self._embedded, inputs)))

    def _embedded(self, inputs: Mapping[str, str]) -> dict[str, Vectors]:
        with background():
            embedded = self._embedder.embed_documents(list(inputs.values()))
        return dict(zip(inputs, embedded, strict=True))

    def _one_by_one(self, inputs: Mapping[str, str], vectors: dict[str, Vectors], failed: set[str]) -> None:
        """A bug that one text meets must cost only its file."""
        for chunk_id, text in inputs.items():
            if self._stop():
                return
            try:
                vectors |= self._embedded({chunk_id: text})
            except Exception:
                logged_bug(f"while embedding chunk {chunk_id}")
                failed.add(chunk_id)
