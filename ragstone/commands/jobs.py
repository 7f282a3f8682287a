"""`jobs`: what the worker has done, does and is still to do."""

from __future__ import annotations

import click

from ingest.types import Job
from ragstone.commands.options import echo_json, existing, json_option, reading
from ragstone.rendering import one_line
from ragstone.settings import LoadedSettings


@click.group()
def jobs() -> None:
    """The work on the index: uploads, refreshes, erasures, purges, another embedder."""


@jobs.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
@click.pass_obj
def list_jobs(loaded: LoadedSettings, limit: int, as_json: bool) -> None:
    """List the newest jobs."""
    found = reading(loaded).queue.list(limit)
    if as_json:
        echo_json({"jobs": [job.model_dump(mode="json") for job in found]})
        return
    for job in found:
        click.echo(_line(job))


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def cancel(loaded: LoadedSettings, job_id: str, as_json: bool) -> None:
    """Ask a job to stop after the files at hand; what it has done stays."""
    job = existing(loaded).ingestion.cancel(job_id)
    if as_json:
        echo_json(job.model_dump(mode="json"))
    else:
        click.echo(_line(job))


@jobs.command()
@click.argument("job_id", metavar="ID")
@json_option
@click.pass_obj
def retry(loaded: LoadedSettings, job_id: str, as_json: bool) -> None:
    """Queue a job once more that was given up (`dead`); the service does it, or the next command that works."""
    job = existing(loaded).queue.retry(job_id)
    if as_json:
        echo_json(job.model_dump(mode="json"))
    else:
        click.echo(_line(job))


def _line(job: Job) -> str:
    """The job with how far it is and its first problem."""
    left = "" if job.eta_s is None else f", about {job.eta_s:.0f} s left"
    more = f" (and {len(job.problems) - 1} more)" if len(job.problems) > 1 else ""
    problem = f": {job.problems[0].detail}{more}" if job.problems else ""
    when = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    later = f", tried again at {job.not_before.astimezone():%H:%M:%S}" if job.not_before and job.attempts else ""
    return one_line(f"{job.job_id}  {when}  {job.kind} {job.state}, {job.done} of {job.total}{left}{later}{problem}")


COMMANDS = (jobs,)
