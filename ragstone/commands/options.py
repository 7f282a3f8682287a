"""What the commands share: options, which folder they work on, and the way they print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar

import click

from ingest.errors import DataFolderUnusable
from ingest.screening.folding import INVISIBLE
from ragstone.api.inputs import encodable, revision_or_time
from ragstone.errors import BadRequest
from ragstone.names import collection_name
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application
from retrieval.errors import EmptyIndex

_STEPS_SHOWN = 10

# C0 stands in JSON as escapes by itself; this is C1, separators, directions and what is invisible.
_UNSEEN = re.compile(f"[\x7f-\x9f\u2028\u2029\ufeff\ufff9-\ufffb]|{INVISIBLE.pattern}")

_Command = TypeVar("_Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")


def _as_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | datetime | None:
    if value is None:
        return None
    try:
        return revision_or_time(value)
    except ValueError as error:
        raise BadRequest(
            f"--as-of {value}: give a revision, or an RFC 3339 time with its offset such as 2026-01-01T00:00:00Z",
            "as_of",
        ) from error


def _collection(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else collection_name(value)


def _text(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return encodable(value)
    except ValueError as error:
        raise BadRequest(f"the {parameter.name} is not valid UTF-8", parameter.name) from error


collection_option = click.option("--collection", default="default", show_default=True, callback=_collection)


def any_collection_option(said: str) -> Callable[[_Command], _Command]:
    return click.option("--collection", callback=_collection, help=said)


def as_of_option(said: str) -> Callable[[_Command], _Command]:
    return click.option("--as-of", callback=_as_of, metavar="REVISION|TIME", help=said)


def text_argument(name: str) -> Callable[[_Command], _Command]:
    """An argument of text that can be stored: a shell passes any bytes on."""
    return click.argument(name, callback=_text)


def batch_option(said: str) -> Callable[[_Command], _Command]:
    return click.option("--batch", metavar="ID", help=said)


def existing(loaded: LoadedSettings) -> Application:
    """What a command works with that begins no data folder. Raises DataFolderUnusable where there is none."""
    data = loaded.settings.data
    if loaded.settings.ingest.catalog_url is None and not data.exists():
        raise DataFolderUnusable(
            f"the data folder {data} can't be used: it is not there; name it by --data, or begin with "
            "`ragstone ingest PATH`"
        )
    return Application(loaded.settings)


def reading(loaded: LoadedSettings) -> Application:
    """What a command works with that only reads. Raises EmptyIndex where nothing was ever kept, and makes no folder."""
    data = loaded.settings.data
    if loaded.settings.ingest.catalog_url is None and not (data / "catalog.sqlite").exists():
        raise EmptyIndex(f"there is nothing in {data}: name the folder by --data, or begin with `ragstone ingest PATH`")
    return Application(loaded.settings)


def echo_json(value: Any) -> None:
    """As JSON in which what a terminal obeys, or nobody sees, is escaped: its content stays the same."""
    said = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(_UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], said))


class Advance(Protocol):
    """Shows how far something is; `note` says more of it, and is no step of its own."""

    def __call__(self, step: str, done: float, total: int, note: str = "") -> None: ...


@contextmanager
def progress_shown(label: str, quiet: bool) -> Iterator[Advance]:
    """A bar on a terminal, a line for each tenth elsewhere, nothing with --json."""
    if sys.stderr.isatty() and not quiet:
        with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:

            def advance(step: str, done: float, total: int, note: str = "") -> None:
                bar.label = f"{label}: {', '.join(filter(None, (step, note)))}"
                bar.update(round(1000 * done / max(1, total)) - bar.pos)

            yield advance
        return
    last: list[object] = []

    def say(step: str, done: float, total: int, note: str = "") -> None:
        tenths = int(_STEPS_SHOWN * done / max(1, total))
        if not quiet and last != [step, tenths]:
            last[:] = [step, tenths]
            click.echo(f"{step} {100 * tenths // _STEPS_SHOWN} %{f', {note}' if note else ''}")

    yield say
