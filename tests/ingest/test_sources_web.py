from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from following import SETTINGS, Followed, document
from web_server import Site, site

from ingest.catalog.catalog import Catalog
from ingest.config import WebSettings
from ingest.errors import RefusedDocument, TryAgain
from ingest.sources.locations import leads_within
from ingest.sources.requests import Requests
from ingest.sources.types import SourceSettings
from ingest.sources.web import WebReader

OPEN = WebSettings(delay_s=0, allow_private=True, timeout_s=2)


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as its:
        yield its


@pytest.fixture
def followed(sqlite_catalog: Catalog, tmp_path: Path) -> Iterator[Followed]:
    followed = Followed(sqlite_catalog, tmp_path)
    yield followed
    followed.refreshing.close()


def page(*links: str, text: str = "a page") -> str:
    return f"<html><body><p>{text}</p>{''.join(f'<a href={link!r}>x</a>' for link in links)}</body></html>"


def sitemap(server: Site, *pages: str | tuple[str, str], kind: str = "url") -> str:
    root = "urlset" if kind == "url" else "sitemapindex"
    entries = ""
    for its in pages:
        path, changed = its if isinstance(its, tuple) else (its, "")
        lastmod = f"<lastmod>{changed}</lastmod>" if changed else ""
        address = path if "://" in path else server.url + path
        entries += f"<{kind}><loc>{address}</loc>{lastmod}</{kind}>"
    return f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{root}>'


def uris(followed: Followed, server: Site) -> dict[str, int]:
    return {uri.removeprefix(server.url): version for uri, version in followed.shown().items()}


def listed(server: Site, kind: str, path: str, **settings: object) -> list[str]:
    reader = WebReader(SourceSettings(kind=kind, location=server.url + path, **settings), OPEN)  # type: ignore[arg-type]
    try:
        return [its.uri.removeprefix(server.url) for its in reader.list(lambda: False)]  # type: ignore[union-attr]
    finally:
        reader.close()


@pytest.mark.parametrize("validator", ["etag", "modified"])
def test_what_the_server_said_is_sent_along_and_an_unchanged_page_costs_no_ingest(
    followed: Followed, server: Site, validator: str
) -> None:
    modified = "Sun, 01 Mar 2026 12:00:00 GMT" if validator == "modified" else None
    server.put("/docs/a", page(text="the pump"), etag=validator == "etag", modified=modified)
    followed.put("s", "web", f"{server.url}/docs/a")
    assert followed.refresh().taken == 1
    assert server.conditional == []
    run = followed.refresh()
    assert (run.taken, run.unchanged, run.revision) == (0, 1, 1)
    assert server.conditional == ["/docs/a"]
    server.put("/docs/a", page(text="another pump"), etag=validator == "etag", modified=validator)
    assert followed.refresh().taken == 1
    assert uris(followed, server) == {"/docs/a": 2}


def test_a_page_without_validators_is_compared_by_its_bytes(followed: Followed, server: Site) -> None:
    server.put("/a", page(text="the pump"), etag=False)
    followed.put("s", "web", f"{server.url}/a")
    followed.refresh()
    run = followed.refresh()
    assert (run.taken, run.unchanged, run.revision) == (0, 1, 1)


def test_links_are_followed_below_the_folder_as_deep_as_said(followed: Followed, server: Site) -> None:
    server.put("/docs/", page("a", "/docs/b#part", "../secret", "http://example.org/x", "mailto:a@b", "javascript:1"))
    server.put("/docs/a", page("deep/c"))
    server.put("/docs/b", page("a"))
    server.put("/docs/deep/c", page("d"))
    server.put("/docs/deep/d", page())
    server.put("/secret", page())
    followed.put("s", "web", f"{server.url}/docs/", depth=2)
    assert followed.refresh().taken == 4
    assert set(uris(followed, server)) == {"/docs/", "/docs/a", "/docs/b", "/docs/deep/c"}
    assert "/secret" not in server.asked
    assert server.asked.count("/docs/a") == 1
    server.conditional.clear()
    assert followed.refresh().unchanged == 4  # links of pages that are as they were are those of before
    assert set(server.conditional) == {"/docs/", "/docs/a", "/docs/b", "/docs/deep/c"}
    server.put("/docs/", page("b"))
    followed.refresh()
    assert set(uris(followed, server)) == {"/docs/", "/docs/b", "/docs/a"}  # to which b links
    server.put("/docs/b", page())
    assert followed.refresh().removed == 1


