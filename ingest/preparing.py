"""A group of uploaded files, prepared for one commit: bytes to text, text to chunks, chunks to vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.background import background
from ingest.bugs import logged_bug
from ingest.catalog import Catalog
from ingest.chunking import chunk
from ingest.config import IngestSettings
from ingest.errors import CatalogUnavailable, Erased, IngestError, ReaderUnavailable, RefusedDocument
from ingest.identity import canonical_json
from ingest.quarantine import Held
from ingest.reading_ahead import ReadingAhead
from ingest.screening.holding import Screening
from ingest.statements import PreparedVersion, VersionRow
from ingest.types import ChunkSpan, DocumentOutcome, Embedder, Extracted, Vectors
from ingest.uploads import Upload

# Raised when what the loaders or the chunker make of the same bytes changes, so that documents are prepared again.
PREPARATION = 2

# A BERT tokenizer puts [CLS] before and [SEP] behind what it is given.
SPECIAL_TOKENS = 2

# A file that takes longer to read lets others go first.
_PATIENCE_S = 3.0

# Chunks whose vectors are kept of groups that were stopped.
_MOST_BEGUN = 50_000

# A file with what is to be committed of it, or what became of it.
Prepared = tuple[Upload, PreparedVersion | Held | DocumentOutcome]


@dataclass(frozen=True, slots=True)
class Group:
    """Files for one commit, and those that were passed over, since reading them takes long."""

    prepared: list[Prepared] = field(default_factory=list)
    slow: list[Upload] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A file that was read and cut."""

    upload: Upload
    extracted: Extracted
    signature: bytes
    redacted: Mapping[str, int] | None
    spans: Sequence[ChunkSpan]
    notes: tuple[str, ...]


class BegunVectors:
    """What was embedded of groups that were stopped: a file of many chunks is not begun anew each time it gives way."""

    def __init__(self) -> None:
        self._space_id = ""
        self._vectors: dict[str, Vectors] = {}  # by chunk

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


