"""`quarantine`: what screening held back."""

from __future__ import annotations

from typing import get_args

import click

from ingest.quarantine import QuarantineItem, QuarantineState
from ragstone.commands.options import any_collection_option, echo_json, existing, json_option, reading
from ragstone.following import followed, require_done
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings


@click.group()
def quarantine() -> None:
    """Documents that are held back until somebody decides."""


@quarantine.command("list")
@click.option("--state", type=click.Choice(get_args(QuarantineState)), default="held", show_default=True)
@any_collection_option("Only of this collection.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@json_option
@click.pass_obj
def list_items(
    loaded: LoadedSettings, state: QuarantineState, collection: str | None, limit: int, as_json: bool
) -> None:
    """List what is held back, the newest first."""
    found = reading(loaded).quarantine.list(state, collection, limit)
    if as_json:
        echo_json({"items": [item.model_dump(mode="json") for item in found]})
        return
    for item in found:
        click.echo(one_line(f"{item.item_id}  {item.state}  {item.collection}/{item.uri}: {item.reason}"))


@quarantine.command()
@click.argument("item_id", metavar="ID")
@json_option
@click.pass_obj
def show(loaded: LoadedSettings, item_id: str, as_json: bool) -> None:
    """Show what was found in a document."""
    item = reading(loaded).quarantine.get(item_id)
    if as_json:
        echo_json(item.model_dump(mode="json"))
        return
    click.echo(one_line(f"{item.item_id}  {item.state}  {item.collection}/{item.uri}, {item.size_bytes} bytes"))
    for finding in item.findings:
        click.echo(one_line(f"  {finding.kind} ({finding.score:.2f}): {finding.reason}"))
        if finding.preview:
            click.echo(one_line(f"    “{finding.preview}”"))


@quarantine.command()
@click.argument("item_id", metavar="ID")
@json_option
@click.pass_obj
def release(loaded: LoadedSettings, item_id: str, as_json: bool) -> None:
    """Take a document in as it was uploaded."""
    application = existing(loaded)
    job_id = application.quarantine.release(item_id, by="command line")
    jobs = [] if job_id is None else list(followed(application, job_id))
    item = application.quarantine.get(item_id)
    if as_json:
        echo_json({"item": item.model_dump(mode="json"), "job_id": job_id})
    else:
        click.echo(_line(item))
    for job in jobs[-1:]:
        require_done(job)


@quarantine.command()
@click.argument("item_id", metavar="ID")
@json_option
@click.pass_obj
def reject(loaded: LoadedSettings, item_id: str, as_json: bool) -> None:
    """Refuse a document for good, and the same content when it comes again."""
    application = existing(loaded)
    application.ingestion.remove_unused(application.quarantine.reject(item_id, by="command line"))
    item = application.quarantine.get(item_id)
    if as_json:
        echo_json(item.model_dump(mode="json"))
    else:
        click.echo(_line(item))


def _line(item: QuarantineItem) -> str:
    return one_line(f"{item.item_id}  {item.state}  {item.collection}/{item.uri}")


COMMANDS = (quarantine,)
