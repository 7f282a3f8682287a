"""Whether a site lets programs read a page: its robots.txt (RFC 9309)."""

from __future__ import annotations

import urllib.robotparser
from urllib.parse import urlsplit

from ingest.errors import NotFound, RefusedDocument, TryAgain
from ingest.sources.requests import AGENT, MIB, Requests


class Robots:
    """Asks each site once."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._rules: dict[str, urllib.robotparser.RobotFileParser | TryAgain] = {}

    def require(self, address: str) -> None:
        """Raises RefusedDocument where the site says no, and TryAgain where it can't be asked."""
        if not self._rules_for(address).can_fetch(AGENT, address):
            raise RefusedDocument(f"{address} is not for programs, as its robots.txt says: leave it out")

    def may_ask(self, address: str) -> bool:
        """True as well where the site can't be asked: that is told when the page is fetched."""
        try:
            return self._rules_for(address).can_fetch(AGENT, address)
        except TryAgain:
            return True

    def _rules_for(self, address: str) -> urllib.robotparser.RobotFileParser:
        parts = urlsplit(address)
        site = f"{parts.scheme}://{parts.netloc}"
        rules = self._rules.get(site)
        if rules is None:
            rules = self._rules[site] = self._asked(site)
        if isinstance(rules, TryAgain):
            raise rules
        return rules

    def _asked(self, site: str) -> urllib.robotparser.RobotFileParser | TryAgain:
        rules = urllib.robotparser.RobotFileParser()
        try:
            page = self._requests.get(f"{site}/robots.txt", None, MIB)
        except TryAgain as error:
            return error
        except (NotFound, RefusedDocument):
            rules.parse([])  # there are none
            return rules
        rules.parse((page.data or b"").decode("utf-8", "replace").splitlines())
        return rules
