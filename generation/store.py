"""Stored answers: the record that the API shows, and beside it what a replay needs."""

from __future__ import annotations

from sqlalchemy import insert, select

from generation.errors import AnswerNotFound
from generation.types import Answer, Prompt
from ingest import schema
from ingest.catalog import Catalog


class AnswerStore:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def save(self, answer: Answer, prompt: Prompt | None, completion_token_ids: tuple[int, ...]) -> None:
        """Stores the answer with its prompt (None where no model was asked) in one transaction."""
        replay = {
            "messages": [[message.role, message.content] for message in prompt.messages] if prompt else [],
            "token_ids": list(prompt.token_ids) if prompt and prompt.token_ids is not None else None,
            "completion_token_ids": list(completion_token_ids),
        }
        with self._catalog.writing() as connection:
            connection.execute(
                insert(schema.answers).values(
                    answer_id=answer.answer_id,
                    created_at=answer.created_at,
                    release_id=answer.release,
                    revision=answer.revision,
                    record=answer.model_dump(mode="json"),
                    prompt=replay,
                )
            )

    def get(self, answer_id: str) -> Answer:
        """Raises AnswerNotFound."""
        query = select(schema.answers.c.record).where(schema.answers.c.answer_id == answer_id)
        with self._catalog.reading() as connection:
            record = connection.execute(query).scalar_one_or_none()
        if record is None:
            raise AnswerNotFound(f"no answer {answer_id}")
        return Answer.model_validate(record)
