"""`jobs`: what the worker has done, does and is still to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import click

from ingest.catalog.catalog import Catalog
from ingest.jobs.hindrances import problem_of_worker
from ingest.types import Job, JobState, JobSummary
from ragstone.commands.options import echo_json, existing, json_option, reading
from ragstone.rendering import one_line, outcome_lines
from ragstone.settings import LoadedSettings


@click.group()
def jobs() -> None:
    """The work on the index: uploads, refreshes, erasures, purges, another embedder."""


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(get_args(JobState)), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--after", metavar="ID", help="Those that came before this job.")
@json_option
@click.pass_obj
def list_jobs(
    loaded: LoadedSettings, states: tuple[JobState, ...], limit: int, after: str | None, as_json: bool
) -> None:
    """List the newest jobs."""
    application = reading(loaded)
    found = application.queue.list(limit, states=states, after=after)
    cursor = found[-1].job_id if len(found) == limit else None
    if as_json:
        echo_json({"jobs": [job.model_dump(mode="json") for job in found], "next_cursor": cursor})
        return
    for job in found:
        click.echo(_line(job, application.catalog))


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def show(loaded: LoadedSettings, job_id: str, as_json: bool) -> None:
    """Show a job with what became of its files."""
    application = reading(loaded)
    job = application.queue.get(job_id)
    if as_json:
        echo_json(job.model_dump(mode="json"))
        return
    click.echo(_line(job, application.catalog))
    for outcome in job.documents:
        for line in outcome_lines(outcome):
            click.echo(line)
    told = {outcome.problem for outcome in job.documents}
    for problem in job.problems:
        if problem not in told:
            click.echo(one_line(f"{problem.code}: {problem.detail}"))


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def cancel(loaded: LoadedSettings, job_id: str, as_json: bool) -> None:
    """Ask a job to stop after the files at hand; what it has done stays."""
    application = existing(loaded)
    job = application.ingestion.cancel(job_id)
    if as_json:
        echo_json(job.model_dump(mode="json"))
    else:
        click.echo(_line(job, application.catalog))


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def retry(loaded: LoadedSettings, job_id: str, as_json: bool) -> None:
    """Queue a job once more that was given up (`dead`); the service does it, or the next command that works."""
    application = existing(loaded)
    job = application.queue.retry(job_id)
    if as_json:
        echo_json(job.model_dump(mode="json"))
    else:
        click.echo(_line(job, application.catalog))


def _line(job: Job | JobSummary, catalog: Catalog) -> str:
    """The job with how far it is and its first problem."""
    left = "" if job.eta_s is None else f", about {job.eta_s:.0f} s left"
    counts = ", ".join(f"{number} {state}" for state, number in sorted(job.counts.items()))
    more = f" (and {job.problems_total - 1} more)" if job.problems_total > 1 else ""
    problem = f": {job.problems[0].detail}{more}" if job.problems else ""
    when = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    waits = job.not_before is not None and job.attempts and job.not_before > datetime.now(UTC)
    later = f", tried again at {job.not_before.astimezone():%H:%M:%S}" if job.not_before and waits else ""
    what = job.kind if job.source is None else f"{job.kind} of {job.source}"
    far = f", {job.done} of {job.total}{f' ({counts})' if counts else ''}" if job.total else ""
    return one_line(f"{job.job_id}  {when}  {what} {_state(job, catalog)}{far}{left}{later}{problem}")


def _state(job: Job | JobSummary, catalog: Catalog) -> str:
    if job.hindrance == "no-worker":
        return "waits for a worker (`ragstone serve` or `ragstone daemon`)"
    said = problem_of_worker(catalog, job.kind) if job.hindrance is not None else None
    return job.state if said is None else f"waits, because {said}"


COMMANDS = (jobs,)
