"""The command line: the options that all commands share, and what becomes of their errors."""

from __future__ import annotations

import logging
import sys
import uuid
from pathlib import Path
from typing import Any

import click

import ragstone
from ragstone.commands import (
    backup,
    collections,
    documents,
    evaluation,
    history,
    jobs,
    keys,
    quarantine,
    questions,
    service,
    sources,
    unbuilt,
    upkeep,
)
from ragstone.errors import BadSettings, KnownError
from ragstone.exit_codes import TRY_AGAIN, WRONG_REQUEST, exit_code_of
from ragstone.logs import log_from
from ragstone.rendering import one_line
from ragstone.settings import load_settings

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ragstone.__version__, prog_name="ragstone")
@click.option("--data", type=click.Path(path_type=Path), help="Where everything is kept (RAGSTONE_DATA).")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file; default: ./ragstone.toml if it exists.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Such as ingest.chunk_tokens=150.")
@click.option("--verbose", is_flag=True, help="Log what happens.")
@click.pass_context
def cli(
    context: click.Context, data: Path | None, config: Path | None, assignments: tuple[str, ...], verbose: bool
) -> None:
    """Ragstone keeps a language model current."""
    log_from(logging.INFO if verbose else logging.WARNING)
    flags: dict[str, Any] = {} if data is None else {"data": data}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not (equals and all(part.strip() for part in key.split("."))):
            raise BadSettings(f"--set {assignment}: write KEY=VALUE")
        flags[key.strip()] = value
    context.obj = load_settings(config, flags)


_TOPICS = (
    backup,
    collections,
    documents,
    evaluation,
    history,
    jobs,
    keys,
    quarantine,
    questions,
    service,
    sources,
    upkeep,
    unbuilt,
)
for topic in _TOPICS:
    for command in topic.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Runs a command and turns its errors into one line and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except KnownError as error:
        click.echo(one_line(f"ragstone: {error}"), err=True)
        sys.exit(exit_code_of(error.code))
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG_REQUEST)
    except (click.Abort, KeyboardInterrupt):
        click.echo("ragstone: stopped", err=True)
        sys.exit(TRY_AGAIN)
    except Exception as error:
        # Never 1: that would read as an answer.
        error_id = uuid.uuid4().hex[:12]
        log.info("bug %s", error_id, exc_info=error)
        said = f"ragstone: error {error_id}, a bug in Ragstone: {type(error).__name__}: {error}; --verbose shows more"
        click.echo(one_line(said), err=True)
        sys.exit(TRY_AGAIN)
