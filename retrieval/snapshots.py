"""The hybrid index of one data folder: both halves over the catalog's chunks, and which chunks a snapshot shows.

Both halves know a chunk by its number in the catalog and hold every chunk of every kept revision once. What a search
sees is a bitmap over chunk numbers, computed from the occurrences of the snapshot and kept for the head, where each
commit changes it by what it touched. So a commit shows in both halves at once, costs what it changed, and any kept
revision can be searched.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, func, select

from ingest.catalog import facts, marks, schema, statements
from ingest.catalog.catalog import Catalog
from ingest.catalog.marks import NO_MARK, Mark
from ingest.catalog.vectors import decoded
from ingest.disk import writing_to
from ingest.revisions.batches import require_open
from ingest.types import Space, Vectors
from retrieval.errors import AnotherHistory
from retrieval.halves import DenseHalf, Half, LexicalHalf
from retrieval.index_files import IndexFiles
from retrieval.intervals import ChunkKeys, Intervals
from retrieval.ranking import Ranking
from retrieval.tokens import Tokenizer
from retrieval.types import HalfReport, IndexReport
from retrieval.visibility import Visible

log = logging.getLogger(__name__)

Collections = frozenset[str] | None


def _fact(name: str) -> Any:
    return select(schema.facts.c.value).where(schema.facts.c.name == name).scalar_subquery()


def _token(number: Any) -> Any:
    return select(schema.marks.c.token).where(schema.marks.c.number == number).scalar_subquery()


# Built once, since every search asks it: the head, the space in use, the newest mark, the token of the one read last.
_NEWEST_MARK = select(func.max(schema.marks.c.number)).scalar_subquery()
_NEWEST = select(
    select(func.max(schema.revisions.c.revision)).scalar_subquery(),
    _fact(facts.SPACE_IN_USE),
    _NEWEST_MARK,
    _token(_NEWEST_MARK),
    _token(bindparam("mark")),
)
# How far the catalog goes, where there is something new.
_ENDS = select(
    select(func.max(schema.chunks.c.number)).scalar_subquery(),
    select(func.max(schema.vectors.c.arrival)).scalar_subquery(),
)

# As these, which every commit asks.
_LOW: Any = bindparam("low")
_HIGH: Any = bindparam("high")
_CHUNKS = (
    select(schema.chunks.c.number, schema.chunks.c.chunk_id, schema.chunks.c.input)
    .where(schema.chunks.c.number.between(_LOW, _HIGH))
    .order_by(schema.chunks.c.number)
)
_VECTORS = (
    select(schema.vectors.c.arrival, schema.vectors.c.chunk, schema.vectors.c.vector)
    .where(
        schema.vectors.c.arrival.between(_LOW, _HIGH),
        schema.vectors.c.space
        == select(schema.spaces.c.number).where(schema.spaces.c.space_id == bindparam("space")).scalar_subquery(),
    )
    .order_by(schema.vectors.c.arrival)
)
_VECTORS_OF = (
    select(schema.vectors.c.chunk, schema.vectors.c.vector)
    .join(schema.spaces, schema.spaces.c.number == schema.vectors.c.space)
    .where(
        schema.spaces.c.space_id == bindparam("space"), schema.vectors.c.chunk.in_(bindparam("chunks", expanding=True))
    )
)
_PLACES = select(schema.occurrences.c.chunk, schema.occurrences.c.collection, schema.occurrences.c.document_id).where(
    schema.occurrences.c.chunk.in_(bindparam("chunks", expanding=True)), schema.occurrences.c.removed_in.is_(None)
)

# Chunks read from the catalog at a time, when there are many.
_BATCH = 4096
# Bitmaps kept: those of the head, and of old revisions that were asked for lately.
_VIEWS = 32
# And of batches, which have one more each.
_BATCH_VIEWS = 8
# Room for chunks to come, in bytes of a bitmap.
_ROOM = 1 << 17
# What a reader keeps in memory until it opens the files that the writer put it into: chunks, and their share of all.
_MUCH_UNWRITTEN = 20_000
_SHARE_UNWRITTEN = 0.1
# From so many touched chunks on a bitmap is computed anew.
_MANY_CHANGES = 5_000


class HybridIndex:
    """Follows the catalog's head. All methods may be called from any thread."""

    def __init__(
        self,
        catalog: Catalog,
        space: Space,
        dense: DenseHalf,
        lexical: LexicalHalf,
        tokenizer: Tokenizer,
        files: IndexFiles | None = None,
    ) -> None:
        """`files` is where all but the halves' own segments is kept, and the lock of their writer; None: nowhere."""
        self._catalog = catalog
        self._space = space
        self._dense = dense
        self._lexical = lexical
        self._tokenizer = tokenizer
        self._files = files
        self._lock = threading.RLock()
        self._intervals, self._keys, self._purged = files.load() if files else (Intervals(), ChunkKeys(), 0)
        self._mark = NO_MARK  # the newest that the catalog had when it was read last
        self._views: OrderedDict[tuple[int, Collections], Visible] = OrderedDict()
        # Of batches, with what each was made from: it holds until there is a newer mark, as staging leaves one too.
        self._batch_views: OrderedDict[tuple[str, Collections], tuple[int, Visible, Visible]] = OrderedDict()
        self._purged_seen = 0  # the mark of the purge after which the halves were rid of what was purged
        self._complete = False  # whether the halves were compared with the catalog since the start

    @property
    def revision(self) -> int:
        """The revision up to which this process has read the catalog."""
        return self._intervals.revision

    @property
    def chunks_without_vector(self) -> int:
        """Chunks that only the lexical half can find until they are embedded in this space."""
        return max(0, len(self._lexical) - len(self._dense))

    @property
    def much_unwritten(self) -> bool:
        """Whether so much is in memory alone that files which hold it are worth opening."""
        unwritten = max(self._lexical.unwritten, self._dense.unwritten)
        return unwritten > max(_MUCH_UNWRITTEN, _SHARE_UNWRITTEN * len(self._lexical))

    @property
    def space(self) -> Space:
        """The embedding space of the dense half."""
        return self._space

    def report(self) -> IndexReport:
        """What is held, and how much a dense search misses: some exact scans, so nothing for every request."""
        with self._catalog.reading() as connection:
            self.follow(connection)
            shown = self.visible(connection, self.revision, None)
        return IndexReport(
            revision=self.revision,
            space=self._space.space_id,
            lexical=_half_report(self._lexical),
            dense=_half_report(self._dense),
            recall_at_10=self._dense.recall(shown),
            problems=tuple(self._files.problems() if self._files else ()),
        )

    def held(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of all chunks that the lexical and the dense half hold, ascending."""
        return self._lexical.numbers(), self._dense.numbers()

    def unlike(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Chunks that the lexical and the dense half hold otherwise than the catalog has them. Reads all of both."""
        with self._catalog.reading() as connection:

            def terms_of(first: int, last: int) -> tuple[NDArray[np.int64], list[Sequence[str]]]:
                rows = connection.execute(_CHUNKS, {"low": first, "high": last})
                found = [(row.number, self._tokenizer.tokenize(row.input)) for row in rows]
                return np.array([number for number, _ in found], dtype=np.int64), [terms for _, terms in found]

            def vectors_of(chunks: NDArray[np.int64]) -> tuple[NDArray[np.int64], Vectors]:
                rows: list[Any] = []
                for part in statements.parts(chunks.tolist()):
                    rows += connection.execute(_VECTORS_OF, {"space": self._space.space_id, "chunks": part}).all()
                vectors = decoded([row.vector for row in rows], self._space.dimension, self._space.normalised)
                return np.array([row.chunk for row in rows], dtype=np.int64), vectors

            return self._lexical.unlike(terms_of), self._dense.unlike(vectors_of)

    def follow(self, connection: Connection | None = None) -> tuple[int, str | None]:
        """Applies what was committed since the last call; returns the head revision and the id of the space in use.

        The catalog is read as `connection` sees it, or as it is now. Raises AnotherHistory when it is no more the one
        that was read before.
        """
        if connection is None:
            with self._catalog.reading() as its_own:
                return self.follow(its_own)
        mark = self._mark
        revision, in_use, number, token, token_of_mine = connection.execute(_NEWEST, {"mark": mark.number}).one()
        # A connection that began before what this process has read does not know the mark either.
        if mark != NO_MARK and token_of_mine != mark.token and not self._catalog.has_mark(mark):
            raise AnotherHistory("the catalog is no more the one that the index was made from")
        head, newest = revision or 0, NO_MARK if number is None else Mark(number, token)
        if newest != mark or not self._complete:
            with self._lock:
                if newest.number > self._mark.number or not self._complete:
                    self._read(connection, newest, head)
        return head, in_use

    def visible(
        self, connection: Connection, revision: int, collections: Collections, batch: str | None = None
    ) -> Visible:
        """The chunks that `revision` shows in one of `collections` (None: in any), with what `batch` does on top.

        `connection` is the caller's, who has followed it: if each held one and waited for another, all would wait.
        Raises RevisionGone for a revision that retention has taken, NotFound and BatchConflict for a batch that is not
        open.
        """
        with self._lock:
            key = (revision, collections)
            view = self._views.get(key)
            if view is None:
                self._require_kept(connection, revision, collections)
                view = self._intervals.visible(revision, collections, self._size())
                self._keep_view(*key, view)
            self._views.move_to_end(key)
        return view if batch is None else self._with_batch(connection, view, batch, collections)

    def search_dense(self, query: Vectors, k: int, visible: Visible) -> Ranking:
        """The `k` visible chunks of largest inner product with `query`, float32 of shape (dimension,)."""
        return self._keys.ordered(self._dense.search(query, k, visible), k)

    def search_lexical(self, query: str, k: int, visible: Visible) -> Ranking:
        """The `k` visible chunks that contain a term of `query` and score best."""
        return self._keys.ordered(self._lexical.search(self._tokenizer.tokenize(query), k, visible), k)

    def ordered(self, ranking: Ranking, k: int) -> Ranking:
        """The `k` best, equal scores by the chunk's id."""
        return self._keys.ordered(ranking, k)

    # In the one process that holds the lock of the files

    def maintain(self) -> bool:
        """Writes to disk what is worth it and merges segments, a bounded amount. False: nothing was due."""
        if self._files is None:
            return False
        self.follow()
        kept = self._kept()
        worked = self._lexical.maintain(kept)
        worked = self._dense.maintain(kept) or worked
        with self._lock:
            return self._files.keep(self._intervals, self._keys, self._purged) or worked

    def write(self) -> None:
        """Writes to disk all that is in memory, as when the process ends. Raises StorageFull and DataFolderUnusable."""
        if self._files is not None:
            with writing_to(self._files.folder):
                self._lexical.seal()
                self._dense.seal()
                with self._lock:
                    self._files.keep(self._intervals, self._keys, self._purged, now=True)

    def forget(self, chunks: Sequence[int]) -> None:
        """Takes chunks out of both halves and their files at once."""
        numbers = np.array(sorted(chunks), dtype=np.int64)
        self._lexical.forget(numbers)
        self._dense.forget(numbers)

    def forget_gone(self) -> int:
        """Takes chunks that the catalog has no more out of both halves and their files at once; returns how many.

        They are noted in the catalog until that is done, so that it is done after a kill as well.
        """
        table = schema.chunks_gone
        with self._catalog.reading() as connection:
            gone = np.fromiter(connection.execute(select(table.c.number)).scalars(), dtype=np.int64)
        if len(gone):
            self.follow()
            self.forget(gone.tolist())
            if self._files is not None:
                self._files.forget_in_other_spaces(gone, self._space.space_id)
            with self._catalog.writing() as connection:
                for part in statements.parts(gone.tolist()):
                    connection.execute(table.delete().where(table.c.number.in_(part)))
                facts.count_up(connection, facts.FORGOTTEN)
        return len(gone)

    def _read(self, connection: Connection, newest: Mark, head: int) -> None:
        """Brings the halves and the intervals to `newest`, all from the caller's state of the catalog."""
        if self._files is not None:
            self._files.saw(newest)
        self._drop_purged(connection)
        last_chunk, last_arrival = (number or 0 for number in connection.execute(_ENDS).one())
        if not self._complete:
            for first, last in self._lexical.gaps():
                self._add_chunks(connection, first, last)
            for first, last in self._dense.gaps():
                self._add_vectors(connection, first, last)
        self._add_chunks(connection, self._lexical.last + 1, last_chunk)
        self._add_vectors(connection, self._dense.last + 1, last_arrival)
        self._keys.follow(connection, last_chunk)
        before = self._intervals.revision
        if head > before:
            touched = self._intervals.follow(connection, head)
            self._refresh_views(connection, before, head, touched)
        self._mark, self._complete = newest, True

    def _drop_purged(self, connection: Connection) -> None:
        """Takes out of the intervals what was purged since they were read."""
        purges = marks.purges(connection)
        if purges.last <= self._purged:
            return
        if self._purged < purges.reread_from:
            self._intervals = Intervals()
        else:
            self._intervals.drop(marks.purged_since(connection, self._purged))
        self._purged = purges.last
        self._views.clear()

    def _refresh_views(self, connection: Connection, before: int, head: int, touched: NDArray[np.int64]) -> None:
        """The head's bitmaps, each from that of the head before."""
        wanted = {collections: view for (revision, collections), view in self._views.items() if revision == before}
        if len(touched) > _MANY_CHANGES:
            for collections in wanted:
                self._keep_view(head, collections, self._intervals.visible(head, collections, self._size()))
            return
        places = _collections_of(connection, touched.tolist())
        for collections, view in wanted.items():
            changes = {
                number: bool(names) if collections is None else not collections.isdisjoint(names)
                for number, names in places.items()
            }
            self._keep_view(head, collections, view.with_changes(changes))

    def _keep_view(self, revision: int, collections: Collections, view: Visible) -> None:
        self._views[revision, collections] = view
        while len(self._views) > _VIEWS:
            self._views.popitem(last=False)

    def _require_kept(self, connection: Connection, revision: int, collections: Collections) -> None:
        """Raises RevisionGone. A connection from before a purge that was read here meanwhile knows too little."""
        if marks.purges(connection).last >= self._purged:
            statements.require_kept(connection, revision, collections)
        else:
            with self._catalog.reading() as newer:
                statements.require_kept(newer, revision, collections)

    def _with_batch(self, connection: Connection, view: Visible, batch: str, collections: Collections) -> Visible:
        """`view`, which is the head's, with what the batch does."""
        require_open(connection, batch)
        mark, key = connection.execute(marks.NEWEST).scalar_one(), (batch, collections)
        with self._lock:
            known = self._batch_views.get(key)
        if known is not None and known[0] == mark and known[1] is view:
            return known[2]
        changed = view.with_changes(self._changes_of_batch(connection, batch, collections))
        with self._lock:
            self._batch_views[key] = mark, view, changed
            self._batch_views.move_to_end(key)
            while len(self._batch_views) > _BATCH_VIEWS:
                self._batch_views.popitem(last=False)
        return changed

    def _changes_of_batch(self, connection: Connection, batch: str, collections: Collections) -> dict[int, bool]:
        """Which chunks the batch shows or hides beside the head."""
        staged, staged_occurrences, occurrences = schema.staged, schema.staged_occurrences, schema.occurrences
        its = list(connection.execute(select(staged.c.document_id).where(staged.c.batch_id == batch)).scalars())
        touched: set[int] = set()
        for part in statements.parts(its):
            shown = occurrences.c.document_id.in_(part) & occurrences.c.removed_in.is_(None)
            touched.update(connection.execute(select(occurrences.c.chunk).where(shown)).scalars())
        changes = {
            number: bool(names) if collections is None else not collections.isdisjoint(names)
            for number, names in _collections_of(connection, sorted(touched), hidden=frozenset(its)).items()
        }
        query = select(staged_occurrences.c.chunk, staged_occurrences.c.collection)
        for number, collection in connection.execute(query.where(staged_occurrences.c.batch_id == batch)):
            if collections is None or collection in collections:
                changes[number] = True
        return changes

    def _add_chunks(self, connection: Connection, first: int, last: int) -> None:
        for low, high in _ranges(first, last):
            rows = connection.execute(_CHUNKS, {"low": low, "high": high}).all()
            terms = [self._tokenizer.tokenize(row.input) for row in rows]
            numbers = [row.number for row in rows]
            self._lexical.add(np.array(numbers, dtype=np.int64), terms, low, high)
            self._keys.put(numbers, [row.chunk_id for row in rows], low, high)

    def _add_vectors(self, connection: Connection, first: int, last: int) -> None:
        for low, high in _ranges(first, last):
            rows = connection.execute(_VECTORS, {"space": self._space.space_id, "low": low, "high": high}).all()
            vectors = decoded([row.vector for row in rows], self._space.dimension, self._space.normalised)
            arrivals = np.array([row.arrival for row in rows], dtype=np.int64)
            chunks = np.array([row.chunk for row in rows], dtype=np.int64)
            self._dense.add(arrivals, chunks, vectors, low, high)

    def _kept(self) -> Visible:
        """Chunks that the catalog still has; read only when there was a purge since the last time."""
        with self._lock:
            size = self._size()
            # What comes in while the halves are at work is kept as well.
            bits = np.full(size // 8 + 1 + _ROOM, 0xFF, dtype=np.uint8)
            if self._purged != self._purged_seen:
                with self._catalog.reading() as connection:
                    known = select(schema.chunks.c.number).where(schema.chunks.c.number < size)
                    numbers = np.fromiter(connection.execute(known).scalars(), dtype=np.int64)
                mask = np.zeros(8 * (size // 8 + 1), dtype=np.bool_)
                mask[size:] = True
                mask[numbers] = True
                bits[: size // 8 + 1] = np.packbits(mask, bitorder="little")
                self._purged_seen = self._purged
            return Visible(bits)

    def _size(self) -> int:
        return self._lexical.last + 1


def _half_report(half: Half) -> HalfReport:
    return HalfReport(chunks=len(half), segments=half.segments, bytes=half.nbytes)


def _collections_of(
    connection: Connection, numbers: Sequence[int], hidden: frozenset[str] = frozenset()
) -> dict[int, set[str]]:
    """For each chunk the collections in which the head shows it, but for the documents `hidden`."""
    places: dict[int, set[str]] = {number: set() for number in numbers}
    for part in statements.parts(numbers):
        for number, collection, document_id in connection.execute(_PLACES, {"chunks": part}):
            if document_id not in hidden:
                places[number].add(collection)
    return places


def _ranges(first: int, last: int) -> Iterator[tuple[int, int]]:
    """`first` to `last`, both ends included, in pieces of `_BATCH`."""
    for low in range(first, last + 1, _BATCH):
        yield low, min(low + _BATCH - 1, last)
