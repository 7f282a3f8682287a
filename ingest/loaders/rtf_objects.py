"""Objects embedded in RTF: OLE 1.0 in hexadecimal digits ([MS-OLEDS] 2.2.4, 2.2.5)."""

from __future__ import annotations

from ingest.errors import RefusedDocument
from ingest.loaders.compound import SIGNATURE, embedded_object, native_package
from ingest.types import Attachment

_EMBEDDED = 2
_MOST_NAME = 1000


def attachment_of(digits: str, name: str) -> Attachment | None:
    """The file that an object holds, None where there is none that can be taken out."""
    try:
        data = bytes.fromhex("".join(digits.split()))
    except ValueError:
        return None
    if int.from_bytes(data[4:8], "little") != _EMBEDDED:
        return None  # a link
    position = 8
    names = []
    for _ in range(3):  # class, topic, item
        size = int.from_bytes(data[position : position + 4], "little")
        if size > _MOST_NAME:
            return None
        names.append(data[position + 4 : position + 4 + size].rstrip(b"\0"))
        position += 4 + size
    size = int.from_bytes(data[position : position + 4], "little")
    native = data[position + 4 : position + 4 + size]
    if native.startswith(SIGNATURE):
        try:
            return embedded_object(native, name)
        except RefusedDocument:
            return None
    return native_package(b"\0\0\0\0" + native, name) if names[0] == b"Package" else None
