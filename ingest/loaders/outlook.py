"""Outlook messages (MSG) by olefile: the properties of a message as streams of a compound file ([MS-OXMSG]).

The libraries for the format are under the GPL (extract-msg), or leave out bodies that are RTF alone and the code page
of old messages (python-oxmsg).
"""

from __future__ import annotations

import email.utils
import io
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.parser import HeaderParser
from typing import Any

import olefile

from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded
from ingest.loaders.attachments import Section, joined
from ingest.loaders.compressed_rtf import decompressed
from ingest.loaders.encodings import decode_as
from ingest.loaders.letters import Body, Letter, composed, file_name, page_of
from ingest.loaders.reading import MIB, Reading
from ingest.types import Attachment, Extracted

_MEDIA_TYPE = "application/vnd.ms-outlook"
_PROPERTIES = "__properties_version1.0"
# Numbers of properties ([MS-OXPROPS]).
_CLASS, _SUBJECT, _HEADERS = 0x001A, 0x0037, 0x007D
_SENT_FOR, _SENT_FOR_ADDRESS, _SENDER, _SENDER_ADDRESS, _SENDER_SMTP = 0x0042, 0x0065, 0x0C1A, 0x0C1F, 0x5D01
_TO, _CC = 0x0E04, 0x0E03
_SUBMITTED, _DELIVERED = 0x0039, 0x0E06
_PLAIN, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_DATA, _NAME, _SHORT_NAME, _CONTENT_ID, _SHOWN_NAME = 0x3701, 0x3707, 0x3704, 0x3712, 0x3001
_CODE_PAGE, _INTERNET_CODE_PAGE = 0x3FFD, 0x3FDE
_UTF_16 = 0x001F
_TYPES = (_UTF_16, 0x001E, 0x0102)  # text in UTF-16, text in the code page, bytes
_INTEGER, _TIME, _OBJECT = 0x0003, 0x0040, 0x000D
_CODE_PAGES = {
    65001: "utf-8",
    20127: "us-ascii",
    20866: "koi8-r",
    21866: "koi8-u",
    51932: "euc-jp",
    50220: "iso-2022-jp",
}
_ISO_8859 = 28590  # the code page of ISO 8859-1 is the one after that
_HEADER_BYTES, _INNER_HEADER_BYTES = 32, 24  # of the properties of a message, and of one within another
_MAX_HEADERS = 20_000
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """The message as text, its attachments as `attachments`; a message within it is a section under its subject.

    Raises CorruptDocument, EncryptedDocument for S/MIME, LimitExceeded for too many attachments, or too large ones.
    """
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            return _Message(_Streams(file, name, reading), [], depth=0).read()
    except (CorruptDocument, EncryptedDocument, LimitExceeded):
        raise
    except Exception as error:  # olefile raises what its reading of broken sectors comes to
        if isinstance(error, MemoryError):
            raise
        raise CorruptDocument(
            f"{name}: is no Outlook message that can be read ({type(error).__name__}). Save it again."
        ) from error


class _Streams:
    """The streams of the file, within limits."""

    def __init__(self, file: Any, name: str, reading: Reading) -> None:
        self.name = name
        self.reading = reading
        self._file = file
        self._bytes = 0
        self._attachments = 0
        self._streams = {_key(path): path for path in file.listdir(storages=False)}
        # In the order of their numbers, as Outlook shows them.
        self._storages = sorted(file.listdir(storages=True, streams=False))

    def exists(self, path: list[str]) -> bool:
        return _key(path) in self._streams

    def read(self, path: list[str]) -> bytes:
        path = self._streams[_key(path)]
        self._bytes += self._file.get_size(path)
        if self._bytes > self.reading.limits.max_unpacked_mib * MIB:
            raise LimitExceeded(
                f"{self.name}: unpacks to more than {self.reading.limits.max_unpacked_mib:g} MiB. "
                "Split it, or raise `ingest.extraction.max_unpacked_mib`."
            )
        data: bytes = self._file.openstream(path).read()
        return data

    def attachments(self, storage: list[str]) -> list[list[str]]:
        """The storages of what is attached to the message in `storage`."""
        found = [
            path
            for path in self._storages
            if path[:-1] == storage and path[-1].lower().startswith("__attach_version1.0_#")
        ]
        self._attachments += len(found)
        if self._attachments > self.reading.limits.max_files:
            raise LimitExceeded(
                f"{self.name}: has more than {self.reading.limits.max_files} attachments. "
                "Split it, or raise `ingest.extraction.max_files`."
            )
        return found


