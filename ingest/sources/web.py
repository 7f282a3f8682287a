"""Web pages: one with what it links to, or those of a sitemap. Asked for only what changed since the last look."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO

from ingest.config import WebSettings
from ingest.errors import DocumentTooLarge, NotFound, RefusedDocument, SourceUnusable, TryAgain
from ingest.sources.charsets import in_utf_8
from ingest.sources.indexing import Wishes, wishes_of
from ingest.sources.links import links, sitemap_entries
from ingest.sources.locations import leads_within, web_address
from ingest.sources.requests import MIB, Page, Requests, name_of, said_of
from ingest.sources.robots import Robots
from ingest.sources.types import Fetched, LeaveOut, Listed, SourceSettings, Unlisted

_MAX_SITEMAPS, _MAX_SITEMAP_BYTES = 200, 50 * MIB
# So many pages one after the other that can't be had now: the site is away.
_MOST_FAILURES = 5

# Mark and bytes of a page as it was taken in last, by its address.
Stored = Callable[[str], tuple[str | None, bytes] | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A page that was fetched while links were followed: where its bytes are, or None when it is as it was."""

    place: tuple[int, int] | None
    mark: str | None
    name: str
    no_index: bool


class WebReader:
    """Follows links below the page's own folder as deep as the settings say, and minds robots.txt.

    Marks hold what the server said of the page (ETag, Last-Modified), which is sent along the next time.
    """

    def __init__(
        self,
        settings: SourceSettings,
        limits: WebSettings,
        stored: Stored = lambda uri: None,
        resolve: Callable[[str], list[str]] | None = None,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._stored = stored
        self._open = ExitStack()
        self._requests = Requests(limits, resolve)
        self._open.callback(self._requests.close)
        self._robots = Robots(self._requests)
        starts = map(web_address, settings.location.split())
        self._folders = tuple(dict.fromkeys(address.rsplit("/", 1)[0] + "/" for address in starts))
        self._kept: dict[str, _Kept | RefusedDocument | TryAgain] = {}
        self._bytes: IO[bytes] | None = None  # of the pages that are kept: in a file, since they can be many

    # -- what there is

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed | Unlisted]:
        """Raises TryAgain where the first page or the sitemap can't be had now, SourceUnusable where it is not there,
        and RefusedDocument for one that is not for us, and for no address."""
        if self._settings.kind == "sitemap":
            yield from self._of_sitemap(stop)
        elif self._settings.depth == 0:
            for address in dict.fromkeys(map(web_address, self._settings.location.split())):
                yield _listed(address, None)
        else:
            yield from self._linked(stop)

    def may_be_empty(self, since: datetime) -> bool:
        """A sitemap without pages is more likely one that is broken."""
        return False

    def _linked(self, stop: Callable[[], bool]) -> Iterator[Listed]:
        """Breadth first. A page further in that can't be had is an item that can't, and what it linked to stays."""
        starts = list(dict.fromkeys(map(web_address, self._settings.location.split())))
        seen = set(starts)
        waiting = deque((address, 0) for address in starts)
        failures = 0
        while waiting and not stop():
            address, depth = waiting.popleft()
            found, failed = self._looked_at(address, depth)
            if found is None:
                continue
            failures = failures + 1 if isinstance(failed, TryAgain) else 0
            if failed is not None and failures == _MOST_FAILURES:
                raise failed
            yield _listed(address, None)
            for link in links(*found) if depth < self._settings.depth else ():
                if link not in seen and link.startswith(self._folders) and self._robots.may_ask(link):
                    seen.add(link)
                    waiting.append((link, depth + 1))
            if len(seen) > self._settings.max_items:
                raise RefusedDocument(
                    f"{starts[0]} leads to more than {self._settings.max_items} pages: raise its max_items, or lower "
                    "its depth"
                )

    def _looked_at(
        self, address: str, depth: int
    ) -> tuple[tuple[bytes, str] | None, RefusedDocument | TryAgain | None]:
        """What may have links, with its own address, or None for a page that is gone; and why it could not be had."""
        stored = self._stored(address)
        before = (stored[1] if stored else b"", address)
        try:
            page = self._asked(address, stored[0] if stored else None, int(self._limits.max_page_mib * MIB))
        except NotFound as error:
            if depth == 0:
                raise SourceUnusable(f"{error}: change the source. Nothing is removed.") from error
            return None, None
        except DocumentTooLarge:
            return (b"", address), None  # too large to follow its links; it may still be taken in
        except (RefusedDocument, TryAgain) as error:
            if depth == 0:
                raise
            self._kept[address] = error
            return before, error
        found = before if page.data is None else (page.data, page.address)
        wishes = self._wishes(page, found[0])
        self._keep(address, page, wishes.no_index)
        return ((b"", address) if wishes.no_follow else found), None

    def _of_sitemap(self, stop: Callable[[], bool]) -> Iterator[Listed | Unlisted]:
        """Those of all sitemaps that can be read; it fails where one can't that the source names, or none below it."""
        named = list(dict.fromkeys(map(web_address, self._settings.location.split())))
        maps, seen_maps, seen = deque(named), set(named), set()
        unread: list[NotFound | RefusedDocument | TryAgain] = []
        while maps and not stop():
            address = maps.popleft()
            try:
                entries = list(self._entries(address))
            except (NotFound, RefusedDocument, TryAgain) as error:
                if address in named:
                    raise _of_named(error) from error
                unread.append(error)
                # Nobody knows which pages it had.
                yield Unlisted("", f"a sitemap can't be read: {error}. Nothing is removed until it can be.")
                continue
            for kind, location, changed in entries:
                if kind == "sitemap" and location not in seen_maps:
                    seen_maps.add(location)
                    maps.append(location)
                elif kind == "url" and location not in seen and self._robots.may_ask(location):
                    seen.add(location)
                    yield _listed(location, changed)
            if len(seen_maps) > _MAX_SITEMAPS:
                raise RefusedDocument(f"{address} leads to more than {_MAX_SITEMAPS} sitemaps: name some of them")
        if unread and not seen:
            passing = [error for error in unread if isinstance(error, TryAgain)]
            raise _of_named((passing or unread)[0])

    def _entries(self, address: str) -> Iterator[tuple[str, str, str | None]]:
        page = self._asked(address, None, _MAX_SITEMAP_BYTES, anywhere=True)
        return sitemap_entries(page.data or b"", address, _MAX_SITEMAP_BYTES)

    # -- one page

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """Raises NotFound, DocumentTooLarge, TryAgain, RefusedDocument where robots.txt says no, and LeaveOut where the
        page itself does."""
        if item.mark is not None and said_of(mark).get("lastmod") == item.mark:
            return None
        kept = self._kept.pop(item.key, None)
        if isinstance(kept, Exception):
            raise kept
        if kept is None:
            page = self._asked_by_name(item.key, mark, max_bytes)
            data, said, name = page.data, page.mark, page.name
            stored = self._stored(item.key) if data is None else None
            no_index = self._wishes(page, (stored[1] if stored else b"") if data is None else data).no_index
        else:
            data, said, name, no_index = self._bytes_at(kept.place), kept.mark, kept.name, kept.no_index
        if no_index:
            raise LeaveOut("that ask by noindex to be in no index (ingest.web.noindex)")
        if data is None:
            return None
        if len(data) > max_bytes:
            raise DocumentTooLarge(f"{item.uri} has more than {max_bytes / MIB:g} MiB: raise ingest.max_upload_mib")
        marks = {**said_of(said), **({"lastmod": item.mark} if item.mark else {})}
        return Fetched(data, json.dumps(marks, sort_keys=True) if marks else None, name)

    def close(self) -> None:
        self._open.close()

    def _asked(self, address: str, mark: str | None, max_bytes: int, *, anywhere: bool = False) -> Page:
        """What came back for an address, where robots.txt of each site on the way there lets programs ask.

        Raises RefusedDocument where it leads out of the source, unless that may be `anywhere`.
        """

        def require(at: str) -> None:
            if not (anywhere or at == address or leads_within(address, at, self._folders)):
                raise RefusedDocument(
                    f"{address} redirects to {at}, which is outside of the source, such as a page to log in: see "
                    "whether it can still be read, or leave it out. What was there stays"
                )
            self._robots.require(at)

        page = self._requests.get(address, mark, max_bytes, require)
        return page if page.data is None else replace(page, data=in_utf_8(page.data, page.charset))

    def _asked_by_name(self, address: str, mark: str | None, max_bytes: int) -> Page:
        """As `_asked`; a page that the source names itself is no item that the next list does without."""
        try:
            return self._asked(address, mark, max_bytes)
        except NotFound as error:
            if self._settings.kind == "sitemap" or self._settings.depth:
                raise
            raise RefusedDocument(
                f"{error}: take it out of the source, or correct it. What was there stays."
            ) from error

    def _wishes(self, page: Page, data: bytes) -> Wishes:
        return wishes_of(page.tags, data, page.name) if self._limits.noindex else Wishes()

    def _keep(self, address: str, page: Page, no_index: bool) -> None:
        if page.data is None:
            self._kept[address] = _Kept(None, page.mark, page.name, no_index)
            return
        if self._bytes is None:
            self._bytes = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (it is one)
        start = self._bytes.seek(0, 2)
        self._bytes.write(page.data)
        self._kept[address] = _Kept((start, len(page.data)), page.mark, page.name, no_index)

    def _bytes_at(self, place: tuple[int, int] | None) -> bytes | None:
        if place is None:
            return None
        assert self._bytes is not None
        self._bytes.seek(place[0])
        return self._bytes.read(place[1])


def _of_named(error: NotFound | RefusedDocument | TryAgain) -> Exception:
    """What the whole source fails by."""
    if isinstance(error, NotFound):
        return SourceUnusable(f"the sitemap {error}: change the source. Nothing is removed.")
    return error


def _listed(address: str, changed: str | None) -> Listed:
    return Listed(address, address, name_of(address, ""), changed)
