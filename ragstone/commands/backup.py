"""`backup`, `restore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragstone.commands.options import echo_json, json_option, progress_shown, reading
from ragstone.exit_codes import ANSWER_IS_NO
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings

if TYPE_CHECKING:
    from ragstone.backups.archive import Manifest


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@json_option
@click.pass_obj
def backup(loaded: LoadedSettings, file: Path, force: bool, as_json: bool) -> None:
    """Write catalog and originals to FILE, while the service runs.

    Exits with 1 when originals were missing or damaged: all else is in the backup.
    """
    from ragstone.backups.taking import Source, take

    application = reading(loaded)
    source = Source(application.catalog, application.originals, loaded.settings.data)
    with progress_shown("Backing up", as_json) as progress:
        manifest = take(source, file, force=force, progress=progress)
    size = file.stat().st_size
    if as_json:
        echo_json({"file": str(file), "bytes": size, **_described(manifest)})
    else:
        click.echo(one_line(f"{file}: {_summary(manifest)}, {size / 1e6:,.1f} MB"))
        for content_hash in manifest.absent:
            click.echo(
                f"not in it: the original {content_hash[:12]}… is missing or damaged; `ragstone doctor` says more"
            )
    sys.exit(ANSWER_IS_NO if manifest.absent else 0)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace what the data folder holds.")
@json_option
@click.pass_obj
def restore(loaded: LoadedSettings, file: Path, force: bool, as_json: bool) -> None:
    """Restore a backup into an empty data folder, or over one whose service is stopped.

    What was erased after the backup was taken stays erased.
    """
    from ragstone.backups.restoring import restore

    url = loaded.settings.ingest.catalog_url
    with progress_shown("Restoring", as_json) as progress:
        done = restore(
            file,
            loaded.settings.data,
            None if url is None else url.get_secret_value(),
            force=force,
            progress=progress,
        )
    if as_json:
        echo_json({**_described(done.manifest), "erased_since": done.erased, "unknown": done.unknown})
        return
    click.echo(f"restored {_summary(done.manifest)}, as of {done.manifest.created_at}")
    if done.erased:
        click.echo(f"{done.erased} documents that were erased since stay erased")
    if done.unknown is not None:
        click.echo(one_line(f"documents that were erased since may be back: {done.unknown}"))


def _summary(manifest: Manifest) -> str:
    counts = manifest.counts
    return f"revision {manifest.revision}, {counts['documents']} documents, {counts['versions']} versions"


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "revision": manifest.revision,
        "created_at": manifest.created_at,
        "catalog_id": manifest.catalog_id,
        "schema": manifest.schema,
        "counts": dict(manifest.counts),
        "originals": len(manifest.members) - 1,
        "absent": list(manifest.absent),
    }


COMMANDS = (backup, restore)
