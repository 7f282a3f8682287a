"""The rules of a robots.txt for one program, by RFC 9309: which paths it may ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# A parser must read so much of a robots.txt (RFC 9309, 2.5); what is behind it is left.
MAX_BYTES = 500 * 1024
_LINE_END = re.compile(r"\r\n|\r|\n")
_PRODUCT = re.compile(r"[A-Za-z_-]+|\*")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})|([^!-~])")


@dataclass(frozen=True, slots=True)
class _Rule:
    """`parts` are what stands between the `*`; octets of the whole decide which of two rules is meant."""

    allows: bool
    octets: int
    parts: tuple[str, ...]
    to_the_end: bool

    def matches(self, path: str) -> bool:
        """Each part is looked for behind the one before, at its first place: no other choice finds more."""
        first, *others = self.parts
        if not path.startswith(first):
            return False
        at = len(first)
        last = others.pop() if self.to_the_end and others else None
        for part in others:
            at = path.find(part, at)
            if at < 0:
                return False
            at += len(part)
        if last is not None:
            return len(path) - len(last) >= at and path.endswith(last)
        return not self.to_the_end or at == len(path)


class RobotRules:
    """All rules for one program: those of every group that names it, or else of every group for all (`*`)."""

    def __init__(self, rules: Sequence[_Rule] = ()) -> None:
        # The longest comes first, and of two that are as long, the one that allows (2.2.2).
        self._rules = sorted(rules, key=lambda rule: (-rule.octets, not rule.allows))

    @classmethod
    def of(cls, data: bytes, program: str) -> RobotRules:
        """Reads as much of a robots.txt as has to be read; `program` is a product token. What is no rule is passed."""
        own: list[_Rule] | None = None
        for_all: list[_Rule] = []
        names: list[str] = []  # of the group at hand
        in_rules = False
        for key, value in _records(data[:MAX_BYTES].decode("utf-8-sig", "replace")):
            if key == "user-agent":
                if in_rules:
                    names, in_rules = [], False
                product = _PRODUCT.match(value)
                names.append(product[0].lower() if product else "")
                if program.lower() in names:  # a group without rules allows all, too
                    own = [] if own is None else own
            elif key in ("allow", "disallow"):
                in_rules = True
                if not value:
                    continue
                rule = _rule(value, allows=key == "allow")
                if own is not None and program.lower() in names:
                    own.append(rule)
                if "*" in names:
                    for_all.append(rule)
        return cls(for_all if own is None else own)

    def may_ask(self, address: str) -> bool:
        """Whether the program may ask for an address of the site; robots.txt itself always."""
        parts = urlsplit(address)
        path = _comparable((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        if path == "/robots.txt":
            return True
        return next((rule.allows for rule in self._rules if rule.matches(path)), True)


def _records(text: str) -> Iterator[tuple[str, str]]:
    """Keys in lower case, and values, without comments."""
    for line in _LINE_END.split(text):
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _rule(pattern: str, *, allows: bool) -> _Rule:
    to_the_end = pattern.endswith("$")
    path = _comparable(pattern.removesuffix("$"))
    parts = re.sub(r"\*+", "*", path).split("*")
    return _Rule(allows, len(path) + to_the_end, tuple(parts), to_the_end)


def _comparable(path: str) -> str:
    """With octets beyond ASCII encoded, and unreserved ones decoded, so that two ways to write it are one (2.2.2)."""

    def written(match: re.Match[str]) -> str:
        if match[2] is not None:
            return "".join(f"%{octet:02X}" for octet in match[2].encode("utf-8", "surrogatepass"))
        octet = int(match[1], 16)
        return chr(octet) if octet in _UNRESERVED else f"%{octet:02X}"

    return _ENCODED.sub(written, path)
