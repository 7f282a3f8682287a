"""Small files that cost a reader far more than their size, made on the spot."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from documents import new_docx, saved
from office_documents import packed, with_part

MIB = 1024 * 1024
# Of `ingest.extraction`, small enough that a test need not wait, and large enough for documents of any usual size.
LIMITS = {"memory_mib": 400, "cpu_s": 5, "wall_s": 10, "max_unpacked_mib": 64}
# What unpacking is to meet: far more than any limit.
_HUGE = 2048 * MIB
# Beside signs without end: a file of signs alone is refused before it is a bomb.
WORDS = b"Herons wade here. " * 200
_DEEP = 100_000
_MANY = 100_000
_SIDE = 60_000  # pixels
_ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
LAUGHS = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e0 "ha">{_ENTITIES}]><r><p>&e9;</p></r>'
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><p>&x;</p></r>'
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


# -- streams that unpack to much


def deflated_zeros(size: int) -> bytes:
    """Zeros as zlib packs them, made without packing them all: a block of them, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush()
    blocks = size // MIB
    checksum = (blocks * MIB % 65521) << 16 | 1
    return b"\x78\xda" + block * blocks + end + struct.pack(">I", checksum)


def twice_deflated_zeros(size: int) -> bytes:
    return zlib.compress(deflated_zeros(size), 9)


def packed_zeros(pack: Callable[[bytes], bytes], size: int) -> bytes:
    """Zeros as gzip, bzip2 or xz packs them: streams one behind the other are one."""
    return pack(bytes(8 * MIB)) * (size // (8 * MIB))


def packed_tar(pack: Callable[[bytes], bytes], size: int) -> bytes:
    """A TAR archive of one file of zeros."""
    info = tarfile.TarInfo("a.txt")
    info.size = size
    return pack(info.tobuf()) + packed_zeros(pack, size)


def zipped_zeros(path: str, size: int, stated: int | None = None) -> bytes:
    """A zip archive of one file of zeros, which states another size where one is given."""
    raw = deflated_zeros(size)[2:-4]
    size = size if stated is None else stated
    sizes = struct.pack("<III", zlib.crc32(bytes(size)) if size < MIB else 0, len(raw), size)
    name = path.encode()
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0x21) + sizes + struct.pack("<HH", len(name), 0) + name
    central = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0x21) + sizes
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    at = len(local) + len(raw)
    return local + raw + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), at, 0)


def zip_in_zip() -> bytes:
    return packed({"b.zip": zipped_zeros("a.txt", _HUGE)})


def zips_in_zip() -> bytes:
    """Each of the inner archives is within the limits; together they are not."""
    inner = packed({"a.bin": bytes(9 * MIB)})
    return packed({f"{number}.zip": inner for number in range(100)})


def docx_of_zeros(stated: int | None = None) -> bytes:
    return zipped_zeros("word/document.xml", _HUGE, stated)


# -- XML


def docx_of(document: str) -> bytes:
    """A DOCX with this as its main part."""
    return with_part(saved(new_docx()), "word/document.xml", document)


def docx_with_doctype(xml: str) -> bytes:
    """A DOCX whose main part has the entities of `xml`, and shows the last of them."""
    doctype = xml[xml.index("<!DOCTYPE") : xml.index("]>") + 2]
    shown = "&e9;" if "e9" in doctype else "&x;"
    body = f'<w:document xmlns:w="{_W}"><w:body><w:p><w:r><w:t>{shown}</w:t></w:r></w:p></w:body></w:document>'
    return docx_of(doctype.replace("<!DOCTYPE r", "<!DOCTYPE w:document") + body)


# -- PDF


