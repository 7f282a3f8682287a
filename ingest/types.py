"""What ingestion produces. Offsets are character offsets into a version's text, end exclusive."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ingest.identity import chunk_id_of

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that governs the text from `start` up to the next heading of its level or above."""

    start: int
    level: int  # 1 is the outermost
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """Page `number` (from 1) begins at offset `start`; None begins what is on no page, such as an attachment."""

    number: int | None
    start: int


@dataclass(frozen=True, slots=True)
class Hidden:
    """Text that the file holds and that nobody sees who opens it. It is no part of the document's text.

    `how`: `colour` (that of its background), `size` (too small to read), `off-page`, `layer` (invisible, covered, or
    switched off), `part` (a hidden slide, sheet, row or paragraph).
    """

    how: str
    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file within a file: what was attached to a message, embedded in a document, or packed into an archive."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document as text. `headings` and `pages` are ordered by `start`; formats without pages leave `pages` empty.

    `notes` say what was left out or could not be read, each as a sentence for whoever uploaded the file.
    `attachments` are what a loader found in the file; `ingest.loaders.registry.extract` makes them part of the text.
    """

    text: str
    title: str
    media_type: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    notes: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """A chunk where it stands in one version: `version_text[start:end]` is its text.

    `input` is the exact input of the embedder (the heading path, then the text); the chunk's identity is its hash.
    Where the chunk begins among the rows of a table, `version_text[lead[0]:lead[1]]` is the table's header, which
    stands in `input` on lines of its own before the text. It begins on `page`; `later_pages` begin within it.
    """

    ordinal: int
    start: int
    end: int
    heading: tuple[str, ...]
    page: int | None
    input: str
    lead: tuple[int, int] | None = None
    later_pages: tuple[Page, ...] = ()

    @property
    def chunk_id(self) -> str:
        return chunk_id_of(self.input)


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding space. Vectors of different spaces are never compared."""

    model: str
    fingerprint: str  # SHA-256 of the weights, or whatever names them as exactly
    dimension: int
    normalised: bool = True
    query_prefix: str = ""
    document_prefix: str = ""
    max_tokens: int | None = None  # longer inputs are cut; None: the model knows

    @property
    def space_id(self) -> str:
        parts = (
            self.model,
            self.fingerprint,
            str(self.dimension),
            str(self.normalised),
            self.query_prefix,
            self.document_prefix,
            *(() if self.max_tokens is None else (str(self.max_tokens),)),
        )
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


class Embedder(Protocol):
    """Text to vectors. Handed to ingestion by the wiring; implementations live in `retrieval`."""

    @property
    def space(self) -> Space: ...

    @property
    def max_tokens(self) -> int:
        """The longest input, special tokens included, that is not cut."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` without special tokens, uncut."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (len(texts), dimension), one row a text, in order; rows have length 1 if normalised."""
        ...

    def embed_query(self, text: str) -> Vectors:
        """float32 of shape (dimension,)."""
        ...


DocumentState = Literal["queued", "indexed", "unchanged", "quarantined", "failed"]
JobState = Literal["queued", "running", "done", "failed", "cancelled", "dead"]


class WireModel(BaseModel):
    """A value that the API shows as it is: immutable, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(WireModel):
    """Why one file was not taken: `code` is stable, `detail` names the file and what to do."""

    code: str
    detail: str
    uri: str | None = None


class DocumentOutcome(WireModel):
    """What became of one uploaded file. `notes` say what of it could not be read, or was left out."""

    document_id: str
    uri: str
    version: int | None = None
    state: DocumentState
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


# Why an unfinished job does not go on: no process does jobs, or the one that does says what has to be mended first.
Hindrance = Literal["no-worker", "worker-trouble"]


class _JobFacts(WireModel):
    """What is told of a job wherever it is told of.

    `source` is the one that a refresh is of, `counts` how many files came to each state. Of `problems_total` problems
    `problems` can have the first only. Beside the `done` files work is done on others that comes to `part` files.
    """

    job_id: str
    kind: str
    state: JobState
    source: str | None = None
    done: int
    total: int
    part: float = 0.0
    eta_s: float | None = None
    attempts: int = 0
    not_before: datetime | None = None
    hindrance: Hindrance | None = None
    counts: dict[str, int] = {}
    problems: tuple[Problem, ...] = ()
    problems_total: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class JobSummary(_JobFacts):
    """A job in a list; `uris` names the first files that are done."""

    uris: tuple[str, ...] = ()


class Job(_JobFacts):
    """A job with what became of its files."""

    documents: tuple[DocumentOutcome, ...] = ()


class DocumentInfo(WireModel):
    """A document as the head revision has it."""

    document_id: str
    collection: str
    uri: str
    title: str
    media_type: str
    version: int
    versions: int
    chunks: int
    size_bytes: int
    updated_at: datetime
    metadata: dict[str, Any] = {}


class VersionInfo(WireModel):
    """One content of a document; `revision_to` is null while it is the current one."""

    version: int
    content_hash: str
    revision_from: int
    revision_to: int | None
    size_bytes: int
    characters: int
    pages: int
    created_at: datetime
