"""Addresses in what servers sent: links of pages, and entries of sitemaps."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from urllib.parse import urljoin

import lxml.etree
import lxml.html

from ingest.errors import RefusedDocument, TryAgain
from ingest.loaders.packages import parse_xml
from ingest.sources.locations import web_address

_HAS_LINKS = re.compile(rb"<a\s", re.I)
_GZIP = b"\x1f\x8b"


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
    """`url` or `sitemap`, its address, and when it changed, of each entry of a sitemap.

    Raises RefusedDocument for what is none, and TryAgain for what was cut off.
    """
    if data.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(max_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise TryAgain(f"the sitemap {address} is damaged: {error}") from error
    if len(data) > max_bytes:
        raise RefusedDocument(f"the sitemap {address} has more than {max_bytes >> 20} MiB: name smaller ones")
    for entry in parse_xml(data, address).iter("{*}url", "{*}sitemap"):
        location = entry.findtext("{*}loc")
        try:
            found = web_address(location or "")
        except ValueError:
            continue  # an entry that is no address must not hinder the others
        changed = (entry.findtext("{*}lastmod") or "").strip()
        yield entry.tag.rsplit("}", 1)[-1], found, changed or None
