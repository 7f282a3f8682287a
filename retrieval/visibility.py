"""Which chunks a caller sees: a bitmap over chunk numbers, in the form that both halves of the index take as it is.

A chunk's number is given by the catalog when the chunk is first stored, grows from 1, and is never used again.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]


class Visible:
    """An immutable set of chunk numbers: the chunks of one revision in the collections that a caller may read.

    `bits` is uint8 with the lowest bit first: chunk n is in the set when `bits[n >> 3] >> (n & 7) & 1`. Chunks beyond
    the end of `bits` are not in the set. Both halves may keep what they have counted over a set, by its identity: the
    same snapshot gives the same object as long as it is in use.
    """

    def __init__(self, bits: Bits) -> None:
        """Takes over `bits`, which must not be changed any more."""
        bits.flags.writeable = False
        self.bits = bits

    @classmethod
    def of(cls, numbers: NDArray[np.integer], size: int) -> Visible:
        """The set of `numbers`, all of them below `size`."""
        mask = np.zeros(size, dtype=np.bool_)
        mask[numbers] = True
        return cls(np.packbits(mask, bitorder="little"))

    @cached_property
    def count(self) -> int:
        """How many chunks are in the set."""
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64))

    def __contains__(self, number: int) -> bool:
        return 0 <= number < 8 * len(self.bits) and bool(self.bits[number >> 3] >> (number & 7) & 1)

    def holds(self, numbers: NDArray[np.integer]) -> NDArray[np.bool_]:
        """For each of `numbers` (none below 0) whether it is in the set."""
        found = np.zeros(len(numbers), dtype=np.bool_)
        within = numbers < 8 * len(self.bits)
        near = numbers[within].astype(np.int64)
        found[within] = self.bits[near >> 3] >> (near & 7).astype(np.uint8) & 1
        return found

    def numbers(self) -> NDArray[np.int64]:
        """The chunks in the set, ascending."""
        return np.flatnonzero(np.unpackbits(self.bits, bitorder="little"))

    def with_changes(self, changes: dict[int, bool]) -> Visible:
        """The same set but for `changes`: whether each of these chunks is in it. Costs a copy of the bitmap."""
        size = max(len(self.bits), max(changes, default=-1) // 8 + 1)
        bits = np.zeros(size, dtype=np.uint8)
        bits[: len(self.bits)] = self.bits
        for number, shown in changes.items():
            bit = np.uint8(1 << (number & 7))
            bits[number >> 3] = bits[number >> 3] | bit if shown else bits[number >> 3] & ~bit
        return Visible(bits)
