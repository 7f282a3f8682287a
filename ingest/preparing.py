"""A group of uploaded files, prepared for one commit: bytes to text, text to chunks, chunks to vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from ingest.background import background
from ingest.bugs import logged_bug
from ingest.catalog import Catalog, Readable
from ingest.chunking import chunk
from ingest.config import IngestSettings
from ingest.errors import CatalogUnavailable, Erased, IngestError, RefusedDocument
from ingest.identity import canonical_json, document_id_of
from ingest.jobs import Upload
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.originals import Originals
from ingest.statements import PreparedVersion, VersionRow
from ingest.types import ChunkSpan, DocumentOutcome, Embedder, Extracted, Vectors

# Raised when what the loaders or the chunker make of the same bytes changes, so that documents are prepared again.
PREPARATION = 1

# A BERT tokenizer puts [CLS] before and [SEP] behind what it is given.
SPECIAL_TOKENS = 2

# A file with what is to be committed of it, or what became of it.
Prepared = tuple[Upload, PreparedVersion | DocumentOutcome]


class Preparing:
    """Prepares one group, with one embedder, until `stop` says True."""

    def __init__(
        self,
        catalog: Catalog,
        originals: Originals,
        settings: IngestSettings,
        embedder: Embedder,
        stop: Callable[[], bool],
    ) -> None:
        self._catalog = catalog
        self._originals = originals
        self._settings = settings
        self._embedder = embedder
        self._stop = stop
        self._prepared_with = _preparation(settings, embedder)
        self._vectors: dict[str, Vectors] = {}  # of this group, by chunk

    def group(self, uploads: Sequence[Upload]) -> list[Prepared]:
        """The first few of `uploads`: so many that their chunks are worth a commit, of no document two."""
        candidates = [(its, document_id_of(its.collection, its.uri)) for its in uploads[: self._settings.commit_files]]
        current = self._catalog.current_versions([document_id for _, document_id in candidates])
        group: list[Prepared] = []
        documents: set[str] = set()
        chunks = 0
        for upload, document_id in candidates:
            if self._stop() or document_id in documents or chunks >= self._settings.commit_chunks:
                break
            prepared = self._prepared_or_failed(upload, document_id, current.get(document_id))
            if prepared is None:
                break
            group.append((upload, prepared))
            documents.add(document_id)
            if isinstance(prepared, PreparedVersion):
                self._vectors |= prepared.vectors
                chunks += len(prepared.spans)
        return group

    def _prepared_or_failed(
        self, upload: Upload, document_id: str, current: VersionRow | None
    ) -> PreparedVersion | DocumentOutcome | None:
        """A file that is refused, or that meets a bug, costs nothing but itself."""
        try:
            if upload.erased:
                raise Erased("the document was erased after this upload")
            return self._prepared(upload, document_id, current)
        except CatalogUnavailable:
            raise
        except RefusedDocument as error:
            return upload.failed(error.code, str(error))
        except IngestError as error:
            return upload.failed(error.code, f"{upload.name}: {error}")
        except Exception:
            # Anything unforeseen is a bug; it must cost this one file only. The details go to the log.
            return upload.failed("internal-error", f"{upload.name}: {logged_bug(f'while ingesting {upload.uri}')}")

    def _prepared(
        self, upload: Upload, document_id: str, current: VersionRow | None
    ) -> PreparedVersion | DocumentOutcome | None:
        """A stored file as a version to be committed, or what became of it; None when it was stopped meanwhile.

        `current` is what the head shows of its document. Raises RefusedDocument.
        """
        # 1. The same bytes, prepared in the same way, need nothing.
        same = (upload.content_hash, self._prepared_with)
        if current and upload.batch is None and (current.content_hash, current.prepared_with) == same:
            if upload.metadata is not None:
                self._catalog.set_metadata(document_id, upload.metadata)
            return DocumentOutcome(document_id=document_id, uri=upload.uri, version=current.version, state="unchanged")
        # 2. Bytes to text with headings and pages, text to chunks.
        data = self._originals.read(upload.content_hash)
        reading = Reading(self._settings.extraction, max_text_mib=self._settings.max_text_mib)
        extracted = extract(data, upload.name, reading)
        spans = self._chunked(extracted)
        # 3. Only chunks that the catalog has no vector of are embedded.
        vectors = self._missing_vectors(spans, upload.readable)
        if vectors is None:
            return None
        return PreparedVersion(
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

    def _chunked(self, extracted: Extracted) -> list[ChunkSpan]:
        return chunk(
            extracted,
            count_tokens=self._embedder.count_tokens,
            chunk_tokens=min(self._settings.chunk_tokens, self._embedder.max_tokens - SPECIAL_TOKENS),
            overlap_tokens=self._settings.chunk_overlap_tokens,
        )

    def _missing_vectors(self, spans: Sequence[ChunkSpan], readable: Readable) -> dict[str, Vectors] | None:
        """Vectors of the chunks that the catalog has none of, as far as one may know who reads `readable`."""
        inputs = {span.chunk_id: span.input for span in spans}
        # Those that another file of the group brings are taken along: it may be erased before the commit.
        vectors = {chunk_id: self._vectors[chunk_id] for chunk_id in inputs if chunk_id in self._vectors}
        space = self._embedder.space
        missing = sorted(self._catalog.missing_vectors(inputs.keys() - vectors.keys(), space, readable))
        for start in range(0, len(missing), self._settings.embed_batch):
            if self._stop():
                return None
            batch = missing[start : start + self._settings.embed_batch]
            with background():
                embedded = self._embedder.embed_documents([inputs[key] for key in batch])
            vectors.update(zip(batch, embedded, strict=True))
        return vectors


def _preparation(settings: IngestSettings, embedder: Embedder) -> str:
    """Names all that decides which chunks and vectors the same bytes give."""
    parts = [PREPARATION, settings.chunk_tokens, settings.chunk_overlap_tokens, embedder.space.space_id]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]
