"""Whether a page asks to be in no index, and that its links are not followed: `<meta name=robots>`, `X-Robots-Tag`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import lxml.etree
import lxml.html

from ingest.sources.requests import AGENT

_META = re.compile(rb"<meta\s", re.I)
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,1000}?-->\s*)?<(?:!doctype html|html\b)", re.I | re.S
)
_FOR_ONE = re.compile(r"\s*([\w*-]+)\s*:(.*)", re.S)
# Directives that have a value after a colon: what is before it is no program's name.
_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
_BOTH = frozenset(("noindex", "nofollow"))


@dataclass(frozen=True, slots=True)
class Wishes:
    no_index: bool = False
    no_follow: bool = False


def wishes_of(tags: Sequence[str], page: bytes, name: str) -> Wishes:
    """What a page asks of programs: `tags` are its headers `X-Robots-Tag`, one a line."""
    asked = {word for tag in tags for word in _of_header(tag)}
    if name.endswith((".html", ".htm", ".xhtml")) or _HTML.match(page):
        asked |= set(_of_page(page))
    if "none" in asked:
        asked |= _BOTH
    return Wishes("noindex" in asked, "nofollow" in asked)


def _of_header(tag: str) -> list[str]:
    """Directives of one header; one that begins with the name of another program says nothing to us."""
    found = _FOR_ONE.fullmatch(tag)
    if found is not None and found[1].lower() not in _VALUED:
        return _words(found[2]) if found[1].lower() in (AGENT, "*") else []
    return _words(tag)


def _of_page(page: bytes) -> Iterator[str]:
    if not _META.search(page):
        return
    try:
        root = lxml.html.document_fromstring(page, parser=lxml.html.HTMLParser(huge_tree=False))
    except (lxml.etree.LxmlError, ValueError):
        return
    for meta in root.iter("meta"):
        if (meta.get("name") or "").strip().lower() in ("robots", AGENT):
            yield from _words(meta.get("content") or "")


def _words(directives: str) -> list[str]:
    return [word.strip().lower() for word in directives.split(",")]
