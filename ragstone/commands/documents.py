"""`ingest`, `documents`, `delete`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from ingest.errors import CatalogUnavailable
from ingest.types import DocumentOutcome
from ragstone.commands.options import (
    any_collection_option,
    batch_option,
    collection_option,
    echo_json,
    existing,
    json_option,
    progress_shown,
    reading,
)
from ragstone.errors import BadRequest
from ragstone.exit_codes import exit_code_of
from ragstone.following import followed
from ragstone.rendering import one_line, outcome_lines
from ragstone.settings import LoadedSettings
from ragstone.uploading import files_under, ingest_files
from ragstone.wiring import Application

# Documents read together; all of them are listed.
_PAGE = 1000


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@collection_option
@click.option("--uri", help="Identity of the document, for a single file; default: its path within PATH.")
@batch_option("Stage them in this batch (`ragstone batch open`), and show them to no one else.")
@click.option(
    "--password", "asked", is_flag=True, help="Ask for the password of protected files, or read it from stdin."
)
@json_option
@click.pass_obj
def ingest(
    loaded: LoadedSettings,
    paths: tuple[Path, ...],
    collection: str,
    uri: str | None,
    batch: str | None,
    asked: bool,
    as_json: bool,
) -> None:
    """Take files and folders in; the same URI again makes a new version.

    Exits with 2 when a file was refused, and with 3 when one failed that may be taken another time; the others are
    taken all the same.
    """
    files = files_under(paths, uri)
    password = _password() if asked else None
    application = Application(loaded.settings) if batch is None else existing(loaded)
    if sys.stderr.isatty():
        with progress_shown("Ingesting", False) as advance:
            done = 0

            def report(outcome: DocumentOutcome) -> None:
                nonlocal done
                done += 1
                progress(0)

            def progress(part: float) -> None:
                advance(f"{done} of {len(files)}", done + part, len(files))

            outcomes = ingest_files(application, files, collection, report, batch, password, progress)
        shown = [outcome for outcome in outcomes if outcome.problem is not None or outcome.notes]
    else:
        say = (lambda outcome: None) if as_json else _say
        outcomes = ingest_files(application, files, collection, say, batch, password)
        shown = []
    if as_json:
        echo_json({"documents": [outcome.model_dump(mode="json") for outcome in outcomes]})
    else:
        for outcome in shown:
            _say(outcome)
        click.echo(f"{_counted(outcomes)}; the index is at revision {application.catalog.head()}")
    failures = [exit_code_of(outcome.problem.code) for outcome in outcomes if outcome.problem is not None]
    if failures:
        sys.exit(max(failures))


@click.command()
@any_collection_option("Only those of this collection.")
@json_option
@click.pass_obj
def documents(loaded: LoadedSettings, collection: str | None, as_json: bool) -> None:
    """List the documents."""
    catalog = reading(loaded).catalog
    cursor: str | None = None
    shown: list[Any] = []
    while True:
        page, cursor = catalog.documents(collection, _PAGE, cursor)
        if as_json:
            shown += [info.model_dump(mode="json") for info in page]
        else:
            for info in page:
                click.echo(
                    one_line(
                        f"{info.document_id}  {info.collection}/{info.uri}  version {info.version} of {info.versions}, "
                        f"{info.chunks} chunks, {info.size_bytes:,} bytes"
                    )
                )
        if cursor is None:
            break
    if as_json:
        echo_json({"documents": shown, "next_cursor": None})


@click.command()
@click.argument("document_id")
@click.option("--erase", is_flag=True, help="For good: out of its history, and out of every file.")
@json_option
@click.pass_obj
def delete(loaded: LoadedSettings, document_id: str, erase: bool, as_json: bool) -> None:
    """Hide a document from a new revision on; its history stays.

    With --erase, ends when no file of the data folder holds its bytes. When interrupted before, the service goes on
    with it.
    """
    application = existing(loaded)
    job_id = None
    if erase:
        revision, job_id = application.erasure.request(document_id)
        _follow(application, job_id)
    else:
        revision = application.history.delete_document(document_id)
    if as_json:
        echo_json({"revision": revision, "job_id": job_id, "affected_adapters": []})
    else:
        click.echo(f"{document_id} is {'erased' if erase else 'hidden'} from revision {revision} on")


def _follow(application: Application, job_id: str) -> None:
    """Has the job done, here or by the process that is the worker. Raises CatalogUnavailable when it can't be."""
    *_, job = followed(application, job_id)
    if job.state != "done":
        said = job.problems[0].detail if job.problems else f"the job was {job.state}"
        raise CatalogUnavailable(f"the document is hidden, and some of its bytes are left in the files: {said}")


def _say(outcome: DocumentOutcome) -> None:
    for line in outcome_lines(outcome):
        click.echo(line)


def _password() -> str:
    """Never an argument, which anyone on this machine could see: typed, or the first line of the standard input."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise BadRequest("--password reads it from the standard input, where there is none", "password")
    return password


def _counted(outcomes: list[DocumentOutcome]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(outcome.state for outcome in outcomes).items())


COMMANDS = (ingest, documents, delete)
