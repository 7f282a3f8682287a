"""What the streams of a PDF unpack to, counted before PDFium unpacks one: it ends with its process when memory ends.

The filters that a stream states are not asked for, since they can be written in many ways, and stand in another object:
what looks deflated is inflated, and so is what comes out of it, as often as it was packed.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator

from ingest.errors import LimitExceeded
from ingest.loaders.reading import MIB, Reading

_STREAM = re.compile(rb"(?<!end)stream[^\r\n]{0,200}(?:\r\n|\r|\n)")
_PICTURE = re.compile(rb"/Subtype\s*/Image\b")
_HEXADECIMAL = re.compile(rb"/(?:ASCIIHexDecode|AHx)\b")
_BASE_85 = re.compile(rb"/(?:ASCII85Decode|A85)\b")
_NO_BASE_85 = re.compile(rb"[^!-uz]+")
_HEADER = 1000  # bytes before a stream in which its dictionary stands
_PIECE = 64 * 1024
_LONGEST_TEXT = 4 * MIB  # of a stream written as text that is looked at
_MOST_LAYERS = 8
_MOST_WORK = 4  # times the limit, for all streams together


def refuse_bombs(data: bytes, name: str, reading: Reading) -> None:
    """Raises LimitExceeded where a deflated stream that is no picture unpacks to more than `max_unpacked_mib`.

    Encrypted ones are not looked at: those end at the limits of the process that reads them, as do many streams of one
    page that are too much only together.
    """
    limit = int(reading.limits.max_unpacked_mib * MIB)
    work = _MOST_WORK * limit
    for match in _STREAM.finditer(data):
        header = max(0, match.start() - _HEADER)
        before = (max(header, data.rfind(b"endobj", header, match.start())), match.start())
        if _PICTURE.search(data, *before):
            continue
        packed = memoryview(data)[match.end() :]
        unpacked = max(_unpacked(_written_out(packed, data, before), limit), default=0)
        work -= unpacked
        if unpacked > limit:
            raise LimitExceeded(
                f"{name}: a stream in it unpacks to more than {reading.limits.max_unpacked_mib:g} MiB, the limit. "
                "If it is a document, print it to PDF once more, or raise `ingest.extraction.max_unpacked_mib`."
            )
        if work < 0:
            return


def _written_out(packed: memoryview, data: bytes, before: tuple[int, int]) -> memoryview:
    """The beginning of a stream as bytes, where it says that it is written as text."""
    if _HEXADECIMAL.search(data, *before):
        digits = bytes(packed[:_LONGEST_TEXT]).partition(b">")[0].translate(None, b"\0\t\n\f\r ")
        try:
            return memoryview(binascii.unhexlify(digits[: len(digits) // 2 * 2]))
        except binascii.Error:
            return packed
    if _BASE_85.search(data, *before):
        signs = _NO_BASE_85.sub(b"", bytes(packed[:_LONGEST_TEXT]).partition(b"~>")[0])
        try:
            return memoryview(base64.a85decode(signs))
        except ValueError:
            return packed
    return packed


def _unpacked(packed: memoryview, limit: int) -> Iterator[int]:
    """The size of each layer of what is packed several times over, counted up to just above `limit`."""
    layers: list[_Layer] = []
    if _is_deflated(packed[:2]):
        _Layer(layers, limit).feed(packed)
    return (layer.size for layer in layers)


def _is_deflated(start: bytes | memoryview) -> bool:
    return len(start) == 2 and start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0


class _Layer:
    """Inflates a stream piece by piece, and what comes out of it where that is deflated again."""

    def __init__(self, layers: list[_Layer], limit: int) -> None:
        layers.append(self)
        self.size = 0
        self._layers, self._limit = layers, limit
        self._inflater = zlib.decompressobj()
        self._below: _Layer | None = None

    def feed(self, packed: bytes | memoryview) -> bool:
        """Takes the next bytes; False when no more are needed, at the end, at the limit, or at damage."""
        for start in range(0, len(packed), _PIECE):
            pending: bytes | memoryview = packed[start : start + _PIECE]
            while pending and not self._inflater.eof:
                try:
                    piece = self._inflater.decompress(pending, _PIECE)
                except zlib.error:
                    return False
                pending = self._inflater.unconsumed_tail
                if not self._take(piece):
                    return False
            if self._inflater.eof:
                return False
        return True

    def _take(self, piece: bytes) -> bool:
        if not self.size and len(self._layers) < _MOST_LAYERS and _is_deflated(piece[:2]):
            self._below = _Layer(self._layers, self._limit)
        self.size += len(piece)
        if self._below is not None and not self._below.feed(piece):
            if self._below.size > self._limit:
                return False
            self._below = None
        return self.size <= self._limit