class _Properties:
    """What one storage says: of a message, or of what is attached to one."""

    def __init__(self, streams: _Streams, storage: list[str], codec: str = "") -> None:
        self._streams = streams
        self._storage = storage
        self.codec = codec  # of text that is not in UTF-16

    def value(self, number: int) -> tuple[int, bytes] | None:
        """The type and the bytes of a property that has a stream of its own."""
        for kind in _TYPES:
            path = [*self._storage, f"__substg1.0_{number:04X}{kind:04X}"]
            if self._streams.exists(path):
                return kind, self._streams.read(path)
        return None

    def text(self, *numbers: int, codec: str = "") -> str:
        """The first of these properties that says something."""
        for number in numbers:
            kind, data = self.value(number) or (_UTF_16, b"")
            text = data.decode("utf-16-le", "replace") if kind == _UTF_16 else decode_as(data, codec or self.codec)
            if text := text.strip("\0"):
                return text
        return ""

    def fixed(self, header: int) -> dict[tuple[int, int], int]:
        """Numbers and times, by property and type: entries of 16 bytes behind the header."""
        path = [*self._storage, _PROPERTIES]
        data = self._streams.read(path)[header:] if self._streams.exists(path) else b""
        entries = struct.iter_unpack("<HHIQ", data[: len(data) // 16 * 16])
        return {(number, kind): value for kind, number, _, value in entries}


class _Message:
    """One message: the file, or one attached to another."""

    def __init__(self, streams: _Streams, storage: list[str], *, depth: int) -> None:
        self._streams = streams
        self._storage = storage
        self._depth = depth
        self._properties = _Properties(streams, storage)
        self._fixed = self._properties.fixed(_INNER_HEADER_BYTES if depth else _HEADER_BYTES)
        self._page_codec = self._code_page(_INTERNET_CODE_PAGE)
        self._properties.codec = self._code_page(_CODE_PAGE) or self._page_codec
        self._attachments: list[Attachment] = []
        self._sections: list[Section] = []
        self._notes: list[str] = []

    def read(self) -> Extracted:
        body = self._body()
        self._take_attachments()
        if self._properties.text(_CLASS).upper().startswith("IPM.NOTE.SMIME") and not (body.plain or body.page):
            self._take_signed()
        letter = Letter(self._headers(), (body,), tuple(self._attachments), tuple(self._notes))
        extracted = composed(letter, self._streams.name, _MEDIA_TYPE)
        return replace(joined(extracted, self._sections), attachments=extracted.attachments)

    def _code_page(self, number: int) -> str:
        page = self._fixed.get((number, _INTEGER), 0) & 0xFFFFFFFF
        if _ISO_8859 < page <= _ISO_8859 + 15:
            return f"iso-8859-{page - _ISO_8859}"
        return _CODE_PAGES.get(page, f"cp{page}") if page else ""

    def _headers(self) -> dict[str, str]:
        """From, To and so on; the date as it was sent, where the message came over the Internet."""
        text = self._properties.text
        sent = HeaderParser().parsestr(text(_HEADERS)[:_MAX_HEADERS])
        ticks = self._fixed.get((_SUBMITTED, _TIME)) or self._fixed.get((_DELIVERED, _TIME)) or 0
        sender = text(_SENT_FOR, _SENDER)
        addresses = (text(number) for number in (_SENDER_SMTP, _SENT_FOR_ADDRESS, _SENDER_ADDRESS))
        address = next((address for address in addresses if "@" in address), "")
        return {
            "From": f"{sender} <{address}>" if sender and address not in sender else sender or address,
            "To": text(_TO),
            "Cc": text(_CC),
            "Date": str(sent["Date"] or "") or _date(ticks),
            "Subject": text(_SUBJECT),
        }

    def _body(self) -> Body:
        """Plain text and HTML; where there is neither, the RTF as an attachment."""
        plain = self._properties.text(_PLAIN)
        source = self._properties.text(_HTML, codec=self._page_codec)
        found = page_of(source, self._streams.name, self._streams.reading)
        page = found if isinstance(found, Extracted) else None
        self._notes += [found] if isinstance(found, str) and found else []
        rtf = self._properties.value(_RTF) if not plain and page is None else None
        if rtf is not None:
            unpacked = decompressed(rtf[1], self._streams.name, self._streams.reading)
            self._attachments.append(Attachment(name="message.rtf", data=unpacked))
        return Body(plain=plain or None, page=page)

    def _take_attachments(self) -> None:
        pictures = 0
        for storage in self._streams.attachments(self._storage):
            properties = _Properties(self._streams, storage, self._properties.codec)
            name = properties.text(_NAME, _SHORT_NAME, _SHOWN_NAME)
            inner = [*storage, f"__substg1.0_{_DATA:04X}{_OBJECT:04X}"]
            if (found := properties.value(_DATA)) is not None:
                is_shown = properties.value(_CONTENT_ID) is not None and name.lower().endswith(_PICTURES)
                pictures += is_shown
                if not is_shown and found[1]:
                    self._attachments.append(Attachment(name=name or "attachment", data=found[1]))
            elif not self._streams.exists([*inner, _PROPERTIES]):
                self._notes.append(f"{name or 'an object in it'} was left out: it is no file")
            elif self._depth >= self._streams.reading.limits.max_depth:
                self._notes.append(f"{name or 'a message in it'} was left out: it is nested {self._depth + 1} deep")
            else:
                message = _Message(self._streams, inner, depth=self._depth + 1).read()
                self._sections.append(Section(file_name(message.title), message))
                self._attachments += message.attachments
        if pictures:
            self._notes.append(f"pictures within the message were left out ({pictures})")

    def _take_signed(self) -> None:
        """The body of a message by S/MIME is in its attachment: as mail where it was only signed."""
        if not self._attachments or not self._attachments[0].data[:13].lower() == b"content-type:":
            raise EncryptedDocument(
                f"{self._streams.name}: its body is encrypted by S/MIME. "
                "Open it in Outlook and save it without encryption."
            )
        self._attachments[0] = Attachment(name="message.eml", data=self._attachments[0].data)


def _key(path: list[str]) -> tuple[str, ...]:
    return tuple(part.lower() for part in path)


def _date(ticks: int) -> str:
    """A time in tenths of a microsecond since 1601, as mail writes it."""
    try:
        return email.utils.format_datetime(_EPOCH + timedelta(microseconds=ticks // 10)) if ticks else ""
    except (OverflowError, ValueError):
        return ""
