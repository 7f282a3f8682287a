"""What the commands share: options, and the way they print."""

from __future__ import annotations

import json
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
collection_option = click.option("--collection", default="default", show_default=True)


def echo_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
