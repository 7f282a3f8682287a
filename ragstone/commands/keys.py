"""`keys`: made, listed and revoked on the data folder itself, by whoever has it."""

from __future__ import annotations

import click
from pydantic import ValidationError

from ingest.catalog.keys import ACTIONS, Grant, Key, KeyRing
from ragstone.commands.options import echo_json, existing, json_option, reading
from ragstone.errors import BadRequest
from ragstone.names import collection_name
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application


@click.group()
def keys() -> None:
    """API keys. As soon as there is one, every call of the service needs one."""


@keys.command()
@click.argument("name")
@click.option("--collection", "collections", multiple=True, help="For this collection only; may be repeated.")
@click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice(ACTIONS),
    help="What it may do; may be repeated. Default: read and ask.",
)
@click.option("--user", help="It asks in the name of this user only.")
@click.option("--requests-per-minute", type=int)
@click.option("--concurrent-answers", type=int)
@click.option("--upload-mib-per-day", type=float)
@json_option
@click.pass_obj
def create(
    loaded: LoadedSettings,
    name: str,
    collections: tuple[str, ...],
    actions: tuple[str, ...],
    user: str | None,
    requests_per_minute: int | None,
    concurrent_answers: int | None,
    upload_mib_per_day: float | None,
    as_json: bool,
) -> None:
    """Make a key and print its secret, which is not kept and can't be shown again."""
    limits = {
        "requests_per_minute": requests_per_minute,
        "concurrent_answers": concurrent_answers,
        "upload_mib_per_day": upload_mib_per_day,
    }
    asked: dict[str, object] = {
        "name": name,
        "collections": [collection_name(collection) for collection in collections] or None,
        "actions": actions or ("read", "ask"),
        "user": user,
        "limits": limits,
    }
    key, secret = KeyRing(Application(loaded.settings).catalog).create(_grant(asked))
    if as_json:
        echo_json({**key.model_dump(mode="json"), "key": secret})
        return
    click.echo(_line(key))
    click.echo("The key, which is shown this once; send it as `Authorization: Bearer KEY`:", err=True)
    click.echo(secret)


@keys.command("list")
@json_option
@click.pass_obj
def list_keys(loaded: LoadedSettings, as_json: bool) -> None:
    """List the keys, revoked ones too."""
    found = KeyRing(reading(loaded).catalog).keys()
    if as_json:
        echo_json({"keys": [key.model_dump(mode="json") for key in found]})
        return
    for key in found:
        click.echo(_line(key))


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
@click.pass_obj
def revoke(loaded: LoadedSettings, key_id: str, as_json: bool) -> None:
    """End a key for good, in a running service too."""
    ring = KeyRing(existing(loaded).catalog)
    key = ring.revoke(key_id)
    if as_json:
        echo_json(key.model_dump(mode="json"))
        return
    click.echo(_line(key))
    if not ring.any_in_force():
        click.echo("That was the last one: a service on this machine's own address is open to all its users again.")


def _grant(asked: dict[str, object]) -> Grant:
    """Raises BadRequest for what a key can't have."""
    try:
        return Grant.model_validate(asked)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise BadRequest(f"{field}: {problem['msg'].removeprefix('Value error, ')}", field) from error


def _line(key: Key) -> str:
    allowed = key.limits.model_dump().items()
    limits = [f"{name.replace('_', ' ')} {most:g}" for name, most in allowed if most is not None]
    parts = [
        f"{key.key_id}  {key.name}: {', '.join(key.actions)}",
        "all collections" if key.collections is None else f"collections {', '.join(key.collections)}",
        *([f"user {key.user}"] if key.user else []),
        *limits,
        *([f"revoked {key.revoked_at:%Y-%m-%d %H:%M} UTC"] if key.revoked_at else []),
    ]
    return one_line("; ".join(parts))


COMMANDS = (keys,)
