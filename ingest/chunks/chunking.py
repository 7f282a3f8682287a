"""Cuts a document into chunks: by headings, then by paragraphs, tables and code, then by sentences.

1. Each heading begins a section, whose path is its heading below those that govern it.
2. Each section is cut into units: paragraphs, list items, and whole tables and pieces of code with what introduces
   them. Of what is too long for a chunk, tables are cut between rows, code at blank lines, the rest between sentences.
3. Neighbouring units are packed into chunks. A tiny section joins its neighbour under the path that both share.
4. Each chunk is counted once more with its heading path, and halved in the rare case that it is too long.

What begins among the rows of a table is led by the header of that table: the input has it before the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from ingest.chunks.cutting import Span, halved, last_sentence, sentences, trimmed
from ingest.chunks.text_blocks import Block, blocks, code_block, is_source_code, paragraphs_of_code, rows
from ingest.types import ChunkSpan, Extracted, Heading

_Path = tuple[Heading, ...]

_PATH_SEPARATOR = " > "
# No language has words this long, and a million characters need not be counted as one.
_MAX_RUN = 1000
_RUN = re.compile(rf"[^\s,.;\u3002\uff01\uff1f]{{1,{_MAX_RUN}}}")
_WORD_START = re.compile(r"(?<!\S)\S")
_MIN_CHUNK_TOKENS = 16
# A tokenizer may take a word that it does not know for one token; a blob of base64 is not one small chunk.
_MAX_CHARACTERS_PER_TOKEN = 20
_REMEMBERED_COUNTS = 10_000
_LONGEST_REMEMBERED = 2000  # characters: longer passages would stay in memory by the thousand
# The splitter makes an object of each mark that could end a sentence, and a tokenizer several of each word: a text of
# nothing but dots would take gigabytes.
_LONGEST_PASSAGE = 100_000
_GAP_WITHIN = 2000  # characters before the end of such a passage in which it is cut at white space


def chunk(
    extracted: Extracted, *, count_tokens: Callable[[str], int], chunk_tokens: int, overlap_tokens: int
) -> list[ChunkSpan]:
    """The chunks of a document in order; `text[start:end]` is the text of each, without surrounding white space.

    `input` is the heading path joined by " > ", a line end, and the text; without headings the text alone. A path that
    takes more than half of `chunk_tokens` is shortened in `input`, from its outer end, and stays whole in `heading`.
    A chunk that begins in one section and ends in another has the path they share.

    A chunk that begins among the rows of a table has the table's header in its `input`, as lines of their own before
    the text, and `lead` says where in the text that is; not so where the header would take more than half the room.

    `count_tokens(input)` is at most `chunk_tokens` (at least 16), except where one single character is longer; and a
    chunk has at most 20 characters per token.
    Without overlap the spans are disjoint and leave out nothing but white space. With `overlap_tokens`, a chunk that
    continues a section begins up to that many tokens, but no more than half its room, before the end of the last.

    Raises ValueError for settings out of bounds.
    """
    if chunk_tokens < _MIN_CHUNK_TOKENS or not 0 <= overlap_tokens < chunk_tokens:
        raise ValueError(
            f"chunk_tokens is {chunk_tokens} and overlap_tokens {overlap_tokens}: a chunk needs at least "
            f"{_MIN_CHUNK_TOKENS} tokens, and an overlap fewer than the chunk and not below 0."
        )
    return _Chunker(extracted, count_tokens, chunk_tokens, overlap_tokens).chunks()


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    path: _Path


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece of text that is kept whole. Its tokens are counted once and then added up."""

    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Lead:
    """The header of a table, with its number of tokens."""

    start: int
    end: int
    tokens: int


@dataclass(slots=True)
class _Draft:
    """A chunk while units are added to it."""

    start: int
    end: int
    tokens: int
    path: _Path
    earliest: int  # how far back an overlap may reach: the start of the section that it begins in


