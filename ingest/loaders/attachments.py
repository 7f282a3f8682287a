"""A document and the files within it, as one text: each file is a section under its own name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Heading, Page

_BETWEEN = "\n\n"
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Section:
    """A file within another: what it says, or a sentence why it says nothing."""

    name: str
    content: Extracted | str


def file_title(title: str) -> str:
    """A title as it can stand in the name of a file."""
    return " ".join(title.replace("/", " ").replace("\\", " ").split())


def joined(extracted: Extracted, sections: Sequence[Section]) -> Extracted:
    """`extracted` with the texts of `sections` behind its own; their headings stand one level lower, under the name.

    Pages are those of `extracted`; what follows is on none.
    """
    text = extracted.text
    headings, pages = list(extracted.headings), list(extracted.pages)
    hidden, notes = list(extracted.hidden), list(extracted.notes)
    for section in sections:
        if isinstance(section.content, str):
            notes.append(section.content)
            continue
        title = " ".join(clean(section.name).split()) or "attachment"
        hidden += [replace(its, page=None) for its in section.content.hidden]
        notes += [f"{title}: {note}" for note in section.content.notes]
        if not section.content.text.strip():
            continue
        text += _BETWEEN if text else ""
        if pages and pages[-1].number is not None:
            pages.append(Page(number=None, start=len(text)))
        inner = section.content
        inner_headings = inner.headings
        # A message whose file is named by its subject states that at its beginning, and needs no other heading.
        if inner_headings and inner_headings[0].start == 0 and file_title(inner_headings[0].title) == stem(title):
            title, inner_headings = inner_headings[0].title, inner_headings[1:]
        headings.append(Heading(start=len(text), level=1, title=title))
        text += f"# {title}{_BETWEEN}"
        headings += [
            Heading(start=its.start + len(text), level=min(its.level + 1, _DEEPEST), title=its.title)
            for its in inner_headings
        ]
        text += inner.text
    return replace(
        extracted,
        text=text,
        headings=tuple(headings),
        pages=tuple(pages),
        hidden=tuple(hidden),
        notes=tuple(notes),
        attachments=(),
    )
