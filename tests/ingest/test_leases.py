from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, update

from ingest.catalog import schema
from ingest.catalog.catalog import Catalog
from ingest.catalog.leases import HUNG_S, Holder, Lease, this_process
from ingest.errors import LeaseLost

ELSEWHERE = Holder("another-machine", 17, "1", "another start")


def let_run_out(catalog: Catalog, ago_s: float = 0) -> None:
    with catalog.writing() as connection:
        ended = datetime.now(UTC) - timedelta(seconds=1 + ago_s)
        connection.execute(update(schema.leases).values(expires_at=ended))


def test_a_second_taker_is_told_who_holds_it(catalog: Catalog) -> None:
    first, second = Lease(catalog, "worker"), Lease(catalog, "worker", ELSEWHERE)
    assert first.acquire()
    assert not second.acquire()
    assert second.holder() == this_process()
    assert str(second.holder()).startswith(f"process {os.getpid()} on ")
    first.release()
    assert second.holder() is None
    assert second.acquire()
    second.release()


def test_leases_of_different_names_do_not_hinder_each_other(catalog: Catalog) -> None:
    first, second = Lease(catalog, "one"), Lease(catalog, "two")
    assert first.acquire() and second.acquire()
    first.release()
    assert not first.held and second.held
    second.release()


def test_a_lease_that_was_not_renewed_goes_to_another_machine(catalog: Catalog) -> None:
    lost, heir = Lease(catalog, "worker", ELSEWHERE), Lease(catalog, "worker")
    assert lost.acquire()
    assert not heir.acquire()
    let_run_out(catalog)
    assert heir.acquire()
    with catalog.writing() as connection, pytest.raises(LeaseLost, match="process"):
        lost.require(connection)
    assert not lost.held
    with catalog.writing() as connection:
        heir.require(connection)
    lost.release()
    assert heir.holder() == this_process()
    heir.release()


def test_on_the_same_machine_a_living_holder_has_more_time_until_it_counts_as_hung(catalog: Catalog) -> None:
    first, second = Lease(catalog, "worker"), Lease(catalog, "worker")
    assert first.acquire()
    let_run_out(catalog)
    assert not second.acquire()
    let_run_out(catalog, HUNG_S)
    assert second.acquire()
    with catalog.writing() as connection, pytest.raises(LeaseLost):
        first.require(connection)
    first.release()
    second.release()


def _take_and_die(catalog_url: URL) -> None:
    assert Lease(Catalog(catalog_url), "worker").acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_lease_of_a_killed_process_is_free_at_once(catalog: Catalog, catalog_url: URL) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(catalog_url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    lease = Lease(catalog, "worker")
    assert lease.acquire()
    lease.release()


def test_a_released_lease_can_be_taken_again_by_the_same_process(catalog: Catalog) -> None:
    lease = Lease(catalog, "worker")
    for _ in range(2):
        assert lease.acquire()
        lease.release()
    with catalog.writing() as connection, pytest.raises(LeaseLost):
        lease.require(connection)
