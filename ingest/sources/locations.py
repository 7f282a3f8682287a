"""What can be the location of a source, by its kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from ingest.sources.protocols import check_bucket


def check_location(kind: str, location: str) -> None:
    """Raises ValueError for a location that can't be one."""
    if kind == "folder" and not Path(location).expanduser().is_absolute():
        raise ValueError(f"{location!r} is no folder: write its whole path")
    if kind in ("web", "sitemap"):
        for address in location.split():
            web_address(address)
    if kind == "git":
        _check_repository(location)
    if kind == "bucket":
        check_bucket(location)


def check_branch(branch: str | None) -> None:
    """Raises ValueError for one that git would take for something else."""
    if branch is not None and (branch.startswith("-") or re.search(r"[\s:+^~*?\[\\]", branch)):
        raise ValueError(f"{branch!r} is no name of a branch")


def web_address(address: str) -> str:
    """Without a fragment, and with a path. Raises ValueError for what is no address of the web."""
    address = urldefrag(address.strip()).url
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{address!r} is no address of the web: write https://…")
    if parts.username or parts.password:
        raise ValueError("an address with a password in it would be stored and shown: leave the password out")
    _ = parts.port  # which there may not be
    return address if parts.path else parts._replace(path="/").geturl()


def leads_within(address: str, target: str, folders: Sequence[str]) -> bool:
    """Whether a redirect from `address` stays in a source of pages in `folders` (addresses that end with a slash).

    http and https are one, and so is a site with and without `www.`. What a sitemap lists beside its own folder may be
    anywhere on its site.
    """
    source, place = _place(address), _place(target)
    below = [_place(its) for its in folders]
    if not source.startswith(tuple(below)):
        below.append(source.partition("/")[0] + "/")
    return any(f"{place.rstrip('/')}/".startswith(its) for its in below)


def _place(address: str) -> str:
    """Host, port where it is none of the usual ones, and path."""
    parts = urlsplit(address)
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return f"{(parts.hostname or '').removeprefix('www.')}{port}{parts.path or '/'}"


_PORTS = {"http": 80, "https": 443}


def _check_repository(location: str) -> None:
    # An option, and a program that would be run.
    if location.startswith("-") or re.match(r"\w+::", location):
        raise ValueError(f"{location!r} is no address of a repository: write https://…, ssh://… or a path")
    parts = urlsplit(location)
    if parts.password or (parts.username and parts.scheme in ("http", "https")):
        raise ValueError("an address with a password in it would be stored and shown: give it to git's own store")
