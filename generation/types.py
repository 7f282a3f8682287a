"""What generation produces, and the roles it needs filled."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from ingest.types import WireModel
from retrieval.types import Passage

ClaimVerdict = Literal["supported", "contradicted", "not_found"]


class Evidence(WireModel):
    """The span of a version that a claim was judged by."""

    document_id: str
    version: int
    start: int
    end: int


class Claim(WireModel):
    """One checkable statement: `text` of the answer (or its `checked_text`) from `start` to `end`.

    `score` is the probability that it is supported.
    """

    text: str
    start: int
    end: int
    verdict: ClaimVerdict
    score: float
    evidence: Evidence | None = None
    reason: str | None = None


class Faithfulness(WireModel):
    """The verdict on a whole answer. `score` is null exactly when `scored` is false, and then `reason` says why."""

    score: float | None
    verdict: ClaimVerdict | None
    scored: bool
    reason: str | None = None
    verifier: str


class Verification(WireModel):
    claims: tuple[Claim, ...]
    faithfulness: Faithfulness


class Verifier(Protocol):
    """Judges a text against passages. Handed to the answerer by the wiring; implementations live in `evals`."""

    @property
    def name(self) -> str:
        """Names method and version: it is stored with every answer."""
        ...

    def verify(self, question: str, text: str, passages: Sequence[Passage]) -> Verification:
        """Judges each claim of `text`. Never raises for odd texts: what can't be scored has `scored=False`."""
        ...


class Citation(WireModel):
    """A marker of the answer's text and the place it points to; `quote == version_text[start:end]`, from `page` on."""

    marker: str  # "[1]"
    document_id: str
    version: int
    start: int
    end: int
    page: int | None = None
    quote: str
    origin: Literal["model", "verifier"] = (
        "model"  # who found it: the model's own marker held, or the verifier's search
    )


class Usage(WireModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Timings(WireModel):
    """Milliseconds. `first_token` counts from the start of generation; null where a stage did not run."""

    queue: float | None = None
    retrieve: float | None = None
    rerank: float | None = None
    first_token: float | None = None
    generate: float | None = None
    verify: float | None = None
    total: float | None = None


class Answer(WireModel):
    """The stored record of one reply."""

    answer_id: str
    created_at: datetime
    question: str
    collection: str
    user: str | None = None
    session: str | None = None
    text: str
    abstained: bool
    draft: str | None = None  # what was streamed, where it differs from `text`
    checked_text: str | None = None  # the text that the claims stand in, where that is not `text` (an abstention)
    citations: tuple[Citation, ...] = ()
    claims: tuple[Claim, ...] = ()
    faithfulness: Faithfulness
    passages: tuple[Passage, ...] = ()
    notes: tuple[str, ...] = ()  # what was changed or could not be done, in sentences
    release: str
    revision: int
    seed: int
    usage: Usage = Usage()
    timings_ms: Timings = Timings()


@dataclass(frozen=True, slots=True)
class Ask:
    """A question as it reaches the answerer, with what the caller may read. `seed` None means the default, 0."""

    question: str
    collection: str = "default"
    k: int | None = None
    as_of: int | datetime | None = None
    seed: int | None = None
    strict: bool = False
    user: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class PassagesFound:
    passages: tuple[Passage, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class DraftPiece:
    """Text as it is generated: a draft, until `Done` brings the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class VerdictReached:
    faithfulness: Faithfulness
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Done:
    answer: Answer


AnswerEvent = PassagesFound | DraftPiece | VerdictReached | Done


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages as one model takes them. `token_ids` is None where the model's server keeps its tokenizer to itself."""

    messages: tuple[Message, ...]
    token_ids: tuple[int, ...] | None
    n_tokens: int  # exact with `token_ids`, else an estimate from above


@dataclass(frozen=True, slots=True)
class Sampling:
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    strict: bool = False  # no reuse of cached state


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of generated text. The last piece of a stream has `finish` and the counts, and may have no text."""

    text: str
    token_ids: tuple[int, ...] = ()
    finish: Literal["stop", "length"] | None = None
    completion_tokens: int | None = None


class LanguageModel(Protocol):
    """Messages to text. Closing the stream early must make the model stop working on it."""

    @property
    def name(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    async def start(self) -> None:
        """Makes the model ready; raises ModelUnavailable, ModelFailed or MissingExtra. Safe to call again."""
        ...

    async def count_tokens(self, text: str) -> int:
        """Tokens of `text` as data (control tokens in it are plain text); an estimate from above where unknown."""
        ...

    async def prepare(self, messages: Sequence[Message]) -> Prompt: ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Piece]: ...

    async def aclose(self) -> None: ...
