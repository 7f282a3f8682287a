"""The compression of RTF in Outlook messages ([MS-OXRTFCP]): references of 2 to 17 bytes into a ring of 4096."""

from __future__ import annotations

import struct

from ingest.errors import CorruptDocument, LimitExceeded
from ingest.loaders.reading import MIB, Reading

_RING = 4096
# What the ring holds at first (section 2.1.2.1).
_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_HEADER = struct.Struct("<II4sI")


def decompressed(data: bytes, name: str, reading: Reading) -> bytes:
    """The RTF. Raises CorruptDocument where `data` has not the form, LimitExceeded where it states too large a size."""
    if len(data) < _HEADER.size:
        raise CorruptDocument(f"{name}: the RTF of its body is damaged. Save the message again.")
    _, size, kind, _ = _HEADER.unpack_from(data)
    if size > reading.limits.max_unpacked_mib * MIB:
        raise LimitExceeded(
            f"{name}: its body unpacks to {size / MIB:.1f} MiB, the limit is {reading.limits.max_unpacked_mib:g} MiB. "
            "Shorten it, or raise `ingest.extraction.max_unpacked_mib`."
        )
    packed = memoryview(data)[_HEADER.size :]
    if kind == b"MELA":
        return bytes(packed[:size])
    if kind != b"LZFu":
        raise CorruptDocument(f"{name}: the RTF of its body is packed in an unknown way. Save the message again.")
    return _unpacked(packed, size)


def _unpacked(packed: memoryview, size: int) -> bytes:
    """Groups of eight tokens behind a byte of flags: a byte, or two that say where to repeat the ring, and how long."""
    ring = bytearray(_START.ljust(_RING, b" "))
    write = len(_START)
    result = bytearray()
    position = 0
    while position < len(packed) and len(result) < size:
        flags = packed[position]
        position += 1
        for bit in range(8):
            if flags >> bit & 1:
                if position + 2 > len(packed):
                    return bytes(result)
                reference = packed[position] << 8 | packed[position + 1]
                position += 2
                read, length = reference >> 4, (reference & 15) + 2
                if read == write:  # the mark of the end
                    return bytes(result)
            elif position < len(packed):
                read, length = write, 1
                ring[write] = packed[position]
                position += 1
            else:
                return bytes(result)
            for _ in range(length):
                byte = ring[read]
                result.append(byte)
                ring[write] = byte
                read, write = (read + 1) % _RING, (write + 1) % _RING
    return bytes(result[:size])
