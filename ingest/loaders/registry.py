"""A file as text, with the text of what is attached to it or packed in it: the door to all loaders."""

from __future__ import annotations

from dataclasses import replace

from ingest.errors import DocumentTooLarge, EmptyDocument, LimitExceeded, RefusedDocument
from ingest.loaders.attachments import Section, joined
from ingest.loaders.formats import loader_of
from ingest.loaders.packages import SMALL_MIB, stated_size
from ingest.loaders.protected import unlocked
from ingest.loaders.reading import MIB, Reading
from ingest.loaders.text import LETTER_OR_DIGIT, refuse_hollow
from ingest.types import Attachment, Extracted

# Each chunk is kept with the headings above it: a heading as long as a book would be kept a thousand times.
_LONGEST_TITLE = 300


def extract(data: bytes, name: str, reading: Reading | None = None) -> Extracted:
    """A file as text, with the text of what is attached to it or packed in it. `name` is the file's name.

    The text holds neither NUL nor lone surrogates, its lines end in "\\n" alone. Each attachment is a section headed by
    its name; one that can't be read is named in the notes. `attachments` of the result is empty.

    Raises EmptyDocument where there is no letter or digit (heading marks alone are no text) or next to none among very
    many signs, UnsupportedFormat, CorruptDocument, EncryptedDocument, NeedsOcr, LimitExceeded, and DocumentTooLarge for
    a text of more than `reading.max_text_mib` MiB as UTF-8. Each message names the file and says what to do.
    """
    reading = reading or Reading()
    extracted = _with_short_titles(_Extraction(reading).whole(data, name))
    if not LETTER_OR_DIGIT.search(extracted.text):
        nothing = "all that it says is hidden from its readers" if extracted.hidden else "not one letter or digit"
        why = "; ".join(extracted.notes) or nothing
        raise EmptyDocument(f"{name}: no text in it, {why}. Upload a file with text in it.")
    refuse_hollow(name, extracted.text, sum(map(len, extracted.text.split())))
    return extracted


class _Extraction:
    """One uploaded file with all that is nested in it, which share the limits."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._files = 0
        self._unpacked = 0
        self._text_bytes = 0

    def whole(self, data: bytes, name: str, depth: int = 0) -> Extracted:
        if not data.strip():
            found = "has no bytes" if not data else "holds only white space"
            raise EmptyDocument(f"{name}: {found}. Upload a file with text in it.")
        data = unlocked(data, name, self._reading)
        extracted = loader_of(data, name, self._reading)(data, name, self._reading)
        size = len(extracted.text.encode("utf-8"))
        self._refuse_expanded(size, data, name)
        self._text_bytes += size
        if self._text_bytes > self._reading.max_text_bytes:
            raise DocumentTooLarge(
                f"{name}: its text has {self._text_bytes / MIB:.1f} MiB, the limit is {self._reading.max_text_mib:g} "
                "MiB. Split the file, or raise `ingest.max_text_mib`."
            )
        if not extracted.attachments:
            return extracted
        try:
            return joined(extracted, [self._section(attachment, depth + 1) for attachment in extracted.attachments])
        except (LimitExceeded, DocumentTooLarge) as error:
            raise type(error)(f"{name}: {error}") from error

    def _refuse_expanded(self, size: int, data: bytes, name: str) -> None:
        """Raises LimitExceeded where a small file says much by repeating itself: no document needs that."""
        most = self._reading.limits.max_expansion
        if size > max(SMALL_MIB * MIB, most * len(data)) and size > most * stated_size(data):
            raise LimitExceeded(
                f"{name}: its text is {size / stated_size(data):.3g} times as large as the file, the limit is "
                f"{most:g}. Write out what it repeats; if it has to be so, raise `ingest.extraction.max_expansion`."
            )

    def _section(self, attachment: Attachment, depth: int) -> Section:
        self._files += 1
        self._unpacked += len(attachment.data)
        limits = self._reading.limits
        if self._unpacked > limits.max_unpacked_mib * MIB:
            raise LimitExceeded(
                f"{attachment.name}: with it, the files in this one have more than {limits.max_unpacked_mib:g} MiB, "
                "the limit. Split it, or raise `ingest.extraction.max_unpacked_mib`."
            )
        if self._files > limits.max_files:
            raise LimitExceeded(
                f"{attachment.name}: is file {self._files} in this one, the limit is {limits.max_files}. "
                "Split it, or raise `ingest.extraction.max_files`."
            )
        if depth > limits.max_depth:
            return Section(attachment.name, f"{attachment.name} was left out: it is nested {depth} deep")
        try:
            return Section(attachment.name, self.whole(attachment.data, attachment.name, depth))
        except (LimitExceeded, DocumentTooLarge):
            raise
        except RefusedDocument as error:
            return Section(attachment.name, f"{attachment.name} was left out ({error.code})")


def _with_short_titles(extracted: Extracted) -> Extracted:
    """The same, its titles cut between words. The text has them whole."""
    headings = tuple(
        its if len(its.title) <= _LONGEST_TITLE else replace(its, title=_shortened(its.title))
        for its in extracted.headings
    )
    return replace(extracted, title=_shortened(extracted.title), headings=headings)


def _shortened(title: str) -> str:
    if len(title) <= _LONGEST_TITLE:
        return title
    cut = title[: _LONGEST_TITLE - 1]
    return f"{cut.rsplit(maxsplit=1)[0] if ' ' in cut else cut}…"
