"""A lease in the catalog: at most one holder, who is named, and whose place is free soon after it is gone.

The holder renews it from a thread of its own. Processes of the same machine see whether it lives, and take over at once
when it does not; one that lives has `HUNG_S` more to renew it, as after a pause of the whole machine. To others it is
gone when it has not renewed the lease for `LEASE_S`. Each taking has a higher term: what a holder writes is checked
against its term in the same transaction (`require`), so that one who was suspended and comes back after another has
taken over can change nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from ingest.catalog import schema, statements
from ingest.catalog.catalog import Catalog
from ingest.errors import IngestError, LeaseLost

log = logging.getLogger(__name__)

LEASE_S = 30.0
HUNG_S = 120.0
_RENEW_S = 10.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A process: its machine, number, and when it began, since numbers are used again.

    `machine` tells apart what can't see each other's processes: machines, their starts, and containers.
    """

    host: str
    pid: int
    began: str
    machine: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Holder:
    return Holder(socket.gethostname(), os.getpid(), _began(os.getpid()), _machine())


class Lease:
    """One name in one catalog, for one process."""

    def __init__(self, catalog: Catalog, name: str, holder: Holder | None = None) -> None:
        self._catalog = catalog
        self._name = name
        self._me = holder or this_process()
        self._term = 0
        self._renewing: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def held(self) -> bool:
        """Whether this process took it and has not seen that it was lost."""
        return self._term > 0

    def acquire(self) -> bool:
        """Takes the lease where it is free, and renews it from now on until it is released."""
        if self.held:
            return True
        with self._catalog.writing() as connection:
            row = _row(connection, self._name)
            if row is not None and not self._free(row):
                return False
            term = _take(connection, self._name, self._me, 0 if row is None else row["term"])
        self._term = term
        self._stop.clear()
        self._renewing = threading.Thread(target=self._renew, name=f"lease-{self._name}", daemon=True)
        self._renewing.start()
        return True

    def release(self) -> None:
        """Gives it back, so that the next one need not wait."""
        self._stop.set()
        if self._renewing is not None:
            self._renewing.join()
            self._renewing = None
        if not self.held:
            return
        table = schema.leases
        mine = (table.c.name == self._name) & (table.c.term == self._term)
        self._term = 0
        with self._catalog.writing() as connection:
            connection.execute(update(table).where(mine).values(expires_at=None))

    def require(self, connection: Connection) -> None:
        """Raises LeaseLost when another has it by now, in the caller's transaction."""
        row = _row(connection, self._name)
        if not self.held or row is None or row["term"] != self._term:
            self._term = 0
            raise LeaseLost(f"the lease {self._name} was taken by {_holder(row)}: this process had not renewed it")

    def holder(self) -> Holder | None:
        """Who has it; None where it is free."""
        with self._catalog.reading() as connection:
            row = _row(connection, self._name)
        return None if row is None or self._free(row) else _holder(row)

    def term(self) -> int | None:
        """The number of times that it was taken, which tells apart who has it now; None where it is free."""
        with self._catalog.reading() as connection:
            row = _row(connection, self._name)
        return None if row is None or self._free(row) else int(row["term"])

    def _free(self, row: RowMapping) -> bool:
        holder = _holder(row)
        if row["expires_at"] is None:
            return True
        expired = statements.aware(row["expires_at"])
        if holder is not None and holder.machine == self._me.machine:
            return _began(holder.pid) != holder.began or expired + timedelta(seconds=HUNG_S) <= _now()
        return expired <= _now()

    def _renew(self) -> None:
        table = schema.leases
        while not self._stop.wait(_RENEW_S):
            mine = (table.c.name == self._name) & (table.c.term == self._term)
            try:
                with self._catalog.writing(may_be_lost=True) as connection:
                    renewed = connection.execute(update(table).where(mine).values(expires_at=_until())).rowcount
            except IngestError as error:
                log.warning("the lease %s could not be renewed: %s", self._name, error)
                continue
            if not renewed:
                log.error("the lease %s was taken by another process", self._name)
                self._term = 0
                return


def _row(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(_BY_NAME, {"name": name}).mappings().one_or_none()


_BY_NAME = select(schema.leases).where(schema.leases.c.name == bindparam("name"))


def _take(connection: Connection, name: str, holder: Holder, term: int) -> int:
    table = schema.leases
    values = {
        "term": term + 1,
        "holder": asdict(holder),
        "expires_at": _until(),
    }
    if term:
        connection.execute(update(table).where(table.c.name == name).values(values))
    else:
        connection.execute(insert(table).values(name=name, **values))
    return term + 1


def _holder(row: RowMapping | None) -> Holder | None:
    return None if row is None else Holder(**row["holder"])


def _now() -> datetime:
    return datetime.now(UTC)


def _until() -> datetime:
    return _now() + timedelta(seconds=LEASE_S)


def _machine() -> str:
    """What processes that see each other have in common: this start of the machine, and the process namespace."""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"


def _began(pid: int) -> str:
    """When a process of this machine began, in ticks since the machine did; empty where it does not live."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name in brackets can hold anything; the fields behind it are numbered from 3, and the 22nd is the start.
    return stat.rsplit(")", 1)[1].split()[22 - 3]
