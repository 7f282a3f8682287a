"""The compiled loops of the lexical index: search, counting, merging. Plain arrays in and out; see `Postings`.

A kernel takes many segments' postings in one call, as a table with a row for each, int64 of shape (segments, COLUMNS):
facts, and addresses of arrays. (A tuple of arrays would be compiled anew for each number of segments, and a typed list
costs more to fill than a search takes.) Whoever calls keeps the arrays alive. No kernel changes what a table points
to, holds the GIL or starts a thread; so any number of them run at the same time.

Searching takes some of the postings. Method: MaxScore (Turtle and Flood, "Query Evaluation: Strategies and
Optimizations", IPM 31(6), 1995) by windows of chunk numbers, as Lucene's MaxScoreBulkScorer has it. Terms are taken in
the order of the most they can add to a score. Those behind, which together can't lift a chunk into the k best known so
far, are only looked up for chunks that can still get there by what the others gave. These sums are float32 and decide,
with a margin for their rounding, which chunks are scored exactly: in float64, in the order of the query's terms. So a
chunk's score doesn't depend on segments.

All kernels stand in one file, because numba's cache notices changes of the file that a kernel stands in, and not of
what it calls elsewhere.
"""

# The compiled functions are typed for those who read and call them; numba checks what is inside.
# mypy: disable-error-code="no-any-return, attr-defined, call-arg, arg-type"

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from retrieval.compiled import kernel

