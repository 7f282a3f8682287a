"""Small files of each format, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import docx
from docx.document import Document

Bookmark = tuple[int, str, int]  # level from 1, title, page from 1


def pdf(
    pages: Sequence[Sequence[str]], *, title: str = "", bookmarks: Sequence[Bookmark] = (), encrypted: bool = False
) -> bytes:
    """A PDF with one line of Helvetica for each string; bookmarks are of level 1, or 2 below the one before."""
    first_page, outlines = 4, 4 + 2 * len(pages)
    kids = " ".join(f"{first_page + 2 * index} 0 R" for index in range(len(pages)))
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R /Outlines {outlines} 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for index, lines in enumerate(pages):
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        content = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET"
        bodies.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {first_page + 2 * index + 1} 0 R >>"
        )
        bodies.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    bodies += _outlines(bookmarks, outlines, first_page)
    trailer = f"/Root 1 0 R /Info {len(bodies) + 1} 0 R"
    bodies.append(f"<< /Title ({title}) >>")
    if encrypted:  # the hashes fit no password, so that the empty one fails
        trailer += f" /Encrypt {len(bodies) + 1} 0 R /ID [<00><00>]"
        bodies.append(f"<< /Filter /Standard /V 1 /R 2 /O <{'11' * 32}> /U <{'22' * 32}> /P -4 >>")
    return pdf_file(bodies, trailer)


def _outlines(bookmarks: Sequence[Bookmark], root: int, first_page: int) -> list[str]:
    """The outline tree as objects numbered from `root`: level 1 below the root, level 2 below the last of level 1."""
    numbers = range(root + 1, root + 1 + len(bookmarks))
    parents = []
    top = root
    for number, (level, _, _) in zip(numbers, bookmarks, strict=True):
        parents.append(root if level == 1 else top)
        top = number if level == 1 else top
    children = {
        node: [n for n, parent in zip(numbers, parents, strict=True) if parent == node] for node in [root, *numbers]
    }
    bodies = ["<< /Type /Outlines" + _ends(children[root]) + " >>"]
    for number, parent, (_, title, page) in zip(numbers, parents, bookmarks, strict=True):
        siblings = children[parent]
        following = siblings[siblings.index(number) + 1 :]
        chain = f" /Next {following[0]} 0 R" if following else ""
        destination = f"[{first_page + 2 * (page - 1)} 0 R /Fit]"
        bodies.append(
            f"<< /Title ({title}) /Parent {parent} 0 R /Dest {destination}{chain}{_ends(children[number])} >>"
        )
    return bodies


def _ends(children: Sequence[int]) -> str:
    return f" /First {children[0]} 0 R /Last {children[-1]} 0 R /Count {len(children)}" if children else ""


def pdf_file(bodies: Sequence[str], trailer: str) -> bytes:
    """The objects, numbered from 1, as a PDF file with their cross-reference table."""
    file = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(bodies) + 1
    end = f"trailer\n<< /Size {size} {trailer} >>\nstartxref\n{len(file)}\n%%EOF"
    return file + f"xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


def new_docx(title: str = "") -> Document:
    """An empty document; python-docx's own template names itself in the properties."""
    document = docx.Document()
    document.core_properties.title = title
    return document


def saved(document: Document) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def archive(**parts: bytes) -> bytes:
    """A zip archive of parts by name; `__` stands for a slash and a trailing `_xml` for the extension."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return stream.getvalue()
