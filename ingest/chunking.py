"""Cuts a document into chunks: by headings, then by paragraphs, then by sentences.

1. Each heading begins a section, whose path is its heading below those that govern it.
2. Each section is cut into units: paragraphs, list items, and whole code fences and tables. llama-index-core's
   `SentenceSplitter` cuts the units that are too long for a chunk.
3. Neighbouring units are packed into chunks. A tiny section joins its neighbour under the path that both share.
4. Each chunk is counted once more with its heading path, and halved in the rare case that it is too long.

The splitter returns strings without offsets and strips them, so spans are found again in the version's text. Should its
strings ever be other than the passage, piece by piece, the passage is halved until the parts fit.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from ingest.types import ChunkSpan, Extracted, Heading

_Path = tuple[Heading, ...]
_Span = tuple[int, int]

_PATH_SEPARATOR = " > "
_FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_LIST_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])\s")
# The end of a sentence: what closes it, and the white space after it unless the text goes on in lower case.
# It is looked for at the first of a run of marks only: from each of a million dots, the search would never end.
_SENTENCE_END = re.compile(
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019\xbb)\]]*\s+(?![a-z])"
    r"|[\u3002\uff01\uff1f]+[\u300d\u300f\uff09\u201d\u2019]*"  # Chinese and Japanese
)
# No language has words this long, and the splitter would count such a run character by character.
_MAX_RUN = 1000
_RUN = re.compile(rf"[^\s,.;\u3002\uff01\uff1f]{{1,{_MAX_RUN}}}")
_WORD_START = re.compile(r"(?<!\S)\S")
_MIN_CHUNK_TOKENS = 16
# A tokenizer may take a word that it does not know for one token; a blob of base64 is not one small chunk.
_MAX_CHARACTERS_PER_TOKEN = 20
_REMEMBERED_COUNTS = 10_000


def chunk(
    extracted: Extracted, *, count_tokens: Callable[[str], int], chunk_tokens: int, overlap_tokens: int
) -> list[ChunkSpan]:
    """The chunks of a document in order; `text[start:end]` is the text of each, without surrounding white space.

    `input` is the heading path joined by " > ", a line end, and the text; without headings the text alone. A path that
    takes more than half of `chunk_tokens` is shortened in `input`, from its outer end, and stays whole in `heading`.
    A chunk that begins in one section and ends in another has the path they share.

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
            return max(count(text), len(text) // _MAX_CHARACTERS_PER_TOKEN)

        # Counting costs most, and the splitter asks for the same words and passages again.
        self._count = lru_cache(maxsize=_REMEMBERED_COUNTS)(count_or_estimate)
        self._chunk_tokens = chunk_tokens
        self._overlap = overlap
        self._page_starts = [page.start for page in extracted.pages]
        self._prefixes: dict[_Path, tuple[str, int]] = {}
        self._spans: list[ChunkSpan] = []

    def chunks(self) -> list[ChunkSpan]:
        draft: _Draft | None = None
        for section in _sections(self._text, self._extracted.headings):
            units = self._units(section)
            total = left = sum(unit.tokens for unit in units)
            even = _even(total, self._room(section.path))
            for unit in units:
                path = None
                if draft is not None and left == total:
                    path = self._shared_path(draft, section, unit, total)
                elif draft is not None and self._continues(draft, unit, left, even):
                    path = draft.path
                left -= unit.tokens
                if draft is not None and path is not None:
                    draft.end, draft.path, draft.tokens = unit.end, path, draft.tokens + unit.tokens
                    continue
                if draft is not None:
                    self._finish(draft)
                draft = _Draft(unit.start, unit.end, unit.tokens, section.path, earliest=section.start)
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

    def _units(self, section: _Section) -> list[_Unit]:
        room = self._room(section.path)
        blocks = [
            (start, end, self._count(self._text[start:end]), by_lines)
            for start, end, by_lines in _blocks(self._text, section.start, section.end)
        ]
        if len(blocks) > 1 and section.path and "\n" not in self._text[blocks[0][0] : blocks[0][1]]:
            (start, _, heading_tokens, _), (_, end, tokens, by_lines) = blocks[:2]
            if heading_tokens + tokens <= room or tokens > room:  # a heading at the end of a chunk would mislead
                blocks[:2] = [(start, end, heading_tokens + tokens, by_lines)]
        units: list[_Unit] = []
        for start, end, tokens, by_lines in blocks:
            if tokens <= room:
                units.append(_Unit(start, end, tokens))
                continue
            for line_start, line_end in _lines(self._text, start, end) if by_lines else [(start, end)]:
                units += self._sentences(line_start, line_end, room)
        return units

    def _sentences(self, start: int, end: int, room: int) -> Iterator[_Unit]:
        """A passage as units of at most `room` tokens that end with a sentence where possible."""
        runs = _RUN.finditer(self._text, start, end)
        cuts = [run.end() for run in runs if run.end() - run.start() == _MAX_RUN]
        for piece_start, piece_end in pairwise([start, *cuts, end]):
            for span_start, span_end in self._parts(piece_start, piece_end, room):
                yield _Unit(span_start, span_end, self._count(self._text[span_start:span_end]))

    def _parts(self, start: int, end: int, room: int) -> Iterable[_Span]:
        passage = self._text[start:end]
        if not passage.strip():
            return []
        whole = _trimmed(self._text, start, end)
        tokens = self._count(passage)
        if tokens <= room:
            return [whole]
        even = _even(tokens, room)
        located = _locate(self._text, start, end, _split_sentences(passage, self._count, min(room, even + even // 4)))
        if located is not None:
            return located
        return _halved(self._text, *whole, lambda start, end: self._count(self._text[start:end]) <= room)

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

    def _input(self, path: _Path, start: int, end: int) -> str:
        return self._prefix(path)[0] + self._text[start:end]

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

        for part_start, part_end in _halved(self._text, start, end, fits):
            page = bisect_right(self._page_starts, part_start) - 1
            self._spans.append(
                ChunkSpan(
                    ordinal=len(self._spans),
                    start=part_start,
                    end=part_end,
                    heading=tuple(heading.title for heading in path),
                    page=self._extracted.pages[page].number if page >= 0 else None,
                    input=self._input(path, part_start, part_end),
                )
            )

    def _overlapping_start(self, draft: _Draft) -> int:
        """The first word of the last chunk, within the section, from which on at most the overlap's tokens follow."""
        if self._overlap == 0 or not self._spans:
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


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Paragraphs, list items, code fences and tables between two offsets, and whether to cut them by lines.

    A fence without an end reaches to the end of the section, as in CommonMark.
    """
    kind = ""  # of the block that is open: "", "text", "table", or the mark that began a fence
    block_start = line_start = start
    while line_start < end:
        found = text.find("\n", line_start, end)
        line_end = end if found < 0 else found + 1
        line = text[line_start:line_end].strip()
        fence = _FENCE.match(line)
        in_fence = kind.startswith(("`", "~"))
        if in_fence:
            if fence and line == fence[0] and line.startswith(kind):
                yield *_trimmed(text, block_start, line_end), True
                kind = ""
        else:
            line_kind = fence[0] if fence else "table" if line.startswith("|") else "text" if line else ""
            if kind and (line_kind != kind or _LIST_ITEM.match(line)):
                yield *_trimmed(text, block_start, line_start), kind == "table"
                kind = ""
            if line_kind and not kind:
                kind, block_start = line_kind, line_start
        line_start = line_end
    if kind:
        yield *_trimmed(text, block_start, end), kind != "text"


def _lines(text: str, start: int, end: int) -> list[_Span]:
    """The lines of a fence or table; its first two and its last two stay together: the mark or header, and the end."""
    ends = [match.end() for match in re.compile("\n").finditer(text, start, end)]
    return [_trimmed(text, *line) for line in pairwise([start, *ends[1:-1], end]) if text[slice(*line)].strip()]


def _split_sentences(passage: str, count: Callable[[str], int], tokens: int) -> list[str]:
    """The passage in pieces of at most `tokens` by llama-index-core, which takes seconds to import.

    White space is evened out first: the splitter knows no other gap between words than one space.

    Its own sentence tokenizer is not used: NLTK looks for data on the network where `NLTK_DATA` names another folder.
    """
    from llama_index.core.node_parser import SentenceSplitter

    def tokenize(text: str) -> range:
        # Only the number counts. A character can't be divided, and the splitter gives up on one that is too long. It
        # repeats, as an overlap of no tokens, what is none: signs, and accents alone, for many a tokenizer.
        number = max(1, count(text))
        return range(min(number, tokens) if len(text) == 1 else number)

    splitter = SentenceSplitter(
        chunk_size=tokens,
        chunk_overlap=0,
        tokenizer=tokenize,
        chunking_tokenizer_fn=_sentence_strings,
    )
    return list(splitter.split_text(" ".join(passage.split())))


def _sentence_strings(text: str) -> list[str]:
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if start < end]


def _locate(text: str, start: int, end: int, strings: Sequence[str]) -> list[_Span] | None:
    """Where strings stand in `text[start:end]`, or None where they are not its pieces in order, white space aside.

    Some versions of the splitter drop a comma that begins a phrase, or repeat an overlap.
    """
    pieces = ["".join(string.split()) for string in strings]
    if "".join(pieces) != "".join(text[start:end].split()):
        return None
    solid = [match.start() for match in re.compile(r"\S").finditer(text, start, end)]
    ends = accumulate(len(piece) for piece in pieces)
    return [
        (solid[after - len(piece)], solid[after - 1] + 1) for piece, after in zip(pieces, ends, strict=True) if piece
    ]


def _halved(text: str, start: int, end: int, fits: Callable[[int, int], bool]) -> Iterator[_Span]:
    """`text[start:end]` in parts that fit, halved as often as needed; one character is not divided."""
    pending = [(start, end)]
    while pending:
        part = pending.pop()
        if part[1] - part[0] > 1 and not fits(*part):
            pending += reversed(_halves(text, *part))
        else:
            yield part


def _halves(text: str, start: int, end: int) -> list[_Span]:
    """Two trimmed halves, cut at the white space next to the middle, else in the middle."""
    middle = (start + end) // 2
    gaps = [match.end() for match in re.compile(r"\s+").finditer(text, start, end)]
    cut = min(gaps, key=lambda gap: abs(gap - middle)) if gaps else middle
    return [_trimmed(text, start, cut), _trimmed(text, cut, end)]


def _trimmed(text: str, start: int, end: int) -> _Span:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
