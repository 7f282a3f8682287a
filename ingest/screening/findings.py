"""What screening found in a document, for whoever decides whether it may be indexed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingKind = Literal["instructions", "hidden-text", "invisible-characters", "flood", "shift"]

_PREVIEW_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason not to index a document as it is.

    `reason` is a sentence for a person, `preview` the beginning of what was found, with invisible characters shown as
    escapes. `start` and `end` are offsets into the document's text, end exclusive, and None where what was found is no
    part of it (its title, hidden text, the history of a source). `score` is from 0 to 1.
    """

    kind: FindingKind
    reason: str
    preview: str
    start: int | None
    end: int | None
    score: float


def preview(text: str) -> str:
    """The first characters of `text` on one line; whatever can't be printed stands as `\\u200b` does."""
    shown = " ".join(text[: 2 * _PREVIEW_CHARACTERS].split())
    cut = "…" if len(shown) > _PREVIEW_CHARACTERS or len(text) > 2 * _PREVIEW_CHARACTERS else ""
    visible = (
        its if its.isprintable() else its.encode("unicode_escape").decode() for its in shown[:_PREVIEW_CHARACTERS]
    )
    return "".join(visible) + cut
