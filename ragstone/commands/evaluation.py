"""`eval`: measures a part on labelled data."""

from __future__ import annotations

from pathlib import Path

import click

from ragstone.commands.options import echo_json, json_option
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application


@click.group("eval")
def evaluate() -> None:
    """Measure a part on labelled data."""


@evaluate.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def verifier(loaded: LoadedSettings, file: Path, as_json: bool) -> None:
    """Judge the verifier on FILE: JSONL rows with `context`, `answer` and `label`."""
    from evals.run import evaluate_verifier, read_rows

    report = evaluate_verifier(Application(loaded.settings).verifier, read_rows(file))
    if as_json:
        echo_json(report.model_dump(mode="json"))
        return
    for name, value in report.model_dump().items():
        click.echo(f"{name:<18} {value}")


COMMANDS = (evaluate,)
