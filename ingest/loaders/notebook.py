"""Jupyter notebooks: Markdown cells as they are, code in fences, the text of what it put out up to a length."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ingest.errors import CorruptDocument
from ingest.loaders.blocks import fence
from ingest.loaders.encodings import decode
from ingest.loaders.markdown import read
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Heading, Hidden

_MAX_OUTPUT = 4000  # characters of one cell: a log of training is not what anybody looks for
_BETWEEN = "\n\n"


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The cells in order; headings are those of the Markdown cells. Pictures are left out.

    Raises CorruptDocument where there are no cells, UnsupportedFormat where the bytes are no text.
    """
    try:
        notebook = json.loads(decode(data, name))
    except (ValueError, RecursionError) as error:
        raise CorruptDocument(f"{name}: is no JSON, as every notebook is. Save it again in Jupyter.") from error
    cells = _cells(notebook)
    if cells is None:
        raise CorruptDocument(f"{name}: has no cells, so it is no notebook. Save it again in Jupyter.")
    text, length, headings, cut = [], 0, [], 0
    hidden: list[Hidden] = []
    for cell in cells:
        kind, source = cell.get("cell_type"), clean(_string(cell.get("source", cell.get("input")))).strip("\n")
        if kind == "code":
            output, is_cut = _output(cell)
            cut += is_cut
            blocks = [fence(block) for block in (source, output) if block.strip()]
        else:
            found: tuple[Heading, ...] = ()
            if kind == "markdown":
                source, found, unseen = read(source)
                hidden += unseen
            begins = length - (len(source) - len(source.lstrip("\n")))
            headings += [replace(heading, start=heading.start + begins) for heading in found]
            blocks = [source.strip("\n")] if source.strip() else []
        for block in blocks:
            text.append(block)
            length += len(block) + len(_BETWEEN)
    first = next((heading.title for heading in headings if heading.level == 1 and heading.title), None)
    notes = (f"the output of {cut} cell{'s' if cut > 1 else ''} was shortened",) if cut else ()
    return Extracted(
        text=_BETWEEN.join(text),
        title=first or stem(name),
        media_type="application/x-ipynb+json",
        headings=tuple(headings),
        hidden=tuple(hidden),
        notes=notes,
    )


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Those of format 4, or of the first sheet of format 3."""
    if not isinstance(notebook, dict):
        return None
    sheets = notebook.get("worksheets")
    if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        notebook = sheets[0]
    cells = notebook.get("cells")
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else None


def _output(cell: dict[str, Any]) -> tuple[str, bool]:
    """The text that a cell put out, and whether it is cut."""
    outputs = cell.get("outputs")
    parts = [_text_of(output) for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []
    text = "\n".join(part.strip("\n") for part in parts if part.strip())
    return text[:_MAX_OUTPUT], len(text) > _MAX_OUTPUT


def _text_of(output: dict[str, Any]) -> str:
    if output.get("output_type") in ("error", "pyerr"):
        return f"{_string(output.get('ename'))}: {_string(output.get('evalue'))}"
    shown = output.get("data")
    return _string(shown.get("text/plain") if isinstance(shown, dict) else output.get("text"))


def _string(value: Any) -> str:
    """Notebooks hold text as a string, or as its lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