def test_a_base_and_nofollow_are_minded(server: Site) -> None:
    server.put("/docs/", '<base href="/docs/sub/"><a href="x">x</a><a rel="nofollow" href="y">y</a>')
    server.put("/docs/sub/x", "x")
    assert listed(server, "web", "/docs/", depth=1) == ["/docs/", "/docs/sub/x"]


def test_robots_are_minded(followed: Followed, server: Site) -> None:
    server.put("/robots.txt", "User-agent: *\nDisallow: /docs/private\n", media_type="text/plain")
    server.put("/docs/", page("private/a", "b"))
    server.put("/docs/private/a", page())
    server.put("/docs/b", page())
    followed.put("s", "web", f"{server.url}/docs/", depth=1)
    followed.refresh()
    assert set(uris(followed, server)) == {"/docs/", "/docs/b"}
    assert server.asked.count("/robots.txt") == 1
    assert "/docs/private/a" not in server.asked
    followed.put("t", "web", f"{server.url}/docs/private/a")
    assert followed.refresh("t").failed == 1
    (item,) = followed.register.items("t", 10)
    assert item.problem is not None
    assert "robots.txt" in item.problem.detail
    followed.put("t", "web", f"{server.url}/docs/private/a", depth=1)
    assert followed.refresh("t").state == "failed"
    assert "/docs/private/a" not in server.asked


@pytest.mark.parametrize("depth", [0, 1])
def test_robots_are_minded_where_redirects_lead(followed: Followed, server: Site, depth: int) -> None:
    server.put("/robots.txt", "User-agent: *\nDisallow: /d/private/\n", media_type="text/plain")
    server.put("/d/", page("redir", "free"))
    server.put("/d/redir", status=302, location="/d/redir2")
    server.put("/d/redir2", status=302, location="/d/private/secret")
    server.put("/d/private/secret", page(text="the secret"))
    server.put("/d/free", status=301, location="/d/open")
    server.put("/d/open", page(text="open"))
    starts = f"{server.url}/d/" if depth else f"{server.url}/d/redir {server.url}/d/free"
    followed.put("s", "web", starts, depth=depth)
    assert followed.refresh().failed == 1
    problems = {its.uri: its.problem for its in followed.register.items("s", 10)}
    assert "robots.txt" in str(problems[f"{server.url}/d/redir"])
    assert f"{server.url}/d/free" in followed.shown()
    assert "/d/private/secret" not in server.asked
    assert server.asked.count("/robots.txt") == 1


@pytest.mark.parametrize("kind", ["pages", "links", "sitemap"])
def test_a_redirect_out_of_the_source_is_told_and_what_was_there_stays(
    followed: Followed, server: Site, kind: str
) -> None:
    with site() as other:
        server.put("/login?next=x", page(text="log in first"))
        other.put("/d/a", page(text="of another site"))
        server.put("/d/", page("a", "b", "c"))
        for name in "abc":
            server.put(f"/d/{name}", page(text=f"the page {name}"))
        server.put("/d/map.xml", sitemap(server, "/d/a", "/d/b", "/d/c"))
        if kind == "sitemap":
            followed.put("s", "sitemap", f"{server.url}/d/map.xml")
        else:
            starts = f"{server.url}/d/" if kind == "links" else " ".join(f"{server.url}/d/{name}" for name in "abc")
            followed.put("s", "web", starts, depth=1 if kind == "links" else 0)
        followed.refresh()
        before = uris(followed, server)
        server.put("/d/a", status=302, location="/login?next=x")
        server.put("/d/b", status=302, location=f"{other.url}/d/a")
        server.put("/d/c", status=302, location="/d/sub/c/")
        server.put("/d/sub/c/", page(text="the page c has moved"))
        run = followed.refresh()
        assert (run.state, run.failed, run.taken, run.removed) == ("done", 2, 1, 0)
        assert uris(followed, server) == {**before, "/d/c": 2}
        problems = {its.uri.rsplit("/", 1)[1]: its.problem for its in followed.register.items("s", 10, state="failed")}
        for name, target in {"a": f"{server.url}/login?next=x", "b": f"{other.url}/d/a"}.items():
            assert f"redirects to {target}, which is outside of the source" in str(problems[name])
        assert "/login?next=x" not in server.asked
        assert other.asked == []
        server.put("/d/a", page(text="the page a is back"))
        assert followed.refresh().failed == 1


