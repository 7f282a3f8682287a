"""Secrets in what would be stored of a source, and shown to whoever may read: they are refused, and never repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# A port is no password.
_USERINFO = re.compile(r"^(?:[a-z][\w+.-]*://)?[^/?#@\s:]*:(?!\d{1,5}(?:[/?#]|$)|/)[^@\s]*@", re.I)
# Names of options and parameters, in words: what is behind any of them is a secret.
_SECRET = re.compile(
    r"secret|passw(?:or)?d|passphrase|credential|connection_string|connstr|authori[sz]ation|signature|private|cookie"
    r"|(?:^|_)(?:key|apikey|accesskey|pwd|pass|sas|sig|jwt|hmac|bearer|auth|dsn)$"
    r"|(?<!page_)(?<!next_)(?<!continuation_)token$"
)
# What such names are followed by in a value, such as that of a connection string or of JSON.
_PAIR = re.compile(r"""([A-Za-z][\w.-]{1,60}?)["']?\s{0,3}[=:]\s{0,3}["']?[^\s"'&;,}=]""")
# A parameter with one of these names is a key only where its value looks like one.
_PERHAPS = ("key", "auth")
_LOOKS_MADE = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[\w.~+/=-]{16,}")


def require_no_secret(kind: str, location: str) -> None:
    """Raises ValueError, without the secret, for a location that has one: a password or a parameter of an address."""
    if kind == "folder":
        return
    for address in location.split():
        if _USERINFO.match(address):
            raise ValueError(f"an address with a password in it would be stored and shown: {_WAYS[kind]}")
        for name, value in _parameters(address):
            words = _words(name)
            if value and _SECRET.search(words) and (words not in _PERHAPS or _LOOKS_MADE.fullmatch(value)):
                raise ValueError(f"the parameter {name} of the address would be stored and shown: {_WAYS[kind]}")


def require_no_secret_option(options: Mapping[str, Any]) -> None:
    """Raises ValueError, without the secret, for options with one in their names or in their values, however deep."""
    for name, value in _leaves(options, ""):
        if _SECRET.search(_words(name)):
            raise ValueError(f"the option {name} would be stored and shown: {_WAYS['bucket']}")
        if isinstance(value, str) and _has_secret(value):
            raise ValueError(f"the option {name} holds a secret, which would be stored and shown: {_WAYS['bucket']}")


_WAYS = {
    "web": "leave it out. Pages are asked for without a login; what needs one can be saved into a folder",
    "git": "leave it out, and give it to git's credential store, or to ssh",
    "bucket": "leave it out, and give it by the environment of the service, as FSSPEC_S3_SECRET=... for `secret` of "
    "s3://, or as the package of the bucket reads it (docs/operations.md, Sources)",
}
_WAYS["sitemap"] = _WAYS["web"]


def _parameters(address: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(address).query, keep_blank_values=True)
    except ValueError:  # it is refused for what it is
        return []


def _words(name: str) -> str:
    """A name with its words parted by `_`: `accessToken` and `access-token` are one."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All values within a value, each with its own name or that of what it is in."""
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        if isinstance(value, Mapping):
            yield from ((str(its), None) for its in value)
            waiting += [(str(its), inner) for its, inner in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(name, inner) for inner in value]
        else:
            yield name, value


def _has_secret(value: str) -> bool:
    if _USERINFO.match(value):
        return True
    return any(_SECRET.search(_words(match[1])) for match in _PAIR.finditer(value))
