"""Stored answers: the record that the API shows, and beside it what a replay needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from generation.errors import AnswerNotFound
from generation.types import Answer, Prompt
from ingest.catalog import schema
from ingest.catalog.catalog import Catalog, Readable
from ingest.errors import Erased


class AnswerStore:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def save(self, answer: Answer, prompt: Prompt | None, completion_token_ids: tuple[int, ...]) -> None:
        """Stores the answer with its prompt (None where no model was asked) in one transaction.

        Where a document that it quotes was erased while it was written, it is stored without its quotes.
        """
        replay = {
            "messages": [[message.role, message.content] for message in prompt.messages] if prompt else [],
            "token_ids": list(prompt.token_ids) if prompt and prompt.token_ids is not None else None,
            "completion_token_ids": list(completion_token_ids),
        }
        record = answer.model_dump(mode="json")
        with self._catalog.writing() as connection:
            erased = _quotes_erased(connection, answer)
            connection.execute(
                insert(schema.answers).values(
                    answer_id=answer.answer_id,
                    created_at=answer.created_at,
                    release_id=answer.release,
                    revision=answer.revision,
                    collection=answer.collection,
                    state="erased" if erased else "kept",
                    record=redacted(record) if erased else record,
                    prompt={} if erased else replay,
                )
            )

    def get(self, answer_id: str, readable: Readable = None, user: str | None = None) -> Answer:
        """Raises AnswerNotFound for an answer that is unknown, in no collection of `readable`, or not of `user`."""
        with self._catalog.reading() as connection:
            return Answer.model_validate(_row(connection, answer_id, readable, user)["record"])

    def add_feedback(
        self, answer_id: str, said: dict[str, str | None], readable: Readable = None, user: str | None = None
    ) -> None:
        """Stores `rating`, `correction` and `reason`. Raises AnswerNotFound as `get`, and Erased."""
        with self._catalog.writing() as connection:
            if _row(connection, answer_id, readable, user)["state"] != "kept":
                raise Erased(f"a document that answer {answer_id} quoted was erased: it takes no feedback any more")
            values = {"answer_id": answer_id, "created_at": datetime.now(UTC), **said}
            connection.execute(insert(schema.feedback).values(values))


def _quotes_erased(connection: Connection, answer: Answer) -> bool:
    """Whether one of its passages stands in a version that was erased by now."""
    table = schema.tombstones
    places = {(its.document_id, its.version) for its in answer.passages}
    places |= {(its.document_id, its.version) for passage in answer.passages for its in passage.also_in}
    query = select(table.c.document_id, table.c.versions).where(table.c.document_id.in_({name for name, _ in places}))
    erased = {document_id: versions for document_id, versions in connection.execute(query)}
    return any(version <= erased.get(document_id, 0) for document_id, version in places)


def _row(connection: Connection, answer_id: str, readable: Readable, user: str | None) -> Any:
    answers = schema.answers
    query = select(answers.c.record, answers.c.state).where(answers.c.answer_id == answer_id)
    if readable is not None:
        query = query.where(answers.c.collection.in_(readable))
    row = connection.execute(query).mappings().one_or_none()
    if row is None or (user is not None and row["record"].get("user") != user):
        raise AnswerNotFound(f"no answer {answer_id}")
    return row


def redacted(record: dict[str, Any]) -> dict[str, Any]:
    """The record of an answer without anything that could quote a document; what was asked, and how it went, stays."""
    answer = Answer.model_validate(record)
    faithfulness = answer.faithfulness
    bare = answer.model_copy(
        update={
            "text": "",
            "draft": None,
            "checked_text": None,
            "citations": (),
            "claims": (),
            "passages": (),
            # Its reason can quote a passage.
            "faithfulness": faithfulness.model_copy(update={"reason": None if faithfulness.scored else "erased"}),
            "notes": ("a document that this answer quoted was erased",),
        }
    )
    return bare.model_dump(mode="json")