@pytest.mark.parametrize(
    ("address", "target", "within"),
    [
        ("http://example.org/docs/", "https://example.org/docs/", True),
        ("http://example.org/docs/", "https://www.example.org:443/docs/en/", True),
        ("http://example.org/docs/a", "http://example.org/docs/a/", True),
        ("http://example.org/docs/", "http://example.org/docs", True),
        ("http://example.org/docs/a", "http://example.org/docsets/a", False),
        ("http://example.org/docs/a", "http://example.org/login", False),
        ("http://example.org/docs/a", "http://example.org:8080/docs/a", False),
        ("http://example.org/docs/a", "http://login.example.org/docs/a", False),
        ("http://example.org/other/a", "http://example.org/b", True),  # which a sitemap lists beside its folder
        ("http://example.com/a", "http://example.org/docs/b", True),  # another folder of the source
        ("http://example.com/a", "http://example.net/a", False),
    ],
)
def test_where_a_redirect_may_lead(address: str, target: str, within: bool) -> None:
    assert leads_within(address, target, ["http://example.org/docs/"]) == within


def test_a_sitemap_that_is_not_for_programs_is_not_read(followed: Followed, server: Site) -> None:
    server.put("/robots.txt", "User-agent: *\nDisallow: /sitemap\n", media_type="text/plain")
    server.put("/sitemap.xml", sitemap(server, "/a"))
    followed.put("s", "sitemap", f"{server.url}/sitemap.xml")
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert "robots.txt" in run.problem.detail
    assert server.asked == ["/robots.txt"]


def test_a_site_whose_robots_cannot_be_had_is_asked_later(followed: Followed, server: Site) -> None:
    server.put("/robots.txt", status=503)
    server.put("/a", page())
    followed.put("s", "web", f"{server.url}/a")
    assert followed.refresh().failed == 1
    assert "/a" not in server.asked
    server.put("/robots.txt", "User-agent: ragstone\nAllow: /\n\nUser-agent: *\nDisallow: /\n")
    assert followed.refresh().taken == 1


def test_a_page_that_cannot_be_had_now_costs_only_itself(followed: Followed, server: Site) -> None:
    server.put("/docs/", page("a", "b"))
    server.put("/docs/a", page("c"))
    server.put("/docs/b", page())
    server.put("/docs/c", page())
    followed.put("s", "web", f"{server.url}/docs/", depth=3)
    assert followed.refresh().taken == 4
    for status in (503, 403):
        server.put("/docs/a", status=status)
        run = followed.refresh()
        assert (run.state, run.failed, run.removed) == ("done", 1, 0)
        assert len(uris(followed, server)) == 4
        assert followed.items()[f"{server.url}/docs/a"] == "failed"
    server.put("/docs/a", page("c"))
    assert followed.refresh().failed == 0
    assert set(followed.items().values()) == {"indexed"}