Table = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]
Bits = NDArray[np.uint8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Rows = NDArray[np.uint16]

# Columns of a table.
FIRST = 0  # lowest chunk number of the range
LAST = 1  # highest, included
BASE = 2  # local number of the lowest; a local number is the chunk number within its partition
CHUNKS = 3  # how many chunks of the range are there
LENGTH = 4  # sum of their lengths
TERMS = 5  # how many terms
HASHES = 6  # address of the terms' hashes, uint64, ascending
OFFSETS = 7  # address of uint32: postings of term i are those from offset i to offset i + 1
ROWS = 8  # address of uint16: local numbers, ascending within a term
FREQUENCIES = 9  # address of uint8, or of uint32 where WIDE is 1
WIDE = 10
LENGTHS = 11  # address of uint32: terms of each chunk of the range
BOUNDS = 12  # address of float32, for each term; see `bounds`
COLUMNS = 13

ABSENT = 0xFFFFFFFF  # the length of a number in the range whose chunk isn't there

_WINDOW = 4096  # chunks whose sums are held at a time
_IN_WINDOW = _WINDOW - 1
_NO_ROW = 1 << 16
_LEAST = 1e-37  # of a sum that is not zero
# Terms are added for all chunks until the rest gives at most this share of the least sum that counts: then few chunks
# are left to be looked up. Measured from 0.1 to 0.6: flat between 0.2 and 0.45.
_SELECTIVE = 0.3
_FEW = 128  # results that are sorted in less time one by one
_SINGLE = 6e-8  # half a unit in the last place of float32, relative


@intrinsic
def _pointer(_context: Any, address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), generate


@intrinsic
def _ones(_context: Any, byte: Any) -> Any:
    """How many bits of a uint8 are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.ctpop(arguments[0]), ir.IntType(64))

    return types.int64(byte), generate


@kernel
def hashes_of(segment: NDArray[np.int64]) -> Hashes:
    return numba.carray(_pointer(segment[HASHES]), (segment[TERMS],), np.uint64)


@kernel
def offsets_of(segment: NDArray[np.int64]) -> NDArray[np.uint32]:
    return numba.carray(_pointer(segment[OFFSETS]), (segment[TERMS] + 1,), np.uint32)


@kernel
def rows_of(segment: NDArray[np.int64]) -> NDArray[np.uint16]:
    # The number of postings is never asked of the array, so that the last offset need not be read here.
    return numba.carray(_pointer(segment[ROWS]), (1 << 40,), np.uint16)


@kernel
def narrow_frequencies_of(segment: NDArray[np.int64]) -> NDArray[np.uint8]:
    return numba.carray(_pointer(segment[FREQUENCIES]), (1 << 40,), np.uint8)


@kernel
def wide_frequencies_of(segment: NDArray[np.int64]) -> NDArray[np.uint32]:
    return numba.carray(_pointer(segment[FREQUENCIES]), (1 << 40,), np.uint32)


@kernel
def lengths_of(segment: NDArray[np.int64]) -> NDArray[np.uint32]:
    """By local number, as postings have it; only those of the range may be read."""
    return numba.carray(
        _pointer(segment[LENGTHS] - 4 * segment[BASE]), (segment[LAST] - segment[FIRST] + 1,), np.uint32
    )


@kernel
def bounds_of(segment: NDArray[np.int64]) -> NDArray[np.float32]:
    return numba.carray(_pointer(segment[BOUNDS]), (segment[TERMS],), np.float32)


@kernel
def is_set(bits: Bits, number: int) -> bool:
    """Whether chunk `number` is in the set; see `Visible`."""
    byte = number >> 3
    return byte < len(bits) and (bits[byte] >> (number & 7)) & 1 == 1


@kernel
def find_term(hashes: Hashes, wanted: int) -> int:
    """The position of `wanted`, or -1. Hashes are spread evenly, so the search starts where it should stand."""
    n = len(hashes)
    if n == 0:
        return -1
    low = min(n - 1, int(np.float64(wanted) * (n / 18446744073709551616.0)))
    high = low
    step = 8
    while low > 0 and hashes[low] > wanted:
        high = low
        low = max(0, low - step)
        step *= 2
    while high < n and hashes[high] <= wanted:
        low = high
        high += step
        step *= 2
    high = min(high, n)
    while high - low > 1:  # hashes[low] <= wanted < hashes[high], where they are in range
        middle = (low + high) >> 1
        if hashes[middle] <= wanted:
            low = middle
        else:
            high = middle
    return low if hashes[low] == wanted else -1


@kernel
def find_row(rows: NDArray[np.uint16], start: int, end: int, row: int) -> int:
    """The position of `row` in the ascending rows[start:end], or -1."""
    length = end - start
    while length > 1:  # the step of both ways is the same, so that no branch has to be guessed
        half = length >> 1
        start += half if rows[start + half] <= row else 0
        length -= half
    return start if length == 1 and rows[start] == row else -1


@kernel
def shown(table: Table, bits: Bits) -> Counts:
    """How many numbers of each segment's range are in the set."""
    counts = np.zeros(len(table), np.int64)
    for index in range(len(table)):
        number, end = table[index, FIRST], min(table[index, LAST] + 1, 8 * len(bits))
        count = 0
        while number < end and number & 7:
            count += is_set(bits, number)
            number += 1
        whole_bytes = (end - number) >> 3
        for byte in range(number >> 3, (number >> 3) + max(0, whole_bytes)):
            count += _ones(bits[byte])
        number += 8 * max(0, whole_bytes)
        while number < end:
            count += is_set(bits, number)
            number += 1
        counts[index] = count
    return counts


@kernel
def shown_length(table: Table, whole: NDArray[np.bool_], bits: Bits) -> int:
    """The sum of the lengths of the chunks in the set. `whole` says which segments have all their chunks in it."""
    total = 0
    for index in range(len(table)):
        if whole[index]:
            total += table[index, LENGTH]
            continue
        lengths, origin = lengths_of(table[index]), table[index, FIRST] - table[index, BASE]
        for row in range(table[index, BASE], table[index, LAST] + 1 - origin):
            if lengths[row] != ABSENT and is_set(bits, origin + row):
                total += lengths[row]
    return total


@kernel
def document_frequencies(table: Table, whole: NDArray[np.bool_], bits: Bits, wanted: Hashes) -> Counts:
    """How many chunks in the set contain each of the terms `wanted`."""
    counts = np.zeros(len(wanted), np.int64)
    for index in range(len(table)):
        segment = table[index]
        hashes, offsets, rows = hashes_of(segment), offsets_of(segment), rows_of(segment)
        origin = segment[FIRST] - segment[BASE]
        for term in range(len(wanted)):
            position = find_term(hashes, wanted[term])
            if position < 0:
                continue
            start, end = np.int64(offsets[position]), np.int64(offsets[position + 1])
            if whole[index]:
                counts[term] += end - start
            else:
                counts[term] += _shown_postings(rows, start, end, origin, bits)
    return counts


@kernel
def _shown_postings(rows: NDArray[np.uint16], start: int, end: int, origin: int, bits: Bits) -> int:
    end = _advance(rows, start, end, 8 * len(bits) - origin)  # what lies beyond the bits is not in the set
    count = 0
    for posting in range(np.uint64(start), np.uint64(end)):  # unsigned, so that numba looks for no negative index
        number = np.uint64(origin) + np.uint64(rows[posting])
        count += 1 if (bits[number >> np.uint64(3)] >> (number & np.uint64(7))) & np.uint64(1) else 0
    return count


@kernel
def all_document_frequencies(segment: NDArray[np.int64], whole: bool, bits: Bits) -> Counts:
    """How many of a segment's chunks in the set contain each of its terms."""
    offsets, rows = offsets_of(segment), rows_of(segment)
    counts = np.zeros(segment[TERMS], np.int64)
    for term in range(segment[TERMS]):
        start, end = np.int64(offsets[term]), np.int64(offsets[term + 1])
        counts[term] = end - start if whole else _shown_postings(rows, start, end, segment[FIRST] - segment[BASE], bits)
    return counts


@kernel
def add_changes(
    table: Table, numbers: Counts, signs: Counts, wanted: Hashes, positions: Counts, frequencies: Counts
) -> None:
    """Brings document frequencies up to date, in place: chunks `numbers` came (sign 1) or went (-1), in this order.

    The frequency of `wanted[i]` knows of the changes before `positions[i]`.
    """
    for change in range(len(numbers)):
        number = numbers[change]
        for index in range(len(table)):
            segment = table[index]
            if not segment[FIRST] <= number <= segment[LAST]:
                continue
            hashes, offsets, rows = hashes_of(segment), offsets_of(segment), rows_of(segment)
            row = number - segment[FIRST] + segment[BASE]
            for term in range(len(wanted)):
                if positions[term] > change:
                    continue
                found = find_term(hashes, wanted[term])
                if found >= 0 and find_row(rows, np.int64(offsets[found]), np.int64(offsets[found + 1]), row) >= 0:
                    frequencies[term] += signs[change]


@kernel
def difference(before: Bits, after: Bits, limit: int) -> tuple[Counts, Counts]:
    """The numbers in one set and not in the other, ascending, and 1 for those that came, -1 for those that went.

    Stops when it has more than `limit`, so that more than `limit` means: too many.
    """
    numbers, signs = np.empty(limit + 8, np.int64), np.empty(limit + 8, np.int64)
    count = 0
    common = min(len(before), len(after))
    longer = before if len(before) > len(after) else after
    byte = 0
    while byte < len(longer) and count <= limit:
        if byte + 64 <= common:
            differing = np.uint8(0)
            for other in range(byte, byte + 64):
                differing |= before[other] ^ after[other]
            if differing == 0:
                byte += 64
                continue
        old = before[byte] if byte < len(before) else np.uint8(0)
        new = after[byte] if byte < len(after) else np.uint8(0)
        if old != new:
            for bit in range(8):
                mask = 1 << bit
                if (old ^ new) & mask:
                    numbers[count] = 8 * byte + bit
                    signs[count] = 1 if new & mask else -1
                    count += 1
        byte += 1
    return numbers[:count], signs[:count]


@kernel
def bounds(
    offsets: NDArray[np.uint32],
    rows: NDArray[np.uint16],
    frequencies: NDArray[Any],
    lengths: NDArray[np.uint32],
    base: int,
    floor: float,
    slope: float,
) -> NDArray[np.float32]:
    """For each term the largest of tf / (tf + floor + slope * length) over its postings, rounded up.

    With `floor` = k1 * (1 - b) and `slope` = k1 * b / average length, this is the largest factor of its idf in a score.
    For another average, say a' instead of a, no factor is larger than that times max(1, a' / a).
    """
    largest = np.empty(len(offsets) - 1, np.float32)
    for term in range(len(largest)):
        bound = 0.0
        for posting in range(offsets[term], offsets[term + 1]):
            frequency = np.float64(frequencies[posting])
            length = np.float64(lengths[np.int64(rows[posting]) - base])
            bound = max(bound, frequency / (frequency + floor + slope * length))
        largest[term] = np.float32(bound * (1 + 1e-6))
    return largest


@kernel
def merge(
    table: Table,
    kept: Bits,
    all_kept: bool,
    hashes: Hashes,
    offsets: NDArray[np.uint32],
    rows: NDArray[np.uint16],
    frequencies: NDArray[Any],
) -> int:
    """Joins segments of one partition, in the order of their numbers, without the chunks that are not `kept`.

    The last four arrays are filled; they are as long as if nothing were in common. Returns how many terms there are
    (and so one more offset; the last one tells the number of postings).
    """
    at = np.zeros(len(table), np.int64)
    terms, used = 0, 0
    offsets[0] = 0
    while True:
        lowest, left = np.uint64(0), False
        for index in range(len(table)):
            if at[index] < table[index, TERMS]:
                term = hashes_of(table[index])[at[index]]
                if not left or term < lowest:
                    lowest, left = term, True
        if not left:
            return terms
        before = used
        for index in range(len(table)):
            segment = table[index]
            if at[index] == segment[TERMS] or hashes_of(segment)[at[index]] != lowest:
                continue
            start, end = offsets_of(segment)[at[index]], offsets_of(segment)[at[index] + 1]
            if segment[WIDE]:
                used = _copy(segment, start, end, wide_frequencies_of(segment), kept, all_kept, rows, frequencies, used)
            else:
                narrow = narrow_frequencies_of(segment)
                used = _copy(segment, start, end, narrow, kept, all_kept, rows, frequencies, used)
            at[index] += 1
        if used > before:
            hashes[terms] = lowest
            terms += 1
            offsets[terms] = used


@kernel
def _copy(
    segment: NDArray[np.int64],
    start: int,
    end: int,
    source: NDArray[Any],
    kept: Bits,
    all_kept: bool,
    rows: NDArray[np.uint16],
    frequencies: NDArray[Any],
    used: int,
) -> int:
    source_rows, origin = rows_of(segment), segment[FIRST] - segment[BASE]
    for posting in range(start, end):
        row = source_rows[posting]
        if all_kept or is_set(kept, origin + row):
            rows[used] = row
            frequencies[used] = source[posting]
            used += 1
    return used


@kernel
def search(
    table: Table,
    averages: Floats,
    whole: NDArray[np.bool_],
    bits: Bits,
    wanted: Hashes,
    weights: Floats,
    floor: float,
    slope: float,
    average: float,
    k: int,
    prune: bool,
) -> tuple[Counts, Floats]:
    """The best `k` chunks in the set `bits` that contain a term `wanted`, and all that tie with the last.

    Best first, equal scores by the smaller number.

    A chunk scores the sum of weights[i] * tf / (tf + floor + slope * length) over the terms it contains. `average` is
    the average length behind `slope`, `averages` are those behind the segments' bounds. Without `prune`, weights may be
    zero or negative; with it they are positive.
    """
    terms, segments = len(wanted), len(table)
    starts, ends = np.zeros((segments, terms), np.int64), np.zeros((segments, terms), np.int64)
    most, rest = np.zeros(terms, np.float64), np.zeros(terms + 1, np.float64)
    order, at = np.zeros(terms, np.int64), np.zeros(terms, np.int64)
    margin = 1 - (2 * terms + 16) * _SINGLE
    window, alive = np.zeros(_WINDOW, np.float32), np.empty(_WINDOW + 1, np.uint16)
    best = (np.empty(256, np.int64), np.empty(256, np.float32), 0, 0.0 if prune else -1.0)
    for index in range(segments):
        segment = table[index]
        scale = max(1.0, average / averages[index])
        present = _look_up(segment, wanted, weights, scale, margin, starts[index], ends[index], most, order)
        rest[present] = 0
        for i in range(present - 1, -1, -1):
            rest[i] = rest[i + 1] + most[order[i]]
        if present == 0 or (prune and rest[0] < best[3]):
            continue
        seen = (whole[index], bits, segment[FIRST] - segment[BASE], segment[LAST] + 1 - segment[FIRST] + segment[BASE])
        plan = (starts[index], ends[index], order[:present], rest, at, weights, k, prune, margin)
        formula = (np.float32(floor), np.float32(slope))
        if segment[WIDE]:
            wide = (rows_of(segment), wide_frequencies_of(segment), lengths_of(segment))
            best = _scan(wide, seen, plan, formula, window, alive, best)
        else:
            narrow = (rows_of(segment), narrow_frequencies_of(segment), lengths_of(segment))
            best = _scan(narrow, seen, plan, formula, window, alive, best)
    numbers, scores = best[0][: best[2]], np.empty(best[2], np.float64)
    start = 0
    for index in range(segments):
        segment = table[index]
        end = start
        while end < len(numbers) and numbers[end] <= segment[LAST]:
            end += 1
        if end > start:
            origin = segment[FIRST] - segment[BASE]
            part, target = numbers[start:end] - origin, scores[start:end]
            if segment[WIDE]:
                wide = (rows_of(segment), wide_frequencies_of(segment), lengths_of(segment))
                _score(wide, starts[index], ends[index], weights, floor, slope, part, target)
            else:
                narrow = (rows_of(segment), narrow_frequencies_of(segment), lengths_of(segment))
                _score(narrow, starts[index], ends[index], weights, floor, slope, part, target)
        start = end
    if len(numbers) > k:
        kept = scores >= _kth_largest(scores.copy(), len(scores), k)
        numbers, scores = numbers[kept], scores[kept]
    return _ordered(numbers, scores)


@kernel
def search_each(
    table: Table,
    averages: Floats,
    whole: NDArray[np.bool_],
    bits: Bits,
    wanted: Hashes,
    weights: Floats,
    ends: Counts,
    floor: float,
    slope: float,
    average: float,
    k: int,
) -> tuple[Counts, Floats, Counts]:
    """`search` for each of several queries, whose terms are those of `wanted` up to its place in `ends`.

    A term may come more than once; one whose weight is NaN is left out. The results stand one behind the other, and the
    last array says where each ends.
    """
    numbers, scores = np.empty(256, np.int64), np.empty(256, np.float64)
    found = np.zeros(len(ends), np.int64)
    start, used = 0, 0
    for query in range(len(ends)):
        terms, values = _distinct(wanted[start : ends[query]], weights[start : ends[query]])
        start = ends[query]
        if len(terms) > 0:
            prune = values.min() > 0
            its = search(table, averages, whole, bits, terms, values, floor, slope, average, k, prune)
            if used + len(its[0]) > len(numbers):
                wider_numbers, wider_scores = (
                    np.empty(2 * (used + len(its[0])), np.int64),
                    np.empty(2 * (used + len(its[0])), np.float64),
                )
                wider_numbers[:used], wider_scores[:used] = numbers[:used], scores[:used]
                numbers, scores = wider_numbers, wider_scores
            numbers[used : used + len(its[0])] = its[0]
            scores[used : used + len(its[0])] = its[1]
            used += len(its[0])
        found[query] = used
    return numbers[:used], scores[:used], found


@kernel
def _distinct(wanted: Hashes, weights: Floats) -> tuple[Hashes, Floats]:
    """Each term once, in the order of their first places, with its weight times how often it comes."""
    terms, values, times = np.empty_like(wanted), np.empty_like(weights), np.zeros(len(wanted), np.float64)
    count = 0
    for i in range(len(wanted)):
        if np.isnan(weights[i]):
            continue
        at = 0
        while at < count and terms[at] != wanted[i]:
            at += 1
        if at == count:
            terms[at], values[at] = wanted[i], weights[i]
            count += 1
        times[at] += 1
    return terms[:count], times[:count] * values[:count]


@kernel
def _ordered(numbers: Counts, scores: Floats) -> tuple[Counts, Floats]:
    """Both by falling score; what is equal stays in the order in which it came."""
    if len(numbers) > _FEW:
        order = np.argsort(-scores, kind="mergesort")
        return numbers[order], scores[order]
    numbers = numbers.copy()
    for i in range(1, len(numbers)):
        number, score = numbers[i], scores[i]
        at = i
        while at > 0 and scores[at - 1] < score:
            numbers[at], scores[at] = numbers[at - 1], scores[at - 1]
            at -= 1
        numbers[at], scores[at] = number, score
    return numbers, scores


@kernel
def _look_up(
    segment: NDArray[np.int64],
    wanted: Hashes,
    weights: Floats,
    scale: float,
    margin: float,
    starts: Counts,
    ends: Counts,
    most: Floats,
    order: Counts,
) -> int:
    """Finds the terms' postings, the most each can add, and the order of the latter, largest first. Returns how many
    terms there are; the range of a term that isn't there is empty."""
    hashes, offsets, bounds = hashes_of(segment), offsets_of(segment), bounds_of(segment)
    present = 0
    for term in range(len(wanted)):
        starts[term] = ends[term] = 0
        position = find_term(hashes, wanted[term])
        if position < 0:
            continue
        starts[term], ends[term] = offsets[position], offsets[position + 1]
        most[term] = weights[term] * min(1.0, bounds[position] * scale) / margin
        at = present
        while at > 0 and most[order[at - 1]] < most[term]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = term
        present += 1
    return present


@kernel
def _scan(lists: Any, seen: Any, plan: Any, formula: Any, window: Singles, alive: Rows, best: Any) -> Any:
    """Takes a segment's chunks that may be among the best k into `best`: numbers, sums, how many, the least sum that
    counts. Goes by windows of local numbers, whose sums fit into the fastest cache."""
    rows = lists[0]
    whole, bits, origin, behind = seen
    starts, ends, order, rest, at, weights, k, prune, margin = plan
    numbers, sums, found, low = best
    for term in order:
        at[term] = starts[term]
    essential = len(order)  # chunks with none of the first `essential` terms can't be among the best
    while True:
        while prune and essential > 0 and rest[essential - 1] < low:
            essential -= 1
        first = np.int64(_NO_ROW)
        for term in order[:essential]:
            if at[term] < ends[term]:
                first = min(first, np.int64(rows[at[term]]))
        if first == _NO_ROW:
            return numbers, sums, found, low
        first -= first % _WINDOW
        added = essential
        while added < len(order) and rest[added] > _SELECTIVE * low:
            added += 1
        for term in order[:added]:
            weight = np.float32(weights[term] if prune else 1.0)  # without pruning sums only mark what was touched
            start = _advance(rows, at[term], ends[term], first)
            at[term] = _advance(rows, start, ends[term], first + _WINDOW)
            _add(lists, start, at[term], weight, formula, window)
        if prune and low <= 0:  # nothing is known yet, and all terms are added
            if not whole:
                _hide(window, bits, origin + first)
            low = _least_of_best(window, k) * margin
        living = _above(window, min(_WINDOW, behind - first), max(_LEAST, low - rest[added]), alive)
        if not whole:
            living = _visible(alive, living, bits, origin + first)
        for i in range(added, len(order)):
            if living == 0:
                break
            term = order[i]
            start = _advance(rows, at[term], ends[term], first)
            share = (ends[term] - starts[term]) * _WINDOW >> 16
            if share < 8 * living:
                at[term] = _add_to_touched(lists, start, ends[term], first, weights[term], formula, window)
            else:
                at[term] = _add_to(alive[:living], lists, start, ends[term], first, weights[term], formula, window)
            living = _survivors(window, alive, living, low - rest[i + 1])
        numbers, sums = _with_room(numbers, sums, found, living)
        for i in range(living):
            numbers[found + i] = origin + first + alive[i]
            sums[found + i] = window[alive[i]]
        found += living
        window[:] = 0
        if prune and living > 0 and found > k:
            low = max(low, _kth_largest(sums[:found].copy(), found, k) * margin)
            found = _keep(numbers, sums, found, low)


@kernel
def _add(lists: Any, start: int, end: int, weight: np.float32, formula: Any, window: Singles) -> None:
    """Adds what a term gives to the sums of the window, whose postings are those from `start` to `end`."""
    rows, frequencies, lengths = lists
    floor, slope = formula
    for posting in range(np.uint64(start), np.uint64(end)):
        row = np.uint64(rows[posting])
        tf = np.float32(frequencies[posting])
        window[row & np.uint64(_IN_WINDOW)] += weight * (tf / (tf + (floor + slope * np.float32(lengths[row]))))


@kernel
def _add_to_touched(lists: Any, start: int, end: int, first: int, weight: float, formula: Any, window: Singles) -> int:
    """The same for the places alone that have a sum already; the window begins at local number `first`. Returns the
    position of the posting behind the window."""
    rows, frequencies, lengths = lists
    floor, slope = formula
    stop = first + _WINDOW
    posting = start
    while posting < end:
        row = np.int64(rows[posting])
        if row >= stop:
            break
        if window[row & _IN_WINDOW] > 0:
            tf = np.float32(frequencies[posting])
            window[row & _IN_WINDOW] += np.float32(weight) * (tf / (tf + (floor + slope * np.float32(lengths[row]))))
        posting += 1
    return posting


@kernel
def _add_to(
    alive: Rows, lists: Any, start: int, end: int, first: int, weight: float, formula: Any, window: Singles
) -> int:
    """The same for the places `alive` alone. Returns a position that is not beyond the window's end."""
    rows, frequencies, lengths = lists
    floor, slope = formula
    for place in alive:
        row = first + np.int64(place)
        posting = _advance(rows, start, end, row)
        if posting < end and rows[posting] == row:
            tf = np.float32(frequencies[posting])
            window[place] += np.float32(weight) * (tf / (tf + (floor + slope * np.float32(lengths[row]))))
    return start


@kernel
def _advance(rows: Rows, position: int, end: int, row: int) -> int:
    """The first position from `position` on whose row is not below `row`; near ones are found sooner."""
    if position >= end or rows[position] >= row:
        return position
    step = 1
    while position + step < end and rows[position + step] < row:
        position += step
        step *= 2
    high = min(position + step, end)
    while high - position > 1:
        middle = (position + high) >> 1
        if rows[middle] < row:
            position = middle
        else:
            high = middle
    return high


@kernel
def _above(window: Singles, used: int, least: float, alive: Rows) -> int:
    """Lists those of the first `used` places of the window whose sums are not below `least`, and returns how many.

    By vectors at first. `least` is above zero, so that places that are not used are not listed.
    """
    bound = np.float32(least)
    living = 0
    for start in range(0, used, 64):
        block = window[start : start + 64]
        any_above = np.uint8(0)
        for place in range(64):
            any_above |= np.uint8(block[place] >= bound)
        if any_above:
            for place in range(64):
                alive[living] = start + place
                living += block[place] >= bound
    return living


@kernel
def _hide(window: Singles, bits: Bits, first: int) -> None:
    """Sets the sums of places to zero whose chunks, from number `first` on, are not in the set."""
    for start in range(0, _WINDOW, 8):
        shown = _eight(bits, first + start)
        if shown == 255:
            continue
        for place in range(8):
            if not (shown >> place) & 1:
                window[start + place] = 0


@kernel
def _eight(bits: Bits, number: int) -> np.int64:
    """Whether chunks `number` to `number` + 7 are in the set, a bit for each from the lowest."""
    byte, shift = number >> 3, number & 7
    low = np.int64(bits[byte]) if byte < len(bits) else np.int64(0)
    high = np.int64(bits[byte + 1]) if byte + 1 < len(bits) else np.int64(0)
    return ((low | high << 8) >> shift) & 255


@kernel
def _least_of_best(window: Singles, k: int) -> float:
    """A sum that at least `k` places of the window reach, or zero: the k-th largest of the maxima of its blocks."""
    if k > _WINDOW // 32:
        return 0.0
    size = 64 if k <= _WINDOW // 128 else 16
    maxima = np.zeros(_WINDOW // size, np.float32)
    for block in range(len(maxima)):
        largest = np.float32(0)
        for place in range(block * size, (block + 1) * size):
            largest = max(largest, window[place])
        maxima[block] = largest
    return _kth_largest(maxima, len(maxima), k)


@kernel
def _visible(alive: Rows, living: int, bits: Bits, first: int) -> int:
    kept = 0
    for i in range(living):
        place = alive[i]
        alive[kept] = place
        kept += is_set(bits, first + place)
    return kept


@kernel
def _survivors(window: Singles, alive: Rows, living: int, least: float) -> int:
    kept = 0
    for i in range(living):
        place = alive[i]
        alive[kept] = place
        kept += window[place] >= least
    return kept


@kernel
def _kth_largest(values: Any, count: int, k: int) -> float:
    """Hoare's selection, with the median of three; reorders `values`. 1 <= k <= count."""
    left, right, target = 0, count - 1, k - 1
    while left < right:
        a, b, c = values[left], values[(left + right) >> 1], values[right]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = left, right
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if target <= j:
            right = j
        elif target >= i:
            left = i
        else:
            break
    return values[target]


@kernel
def _score(
    lists: Any,
    starts: Counts,
    ends: Counts,
    weights: Floats,
    floor: float,
    slope: float,
    chosen: Counts,
    scores: Floats,
) -> None:
    """The exact scores of the rows `chosen`, ascending; summed in the order of the terms."""
    rows, frequencies, lengths = lists
    scores[:] = 0
    for term in range(len(starts)):
        posting, end = starts[term], ends[term]
        for i in range(len(chosen)):
            posting = _advance(rows, posting, end, chosen[i])
            if posting < end and rows[posting] == chosen[i]:
                tf = np.float64(frequencies[posting])
                scores[i] += weights[term] * (tf / (tf + (floor + slope * lengths[chosen[i]])))


@kernel
def _with_room(numbers: Counts, sums: Singles, found: int, more: int) -> tuple[Counts, Singles]:
    """Both arrays, or longer ones with the same content if `more` would not go in."""
    if found + more <= len(numbers):
        return numbers, sums
    wider_numbers, wider_sums = np.empty(2 * (found + more), np.int64), np.empty(2 * (found + more), np.float32)
    wider_numbers[:found], wider_sums[:found] = numbers[:found], sums[:found]
    return wider_numbers, wider_sums


@kernel
def _keep(numbers: Counts, sums: Singles, found: int, least: float) -> int:
    kept = 0
    for i in range(found):
        numbers[kept], sums[kept] = numbers[i], sums[i]
        kept += sums[i] >= least
    return kept