class _Chunker:
    def __init__(self, extracted: Extracted, count: Callable[[str], int], chunk_tokens: int, overlap: int) -> None:
        self._extracted = extracted
        self._text = extracted.text

        def count_or_estimate(text: str) -> int:
            parts = (text[start : start + _LONGEST_PASSAGE] for start in range(0, len(text), _LONGEST_PASSAGE))
            return max(sum(map(count, parts)), len(text) // _MAX_CHARACTERS_PER_TOKEN)

        # Counting costs most, and the splitter asks for the same words and passages again.
        remembered = lru_cache(maxsize=_REMEMBERED_COUNTS)(count_or_estimate)

        def counted(text: str) -> int:
            return remembered(text) if len(text) <= _LONGEST_REMEMBERED else count_or_estimate(text)

        self._count = counted
        self._chunk_tokens = chunk_tokens
        self._overlap = overlap
        self._page_starts = [page.start for page in extracted.pages]
        self._prefixes: dict[_Path, tuple[str, int]] = {}
        self._is_code = is_source_code(extracted.media_type)
        self._tables: list[Block] = []  # those with a header, of the sections so far, and where their rows begin
        self._bodies: list[int] = []
        self._spans: list[ChunkSpan] = []

    def chunks(self) -> list[ChunkSpan]:
        draft: _Draft | None = None
        for section in _sections(self._text, self._extracted.headings):
            units, repeated = self._units(section)
            total = left = sum(unit.tokens for unit in units)
            even = _even(total + repeated, self._room(section.path))
            for number, unit in enumerate(units):
                path = None
                if draft is not None and number == 0:
                    path = self._shared_path(draft, section, unit, total)
                elif draft is not None and self._continues(draft, unit, left, even):
                    path = draft.path
                left -= unit.tokens
                if draft is not None and path is not None:
                    draft.end, draft.path, draft.tokens = unit.end, path, draft.tokens + unit.tokens
                    continue
                if draft is not None:
                    self._finish(draft)
                lead = self._lead(section.path, unit.start)
                tokens = unit.tokens + (lead.tokens if lead else 0)
                draft = _Draft(unit.start, unit.end, tokens, section.path, earliest=section.start)
        if draft is not None:
            self._finish(draft)
        return self._spans

    # -- what may stand together

    def _continues(self, draft: _Draft, unit: _Unit, left: int, even: int) -> bool:
        """Within a section: while the unit fits, and either all that is left of the section does, or the chunks of the
        section come out more equally long with it."""
        room = self._room(draft.path) - draft.tokens
        return left <= room or (unit.tokens <= room and draft.tokens + unit.tokens / 2 <= even)

    def _shared_path(self, draft: _Draft, section: _Section, first: _Unit, total: int) -> _Path | None:
        """The path of `draft` when `section` joins it, or None where it should not: both are of some size, the section
        could stay whole but would be cut, or a heading would be lost that does not stand in the chunk's own text."""
        tiny = self._chunk_tokens / 4
        if min(draft.tokens, total) >= tiny:
            return None
        shared = tuple(one for one, other in zip(draft.path, section.path, strict=False) if one is other)
        if any(heading.start < draft.start for heading in draft.path[len(shared) :] + section.path[len(shared) :]):
            return None
        is_cut_anyway = total > self._room(section.path)
        added = first.tokens if is_cut_anyway else total
        return shared if draft.tokens + added <= self._room(shared) else None

    # -- units

    def _units(self, section: _Section) -> tuple[list[_Unit], int]:
        """The units of a section, and the tokens of the table headers that its chunks will repeat."""
        room = self._room(section.path)
        units: list[_Unit] = []
        repeated = 0
        above: Block | None = None
        for block in self._blocks(section, room):
            if block.has_header:
                self._tables.append(block)
                self._bodies.append(block.body)
            introduced = above is not None and above.kind == "text" and block.kind != "text"
            before = units[-1].tokens if introduced and units[-1].tokens <= room // 4 else 0
            pieces, headers = self._pieces(block, section.path, before)
            if introduced and above is not None:
                self._introduce(above, units, pieces, room)
            units += pieces
            repeated += headers
            above = block
        return units, repeated

    def _blocks(self, section: _Section, room: int) -> list[Block]:
        if self._is_code:
            return [code_block(self._text, section.start, section.end)]
        found = list(blocks(self._text, section.start, section.end))
        if len(found) > 1 and section.path and found[1].kind == "text":
            heading, below = found[:2]
            if "\n" not in self._text[heading.start : heading.end]:
                tokens = self._tokens(below.start, below.end)
                # A heading at the end of a chunk would mislead.
                if tokens > room or self._tokens(heading.start, heading.end) + tokens <= room:
                    found[:2] = [replace(below, start=heading.start)]
        return found

    def _pieces(self, block: Block, path: _Path, before: int) -> tuple[list[_Unit], int]:
        """The block as units, and the tokens of headers repeated; `before` tokens may come to stand before the first
        of several."""
        room = self._room(path)
        tokens = self._tokens(block.start, block.end)
        if tokens <= room:
            return [_Unit(block.start, block.end, tokens)], 0
        if block.kind == "table":
            return self._rows(block, path, tokens)
        if block.kind == "code":
            return list(self._code(block, room, before)), 0
        return list(self._sentences(block.start, block.end, room)), 0

    def _rows(self, table: Block, path: _Path, tokens: int) -> tuple[list[_Unit], int]:
        room = self._room(path)
        lead = self._lead(path, table.body)
        header = lead.tokens if lead else 0
        spans = rows(self._text, table)
        if len(spans) > 1 and self._tokens(spans[0][0], spans[1][1]) <= room:
            spans[:2] = [(spans[0][0], spans[1][1])]  # a header, or one row, says little alone
        below = room - header
        units = list(self._sentences(*spans[0], room))
        units += [unit for start, end in spans[1:] for unit in self._sentences(start, end, below)]
        parts = max(1, -(-(tokens - header) // below))
        return units, header * (parts - 1)

    def _code(self, code: Block, room: int, before: int) -> Iterator[_Unit]:
        most = room - before
        for lines in paragraphs_of_code(self._text, code):
            start, end = lines[0][0], lines[-1][1]
            tokens = self._tokens(start, end)
            if tokens <= most:
                yield _Unit(start, end, tokens)
            else:
                for line in lines:
                    yield from self._sentences(*line, room)
            most = room

    def _introduce(self, above: Block, units: list[_Unit], pieces: list[_Unit], room: int) -> None:
        """Moves what introduces a table or code, `above`, from the end of `units` to the first of `pieces`.

        That is the paragraph above it, or where both do not fit its last sentence.
        """
        last, first = units[-1], pieces[0]
        cut: int | None = last.start
        tokens = last.tokens
        if tokens + first.tokens > room:
            cut = last_sentence(self._text, max(above.start, last.start), last.end)
            tokens = room if cut is None else self._tokens(cut, last.end)
        if cut is None or tokens + first.tokens > room:
            return
        pieces[0] = _Unit(cut, first.end, tokens + first.tokens)
        units.pop()
        if cut > last.start:
            start, end = trimmed(self._text, last.start, cut)
            units.append(_Unit(start, end, self._tokens(start, end)))

    def _tokens(self, start: int, end: int) -> int:
        return self._count(self._text[start:end])

    def _sentences(self, start: int, end: int, room: int) -> Iterator[_Unit]:
        """A passage as units of at most `room` tokens that end with a sentence where possible."""
        runs = _RUN.finditer(self._text, start, end)
        cuts = [run.end() for run in runs if run.end() - run.start() == _MAX_RUN]
        for piece_start, piece_end in self._passages([start, *cuts, end]):
            for span_start, span_end in self._parts(piece_start, piece_end, room):
                yield _Unit(span_start, span_end, self._tokens(span_start, span_end))

    def _passages(self, cuts: Sequence[int]) -> Iterator[Span]:
        for start, end in pairwise(cuts):
            while end - start > _LONGEST_PASSAGE:
                most = start + _LONGEST_PASSAGE
                gap = max(self._text.rfind(gap, most - _GAP_WITHIN, most) for gap in ("\n", " "))
                yield start, (cut := most if gap < 0 else gap)
                start = cut
            yield start, end

    def _parts(self, start: int, end: int, room: int) -> Iterable[Span]:
        passage = self._text[start:end]
        if not passage.strip():
            return []
        whole = trimmed(self._text, start, end)
        tokens = self._count(passage)
        if tokens <= room:
            return [whole]
        even = _even(tokens, room)
        return sentences(self._text, *whole, self._tokens, min(room, even + even // 4))

    # -- the embedder's input

    def _prefix(self, path: _Path) -> tuple[str, int]:
        """The line put before a chunk's text, of at most half the chunk's tokens, and its number of tokens."""
        if path not in self._prefixes:
            titles = [title for heading in path if (title := " ".join(heading.title.split()))]
            self._prefixes[path] = next(
                (
                    (prefix, tokens)
                    for prefix in _shorter_and_shorter(titles)
                    if (tokens := self._count(prefix)) <= self._chunk_tokens // 2
                ),
                ("", 0),
            )
        return self._prefixes[path]

    def _room(self, path: _Path) -> int:
        """Tokens left for new text beside the heading path and the overlap."""
        room = self._chunk_tokens - self._prefix(path)[1]
        return room - min(self._overlap, room // 2)

    def _lead(self, path: _Path, start: int) -> _Lead | None:
        """The header of the table among whose rows `start` is, where it takes at most half the room."""
        place = bisect_right(self._bodies, start) - 1
        if place < 0 or start >= self._tables[place].end:
            return None
        table = self._tables[place]
        most = self._room(path) // 2
        if (table.body - table.start) // _MAX_CHARACTERS_PER_TOKEN > most + 1:  # it is asked for at each row
            return None
        header_start, header_end = trimmed(self._text, table.start, table.body)
        tokens = self._tokens(header_start, header_end)
        return _Lead(header_start, header_end, tokens) if tokens <= most else None

    def _input(self, path: _Path, start: int, end: int) -> str:
        lead = self._lead(path, start)
        header = f"{self._text[lead.start : lead.end]}\n" if lead else ""
        return self._prefix(path)[0] + header + self._text[start:end]

    # -- finishing

    def _finish(self, draft: _Draft) -> None:
        start = self._overlapping_start(draft)
        if start < draft.start and self._count(self._input(draft.path, start, draft.end)) > self._chunk_tokens:
            start = draft.start
        self._emit(draft.path, start, draft.end)

    def _emit(self, path: _Path, start: int, end: int) -> None:
        """Appends the chunk, in halves where it is too long after all: tokens need not add up."""

        def fits(start: int, end: int) -> bool:
            return self._count(self._input(path, start, end)) <= self._chunk_tokens

        for part_start, part_end in halved(self._text, start, end, fits):
            page = bisect_right(self._page_starts, part_start) - 1
            next_page = bisect_left(self._page_starts, part_end)
            lead = self._lead(path, part_start)
            self._spans.append(
                ChunkSpan(
                    ordinal=len(self._spans),
                    start=part_start,
                    end=part_end,
                    heading=tuple(heading.title for heading in path),
                    page=self._extracted.pages[page].number if page >= 0 else None,
                    input=self._input(path, part_start, part_end),
                    lead=(lead.start, lead.end) if lead else None,
                    later_pages=self._extracted.pages[page + 1 : next_page],
                )
            )

    def _overlapping_start(self, draft: _Draft) -> int:
        """The first word of the last chunk, within the section, from which on at most the overlap's tokens follow."""
        if self._overlap == 0 or not self._spans or self._lead(draft.path, draft.start):
            return draft.start
        overlap = min(self._overlap, (self._chunk_tokens - self._prefix(draft.path)[1]) // 2)
        earliest = max(draft.earliest, self._spans[-1].start + 1)
        words = [match.start() for match in _WORD_START.finditer(self._text, earliest, draft.start)]
        first = bisect_left(words, -overlap, key=lambda word: -self._count(self._text[word : draft.start]))
        return words[first] if first < len(words) else draft.start


def _even(tokens: int, room: int) -> int:
    """The length of each of the fewest chunks that hold `tokens`, were they equally long."""
    pieces = max(1, -(-tokens // room))
    return -(-tokens // pieces)


def _shorter_and_shorter(titles: list[str]) -> Iterator[str]:
    """The line of a heading path, then without its outer titles one by one, then with half of the last one's words."""
    for outer in range(len(titles)):
        yield _PATH_SEPARATOR.join(titles[outer:]) + "\n"
    words = titles[-1].split() if titles else []
    while len(words) > 1:
        words = words[: len(words) // 2]
        yield " ".join(words) + "\n"


def _sections(text: str, headings: Sequence[Heading]) -> Iterator[_Section]:
    """The parts of the text between headings that hold more than white space, in order."""
    path: list[Heading] = []
    start = 0
    for heading in headings:
        if text[start : heading.start].strip():
            yield _Section(start, heading.start, tuple(path))
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        start = heading.start
    if text[start:].strip():
        yield _Section(start, len(text), tuple(path))
