"""What people say of an answer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ragstone.api.access import Asker
from ragstone.api.inputs import Text
from ragstone.api.parts import Parts
from ragstone.errors import BadRequest

router = APIRouter(prefix="/v1", tags=["answers"])


class FeedbackBody(BaseModel):
    """`correction` is the answer as it should have been. At least one of the three."""

    model_config = ConfigDict(extra="forbid")

    rating: Literal["up", "down"] | None = None
    correction: Annotated[Text, Field(min_length=1, max_length=20_000)] | None = None
    reason: Annotated[Text, Field(min_length=1, max_length=2_000)] | None = None


@router.post("/answers/{answer_id}/feedback", status_code=204)
def feedback(parts: Parts, caller: Asker, answer_id: str, body: FeedbackBody) -> None:
    """For those who may see the answer. One whose evidence was erased takes none."""
    said = body.model_dump()
    if not any(said.values()):
        raise BadRequest("the feedback says nothing: give `rating`, `correction` or `reason`", "rating")
    parts.answers.add_feedback(answer_id, said, caller.readable, caller.user)