def pdf_file(objects: Mapping[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Numbered objects with their cross-reference table; the numbers have no gap."""
    parts = [b"%PDF-1.5\n"]
    offsets = []
    start = len(parts[0])
    for number in sorted(objects):
        offsets.append(start)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, objects[number]))
        start += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF"
    return b"".join(parts) + end % (size, table, size, trailer, start)


def stream(dictionary: bytes, data: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (dictionary, len(data), data)


def pdf_of(content: bytes, resources: bytes = b"<< >>", more: Mapping[int, bytes] | None = None) -> bytes:
    """A PDF of one page with this content stream; further objects from number 5 on."""
    return pdf_file(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources %s /Contents 4 0 R >>" % resources,
            4: content,
            **(more or {}),
        }
    )


def pdf_flate() -> bytes:
    return pdf_of(stream(b"/Filter /FlateDecode", deflated_zeros(_HUGE)))


def pdf_flate_twice() -> bytes:
    return pdf_of(stream(b"/Filter [/FlateDecode /FlateDecode]", twice_deflated_zeros(_HUGE)))


def pdf_flate_in_hexadecimal() -> bytes:
    return pdf_of(stream(b"/Filter [/ASCIIHexDecode /FlateDecode]", deflated_zeros(_HUGE).hex().encode() + b">"))


def pdf_flate_called_a_picture() -> bytes:
    """What is before the stream says that it is a picture, and the page says that it is its content."""
    return pdf_of(stream(b"/Subtype /Image /Filter /FlateDecode", deflated_zeros(_HUGE)))


def pdf_flate_in_base_85() -> bytes:
    data = base64.a85encode(twice_deflated_zeros(_HUGE)) + b"~>"
    return pdf_of(stream(b"/Filter [/A85 /Fl /Fl]", data))


def pdf_stream_that_names_its_end() -> bytes:
    """Those who look for the end of a stream find it at once."""
    block = b"endstream"
    stored = b"\x78\xda\x00" + struct.pack("<HH", len(block), 0xFFFF - len(block)) + block
    return pdf_of(stream(b"/Filter /FlateDecode", stored + deflated_zeros(_HUGE)[2:]))


def pdf_run_lengths() -> bytes:
    return pdf_of(stream(b"/Filter [/FlateDecode /RunLengthDecode]", zlib.compress(b"\x81 " * (16 * MIB), 9)))


def pdf_lzw() -> bytes:
    """LZW of blanks: each code is one longer than the one before, until the table is full and begins anew."""
    bits = [f"{256:09b}{32:09b}"]
    for code in range(258, 4094):
        width = 9 if code < 511 else 10 if code < 1023 else 11 if code < 2047 else 12
        bits.append(f"{code:0{width}b}")
    bits.append(f"{256:012b}")
    one = "".join(bits)
    packed = int(one * 8, 2).to_bytes(len(one), "big")
    return pdf_of(stream(b"/Filter [/FlateDecode /LZWDecode]", zlib.compress(packed * 60, 9)))


def pdf_many_streams() -> bytes:
    """One page of many streams, each within the limit."""
    one = stream(b"/Filter /FlateDecode", deflated_zeros(40 * MIB))
    more = {number: one for number in range(5, 55)}
    kids = b" ".join(b"%d 0 R" % number for number in more)
    return pdf_file(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents [%s] >>" % kids,
            4: b"<< >>",
            **more,
        }
    )


def pdf_object_stream(chain: bool = False) -> bytes:
    """The catalog is in an object stream that unpacks to gigabytes."""
    head = b"1 0 2 34 " + b" " * 7
    objects = b"<< /Type /Catalog /Pages 2 0 R >>" + b" " + b"<< /Type /Pages /Kids [] /Count 0 >>"
    packer = zlib.compressobj(9)
    first = packer.compress(head + objects) + packer.flush(zlib.Z_FULL_FLUSH)
    data = first + deflated_zeros(_HUGE)[2:]
    filters = b"[/FlateDecode /FlateDecode]" if chain else b"/FlateDecode"
    data = zlib.compress(data, 9) if chain else data
    return _with_xref_stream(stream(b"/Type /ObjStm /N 2 /First 16 /Filter " + filters, data))


def _with_xref_stream(object_stream: bytes) -> bytes:
    file = b"%PDF-1.5\n"
    at_stream = len(file)
    file += b"3 0 obj\n" + object_stream + b"\nendobj\n"
    at_table = len(file)
    rows = [(0, 0, 0), (2, 3, 0), (2, 3, 1), (1, at_stream, 0), (1, at_table, 0)]
    table = b"".join(struct.pack(">BIB", *row) for row in rows)
    file += b"4 0 obj\n" + stream(b"/Type /XRef /Size 5 /W [1 4 1] /Root 1 0 R", table) + b"\nendobj\n"
    return file + b"startxref\n%d\n%%%%EOF" % at_table


def pdf_xref_stream(chain: bool = False) -> bytes:
    """The cross-reference stream unpacks to gigabytes."""
    file = b"%PDF-1.5\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    at = len(file)
    data = twice_deflated_zeros(_HUGE) if chain else deflated_zeros(_HUGE)
    filters = b"[/FlateDecode /FlateDecode]" if chain else b"/FlateDecode"
    head = b"/Type /XRef /Size 200000000 /W [1 4 1] /Root 1 0 R /Filter " + filters
    return file + b"4 0 obj\n" + stream(head, data) + b"\nendobj\nstartxref\n%d\n%%%%EOF" % at


def pdf_pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(4, 4 + count))
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R >>"
    return pdf_file(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
            3: stream(b"", b"BT ET"),
            **dict.fromkeys(range(4, 4 + count), page),
        }
    )


def pdf_same_page(count: int) -> bytes:
    """One page, named as often as that."""
    return pdf_file(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"3 0 R " * count, count),
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>",
        }
    )


def pdf_tree_that_names_itself() -> bytes:
    return pdf_file(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [2 0 R 2 0 R 3 0 R] /Count 3 /Parent 2 0 R >>",
            3: b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2000000000 /Parent 2 0 R >>",
        }
    )


def pdf_deep_tree() -> bytes:
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
    for number in range(2, 50_000):
        objects[number] = b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 1)
    objects[50_000] = b"<< /Type /Page /MediaBox [0 0 612 792] >>"
    return pdf_file(objects)


def pdf_nested_arrays() -> bytes:
    return pdf_of(stream(b"", b"BT ET"), b"[" * 1_000_000)


# -- pictures


def png(side: int = _SIDE) -> bytes:
    """A grey picture, almost all of it black: packed it takes some bytes for each megapixel."""
    rows = side * (side // 8 + 1)
    data = deflated_zeros(rows // MIB * MIB)

    def piece(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", head) + piece(b"IDAT", data) + piece(b"IEND", b"")


def docx_with_picture() -> bytes:
    """A picture that is no more than that: the text is beside it."""
    document = new_docx()
    document.add_paragraph("Beside the picture stands a sentence about herons.")
    document.add_picture(io.BytesIO(png(8)))
    data = saved(document)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        path = next(name for name in package.namelist() if name.startswith("word/media/"))
    return with_part(data, path, png())


def pdf_with_picture() -> bytes:
    picture = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 " % (
        *(_SIDE, _SIDE),
    )
    data = deflated_zeros(_SIDE * _SIDE // MIB * MIB)
    return pdf_of(
        stream(b"", b"q 612 0 0 792 0 0 cm /P Do Q"),
        b"<< /XObject << /P 5 0 R >> >>",
        {5: stream(picture + b"/Filter /FlateDecode", data)},
    )


# -- nesting


def json_nested() -> bytes:
    return b"[" * _DEEP + b'"' + WORDS + b'"' + b"]" * _DEEP


def json_objects_nested() -> bytes:
    return b'{"a":' * _DEEP + b"1" + b"}" * _DEEP


def html_nested() -> bytes:
    return b"<!DOCTYPE html><html><body>" + b"<div>" * _DEEP + b"text" + b"</div>" * _DEEP


def xml_nested() -> bytes:
    return b"<a>" * _DEEP + b"text" + b"</a>" * _DEEP


def rtf_nested() -> bytes:
    return b"{\\rtf1 " + b"{" * _DEEP + WORDS + b"}" * _DEEP + b"}"


def eml_nested() -> bytes:
    """Each part is a list of parts of its own, with a boundary of its own."""
    head = b"From: a@example.org\nSubject: deep\nMIME-Version: 1.0\n"
    parts = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number) for number in range(_DEEP)]
    return head + b"".join(parts) + b"Content-Type: text/plain\n\ntext\n"


def eml_forwarded() -> bytes:
    return b"From: a@example.org\nSubject: deep\nContent-Type: message/rfc822\n\n" * _DEEP + b"text\n"


def eml_deep_lines() -> bytes:
    """Few parts in each other, and below them many lines: each is compared with the ends of all of them."""
    head = b"From: a@example.org\nSubject: deep\nMIME-Version: 1.0\n"
    parts = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number) for number in range(90)]
    return head + b"".join(parts) + b"Content-Type: text/plain\n\n" + b"--x\n" * 400_000


def eml_many_parts() -> bytes:
    head = b"From: a@example.org\nSubject: many\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    return head + b"--b\nContent-Type: text/plain\n\nx\n" * _MANY + b"--b--\n"


# -- width


def xlsx_corners() -> bytes:
    """Two cells, at the first and the last place of a sheet, and an area merged over all that is between them."""
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    packages = "http://schemas.openxmlformats.org/package/2006/relationships"
    cell = '<c r="{}" t="inlineStr"><is><t>{}</t></is></c>'
    return packed(
        {
            "_rels/.rels": f'<Relationships xmlns="{packages}"><Relationship Id="r1" Type="{links}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{links}"><sheets>'
            '<sheet name="Wide" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{packages}"><Relationship Id="r1" '
            f'Type="{links}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{namespace}"><sheetData><row r="1">'
            f'{cell.format("A1", "bitterns in the first cell")}</row><row r="1048576">'
            f"{cell.format('XFD1048576', 'bitterns in the last cell')}</row></sheetData>"
            '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells></worksheet>',
        }
    )


def csv_wide() -> bytes:
    return b",".join(b"c%d" % number for number in range(1_000_000)) + b"\n1,2\n"


def epub_of(chapters: Mapping[str, str], spine: list[str]) -> bytes:
    items = "".join(f'<item id="{key}" href="{key}.xhtml" media-type="application/xhtml+xml"/>' for key in chapters)
    named = "".join(f'<itemref idref="{key}"/>' for key in spine)
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<rootfiles><rootfile full-path="book.opf"/></rootfiles></container>',
            "book.opf": f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
            f"<spine>{named}</spine></package>",
            **{f"{key}.xhtml": f"<html><body><p>{text}</p></body></html>" for key, text in chapters.items()},
        }
    )


def epub_one_chapter() -> bytes:
    return epub_of({"c": "A chapter about curlews. " * 200}, ["c"] * 10_000)


# -- text that makes a parser look again and again


def runs(of: str, length: int = 200_000) -> bytes:
    return (of * length + "\n\n").encode() + WORDS


def lines(of: str, count: int) -> bytes:
    return (of * count).encode()


@dataclass(frozen=True, slots=True)
class Bomb:
    """How a file is made, and how it ends: refused with `code` and these words, or taken in, maybe with a note."""

    make: Callable[[], bytes]
    code: str = ""
    says: str | None = None
    note: str = ""


def _refused(code: str, says: str, *, of: Mapping[str, Callable[[], bytes]]) -> dict[str, Bomb]:
    return {name: Bomb(make, code, says) for name, make in of.items()}


BOMBS: dict[str, Bomb] = {
    **_refused(
        "limit-exceeded",
        "unpacks to 2048.0 MiB",
        of={
            "zeros.docx": docx_of_zeros,
        },
    ),
    **_refused(
        "corrupt-document",
        "is no XML that can be read",
        of={
            "liar.docx": lambda: docx_of_zeros(1000),
        },
    ),
    **_refused(
        "limit-exceeded",
        "b.zip: unpacks to 2048.0 MiB",
        of={
            "zip-in-zip.zip": zip_in_zip,
        },
    ),
    **_refused(
        "limit-exceeded",
        "the files in this one have more than 64 MiB",
        of={
            "zips-in-zip.zip": zips_in_zip,
        },
    ),
    **_refused(
        "limit-exceeded",
        "unpacks to more than 64 MiB",
        of={
            "zeros.tar.gz": lambda: packed_tar(gzip.compress, _HUGE),
        },
    ),
    **_refused(
        "limit-exceeded",
        "unpacks to more than",
        of={
            "zeros.tar.bz2": lambda: packed_tar(bz2.compress, _HUGE),
            "zeros.tar.xz": lambda: packed_tar(lzma.compress, _HUGE),
        },
    ),
    **_refused(
        "corrupt-document",
        "declares entities",
        of={
            "laughs.xml": LAUGHS.encode,
            "laughs.docx": lambda: docx_with_doctype(LAUGHS),
            "outside.xml": OUTSIDE.encode,
            "outside.docx": lambda: docx_with_doctype(OUTSIDE),
        },
    ),
    **_refused(
        "limit-exceeded",
        "a stream in it unpacks to more than 64 MiB",
        of={
            "flate.pdf": pdf_flate,
            "flate-twice.pdf": pdf_flate_twice,
            "flate-hexadecimal.pdf": pdf_flate_in_hexadecimal,
            "flate-base-85.pdf": pdf_flate_in_base_85,
            "flate-end.pdf": pdf_stream_that_names_its_end,
            "object-stream.pdf": pdf_object_stream,
            "object-stream-twice.pdf": lambda: pdf_object_stream(True),
            "xref-stream.pdf": pdf_xref_stream,
            "xref-stream-twice.pdf": lambda: pdf_xref_stream(True),
        },
    ),
    **_refused(
        "empty-document",
        "no text on any of its pages",
        of={
            "run-lengths.pdf": pdf_run_lengths,
            "nested.pdf": pdf_nested_arrays,
        },
    ),
    **_refused(
        "limit-exceeded",
        "takes more memory than 400 MiB",
        of={
            "lzw.pdf": pdf_lzw,
            "flate-picture.pdf": pdf_flate_called_a_picture,
            "many-streams.pdf": pdf_many_streams,
        },
    ),
    **_refused(
        "limit-exceeded",
        "has 10000 pages",
        of={
            "pages.pdf": lambda: pdf_pages(10_000),
            "same-page.pdf": lambda: pdf_same_page(10_000),
        },
    ),
    **_refused(
        "corrupt-document",
        "is no PDF that can be read",
        of={
            "itself.pdf": pdf_tree_that_names_itself,
            "deep-tree.pdf": pdf_deep_tree,
        },
    ),
    **_refused(
        "limit-exceeded",
        "3600.0 megapixels, the limit is 100",
        of={
            "huge.png": png,
            "huge-picture.pdf": pdf_with_picture,
        },
    ),
    **_refused(
        "corrupt-document",
        "nested more than 255 deep",
        of={
            "nested.html": html_nested,
            "nested.xml": xml_nested,
            "tables.html": lambda: b"<html><body>" + runs("<table><tr><td>", 20_000) + b"text",
        },
    ),
    **_refused(
        "corrupt-document",
        "nested too deeply",
        of={
            "nested.eml": eml_nested,
            "forwarded.eml": eml_forwarded,
        },
    ),
    **_refused(
        "limit-exceeded",
        "has more than 1000 parts",
        of={
            "many-parts.eml": eml_many_parts,
        },
    ),
    **_refused(
        "limit-exceeded",
        "its row 1 has 1000000 columns",
        of={
            "wide.csv": csv_wide,
        },
    ),
    **_refused(
        "empty-document",
        "no text in it",
        of={
            "tick-runs.md": lambda: ("# " + "".join("`" * n + " " for n in range(1, 600)) + "\n").encode(),
            "open-comments.md": lambda: lines("<!-- \n\n", 100_000),
            "comments.html": lambda: b"<html><body>" + runs("<!--") + b"text",
            "quote-lines.csv": lambda: lines('"\n', 200_000),
            "groups.rtf": lambda: b"{\\rtf1 " + runs("{\\*\\a ") + b"}",
            "unicode.rtf": lambda: b"{\\rtf1 \\uc30000 " + lines("\\u8364 a", 200_000) + b"}",
        },
    ),
    **_refused(
        "corrupt-document",
        "DTD",
        of={
            "doctypes.html": lambda: b"<html><body>" + runs("<!doctype [") + b"text",
        },
    ),
    **_refused(
        "limit-exceeded",
        "its row 1 has 100001 columns",
        of={
            "quotes.csv": lambda: runs('"a,'),
        },
    ),
    # Documents all the same: what takes long with them was left out, or does not take long.
    "huge-picture.docx": Bomb(docx_with_picture),
    "nested.json": Bomb(json_nested, note="nested too deeply for its JSON to be read"),
    "nested-objects.json": Bomb(json_objects_nested, note="nested too deeply for its JSON to be read"),
    "nested.rtf": Bomb(rtf_nested),
    "corners.xlsx": Bomb(xlsx_corners),
    "one-chapter.epub": Bomb(epub_one_chapter, note="named again in its order of reading (9999 times)"),
    "stars.md": Bomb(lambda: runs("*")),
    "heading-stars.md": Bomb(lambda: b"# " + runs("*a_", 100_000)),
    "brackets.md": Bomb(lambda: b"# " + runs("[")),
    "bangs.md": Bomb(lambda: b"# " + runs("![")),
    "links.md": Bomb(lambda: b"# " + runs("[a](", 80_000)),
    "bars.md": Bomb(lambda: runs("|")),
    "less.md": Bomb(lambda: b"# " + runs("<")),
    "ticks.md": Bomb(lambda: b"# " + runs("`")),
    "quotes.md": Bomb(lambda: runs(">")),
    "lists.md": Bomb(lambda: runs("- ", 50_000)),
    "stairs.md": Bomb(lambda: "".join(" " * n + "- a\n" for n in range(700)).encode()),
    "references.md": Bomb(lambda: lines("[a]: b\n", 30_000) + b"\n" + WORDS + b"[a]\n"),
    "attributes.md": Bomb(lambda: b"# " + runs("{#a ", 100_000)),
    "front.md": Bomb(lambda: b"---\n" + lines("a: b\n", 50_000)),
    "braces.tex": Bomb(lambda: b"\\section{" + runs("{")),
    "open-brackets.md": Bomb(lambda: lines("[a\n", 30_000)),
    "open-references.md": Bomb(lambda: lines("[a]: <\n", 30_000)),
    "lazy.md": Bomb(lambda: b"> a\n" + lines("a\n", 30_000)),
    "setext.md": Bomb(lambda: runs("a ", 50_000) + b"===\n"),
    "front-hash.md": Bomb(lambda: b"---\n" + lines("#a\n", 30_000)),
    "link-title.adoc": Bomb(lambda: lines("== [a](", 50_000)),
    "braces.adoc": Bomb(lambda: b"== " + runs("{a", 100_000)),
    "words.eml": Bomb(lambda: b"From: a@b.c\nSubject: " + runs("=?utf-8?q?a") + b"\ntext\n"),
    "addresses.eml": Bomb(lambda: b"From: " + runs("a@b.c, ") + b"\ntext\n"),
    "quoted.eml": Bomb(lambda: b'From: a@b.c\nContent-Type: text/plain; x="' + runs('\\";', 50_000) + b"\n\ntext\n"),
    "parameters.eml": Bomb(lambda: b"From: a@b.c\nContent-Type: text/plain" + runs("; a*0*=b") + b"\ntext\n"),
    "attributes.html": Bomb(lambda: b"<html><body><p " + runs("a=b ") + b">text"),
    "entities.html": Bomb(lambda: b"<html><body>" + runs("&amp") + b"text"),
    "lists.html": Bomb(lambda: b"<html><body>" + runs("<ul><li>", 120) + b"text"),
    "rows.csv": Bomb(lambda: lines(",\n", 300_000) + b"a,b\n"),
    "titles.tex": Bomb(lambda: lines("\\title[", 50_000)),
    "sections.tex": Bomb(lambda: lines("\\section{a}\n", 20_000)),
    "stars.org": Bomb(lambda: runs("*")),
    "star-lines.org": Bomb(lambda: lines("* a\n", 20_000)),
    "tags.org": Bomb(lambda: b"* a " + runs(" :a", 100_000)),
    "dashes.rst": Bomb(lambda: runs("=")),
    "title-lines.rst": Bomb(lambda: lines("a\n=\n", 20_000)),
    "roles.rst": Bomb(lambda: b"a\n===\n\n" + runs(":a", 50_000) + b"\n" + runs("_") + b"====\n"),
    "role-title.rst": Bomb(lambda: runs(":a", 100_000).split(b"\n")[0] + b"\n====\n\n" + WORDS),
    "under-title.rst": Bomb(lambda: runs("_").split(b"\n")[0] + b"x\n====\n\n" + WORDS),
}
# Words that a reader of such a document sees, and so finds.
SHOWN = {
    "huge-picture.docx": "sentence about herons beside the picture",
    "corners.xlsx": "bitterns in the last cell",
    "one-chapter.epub": "chapter about curlews",
}
