"""Why jobs that are not done yet don't go on: no process is the worker, or the one that is can't work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ingest.catalog import facts
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import Lease
from ingest.jobs.statements import FINISHED, INGEST
from ingest.types import Hindrance, Job, JobSummary

# The lease of the process that does the jobs.
WORKER = "worker"
_Job = TypeVar("_Job", Job, JobSummary)


def problem_of_worker(catalog: Catalog, kind: str = INGEST) -> str | None:
    """Why jobs of a kind wait, as the process says that does them, whichever it is.

    None where none does, or all is well, or only uploads wait. What the process before it said does not count.
    """
    return _problem_of(catalog, Lease(catalog, WORKER).term(), kind)


def with_hindrances(catalog: Catalog, jobs: Sequence[_Job]) -> list[_Job]:
    """The jobs, each with what hinders it; how much time is left is told of those only that go on."""
    hindrances = {kind: _hindrance(catalog, kind) for kind in {its.kind for its in jobs if its.state not in FINISHED}}
    return [
        job.model_copy(update={"hindrance": hindrances[job.kind], "eta_s": None})
        if job.state not in FINISHED and hindrances[job.kind] is not None
        else job
        for job in jobs
    ]


def _hindrance(catalog: Catalog, kind: str) -> Hindrance | None:
    term = Lease(catalog, WORKER).term()
    if term is None:
        return "no-worker"
    return "worker-trouble" if _problem_of(catalog, term, kind) is not None else None


def _problem_of(catalog: Catalog, term: int | None, kind: str) -> str | None:
    problem = None if term is None else catalog.fact(facts.WORKER_PROBLEM)
    if problem is None or problem["term"] != term or (problem["uploads_only"] and kind != INGEST):
        return None
    return str(problem["said"])