def test_a_page_that_is_gone_is_hidden(followed: Followed, server: Site) -> None:
    server.put("/docs/", page("a", "b"))
    server.put("/docs/a", page())
    server.put("/docs/b", page())
    followed.put("s", "web", f"{server.url}/docs/", depth=1)
    followed.refresh()
    server.put("/docs/a", status=410)
    assert followed.refresh().removed == 1
    assert set(uris(followed, server)) == {"/docs/", "/docs/b"}


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503])
def test_a_first_page_that_is_away_removes_nothing(followed: Followed, server: Site, status: int) -> None:
    server.put("/docs/", page("a"))
    server.put("/docs/a", page())
    followed.put("s", "web", f"{server.url}/docs/", depth=1)
    followed.refresh()
    server.put("/docs/", status=status)
    server.asked.clear()
    run = followed.refresh()
    assert run.state == ("waiting" if status >= 500 else "failed")
    assert server.asked.count("/docs/") == (3 if status >= 500 else 1)
    assert run.problem is not None
    assert str(status) in run.problem.detail
    assert len(followed.shown()) == 2


@pytest.mark.parametrize(("status", "state"), [(404, "failed"), (410, "failed"), (401, "failed"), (503, "waiting")])
def test_pages_that_are_named_and_cannot_be_had_are_told(
    followed: Followed, server: Site, status: int, state: str
) -> None:
    server.put("/a", page())
    server.put("/b", page())
    followed.put("s", "web", f"{server.url}/a {server.url}/b")
    assert followed.refresh().taken == 2
    server.put("/a", status=status)
    run = followed.refresh()
    assert (run.state, run.failed, run.removed) == ("done", 1, 0)  # the other one is there
    assert followed.items()[f"{server.url}/a"] == "failed"
    server.put("/b", status=status)
    server.asked.clear()
    run = followed.refresh()
    assert (run.state, run.failed) == (state, 2)
    assert run.problem is not None
    assert str(status) in run.problem.detail
    assert server.asked.count("/b") == (1 if state == "failed" else 3)
    assert len(followed.shown()) == 2


def test_a_site_that_goes_away_while_it_is_read_is_not_asked_for_ever(followed: Followed, server: Site) -> None:
    server.put("/docs/", page(*(f"{number}" for number in range(50))))
    for number in range(50):
        server.put(f"/docs/{number}", status=503)
    followed.put("s", "web", f"{server.url}/docs/", depth=1)
    assert followed.refresh().state == "waiting"
    assert len(server.asked) < 30  # three attempts of a few


def test_redirects_are_followed_and_loops_are_not(followed: Followed, server: Site) -> None:
    server.put("/a", status=301, location="/b")
    server.put("/b", page(text="moved here"))
    server.put("/loop", status=302, location="/loop")
    followed.put("s", "web", f"{server.url}/a {server.url}/loop")
    run = followed.refresh()
    assert (run.taken, run.failed) == (1, 1)
    assert uris(followed, server) == {"/a": 1}
    assert server.asked.count("/loop") == 6
    assert followed.refresh().unchanged >= 1
    assert "/b" in server.conditional


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.org/", "http://[::1", "http://a:b@127.0.0.1/"]
)
def test_a_redirect_to_what_is_no_web_address_is_refused(server: Site, location: str) -> None:
    server.put("/a", status=302, location=location)
    requests = Requests(OPEN)
    with pytest.raises((RefusedDocument, TryAgain)):
        requests.get(f"{server.url}/a", None, 1000)
    requests.close()


def closed(server: Site, public: str = "example.org") -> Requests:
    """Requests to which one host looks public, though it is this machine."""
    requests = Requests(
        WebSettings(delay_s=0, timeout_s=2), lambda host: ["127.0.0.1"] if host == "127.0.0.1" else ["93.184.216.34"]
    )
    requests._allowed_before = requests._allowed  # type: ignore[attr-defined]

    def allowed(host: str) -> list[str]:
        requests._allowed_before(host)  # type: ignore[attr-defined]
        return ["127.0.0.1"]

    requests._allowed = allowed  # type: ignore[method-assign]
    return requests