class Preparing:
    """Prepares groups with one embedder, until `stop` says True. `begun` outlives it."""

    def __init__(
        self,
        catalog: Catalog,
        reading: ReadingAhead,
        settings: IngestSettings,
        embedder: Embedder,
        stop: Callable[[], bool],
        begun: BegunVectors,
    ) -> None:
        self._begun = begun
        self._catalog = catalog
        self._reading = reading
        self._settings = settings
        self._embedder = embedder
        self._stop = stop
        self._prepared_with = _preparation(settings, embedder)
        self._screening = Screening(catalog, settings.screening)

    def group(self, uploads: Sequence[Upload], blocked: Callable[[Upload], bool] = lambda upload: False) -> Group:
        """The first few of `uploads`: so many that their chunks are worth a commit, of no document two.

        A file that is `blocked` is passed over like a slow one. With `stop` only what was finished before is in it.
        """
        group = Group()
        drafts: list[_Draft] = []
        # 1. The same bytes, prepared in the same way, need nothing.
        ahead = 2 * self._settings.extraction.processes
        near = uploads[: self._settings.commit_files + ahead]
        current = self._catalog.current_versions([its.document_id for its in near])
        unread = [its for its in near if not self._is_unchanged(its, current)]
        self._screening.look_up(unread)
        documents: set[str] = set()
        chunks = 0
        for upload in near[: self._settings.commit_files]:
            if self._stop() or upload.document_id in documents or chunks >= self._settings.commit_chunks:
                break
            if any(its.document_id == upload.document_id for its in group.slow) or blocked(upload):
                group.slow.append(upload)
                continue
            if self._is_unchanged(upload, current):
                group.prepared.append((upload, self._unchanged(upload, current[upload.document_id])))
                documents.add(upload.document_id)
                continue
            # 2. Bytes to text with headings and pages, text to chunks; the files behind are read meanwhile.
            del unread[: unread.index(upload)]
            self._read_ahead(unread[: ahead + 1])
            draft = self._drafted(upload)
            if draft is None:
                group.slow.append(upload)
                continue
            documents.add(upload.document_id)
            if not isinstance(draft, _Draft):
                group.prepared.append((upload, draft))
            else:
                drafts.append(draft)
                chunks += len(draft.spans)
        # 3. Only chunks that the catalog has no vector of are embedded, all in one go.
        group.prepared.extend(self._with_vectors(drafts))
        places = {id(upload): place for place, upload in enumerate(near)}
        group.prepared.sort(key=lambda its: places[id(its[0])])
        return group

    # -- what needs nothing

    def _is_unchanged(self, upload: Upload, current: dict[str, VersionRow]) -> bool:
        shown = current.get(upload.document_id)
        if shown is None or upload.batch is not None or upload.erased:
            return False
        return (shown.content_hash, shown.prepared_with) == (upload.content_hash, self._prepared_with)

    def _unchanged(self, upload: Upload, current: VersionRow) -> DocumentOutcome:
        if upload.metadata is not None:
            self._catalog.set_metadata(upload.document_id, upload.metadata)
        return DocumentOutcome(
            document_id=upload.document_id, uri=upload.uri, version=current.version, state="unchanged"
        )

    # -- bytes to chunks

    def _read_ahead(self, uploads: Iterable[Upload]) -> None:
        for upload in uploads:
            if upload.erased:
                continue
            try:
                self._reading.start(upload)
            except Exception:
                continue  # it is raised again when it is this file's turn, and told as the file's own

    def _drafted(self, upload: Upload) -> _Draft | Held | DocumentOutcome | None:
        """The file as chunks, or why not, or None while it is being read. It costs nothing but itself."""
        try:
            if upload.erased:
                raise Erased("the document was erased after this upload")
            examined = self._reading.take(upload, _PATIENCE_S)
            if examined is None:
                return None
            extracted = examined.extracted
            screened = self._screening.screened(upload, examined)
            if isinstance(screened, Held | DocumentOutcome):
                return screened
            notes = (*extracted.notes, *screened)
            notes = (*notes, *_said_of(examined.redacted))
            spans = self._chunked(extracted)
            return _Draft(upload, extracted, examined.signature, examined.redacted, spans, notes)
        except (CatalogUnavailable, ReaderUnavailable):
            raise  # no file's fault: the job is tried again
        except RefusedDocument as error:
            return upload.failed(error.code, str(error))
        except IngestError as error:
            return upload.failed(error.code, f"{upload.name}: {error}")
        except Exception:
            # Anything unforeseen is a bug; it must cost this one file only. The details go to the log.
            return upload.failed("internal-error", f"{upload.name}: {logged_bug(f'while ingesting {upload.uri}')}")

    def _chunked(self, extracted: Extracted) -> list[ChunkSpan]:
        return chunk(
            extracted,
            count_tokens=self._embedder.count_tokens,
            chunk_tokens=min(self._settings.chunk_tokens, self._embedder.max_tokens - SPECIAL_TOKENS),
            overlap_tokens=self._settings.chunk_overlap_tokens,
        )

    # -- chunks to vectors

    def _with_vectors(self, drafts: Sequence[_Draft]) -> list[Prepared]:
        """Each draft as a version, or what became of it; those that `stop` came before are left out."""
        missing = self._missing(drafts)
        # Those with limits must not learn, by the time it takes, what others have begun.
        resumed = self._begun.take(missing, self._embedder) if _may_know_all(drafts) else {}
        wanted = missing - resumed.keys()
        inputs = {its.chunk_id: its.input for draft in drafts for its in draft.spans if its.chunk_id in wanted}
        try:
            vectors = self._embedded(inputs)
            failed: set[str] = set()
        except Exception:
            vectors, failed = self._embedded_one_by_one(inputs)
        vectors |= resumed
        if not failed and len(vectors) < len(missing):
            self._begun.keep(vectors, self._embedder)
        prepared: list[Prepared] = []
        for draft in drafts:
            lacking = missing & {its.chunk_id for its in draft.spans}
            if failed & lacking:
                detail = f"{draft.upload.name}: a bug in Ragstone met its text; the log has the details"
                prepared.append((draft.upload, draft.upload.failed("internal-error", detail)))
            elif lacking <= vectors.keys():
                prepared.append((draft.upload, self._version(draft, vectors)))
        return prepared

    def _missing(self, drafts: Sequence[_Draft]) -> set[str]:
        """Chunks that the catalog has no vector of, as far as they may know who uploaded them."""
        by_uploader: dict[frozenset[str] | None, set[str]] = {}
        for draft in drafts:
            readable = draft.upload.readable
            chunks = by_uploader.setdefault(None if readable is None else frozenset(readable), set())
            chunks.update(its.chunk_id for its in draft.spans)
        space = self._embedder.space
        found = (self._catalog.missing_vectors(sorted(chunks), space, its) for its, chunks in by_uploader.items())
        return set().union(*found)

    def _embedded(self, inputs: dict[str, str]) -> dict[str, Vectors]:
        """Vectors by chunk; not of all when it was stopped.

        Each batch begins with long texts and ends with short ones, so that all cores have work until it ends.
        """
        vectors: dict[str, Vectors] = {}
        by_length = sorted(inputs, key=lambda chunk_id: (-len(inputs[chunk_id]), chunk_id))
        batches = -(-len(by_length) // self._settings.embed_batch)
        for first in range(batches):
            if self._stop():
                break
            batch = by_length[first::batches]
            with background():
                embedded = self._embedder.embed_documents([inputs[chunk_id] for chunk_id in batch])
            vectors.update(zip(batch, embedded, strict=True))
        return vectors

    def _embedded_one_by_one(self, inputs: dict[str, str]) -> tuple[dict[str, Vectors], set[str]]:
        """The same, text by text, and the chunks whose text the embedder fails on: a bug must cost only its file."""
        vectors: dict[str, Vectors] = {}
        failed = set()
        for chunk_id, text in inputs.items():
            try:
                vectors |= self._embedded({chunk_id: text})
            except Exception:
                logged_bug(f"while embedding chunk {chunk_id}")
                failed.add(chunk_id)
        return vectors, failed

    def _version(self, draft: _Draft, vectors: dict[str, Vectors]) -> PreparedVersion:
        upload = draft.upload
        # Those that another file of the group brings are taken along: it may be erased before the commit.
        its = {span.chunk_id: vectors[span.chunk_id] for span in draft.spans if span.chunk_id in vectors}
        return PreparedVersion(
            document_id=upload.document_id,
            collection=upload.collection,
            uri=upload.uri,
            metadata=upload.metadata,
            content_hash=upload.content_hash,
            prepared_with=self._prepared_with,
            size_bytes=upload.size_bytes,
            extracted=draft.extracted,
            notes=draft.notes,
            signature=draft.signature,
            redacted=draft.redacted,
            spans=draft.spans,
            vectors=its,
        )


def _may_know_all(drafts: Sequence[_Draft]) -> bool:
    return all(draft.upload.readable is None for draft in drafts)


def _said_of(redacted: Mapping[str, int] | None) -> list[str]:
    """How much personal data was replaced, in words."""
    if not redacted:
        return []
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(redacted.items()))
    return [f"personal data was replaced: {counts}"]


def _preparation(settings: IngestSettings, embedder: Embedder) -> str:
    """Names all that decides which chunks and vectors the same bytes give."""
    reading = settings.extraction
    parts = [
        PREPARATION,
        settings.chunk_tokens,
        settings.chunk_overlap_tokens,
        embedder.space.space_id,
        [reading.ocr, reading.ocr_languages, reading.max_depth],
        settings.redaction.model_dump(mode="json") if settings.redaction.kinds else None,
    ]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]
