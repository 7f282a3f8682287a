"""Packed files (DOCX, XLSX, ODT, EPUB, ZIP...): opened within limits, and their XML parsed without DTDs."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from typing import IO, Any

import lxml.etree

from ingest.errors import CorruptDocument, LimitExceeded
from ingest.loaders.reading import MIB, Reading

DEEPEST_ELEMENTS = 255  # of libxml2, so that what walks them may call itself
SMALL_MIB = 10  # an expansion within this harms nobody
_PROLOG_STEP = 4096
# What reading a damaged part as a stream raises: of the archive, of each compression, of the XML parser.
PART_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, KeyError),
    *(zlib.error, lzma.LZMAError, lxml.etree.XMLSyntaxError),
)
_OPENING = b"<\x4c"  # of XML in any encoding: UTF-8 and UTF-16 have "<", EBCDIC has 0x4c


def open_package(data: bytes, name: str, reading: Reading) -> zipfile.ZipFile:
    """The zip archive `data`, whose parts are then read by `part`.

    Raises CorruptDocument where it is none, LimitExceeded for too many parts, or for sizes over the limits. The sizes
    are those that the archive states; `part` stops at them.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
        parts = package.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise CorruptDocument(f"{name}: the archive is damaged or cut off. Save it again, then upload it.") from error
    limits = reading.limits
    if len(parts) > limits.max_parts:
        raise LimitExceeded(
            f"{name}: packs {len(parts)} parts, the limit is {limits.max_parts}. "
            "Split it, or raise `ingest.extraction.max_parts`."
        )
    unpacked = sum(part.file_size for part in parts)
    if unpacked > limits.max_unpacked_mib * MIB:
        raise LimitExceeded(
            f"{name}: unpacks to {unpacked / MIB:.1f} MiB, the limit is {limits.max_unpacked_mib:g} MiB. "
            "Split it, or raise `ingest.extraction.max_unpacked_mib`."
        )
    if unpacked > max(SMALL_MIB * MIB, limits.max_expansion * len(data)):
        raise LimitExceeded(
            f"{name}: unpacks to {unpacked / len(data):.0f} times its size, the limit is {limits.max_expansion:g}. "
            "Documents are packed less densely; if it is one, raise `ingest.extraction.max_expansion`."
        )
    return package


def stated_size(data: bytes) -> int:
    """The size of a file, of a zip archive that of its parts, as far as the archive can be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            return max(len(data), sum(its.file_size for its in package.infolist()))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return len(data)


def part(package: zipfile.ZipFile, path: str, name: str) -> bytes:
    """The bytes of one part, never more than the archive states. Raises CorruptDocument where it can't be read."""
    try:
        info = package.getinfo(path)
        with package.open(info) as stream:
            return stream.read(info.file_size + 1)[: info.file_size]
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise CorruptDocument(f"{name}: its part {path!r} can't be read. Save it again, then upload it.") from error
    except Exception as error:  # each compression raises errors of its own (zlib.error, lzma.LZMAError)
        if isinstance(error, MemoryError):
            raise
        raise CorruptDocument(f"{name}: its part {path!r} is damaged. Save it again, then upload it.") from error


def parse_xml(source: bytes, name: str) -> Any:
    """The root element of an XML document. A document type declaration may be there, but is not followed.

    No entities but those of XML itself, no DTDs, no network, at most 255 levels. Raises CorruptDocument.
    """
    parser = lxml.etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = lxml.etree.fromstring(source, parser)
    except lxml.etree.XMLSyntaxError as error:
        raise _refusal(error, name) from error
    if root is None:
        raise CorruptDocument(f"{name}: has no XML element in it. Save it again.")
    refuse_entities(root.getroottree(), name)
    return root


def _refusal(error: lxml.etree.XMLSyntaxError, name: str) -> CorruptDocument:
    """Why a file is no XML; what the parser says of its own limits helps nobody."""
    if "entit" in error.msg and ("amplification" in error.msg or "loop" in error.msg):
        return _entities_refused(name)
    if error.msg.startswith("Excessive depth"):
        return CorruptDocument(
            f"{name}: its elements are nested more than {DEEPEST_ELEMENTS} deep. Simplify it, or save it as text."
        )
    if error.msg.startswith("Resource limit exceeded"):
        return CorruptDocument(
            f"{name}: one run of text in it, or one value, has more than 10 MB. Divide it into paragraphs."
        )
    return CorruptDocument(f"{name}: is no XML that can be read ({error.msg}). Save it again.")


def _entities_refused(name: str) -> CorruptDocument:
    return CorruptDocument(f"{name}: its XML declares entities, which are not taken. Remove its <!DOCTYPE ...>.")


def refuse_entities_in(package: zipfile.ZipFile, name: str) -> None:
    """Raises CorruptDocument where an XML part declares entities: for packages that a library parses by itself.

    Only what stands before a part's first element is parsed; declarations can't stand anywhere else. Parts that are no
    XML are passed over, as are those that break off: a parser stops there too.
    """
    for info in package.infolist():
        if info.file_size:
            try:
                with package.open(info) as stream:
                    _refuse_entities_of(stream, name)
            except PART_ERRORS:
                continue  # read again by whoever needs this part, who says what is wrong with it


def _refuse_entities_of(stream: IO[bytes], name: str) -> None:
    data = stream.read(_PROLOG_STEP)
    if not any(byte in _OPENING for byte in data[:64]):
        return
    parser = lxml.etree.XMLPullParser(
        events=("start",), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        while data:
            parser.feed(data)
            first = next(iter(parser.read_events()), None)
            if first is not None:
                refuse_entities(first[1].getroottree(), name)
                return
            data = stream.read(_PROLOG_STEP)
    except lxml.etree.XMLSyntaxError:
        return


def refuse_entities(tree: Any, name: str) -> None:
    """Raises CorruptDocument where a document type declares entities: those are how XML bombs are built."""
    declared = tree.docinfo.internalDTD
    if declared is not None and next(iter(declared.iterentities()), None) is not None:
        raise _entities_refused(name)
