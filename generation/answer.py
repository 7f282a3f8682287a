"""The main path of generation: a question becomes a cited, verified and stored answer, or an honest abstention."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from generation.admission import Admission
from generation.citations import CitedText, cite, strip_markers
from generation.config import GenerationSettings
from generation.errors import BadQuestion
from generation.prompt import BuiltPrompt, build_prompt
from generation.store import AnswerStore
from generation.types import (
    Answer,
    AnswerEvent,
    Ask,
    Done,
    DraftPiece,
    Faithfulness,
    LanguageModel,
    PassagesFound,
    Sampling,
    Timings,
    Usage,
    VerdictReached,
    Verification,
    Verifier,
)
from generation.windows import Tokenize
from retrieval.search import Searcher, SearchRequest
from retrieval.types import SearchResult


@dataclass(slots=True)
class _Progress:
    """What is known so far of the answer at hand; times in milliseconds."""

    release: str = ""
    draft: str = ""
    token_ids: tuple[int, ...] = ()
    finish: str | None = None
    completion_tokens: int = 0
    timings: dict[str, float] = field(default_factory=dict)


class Answerer:
    """Answers questions over one index with one model. `is_abstention` tells a text that says it does not know."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        model: LanguageModel,
        verifier: Verifier,
        is_abstention: Callable[[str], bool],
        tokenize: Tokenize,
        admission: Admission,
        store: AnswerStore,
        settings: GenerationSettings,
        release: Callable[[], str],
    ) -> None:
        self._searcher = searcher
        self._model = model
        self._verifier = verifier
        self._is_abstention = is_abstention
        self._tokenize = tokenize
        self.admission = admission
        self._store = store
        self._settings = settings
        self._release = release

    async def answer(self, ask: Ask) -> AsyncGenerator[AnswerEvent]:
        """Yields passages, draft pieces, the verdict, and last the answer. Closing the iterator stops all work on it.

        Raises QueueFull, BadQuestion, the model's errors, and those of retrieval.
        """
        began = time.perf_counter()
        progress = _Progress()
        if not ask.question.strip():
            raise BadQuestion("the question is empty: ask something")
        # 0. Wait for a place, or be sent away.
        async with self.admission.place() as waited_ms:
            progress.timings["queue"] = waited_ms
            await self._model.start()
            # 1. Retrieve under the caller's access rules, from the snapshot asked for.
            progress.release = await asyncio.to_thread(self._release)
            result = await self._retrieve(ask, progress)
            yield PassagesFound(result.passages, result.revision)
            # 2. Build the prompt: the best windows of the best passages.
            built = await build_prompt(ask.question, result.passages, self._model, self._settings, self._tokenize)
            # 3. Generate; what streams is a draft.
            async with aclosing(self._generate(built, ask, progress)) as pieces:
                async for piece in pieces:
                    if not self._settings.hold_until_verdict:
                        yield piece
        # 4. Judge each claim against the passages of the prompt, then check the citations.
        text, markers = strip_markers(progress.draft.strip())
        verification = await self._verify(ask.question, text, built, progress)
        cited = cite(text, verification, markers, built.excerpts)
        yield VerdictReached(verification.faithfulness, cited.claims)
        # 5. Decide, store, reply.
        progress.timings["total"] = _ms_since(began)
        answer = self._decide(ask, result, built, cited, verification.faithfulness, progress)
        await asyncio.to_thread(self._store.save, answer, built.prompt, progress.token_ids)
        yield Done(answer)

    async def _retrieve(self, ask: Ask, progress: _Progress) -> SearchResult:
        began = time.perf_counter()
        request = SearchRequest(query=ask.question, collections=frozenset([ask.collection]), k=ask.k, as_of=ask.as_of)
        result = await asyncio.to_thread(self._searcher.search, request)
        progress.timings["retrieve"] = _ms_since(began)
        return result

    async def _generate(self, built: BuiltPrompt, ask: Ask, progress: _Progress) -> AsyncGenerator[DraftPiece]:
        sampling = Sampling(
            max_tokens=self._settings.max_answer_tokens,
            temperature=self._settings.temperature,
            top_p=self._settings.top_p,
            seed=ask.seed or 0,
            strict=ask.strict,
        )
        began = time.perf_counter()
        async with aclosing(self._model.stream(built.prompt, sampling)) as pieces:
            async for piece in pieces:
                progress.token_ids += piece.token_ids
                progress.finish = piece.finish or progress.finish
                progress.completion_tokens = piece.completion_tokens or progress.completion_tokens
                if piece.text:
                    # A server's JSON can spell half a character, which no file or database can hold.
                    text = piece.text.encode("utf-8", "replace").decode()
                    progress.timings.setdefault("first_token", _ms_since(began))
                    progress.draft += text
                    yield DraftPiece(text)
        progress.timings["generate"] = _ms_since(began)

    async def _verify(self, question: str, text: str, built: BuiltPrompt, progress: _Progress) -> Verification:
        began = time.perf_counter()
        passages = [excerpt.passage for excerpt in built.excerpts]
        verification = await asyncio.to_thread(self._verifier.verify, question, text, passages)
        progress.timings["verify"] = _ms_since(began)
        return verification

    def _decide(
        self,
        ask: Ask,
        result: SearchResult,
        built: BuiltPrompt,
        cited: CitedText,
        faithfulness: Faithfulness,
        progress: _Progress,
    ) -> Answer:
        notes = list(cited.notes)
        if progress.finish == "length":
            notes.append(f"the answer was cut at {self._settings.max_answer_tokens} tokens")
        supported = faithfulness.verdict == "supported"
        abstained = self._is_abstention(progress.draft) or (not supported and self._settings.unsupported == "abstain")
        text, citations = cited.text, cited.citations
        if abstained:
            notes = [_why_abstained(self._is_abstention(progress.draft), faithfulness)]
            text, citations = _abstention(result), ()
        elif not supported:
            notes.append("not every statement of this answer is supported by the documents: see the claims")
        return Answer(
            answer_id=f"a-{uuid.uuid4().hex[:20]}",
            created_at=datetime.now(UTC),
            question=ask.question,
            collection=ask.collection,
            user=ask.user,
            session=ask.session,
            text=text,
            abstained=abstained,
            draft=progress.draft if progress.draft != text else None,
            citations=citations,
            checked_text=cited.text if abstained and cited.claims else None,
            claims=cited.claims,
            faithfulness=faithfulness,
            passages=result.passages,
            notes=tuple(notes),
            release=progress.release,
            revision=result.revision,
            seed=ask.seed or 0,
            usage=Usage(prompt_tokens=built.prompt.n_tokens, completion_tokens=progress.completion_tokens),
            timings_ms=Timings(**progress.timings),
        )


def _abstention(result: SearchResult) -> str:
    """What an answer says that is none, with what comes closest."""
    closest = result.passages[0]
    place = " > ".join((closest.uri, *closest.heading[-1:]))
    return f"The documents do not answer this question as far as I can tell. What comes closest is in {place}."


def _why_abstained(said_so: bool, faithfulness: Faithfulness) -> str:
    if said_so:
        return "the model found no answer in the passages"
    because = f": {faithfulness.reason}" if faithfulness.reason else ""
    if not faithfulness.scored:
        return f"the draft could not be checked: {faithfulness.reason}"
    if faithfulness.verdict == "contradicted":
        return f"the passages contradict the draft{because}"
    return f"the passages do not say what the draft says{because}"


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
