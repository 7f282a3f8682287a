"""A message as text, whatever it was stored as: the headers that a reader wants, then its body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ingest.errors import RefusedDocument
from ingest.loaders import html
from ingest.loaders.attachments import file_title
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Attachment, Extracted, Heading, Hidden

SHOWN_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER = 1000  # characters of one: a list of a thousand recipients is no text
_DEEPEST = 6
_LINK = re.compile(r"(?:https?|mailto):\S+")
_WORD = re.compile(r"\w+")
_LONGEST_COMPARED = 100_000
# Plain text stands for the page beside it where it says most of what the page says, and little else.
_MIN_SHARE = 0.5
_MIN_HIDDEN_WORDS = 30  # fewer are "your program can't show this message"


@dataclass(frozen=True, slots=True)
class Body:
    """One body, or a part of it, in the forms that it was sent in."""

    plain: str | None = None
    page: Extracted | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message. `headers` are some of `SHOWN_HEADERS` with what they say."""

    headers: dict[str, str]
    bodies: tuple[Body, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()


def composed(letter: Letter, name: str, media_type: str) -> Extracted:
    """The message as text; its subject is the title, and the heading of all of it."""
    lines = [f"{header}: {_shortened(value)}" for header in SHOWN_HEADERS if (value := letter.headers.get(header))]
    subject = _shortened(letter.headers.get("Subject", ""))
    text = "\n".join(lines)
    headings = [Heading(start=0, level=1, title=subject)] if subject else []
    hidden: list[Hidden] = []
    for body in letter.bodies:
        chosen = _chosen(body)
        text += "\n\n" if text and chosen.text else ""
        headings += [
            replace(heading, start=heading.start + len(text), level=min(heading.level + 1, _DEEPEST))
            for heading in chosen.headings
        ]
        text += chosen.text
        hidden += chosen.hidden
    return Extracted(
        text=text,
        title=subject or stem(name),
        media_type=media_type,
        headings=tuple(headings),
        hidden=tuple(hidden),
        notes=letter.notes,
        attachments=letter.attachments,
    )


def page_of(source: str, name: str, reading: Reading) -> Extracted | str:
    """The HTML body as a page, or a sentence why it could not be read."""
    try:
        return html.load(source.encode("utf-8"), name, reading) if source.strip() else ""
    except RefusedDocument as error:
        return f"the HTML of the message could not be read ({error.code})"


def file_name(subject: str, number: int = 1) -> str:
    """The name of a message within a file."""
    return (file_title(subject) or f"message {number}") + ".eml"


def _shortened(value: str) -> str:
    value = " ".join(clean(value).split())
    if len(value) <= _MAX_HEADER:
        return value
    return value[:_MAX_HEADER].rpartition(",")[0] + ", ..." if "," in value[:_MAX_HEADER] else value[:_MAX_HEADER]


def _chosen(body: Body) -> Extracted:
    """The plain text where it says what the page says. Programs show the page: what only the other says is hidden."""
    plain = clean(body.plain or "").strip("\n")
    as_text = Extracted(text=plain if plain.strip() else "", title="", media_type="text/plain")
    page = body.page
    if page is None or not page.text.strip():
        return as_text
    if not as_text.text:
        return page
    said, shown = set(_words(plain)), set(_words(page.text))
    if len(said & shown) < _MIN_SHARE * len(said):
        is_hidden = len(said) >= _MIN_HIDDEN_WORDS
        return replace(page, hidden=(*page.hidden, Hidden(how="part", text=plain))) if is_hidden else page
    is_whole = len(said & shown) >= _MIN_SHARE * len(shown)
    return as_text if is_whole and not page.hidden else page


def _words(text: str) -> Iterator[str]:
    return (word.group().lower() for word in _WORD.finditer(_LINK.sub(" ", text[:_LONGEST_COMPARED])))
