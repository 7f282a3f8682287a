"""How text of an RTF looks and where it stands, and whether anybody sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

NARROWEST = 5  # per cent of a character's width
TIGHTEST = -200  # twentieths of a point between characters: they stand upon each other
FARTHEST = 400  # half-points above or below the line
PAGE_WIDTH = 15_840  # twentieths of a point, where it is not stated
_SMALLEST_READABLE = 4  # half-points
_LOWEST = 40  # twentieths of a point: the height of a line in which nothing can be read
_WHITE = (255, 255, 255)
_NEAR = 10  # of 255, between colours that can't be told apart


@dataclass(frozen=True, slots=True)
class Place:
    """Where a paragraph stands, in twentieths of a point. `frame` is its frame's, to the right or down."""

    left: int = 0
    first: int = 0
    right: int = 0
    frame: int = 0
    line: int = 0  # the exact height, 0 where a line is as high as its text


@dataclass(slots=True)
class State:
    """What braces save and restore."""

    target: str = "body"  # the destination that text goes to, "" for none
    skip: int = 1  # characters that stand in for one in Unicode
    font: int = -1
    unseen: bool = False
    deleted: bool = False
    size: int = 24
    colour: int = 0
    shade: int = 0
    narrow: bool = False  # characters are too narrow, or stand upon each other
    raised: bool = False
    away: bool = False  # far above or below the line
    place: Place = field(default_factory=Place)

    def hides(self, colours: Sequence[tuple[int, ...] | None], width: int, *, in_table: bool) -> str | None:
        """How (`ingest.types.Hidden.how`) text is hidden; `width` is that of the page in twentieths of a point."""
        its = self.place
        if self.unseen:
            return "part"
        if self.size < _SMALLEST_READABLE or self.narrow or 0 < its.line < _LOWEST:
            return "size"
        if self.away or max(its.left + max(0, its.first), -its.left, its.right, abs(its.frame)) >= width:
            return "off-page"
        colour = colours[self.colour] if 0 < self.colour < len(colours) else None
        behind: tuple[int, ...] | None = None if in_table else _WHITE
        if self.shade:
            behind = colours[self.shade] if 0 < self.shade < len(colours) else None
        if colour is None or behind is None:
            return None
        return "colour" if max(abs(a - b) for a, b in zip(colour, behind, strict=True)) <= _NEAR else None
