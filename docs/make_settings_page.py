"""Prints docs/settings.md from the definitions of the settings (`… > docs/settings.md`)."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ragstone.settings import Settings

HEAD = """# Settings

Made by `python docs/make_settings_page.py`; a test compares. A key can stand in `ragstone.toml` (under its section),
in the environment (`ingest.chunk_tokens` is `RAGSTONE_INGEST__CHUNK_TOKENS`), or behind `--set`. Later ones win, and
unknown keys are refused. `ragstone settings` prints what is in force and where it came from.

| key | default | bounds | meaning |
|---|---|---|---|"""


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(key, default, bounds, meaning) of every setting, members of a section with several kinds one after the other."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        sections = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not sections:
            yield key, _default(field), _bounds(field), field.description or ""
        for section in sections:
            if len(sections) > 1:
                yield f"{key}.*", "", "", _first_line(section)
            yield from rows(section, f"{key}.")


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) or (annotation,)


def _default(field: FieldInfo) -> str:
    return (
        "required" if field.default is PydanticUndefined else f"`{field.default!s}`" if field.default != "" else "empty"
    )


def _bounds(field: FieldInfo) -> str:
    names = {Ge: "at least {0.ge}", Gt: "over {0.gt}", Le: "at most {0.le}", Lt: "below {0.lt}"}
    bounds = [
        words.format(limit) for limit in field.metadata for kind, words in names.items() if isinstance(limit, kind)
    ]
    if typing.get_origin(field.annotation) is typing.Literal:
        bounds.append(", ".join(map(str, typing.get_args(field.annotation))))
    return ", ".join(bounds)


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0]


def page() -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in rows(Settings)]
    return "\n".join([HEAD, *lines]) + "\n"


if __name__ == "__main__":
    print(page(), end="")
