"""Whether a site lets programs read a page: its robots.txt (RFC 9309)."""

from __future__ import annotations

from urllib.parse import urlsplit

from ingest.errors import NotFound, RefusedDocument, TryAgain
from ingest.sources.requests import AGENT, Requests
from ingest.sources.robot_rules import MAX_BYTES, RobotRules


class Robots:
    """Asks each site once."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._rules: dict[str, RobotRules | TryAgain] = {}

    def require(self, address: str) -> None:
        """Raises RefusedDocument where the site says no, and TryAgain where it can't be asked."""
        if not self._rules_for(address).may_ask(address):
            raise RefusedDocument(f"{address} is not for programs, as its robots.txt says: leave it out")

    def may_ask(self, address: str) -> bool:
        """True as well where the site can't be asked: that is told when the page is fetched."""
        try:
            return self._rules_for(address).may_ask(address)
        except TryAgain:
            return True

    def _rules_for(self, address: str) -> RobotRules:
        parts = urlsplit(address)
        site = f"{parts.scheme}://{parts.netloc}".lower()
        rules = self._rules.get(site)
        if rules is None:
            rules = self._rules[site] = self._asked(site)
        if isinstance(rules, TryAgain):
            raise rules
        return rules

    def _asked(self, site: str) -> RobotRules | TryAgain:
        """A site that answers 5xx, or not at all, is not to be asked now; one that answers 4xx has no rules (2.3.1)."""
        try:
            page = self._requests.get(f"{site}/robots.txt", None, MAX_BYTES, cut=True)
        except TryAgain as error:
            return error
        except (NotFound, RefusedDocument):
            return RobotRules()
        return RobotRules.of(page.data or b"", AGENT)
