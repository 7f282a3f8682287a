"""Revisions in a row, intervals that can be, and the same shown by showings and by occurrences at every revision."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, func, or_, select, update

from ingest.catalog import facts, schema, statements
from ragstone.doctor.findings import Finding, listed

if TYPE_CHECKING:
    from ragstone.wiring import Application

_ROWS = 4096
_NEVER = 2**31 - 1
_RESTORE = "restore a backup"


@dataclass(frozen=True, slots=True)
class Shown:
    """A version from one revision to another, exclusive."""

    version: int
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Occurrences of one version with the same interval: how many, and their lowest and highest ordinal."""

    version: int
    added: int
    removed: int
    count: int
    lowest: int
    highest: int


def check(application: Application) -> Iterator[Finding]:
    with application.catalog.reading() as connection:
        head = statements.head(connection)
        yield from _revisions(application, connection)
        yield from _limits(connection, head)
        yield from _counts(connection)
        for table, what in ((schema.showings, "showing"), (schema.occurrences, "occurrence")):
            yield from _intervals(connection, table, what, head)
        yield from _at_once(connection)
        yield from _agreement(connection, head)


def disagreement(
    shown: Sequence[Shown], standing: Sequence[Standing], oldest: int, pins: Sequence[int], head: int
) -> str | None:
    """What is wrong with a document at the first kept revision at which its showings and occurrences differ.

    Kept are the revisions from `oldest` to `head`, and `pins`: retention has taken what only others showed. At each of
    them the versions shown are those that have occurrences, and these have the ordinals 0, 1, 2… without a gap.
    """
    changes: dict[int, list[tuple[int, Shown | Standing]]] = defaultdict(list)
    rows: list[Shown | Standing] = [*shown, *standing]
    for row in rows:
        if row.added < row.removed:
            changes[row.added].append((1, row))
            changes[row.removed].append((-1, row))
    points = {oldest, *pins} | {revision for revision in changes if oldest <= revision <= head}
    versions: Counter[int] = Counter()
    pieces: Counter[Standing] = Counter()
    for revision in sorted(points | {revision for revision in changes if revision <= head}):
        for sign, row in changes.get(revision, ()):
            if isinstance(row, Shown):
                versions[row.version] += sign
            else:
                pieces[row] += sign
        if revision in points:
            there = [piece for piece, count in pieces.items() for _ in range(count)]
            fault = _fault({version for version, count in versions.items() if count > 0}, there)
            if fault is not None:
                return f"at revision {revision} {fault}"
    return None


def _fault(shown: set[int], there: Sequence[Standing]) -> str | None:
    stand = {piece.version for piece in there}
    if shown - stand:
        return f"version {min(shown - stand)} is shown and has no occurrences"
    if stand - shown:
        return f"version {min(stand - shown)} has occurrences and is not shown"
    for version in stand:
        its = [piece for piece in there if piece.version == version]
        expected = max(piece.highest for piece in its) + 1
        if min(piece.lowest for piece in its) or sum(piece.count for piece in its) != expected:
            return f"version {version} has {sum(piece.count for piece in its)} occurrences of {expected}"
    return None


def _agreement(connection: Connection, head: int) -> Iterator[Finding]:
    horizons = {row.collection: row.horizon for row in connection.execute(select(schema.collections))}
    pins = [pin for pin in connection.execute(select(schema.pins.c.revision)).scalars() if 1 <= pin <= head]
    documents = schema.documents
    collections = groupby(
        _streamed(
            connection, select(documents.c.document_id, documents.c.collection).order_by(documents.c.document_id)
        ),
        key=lambda row: str(row[0]),
    )
    shown = groupby(_streamed(connection, _showings()), key=lambda row: str(row[0]))
    standing = groupby(_streamed(connection, _occurrences()), key=lambda row: str(row[0]))
    for document_id, (place, showings, occurrences) in _side_by_side(collections, shown, standing):
        oldest = max(1, horizons.get(place[0][1], 0) if place else 0)
        fault = disagreement(
            [Shown(*row[1:]) for row in showings], [Standing(*row[1:]) for row in occurrences], oldest, pins, head
        )
        if fault is not None and head:
            yield Finding(f"of {document_id}, {fault}: {_RESTORE}")


def _side_by_side(*streams: Iterator[tuple[str, Iterator[Any]]]) -> Iterator[tuple[str, list[list[Any]]]]:
    """Groups of several streams, each ordered by key, with the groups of the same key together."""
    waiting = [next(((key, list(group)) for key, group in stream), None) for stream in streams]
    while any(entry is not None for entry in waiting):
        first = min(entry[0] for entry in waiting if entry is not None)
        yield first, [entry[1] if entry is not None and entry[0] == first else [] for entry in waiting]
        for place, stream in enumerate(streams):
            entry = waiting[place]
            if entry is not None and entry[0] == first:
                waiting[place] = next(((key, list(group)) for key, group in stream), None)


def _showings() -> Any:
    table = schema.showings
    return select(table.c.document_id, table.c.version, table.c.added_in, _end(table)).order_by(table.c.document_id)


def _occurrences() -> Any:
    table = schema.occurrences
    interval = (table.c.document_id, table.c.version, table.c.added_in, _end(table))
    numbers = (func.count(), func.min(table.c.ordinal), func.max(table.c.ordinal))
    return select(*interval, *numbers).group_by(*interval).order_by(table.c.document_id)


