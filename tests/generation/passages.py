"""Passages for tests: each is a whole version of a document of its own."""

from __future__ import annotations

from retrieval.types import Passage


def passage(number: int, text: str, start: int = 0) -> Passage:
    """The passage `text` of document d-`number`, standing at `start` of its version."""
    return Passage(
        chunk_id=f"c{number}",
        document_id=f"d-{number}",
        uri=f"{number}.md",
        version=1,
        title=f"Title {number}",
        start=start,
        end=start + len(text),
        text=text,
        score=1 / number,
    )
