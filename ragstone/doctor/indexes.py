"""The index against the catalog: its files, what both halves hold, and when each occurrence was visible.

Whatever is wrong here is derived, so that removing it loses nothing: it is made again at the next start.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from ingest.catalog import marks, schema
from ragstone.backups.copies import counters
from ragstone.doctor.contents import damaged_vectors, fill_space
from ragstone.doctor.findings import Finding, listed
from ragstone.doctor.rebuilding import alone, remove_parts
from retrieval.index_files import IndexFiles
from retrieval.intervals import NEVER
from retrieval.segments import SegmentStore

if TYPE_CHECKING:
    from ragstone.wiring import Application

Numbers = NDArray[np.int64]

_ROWS = 16_384
_MANIFEST = "manifest.json"
# A service that writes changes the files while they are looked at: then they are looked at again.
_LOOKS = 5


def segments(application: Application) -> Iterator[Finding]:
    """Files of the index that are missing, damaged, of another format, of another catalog, or left behind."""
    root = application.settings.data / "index"
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        for _ in range(_LOOKS):
            before = _manifest_bytes(folder)
            findings = list(_folder(folder, application))
            if _manifest_bytes(folder) == before:
                break
        yield from findings


def _folder(folder: Path, application: Application) -> Iterator[Finding]:
    remove = partial(_remove_folder, folder)
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        identity, names = dict(manifest["identity"]), {entry["name"] for entry in manifest["segments"]}
    except FileNotFoundError:
        if any(folder.iterdir()):
            yield Finding(f"index/{folder.name} has files and no manifest", remove)
        return
    except (OSError, ValueError, KeyError, TypeError):
        yield Finding(f"index/{folder.name}/{_MANIFEST} is damaged", remove)
        return
    catalog = application.catalog
    if identity.get("catalog") != catalog.catalog_id:
        yield Finding(f"index/{folder.name} was made from another catalog", remove)
        return
    store = SegmentStore(folder, identity, IndexFiles(folder.parent, catalog.catalog_id, catalog.has_mark))
    sound = {segment.name for segment in store.open()}
    for problem in store.problems:
        # Where nothing is sound but the reason is the manifest, there is nothing to keep.
        yield Finding(f"index/{problem}", remove if not sound else partial(_keep_sound, folder, identity))
    behind = sorted(path.name for path in folder.iterdir() if path.name not in names | {_MANIFEST})
    if behind:
        keep = partial(_keep_sound, folder, identity)
        yield Finding(f"index/{folder.name} has what an interrupted write left: {listed(behind)}", keep)


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / _MANIFEST).read_bytes()
    except OSError:
        return b""


def _keep_sound(folder: Path, identity: dict[str, Any]) -> None:
    """Takes all but the sound segments out of the folder; what they covered is filled from the catalog."""
    with alone(folder.parent):
        store = SegmentStore(folder, identity)
        store.commit(store.open())


def _remove_folder(folder: Path) -> None:
    with alone(folder.parent):
        shutil.rmtree(folder, ignore_errors=not folder.exists())


def halves(application: Application) -> Iterator[Finding]:
    """Both halves hold the chunks of the catalog, and nothing that was erased."""
    space = application.index.space
    lacking = application.catalog.chunk_inputs_without_vector(space, 1)
    if lacking and not application.spaces.being_filled(space.space_id):
        yield Finding("chunks have no vector of the current embedder", partial(fill_space, application))
    with application.catalog.reading() as connection:
        number = connection.execute(select(schema.spaces.c.number).where(schema.spaces.c.space_id == space.space_id))
        if any(damaged_vectors(connection, number.scalar() or 0, space.dimension, space.normalised)):
            yield Finding("the index can't be built from damaged vectors")
            return
    with application.catalog.reading() as connection:
        head, _ = application.index.follow(connection)
        shown = application.index.visible(connection, head, None).count
    counted = application.catalog.counts()["chunks"]
    if shown != counted:
        yield Finding(f"the index shows {shown} chunks where the catalog has {counted}", _rebuild(application))
    yield from _held(application)
    for name, chunks in zip(("lexical", "dense"), application.index.unlike(), strict=True):
        if said := listed(chunks):
            yield Finding(f"the {name} half holds chunk {said} otherwise than the catalog", _rebuild(application))


def _held(application: Application) -> Iterator[Finding]:
    """What each half holds against what the catalog has, and what it is still to forget."""
    index = application.index
    lexical, dense = index.held()
    with application.catalog.reading() as connection:
        chunks = _column(connection, select(schema.chunks.c.number).order_by(schema.chunks.c.number))
        space = select(schema.spaces.c.number).where(schema.spaces.c.space_id == index.space.space_id).scalar_subquery()
        table = schema.vectors
        embedded = _column(connection, select(table.c.chunk).where(table.c.space == space).order_by(table.c.chunk))
        given = counters(connection).get(schema.chunks.name, 0)
        gone = _column(connection, select(schema.chunks_gone.c.number))
    for name, held, wanted in (("lexical", lexical, chunks), ("dense", dense, embedded)):
        if said := listed(np.setdiff1d(wanted, held)):
            yield Finding(f"the {name} half lacks chunk {said}", _rebuild(application))
        if len(held) != len(np.unique(held)):
            yield Finding(f"the {name} half holds chunks twice", _rebuild(application))
        unknown = np.setdiff1d(held, np.union1d(wanted, gone))
        if said := listed(unknown[unknown > given]):
            yield Finding(f"the {name} half holds chunk {said}, which the catalog never had", _rebuild(application))
        elif said := listed(unknown):
            forget = partial(_forget, application, unknown)
            yield Finding(f"the {name} half holds chunk {said}, which the catalog has no more", forget)


def _forget(application: Application, chunks: Numbers) -> None:
    table = schema.chunks_gone
    with application.catalog.writing() as connection:
        noted = set(_column(connection, select(table.c.number)).tolist())
        rows = [{"number": number} for number in chunks.tolist() if number not in noted]
        if rows:
            connection.execute(insert(table), rows)
    try:
        application.live.forget_gone()
    finally:
        application.index_files.release()


def snapshots(application: Application) -> Iterator[Finding]:
    """The written intervals and keys against the catalog, row by row."""
    catalog = application.catalog
    intervals, keys, purged = IndexFiles(application.settings.data / "index", catalog.catalog_id).load()
    columns, names = intervals.arrays(), list(intervals.facts()["collections"])
    with catalog.reading() as connection:
        if purged == marks.purges(connection).last:
            wrong = _wrong_intervals(connection, columns, names, intervals.revision)
            if said := listed(wrong):
                yield Finding(f"index/occurrences has another interval for occurrence {said}", _rebuild(application))
        if said := listed(_wrong_keys(connection, keys.arrays()["keys"])):
            yield Finding(f"index/occurrences has another key for chunk {said}", _rebuild(application))


def _wrong_intervals(
    connection: Connection, columns: dict[str, NDArray[Any]], names: list[str], revision: int
) -> Iterator[int]:
    """Ids of occurrences whose row is missing, too much or different; all of them are as of `revision`."""
    table = schema.occurrences
    query = (
        select(table.c.occurrence_id, table.c.chunk, table.c.collection, table.c.added_in, table.c.removed_in)
        .where(table.c.added_in <= revision)
        .order_by(table.c.occurrence_id)
        .execution_options(yield_per=_ROWS)
    )
    number_of = {name: number for number, name in enumerate(names)}
    written = np.stack([columns[name].astype(np.int64) for name in ("id", "chunk", "collection", "added", "removed")])
    written[4, written[4] > revision] = NEVER
    low = 0
    for rows in connection.execute(query).partitions():
        there = np.array(
            [
                (
                    row[0],
                    row[1],
                    number_of.get(row[2], -1),
                    row[3],
                    NEVER if row[4] is None or row[4] > revision else row[4],
                )
                for row in rows
            ],
            dtype=np.int64,
        ).T
        high = int(np.searchsorted(written[0], there[0, -1], side="right"))
        yield from _different(written[:, low:high], there)
        low = high
    yield from written[0, low:].tolist()


def _different(written: NDArray[np.int64], there: NDArray[np.int64]) -> Iterator[int]:
    """Ids, in the first rows, of columns that are not in both."""
    yield from np.setxor1d(written[0], there[0]).tolist()
    both, left, right = np.intersect1d(written[0], there[0], return_indices=True)
    yield from both[(written[:, left] != there[:, right]).any(axis=0)].tolist()


def _wrong_keys(connection: Connection, keys: NDArray[np.uint64]) -> Iterator[int]:
    table = schema.chunks
    query = select(table.c.number, table.c.chunk_id).where(table.c.number < len(keys)).order_by(table.c.number)
    for rows in connection.execute(query.execution_options(yield_per=_ROWS)).partitions():
        numbers = np.array([row.number for row in rows], dtype=np.int64)
        wanted = np.array([int(row.chunk_id[:16], 16) for row in rows], dtype=np.uint64)
        yield from numbers[keys[numbers] != wanted].tolist()


def _rebuild(application: Application) -> partial[None]:
    """What is left is the lock; the next start builds all of it from the catalog."""
    return partial(remove_parts, application)


def _column(connection: Connection, query: Any) -> Numbers:
    return np.fromiter(connection.execute(query.execution_options(yield_per=_ROWS)).scalars(), dtype=np.int64)
