"""`collections`."""

from __future__ import annotations

import json

import click

from ingest.catalog.collection_settings import CollectionInfo, Collections
from ragstone.commands.options import echo_json, json_option
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application


@click.command()
@json_option
@click.pass_obj
def collections(loaded: LoadedSettings, as_json: bool) -> None:
    """List the collections; their settings are made by `PUT /v1/collections/NAME`."""
    found = Collections(Application(loaded.settings).catalog).all()
    if as_json:
        echo_json({"collections": [_shown(info) for info in found]})
        return
    for info in found:
        own = f", settings {json.dumps(info.settings, ensure_ascii=False)}" if info.settings else ""
        click.echo(one_line(f"{info.name}  {info.documents} documents, {info.chunks} chunks{own}"))


def _shown(info: CollectionInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "settings": info.settings,
        "documents": info.documents,
        "chunks": info.chunks,
        "created_at": info.created_at.isoformat(),
    }


COMMANDS = (collections,)
