"""A group of uploaded files, prepared for one commit: bytes to text, text to chunks, chunks to vectors."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ingest.bugs import logged_bug
from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import PreparedVersion, VersionRow
from ingest.chunks.chunking import chunk
from ingest.config import IngestSettings
from ingest.embedding_ahead import Begun, CutFile, EmbeddingAhead
from ingest.errors import (
    CatalogUnavailable,
    Erased,
    IngestError,
    LimitExceeded,
    ReaderUnavailable,
    RefusedDocument,
)
from ingest.identity import canonical_json
from ingest.jobs.uploads import Upload
from ingest.quarantine.holding import Screening
from ingest.quarantine.quarantine import Held
from ingest.reading_ahead import ReadingAhead
from ingest.types import ChunkSpan, DocumentOutcome, Embedder, Extracted, Vectors

# Raised when what the loaders or the chunker make of the same bytes changes, so that documents are prepared again.
PREPARATION = 3

# A BERT tokenizer puts [CLS] before and [SEP] behind what it is given.
SPECIAL_TOKENS = 2

# A file that takes longer to read lets others go first.
_PATIENCE_S = 3.0

# So many files are read ahead while they are small: some of them are read by one fork.
_SMALL_AHEAD = 32
_SMALL_AHEAD_BYTES = 1 << 20

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
    cut: CutFile
    notes: tuple[str, ...]
    lacking: set[str] = field(default_factory=set)  # chunks that the catalog has no vector of, once that was looked up

    @property
    def spans(self) -> Sequence[ChunkSpan]:
        return self.cut.spans


class Preparing:
    """Prepares groups with one embedder, until `stop` says True. `begun` outlives it."""

    def __init__(
        self,
        catalog: Catalog,
        reading: ReadingAhead,
        settings: IngestSettings,
        embedder: Embedder,
        stop: Callable[[], bool],
        begun: Begun,
        report: Callable[[float], None] = lambda files: None,
    ) -> None:
        """`report` takes how many files the work comes to that is done on those at hand."""
        self._report = report
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
        fresh: list[_Draft] = []  # those of which nothing is embedded yet
        begun: dict[str, Vectors] = {}
        # 1. The same bytes, prepared in the same way, need nothing.
        ahead = 2 * self._settings.extraction.processes
        near = uploads[: self._settings.commit_files + max(ahead, _SMALL_AHEAD)]
        current = self._catalog.current_versions([its.document_id for its in near])
        unread = [its for its in near if not self._is_unchanged(its, current)]
        self._screening.look_up(unread)
        documents: set[str] = set()
        with EmbeddingAhead(self._embedder, self._settings.embed_batch, self._stop) as embedding:
            for upload in near[: self._settings.commit_files]:
                chunks = sum(len(its.spans) for its in drafts)
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
                self._read_ahead(list(_next(unread, ahead + 1)))
                draft = self._drafted(upload)
                if draft is None:
                    group.slow.append(upload)
                    continue
                documents.add(upload.document_id)
                if not isinstance(draft, _Draft):
                    group.prepared.append((upload, draft))
                    continue
                drafts.append(draft)
                fresh.append(draft)
                # 3. Chunks that the catalog has no vector of are embedded while the next files are read and cut.
                if sum(len(its.spans) for its in fresh) >= self._settings.embed_batch:
                    self._begin(fresh, embedding, begun)
            self._begin(fresh, embedding, begun)
            group.prepared.extend(self._with_vectors(drafts, embedding, begun))
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

    def _read_ahead(self, uploads: Sequence[Upload]) -> None:
        """Has all of them read once the half of them is: some at a time are read with less effort."""
        if self._reading.has_begun(uploads[len(uploads) // 2]):
            return
        with self._reading.together():
            for upload in uploads:
                if upload.erased or self._begun.has_cut(self._file(upload)):
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
            cut = self._begun.take_cut(self._file(upload))
            examined = cut.examined if cut is not None else self._reading.take(upload, _PATIENCE_S)
            if examined is None:
                return None
            screened = self._screening.screened(upload, examined)
            if isinstance(screened, Held | DocumentOutcome):
                return screened
            notes = (*examined.extracted.notes, *screened, *_said_of(examined.redacted))
            return _Draft(upload, cut or CutFile(examined, self._chunked(examined.extracted, upload.name)), notes)
        except (CatalogUnavailable, ReaderUnavailable):
            raise  # no file's fault: the job is tried again
        except RefusedDocument as error:
            return upload.failed(error.code, str(error))
        except IngestError as error:
            return upload.failed(error.code, f"{upload.name}: {error}")
        except Exception:
            # Anything unforeseen is a bug; it must cost this one file only. The details go to the log.
            return upload.failed("internal-error", f"{upload.name}: {logged_bug(f'while ingesting {upload.uri}')}")

    def _file(self, upload: Upload) -> Hashable:
        """All that decides what a file is read and cut to."""
        return upload.document_id, upload.content_hash, upload.name, upload.password, self._prepared_with

    def _chunked(self, extracted: Extracted, name: str) -> list[ChunkSpan]:
        """Raises LimitExceeded where it takes too long."""
        most = self._settings.cutting_s
        deadline = time.monotonic() + most

        def count_tokens(text: str) -> int:
            if time.monotonic() > deadline:
                raise LimitExceeded(
                    f"{name}: cutting its text into passages took over {most:g} s, the limit of `ingest.cutting_s`. "
                    "Split the file, or raise the limit."
                )
            return self._embedder.count_tokens(text)

        return chunk(
            extracted,
            count_tokens=count_tokens,
            chunk_tokens=min(self._settings.chunk_tokens, self._embedder.max_tokens - SPECIAL_TOKENS),
            overlap_tokens=self._settings.chunk_overlap_tokens,
        )

    # -- chunks to vectors

    def _begin(self, drafts: list[_Draft], embedding: EmbeddingAhead, begun: dict[str, Vectors]) -> None:
        """Has embedded what the catalog has no vector of, as far as its uploaders may know; empties `drafts`."""
        for readable, together in groupby(drafts, lambda its: its.upload.readable):
            same = list(together)
            inputs = {its.chunk_id: its.input for draft in same for its in draft.spans}
            allowed = None if readable is None else frozenset(readable)
            missing = self._catalog.missing_vectors(sorted(inputs), self._embedder.space, allowed)
            for draft in same:
                draft.lacking.update(missing.intersection(its.chunk_id for its in draft.spans))
            # Those with limits must not learn, by the time it takes, what others have begun.
            if readable is None:
                begun |= self._begun.take(missing, self._embedder)
            embedding.add({its: text for its, text in inputs.items() if its in missing and its not in begun})
        drafts.clear()

    def _with_vectors(
        self, drafts: Sequence[_Draft], embedding: EmbeddingAhead, begun: dict[str, Vectors]
    ) -> list[Prepared]:
        """Each draft as a version, or what became of it; those that `stop` came before are left out."""
        resumed = len(begun)

        def report(share: float) -> None:
            asked = sum(len(draft.lacking) for draft in drafts)
            self._report(len(drafts) * (resumed + share * (asked - resumed)) / asked)

        embedded, failed = embedding.finish(report)
        vectors = embedded | begun
        prepared: list[Prepared] = []
        stopped: dict[Hashable, CutFile] = {}
        for draft in drafts:
            if failed & draft.lacking:
                detail = f"{draft.upload.name}: a bug in Ragstone met its text; the log has the details"
                prepared.append((draft.upload, draft.upload.failed("internal-error", detail)))
            elif draft.lacking <= vectors.keys():
                prepared.append((draft.upload, self._version(draft, vectors)))
            else:
                stopped[self._file(draft.upload)] = draft.cut
        if stopped:
            self._begun.keep(vectors, self._embedder)
            self._begun.keep_cut(stopped)
        return prepared

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
            extracted=draft.cut.examined.extracted,
            notes=draft.notes,
            signature=draft.cut.examined.signature,
            redacted=draft.cut.examined.redacted,
            spans=draft.spans,
            vectors=its,
        )


def _next(uploads: Iterable[Upload], least: int) -> Iterator[Upload]:
    """The first few, or more while they are small."""
    size = 0
    for number, upload in enumerate(uploads):
        size += upload.size_bytes
        if number >= least and (number >= _SMALL_AHEAD or size > _SMALL_AHEAD_BYTES):
            return
        yield upload


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