def test_private_addresses_are_refused_unless_they_are_allowed(server: Site) -> None:
    server.put("/a", page())
    requests = Requests(WebSettings(delay_s=0))
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"):
        with pytest.raises((RefusedDocument, TryAgain)) as caught:
            requests.get(f"http://{host}:{server.port}/a", None, 1000)
        assert "inside this network" in str(caught.value) or "name server" in str(caught.value)
    requests.close()
    assert server.asked == []


def test_a_redirect_into_this_network_is_refused_and_the_name_is_looked_up_once(server: Site) -> None:
    server.put("/a", status=302, location=f"http://127.0.0.1:{server.port}/secret")
    server.put("/secret", page(text="the secret"))
    server.put("/b", page())
    requests = closed(server)
    with pytest.raises(RefusedDocument, match="inside this network"):
        requests.get(f"http://example.org:{server.port}/a", None, 1000)
    assert server.asked == ["/a"]
    assert requests.get(f"http://example.org:{server.port}/b", None, 1000).data is not None
    assert server.hosts == {f"example.org:{server.port}"}  # it is asked by number, under its name
    requests.close()


def test_a_page_that_is_too_large_is_told(followed: Followed, server: Site) -> None:
    server.put("/docs/", page("large"))
    server.put("/docs/large", page(text="x" * 20_000))
    followed.put("s", "web", f"{server.url}/docs/", depth=1)
    run = followed.refresh()
    assert (run.taken, run.failed) == (1, 1)
    assert followed.items()[f"{server.url}/docs/large"] == "failed"


def test_a_packed_bomb_ends_at_the_limit(server: Site) -> None:
    server.put("/sitemap.xml.gz", gzip.compress(b" " * 200_000_000), media_type="application/gzip")
    with pytest.raises(RefusedDocument, match="more than 50 MiB"):
        listed(server, "sitemap", "/sitemap.xml.gz")


def test_endless_sites_end_at_the_number_of_items(server: Site) -> None:
    for number in range(100):
        server.put(f"/docs/{number}", page(str(number + 1)))
    with pytest.raises(RefusedDocument, match="more than 10 pages"):
        listed(server, "web", "/docs/0", depth=20, max_items=10)
    assert len(server.asked) < 20


@pytest.mark.parametrize("packed", [False, True])
def test_pages_of_a_sitemap_are_documents(followed: Followed, server: Site, packed: bool) -> None:
    inner = sitemap(server, ("/a", "2026-01-01"), "/b", "ftp://example.org/x")
    name = "/inner.xml.gz" if packed else "/inner.xml"
    server.put(name, gzip.compress(inner.encode()) if packed else inner, media_type="application/xml")
    server.put("/sitemap.xml", sitemap(server, name, kind="sitemap"))
    server.put("/a", page(text="a"))
    server.put("/b", page(text="b"))
    followed.put("s", "sitemap", f"{server.url}/sitemap.xml")
    assert followed.refresh().taken == 2
    assert set(uris(followed, server)) == {"/a", "/b"}
    server.asked.clear()
    assert followed.refresh().unchanged == 2
    assert "/a" not in server.asked  # the sitemap says when it changed
    assert "/b" in server.conditional
    server.put(name, sitemap(server, ("/a", "2026-02-02")))
    run = followed.refresh()
    assert (run.taken, run.removed) == (0, 1)
    assert "/a" in server.conditional  # it was asked, and is as it was


