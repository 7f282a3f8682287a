"""What requests are made of, checked more strictly than JSON is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field

from ragstone.errors import BadRequest


def encodable(text: str) -> str:
    """JSON can spell half a character (a lone surrogate), which no file or database can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("holds half a character, a lone surrogate: send valid Unicode") from error
    return text


def moment(value: Any) -> Any:
    """A revision as it is, or an RFC 3339 time in UTC; raises ValueError for anything else."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None or len(value) < len("2026-01-01T00:00Z"):
            raise ValueError
        return parsed.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("is a revision, or an RFC 3339 time such as 2026-01-01T00:00:00Z") from error


def json_object(text: str, field: str) -> dict[str, Any]:
    """An object in JSON as the standard has it, of which every part can be stored. Raises BadRequest."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadRequest(f"{field} is not valid JSON: {reason}", field) from error
    if not isinstance(value, dict):
        raise BadRequest(f'{field} is a JSON object, such as {{"team": "pumps"}}', field)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def revision_or_time(text: str) -> int | datetime:
    """What a revision or an RFC 3339 time is written as. Raises ValueError."""
    found: int | datetime = int(text) if text.isascii() and text.isdigit() else moment(text)
    return found


def _asked_for(text: Any) -> Any:
    return revision_or_time(text) if isinstance(text, str) else text


Text = Annotated[str, AfterValidator(encodable)]
AsOf = Annotated[
    int | datetime | None,
    BeforeValidator(moment),
    Field(description="A revision, or an RFC 3339 time"),
]
# The same where it is text: in the query of a URL.
RevisionOrTime = Annotated[
    int | datetime | None,
    BeforeValidator(_asked_for),
    Query(description="A revision, or an RFC 3339 time"),
]
