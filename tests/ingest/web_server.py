"""A web server of this process, for tests: pages with validators, redirects, errors; it remembers what was asked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    body: bytes = b""
    status: int = 200
    media_type: str = "text/html"
    etag: bool = True
    modified: str | None = None
    location: str | None = None
    robots: tuple[str, ...] = ()  # headers X-Robots-Tag


@dataclass
class Site:
    """`pages` by path; what is not there is a 404."""

    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    conditional: list[str] = field(default_factory=list)  # those asked with a condition
    hosts: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, body: str | bytes = b"", **more: object) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.pages[path] = Page(data, **more)  # type: ignore[arg-type]


@contextmanager
def site() -> Iterator[Site]:
    its = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asks may have enough before the end
                super().handle()

        def do_GET(self) -> None:
            its.asked.append(self.path)
            its.hosts.add(self.headers.get("Host", ""))
            page = its.pages.get(self.path, Page(b"gone", 404))
            etag = f'"{hashlib.sha256(page.body).hexdigest()[:16]}"'
            if "If-None-Match" in self.headers or "If-Modified-Since" in self.headers:
                its.conditional.append(self.path)
            same = page.etag and self.headers.get("If-None-Match") == etag
            same = same or (page.modified is not None and self.headers.get("If-Modified-Since") == page.modified)
            body = b"" if same else page.body
            self.send_response(304 if same and page.status == 200 else page.status)
            if page.etag:
                self.send_header("ETag", etag)
            if page.modified is not None:
                self.send_header("Last-Modified", page.modified)
            if page.location is not None:
                self.send_header("Location", page.location)
            for tag in page.robots:
                self.send_header("X-Robots-Tag", tag)
            self.send_header("Content-Type", page.media_type)
            if not same:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    its.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield its
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
