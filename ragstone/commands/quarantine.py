"""`quarantine`: what screening held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import click

from ingest.quarantine.quarantine import FindingInfo, Quarantine, QuarantineDetail, QuarantineItem, QuarantineState
from ingest.quarantine.texts import HeldChange
from ragstone.commands.options import any_collection_option, echo_json, existing, json_option, reading
from ragstone.following import followed, require_done
from ragstone.rendering import laid_open, marked_lines, one_line
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
@click.option("--document", metavar="ID", help="Of a refresh that is held back: this document before and after.")
@json_option
@click.pass_obj
def show(loaded: LoadedSettings, item_id: str, document: str | None, as_json: bool) -> None:
    """Show what was found and where it stands in the whole text, or what a refresh would change.

    What can't be seen or moves the cursor stands as an escape.
    """
    found = reading(loaded).quarantine
    if document is not None:
        _show_change(found, item_id, document, as_json)
        return
    item = _whole(found, item_id)
    if as_json:
        echo_json(item.model_dump(mode="json"))
        return
    click.echo(one_line(f"{item.item_id}  {item.state}  {item.collection}/{item.uri}, {item.size_bytes} bytes"))
    for number, finding in enumerate(item.findings, 1):
        click.echo(_shown(f"  {number}. {finding.kind} ({finding.score:.2f}): {finding.reason}{_place(finding)}"))
        if finding.preview:
            click.echo(_shown(f"     “{finding.preview}”"))
    for change in item.changes:
        click.echo(_shown(f"  {change.change:<8} {change.document_id}  {change.uri}{_lengths(change)}"))
    if item.changes_total:
        left = item.changes_total - len(item.changes)
        more = f"and {left} more; " if left else ""
        click.echo(f"  {more}`--document ID` shows one before and after")
    if item.title:
        click.echo(_shown(f"title: {item.title}"))
    for part in item.hidden:
        page = f" on page {part.page}" if part.page else ""
        _show_text(f"hidden{page} ({part.how})", part.text)
    if item.text is not None:
        spans = [(its.start or 0, its.end or 0) for its in item.findings]
        _show_text("text", item.text, spans)
    elif item.text_problem and not item.changes:
        click.echo(item.text_problem)


def _whole(found: Quarantine, item_id: str) -> QuarantineDetail:
    """The item with all of its text."""
    item = found.read(item_id)
    pieces = [item.text or ""]
    read = len(pieces[0])
    while read < (item.text_characters or 0):
        piece = found.read(item_id, read).text
        if not piece:  # it was decided meanwhile
            break
        pieces.append(piece)
        read += len(piece)
    return item.model_copy(update={"text": None if item.text is None else "".join(pieces)})


def _show_change(found: Quarantine, item_id: str, document_id: str, as_json: bool) -> None:
    change = found.changed_text(item_id, document_id)
    if as_json:
        echo_json(change.model_dump(mode="json"))
        return
    click.echo(_shown(f"{change.change}  {change.document_id}  {change.uri}{_lengths(change)}"))
    for when, part in (("before", change.before), ("after", change.after)):
        if part is not None:
            _show_text(when, part.text)
            if len(part.text) < part.characters:
                click.echo(f"the first {len(part.text):,} of {part.characters:,} characters")


def _show_text(name: str, text: str, spans: Sequence[tuple[int, int]] = ()) -> None:
    click.echo(f"{name}, {len(text):,} characters:")
    for line in marked_lines(text, spans):
        click.echo(line)


def _shown(text: str) -> str:
    return one_line(laid_open(text))


def _place(finding: FindingInfo) -> str:
    return "" if finding.start is None else f", characters {finding.start} to {finding.end}"


def _lengths(change: HeldChange) -> str:
    known = (change.characters_before, change.characters_after)
    return f", {' to '.join('none' if its is None else f'{its:,}' for its in known)} characters"


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
