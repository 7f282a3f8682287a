"""OLE compound files (DOC, XLS, PPT, MSG, encrypted Office files) by olefile: their streams, and embedded files."""

from __future__ import annotations

import io

import olefile

from ingest.errors import CorruptDocument
from ingest.loaders.text import clean
from ingest.types import Attachment

SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")
_NATIVE = "\x01Ole10Native"
_WITHIN = ("Package", "CONTENTS")  # a file as it is: of Office, of a PDF program
_WHOLE = ("WordDocument", "Workbook")  # the object is itself a document of that program
_MAX_NAME = 260


def open_compound(data: bytes, name: str) -> olefile.OleFileIO:
    """The compound file `data`. Raises CorruptDocument where it is damaged."""
    try:
        return olefile.OleFileIO(io.BytesIO(data))
    except Exception as error:  # olefile raises a handful of its own and of Python's errors
        if isinstance(error, MemoryError):
            raise
        raise _damaged(name) from error


def stream_names(data: bytes, name: str) -> frozenset[str]:
    """The streams and storages at the top of a compound file. Raises CorruptDocument."""
    with open_compound(data, name) as compound:
        return frozenset(path[0] for path in _paths(compound, name))


def _paths(compound: olefile.OleFileIO, name: str) -> list[list[str]]:
    try:
        return [list(path) for path in compound.listdir(streams=True, storages=True)]
    except RecursionError as error:  # a directory that holds itself, or is as deep as no program makes one
        raise _damaged(name) from error


def stream(compound: olefile.OleFileIO, path: str, name: str) -> bytes:
    """The bytes of one stream. Raises CorruptDocument where it is missing or damaged."""
    try:
        with compound.openstream(path) as opened:
            return bytes(opened.read())
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise _damaged(name) from error


def embedded_object(data: bytes, name: str) -> Attachment | None:
    """The file that an OLE object holds, named as it was where the object says so; None where there is none in it."""
    with open_compound(data, name) as compound:
        if compound.exists(_NATIVE):
            return native_package(stream(compound, _NATIVE, name), name)
        for path in _WITHIN:
            if compound.exists(path):
                return Attachment(name, stream(compound, path, name))
        if any(compound.exists(path) for path in _WHOLE):
            return Attachment(name, data)
    return None


def embedded_streams(compound: olefile.OleFileIO, storage: str, name: str) -> tuple[list[Attachment], list[str]]:
    """Files embedded in a compound file below `storage`, and a sentence for each object that can't be taken out."""
    found: list[Attachment] = []
    notes: list[str] = []
    for key in dict.fromkeys(path[1] for path in _paths(compound, name) if len(path) > 2 and path[0] == storage):
        file = f"object {len(found) + len(notes) + 1}"
        attachment = None
        for path in (_NATIVE, *_WITHIN):
            whole = f"{storage}/{key}/{path}"
            if attachment is None and compound.exists(whole):
                data = stream(compound, whole, name)
                attachment = native_package(data, file) if path == _NATIVE else Attachment(file, data)
        if attachment is None:
            notes.append(f"The embedded {file} could not be read")
        else:
            found.append(attachment)
    return found, notes


def stated_title(compound: olefile.OleFileIO) -> str:
    """The title in the properties, on one line; "" where there is none that can be read."""
    try:
        properties = compound.get_metadata()
        title = properties.title or b""
        codec = f"cp{(properties.codepage or 1252) & 0xFFFF}"
        text = title if isinstance(title, str) else title.decode("utf-8" if codec == "cp65001" else codec, "replace")
    except Exception as error:  # properties are no reason to refuse what can be read
        if isinstance(error, MemoryError):
            raise
        return ""
    return " ".join(clean(text).split())


def native_package(data: bytes, name: str) -> Attachment | None:
    """An OLE package ([MS-OLEDS] 2.3.6): size, type, then label, source path, and command path, each ending in NUL.

    None where there are no bytes in it.
    """
    position = 6
    label, position = _until_nul(data, position)
    source, position = _until_nul(data, position)
    position += 4  # flags
    position += 4 + int.from_bytes(data[position : position + 4], "little")  # the path of a temporary copy
    size = int.from_bytes(data[position : position + 4], "little")
    content = data[position + 4 : position + 4 + size]
    if not content:
        return None
    title = (label or source).replace("\\", "/").rpartition("/")[2]
    return Attachment(title or name, content)


def _until_nul(data: bytes, start: int) -> tuple[str, int]:
    end = data.find(b"\0", start, start + _MAX_NAME)
    if end < 0:
        return "", start
    return data[start:end].decode("cp1252", "replace"), end + 1


def _damaged(name: str) -> CorruptDocument:
    return CorruptDocument(f"{name}: is damaged or cut off. Open it in its program, save it again, then upload it.")
