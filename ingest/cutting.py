"""Cuts a passage that is too long: between sentences where it can be, else between words or characters.

llama-index-core's `SentenceSplitter` returns strings without offsets and strips them, so spans are found again in the
text. Should its strings ever be other than the passage, piece by piece, the passage is halved until the parts fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise

Span = tuple[int, int]

# The end of a sentence: what closes it, and the white space after it unless the text goes on in lower case.
# It is looked for at the first of a run of marks only: from each of a million dots, the search would never end.
_SENTENCE_END = re.compile(
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019\xbb)\]]*\s+(?![a-z])"
    r"|[\u3002\uff01\uff1f]+[\u300d\u300f\uff09\u201d\u2019]*"  # Chinese and Japanese
)


def last_sentence(text: str, start: int, end: int) -> int | None:
    """Where the last sentence of `text[start:end]` begins, or None where it is the only one."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, start, trimmed(text, start, end)[1])]
    cuts = [cut for cut in ends[-2:] if text[cut:end].strip()]
    return trimmed(text, cuts[-1], end)[0] if cuts else None


def split_sentences(passage: str, count: Callable[[str], int], tokens: int) -> list[str]:
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


def locate(text: str, start: int, end: int, strings: Sequence[str]) -> list[Span] | None:
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


def halved(text: str, start: int, end: int, fits: Callable[[int, int], bool]) -> Iterator[Span]:
    """`text[start:end]` in parts that fit, halved as often as needed; one character is not divided."""
    pending = [(start, end)]
    while pending:
        part = pending.pop()
        if part[1] - part[0] > 1 and not fits(*part):
            pending += reversed(_halves(text, *part))
        else:
            yield part


def _halves(text: str, start: int, end: int) -> list[Span]:
    """Two trimmed halves, cut at the white space next to the middle, else in the middle."""
    middle = (start + end) // 2
    gaps = [match.end() for match in re.compile(r"\s+").finditer(text, start, end)]
    cut = min(gaps, key=lambda gap: abs(gap - middle)) if gaps else middle
    return [trimmed(text, start, cut), trimmed(text, cut, end)]


def trimmed(text: str, start: int, end: int) -> Span:
    """The same part of the text without the white space around it."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
