"""Office files made on the spot, as far as no library makes them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

import msoffcrypto.format.ooxml

_SECTOR = 512
_SMALLEST = 4096  # of a stream that is not in the mini stream
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" '
    'xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def packed(parts: Mapping[str, bytes | str]) -> bytes:
    """A zip archive of parts by path."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for path, content in parts.items():
            package.writestr(path, content)
    return stream.getvalue()


def with_part(data: bytes, path: str, content: bytes | str) -> bytes:
    """The archive `data` with one part replaced or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        parts: dict[str, bytes | str] = {name: package.read(name) for name in package.namelist()}
    return packed({**parts, path: content})


def part_of(data: bytes, path: str) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return package.read(path).decode()


def locked(data: bytes, password: str) -> bytes:
    """An OOXML file under a password, as Office writes it (agile encryption)."""
    stream = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(data)).encrypt(password, stream)
    return stream.getvalue()


def odf(kind: str, body: str, *, styles: str = "", automatic: str = "", title: str = "") -> bytes:
    """An OpenDocument file; `kind` is that of its body: text, spreadsheet or presentation."""
    parts = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "META-INF/manifest.xml": '<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        "content.xml": f"<office:document-content {ODF}><office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
        "styles.xml": f"<office:document-styles {ODF}><office:styles>{styles}</office:styles></office:document-styles>",
        "meta.xml": f"<office:document-meta {ODF}><office:meta><dc:title>{title}</dc:title></office:meta>"
        "</office:document-meta>",
    }
    return packed(parts)


def compound(streams: Mapping[str, bytes]) -> bytes:
    """An OLE compound file with `streams` at its top ([MS-CFB]), filled up with zeros: there is no mini stream."""
    contents = [(name, data.ljust(_SMALLEST, b"\0")) for name, data in streams.items()]
    directory_sectors = -(-(len(contents) + 1) // 4)
    sizes = [max(1, -(-len(data) // _SECTOR)) for _, data in contents]
    fat: list[int] = [_FAT]
    fat += [*range(2, directory_sectors + 1), _END]
    starts = []
    for size in sizes:
        starts.append(len(fat))
        fat += [*range(len(fat) + 1, len(fat) + size), _END]
    assert len(fat) <= _SECTOR // 4, "more than one sector of FAT"
    fat += [_FREE] * (_SECTOR // 4 - len(fat))
    entries = [_entry("Root Entry", 5, child=1 if contents else _FREE, start=_END, size=0)]
    for index, ((name, data), start) in enumerate(zip(contents, starts, strict=True), start=1):
        after = index + 1 if index < len(contents) else _FREE
        entries.append(_entry(name, 2, right=after, start=start, size=len(data)))
    entries += [_entry("", 0, start=0, size=0)] * (4 * directory_sectors - len(entries))
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, _SMALLEST, _END, 0, _END, 0)
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    body = b"".join(data.ljust(size * _SECTOR, b"\0") for (_, data), size in zip(contents, sizes, strict=True))
    return header + struct.pack(f"<{_SECTOR // 4}I", *fat) + b"".join(entries) + body


def _entry(name: str, kind: int, *, right: int = _FREE, child: int = _FREE, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le")
    length = len(encoded) + 2 if name else 0
    links = struct.pack("<III", _FREE, right, child)
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBB", length, kind, 1)
        + links
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def ole_package(name: str, data: bytes) -> bytes:
    """The stream `\\x01Ole10Native` of an embedded file."""
    path = b"C:\\temp\\" + name.encode()
    fields = name.encode() + b"\0" + path + b"\0" + bytes(4) + struct.pack("<I", len(path) + 1) + path + b"\0"
    body = b"\x02\0" + fields + struct.pack("<I", len(data)) + data
    return struct.pack("<I", len(body)) + body


DocParagraph = tuple[str, int, bytes]  # text with its last character, style, property modifiers


def doc(
    paragraphs: Sequence[DocParagraph],
    *,
    runs: Sequence[tuple[str, bytes]] = (),
    notes: Sequence[str] = (),
    comments: Sequence[str] = (),
) -> bytes:
    """A DOC (Word 97). `runs` are words of the text with their modifiers; notes and comments come in the order in which
    the text refers to them, by the characters 2 and 5.
    """
    text = "".join(paragraph[0] for paragraph in paragraphs)
    ends = ["\r" if kind else "" for kind in (notes, comments)]
    stories = [
        text,
        "".join(f"{note}\r" for note in notes) + ends[0],
        "".join(f"{its}\r" for its in comments) + ends[1],
    ]
    whole = "".join(stories)
    begin = 0x800
    encoded = whole.encode("utf-16-le")
    places = [begin + 2 * len(its.encode("utf-16-le")) // 2 for its in (whole[:at] for at in range(len(whole) + 1))]
    main = bytearray(begin + len(encoded))
    main[begin:] = encoded
    main += bytes(-len(main) % _SECTOR)
    units = [len(its.encode("utf-16-le")) // 2 for its in stories]
    paragraph_page, position = [], 0
    for its, style, modifiers in paragraphs:
        paragraph_page.append((places[position], places[position + len(its)], struct.pack("<H", style) + modifiers))
        position += len(its)
    run_page, last = [], 0
    for word, modifiers in sorted(runs, key=lambda run: text.index(run[0])):
        at = text.index(word)
        if at > last:
            run_page.append((places[last], places[at], b""))
        run_page.append((places[at], places[at + len(word)], modifiers))
        last = at + len(word)
    pages = {13: len(main) // _SECTOR}
    main += _page(paragraph_page, 13)
    if run_page:
        pages[12] = len(main) // _SECTOR
        main += _page(run_page, 1)
    tables = bytearray(b"\0")
    pairs: dict[int, tuple[int, int]] = {}

    def put(index: int, data: bytes) -> None:
        pairs[index] = (len(tables), len(data))
        tables.extend(data)

    put(33, b"\x02" + struct.pack("<IIIHIH", 16, 0, sum(units), 0, begin, 0))
    for index, number in pages.items():
        put(index, struct.pack("<III", begin, begin + len(encoded), number))
    put(1, _styles())
    for (references, texts, beside), sign, found in (((2, 3, 2), "\x02", notes), ((4, 5, 30), "\x05", comments)):
        at = [(places[index] - begin) // 2 for index, character in enumerate(text) if character == sign]
        put(references, struct.pack(f"<{len(at) + 1}I", *at, units[0]) + bytes(beside * len(at)))
        starts = [
            sum(len(its.encode("utf-16-le")) // 2 + 1 for its in found[:number]) for number in range(len(found) + 1)
        ]
        put(texts, struct.pack(f"<{len(starts)}I", *starts))
    struct.pack_into("<HH", main, 0, 0xA5EC, 0xC1)
    main[0x0B] = 2
    struct.pack_into("<IIIII", main, 0x4C, units[0], units[1], 0, 0, units[2])
    for index, pair in pairs.items():
        struct.pack_into("<II", main, 0x9A + 8 * index, *pair)
    return compound({"WordDocument": bytes(main), "1Table": bytes(tables)})


def _page(entries: Sequence[tuple[int, int, bytes]], width: int) -> bytes:
    """A page of properties of paragraphs (13 bytes for each) or characters (one)."""
    page = bytearray(_SECTOR)
    page[-1] = len(entries)
    struct.pack_into(f"<{len(entries) + 1}I", page, 0, *(start for start, _, _ in entries), entries[-1][1])
    free = _SECTOR - 2
    for index, (_, _, properties) in enumerate(entries):
        if not properties:
            continue
        if width == 13:
            properties += b"\0" * ((len(properties) + 1) % 2)
            stored = bytes([(len(properties) + 1) // 2]) + properties
        else:
            stored = bytes([len(properties)]) + properties
        free -= len(stored) + (free - len(stored)) % 2
        page[free : free + len(stored)] = stored
        page[4 * (len(entries) + 1) + width * index] = free // 2
    return bytes(page)


def _styles() -> bytes:
    """Normal, nine headings, a title, and a style based on heading 2: numbers 0 to 11."""
    kinds = [(0, 0xFFF), *((level, 0) for level in range(1, 10)), (62, 0), (0xFFE, 2)]
    sheet = struct.pack("<HHH", 4, len(kinds), 10)
    for kind, base in kinds:
        sheet += struct.pack("<HHHHHH", 10, kind, base << 4 | 1, 0, 0, 0)
    return sheet
