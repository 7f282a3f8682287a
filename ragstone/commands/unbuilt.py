"""Commands of the contract that are not built yet: they say so and exit with 2."""

from __future__ import annotations

import click

from ragstone.errors import NotBuilt

NAMES = ("release", "train", "adapters")


def _command(name: str) -> click.Command:
    @click.command(name, hidden=True, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def not_built(arguments: tuple[str, ...]) -> None:
        raise NotBuilt(f"`ragstone {name}` is part of the contract and not built yet")

    return not_built


COMMANDS = tuple(_command(name) for name in NAMES)
