"""Requests to web servers: conditional, polite, limited, and to no address inside this network."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from ingest.config import WebSettings
from ingest.errors import DocumentTooLarge, NotFound, RefusedDocument, TryAgain
from ingest.sources.locations import web_address

AGENT = "ragstone"
MIB = 1024 * 1024
_MAX_REDIRECTS = 5
_GONE = (404, 410)
_PASSING = (408, 425, 429)  # and all above 499
# A reply may take so many times what a server may be silent for.
_MOST_SILENCES = 10
# IPv6 addresses of IPv4 ones, which could be inside this network: 6to4 and NAT64 (RFC 3056, RFC 6052).
_EMBEDDING = ((ipaddress.IPv6Network("2002::/16"), 80), (ipaddress.IPv6Network("64:ff9b::/96"), 0))
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
# What the charset of a type is said of; XML and JSON tell it themselves.
_TEXTS = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown", "text/csv")


@dataclass(frozen=True, slots=True)
class Page:
    """What came back for an address; `data` is None when it is as it was. `address` is where redirects led.

    `charset` is what the server says of the encoding of text, where it says something; `tags` are its headers
    `X-Robots-Tag`, which an answer without data can have too.
    """

    address: str
    data: bytes | None
    mark: str | None
    name: str
    charset: str | None = None
    tags: tuple[str, ...] = ()


class Requests:
    """One after the other, from one thread."""

    def __init__(self, limits: WebSettings, resolve: Callable[[str], list[str]] | None = None) -> None:
        """`resolve` returns the addresses of a host."""
        self._limits = limits
        self._resolve = resolve or _addresses
        self._last_request = 0.0
        self._site = ""
        self._client = self._new_client()

    def close(self) -> None:
        self._client.close()

    def get(
        self,
        address: str,
        mark: str | None,
        max_bytes: int,
        require: Callable[[str], None] = lambda address: None,
        *,
        cut: bool = False,
    ) -> Page:
        """The page, unless it is as it was at `mark`; with `cut`, its first `max_bytes` are enough.

        `require` raises for an address that may not be asked: it sees the first one and each that redirects lead to.
        Raises what it raises, NotFound, DocumentTooLarge, RefusedDocument, and TryAgain for what may pass.
        """
        said = said_of(mark)
        conditions = {"If-None-Match": said.get("etag"), "If-Modified-Since": said.get("modified")}
        headers = {name: value for name, value in conditions.items() if value is not None}
        at = address
        for _ in range(_MAX_REDIRECTS + 1):
            require(at)
            try:
                with self._asked(at, headers) as reply:
                    if reply.has_redirect_location:
                        at = web_address(urljoin(at, reply.headers["location"]))
                        continue
                    return self._page(reply, at, mark, max_bytes, cut)
            except httpx.HTTPError as error:
                raise TryAgain(f"{address} can't be had: {type(error).__name__} {error}".rstrip()) from error
            except (httpx.InvalidURL, ValueError) as error:
                raise RefusedDocument(f"{address} leads to what is no address: {error}") from error
        raise RefusedDocument(f"{address} leads to more than {_MAX_REDIRECTS} other addresses: name the last one")

    def _asked(self, address: str, headers: Mapping[str, str]) -> AbstractContextManager[httpx.Response]:
        """The reply of the first address of the host that answers: by number, so that its name can't lead elsewhere."""
        url = httpx.URL(address)
        self._be_polite()
        if self._limits.allow_private:
            return self._client.stream("GET", url, headers=headers)
        numbers = self._allowed(url.host)
        host = url.netloc.decode("ascii")
        if host != self._site:  # a connection to the same number that was made for another name proves nothing of this
            self._client.close()
            self._client, self._site = self._new_client(), host
        return self._client.stream(
            "GET",
            url.copy_with(host=numbers[0]),
            headers={**headers, "Host": host},
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )

    def _new_client(self) -> httpx.Client:
        return httpx.Client(
            timeout=self._limits.timeout_s, follow_redirects=False, headers={"User-Agent": AGENT}, trust_env=False
        )

    def _allowed(self, host: str) -> list[str]:
        """The addresses of a host. One inside this network is asked only where the settings say so."""
        try:
            found = self._resolve(host)
        except (OSError, UnicodeError) as error:
            raise TryAgain(f"{host} is not known by any name server: {error}") from error
        for its in found:
            if not _is_public(its):
                raise RefusedDocument(
                    f"{host} is inside this network ({its}): set ingest.web.allow_private if it may be read"
                )
        if not found:
            raise TryAgain(f"{host} has no address")
        return sorted(found, key=lambda its: (":" in its, its))  # IPv4 first: it is had more often

    def _page(self, reply: httpx.Response, address: str, mark: str | None, max_bytes: int, cut: bool) -> Page:
        tags = tuple(reply.headers.get_list("x-robots-tag"))
        if reply.status_code == httpx.codes.NOT_MODIFIED:
            return Page(address, None, mark, name_of(address, ""), tags=tags)
        if reply.status_code in _GONE:
            raise NotFound(f"{address} is gone ({reply.status_code})")
        if reply.status_code in _PASSING or reply.is_server_error:
            raise TryAgain(f"{address} answers {reply.status_code}: it is asked again later")
        if reply.status_code != httpx.codes.OK:
            raise RefusedDocument(f"{address} answers {reply.status_code}: see whether it can be read without a login")
        data = bytearray()
        until = time.monotonic() + _MOST_SILENCES * self._limits.timeout_s
        for part in reply.iter_bytes():
            data += part
            if len(data) > max_bytes and cut:
                del data[max_bytes:]
                break
            if len(data) > max_bytes:
                raise DocumentTooLarge(f"{address} has more than {max_bytes / MIB:g} MiB: leave it out")
            if time.monotonic() > until:
                raise TryAgain(f"{address} sends too slowly: it is asked again later")
        marks = {"etag": reply.headers.get("etag"), "modified": reply.headers.get("last-modified")}
        known = {name: value for name, value in marks.items() if value}
        media_type = reply.headers.get("content-type", "").split(";")[0].strip().lower()
        said = json.dumps(known, sort_keys=True) if known else None
        charset = reply.charset_encoding if media_type in _TEXTS else None
        return Page(address, bytes(data), said, name_of(address, media_type), charset, tags)

    def _be_polite(self) -> None:
        wait = self._last_request + self._limits.delay_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._last_request = time.monotonic()


def said_of(mark: str | None) -> Mapping[str, str]:
    """What a mark holds."""
    said: Mapping[str, str] = json.loads(mark) if mark else {}
    return said


def name_of(address: str, media_type: str) -> str:
    """A file name for a page, with the extension of its type."""
    last = urlsplit(address).path.rstrip("/").rsplit("/", 1)[-1] or "index"
    wanted = _EXTENSIONS.get(media_type)
    known = re.search(r"\.\w{1,5}$", last)
    if wanted and (not known or wanted == ".html"):
        return last if last.endswith((wanted, ".htm")) else last + wanted
    return last


def _addresses(host: str) -> list[str]:
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None)})


def _is_public(number: str) -> bool:
    address = ipaddress.ip_address(number)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(str(address.ipv4_mapped))
        for network, shift in _EMBEDDING:
            if address in network:
                return _is_public(str(ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast
