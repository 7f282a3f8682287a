"""`sources`, `refresh`, `watch`, `daemon`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from ingest.errors import TryAgain
from ingest.jobs.queue import FINISHED
from ingest.sources.types import SourceInfo, SourceSettings
from ingest.types import Job
from ragstone.commands.options import collection_option, echo_json, existing, json_option, progress_shown, reading
from ragstone.errors import BadRequest
from ragstone.exit_codes import ANSWER_IS_NO
from ragstone.following import require_done, watched
from ragstone.names import source_name
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application

_SWEEP = "10m"


def _name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else source_name(value)


@click.group()
def sources() -> None:
    """Where documents are fetched from by themselves."""


@sources.command("list")
@json_option
@click.pass_obj
def list_sources(loaded: LoadedSettings, as_json: bool) -> None:
    """List the sources with their last runs."""
    found = reading(loaded).sources.all()
    if as_json:
        echo_json({"sources": [source.model_dump(mode="json") for source in found]})
        return
    for source in found:
        click.echo(_line(source))


@sources.command()
@click.argument("name", callback=_name)
@click.argument("kind", type=click.Choice(["folder", "web", "sitemap", "git", "bucket"]))
@click.argument("location")
@collection_option
@click.option("--schedule", help="When it is looked at: 15m, 2h, 1d, or a cron expression in UTC.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only items whose URI is like this.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No items whose URI is like this.")
@click.option("--branch", help="Of a git repository: a branch or a tag.")
@click.option("--subfolder", default="", help="Of a git repository: only what is below.")
@click.option("--depth", type=int, default=0, show_default=True, help="How far links of web pages are followed.")
@click.option("--keep-missing", is_flag=True, help="Keep documents whose items are gone.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Of a bucket's file system.")
@json_option
@click.pass_obj
def add(
    loaded: LoadedSettings,
    /,
    name: str,
    kind: str,
    location: str,
    as_json: bool,
    options: tuple[str, ...],
    **of_kind: Any,
) -> None:
    """Add a source, or give a known one other settings."""
    if kind == "folder" or (kind == "git" and Path(location).expanduser().is_dir()):
        location = os.path.abspath(Path(location).expanduser())
    try:
        settings = SourceSettings(kind=kind, location=location, options=_options(options), **of_kind)
    except ValidationError as error:
        said = "; ".join(str(found["msg"]).removeprefix("Value error, ") for found in error.errors())
        raise BadRequest(said, "settings") from error
    source = Application(loaded.settings).sources.put(name, settings)
    if kind == "folder" and not Path(location).is_dir():
        click.echo(one_line(f"{location} is not there now, or no folder: a refresh fails until it is"), err=True)
    if as_json:
        echo_json(source.model_dump(mode="json"))
    else:
        click.echo(_line(source))


@sources.command()
@click.argument("name", callback=_name)
@click.option("--state", type=click.Choice(["indexed", "failed", "quarantined", "kept", "erased"]), help="Only these.")
@json_option
@click.pass_obj
def items(loaded: LoadedSettings, name: str, state: str | None, as_json: bool) -> None:
    """What a source has, and what became of each item."""
    application, after = reading(loaded), None
    run = application.sources.get(name).last_run
    shown: list[Any] = []
    while page := application.sources.items(name, 1000, after, state):
        after = page[-1].document_id
        if as_json:
            shown += [item.model_dump(mode="json") for item in page]
            continue
        for item in page:
            problem = "" if item.problem is None else f": {item.problem.detail}"
            click.echo(one_line(f"{item.state:<12} {item.uri}{problem}"))
    if as_json:
        echo_json({"items": shown})
    # Of what has no row there: what is left out, and what is another source's.
    for note in () if run is None else run.notes:
        click.echo(one_line(f"the last refresh: {note}"), err=True)


@sources.command()
@click.argument("name", callback=_name)
@click.pass_obj
def remove(loaded: LoadedSettings, name: str) -> None:
    """Forget a source; its documents stay."""
    application = existing(loaded)
    for job_id in application.sources.remove(name):
        application.ingestion.cancel(job_id)
    click.echo(f"{name} is a source no more; its documents stay")


@click.command()
@click.argument("source", required=False, callback=_name)
@click.option("--again", is_flag=True, help="Fetch what seems unchanged too.")
@json_option
@click.pass_obj
def refresh(loaded: LoadedSettings, source: str | None, again: bool, as_json: bool) -> None:
    """Bring a source up to date, or all."""
    application = existing(loaded)
    jobs = application.sources.request(source, again=again)
    if not jobs:
        raise BadRequest("there are no sources: add one by `ragstone sources add NAME KIND LOCATION`")
    application.worker.start()
    try:
        ended = [_watched(application, job_id, as_json) for job_id in jobs]
    finally:
        application.worker.stop()
    found = [its for its in application.sources.all() if source in (None, its.name)]
    if as_json:
        echo_json({"jobs": [job.model_dump(mode="json") for job in ended]})
    for its in () if as_json else found:
        click.echo(_line(its))
        for note in its.last_run.notes if its.last_run is not None else ():
            click.echo(one_line(f"  {note}"))
    for job in ended:
        require_done(job)
    if any(its.last_run is not None and its.last_run.failed for its in found):
        sys.exit(ANSWER_IS_NO)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@collection_option
@click.option("--name", callback=_name, help="Of the source; else that of the folder.")
@click.pass_obj
def watch(loaded: LoadedSettings, folder: Path, collection: str, name: str | None) -> None:
    """Follow a folder: what changes in it is ingested at once, until Ctrl-C."""
    root = Path(os.path.abspath(folder))
    given = name or source_name("".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in root.name))
    application = Application(loaded.settings)
    settings = SourceSettings(kind="folder", location=str(root), collection=collection, schedule=_SWEEP)
    for source in application.sources.all():
        if source.name == given and (source.kind, source.location) != ("folder", str(root)):
            raise BadRequest(f"the source {given} is {source.kind} {source.location}: give this one another --name")
    application.sources.put(given, settings)
    click.echo(one_line(f"watching {root} as the source {given}; Ctrl-C ends it, and `ragstone serve` goes on with it"))
    _work(application, said_of=given)


@click.command()
@click.pass_obj
def daemon(loaded: LoadedSettings) -> None:
    """Keep the sources fresh and do all jobs, without a service. `serve` does the same beside serving."""
    application = Application(loaded.settings)
    application.embedders.in_use()  # so that a fault shows now
    click.echo(f"Ragstone keeps {len(application.sources.all())} sources fresh in {loaded.settings.data.resolve()}")
    _work(application)


def _work(application: Application, said_of: str | None = None) -> None:
    """Does the jobs until a signal; tells of each run of a source when it ended."""
    stopped = threading.Event()
    for its in (signal.SIGINT, signal.SIGTERM):
        signal.signal(its, lambda number, frame: stopped.set())
    application.keep_sources_fresh()
    told: dict[str, object] = {}
    application.worker.start()
    try:
        while not stopped.wait(0.5):
            for source in application.sources.all():
                run = source.last_run
                ended = run.finished_at if run is not None else None
                if ended is None or told.get(source.name) == ended or said_of not in (None, source.name):
                    continue
                told[source.name] = ended
                click.echo(_line(source))
    finally:
        application.worker.stop()
        application.close()


def _watched(application: Application, job_id: str, quiet: bool) -> Job:
    tries = _Tries(application)
    with progress_shown("refresh", quiet) as advance:
        for job in watched(application, job_id):
            for said in () if quiet else tries.told(job):
                click.echo(one_line(said), err=True)
            ended = job.state in FINISHED
            left = "" if ended or job.eta_s is None else f", about {job.eta_s:.0f} s left"
            said = f"{job.done} of {job.total} items{left}" if job.total else ""
            all_done = job.state == "done"  # of a source that is as it was, too, which has nothing to do
            advance(job.source or "refresh", job.total or 1 if all_done else job.done + job.part, job.total, said)
    return job


class _Tries:
    """Tells of each try of a refresh that did not come to its end: when the next one is, and why."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._waited = self._ran = datetime.min  # the tries that were seen last to wait for the next one, and to run
        self._is_told = False

    def told(self, job: Job) -> Iterator[str]:
        """What is new since it was asked last."""
        if not job.problems or job.problems[0].code != TryAgain.code:
            return
        for source in self._application.sources.all():
            run = source.last_run
            if run is None or run.job_id != job.job_id:
                continue
            if run.state == "waiting" and run.started_at != self._waited:
                self._waited, self._is_told = run.started_at, True
                later = job.not_before if job.state == "queued" else None
                yield _tried_again(source.name, later or datetime.now(UTC), job)
            elif run.state == "running" and job.attempts > 1 and run.started_at != self._ran:
                # The try before could be over before anybody looked.
                if not self._is_told:
                    yield _tried_again(source.name, run.started_at, job)
                self._ran, self._is_told = run.started_at, False


def _tried_again(name: str, at: datetime, job: Job) -> str:
    return f"{name}: tried again at {at.astimezone():%H:%M:%S}, because {job.problems[0].detail}"


def _options(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [its.partition("=") for its in given]
    if any(not separator for _, separator, _ in pairs):
        raise BadRequest("write an option as NAME=VALUE", "option")
    return {name: value for name, _, value in pairs}


def _line(source: SourceInfo) -> str:
    run = source.last_run
    said = "not looked at yet"
    if run is not None:
        counts = [("new or changed", run.taken), ("removed", run.removed), ("renamed", run.renamed)]
        counts += [("failed", run.failed), ("quarantined", run.quarantined), ("left out", run.left_out)]
        changed = ", ".join(f"{number} {what}" for what, number in counts if number) or "nothing changed"
        problem = "" if run.problem is None else f": {run.problem.detail}"
        said = f"{run.state}{problem}" if run.state != "done" else f"{run.listed} items, {changed}{problem}"
    return one_line(f"{source.name}  {source.kind} {source.location}  {said}")


COMMANDS = (sources, refresh, watch, daemon)
