"""RTF 1.9: paragraphs, headings by style, lists, tables, notes and comments.

striprtf gives the bare text, without headings and tables and with what is hidden, and the time it takes grows with the
square of a hostile file's size.
"""

from __future__ import annotations

from ingest.errors import CorruptDocument
from ingest.loaders.blocks import Block, join, under_title
from ingest.loaders.reading import Reading
from ingest.loaders.rtf_objects import attachment_of
from ingest.loaders.rtf_reader import RtfReader
from ingest.loaders.text import clean, refuse_hollow, stem
from ingest.types import Extracted, Hidden

MEDIA_TYPE = "application/rtf"
SIGNATURE = b"{\\rtf"


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The text with its headings; notes stand below their paragraph, comments in a section at the end.

    Raises CorruptDocument where the file does not begin as RTF, EmptyDocument where it is next to nothing but braces.
    """
    if not data.lstrip().startswith(SIGNATURE):
        raise CorruptDocument(f"{name}: is no RTF file. Save it again as .rtf or .docx, then upload it.")
    reader = RtfReader(data)
    blocks = reader.blocks()
    titled = any(block.level == 0 for block in blocks)
    shift = 1 if titled else 0
    blocks = [block if block.level is None else Block(block.text, max(1, block.level + shift)) for block in blocks]
    if reader.comments:
        blocks.append(Block("Comments", level=1 + shift))
        blocks += [Block(f"- {comment}", tight=True) for comment in reader.comments]
    text, headings = join(blocks)
    refuse_hollow(name, text, data.count(b"{") + data.count(b"}"))
    stated = " ".join(clean(reader.title).split())
    attachments = [attachment_of(its, f"object {number}") for number, its in enumerate(reader.objects, start=1)]
    unread = sum(its is None for its in attachments)
    return Extracted(
        text=text,
        title=stated or (headings[0].title if headings else stem(name)),
        media_type=MEDIA_TYPE,
        headings=under_title(headings, stated),
        hidden=tuple(Hidden(how, clean("".join(texts))) for how, texts in reader.hidden.items()),
        notes=(f"{unread} embedded objects could not be read",) if unread else (),
        attachments=tuple(its for its in attachments if its is not None),
    )
