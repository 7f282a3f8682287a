"""The main path of ingestion: one uploaded file becomes one committed version, or a clear reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.catalog import Catalog
from ingest.chunking import chunk
from ingest.config import IngestSettings
from ingest.errors import DocumentTooLarge, EmptyDocument, RefusedDocument
from ingest.identity import canonical_json, document_id_of
from ingest.jobs import JobQueue, Upload
from ingest.loaders.registry import extract
from ingest.originals import Originals
from ingest.statements import PreparedVersion
from ingest.types import ChunkSpan, DocumentOutcome, Embedder, Extracted, Problem, Vectors

# Raised when what the loaders or the chunker make of the same bytes changes, so that documents are prepared again.
PREPARATION = 1

# A BERT tokenizer puts [CLS] before and [SEP] behind what it is given.
SPECIAL_TOKENS = 2

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as it arrives. `uri` identifies its document within the collection; `name` tells the format."""

    name: str
    uri: str
    data: bytes


class Ingestion:
    """Takes files in: `submit` stores them with a job, `ingest` does the work for one of them."""

    def __init__(self, catalog: Catalog, originals: Originals, embedder: Embedder, settings: IngestSettings) -> None:
        self._catalog = catalog
        self._originals = originals
        self._embedder = embedder
        self._settings = settings
        self._prepared_with = _preparation(settings, embedder)
        self.queue = JobQueue(catalog)

    def submit(self, files: Sequence[IncomingFile], collection: str, metadata: dict[str, Any] | None) -> str:
        """Stores the files and the job that will ingest them, in one commit, and returns the job's id.

        Files over the size limit and empty ones are refused at once, in the job's outcomes; nothing of them is stored.
        """
        uploads: list[Upload] = []
        refused: list[DocumentOutcome] = []
        try:
            # The write lock is held while the originals are written, so that no other writer takes them for unused.
            with self._catalog.writing() as connection:
                for file in files:
                    try:
                        self._check_size(file)
                    except RefusedDocument as error:
                        refused.append(_refusal(document_id_of(collection, file.uri), file.uri, error))
                        continue
                    content_hash = self._originals.put(file.data)
                    uploads.append(Upload(collection, file.uri, file.name, content_hash, len(file.data), metadata))
                return self.queue.enqueue(connection, uploads, refused)
        except Exception:
            self.remove_unused({upload.content_hash for upload in uploads})
            raise

    def ingest(self, upload: Upload, stop: Callable[[], bool] = lambda: False) -> DocumentOutcome | None:
        """Ingests one stored file; None when `stop` said True between two batches. A refusal is an outcome."""
        document_id = document_id_of(upload.collection, upload.uri)
        # 1. The same bytes, prepared in the same way, need nothing.
        current = self._catalog.current_version(document_id)
        if current and (current.content_hash, current.prepared_with) == (upload.content_hash, self._prepared_with):
            if upload.metadata is not None:
                self._catalog.set_metadata(document_id, upload.metadata)
            return DocumentOutcome(document_id=document_id, uri=upload.uri, version=current.version, state="unchanged")
        # 2. Bytes to text with headings and pages, text to chunks.
        try:
            data = self._originals.read(upload.content_hash)
            extracted = extract(data, upload.name, self._settings.max_text_mib)
            spans = self._chunk(extracted)
        except RefusedDocument as error:
            return _refusal(document_id, upload.uri, error)
        # 3. Only chunks that the catalog has no vector of are embedded.
        vectors = self._embed_missing(spans, stop)
        if vectors is None:
            return None
        # 4. One transaction makes all of it visible.
        prepared = PreparedVersion(
            document_id=document_id,
            collection=upload.collection,
            uri=upload.uri,
            metadata=upload.metadata,
            content_hash=upload.content_hash,
            prepared_with=self._prepared_with,
            size_bytes=upload.size_bytes,
            extracted=extracted,
            spans=spans,
            vectors=vectors,
        )
        committed = self._catalog.commit_version(prepared, self._embedder.space)
        return DocumentOutcome(document_id=document_id, uri=upload.uri, version=committed.version, state="indexed")

    def fill_space(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Embeds the chunks that lack a vector of this embedder (after it was changed); returns how many."""
        filled = 0
        while not stop():
            inputs = self._catalog.chunk_inputs_without_vector(self._embedder.space, self._settings.embed_batch)
            if not inputs:
                break
            vectors = self._embedder.embed_documents(list(inputs.values()))
            self._catalog.commit_vectors(dict(zip(inputs, vectors, strict=True)), self._embedder.space)
            filled += len(inputs)
        return filled

    def unused_originals(self) -> set[str]:
        """Originals that no version and no unfinished job stands on."""
        with self._catalog.reading() as connection:
            in_use = self._catalog.content_hashes(connection) | self.queue.hashes_in_use(connection)
        return self._originals.hashes() - in_use

    def remove_unused(self, content_hashes: set[str]) -> None:
        """Removes those of `content_hashes` that no version and no unfinished job stands on."""
        with self._catalog.writing() as connection:
            in_use = self._catalog.content_hashes(connection) | self.queue.hashes_in_use(connection)
            for content_hash in content_hashes - in_use:
                self._originals.remove(content_hash)

    def _check_size(self, file: IncomingFile) -> None:
        limit = self._settings.max_upload_mib
        if len(file.data) > limit * MIB:
            size = len(file.data) / MIB
            raise DocumentTooLarge(
                f"{file.name} has {size:.1f} MiB and the limit is {limit:g}: split it, or raise ingest.max_upload_mib"
            )
        if not file.data.strip():
            raise EmptyDocument(f"{file.name} is empty: check the file and upload it again")

    def _chunk(self, extracted: Extracted) -> list[ChunkSpan]:
        return chunk(
            extracted,
            count_tokens=self._embedder.count_tokens,
            chunk_tokens=min(self._settings.chunk_tokens, self._embedder.max_tokens - SPECIAL_TOKENS),
            overlap_tokens=self._settings.chunk_overlap_tokens,
        )

    def _embed_missing(self, spans: Sequence[ChunkSpan], stop: Callable[[], bool]) -> dict[str, Vectors] | None:
        inputs = {span.chunk_id: span.input for span in spans}
        missing = sorted(self._catalog.missing_vectors(inputs, self._embedder.space))
        vectors: dict[str, Vectors] = {}
        for start in range(0, len(missing), self._settings.embed_batch):
            if stop():
                return None
            batch = missing[start : start + self._settings.embed_batch]
            vectors.update(zip(batch, self._embedder.embed_documents([inputs[key] for key in batch]), strict=True))
        return vectors


def _preparation(settings: IngestSettings, embedder: Embedder) -> str:
    """Names all that decides which chunks and vectors the same bytes give."""
    parts = [PREPARATION, settings.chunk_tokens, settings.chunk_overlap_tokens, embedder.space.space_id]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]


def _refusal(document_id: str, uri: str, error: RefusedDocument) -> DocumentOutcome:
    problem = Problem(code=error.code, detail=str(error), uri=uri)
    return DocumentOutcome(document_id=document_id, uri=uri, state="failed", problem=problem)
