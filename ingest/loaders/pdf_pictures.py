"""Pictures on a PDF page that may hold text which its text layer has not: which these are, and what they show."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray

from ingest.config import ExtractionSettings
from ingest.loaders.ocr import MAX_SIDE, pgm
from ingest.loaders.pdf_drawn import Drawn
from ingest.loaders.pdf_words import Box, Word, union

_SCAN_SCALE = 300 / 72  # pixels a point
_LITTLE_TEXT = 60  # letters and digits: with fewer, a picture over most of the page is a scan, whatever its pixels
_MOSTLY = 0.5  # of the page
_LARGE = 0.1  # of the page
_ENOUGH_PIXELS = 0.06  # megapixels
_WRITTEN_OVER = 0.06  # of the picture, by the boxes of words: the text layer has its text, or it is a background
_WHOLE = 0.5  # of the box around several pictures, which they fill: strips of one scan
_MAX_PICTURES = 200  # that are looked at on one page, the largest
_TOUCH = 2.0  # points between strips
_CONTRAST = 40  # of 255, below which nothing is written
_MIN_WORDS = 3  # of a text that is worth having
_WORD = re.compile(r"[^\W\d_]{3,}")
_READABLE = re.compile(r"[^\W_]{2,}")
_MIN_READABLE = 0.6  # of what OCR read, in characters: the rest is noise


def unread(drawn: Drawn, words: Sequence[Word], page_box: Box) -> list[Box]:
    """The places of large pictures over which little of `words`, what is seen of the text layer, stands."""
    area = max(1.0, _area(page_box))
    letters = sum(character.isalnum() for word in words for character in word.text)
    found = []
    for box, filled, megapixels in _joined(_within(drawn, page_box)):
        its = _area(box)
        if filled < _WHOLE * its or its < _LARGE * area:
            continue
        is_scan = letters < _LITTLE_TEXT and its >= _MOSTLY * area
        if is_scan or (megapixels >= _ENOUGH_PIXELS and _written(box, words) < _WRITTEN_OVER * its):
            found.append(box)
    return found


def are_most(boxes: Iterable[Box], page_box: Box) -> bool:
    """Whether the boxes take most of the page."""
    return sum(map(_area, boxes)) >= _MOSTLY * _area(page_box)


def _within(drawn: Drawn, page_box: Box) -> list[tuple[Box, float]]:
    """The largest pictures with their megapixels, cut off at the edges of the page."""
    cut = [(_cut(box, page_box), megapixels) for box, megapixels in zip(drawn.pictures, drawn.pixels, strict=True)]
    return sorted((its for its in cut if _area(its[0]) > 0), key=lambda its: -_area(its[0]))[:_MAX_PICTURES]


def _joined(pictures: list[tuple[Box, float]]) -> Iterator[tuple[Box, float, float]]:
    """Pictures that touch made one: the box, the area that is filled, the megapixels."""
    waiting = [(box, _area(box), megapixels) for box, megapixels in pictures]
    while waiting:
        box, filled, megapixels = waiting.pop(0)
        grown = True
        while grown:
            near = [its for its in waiting if _touch(its[0], box)]
            waiting = [its for its in waiting if not _touch(its[0], box)]
            grown = bool(near)
            for other, more, its in near:
                box, filled, megapixels = union(box, other), filled + more, megapixels + its
        yield box, min(filled, _area(box)), megapixels


def _written(box: Box, words: Iterable[Word]) -> float:
    return sum(_area(_cut(word.box, box)) for word in words)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _cut(box: Box, by: Box) -> Box:
    left, bottom = max(box[0], by[0]), max(box[1], by[1])
    return left, bottom, max(left, min(box[2], by[2])), max(bottom, min(box[3], by[3]))


def _touch(one: Box, other: Box) -> bool:
    across = one[0] - _TOUCH < other[2] and other[0] - _TOUCH < one[2]
    return across and one[1] - _TOUCH < other[3] and other[1] - _TOUCH < one[3]


def whole(page: Any, limits: ExtractionSettings) -> bytes:
    """The page as OCR reads it best, within limits whatever its size."""
    return _pgm(_rendered(page, limits))


def parts(page: Any, boxes: Sequence[Box], limits: ExtractionSettings) -> list[bytes]:
    """What the page shows at these places, as OCR reads it best; b"" where that is nothing."""
    pixels = _rendered(page, limits)
    found = []
    for box in boxes:
        its = pixels[_pixels(page, box, pixels.shape)]
        shows = its.size and int(its.max()) - int(its.min()) >= _CONTRAST
        found.append(_pgm(np.ascontiguousarray(its)) if shows else b"")
    return found


def is_worth_having(text: str) -> bool:
    """Whether OCR read words, not noise that it saw in a photograph."""
    marks = sum(not character.isspace() for character in text)
    readable = sum(len(match[0]) for match in _READABLE.finditer(text))
    return len(_WORD.findall(text)) >= _MIN_WORDS and readable >= _MIN_READABLE * marks


def _rendered(page: Any, limits: ExtractionSettings) -> NDArray[np.uint8]:
    """The page in grey, rows from above."""
    width, height = page.get_size()
    longest, area = max(width, height, 1.0), max(width * height, 1.0)
    scale = min(_SCAN_SCALE, MAX_SIDE / longest, (limits.max_megapixels * 1e6 / area) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    pixels = bitmap.to_numpy()
    copied = np.array(pixels[:, :, 0] if pixels.ndim == 3 else pixels, dtype=np.uint8)
    bitmap.close()
    return copied


def _pixels(page: Any, box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The place of a box in the rendering, which shows the page as it is turned."""
    x, y = ctypes.c_int(), ctypes.c_int()
    xs, ys = [], []
    for corner in ((box[0], box[1]), (box[2], box[3])):
        pdfium_c.FPDF_PageToDevice(page, 0, 0, shape[1], shape[0], 0, *corner, x, y)
        xs.append(min(max(0, x.value), shape[1]))
        ys.append(min(max(0, y.value), shape[0]))
    return slice(min(ys), max(ys)), slice(min(xs), max(xs))


def _pgm(pixels: NDArray[np.uint8]) -> bytes:
    return pgm(pixels.tobytes(), pixels.shape[1], pixels.shape[0])
