"""Web pages: one with what it links to, or those of a sitemap. Asked for only what changed since the last look."""

from __future__ import annotations

import gzip
import io
import ipaddress
import json
import re
import socket
import time
import urllib.robotparser
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
import lxml.etree
import lxml.html

from ingest.config import WebSettings
from ingest.errors import DocumentTooLarge, NotFound, RefusedDocument, TryAgain
from ingest.loaders.packages import parse_xml
from ingest.sources.types import Fetched, Listed, SourceSettings

_AGENT = "ragstone"
_MIB = 1024 * 1024
_MAX_REDIRECTS = 5
_MAX_SITEMAPS, _MAX_SITEMAP_BYTES = 200, 50 * _MIB
_GONE = (404, 410)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
# What a page that says its type needs for a name, so that its loader is found.
_EXTENSIONS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/xml": ".xml",
    "text/xml": ".xml",
}


@dataclass(frozen=True, slots=True)
class _Page:
    """What came back for an address; `data` is None when it is as it was."""

    address: str
    data: bytes | None
    mark: str | None
    name: str


class WebReader:
    """Follows links below the page's own folder as deep as the settings say, and reads robots.txt first.

    Marks hold what the server said of the page (ETag, Last-Modified), which is sent along the next time.
    """

    def __init__(
        self,
        settings: SourceSettings,
        limits: WebSettings,
        stored: Callable[[str], tuple[str | None, bytes] | None] = lambda uri: None,
        resolve: Callable[[str], list[str]] | None = None,
    ) -> None:
        """`stored` returns mark and bytes of a page as it was taken in last, by its address."""
        self._settings = settings
        self._limits = limits
        self._stored = stored
        self._resolve = resolve or _addresses
        self._robots: dict[str, urllib.robotparser.RobotFileParser] = {}
        self._pages: dict[str, _Page] = {}  # fetched while links were followed, until they are asked for
        self._last_request = 0.0
        self._client = httpx.Client(
            timeout=limits.timeout_s, follow_redirects=False, headers={"User-Agent": _AGENT}, trust_env=False
        )

    # -- what there is

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        """Raises TryAgain where the first page or the sitemap can't be had, and RefusedDocument for no address."""
        if self._settings.kind == "sitemap":
            yield from self._of_sitemap(stop)
        elif self._settings.depth == 0:
            for address in self._settings.location.split():
                yield _listed(_normal(address), None)
        else:
            yield from self._linked(stop)

    def _linked(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        """Breadth first. A page further in that can't be had is passed over, as long as it passes."""
        starts = [_normal(address) for address in self._settings.location.split()]
        below = tuple(address.rsplit("/", 1)[0] + "/" for address in starts)
        seen = set(starts)
        waiting = deque((address, 0) for address in starts)
        while waiting and not stop():
            address, depth = waiting.popleft()
            stored = self._stored(address)
            try:
                page = self._get(address, stored[0] if stored else None, int(self._limits.max_page_mib * _MIB))
            except NotFound:
                if depth == 0:
                    raise TryAgain(f"{address} is not there: nothing is removed") from None
                continue
            except DocumentTooLarge:
                continue
            self._pages[address] = page
            yield _listed(address, None)
            source = page.data if page.data is not None else stored[1] if stored else b""
            if depth < self._settings.depth:
                for link in _links(source, page.address):
                    if link not in seen and link.startswith(below) and self._may_ask(link):
                        seen.add(link)
                        waiting.append((link, depth + 1))

    def _of_sitemap(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        maps = deque(_normal(address) for address in self._settings.location.split())
        seen_maps, seen = set(maps), set()
        while maps and not stop():
            address = maps.popleft()
            try:
                page = self._get(address, None, _MAX_SITEMAP_BYTES)
            except NotFound as error:
                raise TryAgain(f"the sitemap {address} is not there: nothing is removed") from error
            for kind, location, changed in _entries(page.data or b"", address):
                if kind == "sitemap" and location not in seen_maps and len(seen_maps) < _MAX_SITEMAPS:
                    seen_maps.add(location)
                    maps.append(location)
                elif kind == "url" and location not in seen and self._may_ask(location):
                    seen.add(location)
                    yield _listed(location, changed)

    # -- one page

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises NotFound, DocumentTooLarge, TryAgain, and RefusedDocument where robots.txt says no."""
        said = _said(mark)
        if item.mark is not None and said.get("lastmod") == item.mark:
            return None
        page = self._pages.pop(item.key, None)
        if page is None:
            if not self._may_ask(item.key):
                raise RefusedDocument(f"{item.uri} is not for programs, as its robots.txt says: leave it out")
            page = self._get(item.key, mark, max_bytes)
        if page.data is None:
            return None
        if len(page.data) > max_bytes:
            raise DocumentTooLarge(f"{item.uri} has more than {max_bytes / _MIB:g} MiB: raise ingest.max_upload_mib")
        marks = {**_said(page.mark), **({"lastmod": item.mark} if item.mark else {})}
        return Fetched(page.data, json.dumps(marks, sort_keys=True) if marks else None, page.name)

    def _get(self, address: str, mark: str | None, max_bytes: int) -> _Page:
        """Follows redirects, each of which must lead to an address that may be asked."""
        said = _said(mark)
        headers = {}
        if "etag" in said:
            headers["If-None-Match"] = said["etag"]
        if "modified" in said:
            headers["If-Modified-Since"] = said["modified"]
        at = address
        for _ in range(_MAX_REDIRECTS + 1):
            self._require_allowed(at)
            self._be_polite()
            try:
                with self._client.stream("GET", at, headers=headers) as reply:
                    if reply.is_redirect and "location" in reply.headers:
                        at = _normal(urljoin(at, reply.headers["location"]))
                        continue
                    return self._page(reply, at, mark, max_bytes)
            except httpx.HTTPError as error:
                raise TryAgain(f"{address} can't be had: {type(error).__name__} {error}".rstrip()) from error
        raise RefusedDocument(f"{address} leads to more than {_MAX_REDIRECTS} other addresses: name the last one")

    def _page(self, reply: httpx.Response, address: str, mark: str | None, max_bytes: int) -> _Page:
        if reply.status_code == httpx.codes.NOT_MODIFIED:
            return _Page(address, None, mark, _name(address, ""))
        if reply.status_code in _GONE:
            raise NotFound(f"{address} is gone ({reply.status_code})")
        if reply.status_code in _PASSING:
            raise TryAgain(f"{address} answers {reply.status_code}: it is asked again later")
        if reply.status_code != httpx.codes.OK:
            raise RefusedDocument(f"{address} answers {reply.status_code}: see whether it can be read without a login")
        data = bytearray()
        for part in reply.iter_bytes():
            data += part
            if len(data) > max_bytes:
                raise DocumentTooLarge(f"{address} has more than {max_bytes / _MIB:g} MiB: leave it out")
        marks = {"etag": reply.headers.get("etag"), "modified": reply.headers.get("last-modified")}
        known = {name: value for name, value in marks.items() if value}
        media_type = reply.headers.get("content-type", "").split(";")[0].strip().lower()
        mark = json.dumps(known, sort_keys=True) if known else None
        return _Page(address, bytes(data), mark, _name(address, media_type))

    # -- who may be asked

    def _may_ask(self, address: str) -> bool:
        parts = urlsplit(address)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._robots:
            rules = urllib.robotparser.RobotFileParser()
            try:
                page = self._get(f"{site}/robots.txt", None, _MIB)
                rules.parse((page.data or b"").decode("utf-8", "replace").splitlines())
            except (NotFound, RefusedDocument):
                rules.parse([])  # there are none
            self._robots[site] = rules
        return self._robots[site].can_fetch(_AGENT, address)

    def _require_allowed(self, address: str) -> None:
        """An address inside this network is asked only where the settings say so."""
        host = urlsplit(address).hostname or ""
        if self._limits.allow_private:
            return
        try:
            found = self._resolve(host)
        except OSError as error:
            raise TryAgain(f"{host} is not known by any name server: {error}") from error
        for its in found:
            if not ipaddress.ip_address(its).is_global:
                raise RefusedDocument(
                    f"{host} is inside this network ({its}): set ingest.web.allow_private if it may be read"
                )

    def _be_polite(self) -> None:
        wait = self._last_request + self._limits.delay_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._last_request = time.monotonic()


def _addresses(host: str) -> list[str]:
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None)})


def _listed(address: str, changed: str | None) -> Listed:
    return Listed(address, address, _name(address, ""), changed)


def _normal(address: str) -> str:
    """Without a fragment, and with a path. Raises RefusedDocument for what is no address of the web."""
    address = urldefrag(address.strip()).url
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RefusedDocument(f"{address!r} is no address of the web: write https://…")
    if parts.username or parts.password:
        raise RefusedDocument("an address with a password in it would be stored: leave the password out")
    return address if parts.path else parts._replace(path="/").geturl()


def _name(address: str, media_type: str) -> str:
    """A file name for a page, with the extension of its type."""
    last = urlsplit(address).path.rstrip("/").rsplit("/", 1)[-1] or "index"
    wanted = _EXTENSIONS.get(media_type)
    known = re.search(r"\.\w{1,5}$", last)
    if wanted and (not known or wanted == ".html"):
        return last if last.endswith((wanted, ".htm")) else last + wanted
    return last


def _links(source: bytes, address: str) -> list[str]:
    """Addresses that a page links to, in order."""
    try:
        page = lxml.html.document_fromstring(source, parser=lxml.html.HTMLParser(huge_tree=False))
    except (lxml.etree.LxmlError, ValueError):
        return []
    found = []
    for href in page.xpath("//a[@href and not(contains(@rel, 'nofollow'))]/@href"):
        try:
            found.append(_normal(urljoin(address, str(href))))
        except (RefusedDocument, ValueError):
            continue  # mail addresses, scripts and the like
    return found


def _entries(data: bytes, address: str) -> Iterator[tuple[str, str, str | None]]:
    """`url` or `sitemap`, its address, and when it changed, of each entry of a sitemap."""
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(_MAX_SITEMAP_BYTES)
        except (OSError, EOFError) as error:
            raise TryAgain(f"the sitemap {address} is damaged: {error}") from error
    for entry in parse_xml(data, address).iter("{*}url", "{*}sitemap"):
        location = entry.findtext("{*}loc")
        if location and location.strip():
            changed = entry.findtext("{*}lastmod")
            try:
                yield entry.tag.rsplit("}", 1)[-1], _normal(location), (changed or "").strip() or None
            except RefusedDocument:
                continue  # an entry that is no address must not hinder the others


def _said(mark: str | None) -> Mapping[str, str]:
    """What a mark holds."""
    said: Mapping[str, str] = json.loads(mark) if mark else {}
    return said
