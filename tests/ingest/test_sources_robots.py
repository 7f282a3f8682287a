"""What a robots.txt allows, by RFC 9309 and its examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from web_server import Site, site

from ingest.config import WebSettings
from ingest.errors import RefusedDocument, TryAgain
from ingest.sources.requests import Requests
from ingest.sources.robot_rules import MAX_BYTES, RobotRules
from ingest.sources.robots import Robots

# RFC 9309, 5.1.
SIMPLE = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""


def may(text: str | bytes, path: str, program: str = "ragstone") -> bool:
    data = text if isinstance(text, bytes) else text.encode()
    return RobotRules.of(data, program).may_ask(f"https://example.org{path}")


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as its:
        yield its


@pytest.fixture
def asked(server: Site) -> Iterator[Callable[[str], None]]:
    requests = Requests(WebSettings(delay_s=0, allow_private=True, timeout_s=2))
    yield lambda path: Robots(requests).require(server.url + path)
    requests.close()


@pytest.mark.parametrize(
    ("program", "path", "allowed"),
    [
        ("anybot", "/a.gif", False),
        ("anybot", "/a.gif?x", True),
        ("anybot", "/example/page.html", False),
        ("anybot", "/publications/x", True),
        ("anybot", "/publications/x.gif", True),
        ("foobot", "/", False),
        ("foobot", "/example/page.html", True),
        ("FooBot", "/example/allowed.gif", True),
        ("foobot", "/example/other.gif", False),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/a.gif", True),
        ("quxbot", "/example/page.html", True),
        ("quxbot", "/a.gif", True),
    ],
)
def test_the_simple_example_of_the_standard(program: str, path: str, allowed: bool) -> None:
    assert may(SIMPLE, path, program) is allowed


def test_the_longest_match_wins_and_allow_wins_a_tie() -> None:
    # RFC 9309, 5.2.
    longest = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n"
    assert not may(longest, "/example/page/disallowed.gif", "foobot")
    assert may(longest, "/example/page/other.gif", "foobot")
    assert may("User-agent: *\nDisallow: /a\nAllow: /a\n", "/a")
    assert may("User-agent: *\nAllow: /a\nDisallow: /a\n", "/a")
    assert not may("User-agent: *\nAllow: /\nDisallow: /private/\n", "/private/x")


@pytest.mark.parametrize(
    ("pattern", "matched", "other"),
    [
        ("/*.php", ("/a.php", "/a.php?b", "/a.php/b"), ("/a.PHP", "/php")),
        ("/*.php$", ("/a.php", "/a.php.php"), ("/a.php?b", "/a.php5")),
        ("/fish*", ("/fish", "/fish.html", "/fishheads/yummy"), ("/Fish.asp", "/catfish")),
        ("/a*b*c$", ("/abc", "/axbxc", "/abcc"), ("/abcd", "/acb")),
        ("/exact$", ("/exact",), ("/exact/", "/exactly")),
        ("/q?x=", ("/q?x=1",), ("/q", "/q?y=1")),
        ("/a$b", ("/a$b",), ("/a",)),
        ("/*", ("/", "/x"), ()),
    ],
)
def test_signs_stand_for_any_text_and_for_the_end(pattern: str, matched: tuple[str], other: tuple[str]) -> None:
    rules = f"User-agent: *\nDisallow: {pattern}\n"
    assert [path for path in matched if may(rules, path)] == []
    assert [path for path in other if not may(rules, path)] == []


def test_two_ways_to_write_a_path_are_one() -> None:
    # RFC 9309, 2.2.2.
    for pattern, path in (
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%E3%83%84", "/foo/bar/ツ"),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
        ("/a/%7euser", "/a/~user"),
        ("/a/%e3", "/a/%E3"),
    ):
        assert not may(f"User-agent: *\nDisallow: {pattern}\n", path), pattern
    assert may("User-agent: *\nDisallow: /a%2Fb\n", "/a/b")


def test_groups_of_several_programs_and_of_one_that_is_named_twice() -> None:
    together = "User-agent: other\nSitemap: https://example.org/s.xml\nUser-agent: ragstone\nDisallow: /x\n"
    assert not may(together, "/x")
    twice = (
        "User-agent: ragstone\nDisallow: /a\n\nUser-agent: *\nDisallow: /\n\nUser-agent: Ragstone/2.0\nDisallow: /b\n"
    )
    assert (may(twice, "/a"), may(twice, "/b"), may(twice, "/c")) == (False, False, True)
    assert may("User-agent: rag\nDisallow: /\n\nUser-agent: ragstones\nDisallow: /\n", "/x")
    assert may("User-agent: ragstone\nDisallow:\n\nUser-agent: *\nDisallow: /\n", "/x")
    assert may("Disallow: /\n", "/x")  # of no group


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_comments_hide_no_rule(end: str) -> None:
    lines = ("\ufeffUser-agent: *  # all", "crawl-delay: 3", "# Disallow: /b", "\tDISALLOW : /a # this")
    rules = end.join(lines)
    assert (may(rules, "/a"), may(rules, "/b")) == (False, True)


def test_rules_behind_half_a_mebibyte_are_left_and_those_before_are_minded(
    server: Site, asked: Callable[[str], None]
) -> None:
    filling = b"# x\n" * (MAX_BYTES // 4)
    server.put("/robots.txt", b"User-agent: *\nDisallow: /a\n" + 5 * filling + b"\nDisallow: /b\n")
    asked("/b")
    with pytest.raises(RefusedDocument, match=r"robots\.txt"):
        asked("/a")


@pytest.mark.parametrize("status", [500, 501, 503, 507, 599])
def test_a_site_that_fails_is_not_asked_now(server: Site, asked: Callable[[str], None], status: int) -> None:
    server.put("/robots.txt", "User-agent: *\nAllow: /\n", status=status)
    with pytest.raises(TryAgain):
        asked("/a")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_site_that_has_no_rules_may_be_asked(server: Site, asked: Callable[[str], None], status: int) -> None:
    server.put("/robots.txt", "User-agent: *\nDisallow: /\n", status=status)
    asked("/a")


def test_rules_that_would_take_a_regex_for_ever_are_read_at_once() -> None:
    rules = RobotRules.of(b"User-agent: *\n" + b"Disallow: /" + 5000 * b"*a" + b"b$\n", "ragstone")
    begun = time.monotonic()
    assert rules.may_ask("https://example.org/" + 8000 * "a")
    assert time.monotonic() - begun < 1
