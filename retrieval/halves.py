"""What the hybrid index asks of its two halves.

Both know a chunk by its number in the catalog. What arrives in a half is numbered as well (chunks by themselves,
vectors by their arrival in the catalog), and a half covers ranges of arrivals: all that the catalog has of a range, and
nothing of it twice. Searches may run at any time; the methods that change a half are called by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.types import Vectors
from retrieval.ranking import Ranking
from retrieval.visibility import Visible

Numbers = NDArray[np.int64]


class Half(Protocol):
    """What both halves have in common."""

    def __len__(self) -> int:
        """Chunks held, visible or not."""
        ...

    @property
    def last(self) -> int:
        """The highest arrival covered; 0 at first."""
        ...

    @property
    def nbytes(self) -> int:
        """What is held in memory, mapped files included."""
        ...

    @property
    def unwritten(self) -> int:
        """Chunks in memory that wait to be written."""
        ...

    @property
    def segments(self) -> int:
        """On disk and in memory."""
        ...

    def gaps(self) -> list[tuple[int, int]]:
        """Ranges of arrivals up to `last` that are not covered, since a segment was damaged; both ends included."""
        ...

    def numbers(self) -> Numbers:
        """All chunks held, ascending, visible or not, for who compares them with the catalog."""
        ...

    def maintain(self, kept: Visible) -> bool:
        """Writes what is worth it, merges, drops chunks not in `kept`: a bounded amount. False: nothing was due."""
        ...

    def seal(self) -> None:
        """Writes what is in memory, however little."""
        ...

    def forget(self, chunks: Numbers) -> None:
        """Takes the chunks out of memory and files at once."""
        ...


# The chunks of a range of numbers, both ends included, with the terms of each.
TermsOf = Callable[[int, int], tuple[Numbers, Sequence[Sequence[str]]]]
# Those of some chunks that have vectors, with these, float32 of shape (n, dimension).
VectorsOf = Callable[[Numbers], tuple[Numbers, Vectors]]


class LexicalHalf(Half, Protocol):
    """Chunks by their terms."""

    def add(self, numbers: Numbers, rows: Sequence[Sequence[str]], first: int, last: int) -> None:
        """Covers `first` to `last` with the chunks `numbers` (ascending) and the terms of each, with repetitions."""
        ...

    def search(self, terms: Sequence[str], k: int, visible: Visible) -> Ranking:
        """The `k` best visible chunks that contain a term, and all that tie with the last of them.

        A term that occurs n times in `terms` counts n times.
        """
        ...

    def unlike(self, terms_of: TermsOf) -> Numbers:
        """Chunks that it holds with other terms than those given, ascending. For the doctor: it reads everything."""
        ...


class DenseHalf(Half, Protocol):
    """Chunks by their vectors of one space."""

    def add(self, arrivals: Numbers, chunks: Numbers, vectors: Vectors, first: int, last: int) -> None:
        """Covers `first` to `last`; `vectors` is float32 of shape (n, dimension), one for each of `chunks`."""
        ...

    def search(self, query: Vectors, k: int, visible: Visible) -> Ranking:
        """The `k` visible chunks of largest inner product, and all that tie with the last of them."""
        ...

    def recall(self, visible: Visible) -> float | None:
        """Of the 10 nearest of some visible chunks, the share that `search` finds; None where there is none."""
        ...

    def unlike(self, vectors_of: VectorsOf) -> Numbers:
        """Chunks that it holds with other vectors than those given, ascending. For the doctor: it reads everything."""
        ...
