"""Addresses in what servers sent: links of pages, and entries of sitemaps."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import lxml.etree
import lxml.html

from ingest.errors import CorruptDocument, RefusedDocument, TryAgain
from ingest.loaders.packages import parse_xml
from ingest.sources.locations import web_address

_HAS_LINKS = re.compile(rb"<a\s", re.I)
_GZIP = b"\x1f\x8b"
# Of XML in UTF-16, which does not begin with "<".
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def links(page: bytes, address: str) -> list[str]:
    """Addresses that a page links to, in order; none where it is no HTML."""
    if not _HAS_LINKS.search(page):
        return []
    try:
        root = lxml.html.document_fromstring(page, parser=lxml.html.HTMLParser(huge_tree=False))
        base = next((str(its) for its in root.xpath("//base/@href")), "")
        hrefs = [str(its) for its in root.xpath("//a[@href and not(contains(@rel, 'nofollow'))]/@href")]
    except (lxml.etree.LxmlError, ValueError):
        return []
    found = []
    for href in hrefs:
        try:
            found.append(web_address(urljoin(urljoin(address, base), href)))
        except ValueError:
            continue  # mail addresses, scripts and the like
    return found


def sitemap_entries(data: bytes, address: str, max_bytes: int) -> Iterator[tuple[str, str, str | None]]:
    """`url` or `sitemap`, its address, and when it changed, of each entry of a sitemap: XML, or one address a line.

    Raises RefusedDocument for what is none, and TryAgain for what was cut off. Source: sitemaps.org/protocol.html.
    """
    if data.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(max_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise TryAgain(f"the sitemap {address} is damaged: {error}") from error
    if len(data) > max_bytes:
        raise RefusedDocument(f"the sitemap {address} has more than {max_bytes >> 20} MiB: name smaller ones")
    text = data.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text.startswith(b"<") and not data.startswith(_WIDE_MARKS):
        yield from (("url", location, None) for location in _lines(text, address))
        return
    for entry in _root(data, address).iter("{*}url", "{*}sitemap"):
        location = entry.findtext("{*}loc")
        try:
            found = web_address(location or "")
        except ValueError:
            continue  # an entry that is no address must not hinder the others
        changed = (entry.findtext("{*}lastmod") or "").strip()
        yield entry.tag.rsplit("}", 1)[-1], found, changed or None


def _root(data: bytes, address: str) -> Any:
    try:
        root = parse_xml(data, address)
    except CorruptDocument as error:
        raise _is_none(address, getattr(error.__cause__, "msg", "it declares entities")) from error
    kind = str(root.tag).rsplit("}", 1)[-1]
    if kind not in ("urlset", "sitemapindex"):
        raise _is_none(address, f"its first element is <{kind[:50]}>")
    return root


def _lines(text: bytes, address: str) -> list[str]:
    """Addresses of a sitemap in plain text. A page that stands in its place has other lines."""
    lines = [line.strip() for line in text.decode("utf-8", "replace").replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line]
    found = []
    for line in lines:
        try:
            found.append(web_address(line))
        except ValueError:
            continue
    if not lines or 2 * len(found) < len(lines):
        raise _is_none(address, f"it begins with {lines[0][:60]!r}" if lines else "it is empty")
    return found


def _is_none(address: str, why: str) -> RefusedDocument:
    return RefusedDocument(
        f"the sitemap {address} is none: neither XML with <urlset> or <sitemapindex>, nor text with an address a line "
        f"({why}). Name the address of a sitemap, or tell who runs the site"
    )
