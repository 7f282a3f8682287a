"""Which words of a PDF page nobody sees.

Words that are never painted, too small, or outside the page are known by what the file says of them. Others are only
suspected: pale ones, ones with a fill or a picture below or above them, ones in forms or optional content. Where there
are suspects, the page is rendered with its words and without: a word whose place looks the same both times is not
seen, whatever the reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray

from ingest.loaders.pdf_drawn import Drawn, Fill
from ingest.loaders.pdf_words import Box, Word, union

_MIN_SIZE = 2.0  # points
_PALE = 190  # the darkest channel of a colour that may vanish on white
_NEAR = 48  # between colours that may look alike
_SEEN = 12  # of 255: the difference that a word must make somewhere in its place
_SCALE = 1.5  # pixels a point
_MAX_PIXELS = 4_000_000
_MAX_CELLS = 2_000_000
_MAX_PAIRS = 100_000  # of words and what is drawn in their place: with more, all words are suspects
_COVERED = 0.5  # of the page, by a picture: an invisible text on it is what OCR read from it


def is_recognised(words: Sequence[Word], drawn: Drawn, page_box: Box) -> bool:
    """Whether the words are an OCR program's: none is painted, and a picture takes most of the page."""
    if not words or not all(word.style.invisible for word in words):
        return False
    area = max(1.0, (page_box[2] - page_box[0]) * (page_box[3] - page_box[1]))
    return any(_shared(picture, page_box) >= _COVERED * area for picture in drawn.pictures)


class Hiding:
    """What may be hidden of a page's words, told from what the file says; `find` renders the page to know."""

    def __init__(self, words: Sequence[Word], drawn: Drawn, page_box: Box) -> None:
        self._words, self._page_box = words, page_box
        self._told: dict[int, str] = {}
        self._suspects: set[int] = set()
        if is_recognised(words, drawn, page_box):
            return
        for index, word in enumerate(words):
            if word.style.invisible:
                self._told[index] = "layer"
            elif not _touch(word.box, page_box):
                self._told[index] = "off-page"
            elif word.style.size < _MIN_SIZE:
                self._told[index] = "size"
        self._suspects = _suspects(words, drawn) if drawn.whole else {word.thing for word in words}

    def find(self, page: Any, things: dict[int, Any]) -> dict[int, str]:
        """How each hidden word is hidden (see `ingest.types.Hidden`), by its index. Takes all suspects off the page."""
        suspects = {address: things[address] for address in self._suspects if address in things}
        if not suspects:
            return self._told
        return self._told | _unseen(page, self._words, suspects, self._page_box, self._told)


def _suspects(words: Iterable[Word], drawn: Drawn) -> set[int]:
    """Text objects that are pale, have a colour like what is below them, lie on a picture, or under anything."""
    found = set(drawn.layered)
    of_thing: dict[int, list[Word]] = defaultdict(list)
    for word in words:
        fill = word.style.fill
        if fill is None or min(fill[:3]) >= _PALE or fill[3] < 64:
            found.add(word.thing)
        elif word.thing not in found:
            of_thing[word.thing].append(word)
    if not drawn.fills or not of_thing:
        return found
    fills = np.array([fill.box for fill in drawn.fills])
    things = list(of_thing)
    boxes = np.array([_around(of_thing[thing]) for thing in things])
    at_once = max(1, _MAX_CELLS // len(fills))
    pairs = 0
    for start in range(0, len(things), at_once):
        left, bottom, right, top = (boxes[start : start + at_once, side, None] for side in range(4))
        meet = (fills[:, 0] < right) & (fills[:, 2] > left) & (fills[:, 1] < top) & (fills[:, 3] > bottom)
        pairs += int(meet.sum())
        if pairs > _MAX_PAIRS:
            return found | set(things)
        for row, column in np.argwhere(meet).tolist():
            thing = things[start + row]
            if thing not in found and _may_hide(drawn.fills[column], of_thing[thing][0], drawn.order.get(thing, 0)):
                found.add(thing)
    return found


def _around(words: Sequence[Word]) -> Box:
    box = words[0].box
    for word in words[1:]:
        box = union(box, word.box)
    return box


def _may_hide(fill: Fill, word: Word, order: int) -> bool:
    if fill.order > order:
        return fill.opaque
    ink = word.style.fill
    return fill.colour is None or ink is None or _near(ink[:3], fill.colour)


def _unseen(
    page: Any, words: Sequence[Word], suspects: dict[int, Any], page_box: Box, known: dict[int, str]
) -> dict[int, str]:
    """The words of `suspects` that make no difference to how the page looks. Takes these off the page."""
    width, height = page_box[2] - page_box[0], page_box[3] - page_box[1]
    scale = min(_SCALE, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    with_words = _rendered(page, scale)
    for thing in suspects.values():
        pdfium_c.FPDFPageObj_SetIsActive(thing, False)
    without = _rendered(page, scale)
    found = {}
    turn = pdfium_c.FPDFPage_GetRotation(page)
    for index, word in enumerate(words):
        if index in known or word.thing not in suspects:
            continue
        rows, columns = _pixels(word.box, page_box, turn, scale, with_words.shape[:2])
        place = without[rows, columns]
        if place.size and np.abs(with_words[rows, columns].astype(np.int16) - place).max() < _SEEN:
            below = place.reshape(-1, 3).mean(axis=0)
            ink = word.style.fill
            found[index] = "colour" if ink is not None and _near(ink[:3], tuple(below)) else "layer"
    return found


def _rendered(page: Any, scale: float) -> NDArray[np.uint8]:
    """The page as pixels, rows from above, three colours each."""
    bitmap = page.render(scale=scale, may_draw_forms=False, draw_annots=True, prefer_bgrx=False, rev_byteorder=True)
    pixels = np.array(bitmap.to_numpy()[:, :, :3], dtype=np.uint8)
    bitmap.close()
    return pixels


def _pixels(box: Box, page_box: Box, turn: int, scale: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The place of a box on the page in its rendering, which shows the page turned clockwise."""
    left, bottom, right, top = box
    # The middle of the box: the ends of letters of other lines reach into its margins.
    margin, edge = 0.2 * (top - bottom), 0.02 * (right - left)
    left, bottom, right, top = left + edge, bottom + margin, right - edge, top - margin
    west, south, east, north = page_box
    x0, y0, x1, y1 = (
        (left - west, north - top, right - west, north - bottom),
        (bottom - south, left - west, top - south, right - west),
        (east - right, bottom - south, east - left, top - south),
        (north - top, east - right, north - bottom, east - left),
    )[turn % 4]
    rows = slice(max(0, int(y0 * scale)), min(shape[0], int(y1 * scale) + 1))
    return rows, slice(max(0, int(x0 * scale)), min(shape[1], int(x1 * scale) + 1))


def _near(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))


def _touch(box: Box, other: Box) -> bool:
    return box[0] < other[2] and box[2] > other[0] and box[1] < other[3] and box[3] > other[1]


def _shared(box: Box, other: Box) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0.0, width) * max(0.0, height)
