"""Lists of jobs are light and come in pages; each job has its own outcomes in full."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update

from ingest.catalog import facts, schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import Lease
from ingest.errors import NotFound
from ingest.jobs.hindrances import WORKER
from ingest.jobs.queue import INGEST, REFRESH
from ingest.pipeline import IncomingFile, Ingestion
from ingest.sources.register import SourceRegister
from ingest.sources.types import SourceSettings
from ingest.types import JobSummary
from ingest.worker import Worker


def submit(ingestion: Ingestion, *names: str, collection: str = "default") -> str:
    files = [IncomingFile(name, name, b"" if name == "empty.md" else b"# Pump") for name in names]
    return ingestion.submit(files, collection, None)


def test_a_listed_job_has_counts_and_the_first_of_what_can_be_long(ingestion: Ingestion, catalog: Catalog) -> None:
    job_id = submit(ingestion, *(f"{number}.md" for number in range(9)), "empty.md")
    Worker(ingestion).work_off()
    read: list[str] = []

    @event.listens_for(catalog.database.engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        read.append(statement)

    (listed,) = ingestion.queue.list()
    event.remove(catalog.database.engine, "before_cursor_execute", note)
    assert listed.counts == {"indexed": 9, "failed": 1}
    assert (listed.problems_total, [its.code for its in listed.problems]) == (1, ["empty-document"])
    assert listed.uris == ("empty.md", "0.md", "1.md")
    assert not [its for its in read if re.search(r"(SELECT |, )jobs\.(outcomes|payload|problems)\b(,| \nFROM)", its)]
    job = ingestion.queue.get(job_id)
    assert (job.counts, len(job.documents), job.problems_total) == (listed.counts, 10, 1)
    shared = JobSummary.model_fields.keys() - {"uris"}
    assert {name: getattr(job, name) for name in shared} == {name: getattr(listed, name) for name in shared}


def test_jobs_come_in_pages_by_state_and_by_what_may_be_read(ingestion: Ingestion, catalog: Catalog) -> None:
    ids = [submit(ingestion, "a.md", collection=("default", "other")[number % 2]) for number in range(6)]
    with catalog.writing() as connection:
        connection.execute(update(schema.jobs).where(schema.jobs.c.job_id.in_(ids[:4])).values(state="done"))
        connection.execute(update(schema.jobs).where(schema.jobs.c.job_id == ids[0]).values(state="dead"))
    queue = ingestion.queue
    assert [job.job_id for job in queue.list()] == ids[::-1]
    first = queue.list(4)
    assert [job.job_id for job in (*first, *queue.list(4, after=first[-1].job_id))] == ids[::-1]
    assert [job.job_id for job in queue.list(states=["done"])] == [ids[3], ids[2], ids[1]]
    assert [job.job_id for job in queue.list(states=["done", "dead"], after=ids[2])] == [ids[1], ids[0]]
    own = queue.list(2, ["other"])
    assert [job.job_id for job in (*own, *queue.list(2, ["other"], after=own[-1].job_id))] == ids[5::-2]
    for cursor, readable in (("j-none", None), (ids[0], ["other"])):
        with pytest.raises(NotFound):
            queue.list(2, readable, after=cursor)


@pytest.mark.parametrize("state", ["dead", "failed", "cancelled", "running"])
def test_only_a_job_that_waits_is_tried_again_at_some_time(ingestion: Ingestion, catalog: Catalog, state: str) -> None:
    job_id = submit(ingestion, "a.md")
    later = datetime.now(UTC) + timedelta(hours=1)
    with catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(not_before=later, attempts=3))
    assert (ingestion.queue.get(job_id).not_before, ingestion.queue.list()[0].not_before) == (later, later)
    with catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(state=state))
    assert (ingestion.queue.get(job_id).not_before, ingestion.queue.list()[0].not_before) == (None, None)


def test_a_job_that_no_worker_is_at_says_so_and_not_how_long_it_takes(ingestion: Ingestion, catalog: Catalog) -> None:
    job_id = submit(ingestion, "a.md", "b.md")
    lease = Lease(catalog, WORKER)
    assert lease.acquire()
    assert ingestion.queue.claim() is not None
    with catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(done=1))

    def seen() -> tuple[str | None, bool]:
        (listed,), job = ingestion.queue.list(), ingestion.queue.get(job_id)
        assert (listed.hindrance, listed.state, job.state) == (job.hindrance, "running", "running")
        assert (listed.eta_s is None) == (job.eta_s is None)
        return job.hindrance, job.eta_s is not None

    assert seen() == (None, True)
    for uploads_only in (False, True):
        said = {"said": "the disk is full", "uploads_only": uploads_only, "term": lease.term()}
        with catalog.writing() as connection:
            facts.put(connection, facts.WORKER_PROBLEM, said)
            connection.execute(update(schema.jobs).values(kind=INGEST))
        assert seen() == ("worker-trouble", False)
        with catalog.writing() as connection:
            connection.execute(update(schema.jobs).values(kind="purge"))
        assert seen() == ((None, True) if uploads_only else ("worker-trouble", False))
    lease.release()
    assert seen() == ("no-worker", False)
    with catalog.writing() as connection:
        connection.execute(update(schema.jobs).values(state="done"))
    assert ingestion.queue.get(job_id).hindrance is None


def test_a_refresh_says_which_source_it_is_of(ingestion: Ingestion, catalog: Catalog) -> None:
    register = SourceRegister(catalog, ingestion.queue)
    register.put("docs", SourceSettings(kind="folder", location="/srv/docs"))
    (job_id,) = register.request("docs")
    submit(ingestion, "a.md")
    assert [(job.kind, job.source) for job in ingestion.queue.list()] == [("ingest", None), (REFRESH, "docs")]
    assert ingestion.queue.get(job_id).source == "docs"