@pytest.mark.parametrize("broken", ["gone", "error", "cut", "html", "inner", "empty", "many", "damaged"])
def test_a_sitemap_that_is_broken_removes_nothing(followed: Followed, server: Site, broken: str) -> None:
    server.put("/sitemap.xml", sitemap(server, "/inner.xml", kind="sitemap"))
    server.put("/inner.xml", sitemap(server, "/a", "/b"))
    server.put("/a", page(text="a"))
    server.put("/b", page(text="b"))
    followed.put("s", "sitemap", f"{server.url}/sitemap.xml")
    assert followed.refresh().taken == 2
    whole = server.pages["/sitemap.xml"].body
    many = sitemap(server, *(f"/{number}.xml" for number in range(300)), kind="sitemap")
    pages: dict[str, tuple[str, bytes | str, int]] = {
        "gone": ("/sitemap.xml", "", 404),
        "error": ("/sitemap.xml", "", 500),
        "cut": ("/sitemap.xml", whole[:-20], 200),
        "html": ("/sitemap.xml", page(text="we are mending & coming back"), 200),
        "inner": ("/inner.xml", "", 404),
        "empty": ("/inner.xml", sitemap(server), 200),
        "many": ("/sitemap.xml", many, 200),
        "damaged": ("/sitemap.xml", gzip.compress(whole)[:-12], 200),
    }
    path, body, status = pages[broken]
    server.put(path, body, status=status)
    run = followed.refresh()
    assert run.state in ("waiting", "failed")
    assert run.problem is not None
    assert len(followed.shown()) == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("", 404, "404"),
        ("", 410, "410"),
        ("", 403, "403"),
        ("", 503, "503"),
        ("<html><p>mending</html>", 200, "sitemap"),
    ],
)
def test_a_sitemap_of_several_that_cannot_be_read_costs_only_its_own_pages(
    followed: Followed, server: Site, body: str, status: int, said: str
) -> None:
    server.put("/sitemap.xml", sitemap(server, "/bad.xml", "/worse.xml", "/good.xml", kind="sitemap"))
    server.put("/bad.xml", sitemap(server, "/a"))
    server.put("/good.xml", sitemap(server, "/b"))
    server.put("/worse.xml", sitemap(server, "/c"))
    for path in ("/a", "/b", "/c", "/d"):
        server.put(path, page(text=path))
    followed.put("s", "sitemap", f"{server.url}/sitemap.xml")
    assert followed.refresh().taken == 3
    server.put("/bad.xml", body, status=status)
    server.put("/worse.xml", body, status=status)
    server.put("/good.xml", sitemap(server, "/d"))
    run = followed.refresh()
    assert (run.state, run.taken, run.failed, run.removed) == ("done", 1, 0, 0)
    assert set(uris(followed, server)) == {"/a", "/b", "/c", "/d"}  # who has /b now is not known
    assert run.problem is not None
    assert f"{server.url}/bad.xml" in run.problem.detail
    assert said in run.problem.detail
    (note,) = run.notes
    assert f"{server.url}/worse.xml" in note
    server.put("/bad.xml", sitemap(server, "/a"))
    server.put("/worse.xml", sitemap(server))
    run = followed.refresh()
    assert (run.problem, run.notes, run.removed) == (None, (), 2)
    assert set(uris(followed, server)) == {"/a", "/d"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_sitemap_of_plain_text_has_an_address_a_line(followed: Followed, server: Site, packed: bool) -> None:
    body = f"\ufeff{server.url}/a\r\n\n  {server.url}/b  \n{server.url}/ž\nftp://example.org/x\n".encode()
    server.put("/map.txt", gzip.compress(body) if packed else body, media_type="text/plain")
    for path in ("/a", "/b", "/%C5%BE"):
        server.put(path, page(text=path))
    followed.put("s", "sitemap", f"{server.url}/map.txt")
    assert followed.refresh().taken == 3
    assert set(uris(followed, server)) == {"/a", "/b", "/ž"}
    server.put("/map.txt", f"{server.url}/a", media_type="text/plain")
    assert followed.refresh().removed == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("We are mending the site.\nCome back later.\nhttp://example.org/", "We are mending"),
        ("", "empty"),
        ("<html><body>a page</body></html>", "<html>"),
        ("<html><br></html>", "mismatch"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><urlset>&a;</urlset>', "entities"),
    ],
)
def test_what_is_no_sitemap_is_said_to_be_none(followed: Followed, server: Site, body: str, why: str) -> None:
    server.put("/sitemap.xml", body, media_type="text/plain")
    followed.put("s", "sitemap", f"{server.url}/sitemap.xml")
    run = followed.refresh()
    assert run.state == "failed"
    assert run.problem is not None
    assert why in run.problem.detail
    assert f"{server.url}/sitemap.xml is none" in run.problem.detail
    assert "Save it again" not in run.problem.detail


