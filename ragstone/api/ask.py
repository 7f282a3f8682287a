"""Questions and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from generation.errors import ModelLoading
from generation.types import Answer, AnswerEvent, Ask, Done, DraftPiece, PassagesFound, VerdictReached
from ingest.errors import NotAllowed
from ragstone.api.access import Asker, Caller, Counts, told_by_name
from ragstone.api.events import server_sent, while_connected
from ragstone.api.inputs import AsOf, Text
from ragstone.api.limits import Usage
from ragstone.api.parts import Parts
from ragstone.api.problems import problem_of
from ragstone.errors import BadRequest, NotBuilt
from ragstone.names import collection_name
from ragstone.wiring import Application
from retrieval.search import SearchRequest

router = APIRouter(prefix="/v1", tags=["answers"])


class AskBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: Text
    collection: str = "default"
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    as_of: AsOf = None
    user: Text | None = None
    session: Text | None = None
    release: Text | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    strict: bool = False
    stream: bool = False


@router.post("/ask", response_model=Answer)
async def ask(
    parts: Parts, caller: Asker, usage: Counts, request: Request, body: AskBody
) -> Answer | StreamingResponse:
    """Replies with the answer, or with `stream` with the events `passages`, `token`, `verdict` and `done`.

    A key that has a user asks in that user's name.
    """
    if body.release not in (None, "stable", parts.release.release_id):
        raise NotBuilt("choosing among releases is not built yet: leave `release` out")
    if not request.app.state.model_start.done():
        raise ModelLoading(f"{parts.language_model.name} is being loaded: try again in some seconds")
    question = Ask(
        question=body.question,
        collection=collection_name(body.collection),
        k=body.k,
        as_of=body.as_of,
        seed=body.seed,
        strict=body.strict,
        user=_user(caller, body.user),
        session=body.session,
    )
    events = _events(parts, caller, usage, question)
    if not body.stream:
        return await while_connected(request, _answered(events))
    # What goes wrong before the first event is still an ordinary error reply.
    first = await while_connected(request, anext(events))
    return StreamingResponse(_stream(events, first, request.url.path), media_type="text/event-stream")


@router.get("/answers/{answer_id}")
def answer(parts: Parts, caller: Asker, answer_id: str) -> Answer:
    """For those who may read its collection and, where their key has a user, whose answer it is."""
    return parts.answers.get(answer_id, caller.readable, caller.user)


def _user(caller: Caller, named: str | None) -> str | None:
    """Raises NotAllowed for another user than the key's."""
    if caller.user is not None and named not in (None, caller.user):
        raise NotAllowed(f"this key asks in the name of {caller.user}: leave `user` out")
    return caller.user or named


async def _events(parts: Application, caller: Caller, usage: Usage, question: Ask) -> AsyncGenerator[AnswerEvent]:
    """The events of an answer, within the key's collections and limits."""
    with usage.answering(caller.key_id, caller.limits), told_by_name(question.collection):
        if not caller.may_read(question.collection):
            # Finds nothing, and refuses a wrong question or revision as for a collection that is empty.
            nothing = SearchRequest(query=question.question, collections=frozenset(), as_of=question.as_of)
            await asyncio.to_thread(parts.searcher.search, nothing)
        async with aclosing(parts.answerer.answer(question)) as events:
            async for event in events:
                yield event


async def _answered(events: AsyncGenerator[AnswerEvent]) -> Answer:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Done):
                return event.answer
    raise BadRequest("the answer ended without a result")


async def _stream(events: AsyncGenerator[AnswerEvent], first: AnswerEvent, instance: str) -> AsyncIterator[str]:
    async with aclosing(events):
        yield _wire(first)
        try:
            async for event in events:
                yield _wire(event)
        except Exception as error:
            document, _ = problem_of(error, instance)
            yield server_sent("error", document)


def _wire(event: AnswerEvent) -> str:
    match event:
        case PassagesFound(passages, revision):
            shown = [passage.model_dump(mode="json") for passage in passages]
            return server_sent("passages", {"revision": revision, "passages": shown})
        case DraftPiece(text):
            return server_sent("token", {"text": text, "draft": True})
        case VerdictReached(faithfulness, claims):
            judged = [claim.model_dump(mode="json") for claim in claims]
            return server_sent("verdict", {"faithfulness": faithfulness.model_dump(mode="json"), "claims": judged})
        case Done(finished):
            return server_sent("done", finished.model_dump(mode="json"))
