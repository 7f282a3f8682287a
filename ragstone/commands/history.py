"""`revisions`, `rollback`, `batch`, `pin`, `pins`, `unpin`, `purge`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ingest.jobs.queue import PURGE
from ragstone.commands.options import echo_json, existing, json_option, reading
from ragstone.following import followed, require_done
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
@click.pass_obj
def revisions(loaded: LoadedSettings, limit: int, as_json: bool) -> None:
    """List the newest revisions."""
    found = reading(loaded).catalog.revisions(limit)
    if as_json:
        shown = [{**asdict(revision), "created_at": revision.created_at.isoformat()} for revision in found]
        echo_json({"revisions": shown})
        return
    for revision in found:
        when = revision.created_at.isoformat().replace("+00:00", "Z")  # as --as-of takes it
        click.echo(one_line(f"{revision.revision:>6}  {when}  +{revision.added} -{revision.removed}  {revision.cause}"))


@click.command()
@click.argument("revision", type=click.IntRange(0))
@json_option
@click.pass_obj
def rollback(loaded: LoadedSettings, revision: int, as_json: bool) -> None:
    """Append a revision whose content is that of REVISION."""
    application = existing(loaded)
    made = application.history.rollback(revision)
    if as_json:
        echo_json({"revision": made})
        return
    newest = application.catalog.revisions(1)[0]
    click.echo(f"revision {made} has the content of {revision} (+{newest.added} -{newest.removed})")


@click.group()
def batch() -> None:
    """Changes that wait for a decision; `ingest` and `search` name one by --batch."""


@batch.command("open")
@click.option("--note", default="", help="What it is for.")
@json_option
@click.pass_obj
def open_batch(loaded: LoadedSettings, note: str, as_json: bool) -> None:
    """Open a batch on top of the newest revision and print its id."""
    batch_id = Application(loaded.settings).history.open_batch(note)
    if as_json:
        echo_json({"batch_id": batch_id})
    else:
        click.echo(batch_id)


@batch.command("list")
@json_option
@click.pass_obj
def list_batches(loaded: LoadedSettings, as_json: bool) -> None:
    """List the batches, the newest first."""
    found = reading(loaded).history.batches()
    if as_json:
        echo_json({"batches": [{**asdict(one), "created_at": one.created_at.isoformat()} for one in found]})
        return
    for one in found:
        click.echo(
            one_line(
                f"{one.batch_id}  {one.state}, {one.documents} documents on revision {one.base_revision}  {one.note}"
            )
        )


@batch.command()
@click.argument("batch_id")
@json_option
@click.pass_obj
def promote(loaded: LoadedSettings, batch_id: str, as_json: bool) -> None:
    """Show the batch to all from a new revision on."""
    revision = existing(loaded).history.promote(batch_id)
    if as_json:
        echo_json({"revision": revision})
    else:
        click.echo(f"{batch_id} is revision {revision}")


@batch.command()
@click.argument("batch_id")
@click.pass_obj
def drop(loaded: LoadedSettings, batch_id: str) -> None:
    """Forget the batch."""
    application = existing(loaded)
    application.ingestion.remove_unused(application.history.drop_batch(batch_id))
    click.echo(f"{batch_id} is dropped")


@click.command()
@click.argument("name")
@click.argument("revision", type=click.IntRange(0))
@click.pass_obj
def pin(loaded: LoadedSettings, name: str, revision: int) -> None:
    """Keep all that REVISION shows, whatever the retention says, under NAME."""
    existing(loaded).retention.pin(name, revision)
    click.echo(f"{name} keeps revision {revision}")


@click.command()
@json_option
@click.pass_obj
def pins(loaded: LoadedSettings, as_json: bool) -> None:
    """List the pins: revisions that are kept whatever the retention says."""
    found = reading(loaded).retention.pins()
    if as_json:
        echo_json({"pins": [{**asdict(one), "created_at": one.created_at.isoformat()} for one in found]})
        return
    for one in found:
        click.echo(one_line(f"{one.name}  keeps revision {one.revision}"))


@click.command()
@click.argument("name")
@click.pass_obj
def unpin(loaded: LoadedSettings, name: str) -> None:
    """Take a pin away."""
    existing(loaded).retention.unpin(name)
    click.echo(f"{name} keeps nothing any more")


@click.command()
@json_option
@click.pass_obj
def purge(loaded: LoadedSettings, as_json: bool) -> None:
    """Take away now what retention no longer keeps; the service does it by itself every hour."""
    application = existing(loaded)
    before = application.catalog.counts()
    with application.catalog.writing() as connection:
        job_id = application.queue.enqueue_task(connection, PURGE, {})
    *_, job = followed(application, job_id)
    require_done(job)
    after = application.catalog.counts()
    gone = {name: before[name] - after[name] for name in ("versions", "chunks_kept")}
    if as_json:
        echo_json({"versions": gone["versions"], "chunks": gone["chunks_kept"]})
    else:
        click.echo(f"{gone['versions']} versions and {gone['chunks_kept']} chunks are gone")


COMMANDS = (revisions, rollback, batch, pin, pins, unpin, purge)