def test_types_that_servers_name_decide_the_format(followed: Followed, server: Site) -> None:
    server.put("/plain", "# not a heading", media_type="text/plain; charset=utf-8")
    server.put("/marked", "# a heading\n\ntext", media_type="text/markdown")
    followed.put("s", "web", f"{server.url}/plain {server.url}/marked")
    assert followed.refresh().taken == 2
    documents, _ = followed.catalog.documents(None, 10, None)
    assert {document.media_type for document in documents} == {"text/plain", "text/markdown"}


def asking(directives: str, *links: str, name: str = "robots") -> str:
    return f'<html><head><META NAME="{name}" CONTENT="{directives}"></head><body><p>x</p>{"".join(links)}</body></html>'


@pytest.mark.parametrize(
    ("body", "tags", "left_out"),
    [
        (asking("noindex"), (), True),
        (asking("max-snippet:20, NoIndex ,follow"), (), True),
        (asking("none"), (), True),
        (asking("noindex", name="Ragstone"), (), True),
        (page(), ("noindex",), True),
        (page(), ("unavailable_after: 25 Jun 2060 15:00:00 PST", "nofollow,noindex"), True),
        (page(), ("ragstone: noindex",), True),
        (page(), ("otherbot: noindex, nofollow", "unavailable_after: 25 Jun 2060 15:00:00 PST"), False),
        (asking("noindex", name="otherbot"), (), False),
        (asking("index, nofollow"), (), False),
        ("<!-- " + asking("noindex") + " -->" + page(), (), False),
        (page(text="&lt;meta name=robots content=noindex>"), (), False),
    ],
)
def test_a_page_that_asks_to_be_in_no_index_is_left_out(
    followed: Followed, server: Site, body: str, tags: tuple[str, ...], left_out: bool
) -> None:
    server.put("/a", body, robots=tags)
    server.put("/b", page())
    followed.put("s", "web", f"{server.url}/a {server.url}/b")
    run = followed.refresh()
    assert (run.state, run.failed, run.taken) == ("done", 0, 1 if left_out else 2)
    assert (run.left_out, run.listed) == ((1, 1) if left_out else (0, 2))
    assert set(uris(followed, server)) == ({"/b"} if left_out else {"/a", "/b"})
    if left_out:
        (note,) = run.notes
        assert "noindex" in note
        assert f"{server.url}/a" in note


def test_a_page_that_is_no_html_can_tell_of_noindex(followed: Followed, server: Site) -> None:
    server.put("/a", "# How to be in no index\n\n" + asking("noindex"), media_type="text/markdown")
    followed.put("s", "web", f"{server.url}/a")
    assert followed.refresh().taken == 1


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("how", ["page", "header", "header of a page as it was"])
def test_a_page_that_comes_to_ask_for_it_is_hidden_and_comes_back(
    followed: Followed, server: Site, depth: int, how: str
) -> None:
    server.put("/d/", page("a"))
    server.put("/d/a", page())
    followed.put("s", "web", f"{server.url}/d/" if depth else f"{server.url}/d/ {server.url}/d/a", depth=depth)
    assert followed.refresh().taken == 2
    if how == "page":
        server.put("/d/a", asking("noindex"))
    else:
        server.put("/d/a", page(), robots=("noindex",), etag=how != "header")
    run = followed.refresh()
    assert (run.removed, run.left_out) == (1, 1)
    assert set(uris(followed, server)) == {"/d/"}
    assert followed.refresh().removed == 0
    server.put("/d/a", page())
    run = followed.refresh()
    assert (run.taken, run.left_out, run.notes) == (1, 0, ())
    assert set(uris(followed, server)) == {"/d/", "/d/a"}


