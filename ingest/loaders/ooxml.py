"""Open packages of Office (DOCX, PPTX, XLSX): relationships between parts, embedded files, the title."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ingest.errors import RefusedDocument, UnsupportedFormat
from ingest.loaders.compound import SIGNATURE, embedded_object
from ingest.loaders.packages import parse_xml, part
from ingest.loaders.text import clean
from ingest.types import Attachment

_EMBEDDED = ("oleObject", "package", "aFChunk")
_TITLE = "{http://purl.org/dc/elements/1.1/}title"


@dataclass(frozen=True, slots=True)
class Relationship:
    """`kind` is the last word of its type, so that it is the same for strict and transitional documents."""

    key: str
    kind: str
    target: str


def local(tag: Any) -> str:
    """A tag without its namespace; "" for comments and processing instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def relationships(package: zipfile.ZipFile, source: str, name: str) -> list[Relationship]:
    """Those of the part `source` ("" for the package) to parts that are there. Raises CorruptDocument."""
    folder, _, file = source.rpartition("/")
    path = f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels"
    there = set(package.namelist())
    if path not in there:
        return []
    found = []
    targets = set()  # no document points to a part twice, and a hostile one could do it a million times
    for element in parse_xml(part(package, path, name), name):
        target = element.get("Target") or ""
        if local(element.tag) != "Relationship" or element.get("TargetMode") == "External" or not target:
            continue
        whole = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        whole = whole if whole in there else unquote(whole)
        if whole in there and whole not in targets:
            targets.add(whole)
            found.append(Relationship(element.get("Id") or "", (element.get("Type") or "").rpartition("/")[2], whole))
    return found


def main_part(package: zipfile.ZipFile, name: str) -> str | None:
    """The part that the package is about: the document, presentation or workbook."""
    return next((its.target for its in relationships(package, "", name) if its.kind == "officeDocument"), None)


def refuse_strict(package: zipfile.ZipFile, name: str) -> None:
    """Raises UnsupportedFormat for a strict document, whose namespaces the libraries for DOCX and PPTX don't know."""
    if "_rels/.rels" in package.namelist() and b"http://purl.oclc.org/ooxml/" in part(package, "_rels/.rels", name):
        raise UnsupportedFormat(
            f'{name}: is saved as "Strict Open XML". Save it again as the usual kind of document and upload that.'
        )


def stated_title(package: zipfile.ZipFile, name: str) -> str:
    """The title in the properties, on one line; "" where there is none."""
    for its in relationships(package, "", name):
        if its.kind == "core-properties":
            try:
                return " ".join(clean(parse_xml(part(package, its.target, name), name).findtext(_TITLE) or "").split())
            except RefusedDocument:  # properties are no reason to refuse what can be read
                return ""
    return ""


def embedded_files(package: zipfile.ZipFile, name: str) -> tuple[list[Attachment], list[str]]:
    """Files that are embedded in a document, and a sentence for each that can't be taken out.

    The workbooks behind charts are none: what the chart shows is in the chart.
    """
    found, notes = [], []
    for target in dict.fromkeys(_embedded_parts(package, name)):
        file = target.rpartition("/")[2]
        try:
            data = part(package, target, name)
            attachment = embedded_object(data, file) if data.startswith(SIGNATURE) else Attachment(file, data)
        except RefusedDocument:
            attachment = None
        if attachment is None:
            notes.append(f"The embedded object {file} could not be read")
        else:
            found.append(attachment)
    return found, notes


def _embedded_parts(package: zipfile.ZipFile, name: str) -> Iterator[str]:
    for path in package.namelist():
        folder, _, file = path.rpartition("/")
        if not folder.endswith("_rels") or not file.endswith(".rels") or "/charts/" in path:
            continue
        source = f"{folder.removesuffix('_rels')}{file.removesuffix('.rels')}"
        try:
            yield from (its.target for its in relationships(package, source, name) if its.kind in _EMBEDDED)
        except RefusedDocument:  # whoever needs the part says so
            continue
