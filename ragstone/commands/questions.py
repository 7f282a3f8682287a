"""`search` and `ask`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from datetime import datetime

import click

from generation.types import Answer, Ask, Done, DraftPiece
from ragstone.commands.options import (
    any_collection_option,
    as_of_option,
    batch_option,
    collection_option,
    echo_json,
    json_option,
    reading,
    text_argument,
)
from ragstone.rendering import answer_lines, passage_lines, printable
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application


@click.command()
@text_argument("query")
@any_collection_option("Only this collection; default: all.")
@click.option("-k", type=click.IntRange(1, 1000), help="Number of passages.")
@click.option("--mode", type=click.Choice(["hybrid", "dense", "lexical"]), default="hybrid", show_default=True)
@as_of_option("Search the index as of this revision or time.")
@batch_option("See what this batch does on top of the newest revision.")
@json_option
@click.pass_obj
def search(
    loaded: LoadedSettings,
    query: str,
    collection: str | None,
    k: int | None,
    mode: str,
    as_of: int | datetime | None,
    batch: str | None,
    as_json: bool,
) -> None:
    """Find passages."""
    from retrieval.search import SearchRequest

    collections = None if collection is None else frozenset([collection])
    request = SearchRequest(query, collections, k, mode, as_of, batch)  # type: ignore[arg-type]
    result = reading(loaded).searcher.search(request)
    if as_json:
        echo_json(result.model_dump(mode="json"))
        return
    for number, passage in enumerate(result.passages, start=1):
        for line in passage_lines(passage, number):
            click.echo(line)


@click.command()
@text_argument("question")
@collection_option
@click.option("-k", type=click.IntRange(1, 1000), help="Number of passages to look at.")
@as_of_option("Ask the index as of this revision or time.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the sampling.")
@click.option("--strict", is_flag=True, help="No reuse of cached state, so that it can be replayed token for token.")
@json_option
@click.pass_obj
def ask(
    loaded: LoadedSettings,
    question: str,
    collection: str,
    k: int | None,
    as_of: int | datetime | None,
    seed: int | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Ask a question; the answer comes with citations, evidence and a verdict."""
    request = Ask(question=question, collection=collection, k=k, as_of=as_of, seed=seed, strict=strict)
    answer = asyncio.run(_answer(reading(loaded), request, show_draft=sys.stderr.isatty() and not as_json))
    if as_json:
        echo_json(answer.model_dump(mode="json"))
        return
    for line in answer_lines(answer):
        click.echo(line)


async def _answer(application: Application, request: Ask, *, show_draft: bool) -> Answer:
    """The finished answer; on a terminal the draft is shown dimly on the way."""
    try:
        async with aclosing(application.answerer.answer(request)) as events:
            async for event in events:
                if isinstance(event, DraftPiece) and show_draft:
                    click.secho(printable(event.text), dim=True, nl=False, err=True)
                elif isinstance(event, Done):
                    if show_draft:
                        click.echo("\n", err=True)
                    return event.answer
        raise AssertionError("the events of an answer end with the answer")
    finally:
        await application.language_model.aclose()


COMMANDS = (search, ask)
