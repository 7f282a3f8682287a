"""Ways to cut a document, for benchmarks/chunking.py: ours, ours with something left out, and those of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.chunks.chunking import chunk
from ingest.types import Extracted


@dataclass(frozen=True, slots=True)
class Piece:
    """`text[start:end]` of the document, and what is embedded and indexed of it."""

    input: str
    start: int
    end: int


Strategy = Callable[[Extracted, Any], list[Piece]]  # the second is a `tokenizers.Tokenizer` that neither cuts nor pads


def structure(
    document: Extracted, tokenizer: Any, tokens: int = 200, overlap: int = 0, path: bool = True, header: bool = True
) -> list[Piece]:
    """Ours; without `path` the input lacks the heading path, without `header` the header of a cut table."""
    spans = chunk(document, count_tokens=_counter(tokenizer), chunk_tokens=tokens, overlap_tokens=overlap)
    pieces = []
    for span in spans:
        text = document.text[span.start : span.end]
        lead = document.text[slice(*span.lead)] + "\n" if span.lead else ""
        before = span.input.removesuffix(lead + text)
        pieces.append(Piece((before if path else "") + (lead if header else "") + text, span.start, span.end))
    return pieces


def windows(document: Extracted, tokenizer: Any, tokens: int = 200, overlap: int = 0) -> list[Piece]:
    """So many tokens each, wherever they end."""
    offsets = tokenizer.encode(document.text, add_special_tokens=False).offsets
    pieces = []
    for first in range(0, len(offsets), tokens - overlap):
        part = offsets[first : first + tokens]
        start, end = part[0][0], part[-1][1]
        pieces.append(Piece(document.text[start:end], start, end))
        if first + tokens >= len(offsets):
            break
    return pieces


def paragraphs(document: Extracted, tokenizer: Any) -> list[Piece]:
    """What blank lines divide."""
    found = re.finditer(r"\S(?:.|\n(?!\s*\n))*", document.text)
    return [Piece(its.group().rstrip(), its.start(), its.start() + len(its.group().rstrip())) for its in found]


def sentence_splitter(document: Extracted, tokenizer: Any, tokens: int | None = None, overlap: int = 0) -> list[Piece]:
    """llama-index's, at its defaults (1,024 tokens of its own tokenizer, 200 of overlap) or at a size in ours."""
    from llama_index.core.node_parser import SentenceSplitter

    if tokens is None:
        splitter = SentenceSplitter()
    else:
        ids = partial(tokenizer.encode, add_special_tokens=False)
        splitter = SentenceSplitter(chunk_size=tokens, chunk_overlap=overlap, tokenizer=lambda text: ids(text).ids)
    return _located(document.text, splitter.split_text(document.text))


def recursive(document: Extracted, tokenizer: Any, characters: int = 1000, overlap: int = 200) -> list[Piece]:
    """As LangChain's RecursiveCharacterTextSplitter: at blank lines, else lines, else blanks; then joined up to a size
    in characters, with an overlap of whole pieces."""
    text = document.text
    atoms = list(_atoms(text, 0, len(text), characters, ("\n\n", "\n", " ")))
    pieces: list[Piece] = []
    window: list[tuple[int, int]] = []
    for atom in atoms:
        if window and atom[1] - window[0][0] > characters:
            pieces.append(_piece(text, window[0][0], window[-1][1]))
            while window and (window[-1][1] - window[0][0] > overlap or atom[1] - window[0][0] > characters):
                window.pop(0)
        window.append(atom)
    if window:
        pieces.append(_piece(text, window[0][0], window[-1][1]))
    return [piece for piece in pieces if piece.input]


def _atoms(text: str, start: int, end: int, most: int, separators: Sequence[str]) -> Iterator[tuple[int, int]]:
    if end - start <= most or not separators:
        for first in range(start, end, most):
            yield first, min(end, first + most)
        return
    at = start
    while at < end:
        found = text.find(separators[0], at, end)
        stop = end if found < 0 else found + len(separators[0])
        if stop - at > most:
            yield from _atoms(text, at, stop, most, separators[1:])
        else:
            yield at, stop
        at = stop


def _piece(text: str, start: int, end: int) -> Piece:
    stripped = text[start:end].strip()
    start = text.index(stripped, start)
    return Piece(stripped, start, start + len(stripped))


def _located(text: str, strings: Sequence[str]) -> list[Piece]:
    """Strings with where they stand, each behind the beginning of the one before it; white space does not count."""
    solid = [match.start() for match in re.finditer(r"\S", text)]
    plain = "".join(text.split())
    pieces, last = [], -1
    for string in strings:
        bare = "".join(string.split())
        if not bare:
            continue
        at = plain.index(bare, last + 1)
        pieces.append(Piece(string, solid[at], solid[at + len(bare) - 1] + 1))
        last = at
    return pieces


def _counter(tokenizer: Any) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


STRATEGIES: dict[str, Strategy] = {
    "structure, 200 tokens": structure,
    "structure, 64": partial(structure, tokens=64),
    "structure, 100": partial(structure, tokens=100),
    "structure, 150": partial(structure, tokens=150),
    "structure, 250": partial(structure, tokens=250),
    "structure, 200, overlap 40": partial(structure, overlap=40),
    "structure, 200, no heading path": partial(structure, path=False),
    "structure, 200, no table header": partial(structure, header=False),
    "paragraphs as they are": paragraphs,
    "windows of 200": windows,
    "windows of 200, overlap 40": partial(windows, overlap=40),
    "SentenceSplitter, 200": partial(sentence_splitter, tokens=200),
    "SentenceSplitter, 200, overlap 40": partial(sentence_splitter, tokens=200, overlap=40),
    "SentenceSplitter, defaults": sentence_splitter,
    "recursive, 1,000 characters, overlap 200": recursive,
}
