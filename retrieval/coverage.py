"""Which arrivals something covers: ranges of numbers, both ends included, ascending and not touching each other."""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """All numbers in one or more of `ranges`, which may come in any order and overlap."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def clipped(ranges: Ranges, low: int, high: int) -> Ranges:
    """What lies from `low` to `high`, both included."""
    return tuple((max(first, low), min(last, high)) for first, last in ranges if first <= high and last >= low)


def without(ranges: Ranges, taken: Ranges) -> Ranges:
    """What is in `ranges` and not in `taken`."""
    for first, last in taken:
        below = clipped(ranges, 0, first - 1)
        above = tuple((max(low, last + 1), high) for low, high in ranges if high > last)
        ranges = below + above
    return ranges


def gaps(ranges: Ranges) -> list[tuple[int, int]]:
    """What is missing between 1 and the end of the last range."""
    end = ranges[-1][1] if ranges else 0
    return list(without(((1, end),), ranges)) if end else []
