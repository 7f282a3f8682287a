"""DOC (Word 97 to 2003): text by its pieces, headings by style, tables, notes and comments ([MS-DOC]).

No library is used: antiword is a program under the GPL, and what pip has reads the pieces alone, with field codes and
deleted text, and without tables and headings.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.errors import CorruptDocument, UnsupportedFormat
from ingest.loaders.blocks import Block, join, table, under_title
from ingest.loaders.compound import embedded_streams, open_compound, stated_title, stream
from ingest.loaders.doc_file import DocFile, ParagraphLook
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Hidden

MEDIA_TYPE = "application/msword"
_WORD_97 = 0xA5EC
_CELL_END = "\x07"
_PARAGRAPH_ENDS = frozenset("\r\x07\x0c")
_FIELD_BEGIN, _FIELD_SEPARATOR, _FIELD_END = "\x13", "\x14", "\x15"
_NOTE, _COMMENT = "\x02", "\x05"
_CHARACTERS = {"\x0b": "\n", "\x1e": "-", "\t": "\t", "\xa0": " "}
_DEEPEST_LIST = 8


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The text with its headings; notes stand below their paragraph, comments in a section at the end.

    Raises CorruptDocument, UnsupportedFormat for Word 95 and older.
    """
    with open_compound(data, name) as compound:
        main = stream(compound, "WordDocument", name)
        if int.from_bytes(main[:2], "little") != _WORD_97:
            raise UnsupportedFormat(f"{name}: is of Word 95 or older. Save it as .docx and upload it again.")
        tables = stream(compound, "1Table" if main[0x0B] & 2 else "0Table", name)
        attachments, notes = embedded_streams(compound, "ObjectPool", name)
        stated = stated_title(compound)
    try:
        writer = _Writer(DocFile(main, tables))
        blocks = writer.document()
    except (IndexError, ValueError, OverflowError) as error:
        raise CorruptDocument(
            f"{name}: is damaged or cut off ({type(error).__name__}). Open it in a word processor, save it as .docx, "
            "then upload that."
        ) from error
    text, headings = join(blocks)
    return Extracted(
        text=text,
        title=stated or (headings[0].title if headings else stem(name)),
        media_type=MEDIA_TYPE,
        headings=under_title(headings, stated),
        hidden=tuple(Hidden(how, clean("\n".join(texts))) for how, texts in writer.hidden.items()),
        notes=tuple(notes),
        attachments=tuple(attachments),
    )


class _Writer:
    """Makes blocks of the stories of a document: main text, notes, comments, text boxes."""

    def __init__(self, file: DocFile) -> None:
        self.hidden: dict[str, list[str]] = {}
        self._file = file
        self._notes = {**file.notes("footnotes"), **file.notes("endnotes")}
        self._comments = file.notes("comments")
        self._said: list[str] = []
        self._count = 0
        self._within = False  # a note or comment, whose own references are not followed
        self._referred: list[str] = []

    def document(self) -> list[Block]:
        """All blocks; below a title, headings move down by one level. Comments come last."""
        blocks = [*self._story(*self._file.story("text")), *self._story(*self._file.story("textboxes"))]
        titled = any(block.level == 0 for block in blocks)
        shift = 1 if titled else 0
        blocks = [block if block.level is None else Block(block.text, max(1, block.level + shift)) for block in blocks]
        comments = [Block(f"- {text}", tight=True) for text in self._said]
        return [*blocks, Block("Comments", level=1 + shift), *comments] if comments else blocks

    def _story(self, start: int, end: int) -> Iterator[Block]:
        rows: list[list[str]] = []
        cells: list[str] = []
        cell: list[str] = []
        for text, last, look in self._paragraphs(start, end):
            if look.in_table:
                if look.ends_row:
                    rows.append(cells)
                    cells = []
                else:
                    cell.append(text)
                    if last == _CELL_END:
                        cells.append(" ".join(its for its in cell if its))
                        cell = []
                continue
            yield from self._table([*rows, cells] if cells else rows)
            rows, cells, cell = [], [], []
            yield _block(text, look)
            yield from self._noted()
        yield from self._table([*rows, cells] if cells else rows)

    def _table(self, rows: list[list[str]]) -> Iterator[Block]:
        if rows:
            yield Block(table(rows))
            yield from self._noted()

    def _noted(self) -> Iterator[Block]:
        referred, self._referred = self._referred, []
        yield from (Block(note) for note in referred)

    def _paragraphs(self, start: int, end: int) -> Iterator[tuple[str, str, ParagraphLook]]:
        """Text, last character and look of each paragraph, without field codes and without what is hidden."""
        parts: list[str] = []
        unseen: dict[str, list[str]] = {}
        fields: list[bool] = []  # of the fields that are open, whether their result has begun
        place = start
        for place, character, how in self._file.characters(start, end):
            if character in _PARAGRAPH_ENDS:
                yield self._whole(parts, unseen), character, self._file.paragraph_look(place)
                parts, unseen, fields = [], {}, []
            elif character == _FIELD_BEGIN:
                fields.append(False)
            elif character == _FIELD_SEPARATOR and fields:
                fields[-1] = True
            elif character == _FIELD_END and fields:
                fields.pop()
            elif character in (_NOTE, _COMMENT):
                parts.append(self._refer(place, character))
            elif all(fields) and how != "deleted":
                shown = _CHARACTERS.get(character, character if character >= " " else "")
                (parts if how is None else unseen.setdefault(how, [])).append(shown)
        if parts or unseen:
            yield self._whole(parts, unseen), "\r", self._file.paragraph_look(place)

    def _whole(self, parts: list[str], unseen: dict[str, list[str]]) -> str:
        """The text of a paragraph; what of it is not seen is noted."""
        for how, characters in unseen.items():
            self.hidden.setdefault(how, []).append(_joined(characters))
        return _joined(parts).strip()

    def _refer(self, place: int, character: str) -> str:
        if self._within:
            return ""
        story = (self._notes if character == _NOTE else self._comments).pop(place, None)
        if story is None:
            return ""
        self._within = True
        text = " ".join(" ".join(its for its, _, _ in self._paragraphs(*story)).split())
        self._within = False
        if character == _COMMENT:
            self._said += [text] if text else []
            return ""
        self._count += 1
        self._referred.append(f"[{self._count}] {text}")
        return f"[{self._count}]"


def _joined(characters: list[str]) -> str:
    """The characters as a text, halves of characters beyond 65,535 put together."""
    return "".join(characters).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _block(text: str, look: ParagraphLook) -> Block:
    if look.level is not None:
        return Block(text, look.level)
    if look.in_list and text:
        return Block("  " * min(look.list_level, _DEEPEST_LIST) + f"- {' '.join(text.split())}", tight=True)
    return Block(text)
