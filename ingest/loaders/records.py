"""JSON and JSON Lines as readable text: `key: value` lines, indented by nesting, a block for each record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem, undecoded
from ingest.types import Extracted

_INDENT = "  "
_DEEPEST = 40  # levels that are indented: what is nested deeper stays JSON
_SHORT = 120  # characters of a list that stands in one line


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """A document or one record a line. What is no complete JSON, or nested too deeply, is text as it is, and says so.

    Raises UnsupportedFormat where the bytes are no text.
    """
    source = clean(decode(data, name))
    notes = undecoded(data, source)
    try:
        found = _parsed(source)
        text = "\n\n".join("\n".join(_lines(one, 0)) for one in found) if found is not None else None
        why = "no complete JSON"
    except RecursionError:
        text, why = None, "nested too deeply for its JSON to be read"
    if text is None:
        notes += (f"it is {why}, so its text was taken as it is",)
    return Extracted(
        text=source if text is None else clean(text),
        title=stem(name),
        media_type="application/json",
        notes=notes,
    )


def _parsed(source: str) -> list[Any] | None:
    """The records: of an array, its elements; of lines, those. None where there is no JSON."""
    value = _value(source)
    if value is not _NOTHING:
        return value if isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value) else [value]
    records = [_value(line) for line in source.split("\n") if line.strip()]
    # One line may be cut off, or be no JSON: the others are records all the same.
    if len(records) < 2 or sum(record is _NOTHING for record in records) > len(records) // 2:
        return None
    lines = (line for line in source.split("\n") if line.strip())
    return [line if record is _NOTHING else record for record, line in zip(records, lines, strict=True)]


_NOTHING = object()


def _value(source: str) -> Any:
    try:
        return json.loads(source, parse_int=str, parse_float=str, parse_constant=str)  # numbers as they are written
    except ValueError:
        return _NOTHING


def _lines(value: Any, depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    if depth > _DEEPEST:
        yield indent + json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _entry(f"{indent}{' '.join(str(key).split())}:", inner, depth)
    elif isinstance(value, list):
        for inner in value:
            lines = _lines(inner, depth + 1)
            yield f"{indent}- {next(lines, '').lstrip()}".rstrip()
            yield from lines
    else:
        yield indent + _scalar(value).replace("\n", "\n" + indent)


def _entry(label: str, value: Any, depth: int) -> Iterator[str]:
    """A label with its value behind it, where that is short, else with the value below."""
    if isinstance(value, (dict, list)):
        flat = _flat(value)
        if flat is not None:
            yield f"{label} {flat}".rstrip()
            return
        yield label
        yield from _lines(value, depth + 1)
    else:
        yield f"{label} {_scalar(value)}".rstrip().replace("\n", "\n" + _INDENT * (depth + 1))


def _flat(value: dict[str, Any] | list[Any]) -> str | None:
    """A list of short values as one line; None for what needs more."""
    if not value:
        return ""
    if isinstance(value, dict) or any(isinstance(inner, (dict, list)) for inner in value):
        return None
    line = ", ".join(_scalar(inner) for inner in value)
    return line if len(line) <= _SHORT and "\n" not in line else None


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
