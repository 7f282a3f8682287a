"""What is drawn on a PDF page beside its words: rules that make tables, fills and pictures under or over text."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.loaders.pdf_words import Box

_MAX_DEPTH = 12  # of forms in forms
_MAX_THINGS = 50_000  # looked at on one page
_MAX_SEGMENTS = 20_000
MAX_MARKS = 100  # of one text
_MAX_CLIPS = 6  # clipping paths of one text
_MAX_ANNOTATIONS = 5000
_DRAW_NOTHING = (pdfium_c.FPDF_ANNOT_LINK, pdfium_c.FPDF_ANNOT_POPUP, pdfium_c.FPDF_ANNOT_TEXT)
_NOT_SHOWN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_THIN = 2.5  # points: a rectangle this thin is a rule
_MIN_RULE = 4.0

Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1, 0, 0, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled shape, or with `colour` None a picture or shading. `order`: that in which things are drawn."""

    box: Box
    order: int
    colour: tuple[int, int, int] | None
    opaque: bool


@dataclass(slots=True)
class Drawn:
    """`order` has each text object by address. `pictures` are boxes on the page, of pictures alone, `pixels` their
    sizes in megapixels as the file states them.

    `layered`: text objects in forms, in optional content, or cut by a clipping path, of which only rendering shows
    whether they can be seen.
    """

    rules: list[Box] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    pictures: list[Box] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)
    order: dict[int, int] = field(default_factory=dict)
    layered: set[int] = field(default_factory=set)
    things: int = 0
    segments: int = 0
    whole: bool = True  # False where there was more than is looked at


def drawn_on(page: Any) -> Drawn:
    """Everything on the page but its words, in the page's points, y upwards."""
    found = Drawn()
    for thing, kind, matrix, depth in _things(page, found):
        found.things += 1
        if kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
            address = ctypes.addressof(thing.contents)
            found.order[address] = found.things
            masked = pdfium_c.FPDFPageObj_HasTransparency(thing)
            if depth > 0 or masked or _is_optional(thing) or _is_clipped(thing):
                found.layered.add(address)
            continue
        box = _bounds(thing, matrix)
        if box is None:
            continue
        if kind == pdfium_c.FPDF_PAGEOBJ_PATH:
            _path(thing, box, matrix, found)
            continue
        found.fills.append(Fill(box, found.things, None, True))
        if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            found.pictures.append(box)
            found.pixels.append(_megapixels(thing))
    found.fills += [Fill(box, found.things + 1, None, True) for box in _annotated(page)]
    return found


def text_objects(page: Any) -> Iterator[Any]:
    """The text objects of the page, those in forms too."""
    for thing, kind, _, _ in _things(page, Drawn()):
        if kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
            yield thing


def _annotated(page: Any) -> Iterator[Box]:
    """Where annotations are drawn over the page. Links and notes draw nothing that could cover text."""
    its = pdfium_c.FS_RECTF()
    for index in range(min(_MAX_ANNOTATIONS, max(0, pdfium_c.FPDFPage_GetAnnotCount(page)))):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        bare = pdfium_c.FPDFAnnot_GetSubtype(annotation) in _DRAW_NOTHING
        unseen = pdfium_c.FPDFAnnot_GetFlags(annotation) & _NOT_SHOWN
        if not bare and not unseen and pdfium_c.FPDFAnnot_GetRect(annotation, its):
            yield min(its.left, its.right), min(its.bottom, its.top), max(its.left, its.right), max(its.bottom, its.top)
        pdfium_c.FPDFPage_CloseAnnot(annotation)


def _things(page: Any, found: Drawn) -> Iterator[tuple[Any, int, Matrix, int]]:
    """All page objects in the order in which they are drawn, those in forms with the form's matrix."""
    stack = [iter(_children(page, pdfium_c.FPDFPage_CountObjects, pdfium_c.FPDFPage_GetObject, _IDENTITY, 0))]
    while stack:
        for thing, matrix, depth in stack[-1]:
            if found.things >= _MAX_THINGS:
                found.whole = False
                return
            kind = pdfium_c.FPDFPageObj_GetType(thing)
            if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
                yield thing, kind, matrix, depth
                continue
            found.things += 1
            if depth < _MAX_DEPTH:
                inner = _times(_matrix(thing), matrix)
                count, get = pdfium_c.FPDFFormObj_CountObjects, pdfium_c.FPDFFormObj_GetObject
                stack.append(iter(_children(thing, count, get, inner, depth + 1)))
                break
        else:
            stack.pop()


def _children(parent: Any, count: Any, get: Any, matrix: Matrix, depth: int) -> Iterator[tuple[Any, Matrix, int]]:
    for index in range(max(0, count(parent))):
        if thing := get(parent, index):
            yield thing, matrix, depth


def _is_optional(thing: Any) -> bool:
    """Whether the object is marked as optional content, which may be switched off."""
    for index in range(min(MAX_MARKS, max(0, pdfium_c.FPDFPageObj_CountMarks(thing)))):
        mark = pdfium_c.FPDFPageObj_GetMark(thing, index)
        name = ctypes.create_string_buffer(16)
        length = ctypes.c_ulong()
        got = mark and pdfium_c.FPDFPageObjMark_GetName(mark, ctypes.cast(name, _WIDE), 16, length)
        if got and name.raw[: length.value].decode("utf-16-le", "replace").rstrip("\0") == "OC":
            return True
    return False