def test_links_of_a_page_that_is_left_out_are_followed_unless_it_says_no(server: Site, followed: Followed) -> None:
    links = '<a href="x">x</a>', '<a href="y">y</a>'
    server.put("/d/x", page())
    server.put("/d/y", page())
    for body, found in (
        (asking("noindex", *links), {"/d/x", "/d/y"}),
        (asking("noindex, nofollow", *links), set()),
        (asking("nofollow", *links), {"/d/"}),
        (asking("none", *links), set()),
    ):
        server.put("/d/", body)
        followed.put("s", "web", f"{server.url}/d/", depth=1)
        followed.refresh()
        assert set(uris(followed, server)) == found


def test_the_setting_takes_pages_that_ask_for_no_index(sqlite_catalog: Catalog, server: Site, tmp_path: Path) -> None:
    web = WebSettings(delay_s=0, allow_private=True, noindex=False)
    followed = Followed(sqlite_catalog, tmp_path, SETTINGS.model_copy(update={"web": web}))
    server.put("/d/", asking("none", '<a href="x">x</a>'), robots=("noindex",))
    server.put("/d/x", page())
    followed.put("s", "web", f"{server.url}/d/", depth=1)
    assert followed.refresh().taken == 2
    followed.refreshing.close()
    strict = Followed(sqlite_catalog, tmp_path)
    server.put("/d/", server.pages["/d/"].body)  # as it was, without the header
    assert strict.refresh().left_out == 1  # by the bytes that are kept
    assert strict.shown() == {}
    strict.refreshing.close()


CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy."


@pytest.mark.parametrize(
    ("body", "media_type", "expected"),
    [
        (page(text=CZECH).encode("iso-8859-2"), "text/html; charset=ISO-8859-2", CZECH),
        (page(text="Łódź").encode("iso-8859-2"), "text/html;charset=iso-8859-2", "Łódź"),
        (("<meta charset=windows-1251>" + page(text=CZECH)).encode("cp1250"), 'text/html; charset="cp1250"', CZECH),
        (b"\xef\xbb\xbf" + page(text=CZECH).encode(), "text/html; charset=iso-8859-2", CZECH),
        (page(text=CZECH).encode(), "text/html; charset=ISO-8859-1", CZECH),
        (page(text=CZECH).encode(), "text/html; charset=nonsense", CZECH),
        (page(text="Привет").encode("koi8-r"), "text/html; charset=koi8-r", "Привет"),
        ("Łódź".encode("iso-8859-2"), "text/plain; charset=iso-8859-2", "Łódź"),
        ("# 見出し".encode("shift_jis"), "text/markdown; charset=Shift_JIS", "見出し"),
        ("Łódź".encode("utf-16-le"), "text/plain; charset=utf-16", "Łódź"),
    ],
)
def test_the_server_says_how_a_page_is_encoded(
    followed: Followed, server: Site, body: bytes, media_type: str, expected: str
) -> None:
    server.put("/a", body, media_type=media_type)
    followed.put("s", "web", f"{server.url}/a")
    assert followed.refresh().taken == 1
    assert expected in followed.catalog.version_text(document(f"{server.url}/a"), 1)
    server.pages["/a"].etag = False
    assert followed.refresh().unchanged == 1


def test_links_are_read_in_the_encoding_that_the_server_says(server: Site) -> None:
    server.put("/d/", page("Łódź").encode("iso-8859-2"), media_type="text/html; charset=iso-8859-2")
    server.put("/d/%C5%81%C3%B3d%C5%BA", page())
    assert listed(server, "web", "/d/", depth=1) == ["/d/", "/d/Łódź"]


def test_a_server_that_cannot_be_reached_is_said(followed: Followed) -> None:
    followed.put("s", "web", "http://127.0.0.1:9/")
    run = followed.refresh()
    assert run.failed == 1
    (item,) = followed.register.items("s", 10)
    assert item.problem is not None
    assert item.problem.code == "try-again"
