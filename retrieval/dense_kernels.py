"""Compiled loops of the dense index. Plain arrays in and out; see `quantisation.py` for what they hold.

No kernel holds the GIL, starts a thread or changes a row, so any number of searches run at the same time. Arrays of
rows may be longer than the number of rows that is given with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.compiled import kernel

Codes = NDArray[np.int8]
Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
Scores = NDArray[np.float64]
Chunks = NDArray[np.uint32]
Bits = NDArray[np.uint8]

HIGHEST_CODE = 127
SMALLEST = 1e-15  # a vector without a number of this size counts as zero: bounds are float32
LEADERS = 3  # times k: so many are scored first. With 1 four times as many come after them, with 8 few less than with 3
BLOCK = 512  # rows whose sums stay in the first cache while the words of their sketches pass by


@kernel
def rotate(row: Floats, flips: Floats) -> None:
    """Rotates `row` in place, of an even number of values, but for its length, which grows by sqrt(2) a step.

    A step flips signs by a row of `flips` and takes the sums of neighbours, then their differences. All sums are of two
    numbers, so the result is the same on any machine.
    """
    half = len(row) // 2
    flipped = np.empty_like(row)
    for step in range(len(flips)):
        for place in range(len(row)):
            flipped[place] = row[place] * flips[step, place]
        for place in range(half):
            row[place] = flipped[2 * place] + flipped[2 * place + 1]
            row[half + place] = flipped[2 * place] - flipped[2 * place + 1]


@kernel
def encode(
    vectors: Floats, centre: Floats, flips: Floats, codes: Codes, scales: Floats, signs: Words, factors: Floats
) -> None:
    """Fills the last four; `signs`, of shape (words, rows), is zero before."""
    unit = 2.0 ** (-0.5 * len(flips))
    dimension = vectors.shape[1]
    rotated = np.empty(flips.shape[1], dtype=np.float32)
    for row in range(len(vectors)):
        largest = np.float32(0)
        for place in range(dimension):
            largest = max(largest, abs(vectors[row, place]))
        scales[row] = largest / np.float32(HIGHEST_CODE) if largest >= SMALLEST else 0
        rotated[:] = 0
        if largest >= SMALLEST:
            scale = np.float64(scales[row])
            for place in range(dimension):
                code = np.rint(vectors[row, place] / scale)
                codes[row, place] = np.int8(min(max(code, -HIGHEST_CODE), HIGHEST_CODE))
        else:
            codes[row] = 0
        for place in range(dimension):
            rotated[place] = codes[row, place] * scales[row] - centre[place]
        rotate(rotated, flips)
        total = 0.0
        squares = 0.0
        for place in range(len(rotated)):
            value = float(rotated[place])
            total += abs(value)
            squares += value * value
            signs[place >> 6, row] |= np.uint64(value >= 0) << np.uint64(place & 63)
        factors[row] = unit * squares / total if total > 0 else 0.0


@kernel
def scan_codes(
    rows: int,
    chunks: Chunks,
    codes: Codes,
    scales: Floats,
    bits: Bits,
    values: NDArray[np.int16],
    step: float,
    best: Scores,
    found: Chunks,
    scores: Scores,
) -> int:
    """Scores every visible row; returns how many were written to `found` and `scores`.

    `best` is a heap of the best scores so far, the least of them first, and is kept up. What is written are all rows
    that reach its least at the end, and some that do not.
    """
    written = 0
    for row in range(rows):
        if _shown(chunks[row], bits):
            score = _score(codes[row], values, scales[row], step)
            if score >= best[0]:
                found[written] = chunks[row]
                scores[written] = score
                written += 1
                if score > best[0]:
                    _replace_least(best, score)
    return written


@kernel
def scan_sketches(
    rows: int,
    chunks: Chunks,
    codes: Codes,
    scales: Floats,
    signs: Words,
    factors: Floats,
    bits: Bits,
    values: NDArray[np.int16],
    step: float,
    planes: Words,
    slope: float,
    offset: float,
    base: float,
    best: Scores,
    found: Chunks,
    scores: Scores,
) -> int:
    """As `scan_codes`, but of a row only its sketch is read unless that says that the row may be among the best.

    The rows of highest bounds are scored first, for then few others can still get among the best. A row that scores
    above its bound is left out, and so it does not matter in which order rows come: it would be left out as well where
    better ones were known before its turn.
    """
    bounds = np.empty(rows, dtype=np.float32)
    leading = np.full(LEADERS * len(best), np.float32(best[0]), dtype=np.float32)
    _bound(rows, chunks, signs, factors, bits, planes, slope, offset, base, leading, bounds)
    picked = np.empty(rows, dtype=np.int32)
    written = 0
    ceiling = np.float32(np.inf)
    for floor in (leading[0], np.float32(-np.inf)):
        floor = max(floor, below(best[0]))
        for place in range(_pick(bounds, floor, ceiling, picked)):
            row = picked[place]
            if bounds[row] >= best[0] and _shown(chunks[row], bits):
                score = _score(codes[row], values, scales[row], step)
                if best[0] <= score <= bounds[row]:
                    found[written] = chunks[row]
                    scores[written] = score
                    written += 1
                    if score > best[0]:
                        _replace_least(best, score)
        ceiling = floor
    return written


@kernel
def count_hidden(rows: int, chunks: Chunks, bits: Bits, highest: int) -> int:
    """How many of the rows up to chunk `highest` are not in `bits`."""
    count = 0
    for row in range(rows):
        count += (chunks[row] <= highest) & (not _shown(chunks[row], bits))
    return count


@kernel
def _bound(
    rows: int,
    chunks: Chunks,
    signs: Words,
    factors: Floats,
    bits: Bits,
    planes: Words,
    slope: float,
    offset: float,
    base: float,
    leading: Floats,
    bounds: Floats,
) -> None:
    """What each row scores at most, as far as its sketch tells; the highest of visible rows go into the heap `leading`.

    `planes` is of shape (4, words): the bits of the query's values, two's complement, the highest last.
    """
    sums = np.empty(BLOCK, dtype=np.int64)
    slope32, offset32, base32 = np.float32(slope), np.float32(offset), np.float32(base)
    for start in range(0, rows, BLOCK):
        size = min(BLOCK, rows - start)
        sums[:size] = 0
        for word in range(len(signs)):
            ones, twos, fours, eights = planes[0, word], planes[1, word], planes[2, word], planes[3, word]
            column = signs[word, start : start + size]
            for place in range(size):
                row_word = column[place]
                sums[place] += (
                    np.int64(_ones(row_word & ones))
                    + 2 * np.int64(_ones(row_word & twos))
                    + 4 * np.int64(_ones(row_word & fours))
                    - 8 * np.int64(_ones(row_word & eights))
                )
        its_bounds, its_factors, its_chunks = bounds[start:], factors[start:], chunks[start:]
        for place in range(size):
            its_bounds[place] = (np.float32(sums[place]) * slope32 + offset32) * its_factors[place] + base32
        for place in range(size):
            if its_bounds[place] > leading[0] and _shown(its_chunks[place], bits):
                _replace_least(leading, its_bounds[place])


@kernel
def _pick(bounds: Floats, floor: np.float32, ceiling: np.float32, picked: NDArray[np.int32]) -> int:
    """Rows with floor <= bound < ceiling."""
    count = 0
    for row in range(len(bounds)):
        picked[count] = row  # written always, counted where it holds: no branch to guess
        count += (bounds[row] >= floor) & (bounds[row] < ceiling)
    return count


@kernel
def below(score: float) -> np.float32:
    """A float32 that is not above `score`, nor far below it."""
    near = np.float32(score)
    return near if near <= score else np.float32(near - abs(near) * np.float32(1e-6))


@kernel
def _score(code: Codes, values: NDArray[np.int16], scale: np.float32, step: float) -> float:
    """The inner product. The sum is of whole numbers and exact, so it does not depend on how it is vectorised."""
    total = np.int32(0)
    for place in range(len(values)):
        total = np.int32(total + np.int32(code[place]) * np.int32(values[place]))
    return float(total) * (float(scale) * step)


@kernel
def _shown(chunk: np.uint32, bits: Bits) -> bool:
    byte = np.int64(chunk) >> 3
    return bool(byte < len(bits) and bits[byte] >> (chunk & np.uint32(7)) & 1)


@kernel
def _ones(word: np.uint64) -> np.uint64:
    """How many bits are set: the sum over ever wider fields, which the compiler knows and turns into one instruction.

    H. S. Warren, "Hacker's Delight", section 5-1.
    """
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@kernel
def _replace_least(heap: NDArray[np.floating], value: float) -> None:
    """Puts `value` into a heap whose least comes first, in place of that."""
    place = 0
    while True:
        child = 2 * place + 1
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if child >= len(heap) or heap[child] >= value:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = value