def _is_clipped(thing: Any) -> bool:
    """Whether a clipping path may cut the object: one that is no rectangle, or a rectangle that does not hold it."""
    clip = pdfium_c.FPDFPageObj_GetClipPath(thing)
    count = pdfium_c.FPDFClipPath_CountPaths(clip) if clip else 0
    if count <= 0:
        return False
    box = _bounds(thing, _IDENTITY)
    if box is None or count > _MAX_CLIPS:
        return True
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(count):
        segments = pdfium_c.FPDFClipPath_CountPathSegments(clip, index)
        if not 4 <= segments <= 5:
            return True
        xs, ys = [], []
        for at in range(segments):
            pdfium_c.FPDFPathSegment_GetPoint(pdfium_c.FPDFClipPath_GetPathSegment(clip, index, at), x, y)
            xs.append(x.value)
            ys.append(y.value)
        if box[0] < min(xs) - 1 or box[2] > max(xs) + 1 or box[1] < min(ys) - 1 or box[3] > max(ys) + 1:
            return True
    return False


_WIDE = ctypes.POINTER(ctypes.c_ushort)


def _path(thing: Any, box: Box, matrix: Matrix, found: Drawn) -> None:
    mode, stroked = ctypes.c_int(), ctypes.c_int()
    if not pdfium_c.FPDFPath_GetDrawMode(thing, mode, stroked) or not (mode.value or stroked.value):
        return
    width, height = box[2] - box[0], box[3] - box[1]
    if min(width, height) <= _THIN:
        if max(width, height) >= _MIN_RULE:
            found.rules.append(box)
        return
    count = pdfium_c.FPDFPath_CountSegments(thing)
    if mode.value:
        found.fills.append(_fill(thing, box, found.things, is_rectangle=count in (4, 5)))
    if found.segments + count > _MAX_SEGMENTS:
        found.whole = False
        return
    found.segments += count
    for points in _subpaths(thing, count, matrix):
        found.rules += _rules(points, filled=bool(mode.value) and not stroked.value)


def _fill(thing: Any, box: Box, order: int, is_rectangle: bool) -> Fill:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not pdfium_c.FPDFPageObj_GetFillColor(thing, red, green, blue, alpha):
        return Fill(box, order, None, True)
    colour = (red.value, green.value, blue.value)
    return Fill(box, order, colour, is_rectangle and alpha.value > 200)


def _subpaths(thing: Any, count: int, matrix: Matrix) -> Iterator[list[tuple[float, float]]]:
    """Points of each run of straight segments."""
    full = _times(_matrix(thing), matrix)
    points: list[tuple[float, float]] = []
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(count):
        segment = pdfium_c.FPDFPath_GetPathSegment(thing, index)
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        if kind != pdfium_c.FPDF_SEGMENT_LINETO:
            if len(points) > 1:
                yield points
            points = []
        if kind != pdfium_c.FPDF_SEGMENT_BEZIERTO:
            points.append(_moved(x.value, y.value, full))
            if pdfium_c.FPDFPathSegment_GetClose(segment) and len(points) > 2:
                points.append(points[0])
    if len(points) > 1:
        yield points


def _rules(points: list[tuple[float, float]], filled: bool) -> Iterator[Box]:
    """The straight lines of an outline, or of a fill the whole where it is thin. Fills that are no rules have none."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    box = (min(xs), min(ys), max(xs), max(ys))
    if min(box[2] - box[0], box[3] - box[1]) <= _THIN:
        if max(box[2] - box[0], box[3] - box[1]) >= _MIN_RULE:
            yield box
        return
    if filled and len(points) not in (4, 5):
        return
    for (x0, y0), (x1, y1) in pairwise(points):
        upright, level = abs(x1 - x0) < 0.5, abs(y1 - y0) < 0.5
        if upright != level and max(abs(x1 - x0), abs(y1 - y0)) >= _MIN_RULE:
            yield min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _bounds(thing: Any, matrix: Matrix) -> Box | None:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium_c.FPDFPageObj_GetBounds(thing, left, bottom, right, top):
        return None
    if matrix == _IDENTITY:
        return left.value, bottom.value, right.value, top.value
    corners = [_moved(x.value, y.value, matrix) for x in (left, right) for y in (bottom, top)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _megapixels(thing: Any) -> float:
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium_c.FPDFImageObj_GetImagePixelSize(thing, width, height)
    return width.value * height.value / 1e6


def _matrix(thing: Any) -> Matrix:
    its = pdfium_c.FS_MATRIX()
    if not pdfium_c.FPDFPageObj_GetMatrix(thing, its):
        return _IDENTITY
    return its.a, its.b, its.c, its.d, its.e, its.f


def _times(inner: Matrix, outer: Matrix) -> Matrix:
    if outer == _IDENTITY:
        return inner
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _moved(x: float, y: float, by: Matrix) -> tuple[float, float]:
    a, b, c, d, e, f = by
    return a * x + c * y + e, b * x + d * y + f
