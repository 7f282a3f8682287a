"""Charts of DOCX and PPTX as tables: what was drawn, from the values that the file keeps for drawing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.loaders.blocks import Block, table
from ingest.loaders.number_formats import GENERAL, shown

_MOST_POINTS = 10_000
_MOST_SERIES = 256
_MOST_CELLS = 100_000


def chart_blocks(root: Any) -> Iterator[Block]:
    """The title and one table: categories down, series across."""
    title = root.find(".//{*}chart/{*}title")
    if title is not None:
        yield Block(" ".join("".join(text.text or "" for text in title.iter("{*}t")).split()))
    categories: dict[int, str] = {}
    names: list[str] = []
    values: list[dict[int, str]] = []
    for series in list(root.iter("{*}ser"))[:_MOST_SERIES]:
        names.append(" ".join(_points(series, "tx").values()))
        categories |= _points(series, "cat", "xVal")
        values.append(_points(series, "val", "yVal"))
    places = sorted({place for points in values for place in points} | set(categories))
    places = places[: _MOST_CELLS // (len(names) + 1)]
    rows = [[categories.get(place, ""), *(points.get(place, "") for points in values)] for place in places]
    yield Block(table([["", *names], *rows]) if rows else "")


def _points(series: Any, *kinds: str) -> dict[int, str]:
    """The points of one side of a series, by their place."""
    side = next((found for kind in kinds if (found := series.find(f"{{*}}{kind}")) is not None), None)
    if side is None:
        return {}
    code = side.findtext(".//{*}formatCode") or GENERAL
    found = {}
    for point in side.iter("{*}pt"):
        place = point.get("idx") or ""
        if place.isdecimal() and len(place) < 9 and len(found) < _MOST_POINTS:
            found[int(place)] = _shown(point.findtext("{*}v") or "", code)
    return found or ({0: side.findtext("{*}v") or ""} if side.find("{*}v") is not None else {})


def _shown(text: str, code: str) -> str:
    try:
        return shown(float(text), code) or text
    except ValueError:
        return text
