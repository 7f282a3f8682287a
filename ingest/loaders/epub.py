"""EPUB 2 and 3: the chapters in the order of the spine, each read as HTML.

ebooklib would give the same parts under the AGPL.
"""

from __future__ import annotations

import posixpath
import zipfile
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import lxml.etree

from ingest.errors import CorruptDocument, EncryptedDocument, RefusedDocument
from ingest.loaders import html
from ingest.loaders.ooxml import local
from ingest.loaders.packages import open_package, parse_xml, part
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Extracted, Heading, Hidden

MEDIA_TYPE = "application/epub+zip"
CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_BETWEEN_CHAPTERS = "\n\n"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_DEEPEST = 6
_PLACEHOLDER_TITLES = ("unknown", "unknown title", "untitled")


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """All chapters, headings one level below the book's title. A chapter that can't be read is named in the notes.

    Raises EncryptedDocument for books with copy protection, CorruptDocument, LimitExceeded.
    """
    package = open_package(data, name, reading)
    _refuse_protected(package, name)
    path = _content_path(package, name)
    content = parse_xml(part(package, path, name), name)
    title = " ".join(clean(content.findtext(".//{*}metadata/{*}title") or "").split())
    title = "" if title.lower() in _PLACEHOLDER_TITLES else title
    book = _Book(title)
    there = set(package.namelist())
    named = _spine(content, posixpath.dirname(path))
    spine = list(dict.fromkeys(named))
    if len(named) > len(spine):
        book.notes.append(f"Chapters are named again in its order of reading ({len(named) - len(spine)} times)")
    labels = _labels(package, content, posixpath.dirname(path), name)
    for chapter in spine:
        if chapter not in there:
            book.notes.append(f"The chapter {chapter} is missing")
            continue
        try:
            book.add(html.load(_as_html(part(package, chapter, name)), chapter, reading), labels.get(chapter, ""))
        except RefusedDocument as error:
            book.notes.append(f"The chapter {chapter} could not be read ({error.code})")
    return Extracted(
        text=_BETWEEN_CHAPTERS.join(book.texts),
        title=title or stem(name),
        media_type=MEDIA_TYPE,
        headings=tuple(book.headings),
        hidden=tuple(book.hidden),
        notes=tuple(book.notes),
    )


class _Book:
    """The chapters so far, as one text."""

    def __init__(self, title: str) -> None:
        self.texts: list[str] = []
        self.headings = [Heading(0, 1, title)] if title else []
        self.hidden: list[Hidden] = []
        self.notes: list[str] = []
        self._below = 1 if title else 0
        self._length = 0

    def add(self, chapter: Extracted, label: str) -> None:
        """The next chapter; `label` is its title in the table of contents, for one that has no heading."""
        self.hidden += chapter.hidden
        self.notes += chapter.notes
        if not chapter.text:
            return
        # A title that is no line of the text comes from <title>, which is mostly that of the book.
        own = [its for its in chapter.headings if chapter.text.startswith("#", its.start)]
        if label and (not own or own[0].start > 0):
            self.headings.append(Heading(self._length, 1 + self._below, label))
        for its in own:
            level = min(its.level + self._below, _DEEPEST)
            self.headings.append(replace(its, start=its.start + self._length, level=level))
        self.texts.append(chapter.text)
        self._length += len(chapter.text) + len(_BETWEEN_CHAPTERS)


def _refuse_protected(package: zipfile.ZipFile, name: str) -> None:
    """Raises EncryptedDocument where more than fonts is encrypted: only the shop's own programs open such a book."""
    if _ENCRYPTION not in package.namelist():
        return
    for method in parse_xml(part(package, _ENCRYPTION, name), name).iterfind("{*}EncryptedData/{*}EncryptionMethod"):
        if method.get("Algorithm") not in _FONTS_ONLY:
            raise EncryptedDocument(f"{name}: is a book with copy protection. Upload one without.")


def _content_path(package: zipfile.ZipFile, name: str) -> str:
    root = parse_xml(part(package, CONTAINER, name), name)
    path = next((its.get("full-path") for its in root.iter("{*}rootfile") if its.get("full-path")), None)
    if path is None:
        raise CorruptDocument(f"{name}: is no EPUB that can be read: it names no content. Save it again as EPUB.")
    return str(path)


def _spine(content: Any, folder: str) -> list[str]:
    """The paths of the chapters in reading order, those that are named again included."""
    items = {its.get("id"): its for its in content.iterfind(".//{*}manifest/{*}item")}
    chapters = (items.get(its.get("idref")) for its in content.iterfind(".//{*}spine/{*}itemref"))
    return [_path(folder, its.get("href") or "") for its in chapters if its is not None and _is_page(its)]


def _is_page(item: Any) -> bool:
    return item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split()


def _labels(package: zipfile.ZipFile, content: Any, folder: str, name: str) -> dict[str, str]:
    """Titles of chapters by path, from the table of contents (nav of EPUB 3, else NCX); only those of whole files."""
    labels: dict[str, str] = {}
    for item in content.iterfind(".//{*}manifest/{*}item"):
        path = _path(folder, item.get("href") or "")
        is_nav = "nav" in (item.get("properties") or "").split()
        if not is_nav and item.get("media-type") != "application/x-dtbncx+xml":
            continue
        try:
            root = parse_xml(part(package, path, name), name)
        except RefusedDocument:  # the book can be read without
            continue
        for entry in root.iter("{*}a", "{*}navPoint"):
            if local(entry.tag) == "a":
                target, label = entry.get("href") or "", "".join(entry.itertext())
            else:
                source = entry.find("{*}content")
                target = "" if source is None else source.get("src") or ""
                label = entry.findtext("{*}navLabel/{*}text") or ""
            if "#" not in target and label.strip():
                labels.setdefault(_path(posixpath.dirname(path), target), " ".join(clean(label).split()))
    return labels


def _path(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(reference.partition("#")[0])))


def _as_html(source: bytes) -> bytes:
    """XHTML written as HTML, so that `<title/>` does not swallow the chapter. What is no XHTML stays as it is."""
    try:
        root = parse_xml(source, "chapter")
    except RefusedDocument:
        return source
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = local(element.tag)
    lxml.etree.cleanup_namespaces(root)
    written: bytes = lxml.etree.tostring(root, method="html", encoding="utf-8")
    return written