def _end(table: Any) -> Any:
    return func.coalesce(table.c.removed_in, _NEVER)


def _revisions(application: Application, connection: Connection) -> Iterator[Finding]:
    table = schema.revisions
    before = func.lag(table.c.revision).over(order_by=table.c.revision)
    last = select(table.c.revision, func.coalesce(before, 0).label("before")).subquery()
    gaps = select(last.c.before, last.c.revision).where(last.c.revision != last.c.before + 1)
    for low, high in connection.execute(gaps):
        which = f"revision {low + 1} is" if high == low + 2 else f"revisions {low + 1} to {high - 1} are"
        yield Finding(f"{which} missing: {_RESTORE}")
    earlier = func.max(table.c.created_at).over(order_by=table.c.revision, rows=(None, -1))
    timed = select(table.c.revision, table.c.created_at, earlier.label("earlier")).subquery()
    back = connection.execute(select(timed.c.revision).where(timed.c.created_at < timed.c.earlier)).scalars()
    if said := listed(back):
        yield Finding(
            f"the time goes back at revision {said}: the clock was set back", partial(_let_time_stand, application)
        )


def _let_time_stand(application: Application) -> None:
    """Gives each revision whose time lies before that of an earlier one the time of that one."""
    table = schema.revisions
    with application.catalog.writing() as connection:
        latest = None
        for revision, created_at in connection.execute(
            select(table.c.revision, table.c.created_at).order_by(table.c.revision)
        ).all():
            moment = statements.aware(created_at)
            latest = moment if latest is None else max(latest, moment)
            if moment < latest:
                connection.execute(update(table).where(table.c.revision == revision).values(created_at=latest))


def _limits(connection: Connection, head: int) -> Iterator[Finding]:
    collections, pins = schema.collections, schema.pins
    wrong = or_(collections.c.horizon < 0, collections.c.horizon > head)
    for name, horizon in connection.execute(select(collections.c.collection, collections.c.horizon).where(wrong)):
        yield Finding(f"collection {name} keeps what revision {horizon} shows, and the newest is {head}: {_RESTORE}")
    for name, revision in connection.execute(select(pins.c.name, pins.c.revision).where(pins.c.revision > head)):
        yield Finding(f"the pin {name} holds revision {revision}, and the newest is {head}: take it away")


def _counts(connection: Connection) -> Iterator[Finding]:
    """A revision says how much it added and removed; rows that it has can be fewer once something was purged."""
    revisions, table = schema.revisions, schema.occurrences
    purged = bool(facts.get(connection, facts.PURGES))
    for said, column in ((revisions.c.added, table.c.added_in), (revisions.c.removed, table.c.removed_in)):
        rows = select(column.label("revision"), func.count().label("rows")).group_by(column).subquery()
        there = func.coalesce(rows.c.rows, 0)
        query = select(revisions.c.revision, said, there).outerjoin(rows, rows.c.revision == revisions.c.revision)
        wrong = said < there if purged else said != there
        for revision, count, found in connection.execute(query.where(wrong).order_by(revisions.c.revision)):
            yield Finding(
                f"revision {revision} {said.name} {count} occurrences and there are {found} of them: {_RESTORE}"
            )


def _intervals(connection: Connection, table: Any, what: str, head: int) -> Iterator[Finding]:
    (number,) = table.primary_key
    query = select(number, table.c.document_id, table.c.added_in, table.c.removed_in).order_by(number)
    inverted = or_(table.c.added_in < 1, table.c.removed_in <= table.c.added_in)
    beyond = or_(table.c.added_in > head, table.c.removed_in > head)
    name: Callable[[Any], str] = lambda row: f"{row[0]} of {row[1]} (from {row[2]} to {row[3]})"  # noqa: E731
    for wrong, said in (
        (inverted, "ends before it begins"),
        (beyond & ~case((inverted, True), else_=False), f"reaches beyond revision {head}, which is the newest"),
    ):
        if rows := listed(map(name, connection.execute(query.where(wrong)))):
            yield Finding(f"{what} {rows} {said}: {_RESTORE}")


def _at_once(connection: Connection) -> Iterator[Finding]:
    showings, occurrences = schema.showings, schema.occurrences
    shown = _overlapping(showings, (showings.c.document_id,))
    if said := listed(f"{row.document_id} from revision {row.added_in} on" for row in connection.execute(shown)):
        yield Finding(f"two versions are shown at once of {said}: {_RESTORE}")
    its = (occurrences.c.document_id, occurrences.c.version, occurrences.c.ordinal)
    doubled = connection.execute(_overlapping(occurrences, its))
    if said := listed(
        f"{row.occurrence_id} (chunk {row.ordinal} of {row.document_id} version {row.version})" for row in doubled
    ):
        yield Finding(f"another occurrence stands at the same place and time as {said}: {_RESTORE}")


def _overlapping(table: Any, same: Sequence[Any]) -> Any:
    """Rows that begin while an earlier one with equal columns `same` has not ended."""
    (number,) = table.primary_key
    ended = func.max(_end(table)).over(partition_by=same, order_by=(table.c.added_in, number), rows=(None, -1))
    query = select(number, *same, table.c.added_in, ended.label("before")).subquery()
    return select(query).where(query.c.before > query.c.added_in)


def _streamed(connection: Connection, query: Any) -> Iterator[Any]:
    return iter(connection.execute(query.execution_options(yield_per=_ROWS)))
